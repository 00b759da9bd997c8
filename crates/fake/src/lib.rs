//! A platform in memory, for unit tests of functions: a clock that goes on while somebody sleeps, and a sidecar that keeps
//! keys, topics, jobs and what went to bindings. It takes the parts of Dapr's API that functions use, and can be told to
//! fail. (The real Dapr is met in the whole-system tests.) What is asked wrongly panics, as a failed assertion does.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "it stands in tests alone, where a panic is a failed assertion"
)]

mod fuzz;
mod http;

pub use crate::fuzz::{ask_anything, show_wrong_tokens};
pub use crate::http::{check_document, send, task_event, together, verdicts};

use ::http::{Method, Request, Response, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use docket_domain::{Entropy, Instant};
use docket_service::auth::Claims;
use docket_service::{Config, Runtime};
use docket_sidecar::{Transport, TransportError};
use ed25519_dalek::SigningKey;
use futures::future::{BoxFuture, FutureExt as _};
use jwt_compact::alg::Ed25519;
use jwt_compact::{AlgorithmExt as _, Header, TimeOptions};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// What the next calls of a kind come to, before the sidecar is well again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The call works.
    None,
    /// The call has no effect and no answer.
    Away,
    /// The call has its effect, and the answer is lost.
    AnswerLost,
}

/// What an app answers to an invocation: the status, and the body.
pub type Invoked = Box<dyn FnMut(&str, &Value) -> (u16, Value) + Send>;

/// What the sidecar has and does.
#[derive(Default)]
pub struct World {
    /// How long the clock has gone on, in microseconds since [`NOW`].
    pub micros: i64,
    drawn: u128,
    etags: u64,
    /// How often a key was read.
    pub reads: usize,
    /// How many transactions were stored.
    pub transacted: usize,
    /// When keys go away, in microseconds.
    pub expiry: BTreeMap<String, i64>,
    /// Key to value and etag.
    pub state: BTreeMap<String, (Value, u64)>,
    /// Topic and event, in the order of their publishing.
    pub published: Vec<(String, Value)>,
    /// What was published as it is, not as an event: topic, the query with its metadata, and the bytes.
    pub published_raw: Vec<(String, String, Bytes)>,
    /// Secret by its name, beside `jwt-keys`: its parts.
    pub secrets: BTreeMap<String, Value>,
    /// Job by its name: the body of its scheduling.
    pub jobs: BTreeMap<String, Value>,
    /// Binding and what went to it: the body of the call.
    pub bound: Vec<(String, Value)>,
    /// The apps that can be invoked: each is given the path and the body. Others answer as Dapr does for an app that is
    /// not there.
    pub apps: BTreeMap<String, Invoked>,
    /// What was invoked: app, path, body.
    pub invoked: Vec<(String, String, Value)>,
    /// The components of which the sidecar says that it has them.
    pub components: Vec<&'static str>,
    /// For the next calls of the jobs API.
    pub schedulings: VecDeque<Fault>,
    /// For the next calls of bindings.
    pub bindings: VecDeque<Fault>,
    /// For the next transactions.
    pub transactions: VecDeque<Fault>,
    /// For the next publishings.
    pub publishings: VecDeque<Fault>,
    /// How long each publishing takes, in microseconds.
    pub publishing_micros: i64,
    /// The most events of one key that came in one publishing.
    pub most_of_a_key: usize,
    /// Nothing answers at all.
    pub away: bool,
    /// How many bytes an answer may have, if that is bounded.
    pub max_answer: Option<usize>,
    spawned: Vec<BoxFuture<'static, ()>>,
}

/// The platform. Clones are the same one.
#[derive(Clone, Default)]
pub struct Fake(Arc<Mutex<World>>);

