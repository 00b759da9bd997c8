//! What was done is undone, beside an audit log in memory that has what was published.

use docket_domain::Event;
use docket_domain::audit::{Content, Entry, Hash};
use docket_domain::event::CloudEvent as _;

use super::*;

/// Publishes what waits, and has the log know all of it. Gives the ids of a task's events, oldest first.
async fn log(instance: &Instance, task: &str) -> Vec<String> {
    instance.fake.settle().await;
    let published = instance.fake.events("task-events");
    let events: Vec<Event> = published
        .iter()
        .map(|event| Event::read(event.to_string().as_bytes()).unwrap())
        .collect();
    let of_task = events
        .iter()
        .filter(|event| event.task_id.to_string() == task);
    let ids = of_task.map(|event| event.id.clone()).collect();
    let answer = move |path: &str, asked: &Value| {
        assert_eq!(path, "/internal/audit/entry");
        let seq: u64 = asked["event_id"]
            .as_str()
            .unwrap()
            .rsplit('-')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let found = events.iter().find(|event| {
            asked["account"] == event.account.as_str()
                && asked["task_id"] == event.task_id.to_string()
                && asked["event_id"] == *event.id
        });
        let entry = found.map(|event| Entry::after(Hash::default(), Content::of(event)));
        let has_come = events
            .iter()
            .any(|event| asked["account"] == event.account.as_str() && event.seq >= seq);
        (200, json!({ "entry": entry, "has_come": has_come }))
    };
    let mut world = instance.fake.world();
    world.apps.insert("audit".to_owned(), Box::new(answer));
    ids
}

async fn undo(instance: &Instance, task: &str, event: &str) -> Answer {
    let path = format!("/api/tasks/{task}/undo");
    instance
        .json("ann", "POST", &path, json!({ "event_id": event }))
        .await
}

async fn done(instance: &Instance, method: &str, path: &str, body: Value) -> Value {
    let answer = instance.json("ann", method, path, body).await;
    assert!(
        answer.status.is_success(),
        "{method} {path}: {}",
        answer.body
    );
    answer.body
}

/// The fields of a conflict.
fn touched(answer: &Answer) -> Vec<&str> {
    assert_eq!(
        (answer.status.as_u16(), &answer.body["code"]),
        (409, &json!("conflict"))
    );
    let errors = answer.body["errors"].as_array().unwrap().iter();
    errors
        .inspect(|error| assert_eq!(error["code"], "changed"))
        .map(|error| error["pointer"].as_str().unwrap())
        .collect()
}

/// What of a task a person cares about.
fn fields(task: &Value) -> Value {
    let mut task = task.clone();
    for follows in ["updated_at", "version"] {
        task.as_object_mut().unwrap().remove(follows);
    }
    task
}

