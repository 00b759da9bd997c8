//! `POST /api/tasks/{id}/undo`: a change is taken back. What it was, the audit log knows.

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use docket_api::audit::{APP, ENTRY_PATH, EntryAnswer, EntryRequest};
use docket_api::{UndoRequest, Undone};
use docket_domain::audit::Content;
use docket_domain::{Command, FieldErrorCode, TaskId};
use docket_service::auth::TasksWrite;
use docket_service::{Caller, Code, Json, May, Problem, Runtime};
use http::HeaderMap;
use std::time::Duration;

use super::tasks::{Id, if_match};
use crate::App;
use crate::store::describe;

/// The longest id of an event.
const MAX_EVENT_ID: usize = 64;
/// How long an event that is on its way to the log is waited for: whoever undoes at once need not know that there is a way.
const WAIT: Duration = Duration::from_millis(1_500);
/// How often the log is asked again.
const PAUSE: Duration = Duration::from_millis(30);

pub(super) async fn undo<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksWrite>,
    Id(id): Id,
    headers: HeaderMap,
    Json(UndoRequest { event_id }): Json<UndoRequest>,
) -> Result<Response, Problem> {
    let if_version = if_match(&headers)?;
    if !(1..=MAX_EVENT_ID).contains(&event_id.len()) {
        let detail = "it is the id of an event, as the task's history has it";
        return Err(Problem::field("/event_id", FieldErrorCode::Invalid, detail));
    }
    let event = find(&app, &caller, id, event_id).await?;
    let undo = Command::Undo(Box::new(event));
    let applied = app.store.change(&caller, if_version, undo).await?;
    let task = applied.tasks.first();
    let undone = Undone {
        task: task.map(|task| task.view()),
        deleted: task.is_none().then_some(id),
    };
    Ok(axum::Json(undone).into_response())
}

/// What the log tells of an event of the task.
async fn find<R: Runtime>(
    app: &App<R>,
    caller: &Caller,
    task_id: TaskId,
    event_id: String,
) -> Result<Content, Problem> {
    let nothing = || Problem::new(Code::NotFound, "the task has no such event");
    // The ids of events end in the account's sequence number.
    let seq = event_id.rsplit('-').next().and_then(|seq| seq.parse().ok());
    let seq: u64 = seq.ok_or_else(nothing)?;
    let asked = EntryRequest {
        account: caller.account.clone(),
        task_id,
        event_id,
    };
    let deadline = app.runtime.elapsed() + WAIT;
    let mut is_known = false;
    loop {
        let answer = app.sidecar.invoke(APP, ENTRY_PATH, &asked).await;
        let EntryAnswer { entry, has_come } =
            answer.map_err(|error| Problem::unavailable(1, describe(&error)))?;
        if let Some(entry) = entry.filter(|entry| !entry.redacted) {
            return Ok(entry.content);
        }
        if has_come {
            return Err(nothing());
        }
        if !is_known && app.store.book(&caller.account).await?.seq < seq {
            return Err(nothing());
        }
        is_known = true;
        if app.runtime.elapsed() >= deadline {
            let cause = format!("event {} has not come to the audit log", asked.event_id);
            return Err(Problem::unavailable(1, cause));
        }
        app.runtime.sleep(PAUSE).await;
    }
}
