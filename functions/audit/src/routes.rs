//! The routes.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::routing::{MethodRouter, get, post};
use docket_api::audit::{AuditPage, ENTRY_PATH, EntryAnswer, EntryRequest};
use docket_domain::account_deleted::AccountDeleted;
use docket_domain::audit::{Filter, MAX_LIMIT, Order, Query, Verified};
use docket_domain::due::{parse_date, start_of};
use docket_domain::find::DEFAULT_LIMIT;
use docket_domain::{AccountId, Event, EventKind, Instant, TaskId};
use docket_service::auth::AuditRead;
use docket_service::serve::{log_background, routes};
use docket_service::{
    Caller, Code, Consumer, Delivered, DeliveredTogether, Internal, Json, May, Parameters, Problem,
    Refusal, Runtime, Verdict, Verdicts,
};
use docket_sidecar::Error;

use crate::App;

/// The longest name of a doer: an account's id.
const MAX_ACTOR: usize = 64;

/// The function's routes.
pub fn router<R: Runtime>(app: App<R>) -> Router {
    routes(table()).with_state(app)
}

/// Every path with its methods; a test compares it with `docs/openapi.json`.
pub(crate) fn table<R: Runtime>() -> Vec<(&'static str, MethodRouter<App<R>>)> {
    vec![
        ("/api/audit", get(list)),
        ("/api/audit/verify", get(verify)),
        ("/api/tasks/{id}/history", get(history)),
        ("/internal/audit/accounts", post(account_deleted)),
        ("/internal/audit/task-events", post(task_events)),
        (ENTRY_PATH, post(entry)),
    ]
}

async fn task_events<R: Runtime>(
    State(app): State<App<R>>,
    delivered: DeliveredTogether<Event>,
) -> Verdicts {
    delivered.to(&app).await
}

impl<R: Runtime> Consumer<Event> for App<R> {
    async fn take(&self, event: &Event) -> Verdict {
        match self.store.add(&event.account, &[event]).await {
            Ok(()) => Verdict::Success,
            Err(error) => failed(&event.account, &error),
        }
    }

    /// Events of an account are one change of its log.
    async fn take_all(&self, events: &[&Event]) -> Vec<Verdict> {
        let Some(first) = events.first() else {
            return Vec::new();
        };
        let verdict = match self.store.add(&first.account, events).await {
            Ok(()) => Verdict::Success,
            Err(error) => failed(&first.account, &error),
        };
        vec![verdict; events.len()]
    }
}

/// Redacts the log of an account that was deleted.
async fn account_deleted<R: Runtime>(
    State(app): State<App<R>>,
    Delivered(event): Delivered<AccountDeleted>,
) -> Verdict {
    match app.store.forget(&event.account, event.at).await {
        Ok(()) => Verdict::Success,
        Err(error) => failed(&event.account, &error),
    }
}

/// A log that cannot be read will not get better by itself, and must not hold up the others.
fn failed(account: &AccountId, error: &Error) -> Verdict {
    log_background("error", &format!("the log of {account}: {error}"));
    match error {
        Error::Malformed { .. } => Verdict::Drop,
        Error::Refused { .. } | Error::Transport { .. } => Verdict::Retry,
    }
}

async fn list<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<AuditRead>,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<AuditPage>, Problem> {
    let mut given = Parameters::parse(query.as_deref())?;
    let filter = Filter {
        task: given.one("task", |text| {
            TaskId::parse(text).ok_or("it is the id of a task".into())
        }),
        kinds: given.many("type", |text| {
            EventKind::parse(text).ok_or("it is a type of events, such as task-created".into())
        }),
        from: given.one("from", day_or_instant),
        to: given.one("to", day_or_instant),
        actor: given.one("actor", |text| {
            let fits = (1..=MAX_ACTOR).contains(&text.len());
            let named = fits.then(|| text.to_owned());
            named.ok_or("it is a kind of doers, such as person, or the id of one".into())
        }),
    };
    let order = given.one("order", |text| match text {
        "newest" => Ok(Order::NewestFirst),
        "oldest" => Ok(Order::OldestFirst),
        _ => Err("an order is newest or oldest".into()),
    });
    let query = paged(given, &caller, filter, order.unwrap_or(Order::NewestFirst))?;
    page(&app, &caller, &query).await
}

async fn history<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<AuditRead>,
    id: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
) -> Result<axum::Json<AuditPage>, Problem> {
    let nothing = || Problem::new(Code::NotFound, "nothing is known of such a task");
    // An id that cannot be is no different from one that is not.
    let task = id.ok().and_then(|Path(id)| TaskId::parse(&id));
    let task = task.ok_or_else(nothing)?;
    let filter = Filter {
        task: Some(task),
        ..Filter::default()
    };
    let given = Parameters::parse(query.as_deref())?;
    let query = paged(given, &caller, filter, Order::OldestFirst)?;
    let page = page(&app, &caller, &query).await?;
    if page.entries.is_empty() && page.next_cursor.is_none() && query.cursor.is_none() {
        return Err(nothing());
    }
    Ok(page)
}

/// The parameters that every list has.
fn paged(
    mut given: Parameters,
    caller: &Caller,
    filter: Filter,
    order: Order,
) -> Result<Query, Problem> {
    let limit = given.limit(MAX_LIMIT);
    let mut query = Query {
        filter,
        order,
        limit: limit.unwrap_or(DEFAULT_LIMIT),
        cursor: None,
    };
    // Last, for it has to fit all the others.
    query.cursor = given.cursor(|text| query.resume(&caller.account, text));
    given.finish()?;
    Ok(query)
}

async fn page<R: Runtime>(
    app: &App<R>,
    caller: &Caller,
    query: &Query,
) -> Result<axum::Json<AuditPage>, Problem> {
    let part = app.store.part(&caller.account, query).await;
    let part = part.map_err(unavailable)?;
    let next = part.next.map(|place| query.text_of(&caller.account, place));
    Ok(axum::Json(AuditPage {
        entries: part.entries,
        next_cursor: next,
    }))
}

async fn verify<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<AuditRead>,
) -> Result<axum::Json<Verified>, Problem> {
    let verified = app.store.verify(&caller.account).await;
    verified.map(axum::Json).map_err(unavailable)
}

/// For `tasks`, which undoes what an entry tells.
async fn entry<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(asked): Json<EntryRequest>,
) -> Result<axum::Json<EntryAnswer>, Problem> {
    let EntryRequest {
        account,
        task_id,
        event_id,
    } = asked;
    let seq = event_id.rsplit('-').next().and_then(|seq| seq.parse().ok());
    let Some(seq) = seq else {
        return Err(Problem::new(Code::Malformed, "not the id of an event"));
    };
    let found = app.store.entry(&account, task_id, &event_id, seq).await;
    let (entry, has_come) = found.map_err(unavailable)?;
    Ok(axum::Json(EntryAnswer { entry, has_come }))
}

/// A day from its start in UTC, or an instant.
fn day_or_instant(text: &str) -> Result<Instant, Refusal> {
    parse_date(text)
        .map(|date| start_of(date, Default::default()))
        .or_else(|| Instant::parse(text))
        .ok_or("it is a date, YYYY-MM-DD, or an RFC 3339 instant".into())
}

fn unavailable(error: Error) -> Problem {
    match error {
        // It is there, and cannot be read: somebody has changed it.
        Error::Malformed { .. } => Problem::internal(error),
        error => Problem::unavailable(1, error),
    }
}
