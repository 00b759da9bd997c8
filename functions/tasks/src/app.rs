//! What a request needs: made once an instance.

use docket_service::auth::Verifier;
use docket_service::{Authority, Caller, Problem, Runtime};
use docket_sidecar::Sidecar;
use http::header::InvalidHeaderValue;
use std::sync::Arc;

use crate::outbox::Outbox;
use crate::store::Store;

/// What spin.toml's variables say.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the sidecar is: `http://host:port`.
    pub dapr_url: String,
    /// What the sidecar demands.
    pub dapr_api_token: String,
    /// What the sidecar shows.
    pub app_api_token: String,
}

/// The function's state.
#[derive(Clone)]
pub struct App<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) store: Store<R>,
    pub(crate) outbox: Outbox<R>,
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
            verifier: Verifier::new(runtime.clone(), sidecar),
            runtime,
            app_api_token: config.app_api_token.as_str().into(),
        })
    }
}

impl<R: Runtime> Authority for App<R> {
    async fn authenticate(&self, token: &str) -> Result<Caller, Problem> {
        self.verifier.verify(token).await
    }

    fn app_api_token(&self) -> &str {
        &self.app_api_token
    }
}
