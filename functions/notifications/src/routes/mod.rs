//! The routes. What each reads and answers is in the modules.

mod accounts;
mod inbox;
mod ledger;
mod preferences;
mod reminders;

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, post};
use docket_api::notifications::{ADDRESSES, MAILS, SETTINGS};
use docket_service::serve::routes;
use docket_service::{Internal, Problem, Runtime};
use docket_sidecar::Error;
use serde_json::json;

use crate::App;

/// The function's routes.
pub fn router<R: Runtime>(app: App<R>) -> Router {
    routes(table()).with_state(app)
}

/// Every path with its methods. What people may call of it is in `docs/openapi.json`; a test compares both.
pub(crate) fn table<R: Runtime>() -> Vec<(&'static str, MethodRouter<App<R>>)> {
    vec![
        ("/api/notifications", get(inbox::list)),
        ("/api/notifications/{id}/read", post(inbox::read)),
        ("/api/notifications/{id}/snooze", post(inbox::snooze)),
        ("/api/notifications/read-all", post(inbox::read_all)),
        ("/api/notifications/ledger", get(ledger::read)),
        (
            "/api/notifications/preferences",
            get(preferences::read).patch(preferences::change),
        ),
        ("/internal/notifications/reminders", post(reminders::due)),
        ("/internal/notifications/accounts", post(accounts::deleted)),
        ("/internal/notifications/notification-sweep", post(sweep)),
        (ADDRESSES, post(accounts::address)),
        (MAILS, post(accounts::mail)),
        (SETTINGS, post(accounts::settings)),
    ]
}

async fn sweep<R: Runtime>(State(app): State<App<R>>, _: Internal) -> Result<Response, Problem> {
    let looked_at = app.post.sweep().await.map_err(unavailable)?;
    Ok(axum::Json(json!({ "looked_at": looked_at })).into_response())
}

/// The state store, or another function, is away for the moment.
fn unavailable(error: Error) -> Problem {
    Problem::unavailable(1, error)
}
