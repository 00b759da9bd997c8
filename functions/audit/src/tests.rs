//! The routes, next to a sidecar in memory.

use axum::body::Body;
use docket_api::openapi;
use docket_domain::account_deleted::AccountDeleted;
use docket_domain::audit::{Entry, Log, page_key};
use docket_domain::{AccountId, Instant, TaskId};
use docket_fake::{APP_TOKEN, Fake, Fault, check_document, config, task_event, together, verdicts};
use futures::executor::block_on;
use futures::future::join_all;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use crate::routes::table;
use crate::{App, router};

/// One instance of the function, with whoever asks it.
struct Instance {
    fake: Fake,
    router: axum::Router,
}

impl Instance {
    fn new(fake: &Fake) -> Self {
        Self {
            fake: fake.clone(),
            router: router(App::new(fake.clone(), &config()).unwrap()),
        }
    }

    async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let (status, body) = docket_fake::send(&self.fake, &self.router, request).await;
        (StatusCode::from_u16(status).unwrap(), body)
    }

    async fn get(&self, account: &str, path: &str) -> (StatusCode, Value) {
        let token = self.fake.token(account, |_, _, _| {});
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn post(&self, token: &str, path: &str, body: String) -> (StatusCode, Value) {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("dapr-api-token", token)
            .body(body.into());
        self.send(request.unwrap()).await
    }

    /// Delivers events together; gives what is said of each.
    async fn deliver(&self, events: &[Value]) -> Vec<String> {
        let path = "/internal/audit/task-events";
        let body = together(events).to_string();
        let (status, answer) = self.post(APP_TOKEN, path, body).await;
        assert_eq!(status, 200, "{answer}");
        verdicts(&answer, events.len())
    }

    /// The sequence numbers of all pages from a path on.
    async fn walk(&self, account: &str, path: &str) -> Vec<u64> {
        let (mut seqs, mut cursor) = (Vec::new(), String::new());
        loop {
            let (status, page) = self.get(account, &format!("{path}&cursor={cursor}")).await;
            assert_eq!(status, 200, "{page}");
            let entries = page["entries"].as_array().unwrap();
            seqs.extend(entries.iter().map(|e| e["seq"].as_u64().unwrap()));
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => return seqs,
            }
        }
    }
}

const KINDS: [&str; 5] = [
    "task-created",
    "task-updated",
    "task-completed",
    "task-reopened",
    "task-deleted",
];

/// The event of a sequence number of one of three tasks.
fn event(account: &str, seq: u64) -> Value {
    let mut event = task_event("task-updated");
    event["id"] = format!("c-{seq}").into();
    event["subject"] = TaskId::new(0, seq % 3).to_string().into();
    event["time"] = format!("2026-11-23T08:{:02}:{:02}.000Z", seq / 60 % 60, seq % 60).into();
    event["data"]["account"] = account.into();
    event["data"]["seq"] = seq.into();
    event["data"]["actor"]["id"] = account.into();
    event
}

fn events(account: &str, seqs: impl IntoIterator<Item = u64>) -> Vec<Value> {
    seqs.into_iter().map(|seq| event(account, seq)).collect()
}

async fn filled(fake: &Fake, count: u64) -> Instance {
    let instance = Instance::new(fake);
    for chunk in events("ann", 1..=count).chunks(32) {
        let told = instance.deliver(chunk).await;
        assert!(told.iter().all(|status| status == "SUCCESS"), "{told:?}");
    }
    instance
}

#[test]
fn every_event_of_tasks_has_its_entry() {
    let instance = Instance::new(&Fake::default());
    let all: Vec<Value> = KINDS.map(task_event).to_vec();
    block_on(async {
        assert_eq!(instance.deliver(&all).await, ["SUCCESS"; 5]);
        let (_, page) = instance.get("ann", "/api/audit").await;
        let entries = page["entries"].as_array().unwrap();
        assert_eq!(entries.len(), 5);
        for (entry, event) in entries.iter().rev().zip(&all) {
            assert_eq!(entry["event_id"], event["id"]);
            assert_eq!(entry["type"], event["type"]);
            assert_eq!(entry["task_id"], event["subject"]);
            assert_eq!(entry["at"], event["time"]);
            for field in ["seq", "actor", "changes"] {
                assert_eq!(entry[field], event["data"][field], "{field}");
            }
            assert_eq!(entry["title"], "Pay rent");
        }
        assert_eq!(entries[0]["task"], all[4]["data"]["task"]);
        assert_eq!(entries[0]["previous_hash"], entries[1]["hash"]);
        let (_, verified) = instance.get("ann", "/api/audit/verify").await;
        let expected = json!({
            "entries": 5, "ok": true, "missing": [], "late": 0, "redacted": 0, "hash": entries[0]["hash"],
        });
        assert_eq!(verified, expected);
        let path = format!("/api/tasks/{}/history", all[0]["subject"].as_str().unwrap());
        let (_, history) = instance.get("ann", &path).await;
        let mut oldest_first = entries.clone();
        oldest_first.reverse();
        assert_eq!(
            history,
            json!({ "entries": oldest_first, "next_cursor": null })
        );
    });
}

