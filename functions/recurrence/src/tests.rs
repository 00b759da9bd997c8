//! The route, next to a sidecar in memory.

use axum::body::Body;
use bytes::Bytes;
use docket_domain::{Entropy, Instant};
use docket_service::serve::serve;
use docket_service::{Config, Runtime};
use docket_sidecar::{Transport, TransportError};
use futures::executor::block_on;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::{App, router};

const APP_TOKEN: &str = "from-the-sidecar";

/// A platform whose sidecar answers every call alike, and keeps what it was asked.
#[derive(Clone)]
struct Fake {
    answer: Result<(u16, &'static str), TransportError>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Transport for Fake {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        assert_eq!(request.headers()["dapr-api-token"], "to-the-sidecar");
        let body = serde_json::from_slice(request.body()).unwrap();
        let asked = format!("{} {}", request.method(), request.uri().path());
        self.asked.lock().unwrap().push((asked, body));
        let (status, body) = self.answer.clone()?;
        let response = Response::builder().status(status);
        Ok(response.body(Bytes::from_static(body.as_bytes())).unwrap())
    }
}

impl Runtime for Fake {
    type Waker = ();

    fn now(&self) -> Instant {
        Instant::MIN
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn entropy(&self) -> Entropy {
        Entropy(0)
    }

    async fn sleep(&self, _: Duration) {}

    fn wait(&self) -> ((), impl Future<Output = ()> + Send + 'static) {
        ((), async {})
    }

    fn spawn(&self, _: impl Future<Output = ()> + Send + 'static) {}
}

fn fake(status: u16, body: &'static str) -> Fake {
    Fake {
        answer: Ok((status, body)),
        asked: Arc::default(),
    }
}

/// Delivers a body; gives the status and the body of the answer.
fn deliver(fake: &Fake, token: &str, body: impl Into<Body>) -> (u16, Value) {
    let config = Config {
        dapr_url: "http://127.0.0.1:3500".into(),
        dapr_api_token: "to-the-sidecar".into(),
        app_api_token: APP_TOKEN.into(),
    };
    let router = router(App::new(fake.clone(), &config).unwrap());
    let request = Request::post("/internal/recurrence/task-events")
        .header("content-type", "application/cloudevents+json")
        .header("dapr-api-token", token)
        .body(body.into())
        .unwrap();
    block_on(async {
        let (parts, body) = serve(fake, router, request).await.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap();
        (parts.status.as_u16(), body)
    })
}

/// An event of `tasks`, as its golden files have it, with what Dapr adds on the way.
fn event(kind: &str) -> Value {
    let file = format!(
        "{}/../tasks/tests/golden/task-events/{kind}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut event: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    event["topic"] = "task-events".into();
    event["pubsubname"] = "pubsub".into();
    event["traceid"] = "00-0-0-00".into();
    event
}

const FOUND: &str = r#"{"next":"0-90tj1f2kwhvq"}"#;

#[test]
fn each_event_is_answered_and_only_a_completed_series_is_asked_for() {
    let mut once = event("task-completed");
    once["data"]["task"]["recurrence"] = Value::Null;
    for (event, asks) in [
        (event("task-created"), 0),
        (event("task-updated"), 0),
        (event("task-reopened"), 0),
        (event("task-deleted"), 0),
        (once, 0),
        (event("task-completed"), 1),
    ] {
        let fake = fake(200, FOUND);
        let answer = deliver(&fake, APP_TOKEN, event.to_string());
        assert_eq!(answer, (200, json!({ "status": "SUCCESS" })), "{event}");
        assert_eq!(fake.asked.lock().unwrap().len(), asks, "{event}");
    }
}

#[test]
fn a_second_delivery_asks_the_same_again() {
    let fake = fake(200, FOUND);
    for _ in 0..2 {
        deliver(&fake, APP_TOKEN, event("task-completed").to_string());
    }
    let asked = fake.asked.lock().unwrap();
    assert_eq!(asked[0], asked[1]);
    let expected = json!({ "account": "ann", "task_id": "0-90tj1f2kwhvp" });
    let path = "POST /v1.0/invoke/tasks/method/internal/tasks/occurrences";
    assert_eq!(asked[0], (path.to_owned(), expected));
}

#[test]
fn what_is_no_event_is_dropped() {
    let mut odd = event("task-completed");
    odd["data"]["account"] = "a/b".into();
    for body in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        json!({ "specversion": "1.0", "type": "task-completed" }).to_string(),
        odd.to_string(),
        "x".repeat(2_000_000),
    ] {
        let fake = fake(200, FOUND);
        let start: String = body.chars().take(100).collect();
        let answer = deliver(&fake, APP_TOKEN, body);
        assert_eq!(answer, (200, json!({ "status": "DROP" })), "{start}");
        assert!(fake.asked.lock().unwrap().is_empty());
    }
}

#[test]
fn what_tasks_says_decides() {
    for (status, body, verdict) in [
        (200, r#"{"next":null}"#, "SUCCESS"),
        (200, "", "RETRY"),
        (403, "{}", "RETRY"),
        (404, "{}", "RETRY"),
        (409, r#"{"code":"conflict"}"#, "DROP"),
        (422, r#"{"code":"invalid"}"#, "DROP"),
        (500, r#"{"errorCode":"ERR_DIRECT_INVOKE"}"#, "RETRY"),
        (503, r#"{"code":"unavailable"}"#, "RETRY"),
    ] {
        let answer = deliver(
            &fake(status, body),
            APP_TOKEN,
            event("task-completed").to_string(),
        );
        assert_eq!(answer, (200, json!({ "status": verdict })), "{status}");
    }
    let mut away = fake(200, FOUND);
    away.answer = Err(TransportError::TimedOut(Duration::ZERO));
    let answer = deliver(&away, APP_TOKEN, event("task-completed").to_string());
    assert_eq!(answer, (200, json!({ "status": "RETRY" })));
}

#[test]
fn only_the_sidecar_delivers() {
    for wrong in ["", "wrong", "to-the-sidecar"] {
        let fake = fake(200, FOUND);
        let (status, problem) = deliver(&fake, wrong, event("task-completed").to_string());
        assert_eq!((status, &problem["code"]), (401, &json!("unauthorized")));
        assert!(fake.asked.lock().unwrap().is_empty());
    }
}
