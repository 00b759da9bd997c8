//! The next occurrence of a recurring task, for the function `recurrence`.

use axum::extract::State;
use docket_api::{NextOccurrence, OccurrenceDone};
use docket_domain::{Actor, ActorKind, Command};
use docket_service::{Caller, Internal, Json, Problem, Runtime};

use crate::{App, planner};

/// Creates it, or finds the one that was created before.
pub(super) async fn create<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(done): Json<OccurrenceDone>,
) -> Result<axum::Json<NextOccurrence>, Problem> {
    let recurrence = Actor::new(ActorKind::Recurrence, "recurrence");
    let caller = Caller::new(done.account, recurrence);
    let recur = Command::Recur {
        task: done.task_id,
        next: planner::next,
    };
    let applied = app.store.change(&caller, None, recur).await?;
    let done = applied.tasks.into_iter().next();
    let next = done.and_then(|task| task.recurrence?.next);
    Ok(axum::Json(NextOccurrence { next }))
}
