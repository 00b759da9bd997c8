//! The routes. What each reads and answers is in the modules.

mod internal;
mod mailed;
mod me;
mod person;
mod sessions;
mod sign_in;
mod tokens;

use axum::Router;
use axum::routing::{MethodRouter, delete, get, post};
use docket_api::accounts::{ADDRESS, AGENT_TOKEN, ENSURE};
use docket_domain::account::address::Address;
use docket_domain::account::password;
use docket_domain::{FieldError, FieldErrorCode};
use docket_service::serve::routes;
use docket_service::{Problem, Runtime};
use docket_sidecar::Error;

use crate::App;

/// The function's routes.
pub fn router<R: Runtime>(app: App<R>) -> Router {
    routes(table()).with_state(app)
}

/// Every path with its methods. What people may call of it is in `docs/openapi.json`; a test compares both.
pub(crate) fn table<R: Runtime>() -> Vec<(&'static str, MethodRouter<App<R>>)> {
    vec![
        ("/api/auth/signup", post(sign_in::sign_up)),
        ("/api/auth/login", post(sign_in::sign_in)),
        ("/api/auth/refresh", post(sign_in::refresh)),
        ("/api/auth/logout", post(sign_in::sign_out)),
        (
            "/api/auth/me",
            get(me::read).patch(me::change).delete(me::remove),
        ),
        ("/api/auth/password", post(me::set_password)),
        ("/api/auth/email", post(mailed::ask_to_change)),
        (
            "/api/auth/sessions",
            get(sessions::list).delete(sessions::end_all),
        ),
        ("/api/auth/sessions/{id}", delete(sessions::end)),
        ("/api/auth/tokens", get(tokens::list).post(tokens::make)),
        ("/api/auth/tokens/{id}", delete(tokens::revoke)),
        ("/api/auth/verify", post(mailed::verify)),
        ("/api/auth/verify/request", post(mailed::ask_to_verify)),
        ("/api/auth/reset", post(mailed::reset)),
        ("/api/auth/reset/request", post(mailed::ask_to_reset)),
        (AGENT_TOKEN, post(internal::agent_token)),
        (ADDRESS, post(internal::address)),
        (ENSURE, post(internal::ensure)),
        ("/internal/accounts/accounts-sweep", post(internal::sweep)),
    ]
}

/// The state store, or another function, is away for the moment.
fn unavailable(error: Error) -> Problem {
    Problem::unavailable(1, error)
}

/// Gathers what is wrong with a request's fields.
#[derive(Default)]
struct Wrong(Vec<FieldError>);

impl Wrong {
    fn add(&mut self, pointer: &str, code: FieldErrorCode, detail: impl Into<String>) {
        self.0.push(FieldError {
            pointer: pointer.to_owned(),
            code,
            detail: detail.into(),
        });
    }

    fn address(&mut self, text: &str) -> Option<Address> {
        let address = Address::parse(text);
        if address.is_none() {
            let detail = "one e-mail address, as name@example.org";
            self.add("/email", code_of(text), detail);
        }
        address
    }

    /// A password that somebody wants to take.
    fn password(&mut self, pointer: &str, text: &str, address: &Address, name: &str) {
        if let Err((code, detail)) = password::check(&password::normal(text), address, name) {
            let code = if text.is_empty() {
                FieldErrorCode::Required
            } else {
                code
            };
            self.add(pointer, code, detail);
        }
    }

    fn finish(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::fields(self.0))
        }
    }
}

fn code_of(text: &str) -> FieldErrorCode {
    if text.is_empty() {
        FieldErrorCode::Required
    } else {
        FieldErrorCode::Invalid
    }
}