#[test]
fn a_second_delivery_changes_nothing() {
    let fake = Fake::default();
    block_on(async {
        let instance = filled(&fake, 100).await;
        let before = fake.world().state.clone();
        for chunk in events("ann", 1..=100).chunks(7) {
            let told = instance.deliver(chunk).await;
            assert!(told.iter().all(|status| status == "SUCCESS"));
        }
        instance.deliver(&events("ann", [7, 7, 100, 1])).await;
        assert_eq!(fake.world().state, before);
    });
}

#[test]
fn what_is_no_event_is_dropped_and_holds_up_no_other() {
    let fake = Fake::default();
    let instance = Instance::new(&fake);
    let mut odd = event("ann", 2);
    odd["data"]["account"] = "a/b".into();
    let mut unknown = event("ann", 2);
    unknown["type"] = "task-exploded".into();
    let all = [
        event("ann", 1),
        json!("x"),
        odd,
        Value::Null,
        unknown,
        event("ann", 2),
    ];
    block_on(async {
        let told = instance.deliver(&all).await;
        assert_eq!(told, ["SUCCESS", "DROP", "DROP", "DROP", "DROP", "SUCCESS"]);
        assert_eq!(instance.walk("ann", "/api/audit?limit=9").await, [2, 1]);
        for body in ["", "{", "[]", r#"{"entries":[{}]}"#] {
            let path = "/internal/audit/task-events";
            let (status, _) = instance.post(APP_TOKEN, path, body.to_owned()).await;
            assert_eq!(status, 400, "{body}");
        }
    });
}

#[test]
fn the_sidecar_alone_delivers_and_asks() {
    let fake = Fake::default();
    let instance = Instance::new(&fake);
    block_on(async {
        for wrong in ["", "wrong", "to-the-sidecar"] {
            for path in ["/internal/audit/task-events", "/internal/audit/entry"] {
                let (status, problem) = instance.post(wrong, path, "{}".to_owned()).await;
                assert_eq!(
                    (status.as_u16(), &problem["code"]),
                    (401, &json!("unauthorized"))
                );
            }
        }
    });
    assert!(fake.world().state.is_empty());
}

#[test]
fn a_store_that_fails_loses_nothing() {
    let fake = Fake::default();
    let instance = Instance::new(&fake);
    block_on(async {
        fake.world()
            .transactions
            .extend([Fault::AnswerLost, Fault::Away]);
        assert_eq!(instance.deliver(&events("ann", 1..=3)).await, ["RETRY"; 3]);
        assert_eq!(instance.deliver(&events("ann", 1..=5)).await, ["RETRY"; 5]);
        assert_eq!(
            instance.deliver(&events("ann", 1..=5)).await,
            ["SUCCESS"; 5]
        );
        fake.world().away = true;
        assert_eq!(instance.deliver(&events("ann", [6])).await, ["RETRY"]);
        fake.world().away = false;
        // A log that somebody has made unreadable holds up nobody else.
        fake.world().state.get_mut("audit:ann").unwrap().0 = json!("?");
        let both = [event("bob", 1), event("ann", 6)];
        assert_eq!(instance.deliver(&both).await, ["SUCCESS", "DROP"]);
        let (status, problem) = instance.get("ann", "/api/audit/verify").await;
        assert_eq!(
            (status.as_u16(), &problem["code"]),
            (500, &json!("internal"))
        );
    });
}

#[test]
fn instances_that_race_give_one_chain() {
    let fake = Fake::default();
    let instances: Vec<Instance> = (0..3).map(|_| Instance::new(&fake)).collect();
    block_on(async {
        for start in (0..300).step_by(30) {
            // Each instance is delivered all of them: the partition has moved in the midst of it.
            let all = events("ann", start + 1..=start + 30);
            join_all(instances.iter().map(|instance| instance.deliver(&all))).await;
            instances[0].deliver(&all).await;
        }
        let (_, verified) = instances[0].get("ann", "/api/audit/verify").await;
        assert_eq!(
            (&verified["entries"], &verified["ok"]),
            (&json!(300), &json!(true))
        );
        let seqs = instances[0].walk("ann", "/api/audit?limit=50").await;
        assert_eq!(seqs, (1..=300).rev().collect::<Vec<u64>>());
    });
}