/// The time at the beginning.
pub const NOW: &str = "2026-11-23T08:00:00Z";
/// The id of [`signing_key`].
pub const KEY_ID: &str = "k1";
/// What the sidecar shows to the function.
pub const APP_TOKEN: &str = "from-the-sidecar";
/// What the function shows to the sidecar.
const DAPR_TOKEN: &str = "to-the-sidecar";

/// What a function beside this sidecar is told.
pub fn config() -> Config {
    Config {
        dapr_url: "http://127.0.0.1:3500".into(),
        dapr_api_token: DAPR_TOKEN.into(),
        app_api_token: APP_TOKEN.into(),
    }
}

/// A key for these tests alone.
pub fn signing_key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

impl Fake {
    /// What the sidecar has and does.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Runs what goes on after the answers.
    pub async fn settle(&self) {
        loop {
            let spawned = std::mem::take(&mut self.world().spawned);
            if spawned.is_empty() {
                return;
            }
            futures::future::join_all(spawned).await;
        }
    }

    /// The instance dies: what was to go on after the answers never will.
    pub fn crash(&self) {
        self.world().spawned.clear();
    }

    /// The ids of the events of a topic, in the order of their first publishing.
    pub fn events(&self, topic: &str) -> Vec<Value> {
        let world = self.world();
        let published = world.published.iter().filter(|(t, _)| t == topic);
        let mut seen = BTreeSet::new();
        let first = |event: &&Value| seen.insert(event.to_string());
        let events = published.map(|(_, event)| event).filter(first);
        events.cloned().collect()
    }

    /// The keys that begin with `prefix`.
    pub fn keys(&self, prefix: &str) -> Vec<String> {
        self.world()
            .state
            .keys()
            .filter(|key| key.starts_with(prefix))
            .cloned()
            .collect()
    }

    /// A token of an account, changed as the test likes.
    pub fn token(
        &self,
        account: &str,
        change: impl FnOnce(&mut Claims, &mut i64, &mut String),
    ) -> String {
        self.signed_by(&signing_key(), account, change)
    }

    /// Such a token by whoever has a key.
    fn signed_by(
        &self,
        key: &SigningKey,
        account: &str,
        change: impl FnOnce(&mut Claims, &mut i64, &mut String),
    ) -> String {
        let mut claims = Claims {
            iss: "docket".into(),
            aud: "docket".into(),
            sub: account.into(),
            jti: "j".into(),
            sid: None,
        };
        let (mut seconds, mut kid) = (3_600, KEY_ID.to_owned());
        change(&mut claims, &mut seconds, &mut kid);
        let now = self.now().to_datetime();
        let time = TimeOptions::new(chrono::TimeDelta::zero(), move || now);
        let claims = jwt_compact::Claims::new(claims)
            .set_duration_and_issuance(&time, chrono::TimeDelta::seconds(seconds));
        Ed25519
            .token(&Header::empty().with_key_id(kid), &claims, key)
            .unwrap()
    }

    fn call(
        &self,
        request: &Request<Bytes>,
    ) -> Result<(StatusCode, String, Value), TransportError> {
        let path = request.uri().path().to_owned();
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let mut world = self.world();
        if world.away {
            return Err(TransportError::Failed("connection refused".into()));
        }
        let fault = if path.ends_with("/transaction") {
            world.transactions.pop_front()
        } else if path.contains("/publish/") {
            world.micros += world.publishing_micros;
            world.publishings.pop_front()
        } else if path.contains("/jobs/") {
            world.schedulings.pop_front()
        } else if path.contains("/bindings/") {
            world.bindings.pop_front()
        } else {
            None
        };
        if fault == Some(Fault::Away) {
            return Err(TransportError::TimedOut(Duration::ZERO));
        }
        let answer = world.answer(request, &path, &body);
        let size = || answer.2.to_string().len();
        match (fault, world.max_answer) {
            (Some(Fault::AnswerLost), _) => Err(TransportError::TimedOut(Duration::ZERO)),
            (_, Some(max)) if size() > max => Err(TransportError::TooLarge(max)),
            _ => Ok(answer),
        }
    }
}