#[test]
fn each_kind_of_change_is_undone() {
    block_on(async {
        let instance = instance();
        let full = json!({
            "title": "Rent", "description": "cash", "priority": "high", "tags": ["home", "گھر"], "position": 2.5,
            "due": { "date": "2027-01-31", "time": "09:00", "time_zone": "Europe/Berlin" },
            "reminders": [{ "before": "PT30M" }], "recurrence": { "rule": "monthly" },
        });
        let parent = done(
            &instance,
            "POST",
            "/api/tasks",
            json!({ "title": "parent" }),
        )
        .await;
        let made = done(&instance, "POST", "/api/tasks", full).await;
        let id = made["id"].as_str().unwrap();
        let path = format!("/api/tasks/{id}");
        let patches = [
            json!({ "title": "x", "description": null, "priority": null, "tags": null, "position": null }),
            json!({ "due": null, "reminders": null, "recurrence": null }),
            json!({ "due": { "time": "10:00:01" }, "recurrence": { "rule": "daily", "from": "completion" } }),
            json!({ "parent_id": parent["id"], "reminders": [{ "at": "2027-01-01T00:00:00Z" }] }),
        ];
        for patch in patches {
            done(&instance, "PATCH", &path, patch.clone()).await;
            let event = log(&instance, id).await.pop().unwrap();
            let answer = undo(&instance, id, &event).await;
            assert_eq!(answer.status, 200, "{patch}: {}", answer.body);
            let task = &answer.body["task"];
            assert_eq!(
                (fields(task), &answer.body["deleted"]),
                (fields(&made), &Value::Null)
            );
            assert_eq!(done(&instance, "GET", &path, Value::Null).await, *task);
            // It is as it was: there is nothing left to undo.
            assert_eq!(
                undo(&instance, id, &event).await.body["task"],
                *task,
                "{patch}"
            );
            // And the undo is undone.
            let event = log(&instance, id).await.pop().unwrap();
            undo(&instance, id, &event).await;
            let event = log(&instance, id).await.pop().unwrap();
            assert_eq!(
                fields(&undo(&instance, id, &event).await.body["task"]),
                fields(&made)
            );
        }
        let complete = format!("{path}/complete");
        let completed = done(&instance, "POST", &complete, Value::Null).await;
        let event = log(&instance, id).await.pop().unwrap();
        assert_eq!(
            fields(&undo(&instance, id, &event).await.body["task"]),
            fields(&made)
        );
        // Undoing that makes it done again, at the time at which it was.
        let event = log(&instance, id).await.pop().unwrap();
        assert_eq!(
            fields(&undo(&instance, id, &event).await.body["task"]),
            fields(&completed)
        );
        let last = instance.fake.events("task-events");
        let kinds: Vec<&str> = last.iter().map(|e| e["type"].as_str().unwrap()).collect();
        instance.fake.settle().await;
        assert!(
            kinds.ends_with(&["task-completed", "task-reopened"]),
            "{kinds:?}"
        );
    });
}

#[test]
fn a_deleted_task_comes_back_to_its_place() {
    block_on(async {
        let instance = instance();
        let mut ids = Vec::new();
        for n in 0..150 {
            let task = json!({ "title": format!("task {n}"), "tags": ["t"] });
            let made = done(&instance, "POST", "/api/tasks", task).await;
            ids.push(made["id"].as_str().unwrap().to_owned());
        }
        let before = done(&instance, "GET", "/api/tasks?limit=200", Value::Null).await;
        // So many that segments become one meanwhile.
        let gone: Vec<&String> = ids.iter().filter(|id| !id.ends_with('0')).collect();
        for id in &gone {
            done(
                &instance,
                "DELETE",
                &format!("/api/tasks/{id}"),
                Value::Null,
            )
            .await;
        }
        for id in &gone {
            let event = log(&instance, id).await.pop().unwrap();
            let answer = undo(&instance, id, &event).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert_eq!(answer.body["task"]["id"], ***id);
            assert_eq!(undo(&instance, id, &event).await.body, answer.body);
        }
        let after = done(&instance, "GET", "/api/tasks?limit=200", Value::Null).await;
        let shown = |page: &Value| -> Vec<Value> {
            page["tasks"]
                .as_array()
                .unwrap()
                .iter()
                .map(fields)
                .collect()
        };
        assert_eq!(shown(&after), shown(&before));
        let tags = done(&instance, "GET", "/api/tags", Value::Null).await;
        assert_eq!(tags["tags"][0]["open"], 150);
        let feed = done(&instance, "GET", "/api/changes?since=0", Value::Null).await;
        assert!(
            feed["changes"]
                .as_array()
                .unwrap()
                .iter()
                .all(|change| change["deleted"].is_null())
        );
    });
}

