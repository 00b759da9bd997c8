//! What the topic `accounts` brings.

use axum::extract::State;
use docket_domain::account_deleted::AccountDeleted;
use docket_service::serve::log_background;
use docket_service::{Delivered, Runtime, Verdict};

use crate::App;
use crate::store::describe;

/// Forgets the tasks of an account that was deleted.
pub(super) async fn deleted<R: Runtime>(
    State(app): State<App<R>>,
    Delivered(event): Delivered<AccountDeleted>,
) -> Verdict {
    match app.store.forget(&event.account, event.at).await {
        Ok(()) => Verdict::Success,
        Err(error) => {
            let error = describe(&error);
            log_background("error", &format!("forgetting {}: {error}", event.account));
            Verdict::Retry
        }
    }
}
