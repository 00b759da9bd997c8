//! `/api/notifications`: the inbox.

use axum::Json as Answer;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::reminders::{APP, SNOOZE, Snooze, Snoozed};
use docket_api::{NotificationPage, NotificationView, SnoozeRequest, SnoozedUntil, Unread};
use docket_domain::inbox::{DEFAULT_LIMIT, MAX_LIMIT, NotificationId, Query, resume};
use docket_domain::task::Before;
use docket_domain::{AccountId, FieldErrorCode};
use docket_service::{Caller, Code, Json, Parameters, Problem, Runtime};
use http::request::Parts;

use super::unavailable;
use crate::App;
use crate::store::Loaded;

pub(super) async fn list<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let account = &caller.account;
    let query = question(Parameters::parse(query.as_deref())?, account)?;
    let loaded = app.store.load(account, |inbox| inbox.list(&query).numbers);
    let Loaded { inbox, pages } = loaded.await.map_err(unavailable)?;
    let listing = inbox.list(&query);
    let found = inbox.gather(&listing.numbers, &pages);
    let view = |one| NotificationView::new(one, inbox.is_read(one.id));
    let page = NotificationPage {
        notifications: found.into_iter().map(view).collect(),
        unread: inbox.unread(),
        next_cursor: listing.cursor(account, &query),
    };
    Ok(Answer(page).into_response())
}

fn question(mut given: Parameters, account: &AccountId) -> Result<Query, Problem> {
    let unread = given.flag("unread");
    let limit = given.limit(MAX_LIMIT);
    let unread = unread.unwrap_or(false);
    let before = given.cursor(|text| resume(account, unread, text));
    given.finish()?;
    Ok(Query {
        unread,
        limit: limit.unwrap_or(DEFAULT_LIMIT),
        before,
    })
}

pub(super) async fn read<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    Id(id): Id,
) -> Result<Answer<Unread>, Problem> {
    let found = app.store.notification(&caller.account, id).await;
    found.map_err(unavailable)?.ok_or_else(unknown)?;
    let read = app
        .store
        .change_inbox(&caller.account, |inbox| inbox.mark_read(id));
    let inbox = read.await.map_err(unavailable)?;
    Ok(Answer(Unread {
        unread: inbox.unread(),
    }))
}

pub(super) async fn read_all<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
) -> Result<Answer<Unread>, Problem> {
    let read = app
        .store
        .change_inbox(&caller.account, |inbox| inbox.mark_all_read() > 0);
    let inbox = read.await.map_err(unavailable)?;
    Ok(Answer(Unread {
        unread: inbox.unread(),
    }))
}

/// Has `reminders` bring a notification again, and then marks it as read. A request that is repeated puts it off anew, so
/// one whose answer got lost does no harm.
pub(super) async fn snooze<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    Id(id): Id,
    Json(request): Json<SnoozeRequest>,
) -> Result<Answer<SnoozedUntil>, Problem> {
    let seconds = Before::parse(&request.r#for).map_or(0, Before::seconds);
    if seconds == 0 {
        let detail = "an ISO 8601 duration of one second to 366 days, as PT10M";
        return Err(Problem::field("/for", FieldErrorCode::Invalid, detail));
    }
    let found = app.store.notification(&caller.account, id).await;
    let notification = found.map_err(unavailable)?.ok_or_else(unknown)?;
    let at = app
        .runtime
        .now()
        .plus_millis(i64::from(seconds).saturating_mul(1_000));
    let snooze = Snooze {
        account: caller.account.clone(),
        task_id: notification.content.task_id,
        notification_id: id.to_string(),
        at,
    };
    let asked = app.others.invoke::<Snoozed>(APP, SNOOZE, &snooze).await;
    if !asked.map_err(unavailable)?.scheduled {
        let detail = "its task is done or gone, or has too many snoozed notifications; it will not come again";
        return Err(Problem::new(Code::Conflict, detail));
    }
    let read = app
        .store
        .change_inbox(&caller.account, |inbox| inbox.mark_read(id));
    read.await.map_err(unavailable)?;
    Ok(Answer(SnoozedUntil { at }))
}

/// The notification in the path. What is no id is that of no notification.
pub(super) struct Id(NotificationId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        let id = path.ok().and_then(|Path(id)| NotificationId::parse(&id));
        id.map(Self).ok_or_else(unknown)
    }
}

fn unknown() -> Problem {
    Problem::new(Code::NotFound, "there is no such notification")
}
