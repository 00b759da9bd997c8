//! `GET /api/tasks`: what may be asked, what is refused, and what an instance remembers.

use futures::executor::block_on;
use futures::future::join;
use serde_json::{Value, json};

use super::{Instance, instance};
use docket_fake::{Fake, yield_now};

async fn add(instance: &Instance, account: &str, task: Value) -> Value {
    let answer = instance.json(account, "POST", "/api/tasks", task).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.body
}

/// The titles of a page, and its total.
async fn found(instance: &Instance, account: &str, query: &str) -> (Vec<String>, u64) {
    let path = format!("/api/tasks?{query}");
    let answer = instance.ask(account, "GET", &path, "").await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    let tasks = answer.body["tasks"].as_array().unwrap().iter();
    let titles = tasks.map(|task| task["title"].as_str().unwrap().to_owned());
    (titles.collect(), answer.body["total"].as_u64().unwrap())
}

#[test]
fn parameters_find_tasks() {
    block_on(async {
        let instance = instance();
        for task in [
            json!({ "title": "a Müll", "priority": "high", "tags": ["haus", "c++"], "due": { "date": "2026-11-22" } }),
            json!({ "title": "B bill", "priority": "low", "tags": ["haus"], "due": { "date": "2026-11-23", "time": "09:00" } }),
            json!({ "title": "c call", "recurrence": { "rule": "daily" }, "due": { "date": "2026-11-24" } }),
            json!({ "title": "d", "position": 0.5 }),
        ] {
            add(&instance, "ann", task).await;
        }
        let done = add(&instance, "ann", json!({ "title": "e" })).await;
        let path = format!("/api/tasks/{}/complete", done["id"].as_str().unwrap());
        instance.ask("ann", "POST", &path, "").await;
        for (query, expected) in [
            ("", "d c B a"),
            ("sort=created", "a B c d"),
            ("status=all&sort=title", "a B c d e"),
            ("sort=-title&status=done", "e"),
            ("sort=due", "a B c d"),
            ("sort=-due", "c B a d"),
            ("sort=-priority", "a d c B"),
            ("sort=position", "d a B c"),
            ("q=mull", "a"),
            ("q=M%C3%BCLL", "a"),
            ("q=", "d c B a"),
            ("cursor=", "d c B a"),
            ("priority=high,low", "B a"),
            ("priority=high&priority=medium", "d c a"),
            ("tag=haus&tag=c%2B%2B", "a"),
            ("due_after=2026-11-23&due_before=2026-11-24", "B"),
            ("due_before=2026-11-23T08:59:59Z", "a"),
            ("due_after=2026-11-23T10:00:00%2B01:00", "c B"),
            ("overdue=true", "a"),
            ("overdue=true&time_zone=Asia/Karachi", "B a"),
            ("overdue=false", "d c B"),
            ("recurring=true", "c"),
            ("recurring=false&status=all&sort=created", "a B d e"),
        ] {
            let (titles, total) = found(&instance, "ann", query).await;
            let first: Vec<&str> = titles.iter().filter_map(|title| title.get(..1)).collect();
            assert_eq!(first.join(" "), expected, "{query}");
            assert_eq!(total, titles.len() as u64, "{query}");
        }
    });
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    block_on(async {
        let instance = instance();
        let long = "é".repeat(201);
        let many = "a+".repeat(17);
        let cases = [
            (
                "status=lost&sort=colour&limit=9223372036854775808&q=a&colour=red&cursor=x".to_owned(),
                "/status invalid,/sort invalid,/limit invalid,/cursor invalid,/colour unknown_field",
            ),
            (
                "due_after=2026-13-01&due_before=10000-01-01&time_zone=Mars/Base&overdue=1&recurring=".to_owned(),
                "/time_zone invalid,/due_after invalid,/due_before invalid,/overdue invalid,/recurring invalid",
            ),
            ("limit=0".to_owned(), "/limit invalid"),
            ("limit=201".to_owned(), "/limit invalid"),
            ("limit=-1&limit=5".to_owned(), "/limit invalid"),
            ("q=a&q=b&sort=due&sort=due".to_owned(), "/q invalid,/sort invalid"),
            ("priority=high,&priority=urgent&tag=".to_owned(), "/priority invalid,/priority invalid,/tag invalid"),
            (format!("q={long}"), "/q too_long"),
            (format!("q={many}"), "/q too_many"),
            (format!("tag={}", "a".repeat(65)), "/tag invalid"),
            ("tag=a&".repeat(33), "/tag too_many"),
            ("a/b~c=1".to_owned(), "/a~1b~0c unknown_field"),
            ("a&".repeat(30_000), " too_many"),
            (format!("q={}", "a".repeat(60_000)), "/q too_long"),
            (format!("{}=1", "a".repeat(60_000)), "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa unknown_field"),
        ];
        for (query, expected) in cases {
            let shown: String = query.chars().take(80).collect();
            let path = format!("/api/tasks?{query}").replace('é', "%C3%A9");
            let answer = instance.ask("ann", "GET", &path, "").await;
            assert_eq!(answer.status, 422, "{shown}");
            let errors = answer.body["errors"].as_array().unwrap().iter();
            let errors: Vec<String> = errors
                .map(|e| {
                    format!(
                        "{} {}",
                        e["pointer"].as_str().unwrap(),
                        e["code"].as_str().unwrap()
                    )
                })
                .collect();
            assert_eq!(errors.join(","), expected, "{shown}");
        }
    });
}

