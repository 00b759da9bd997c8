//! The ends of the task inbox: who may send, where results go, and where what is no message goes.
//!
//! The messages come by a Kafka input binding, one after the other in a partition: what is answered with an error is
//! delivered again until it is taken. So only what may get better is, and not for ever.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use docket_api::inbox::{DEAD, RESULTS};
use docket_domain::AccountId;
use docket_domain::task_inbox::{Key, Signed};
use docket_service::auth::SECRET_STORE;
use docket_service::serve::log_background;
use docket_service::{Code, Problem, Runtime};
use docket_sidecar::Sidecar;
use http::HeaderMap;
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::outbox::PUBSUB;
use crate::store::unavailable;

/// The secret that holds the keys of trusted systems: key id to 32 bytes, base64url without padding.
const KEYS: &str = "inbox-key";
/// How long the keys are believed before they are read again: what bounds the life of a withdrawn key.
const KEYS_LIVE: Duration = Duration::from_secs(300);
/// How soon the keys are read again for a signature that none of them made.
const KEYS_REST: Duration = Duration::from_secs(5);
/// How long a message holds up its partition while it cannot be carried out, before it goes to the dead letters.
const PATIENCE: Duration = Duration::from_secs(600);
/// How many delayed messages an instance remembers. A partition has one at a time.
const MAX_DELAYED: usize = 1_024;
/// The largest message that fits among the dead letters, with its headers, in bytes. A larger one stays where it was.
const MAX_LETTER: usize = 768 * 1024;
/// What the binding tells of a message.
const ORIGIN: [&str; 4] = ["__topic", "__partition", "__offset", "__timestamp"];

/// Where a message lies, as the binding tells.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delivery {
    key: Option<AccountId>,
    origin: BTreeMap<&'static str, String>,
}

impl Delivery {
    /// Reads the headers of a delivery.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let header = |name: &str| headers.get(name)?.to_str().ok();
        let told = ORIGIN
            .into_iter()
            .filter_map(|name| Some((name, header(name)?.to_owned())));
        Self {
            // A key of another kind keeps nothing in order, so a letter does without it.
            key: header("__key").and_then(AccountId::parse),
            origin: told.collect(),
        }
    }

    fn place(&self) -> String {
        let origin = |name| self.origin.get(name).map_or("?", String::as_str);
        format!("{}/{}", origin("__partition"), origin("__offset"))
    }
}

/// The keys of trusted systems, and when they were read.
type Keys = (Duration, Arc<[Key]>);

/// What the routes need to take messages in.
#[derive(Clone)]
pub struct Inbox<R> {
    runtime: R,
    sidecar: Sidecar<R>,
    keys: Arc<Mutex<Option<Keys>>>,
    /// Since when a message, by its place, could not be carried out.
    delayed: Arc<Mutex<HashMap<String, Duration>>>,
}

impl<R: Runtime> Inbox<R> {
    pub(crate) fn new(runtime: R, sidecar: Sidecar<R>) -> Self {
        Self {
            runtime,
            sidecar,
            keys: Arc::default(),
            delayed: Arc::default(),
        }
    }

    /// Whether a trusted system signed the message.
    ///
    /// # Errors
    /// `unavailable` when the keys cannot be read.
    pub(crate) async fn is_signed(
        &self,
        message: &Signed<'_>,
        signature: &str,
    ) -> Result<bool, Problem> {
        let elapsed = self.runtime.elapsed();
        let known = self
            .keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        if let Some((read_at, keys)) = known {
            let age = elapsed.saturating_sub(read_at);
            let signed = keys.iter().any(|key| message.is_signed(key, signature));
            if age < KEYS_LIVE && (signed || age < KEYS_REST) {
                return Ok(signed);
            }
        }
        let secret = self
            .sidecar
            .secret(SECRET_STORE, KEYS)
            .await
            .map_err(unavailable)?;
        let keys: Arc<[Key]> = secret
            .into_values()
            .filter_map(|key| URL_SAFE_NO_PAD.decode(key).ok()?.try_into().ok())
            .collect();
        let signed = keys.iter().any(|key| message.is_signed(key, signature));
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = Some((elapsed, keys));
        Ok(signed)
    }

    /// Sends a result, which is JSON, to whoever waits for it.
    ///
    /// # Errors
    /// `unavailable`; it may have been sent.
    pub(crate) async fn answer(&self, account: &AccountId, result: String) -> Result<(), Problem> {
        let result = RawValue::from_string(result).map_err(Problem::internal)?;
        let metadata = BTreeMap::from([("partitionKey", account.as_str())]);
        let sent = self.sidecar.bind(RESULTS, "create", &result, &metadata);
        sent.await.map_err(unavailable)
    }

    /// Puts what cannot be carried out among the dead letters, with the reason.
    ///
    /// # Errors
    /// `unavailable`; it may be there.
    pub(crate) async fn bury(
        &self,
        delivery: &Delivery,
        problem: &Problem,
        message: Bytes,
    ) -> Result<(), Problem> {
        let reason = match problem.code() {
            Code::Internal => "it failed, and the log says why".to_owned(),
            Code::Unavailable => format!("not carried out within {} s", PATIENCE.as_secs()),
            _ => problem.line().chars().take(500).collect(),
        };
        let (place, cause) = (delivery.place(), problem.cause().unwrap_or("-"));
        let why = format!("the inbox's message at {place} is given up: {reason} ({cause})");
        log_background("error", &why);
        let mut metadata: BTreeMap<&str, &str> = BTreeMap::from([("reason", reason.as_str())]);
        metadata.extend(
            delivery
                .origin
                .iter()
                .map(|(name, value)| (*name, value.as_str())),
        );
        metadata.extend(
            delivery
                .key
                .iter()
                .map(|key| ("partitionKey", key.as_str())),
        );
        let message = if message.len() <= MAX_LETTER {
            message
        } else {
            Bytes::new()
        };
        let sent = self.sidecar.publish_raw(PUBSUB, DEAD, &metadata, message);
        sent.await.map_err(unavailable)
    }

    /// Whether a message that cannot be carried out now is to come again.
    pub(crate) fn is_patient(&self, delivery: &Delivery) -> bool {
        let now = self.runtime.elapsed();
        let mut delayed = self.delayed.lock().unwrap_or_else(PoisonError::into_inner);
        if delayed.len() >= MAX_DELAYED {
            delayed.clear();
        }
        let since = *delayed.entry(delivery.place()).or_insert(now);
        now.saturating_sub(since) < PATIENCE
    }

    /// Forgets that a message was delayed.
    pub(crate) fn is_done(&self, delivery: &Delivery) {
        let mut delayed = self.delayed.lock().unwrap_or_else(PoisonError::into_inner);
        delayed.remove(&delivery.place());
    }
}
