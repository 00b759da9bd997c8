//! The routes. What each reads and answers is in the modules.

mod list;
mod parameters;
mod tasks;
mod transfer;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use docket_service::serve::closed;
use docket_service::{Internal, Problem, Runtime};
use serde_json::json;

use crate::App;
use crate::store::unavailable;

/// The function's routes.
pub fn router<R: Runtime>(app: App<R>) -> Router {
    closed(
        Router::new()
            .route("/api/tasks", get(list::list::<R>).post(tasks::create::<R>))
            .route(
                "/api/tasks/{id}",
                get(tasks::read::<R>)
                    .patch(tasks::update::<R>)
                    .delete(tasks::delete::<R>),
            )
            .route("/api/tasks/{id}/complete", post(tasks::complete::<R>))
            .route("/api/tasks/{id}/reopen", post(tasks::reopen::<R>))
            .route("/api/import", post(transfer::import::<R>))
            .route("/internal/tasks/outbox-sweep", post(sweep::<R>)),
    )
    .with_state(app)
}

async fn sweep<R: Runtime>(State(app): State<App<R>>, _: Internal) -> Result<Response, Problem> {
    let freed = app.outbox.sweep().await.map_err(unavailable)?;
    Ok(axum::Json(json!({ "freed": freed })).into_response())
}
