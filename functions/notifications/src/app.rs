//! What a request needs: made once an instance.

use docket_service::auth::Verifier;
use docket_service::{Authority, Caller, Config, OwnSidecar, Problem, Runtime};
use docket_sidecar::Sidecar;
use http::header::InvalidHeaderValue;
use std::sync::Arc;
use std::time::Duration;

use crate::agenda::Agenda;
use crate::post::Post;
use crate::store::Store;

/// How long one call to the sidecar may take.
const CALL: Duration = Duration::from_millis(1_500);
/// How long `reminders` may take, with the way through two sidecars.
const ASKED: Duration = Duration::from_secs(4);

/// The function's state.
#[derive(Clone)]
pub struct App<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) sidecar: Sidecar<R>,
    /// The same, for what other apps are asked.
    pub(crate) others: Sidecar<R>,
    pub(crate) store: Store<R>,
    pub(crate) post: Post<R>,
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
        let sidecar = sidecar.within(CALL);
        let agenda = Agenda::new(sidecar.clone());
        let store = Store::new(runtime.clone(), sidecar.clone(), agenda.clone());
        Ok(Self {
            post: Post::new(runtime.clone(), sidecar.clone(), store.clone(), agenda),
            store,
            verifier: Verifier::new(runtime.clone(), sidecar.clone()),
            others: sidecar.within(ASKED),
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
