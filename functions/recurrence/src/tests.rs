//! The route, next to a sidecar in memory.

use axum::body::Body;
use docket_fake::{APP_TOKEN, Fake, config, send, task_event};
use futures::executor::block_on;
use http::Request;
use serde_json::{Value, json};

use crate::{App, router};

/// A platform whose `tasks` answers every call alike.
fn fake(status: u16, body: Value) -> Fake {
    let fake = Fake::default();
    let tasks = Box::new(move |_: &str, _: &Value| (status, body.clone()));
    fake.world().apps.insert("tasks".to_owned(), tasks);
    fake
}

fn found() -> Value {
    json!({ "next": "0-90tj1f2kwhvq" })
}

/// Delivers a body; gives the status and the body of the answer.
fn deliver(fake: &Fake, token: &str, body: impl Into<Body>) -> (u16, Value) {
    let router = router(App::new(fake.clone(), &config()).unwrap());
    let request = Request::post("/internal/recurrence/task-events")
        .header("content-type", "application/cloudevents+json")
        .header("dapr-api-token", token)
        .body(body.into())
        .unwrap();
    block_on(send(fake, &router, request))
}

#[test]
fn each_event_is_answered_and_only_a_completed_series_is_asked_for() {
    let mut once = task_event("task-completed");
    once["data"]["task"]["recurrence"] = Value::Null;
    for (event, asks) in [
        (task_event("task-created"), 0),
        (task_event("task-updated"), 0),
        (task_event("task-reopened"), 0),
        (task_event("task-deleted"), 0),
        (once, 0),
        (task_event("task-completed"), 1),
    ] {
        let fake = fake(200, found());
        let answer = deliver(&fake, APP_TOKEN, event.to_string());
        assert_eq!(answer, (200, json!({ "status": "SUCCESS" })), "{event}");
        assert_eq!(fake.world().invoked.len(), asks, "{event}");
    }
}

#[test]
fn a_second_delivery_asks_the_same_again() {
    let fake = fake(200, found());
    for _ in 0..2 {
        deliver(&fake, APP_TOKEN, task_event("task-completed").to_string());
    }
    let asked = &fake.world().invoked;
    assert_eq!(asked[0], asked[1]);
    let expected = json!({ "account": "ann", "task_id": "0-90tj1f2kwhvp" });
    let path = "/internal/tasks/occurrences";
    assert_eq!(asked[0], ("tasks".to_owned(), path.to_owned(), expected));
}

#[test]
fn what_is_no_event_is_dropped() {
    let mut odd = task_event("task-completed");
    odd["data"]["account"] = "a/b".into();
    for body in [
        String::new(),
        "{".to_owned(),
        "[]".to_owned(),
        json!({ "specversion": "1.0", "type": "task-completed" }).to_string(),
        odd.to_string(),
        "x".repeat(2_000_000),
    ] {
        let fake = fake(200, found());
        let start: String = body.chars().take(100).collect();
        let answer = deliver(&fake, APP_TOKEN, body);
        assert_eq!(answer, (200, json!({ "status": "DROP" })), "{start}");
        assert!(fake.world().invoked.is_empty());
    }
}

#[test]
fn what_tasks_says_decides() {
    for (status, body, verdict) in [
        (200, json!({ "next": null }), "SUCCESS"),
        (200, Value::Null, "RETRY"),
        (403, json!({}), "RETRY"),
        (404, json!({}), "RETRY"),
        (409, json!({ "code": "conflict" }), "DROP"),
        (422, json!({ "code": "invalid" }), "DROP"),
        (500, json!({ "errorCode": "ERR_DIRECT_INVOKE" }), "RETRY"),
        (503, json!({ "code": "unavailable" }), "RETRY"),
    ] {
        let answer = deliver(
            &fake(status, body),
            APP_TOKEN,
            task_event("task-completed").to_string(),
        );
        assert_eq!(answer, (200, json!({ "status": verdict })), "{status}");
    }
    let away = fake(200, found());
    away.world().away = true;
    let answer = deliver(&away, APP_TOKEN, task_event("task-completed").to_string());
    assert_eq!(answer, (200, json!({ "status": "RETRY" })));
}

#[test]
fn only_the_sidecar_delivers() {
    for wrong in ["", "wrong", "to-the-sidecar"] {
        let fake = fake(200, found());
        let (status, problem) = deliver(&fake, wrong, task_event("task-completed").to_string());
        assert_eq!((status, &problem["code"]), (401, &json!("unauthorized")));
        assert!(fake.world().invoked.is_empty());
    }
}
