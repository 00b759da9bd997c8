//! Tasks that are part of others, over HTTP.

use super::*;

async fn add(instance: &Instance, account: &str, task: Value) -> String {
    let answer = instance.json(account, "POST", "/api/tasks", task).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

async fn patch(instance: &Instance, id: &str, fields: Value) -> Answer {
    let path = format!("/api/tasks/{id}");
    instance.json("ann", "PATCH", &path, fields).await
}

/// The titles of a page, newest first.
async fn listed(instance: &Instance, query: &str) -> String {
    let path = format!("/api/tasks?{query}");
    let answer = instance.ask("ann", "GET", &path, "").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let tasks = answer.body["tasks"].as_array().unwrap().iter();
    let titles: Vec<&str> = tasks.map(|task| task["title"].as_str().unwrap()).collect();
    assert_eq!(answer.body["total"], titles.len());
    titles.join(" ")
}

#[test]
fn a_task_gets_a_parent_and_loses_it() {
    block_on(async {
        let instance = instance();
        let trip = add(&instance, "ann", json!({ "title": "trip" })).await;
        let book = add(
            &instance,
            "ann",
            json!({ "title": "book", "parent_id": trip }),
        )
        .await;
        let pack = add(&instance, "ann", json!({ "title": "pack" })).await;
        let set = patch(&instance, &pack, json!({ "parent_id": trip })).await;
        assert_eq!(
            (set.status.as_u16(), &set.body["parent_id"]),
            (200, &json!(trip))
        );
        let same = patch(&instance, &pack, json!({ "parent_id": trip })).await;
        assert_eq!(same.body["version"], set.body["version"]);

        let request = instance.request(
            "ann",
            "PATCH",
            &format!("/api/tasks/{pack}"),
            json!({ "parent_id": null }).to_string(),
        );
        let (mut parts, body) = request.into_parts();
        parts.headers.insert("if-match", "\"3\"".parse().unwrap());
        let stale = instance.send(Request::from_parts(parts, body)).await;
        assert_eq!(stale.status, 412);

        let children = format!("parent={trip}");
        assert_eq!(listed(&instance, &children).await, "pack book");
        instance
            .ask("ann", "POST", &format!("/api/tasks/{book}/complete"), "")
            .await;
        assert_eq!(listed(&instance, &children).await, "pack");
        assert_eq!(
            listed(&instance, &format!("{children}&status=all&sort=title")).await,
            "book pack"
        );
        assert_eq!(
            listed(&instance, &format!("parent={pack}&status=all")).await,
            ""
        );

        // What becomes of the parent leaves its children, and they are found below it still.
        instance
            .ask("ann", "POST", &format!("/api/tasks/{trip}/complete"), "")
            .await;
        instance
            .ask("ann", "DELETE", &format!("/api/tasks/{trip}"), "")
            .await;
        let left = instance
            .ask("ann", "GET", &format!("/api/tasks/{pack}"), "")
            .await;
        assert_eq!(left.body, set.body);
        assert_eq!(listed(&instance, &children).await, "pack");
        let back = patch(
            &instance,
            &pack,
            json!({ "title": "Pack", "parent_id": trip }),
        )
        .await;
        assert_eq!(
            (back.status.as_u16(), &back.body["title"]),
            (200, &json!("Pack"))
        );
        let top = patch(&instance, &pack, json!({ "parent_id": null })).await;
        assert_eq!(top.body["parent_id"], Value::Null);
        assert_eq!(listed(&instance, &children).await, "");

        instance.fake.settle().await;
        let events = instance.fake.events("task-events");
        let last = &events.last().unwrap()["data"];
        assert_eq!(
            last["changes"],
            json!({ "parent_id": { "from": trip, "to": null } })
        );
        let changes = instance.ask("ann", "GET", "/api/changes?since=0", "").await;
        assert_eq!(changes.body["changes"][0]["task"]["parent_id"], json!(trip));
    });
}

#[test]
fn a_parent_that_cannot_be_is_refused() {
    block_on(async {
        let instance = instance();
        let above = add(&instance, "ann", json!({ "title": "above" })).await;
        let below = add(
            &instance,
            "ann",
            json!({ "title": "below", "parent_id": above }),
        )
        .await;
        let foreign = add(&instance, "bob", json!({ "title": "foreign" })).await;
        let before = instance.fake.world().state.clone();
        let mut unknown = Vec::new();
        for (id, parent) in [
            (&below, json!(foreign)),
            (&below, json!("0-000000000001")),
            (&below, json!("not an id")),
            (&above, json!(above)),
            (&above, json!(below)),
        ] {
            let fields = json!({ "title": "t", "parent_id": parent });
            let batch = json!({ "operations": [
                { "op": "create", "task": { "title": "good", "parent_id": above } },
                { "op": "update", "id": id, "task": fields },
            ] });
            let alone = patch(&instance, id, fields).await;
            let together = instance
                .json("ann", "POST", "/api/tasks/batch", batch)
                .await;
            for (answer, pointer) in [
                (alone, "/parent_id"),
                (together, "/operations/1/task/parent_id"),
            ] {
                assert_eq!(answer.status, 422, "{parent}: {}", answer.body);
                let errors = answer.body["errors"].as_array().unwrap();
                assert_eq!(errors.len(), 1, "{parent}");
                assert_eq!(
                    (&errors[0]["pointer"], &errors[0]["code"]),
                    (&json!(pointer), &json!("invalid")),
                    "{parent}"
                );
                if id == &below {
                    unknown.push(errors[0]["detail"].clone());
                }
            }
        }
        unknown.dedup();
        assert_eq!(
            unknown.len(),
            1,
            "nobody learns what others have: {unknown:?}"
        );
        for wrong in [json!(7), json!([above])] {
            let answer = patch(&instance, &below, json!({ "parent_id": wrong })).await;
            assert_eq!(answer.body["errors"][0]["pointer"], "/parent_id", "{wrong}");
        }
        for query in [
            "parent=",
            "parent=x",
            "parent=0-000000000001&parent=0-000000000002",
        ] {
            let path = format!("/api/tasks?{query}");
            let answer = instance.ask("ann", "GET", &path, "").await;
            assert_eq!(answer.status, 422, "{query}");
            let error = &answer.body["errors"][0];
            assert_eq!(
                (&error["pointer"], &error["code"]),
                (&json!("/parent"), &json!("invalid"))
            );
        }
        assert_eq!(instance.fake.world().state, before);
    });
}

#[test]
fn a_chain_over_many_segments_is_read_as_far_as_it_goes() {
    block_on(async {
        let instance = instance();
        let between =
            json!({ "operations": vec![json!({ "op": "create", "task": { "title": "t" } }); 70] });
        let mut ids: Vec<String> = Vec::new();
        for n in 0..9 {
            let fields = json!({ "title": format!("{n}"), "parent_id": ids.last() });
            ids.push(add(&instance, "ann", fields).await);
            let answer = instance
                .json("ann", "POST", "/api/tasks/batch", between.clone())
                .await;
            assert_eq!(answer.status, 200);
        }
        instance.fake.settle().await;
        assert!(instance.fake.keys("segment:").len() >= 9);
        let deep = json!({ "title": "deep", "parent_id": ids[8] });
        let third = json!({ "title": "third", "parent_id": ids[1] });
        let one = format!("/api/tasks/{}", ids[4]);
        for (method, path, body, status, reads) in [
            // The book, and no more than that, or the task's segment beside it.
            ("POST", "/api/tasks", json!({ "title": "plain" }), 201, 1),
            (
                "POST",
                "/api/tasks",
                json!({ "title": "plain", "parent_id": null }),
                201,
                1,
            ),
            ("PATCH", &one, json!({ "title": "plain" }), 200, 2),
            // And the segments above.
            ("POST", "/api/tasks", third, 201, 3),
            ("PATCH", &one, json!({ "parent_id": ids[0] }), 200, 3),
            ("PATCH", &one, json!({ "parent_id": ids[8] }), 422, 7),
            ("PATCH", &one, json!({ "parent_id": ids[3] }), 200, 6),
            ("POST", "/api/tasks", deep, 422, 10),
        ] {
            let before = instance.fake.world().reads;
            let answer = instance.json("ann", method, path, body.clone()).await;
            assert_eq!(answer.status, status, "{method} {body}: {}", answer.body);
            let read = instance.fake.world().reads - before;
            assert_eq!(read, reads, "{method} {body}");
            instance.fake.settle().await;
        }
    });
}
