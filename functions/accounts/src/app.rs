//! What a request needs: made once an instance.

use docket_service::auth::Verifier;
use docket_service::browser::NoOrigin;
use docket_service::{Authority, Caller, Config, Origins, OwnSidecar, Problem, Runtime};
use docket_sidecar::Sidecar;
use http::header::InvalidHeaderValue;
use std::sync::Arc;
use std::time::Duration;

use crate::deletions::Deletions;
use crate::issuer::Issuer;
use crate::limits::Limits;
use crate::mails::Mails;
use crate::password::Places;
use crate::store::Store;

/// How long one call to the sidecar may take.
const CALL: Duration = Duration::from_millis(1_500);
/// How long `notifications` may take, with the way through two sidecars and on to `reminders`.
const ASKED: Duration = Duration::from_secs(6);

/// Where this stack is, as spin.toml's variables say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// Where people reach it, without a `/` at the end: `https://docket.example.org`.
    pub public_url: String,
    /// How many proxies of ours stand in front of it.
    pub trusted_proxies: usize,
    /// How many accounts may be made within an hour from one address.
    pub sign_ups_per_hour: u32,
    /// The other sites whose pages may sign people in.
    pub origins: Origins,
}

/// Why the function cannot work as it was told.
#[derive(Debug, thiserror::Error)]
pub enum NotConfigured {
    /// The sidecar's token has characters that no header can have.
    #[error("dapr_api_token: {0}")]
    Token(#[from] InvalidHeaderValue),
    /// A site that may ask is none.
    #[error("cors_origins: {0}")]
    Origin(#[from] NoOrigin),
    /// A variable is not a number.
    #[error("{name} is not a number")]
    Number {
        /// The variable.
        name: &'static str,
    },
}

impl Place {
    /// Reads the variables.
    ///
    /// # Errors
    /// One that is to be a number is none, or a site no site.
    pub fn read(
        public_url: &str,
        trusted_proxies: &str,
        sign_ups_per_hour: &str,
        origins: &str,
    ) -> Result<Self, NotConfigured> {
        let number = |name, text: &str| text.parse().map_err(|_| NotConfigured::Number { name });
        Ok(Self {
            public_url: public_url.trim_end_matches('/').to_owned(),
            trusted_proxies: number("trusted_proxies", trusted_proxies)? as usize,
            sign_ups_per_hour: number("sign_ups_per_hour", sign_ups_per_hour)?,
            origins: Origins::parse(origins)?,
        })
    }
}

/// The function's state.
#[derive(Clone)]
pub struct App<R: Runtime> {
    pub(crate) runtime: R,
    /// The sidecar, for what other apps are asked.
    pub(crate) others: Sidecar<R>,
    pub(crate) store: Store<R>,
    pub(crate) issuer: Issuer<R>,
    pub(crate) limits: Limits<R>,
    pub(crate) mails: Mails<R>,
    pub(crate) deletions: Deletions<R>,
    pub(crate) place: Arc<Place>,
    pub(crate) places: Places,
    verifier: Verifier<R>,
    app_api_token: Arc<str>,
}

impl<R: Runtime> App<R> {
    /// The function on `runtime`, next to the sidecar of `config`.
    ///
    /// # Errors
    /// The sidecar's token has characters that no header can have.
    pub fn new(runtime: R, config: &Config, place: Place) -> Result<Self, NotConfigured> {
        let sidecar = Sidecar::new(runtime.clone(), &config.dapr_url, &config.dapr_api_token)?;
        let sidecar = sidecar.within(CALL);
        let others = sidecar.within(ASKED);
        let store = Store::new(runtime.clone(), sidecar.clone());
        let place = Arc::new(place);
        Ok(Self {
            issuer: Issuer::new(runtime.clone(), sidecar.clone()),
            limits: Limits::new(store.clone()),
            mails: Mails::new(store.clone(), others.clone(), Arc::clone(&place)),
            deletions: Deletions::new(store.clone(), sidecar.clone()),
            verifier: Verifier::new(runtime.clone(), sidecar),
            others,
            store,
            place,
            places: Places::default(),
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
