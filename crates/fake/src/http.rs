//! Asking a function's routes, and what they are asked with.

use axum::Router;
use axum::body::Body;
use docket_service::serve::serve;
use futures::executor::block_on;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;

use crate::Fake;

/// Sends a request; gives the status, and the answer's JSON, which is null if it has none.
pub async fn send(fake: &Fake, router: &Router, request: Request<Body>) -> (u16, Value) {
    let response = serve(fake, router.clone(), request).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    (parts.status.as_u16(), body)
}

/// An event of `tasks`, as its golden files have it, with what Dapr adds on the way.
pub fn task_event(kind: &str) -> Value {
    let file = format!(
        "{}/../../functions/tasks/tests/golden/task-events/{kind}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut event: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    event["topic"] = "task-events".into();
    event["pubsubname"] = "pubsub".into();
    event["traceid"] = "00-0-0-00".into();
    event
}

/// What Dapr delivers of events that come together; the `n`-th has the id `n`.
pub fn together(events: &[Value]) -> Value {
    let entry = |(n, event): (usize, &Value)| {
        json!({
            "entryId": n.to_string(),
            "event": event,
            "contentType": "application/cloudevents+json",
            "metadata": { "__key": "ann" },
        })
    };
    let entries: Vec<Value> = events.iter().enumerate().map(entry).collect();
    json!({ "id": "x", "topic": "task-events", "pubsubname": "pubsub", "entries": entries })
}

/// What is said of each of `count` events that came together.
pub fn verdicts(answer: &Value, count: usize) -> Vec<String> {
    let statuses = answer["statuses"].as_array().unwrap();
    assert_eq!(statuses.len(), count);
    let told = statuses.iter().enumerate().map(|(n, status)| {
        assert_eq!(status["entryId"], n.to_string());
        status["status"].as_str().unwrap().to_owned()
    });
    told.collect()
}

/// Holds a function's public paths against the API's document: it has each of them and, under the function's tags, no
/// other; each method that it tells of wants a token, unless it says otherwise, and there are no others.
pub fn check_document<'a>(
    document: &Value,
    tags: &[&str],
    router: &Router,
    paths: impl IntoIterator<Item = &'a str>,
) {
    let told = |path: &str, method: &str| {
        let tag = document["paths"][path][method]["tags"][0].as_str();
        tag.is_some_and(|tag| tags.contains(&tag))
    };
    let fake = Fake::default();
    let paths: BTreeSet<&str> = paths.into_iter().collect();
    for path in &paths {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
        ] {
            let request = Request::builder()
                .method(&method)
                .uri(path.replace(['{', '}'], ""))
                .body(Body::empty());
            let (status, _) = block_on(send(&fake, router, request.unwrap()));
            let method = method.as_str().to_lowercase();
            let security = &document["paths"][path][&method]["security"];
            match (told(path, &method), security) {
                (false, _) => assert_eq!(status, 405, "{method} {path}"),
                (true, Value::Null) => assert_eq!(status, 401, "{method} {path}"),
                // What shows who asks is something else than a token, or nothing does.
                (true, _) => assert!(status != 404 && status != 405, "{method} {path}"),
            }
        }
    }
    let documented = document["paths"].as_object().unwrap().iter();
    let ours = documented.filter(|(path, methods)| {
        let mut methods = methods.as_object().unwrap().keys();
        methods.any(|method| told(path, method))
    });
    assert_eq!(paths, ours.map(|(path, _)| path.as_str()).collect());
}