impl World {
    fn answer(
        &mut self,
        request: &Request<Bytes>,
        path: &str,
        body: &Value,
    ) -> (StatusCode, String, Value) {
        let done = (StatusCode::NO_CONTENT, String::new(), Value::Null);
        if path == "/v1.0/secrets/secrets/jwt-keys" {
            let key = URL_SAFE_NO_PAD.encode(signing_key().verifying_key().as_bytes());
            return (StatusCode::OK, String::new(), json!({ KEY_ID: key }));
        }
        if let Some(name) = path.strip_prefix("/v1.0/secrets/secrets/") {
            return match self.secrets.get(name) {
                Some(secret) => (StatusCode::OK, String::new(), secret.clone()),
                None => {
                    let refusal = json!({ "errorCode": "ERR_SECRET_GET" });
                    (StatusCode::INTERNAL_SERVER_ERROR, String::new(), refusal)
                }
            };
        }
        let over: Vec<String> = self
            .expiry
            .iter()
            .filter(|(_, at)| **at <= self.micros)
            .map(|(key, _)| key.clone())
            .collect();
        for key in over {
            self.expiry.remove(&key);
            self.state.remove(&key);
        }
        if path == "/v1.0/metadata" {
            let components = self.components.iter().map(|name| json!({ "name": name }));
            let metadata = json!({ "components": components.collect::<Vec<_>>() });
            return (StatusCode::OK, String::new(), metadata);
        }
        if let Some(job) = path.strip_prefix("/v1.0/jobs/") {
            if request.method() == Method::DELETE {
                self.jobs.remove(job);
            } else {
                self.jobs.insert(job.to_owned(), body.clone());
            }
            return done;
        }
        if let Some(binding) = path.strip_prefix("/v1.0/bindings/") {
            self.bound.push((binding.to_owned(), body.clone()));
            return done;
        }
        if let Some((app, path)) = path
            .strip_prefix("/v1.0/invoke/")
            .and_then(|rest| rest.split_once("/method"))
        {
            self.invoked
                .push((app.to_owned(), path.to_owned(), body.clone()));
            let (status, answer) = match self.apps.get_mut(app) {
                Some(app) => app(path, body),
                None => (500, json!({ "errorCode": "ERR_DIRECT_INVOKE" })),
            };
            let status = StatusCode::from_u16(status).unwrap();
            return (status, String::new(), answer);
        }
        if let Some(topic) = path.strip_prefix("/v1.0/publish/pubsub/") {
            match request.uri().query() {
                Some(query) if query.contains("metadata.rawPayload=true") => {
                    let raw = (topic.to_owned(), query.to_owned(), request.body().clone());
                    self.published_raw.push(raw);
                }
                _ => self.published.push((topic.to_owned(), body.clone())),
            }
            return done;
        }
        if let Some(topic) = path.strip_prefix("/v1.0-alpha1/publish/bulk/pubsub/") {
            let entries = body.as_array().unwrap();
            let key = |entry: &Value| entry["metadata"]["partitionKey"].to_string();
            for entry in entries {
                let same = entries.iter().filter(|other| key(other) == key(entry));
                self.most_of_a_key = self.most_of_a_key.max(same.count());
            }
            let events = entries
                .iter()
                .map(|entry| (topic.to_owned(), entry["event"].clone()));
            self.published.extend(events);
            return done;
        }
        match (
            request.method().clone(),
            path.strip_prefix("/v1.0/state/state/").unwrap(),
        ) {
            (Method::POST, "transaction") => {
                if self.transact(body["operations"].as_array().unwrap()) {
                    done
                } else {
                    let refusal = json!({ "errorCode": "ERR_STATE_TRANSACTION", "message": "possible etag mismatch" });
                    (StatusCode::INTERNAL_SERVER_ERROR, String::new(), refusal)
                }
            }
            (Method::POST, "bulk") => {
                let keys = body["keys"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|key| key.as_str().unwrap());
                let items: Vec<Value> = keys
                    .map(|key| match self.state.get(key) {
                        Some((value, etag)) => {
                            json!({ "key": key, "data": value, "etag": etag.to_string() })
                        }
                        None => json!({ "key": key }),
                    })
                    .collect();
                (StatusCode::OK, String::new(), items.into())
            }
            (Method::GET, key) => {
                self.reads += 1;
                match self.state.get(key) {
                    Some((value, etag)) => (StatusCode::OK, etag.to_string(), value.clone()),
                    None => done,
                }
            }
            (Method::DELETE, key) => {
                let etag = request.headers()["if-match"].to_str().unwrap();
                match self.state.get(key) {
                    Some((_, current)) if current.to_string() == etag => {
                        self.state.remove(key);
                        done
                    }
                    _ => (StatusCode::CONFLICT, String::new(), Value::Null),
                }
            }
            (method, key) => panic!("{method} {key}"),
        }
    }

