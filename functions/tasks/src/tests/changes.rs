//! The change feed, and tags.

use super::*;
use std::collections::BTreeMap;

/// Follows the feed to its end; gives the versions of the tasks by their titles.
async fn follow(instance: &Instance, since: &mut u64, known: &mut BTreeMap<String, Value>) {
    loop {
        let path = format!("/api/changes?since={since}&limit=7");
        let page = instance.ask("ann", "GET", &path, "").await;
        assert_eq!(
            (page.status.as_u16(), &page.body["reset"]),
            (200, &json!(false))
        );
        *since = page.body["next"].as_u64().unwrap();
        let changes = page.body["changes"].as_array().unwrap();
        if changes.is_empty() {
            return;
        }
        for change in changes {
            if let Some(id) = change["deleted"].as_str() {
                known.remove(id);
            } else {
                assert_eq!(change["seq"], change["task"]["version"]);
                let id = change["task"]["id"].as_str().unwrap().to_owned();
                known.insert(id, change["task"].clone());
            }
        }
    }
}

#[test]
fn a_client_that_was_away_catches_up() {
    block_on(async {
        let instance = instance();
        let (mut since, mut known) = (0, BTreeMap::new());
        follow(&instance, &mut since, &mut known).await;
        assert_eq!((since, known.len()), (0, 0));
        let mut ids = Vec::new();
        for n in 0..150 {
            let task = instance.create("ann", &format!("{n}")).await;
            ids.push(task["id"].as_str().unwrap().to_owned());
        }
        follow(&instance, &mut since, &mut known).await;
        assert_eq!((since, known.len()), (150, 150));
        for id in ids.iter().step_by(10) {
            instance
                .ask("ann", "DELETE", &format!("/api/tasks/{id}"), "")
                .await;
        }
        for id in ids.iter().skip(1).step_by(10) {
            instance
                .ask("ann", "POST", &format!("/api/tasks/{id}/complete"), "")
                .await;
        }
        follow(&instance, &mut since, &mut known).await;
        let (mut anew, mut all) = (0, BTreeMap::new());
        follow(&instance, &mut anew, &mut all).await;
        assert_eq!((since, &known), (anew, &all));
        assert_eq!(all.len(), 135);
        assert_eq!(
            all.values().filter(|task| task["status"] == "done").count(),
            15
        );
        assert_eq!(
            instance.ask("bob", "GET", "/api/changes", "").await.body["next"],
            0
        );
    });
}

#[test]
fn a_since_that_cannot_be_is_refused_or_begins_anew() {
    block_on(async {
        let instance = instance();
        instance.create("ann", "a").await;
        for (query, pointer) in [
            ("since=-1", "/since"),
            ("since=9223372036854775808", "/since"),
            ("since=9007199254740992", "/since"),
            ("since=", "/since"),
            ("since=1e3", "/since"),
            ("limit=0", "/limit"),
            ("limit=1001", "/limit"),
            ("after=1", "/after"),
        ] {
            let answer = instance
                .ask("ann", "GET", &format!("/api/changes?{query}"), "")
                .await;
            assert_eq!(
                (answer.status.as_u16(), &answer.body["errors"][0]["pointer"]),
                (422, &json!(pointer)),
                "{query}"
            );
        }
        for future in ["2", "4294967296", "9007199254740991"] {
            let answer = instance
                .ask("ann", "GET", &format!("/api/changes?since={future}"), "")
                .await;
            assert_eq!(
                answer.body,
                json!({ "changes": [], "next": 0, "reset": true }),
                "{future}"
            );
        }
    });
}

#[test]
fn tags_are_counted_renamed_and_taken_away() {
    block_on(async {
        let instance = instance();
        for n in 0..200 {
            let tags = if n % 2 == 0 {
                json!(["Home", "x"])
            } else {
                json!(["گھر"])
            };
            let body = json!({ "title": format!("{n}"), "tags": tags });
            let made = instance.json("ann", "POST", "/api/tasks", body).await;
            if n % 10 == 0 {
                let path = format!("/api/tasks/{}/complete", made.body["id"].as_str().unwrap());
                instance.ask("ann", "POST", &path, "").await;
            }
        }
        let tags = async || instance.ask("ann", "GET", "/api/tags", "").await.body["tags"].clone();
        let tag =
            |name: &str, open: u32, done: u32| json!({ "name": name, "open": open, "done": done });
        assert_eq!(
            tags().await,
            json!([tag("Home", 80, 20), tag("x", 80, 20), tag("گھر", 100, 0)])
        );
        let rename = async |tag: &str, name: &str| {
            instance
                .json(
                    "ann",
                    "PATCH",
                    &format!("/api/tags/{tag}"),
                    json!({ "name": name }),
                )
                .await
        };
        // One answer gets lost on the way; nothing is done twice.
        instance.fake.world().transactions = vec![Fault::AnswerLost].into();
        assert_eq!(
            rename("%DA%AF%DA%BE%D8%B1", "house").await.body,
            json!({ "changed": 100 })
        );
        assert_eq!(rename("house", "x").await.body, json!({ "changed": 100 }));
        assert_eq!(rename("Home", "x").await.body, json!({ "changed": 100 }));
        assert_eq!(rename("Home", "x").await.body, json!({ "changed": 0 }));
        assert_eq!(tags().await, json!([tag("x", 180, 20)]));
        let page = instance.ask("ann", "GET", "/api/tasks?limit=2", "").await;
        for task in page.body["tasks"].as_array().unwrap() {
            assert_eq!(task["tags"], json!(["x"]));
        }
        for (name, code) in [
            ("", "invalid"),
            ("a b", "invalid"),
            (&"a".repeat(65), "too_long"),
        ] {
            let answer = rename("x", name).await;
            let error = &answer.body["errors"][0];
            assert_eq!(
                (answer.status.as_u16(), &error["pointer"], &error["code"]),
                (422, &json!("/name"), &json!(code))
            );
        }
        let gone = instance.ask("ann", "DELETE", "/api/tags/x", "").await;
        assert_eq!(gone.body, json!({ "changed": 200 }));
        assert_eq!(
            instance.ask("bob", "DELETE", "/api/tags/x", "").await.body["changed"],
            0
        );
        assert_eq!(tags().await, json!([]));
        instance.fake.settle().await;
        assert_eq!(
            instance.fake.events("task-events").len(),
            200 + 20 + 300 + 200
        );
    });
}
