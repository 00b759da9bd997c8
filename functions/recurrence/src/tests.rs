//! The route, next to a sidecar in memory.

use axum::body::Body;
use docket_fake::{APP_TOKEN, Fake, config, send, task_event, together, verdicts};
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
fn post(fake: &Fake, token: &str, body: impl Into<Body>) -> (u16, Value) {
    let router = router(App::new(fake.clone(), &config()).unwrap());
    let request = Request::post("/internal/recurrence/task-events")
        .header("content-type", "application/json")
        .header("dapr-api-token", token)
        .body(body.into())
        .unwrap();
    block_on(send(fake, &router, request))
}

/// Delivers events together; gives what is said of each.
fn deliver(fake: &Fake, events: &[Value]) -> Vec<String> {
    let (status, answer) = post(fake, APP_TOKEN, together(events).to_string());
    assert_eq!(status, 200, "{answer}");
    verdicts(&answer, events.len())
}

#[test]
fn each_event_is_answered_and_only_a_completed_series_is_asked_for() {
    let mut once = task_event("task-completed");
    once["data"]["task"]["recurrence"] = Value::Null;
    let events = [
        task_event("task-created"),
        task_event("task-updated"),
        task_event("task-reopened"),
        task_event("task-deleted"),
        once,
        task_event("task-completed"),
    ];
    let fake = fake(200, found());
    assert_eq!(deliver(&fake, &events), ["SUCCESS"; 6]);
    assert_eq!(fake.world().invoked.len(), 1);
}

#[test]
fn a_second_delivery_asks_the_same_again() {
    let fake = fake(200, found());
    for _ in 0..2 {
        deliver(&fake, &[task_event("task-completed")]);
    }
    let asked = &fake.world().invoked;
    assert_eq!(asked[0], asked[1]);
    let expected = json!({ "account": "ann", "task_id": "0-90tj1f2kwhvp" });
    let path = "/internal/tasks/occurrences";
    assert_eq!(asked[0], ("tasks".to_owned(), path.to_owned(), expected));
}

#[test]
fn what_is_no_event_is_dropped_and_holds_up_no_other() {
    let mut odd = task_event("task-completed");
    odd["data"]["account"] = "a/b".into();
    let events = [
        Value::Null,
        json!([]),
        json!("x".repeat(2_000_000)),
        json!({ "specversion": "1.0", "type": "task-completed" }),
        odd,
        task_event("task-completed"),
    ];
    let fake = fake(200, found());
    let [dropped @ .., last] = &deliver(&fake, &events)[..] else {
        panic!("nothing was said")
    };
    assert_eq!(
        (dropped, last.as_str()),
        (&["DROP"; 5].map(String::from)[..], "SUCCESS")
    );
    assert_eq!(fake.world().invoked.len(), 1);
    for body in ["", "{", "[]", r#"{"entries":[{}]}"#] {
        assert_eq!(post(&fake, APP_TOKEN, body).0, 400, "{body}");
    }
}

#[test]
fn after_one_that_is_to_come_again_so_are_the_later_ones_of_its_account() {
    let of = |account: &str| {
        let mut event = task_event("task-completed");
        event["data"]["account"] = account.into();
        event
    };
    let fake = Fake::default();
    let tasks = Box::new(|_: &str, body: &Value| match body["account"].as_str() {
        Some("ann") => (503, json!({})),
        _ => (200, found()),
    });
    fake.world().apps.insert("tasks".to_owned(), tasks);
    let events = [of("ann"), of("ben"), of("ann"), of("ben")];
    let (success, retry) = ("SUCCESS", "RETRY");
    assert_eq!(deliver(&fake, &events), [retry, success, retry, success]);
    assert_eq!(fake.world().invoked.len(), 3);
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
        let told = deliver(&fake(status, body), &[task_event("task-completed")]);
        assert_eq!(told, [verdict], "{status}");
    }
    let away = fake(200, found());
    away.world().away = true;
    assert_eq!(deliver(&away, &[task_event("task-completed")]), ["RETRY"]);
}

#[test]
fn only_the_sidecar_delivers() {
    for wrong in ["", "wrong", "to-the-sidecar"] {
        let fake = fake(200, found());
        let body = together(&[task_event("task-completed")]).to_string();
        let (status, problem) = post(&fake, wrong, body);
        assert_eq!((status, &problem["code"]), (401, &json!("unauthorized")));
        assert!(fake.world().invoked.is_empty());
    }
}