    fn transact(&mut self, operations: &[Value]) -> bool {
        let requests = || operations.iter().map(|operation| &operation["request"]);
        let holds = requests().all(|request| {
            assert_eq!(
                request["options"]["concurrency"], "first-write",
                "every write is guarded"
            );
            let current = self
                .state
                .get(request["key"].as_str().unwrap())
                .map(|(_, etag)| etag.to_string());
            current.as_deref() == request["etag"].as_str()
        });
        if holds {
            self.transacted += 1;
            for operation in operations {
                let request = &operation["request"];
                let key = request["key"].as_str().unwrap();
                if operation["operation"] == "delete" {
                    self.state.remove(key);
                } else {
                    self.etags += 1;
                    if let Some(seconds) = request["metadata"]["ttlInSeconds"].as_str() {
                        let at = self.micros + seconds.parse::<i64>().unwrap() * 1_000_000;
                        self.expiry.insert(key.to_owned(), at);
                    }
                    self.state
                        .insert(key.to_owned(), (request["value"].clone(), self.etags));
                }
            }
        }
        holds
    }
}

impl Transport for Fake {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.headers()["dapr-api-token"], DAPR_TOKEN);
        // Lets the others go on, so that requests at once really are.
        yield_now().await;
        let (status, etag, body) = self.call(&request)?;
        yield_now().await;
        let mut response = Response::builder().status(status);
        if !etag.is_empty() {
            response = response.header("etag", etag);
        }
        let body = if body.is_null() {
            Bytes::new()
        } else {
            body.to_string().into()
        };
        Ok(response.body(body).unwrap())
    }
}

impl Runtime for Fake {
    fn now(&self) -> Instant {
        Instant::parse(NOW)
            .unwrap()
            .plus_millis(self.world().micros / 1_000)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.world().micros.max(0) as u64)
    }

    fn entropy(&self) -> Entropy {
        let mut world = self.world();
        world.drawn += 1;
        // Spread over all bits, as chance would be.
        Entropy(
            world
                .drawn
                .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835),
        )
    }

    async fn sleep(&self, duration: Duration) {
        let wake = self.elapsed() + duration;
        while self.elapsed() < wake {
            yield_now().await;
            // Each look at the clock of each sleeper takes its time: nobody sleeps for ever.
            self.world().micros += 50;
        }
    }

    type Waker = futures::channel::oneshot::Sender<()>;

    fn wait(&self) -> (Self::Waker, impl Future<Output = ()> + Send + 'static) {
        let (waker, woken) = futures::channel::oneshot::channel();
        (waker, woken.map(drop))
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.world().spawned.push(task.boxed());
    }
}

/// Lets others go on once.
pub async fn yield_now() {
    let mut yielded = false;
    futures::future::poll_fn(|context| {
        if yielded {
            return std::task::Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await;
}
