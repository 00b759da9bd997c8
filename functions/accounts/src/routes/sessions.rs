//! `/api/auth/sessions`: where somebody is signed in.

use axum::Json as Answer;
use axum::extract::{Path, RawQuery, State};
use docket_api::auth::{SessionList, SessionView};
use docket_domain::account::session::SessionId;
use docket_service::{Code, Parameters, Problem, Runtime};
use http::StatusCode;

use super::me::load;
use super::person::Person;
use super::unavailable;
use crate::App;
use crate::store::Change;

pub(super) async fn list<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
) -> Result<Answer<SessionList>, Problem> {
    let account = load(&app, &person.account).await?;
    let sessions = app.store.sessions(&account, app.runtime.now()).await;
    let view = |(id, session)| {
        let current = Some(&id) == person.session.as_ref();
        SessionView::new(id, session, current)
    };
    let sessions = sessions.map_err(unavailable)?.into_iter().map(view);
    let mut sessions: Vec<SessionView> = sessions.collect();
    sessions.sort_by_key(|session| std::cmp::Reverse(session.last_used_at));
    Ok(Answer(SessionList { sessions }))
}

/// Ends one session. Its access tokens end by themselves within minutes.
pub(super) async fn end<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let unknown = || Problem::new(Code::NotFound, "there is no such session");
    let id = SessionId::parse(&id).ok_or_else(unknown)?;
    let ended = app.store.change(&person.account, |account| {
        if account.sessions.contains(&id) {
            Ok(Change {
                ends: vec![id.clone()],
                ..Change::alone(())
            })
        } else {
            Err(unknown())
        }
    });
    ended.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Ends all sessions, or all others.
pub(super) async fn end_all<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
    RawQuery(query): RawQuery,
) -> Result<StatusCode, Problem> {
    let mut given = Parameters::parse(query.as_deref())?;
    let others = given.flag("others").unwrap_or(false);
    given.finish()?;
    let kept = person.session.filter(|_| others);
    let ended = app.store.change(&person.account, |account| {
        let mut ends = account.sessions.clone();
        ends.retain(|session| Some(session) != kept.as_ref());
        Ok(Change {
            ends,
            ..Change::alone(())
        })
    });
    ended.await?;
    Ok(StatusCode::NO_CONTENT)
}
