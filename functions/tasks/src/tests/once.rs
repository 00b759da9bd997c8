//! Idempotency-Key.

use super::*;

async fn send(instance: &Instance, account: &str, path: &str, key: &str, body: &Value) -> Answer {
    let token = instance.fake.token(account, |_, _, _| {});
    let request = Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("idempotency-key", key)
        .body(Body::from(body.to_string()));
    instance.send(request.unwrap()).await
}

fn same(one: &Answer, two: &Answer) {
    assert_eq!((one.status, &one.body), (two.status, &two.body));
    for name in ["location", "etag", "content-type"] {
        assert_eq!(one.headers.get(name), two.headers.get(name), "{name}");
    }
}

#[test]
fn a_request_that_is_sent_again_gets_the_same_answer_for_a_day() {
    block_on(async {
        let fake = Fake::default();
        let (one, two) = (Instance::new(&fake), Instance::new(&fake));
        let task = json!({ "title": "once" });
        let first = send(&one, "ann", "/api/tasks", "k1", &task).await;
        assert_eq!(first.status, 201);
        assert!(first.headers.contains_key("location") && first.headers.contains_key("etag"));
        let path = format!("/api/tasks/{}", first.body["id"].as_str().unwrap());
        one.json("ann", "PATCH", &path, json!({ "title": "changed" }))
            .await;
        same(&send(&two, "ann", "/api/tasks", "k1", &task).await, &first);
        one.ask("ann", "DELETE", &path, "").await;
        same(&send(&two, "ann", "/api/tasks", "k1", &task).await, &first);

        let other = send(
            &one,
            "ann",
            "/api/tasks",
            "k1",
            &json!({ "title": "other" }),
        )
        .await;
        assert_eq!(
            (other.status.as_u16(), &other.body["code"]),
            (422, &json!("idempotency_key_reused"))
        );
        let batch =
            json!({ "operations": [{ "op": "create", "task": { "title": "in a batch" } }] });
        let other = send(&one, "ann", "/api/tasks/batch", "k1", &batch).await;
        assert_eq!(other.body["code"], "idempotency_key_reused");
        // The key of somebody else is another key.
        assert_eq!(
            send(&one, "bob", "/api/tasks", "k1", &task).await.status,
            201
        );
        let made = send(&one, "ann", "/api/tasks/batch", "k2", &batch).await;
        assert_eq!(made.status, 200);
        same(
            &send(&two, "ann", "/api/tasks/batch", "k2", &batch).await,
            &made,
        );
        assert_eq!(one.titles("ann").await, ["in a batch"]);

        fake.world().micros += 24 * 3_600 * 1_000_000;
        let late = Instance::new(&fake);
        assert_eq!(
            send(&late, "ann", "/api/tasks", "k1", &task).await.status,
            201
        );
        assert_eq!(late.titles("ann").await, ["once", "in a batch"]);
    });
}

#[test]
fn what_changed_nothing_is_answered_the_same_too() {
    block_on(async {
        let instance = instance();
        let id = instance.create("ann", "a").await["id"].clone();
        let batch = json!({ "operations": [{ "op": "reopen", "id": id }] });
        let first = send(&instance, "ann", "/api/tasks/batch", "k", &batch).await;
        instance
            .ask(
                "ann",
                "POST",
                &format!("/api/tasks/{}/complete", id.as_str().unwrap()),
                "",
            )
            .await;
        same(
            &send(&instance, "ann", "/api/tasks/batch", "k", &batch).await,
            &first,
        );
    });
}

#[test]
fn equal_requests_at_once_make_one_task() {
    block_on(async {
        for faults in [
            vec![],
            vec![Fault::AnswerLost],
            vec![Fault::Away, Fault::AnswerLost],
        ] {
            let fake = Fake::default();
            fake.world().transactions = faults.into();
            let instances = [Instance::new(&fake), Instance::new(&fake)];
            let task = json!({ "title": "once" });
            let sent = (0..8).map(|n| send(&instances[n % 2], "ann", "/api/tasks", "k", &task));
            let answers = join_all(sent).await;
            for answer in &answers {
                assert_eq!(answer.status, 201);
                same(answer, &answers[0]);
            }
            assert_eq!(instances[0].titles("ann").await, ["once"]);
            fake.settle().await;
            assert_eq!(fake.events("task-events").len(), 1);
        }
    });
}

#[test]
fn an_error_is_not_kept_and_a_bad_key_is_refused() {
    block_on(async {
        let instance = instance();
        let bad = send(&instance, "ann", "/api/tasks", "k", &json!({ "title": "" })).await;
        assert_eq!(bad.status, 422);
        assert_eq!(
            send(
                &instance,
                "ann",
                "/api/tasks",
                "k",
                &json!({ "title": "a" })
            )
            .await
            .status,
            201
        );
        let before = instance.fake.world().state.clone();
        for key in ["", "a b", "é", &"k".repeat(300)] {
            let answer = send(
                &instance,
                "ann",
                "/api/tasks",
                key,
                &json!({ "title": "b" }),
            )
            .await;
            assert_eq!(
                (answer.status.as_u16(), &answer.body["code"]),
                (400, &json!("malformed")),
                "{key}"
            );
        }
        assert_eq!(instance.fake.world().state, before);
    });
}
