//! The one route.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use docket_api::occurrences::{APP, PATH};
use docket_api::{NextOccurrence, OccurrenceDone};
use docket_domain::{Event, EventKind};
use docket_service::serve::{log_background, routes};
use docket_service::{Delivered, Runtime, Verdict};
use docket_sidecar::Error;
use http::StatusCode;

use crate::App;

/// The function's routes.
pub fn router<R: Runtime>(app: App<R>) -> Router {
    routes([("/internal/recurrence/task-events", post(task_event))]).with_state(app)
}

async fn task_event<R: Runtime>(
    State(app): State<App<R>>,
    Delivered(event): Delivered<Event>,
) -> Verdict {
    if event.kind != EventKind::TaskCompleted || !recurs(&event) {
        return Verdict::Success;
    }
    let done = OccurrenceDone {
        account: event.account,
        task_id: event.task_id,
    };
    match app.sidecar.invoke::<NextOccurrence>(APP, PATH, &done).await {
        Ok(_) => Verdict::Success,
        Err(error) => {
            log_background("error", &format!("after event {}: {error}", event.id));
            verdict(&error)
        }
    }
}

fn recurs(event: &Event) -> bool {
    let recurrence = event.task.get("recurrence");
    recurrence.is_some_and(|recurrence| !recurrence.is_null())
}

/// What `tasks` refuses for good will not get better by asking again, and must not hold up the others: the account is
/// full, or its rule is none.
fn verdict(error: &Error) -> Verdict {
    match error {
        Error::Refused { status, .. }
            if matches!(
                *status,
                StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY
            ) =>
        {
            Verdict::Drop
        }
        _ => Verdict::Retry,
    }
}
