//! What a request needs: made once an instance.

use docket_service::auth::Verifier;
use docket_service::{Authority, Caller, Config, OwnSidecar, Problem, Runtime};
use docket_sidecar::Sidecar;
use http::header::InvalidHeaderValue;
use std::sync::Arc;

use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::store::Store;

/// The function's state.
#[derive(Clone)]
pub struct App<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) store: Store<R>,
    pub(crate) outbox: Outbox<R>,
    pub(crate) sidecar: Sidecar<R>,
    pub(crate) inbox: Inbox<R>,
    verifier: Verifier<R>,
    app_api_token: Arc<str>,
}

impl<R: Runtime> App<R> {
    /// The function on `runtime`, next to the sidecar of `config`.
    ///
    /// # Errors
    /// The sidecar's token has characters that no header can have.
    pub fn new(runtime: R, config: &Config) -> Result<Self, InvalidHeaderValue> {
        let sidecar = Sidecar::new(runtime.clone(), &config.dapr_url, &config.dapr_api_token)?;
        let outbox = Outbox::new(runtime.clone(), sidecar.clone());
        Ok(Self {
            store: Store::new(runtime.clone(), sidecar.clone(), outbox.clone()),
            outbox,
            verifier: Verifier::new(runtime.clone(), sidecar.clone()),
            inbox: Inbox::new(runtime.clone(), sidecar.clone()),
            sidecar,
            runtime,
            app_api_token: config.app_api_token.as_str().into(),
        })
    }
}

impl<R: Runtime> Authority for App<R> {
    async fn authenticate(&self, token: &str) -> Result<Caller, Problem> {
        self.verifier.verify(token).await
    }
}

impl<R: Runtime> OwnSidecar for App<R> {
    fn app_api_token(&self) -> &str {
        &self.app_api_token
    }
}
