//! What becomes of the tasks of an account that is deleted.

use super::*;
use docket_domain::account_deleted::AccountDeleted;
use docket_domain::{AccountId, Instant};

async fn delete(instance: &Instance, account: &str) -> Value {
    let event = AccountDeleted {
        account: AccountId::parse(account).unwrap(),
        at: Instant::parse("2026-11-23T08:00:00Z").unwrap(),
    };
    let request = Request::post("/internal/tasks/accounts").header("dapr-api-token", APP_TOKEN);
    let body = event.cloud_event().to_string();
    let answer = instance.send(request.body(body.into()).unwrap()).await;
    assert_eq!(answer.status, 200);
    answer.body["status"].clone()
}

#[test]
fn they_are_gone_and_nothing_comes_anew() {
    block_on(async {
        let instance = instance();
        for account in ["ann", "ben"] {
            for _ in 0..2 {
                let operations: Vec<Value> = (0..100)
                    .map(|n| json!({ "op": "create", "task": { "title": format!("secret {n}") } }))
                    .collect();
                let body = json!({ "operations": operations });
                let made = instance
                    .json(account, "POST", "/api/tasks/batch", body)
                    .await;
                assert_eq!(made.status, 200);
            }
        }
        instance.fake.settle().await;
        let of = |prefix: &str| instance.fake.keys(prefix).len();
        assert!(of("segment:ann:") > 1);
        let others = of("segment:ben:");
        // It is cut off before the segments are gone.
        instance
            .fake
            .world()
            .transactions
            .extend([Fault::None, Fault::Away]);
        assert_eq!(delete(&instance, "ann").await, "RETRY");
        for _ in 0..2 {
            assert_eq!(delete(&instance, "ann").await, "SUCCESS");
            assert_eq!((of("segment:ann:"), of("segment:ben:")), (0, others));
        }
        let book = instance.fake.world().state["book:ann"].0.to_string();
        assert!(!book.contains("secret"), "{book}");

        let list = instance.ask("ann", "GET", "/api/tasks", "").await;
        assert_eq!(list.body["total"], 0);
        let made = instance
            .json("ann", "POST", "/api/tasks", json!({ "title": "new" }))
            .await;
        assert_eq!(
            (made.status.as_u16(), &made.body["code"]),
            (401, &json!("unauthorized"))
        );
        let made = instance
            .json("ben", "POST", "/api/tasks", json!({ "title": "new" }))
            .await;
        assert_eq!(made.status, 201);
        instance.fake.settle().await;
        assert_eq!(instance.fake.keys("book:").len(), 2);
    });
}

#[test]
fn a_series_of_it_ends() {
    block_on(async {
        let instance = instance();
        let task = json!({ "title": "a", "due": { "date": "2026-12-01" }, "recurrence": { "rule": "daily" } });
        let made = instance.json("ann", "POST", "/api/tasks", task).await;
        assert_eq!(delete(&instance, "ann").await, "SUCCESS");
        let request =
            Request::post("/internal/tasks/occurrences").header("dapr-api-token", APP_TOKEN);
        let done = json!({ "account": "ann", "task_id": made.body["id"] }).to_string();
        let request = request
            .header("content-type", "application/json")
            .body(done.into());
        let next = instance.send(request.unwrap()).await;
        assert_eq!(
            (next.status.as_u16(), &next.body),
            (200, &json!({ "next": null }))
        );
    });
}
