//! The routes. What each reads and answers is in the modules.

mod accounts;
mod batch;
mod changes;
mod inbox;
mod list;
mod occurrences;
pub(crate) mod once;
mod planner;
mod tags;
mod tasks;
mod transfer;
mod undo;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, patch, post};
use docket_service::serve::routes;
use docket_service::{Internal, Problem, Runtime};
use serde_json::json;

use crate::App;
use crate::store::unavailable;

/// The function's routes.
pub fn router<R: Runtime>(app: App<R>) -> Router {
    routes(table()).with_state(app)
}

/// Every path with its methods. What people may call of it is in `docs/openapi.json`; a test compares both.
pub(crate) fn table<R: Runtime>() -> Vec<(&'static str, MethodRouter<App<R>>)> {
    vec![
        ("/api/tasks", get(list::list).post(tasks::create)),
        ("/api/tasks/batch", post(batch::batch)),
        (
            "/api/tasks/{id}",
            get(tasks::read).patch(tasks::update).delete(tasks::delete),
        ),
        ("/api/tasks/{id}/complete", post(tasks::complete)),
        ("/api/tasks/{id}/reopen", post(tasks::reopen)),
        ("/api/tasks/{id}/undo", post(undo::undo)),
        ("/api/changes", get(changes::changes)),
        ("/api/tags", get(tags::list)),
        ("/api/tags/{name}", patch(tags::rename).delete(tags::delete)),
        ("/api/import", post(transfer::import)),
        ("/api/planner/preview", post(planner::preview)),
        ("/api/planner/parse", post(planner::parse)),
        ("/api/export", get(transfer::export)),
        ("/inbox", post(inbox::take)),
        ("/internal/tasks/accounts", post(accounts::deleted)),
        ("/internal/tasks/occurrences", post(occurrences::create)),
        ("/internal/tasks/outbox-sweep", post(sweep)),
    ]
}

async fn sweep<R: Runtime>(State(app): State<App<R>>, _: Internal) -> Result<Response, Problem> {
    let freed = app.outbox.sweep().await.map_err(unavailable)?;
    Ok(axum::Json(json!({ "freed": freed })).into_response())
}