#[test]
fn a_creation_is_undone_as_long_as_nothing_was_done_to_it() {
    block_on(async {
        let instance = instance();
        let id = instance.create("ann", "Milk").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let path = format!("/api/tasks/{id}");
        let created = log(&instance, &id).await.pop().unwrap();
        done(
            &instance,
            "PATCH",
            &path,
            json!({ "title": "Oat milk", "tags": ["shop"] }),
        )
        .await;
        assert_eq!(
            touched(&undo(&instance, &id, &created).await),
            ["/tags", "/title"]
        );
        done(
            &instance,
            "PATCH",
            &path,
            json!({ "title": "Milk", "tags": null }),
        )
        .await;
        let answer = undo(&instance, &id, &created).await;
        assert_eq!(answer.body, json!({ "task": null, "deleted": id }));
        assert_eq!(undo(&instance, &id, &created).await.body, answer.body);
        assert_eq!(instance.ask("ann", "GET", &path, "").await.status, 404);
        // What is gone has no fields to give back.
        let updated = log(&instance, &id).await[1].clone();
        assert_eq!(undo(&instance, &id, &updated).await.status, 404);
    });
}

#[test]
fn what_something_newer_has_touched_stays() {
    block_on(async {
        let instance = instance();
        let id = instance.create("ann", "a").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let path = format!("/api/tasks/{id}");
        done(
            &instance,
            "PATCH",
            &path,
            json!({ "title": "b", "description": "b", "position": 7 }),
        )
        .await;
        let event = log(&instance, &id).await.pop().unwrap();
        done(
            &instance,
            "PATCH",
            &path,
            json!({ "title": "c", "priority": "low" }),
        )
        .await;
        let version = done(&instance, "GET", &path, Value::Null).await["version"].clone();
        assert_eq!(touched(&undo(&instance, &id, &event).await), ["/title"]);
        let after = done(&instance, "GET", &path, Value::Null).await;
        assert_eq!(
            (&after["description"], &after["version"]),
            (&json!("b"), &version)
        );
        // With the title as the event left it, all goes back but what others set.
        done(&instance, "PATCH", &path, json!({ "title": "b" })).await;
        let task = undo(&instance, &id, &event).await.body["task"].clone();
        assert_eq!(
            (
                &task["title"],
                &task["description"],
                &task["position"],
                &task["priority"]
            ),
            (&json!("a"), &json!(""), &json!(1), &json!("low"))
        );

        // A parent that would close a circle by now does not come back.
        let child = instance.create("ann", "child").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let child_path = format!("/api/tasks/{child}");
        done(&instance, "PATCH", &child_path, json!({ "parent_id": id })).await;
        done(
            &instance,
            "PATCH",
            &child_path,
            json!({ "parent_id": null }),
        )
        .await;
        let event = log(&instance, &child).await.pop().unwrap();
        done(&instance, "PATCH", &path, json!({ "parent_id": child })).await;
        assert_eq!(
            touched(&undo(&instance, &child, &event).await),
            ["/parent_id"]
        );
    });
}

#[test]
fn an_event_is_undone_on_its_own_task_and_when_the_log_has_it() {
    block_on(async {
        let instance = instance();
        let id = instance.create("ann", "a").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let other = instance.create("ann", "b").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let foreign = instance.create("bob", "c").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let event = log(&instance, &id).await.pop().unwrap();
        for (task, event) in [
            (other.as_str(), event.as_str()),
            (foreign.as_str(), event.as_str()),
            (id.as_str(), "other-1"),
            (id.as_str(), "x-99"),
            (id.as_str(), "no number"),
            ("x", event.as_str()),
        ] {
            let answer = undo(&instance, task, event).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.body["code"]),
                (404, &json!("not_found")),
                "{event}"
            );
        }
        for body in [
            json!({}),
            json!({ "event_id": "" }),
            json!({ "event_id": "x".repeat(65) }),
        ] {
            let path = format!("/api/tasks/{id}/undo");
            let answer = instance.json("ann", "POST", &path, body).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.body["errors"][0]["pointer"]),
                (422, &json!("/event_id"))
            );
        }
        // This one is on its way.
        let path = format!("/api/tasks/{id}");
        done(&instance, "PATCH", &path, json!({ "title": "d" })).await;
        let answer = undo(&instance, &id, "x-3").await;
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["retry-after"]),
            (503, &"1".parse().unwrap())
        );
        instance.fake.world().apps.remove("audit");
        assert_eq!(undo(&instance, &id, &event).await.status, 503);
    });
}
