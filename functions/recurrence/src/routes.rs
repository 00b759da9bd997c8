//! The one route.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use docket_api::occurrences::{APP, PATH};
use docket_api::{NextOccurrence, OccurrenceDone};
use docket_domain::{Event, EventKind};
use docket_service::serve::{log_background, routes};
use docket_service::{Consumer, DeliveredTogether, Runtime, Verdict, Verdicts};
use docket_sidecar::Error;
use http::StatusCode;

use crate::App;

/// The function's routes.
pub fn router<R: Runtime>(app: App<R>) -> Router {
    routes([("/internal/recurrence/task-events", post(task_events))]).with_state(app)
}

/// They come many at once, which costs less than one by one: most ask for nothing.
async fn task_events<R: Runtime>(
    State(app): State<App<R>>,
    delivered: DeliveredTogether<Event>,
) -> Verdicts {
    delivered.to(&app).await
}

impl<R: Runtime> Consumer<Event> for App<R> {
    async fn take(&self, event: &Event) -> Verdict {
        if event.kind != EventKind::TaskCompleted || !recurs(event) {
            return Verdict::Success;
        }
        let done = OccurrenceDone {
            account: event.account.clone(),
            task_id: event.task_id,
        };
        match self
            .sidecar
            .invoke::<NextOccurrence>(APP, PATH, &done)
            .await
        {
            Ok(_) => Verdict::Success,
            Err(error) => {
                log_background("error", &format!("after event {}: {error}", event.id));
                verdict(&error)
            }
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
