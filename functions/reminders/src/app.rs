//! What a request needs: made once an instance.

use docket_service::{Config, OwnSidecar, Runtime};
use docket_sidecar::Sidecar;
use http::header::InvalidHeaderValue;
use std::sync::Arc;

use crate::jobs::Jobs;
use crate::store::Store;

/// The function's state.
#[derive(Clone)]
pub struct App<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) store: Store<R>,
    pub(crate) jobs: Jobs<R>,
    app_api_token: Arc<str>,
}

impl<R: Runtime> App<R> {
    /// The function on `runtime`, next to the sidecar of `config`.
    ///
    /// # Errors
    /// The sidecar's token has characters that no header can have.
    pub fn new(runtime: R, config: &Config) -> Result<Self, InvalidHeaderValue> {
        let sidecar = Sidecar::new(runtime.clone(), &config.dapr_url, &config.dapr_api_token)?;
        Ok(Self {
            jobs: Jobs::new(runtime.clone(), &sidecar),
            store: Store::new(runtime.clone(), sidecar),
            runtime,
            app_api_token: config.app_api_token.as_str().into(),
        })
    }
}

impl<R: Runtime> OwnSidecar for App<R> {
    fn app_api_token(&self) -> &str {
        &self.app_api_token
    }
}
