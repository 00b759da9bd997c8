//! Somebody who is signed in himself: agents may nothing here.

use axum::extract::FromRequestParts;
use docket_domain::AccountId;
use docket_domain::account::session::SessionId;
use docket_service::{Caller, Problem, Runtime};
use http::request::Parts;

use crate::App;

/// Who asks. As an extractor it answers 401 to a request without a valid access token, and 403 to an agent.
#[derive(Clone, Debug)]
pub struct Person {
    /// Whose account.
    pub account: AccountId,
    /// By which session; none with a token that an operator has made.
    pub session: Option<SessionId>,
}

impl<R: Runtime> FromRequestParts<App<R>> for Person {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App<R>) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, app).await?;
        Ok(Self {
            account: caller.account,
            session: caller.session.as_deref().and_then(SessionId::parse),
        })
    }
}