#[test]
fn lists_are_filtered_and_paged() {
    let fake = Fake::default();
    block_on(async {
        let instance = filled(&fake, 400).await;
        let task = TaskId::new(0, 1);
        let of_task: Vec<u64> = (1..=400).filter(|seq| seq % 3 == 1).collect();
        for limit in [1, 7, 60, 500] {
            let path = format!("/api/tasks/{task}/history?limit={limit}");
            assert_eq!(instance.walk("ann", &path).await, of_task, "{limit}");
            let path = format!("/api/audit?task={task}&limit={limit}");
            let mut seqs = instance.walk("ann", &path).await;
            seqs.reverse();
            assert_eq!(seqs, of_task, "{limit}");
        }
        let walked = |query: &'static str| {
            let instance = &instance;
            async move { instance.walk("ann", &format!("/api/audit?{query}")).await }
        };
        let all: Vec<u64> = (1..=400).rev().collect();
        assert_eq!(walked("limit=50").await, all);
        assert_eq!(
            walked("actor=ann&type=task-updated&type=task-created").await,
            all
        );
        assert!(walked("type=task-created").await.is_empty());
        assert!(walked("actor=recurrence").await.is_empty());
        let some = walked("from=2026-11-23T08:02:00Z&to=2026-11-23T08:02:03%2B00:00").await;
        assert_eq!(some, [122, 121, 120]);
        assert!(walked("from=2026-11-24").await.is_empty());

        // What nobody asked for is not read.
        fake.world().reads = 0;
        let bulk = |fake: &Fake| fake.keys("audit:ann:").len();
        assert!(bulk(&fake) > 10);
        let path = format!("/api/audit?task={}", TaskId::new(9, 9));
        let (_, page) = instance.get("ann", &path).await;
        assert_eq!(page, json!({ "entries": [], "next_cursor": null }));
        assert_eq!(fake.world().reads, 2, "the log and the index of the task");
    });
}

#[test]
fn questions_that_cannot_be_are_refused() {
    let fake = Fake::default();
    block_on(async {
        let instance = filled(&fake, 100).await;
        let (_, page) = instance.get("ann", "/api/audit?limit=5").await;
        let cursor = page["next_cursor"].as_str().unwrap();
        let of_another = format!("/api/audit?cursor={cursor}");
        let (status, _) = instance.get("bob", &of_another).await;
        assert_eq!(status, 422);
        for (query, pointer) in [
            ("task=x", "/task"),
            ("type=task-exploded", "/type"),
            ("from=yesterday", "/from"),
            ("to=2026-13-01", "/to"),
            ("actor=", "/actor"),
            ("limit=0", "/limit"),
            ("limit=501", "/limit"),
            ("cursor=x", "/cursor"),
            ("sort=at", "/sort"),
            (&format!("type=task-updated&cursor={cursor}"), "/cursor"),
        ] {
            let (status, problem) = instance.get("ann", &format!("/api/audit?{query}")).await;
            assert_eq!(status, 422, "{query}");
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{query}");
        }
        let known = TaskId::new(0, 1);
        for (account, id) in [
            ("ann", "0-zzzzzzzzzzzz".to_owned()),
            ("ann", "x".to_owned()),
            ("ann", "%ff".to_owned()),
            ("bob", known.to_string()),
        ] {
            let (status, problem) = instance
                .get(account, &format!("/api/tasks/{id}/history"))
                .await;
            assert_eq!(
                (status.as_u16(), &problem["code"]),
                (404, &json!("not_found")),
                "{id}"
            );
        }
    });
}