#[test]
fn a_page_goes_on_where_it_ended_for_its_account_and_its_question_alone() {
    block_on(async {
        let instance = instance();
        for account in ["ann", "bob"] {
            for n in 0..5 {
                let due = json!({ "date": format!("2026-12-0{}", 5 - n) });
                add(
                    &instance,
                    account,
                    json!({ "title": format!("{account} {n}"), "due": due }),
                )
                .await;
            }
        }
        let page = instance
            .ask(
                "ann",
                "GET",
                "/api/tasks?sort=due&limit=2&time_zone=Asia/Karachi",
                "",
            )
            .await;
        let cursor = page.body["next_cursor"].as_str().unwrap().to_owned();
        let next = |question: &str| format!("{question}&cursor={cursor}");
        let own = next("limit=9&time_zone=Asia/Karachi&sort=due");
        assert_eq!(
            found(&instance, "ann", &own).await,
            (vec!["ann 2".into(), "ann 1".into(), "ann 0".into()], 5)
        );
        for (account, query) in [
            ("bob", own.as_str()),
            ("ann", &next("sort=-due&time_zone=Asia/Karachi")),
            ("ann", &next("sort=due")),
            ("ann", &next("sort=due&time_zone=Asia/Karachi&q=ann")),
            ("ann", own.strip_suffix(|_| true).unwrap()),
        ] {
            let path = format!("/api/tasks?{query}");
            let answer = instance.ask(account, "GET", &path, "").await;
            assert_eq!(answer.status, 422, "{query}");
            assert_eq!(answer.body["errors"][0]["pointer"], "/cursor", "{query}");
        }
    });
}

#[test]
fn an_instance_remembers_segments_of_its_accounts_as_long_as_they_are_so() {
    block_on(async {
        let fake = Fake::default();
        let (here, elsewhere) = (Instance::new(&fake), Instance::new(&fake));
        let mut ids = Vec::new();
        for account in ["ann", "bob"] {
            for n in 0..70 {
                let task = add(&here, account, json!({ "title": format!("{account} {n}") })).await;
                ids.push(task["id"].as_str().unwrap().to_owned());
            }
        }
        let oldest = "sort=title&limit=1";
        assert_eq!(
            found(&here, "ann", oldest).await,
            (vec!["ann 0".into()], 70)
        );
        assert_eq!(
            found(&here, "bob", oldest).await,
            (vec!["bob 0".into()], 70)
        );
        // What is remembered is not read again: it may be gone for this once.
        let gone = fake.world().state.remove("segment:ann:0").unwrap();
        assert_eq!(
            found(&here, "ann", oldest).await,
            (vec!["ann 0".into()], 70)
        );
        fake.world().state.insert("segment:ann:0".into(), gone);
        // Another instance writes.
        let path = format!("/api/tasks/{}", ids[0]);
        let patch = json!({ "title": "an early one" });
        assert_eq!(
            elsewhere.json("ann", "PATCH", &path, patch).await.status,
            200
        );
        assert_eq!(
            found(&here, "ann", oldest).await,
            (vec!["an early one".into()], 70)
        );
        assert_eq!(elsewhere.ask("ann", "DELETE", &path, "").await.status, 204);
        assert_eq!(
            found(&here, "ann", oldest).await,
            (vec!["ann 1".into()], 69)
        );
        assert_eq!(
            found(&here, "bob", oldest).await,
            (vec!["bob 0".into()], 70)
        );
    });
}

#[test]
fn a_page_shows_one_moment_while_others_write() {
    block_on(async {
        let fake = Fake::default();
        let (here, elsewhere) = (Instance::new(&fake), Instance::new(&fake));
        let mut ids = Vec::new();
        for n in 0..140 {
            let title = if n == 0 { "heads" } else { "tails" };
            let task = add(&here, "ann", json!({ "title": title })).await;
            ids.push(task["id"].clone());
        }
        // A closed segment and the inline one change at once, again and again: one of the two tasks is heads at any moment.
        let writing = async {
            for n in 0..60 {
                let sides = if n % 2 == 0 {
                    ["tails", "heads"]
                } else {
                    ["heads", "tails"]
                };
                let operations: Vec<Value> = [&ids[0], &ids[139]]
                    .into_iter()
                    .zip(sides)
                    .map(
                        |(id, side)| json!({ "op": "update", "id": id, "task": { "title": side } }),
                    )
                    .collect();
                let batch = json!({ "operations": operations });
                let answer = elsewhere
                    .json("ann", "POST", "/api/tasks/batch", batch)
                    .await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                for _ in 0..n % 7 {
                    yield_now().await;
                }
            }
        };
        let looking = async {
            for _ in 0..120 {
                // One that remembers nothing has to read all of it.
                let (_, total) = found(&Instance::new(&fake), "ann", "q=heads").await;
                assert_eq!(total, 1);
            }
        };
        join(writing, looking).await;
    });
}
