//! Batches.

use super::*;

async fn send(instance: &Instance, operations: Value) -> Answer {
    let body = json!({ "operations": operations });
    instance.json("ann", "POST", "/api/tasks/batch", body).await
}

fn id_of(task: &Value) -> String {
    task["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_batch_is_one_transaction_and_answers_each_operation() {
    block_on(async {
        let instance = instance();
        let (a, b) = (
            id_of(&instance.create("ann", "a").await),
            id_of(&instance.create("ann", "b").await),
        );
        instance.fake.settle().await;
        // The first try is refused, the second one's answer gets lost: all the same everything happens once.
        instance.fake.world().transactions = vec![Fault::Away, Fault::AnswerLost].into();
        let answer = send(
            &instance,
            json!([
                { "op": "create", "task": { "title": "c", "tags": ["new"] } },
                { "op": "update", "id": a, "task": { "title": "A" } },
                { "op": "complete", "id": a },
                { "op": "complete", "id": a },
                { "op": "reopen", "id": a },
                { "op": "delete", "id": b },
            ]),
        )
        .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let results = answer.body["results"].as_array().unwrap();
        let told: Vec<(&str, &str)> = results
            .iter()
            .map(|result| {
                (
                    result["op"].as_str().unwrap(),
                    result["task"]["status"].as_str().unwrap_or_default(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("create", "open"),
                ("update", "open"),
                ("complete", "done"),
                ("complete", "done"),
                ("reopen", "open"),
                ("delete", "")
            ]
        );
        assert_eq!(results[5], json!({ "op": "delete", "id": b }));
        assert_eq!(results[4]["task"]["version"], 6);
        assert_eq!(instance.titles("ann").await, ["c", "A"]);
        assert_eq!(instance.fake.keys("outbox:").len(), 1);
        instance.fake.settle().await;
        let kinds: Vec<Value> = instance
            .fake
            .events("task-events")
            .iter()
            .skip(2)
            .map(|event| event["type"].clone())
            .collect();
        assert_eq!(
            kinds,
            [
                "task-created",
                "task-updated",
                "task-completed",
                "task-reopened",
                "task-deleted"
            ]
        );
    });
}

#[test]
fn two_hundred_operations_reach_into_many_segments() {
    block_on(async {
        let instance = instance();
        let creates: Vec<Value> = (0..200)
            .map(|n| json!({ "op": "create", "task": { "title": format!("{n}") } }))
            .collect();
        let mut ids = Vec::new();
        for _ in 0..3 {
            let answer = send(&instance, json!(creates)).await;
            assert_eq!(answer.status, 200);
            let results = answer.body["results"].as_array().unwrap().iter();
            ids.extend(results.map(|result| id_of(&result["task"])));
        }
        assert!(instance.fake.keys("segment:").len() >= 9);
        let every_third: Vec<Value> = ids
            .iter()
            .step_by(3)
            .map(|id| json!({ "op": "complete", "id": id }))
            .collect();
        assert_eq!(send(&instance, json!(every_third)).await.status, 200);
        let done = instance
            .ask("ann", "GET", "/api/tasks?status=done", "")
            .await;
        assert_eq!(done.body["total"], 200);
        instance.fake.settle().await;
        let seqs: Vec<u64> = instance
            .fake
            .events("task-events")
            .iter()
            .map(|e| e["data"]["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(seqs, (1..=800).collect::<Vec<_>>());
    });
}

#[test]
fn a_bad_batch_stores_nothing_and_points_at_what_is_wrong() {
    block_on(async {
        let instance = instance();
        let id = id_of(&instance.create("ann", "a").await);
        let foreign = id_of(&instance.create("bob", "b").await);
        let before = instance.fake.world().state.clone();
        let good = json!({ "op": "create", "task": { "title": "good" } });
        for (operations, pointer, code) in [
            (json!([]), "/operations", "required"),
            (json!(vec![good.clone(); 201]), "/operations", "too_many"),
            (json!([good, {}]), "/operations/1/op", "required"),
            (
                json!([good, { "op": "destroy", "id": id }]),
                "/operations/1/op",
                "invalid",
            ),
            (
                json!([good, { "op": "complete" }]),
                "/operations/1/id",
                "required",
            ),
            (
                json!([good, { "op": "delete", "id": foreign }]),
                "/operations/1/id",
                "not_found",
            ),
            (
                json!([good, { "op": "delete", "id": "no id" }]),
                "/operations/1/id",
                "not_found",
            ),
            (
                json!([good, { "op": "update", "id": id }]),
                "/operations/1/task",
                "required",
            ),
            (
                json!([good, { "op": "create", "id": id, "task": {} }]),
                "/operations/1/id",
                "unknown_field",
            ),
            (
                json!([good, { "op": "reopen", "id": id, "task": {} }]),
                "/operations/1/task",
                "unknown_field",
            ),
            (
                json!([good, { "op": "create", "task": {} }]),
                "/operations/1/task/title",
                "required",
            ),
            (
                json!([good, { "op": "update", "id": id, "task": { "due": { "date": "2026-13-01" } } }]),
                "/operations/1/task/due/date",
                "invalid",
            ),
            (
                json!([good, { "op": "create", "task": { "titel": "x" } }]),
                "/operations/1/task/titel",
                "unknown_field",
            ),
            (json!({}), "/operations", "invalid"),
        ] {
            let answer = send(&instance, operations.clone()).await;
            assert_eq!(answer.status, 422, "{operations}");
            let error = &answer.body["errors"][0];
            assert_eq!(
                (&error["pointer"], &error["code"]),
                (&json!(pointer), &json!(code)),
                "{operations}: {}",
                answer.body
            );
        }
        let large = vec![b' '; 3 << 20];
        let answer = instance.ask("ann", "POST", "/api/tasks/batch", large).await;
        assert_eq!(answer.status, 413);
        assert_eq!(instance.fake.world().state, before);
    });
}

#[test]
fn a_batch_that_makes_too_much_of_itself_is_refused() {
    block_on(async {
        let instance = instance();
        let long =
            json!({ "op": "create", "task": { "title": "a", "description": "ü".repeat(8_000) } });
        let mut ids = Vec::new();
        for _ in 0..2 {
            let answer = send(&instance, json!(vec![long.clone(); 100])).await;
            assert_eq!(answer.status, 200);
            let results = answer.body["results"].as_array().unwrap().iter();
            ids.extend(results.map(|result| id_of(&result["task"])));
        }
        let before = instance.fake.world().state.clone();
        // Two changes of each: the events have far more bytes than the request.
        let changes: Vec<Value> = ids
            .iter()
            .take(80)
            .flat_map(|id| {
                ["x", "ü"].map(|c| json!({ "op": "update", "id": id, "task": { "description": c.repeat(8_000) } }))
            })
            .collect();
        let answer = send(&instance, json!(changes)).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (413, &json!("too_large"))
        );
        assert_eq!(instance.fake.world().state, before);
    });
}

#[test]
fn segments_that_lost_most_of_their_tasks_become_one() {
    block_on(async {
        let fake = Fake::default();
        let (one, two) = (Instance::new(&fake), Instance::new(&fake));
        let mut ids = Vec::new();
        for _ in 0..3 {
            let create = json!({ "op": "create", "task": { "title": "a" } });
            let answer = send(&one, json!(vec![create; 200])).await;
            let results = answer.body["results"].as_array().unwrap().iter();
            ids.extend(results.map(|result| id_of(&result["task"])));
        }
        assert_eq!(fake.keys("segment:").len(), 9);
        // Two instances delete side by side, one task at a time and many at once, and somebody reads what stays.
        let (stays, goes): (Vec<_>, Vec<_>) =
            ids.iter().enumerate().partition(|(n, _)| n % 10 == 3);
        let (singly, at_once) = goes.split_at(100);
        let deleting = async {
            for (_, id) in singly {
                let answer = one
                    .ask("ann", "DELETE", &format!("/api/tasks/{id}"), "")
                    .await;
                assert_eq!(answer.status, 204);
            }
        };
        let in_batches = async {
            for chunk in at_once.chunks(40) {
                let chunk: Vec<Value> = chunk
                    .iter()
                    .map(|(_, id)| json!({ "op": "delete", "id": id }))
                    .collect();
                assert_eq!(send(&two, json!(chunk)).await.status, 200);
            }
        };
        let reading = async {
            for (_, id) in &stays {
                let path = format!("/api/tasks/{id}");
                assert_eq!(two.ask("ann", "GET", &path, "").await.status, 200);
                let changed = one
                    .json("ann", "PATCH", &path, json!({ "title": "b" }))
                    .await;
                assert_eq!(changed.body["title"], "b");
            }
        };
        futures::join!(deleting, in_batches, reading);
        assert!(
            fake.keys("segment:").len() <= 3,
            "{:?}",
            fake.keys("segment:")
        );
        assert_eq!(one.titles("ann").await, vec!["b"; 60]);
        let mut known = 0;
        let mut since = 0;
        loop {
            let page = one
                .ask("ann", "GET", &format!("/api/changes?since={since}"), "")
                .await
                .body;
            let changes = page["changes"].as_array().unwrap();
            if changes.is_empty() {
                break;
            }
            known += changes
                .iter()
                .filter(|change| change.get("task").is_some())
                .count();
            since = page["next"].as_u64().unwrap();
        }
        assert_eq!(known, 60);
    });
}