#[test]
fn what_was_done_to_the_store_is_found() {
    let fake = Fake::default();
    block_on(async {
        let instance = filled(&fake, 300).await;
        let sound = fake.world().state.clone();
        let ann = AccountId::parse("ann").unwrap();
        let page = |n| page_key(&ann, n);
        type Deed<'a> = &'a dyn Fn(&Fake);
        let of_page = |fake: &Fake, n, deed: &dyn Fn(&mut Vec<Entry>)| {
            let mut world = fake.world();
            let value = &mut world.state.get_mut(&page(n)).unwrap().0;
            let mut entries: Vec<Entry> = serde_json::from_value(value.clone()).unwrap();
            deed(&mut entries);
            *value = serde_json::to_value(entries).unwrap();
        };
        let first: Vec<Entry> = serde_json::from_value(sound[&page(0)].0.clone()).unwrap();
        let size = first.len() as u64;
        let deeds: [(Deed<'_>, u64, &str); 6] = [
            (
                &|f| of_page(f, 0, &|e| e[2].content.title = "x".into()),
                3,
                "changed",
            ),
            (
                &|f| of_page(f, 1, &|e| drop(e.remove(0))),
                size + 1,
                "missing",
            ),
            (&|f| of_page(f, 1, &|e| e.swap(0, 1)), size + 1, "reordered"),
            (&|f| drop(f.world().state.remove(&page(0))), 1, "missing"),
            (
                &|f| {
                    let mut world = f.world();
                    let (a, b) = (world.state[&page(0)].clone(), world.state[&page(1)].clone());
                    world.state.extend([(page(0), b), (page(1), a)]);
                },
                1,
                "reordered",
            ),
            (
                // The log as it was when its first page had just been sealed.
                &|f| {
                    let mut log = Log::default();
                    log.pages.sealed = 1;
                    log.entries = size;
                    for entry in &first {
                        log.sequence.take(entry.content.seq);
                        log.hash = entry.hash;
                    }
                    let value = serde_json::to_value(log).unwrap();
                    f.world().state.get_mut("audit:ann").unwrap().0 = value;
                },
                size + 1,
                "cut_off",
            ),
        ];
        for (deed, position, why) in deeds {
            deed(&fake);
            let (status, found) = instance.get("ann", "/api/audit/verify").await;
            assert_eq!(
                (status.as_u16(), &found["ok"]),
                (200, &json!(false)),
                "{why}"
            );
            let broken = &found["broken_at"];
            assert_eq!(
                (&broken["position"], &broken["why"]),
                (&json!(position), &json!(why))
            );
            fake.world().state.clone_from(&sound);
        }
    });
}

#[test]
fn tasks_is_told_of_an_entry() {
    let fake = Fake::default();
    block_on(async {
        let instance = filled(&fake, 200).await;
        let ask = async |account: &str, task: u64, event_id: &str| {
            let body = json!({ "account": account, "task_id": TaskId::new(0, task), "event_id": event_id });
            let path = "/internal/audit/entry";
            instance.post(APP_TOKEN, path, body.to_string()).await
        };
        for seq in [1_u64, 100, 199] {
            let (_, answer) = ask("ann", seq % 3, &format!("c-{seq}")).await;
            assert_eq!(answer["entry"]["seq"], seq);
            assert_eq!(answer["has_come"], true);
        }
        for (account, task, id, has_come) in [
            ("ann", 2, "c-1", true),
            ("ann", 1, "other-1", true),
            ("ann", 0, "c-201", false),
            ("bob", 1, "c-1", false),
        ] {
            let (_, answer) = ask(account, task, id).await;
            assert_eq!(
                answer,
                json!({ "entry": null, "has_come": has_come }),
                "{id}"
            );
        }
        let (status, _) = ask("ann", 1, "no number").await;
        assert_eq!(status, 400);
    });
}

#[test]
fn the_document_has_every_route_and_no_other_and_each_wants_a_token() {
    let paths = table::<Fake>().into_iter().map(|(path, _)| path);
    let public = paths.filter(|path| !path.starts_with("/internal/"));
    let router = Instance::new(&Fake::default()).router;
    check_document(&openapi::document(), &["audit"], &router, public);
}

#[test]
fn of_a_deleted_account_the_hashes_are_kept_and_nothing_that_it_told() {
    block_on(async {
        let instance = filled(&Fake::default(), 150).await;
        let (_, before) = instance.get("ann", "/api/audit?limit=200").await;
        let deleted = AccountDeleted {
            account: AccountId::parse("ann").unwrap(),
            at: Instant::parse("2026-11-23T08:00:00Z").unwrap(),
        };
        let delete = async || {
            let event = deleted.cloud_event().to_string();
            let path = "/internal/audit/accounts";
            let (status, verdict) = instance.post(APP_TOKEN, path, event).await;
            assert_eq!(status, 200);
            verdict["status"].as_str().unwrap().to_owned()
        };
        // It is cut off after the head was written.
        let faults = [Fault::None, Fault::Away];
        instance.fake.world().transactions.extend(faults);
        assert_eq!(delete().await, "RETRY");
        assert_eq!(delete().await, "SUCCESS");
        assert_eq!(delete().await, "SUCCESS");
        let title = before["entries"][0]["title"].as_str().unwrap();
        assert_eq!(title, "Pay rent");
        for key in instance.fake.keys("") {
            let kept = instance.fake.world().state[&key].0.to_string();
            assert!(!kept.contains(title), "{key}: {kept}");
        }
        let (_, after) = instance.get("ann", "/api/audit?limit=200").await;
        let hashes = |page: &Value| -> Vec<Value> {
            let entries = page["entries"].as_array().unwrap();
            entries.iter().map(|entry| entry["hash"].clone()).collect()
        };
        assert_eq!(hashes(&after), hashes(&before));
        let (_, verified) = instance.get("ann", "/api/audit/verify").await;
        assert_eq!(
            (&verified["ok"], &verified["entries"]),
            (&json!(true), &json!(150))
        );
        // Nothing comes after it.
        instance.deliver(&[event("ann", 151)]).await;
        assert_eq!(
            instance.get("ann", "/api/audit/verify").await.1["entries"],
            150
        );
    });
}
