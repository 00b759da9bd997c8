//! The function's routes, on a platform in memory.

mod accounts;
mod agents;
mod batch;
mod changes;
mod contract;
mod inbox;
mod list;
mod occurrences;
mod once;
mod outbox;
mod parents;
mod planner;
mod together;
mod transfer;
mod undo;

use axum::body::Body;
use docket_domain::outbox::SLOTS;
use docket_fake::{APP_TOKEN, Fake, Fault, config, yield_now};
use docket_service::serve::serve;
use futures::executor::block_on;
use futures::future::join_all;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use crate::{App, router};

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    async fn of(response: axum::response::Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        if let Some(length) = parts.headers.get("content-length") {
            assert_eq!(
                length.to_str().unwrap(),
                bytes.len().to_string(),
                "what is announced is what comes"
            );
        }
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap()
        };
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }
}

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

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = serve(&self.fake, self.router.clone(), request).await;
        Answer::of(response).await
    }

    async fn ask(&self, account: &str, method: &str, path: &str, body: impl Into<Body>) -> Answer {
        self.send(self.request(account, method, path, body)).await
    }

    fn request(
        &self,
        account: &str,
        method: &str,
        path: &str,
        body: impl Into<Body>,
    ) -> Request<Body> {
        let token = self.fake.token(account, |_, _, _| {});
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"));
        request.body(body.into()).unwrap()
    }

    async fn json(&self, account: &str, method: &str, path: &str, body: Value) -> Answer {
        self.ask(account, method, path, body.to_string()).await
    }

    async fn create(&self, account: &str, title: &str) -> Value {
        let answer = self
            .json(account, "POST", "/api/tasks", json!({ "title": title }))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body
    }

    async fn sweep(&self) -> Answer {
        let request =
            Request::post("/internal/tasks/outbox-sweep").header("dapr-api-token", APP_TOKEN);
        self.send(request.body(Body::empty()).unwrap()).await
    }

    async fn titles(&self, account: &str) -> Vec<String> {
        let answer = self
            .ask(account, "GET", "/api/tasks?status=all&limit=200", "")
            .await;
        let tasks = answer.body["tasks"].as_array().unwrap().iter();
        tasks
            .map(|task| task["title"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn instance() -> Instance {
    Instance::new(&Fake::default())
}

#[test]
fn a_task_lives_and_dies() {
    block_on(async {
        let instance = instance();
        let made = instance
            .json(
                "ann",
                "POST",
                "/api/tasks",
                json!({ "title": "Milk", "tags": ["shop"] }),
            )
            .await;
        assert_eq!(made.status, 201);
        let id = made.body["id"].as_str().unwrap().to_owned();
        let path = format!("/api/tasks/{id}");
        assert_eq!(made.headers["location"], path.as_str());
        assert_eq!(made.headers["etag"], "\"1\"");
        assert!(made.headers.contains_key("x-request-id"));
        assert_eq!(instance.ask("ann", "GET", &path, "").await.body, made.body);

        let patched = instance
            .json("ann", "PATCH", &path, json!({ "priority": "high" }))
            .await;
        assert_eq!(
            (patched.status.as_u16(), &patched.body["priority"]),
            (200, &json!("high"))
        );
        assert_eq!(patched.body["version"], 2);
        let done = instance
            .ask("ann", "POST", &format!("{path}/complete"), "")
            .await;
        assert_eq!(done.body["status"], "done");
        assert_eq!(
            instance.ask("ann", "GET", "/api/tasks", "").await.body["total"],
            0
        );
        let all = instance
            .ask("ann", "GET", "/api/tasks?status=done", "")
            .await;
        assert_eq!(
            (&all.body["total"], &all.body["tasks"][0]["id"]),
            (&json!(1), &json!(id))
        );
        let open = instance
            .ask("ann", "POST", &format!("{path}/reopen"), "")
            .await;
        assert_eq!(
            (&open.body["status"], &open.body["completed_at"]),
            (&json!("open"), &Value::Null)
        );
        assert_eq!(instance.ask("ann", "DELETE", &path, "").await.status, 204);
        assert_eq!(instance.ask("ann", "GET", &path, "").await.status, 404);
        assert_eq!(instance.ask("ann", "DELETE", &path, "").await.status, 404);

        instance.fake.settle().await;
        let kinds: Vec<Value> = instance
            .fake
            .events("task-events")
            .iter()
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
        assert_eq!(instance.fake.events("task-updates").len(), 5);
        assert!(instance.fake.keys("outbox:").is_empty());
    });
}

#[test]
fn a_position_stays_to_its_last_digit_when_other_fields_change() {
    block_on(async {
        let instance = instance();
        for n in 1..=40 {
            let position = f64::from(n).sqrt() * 1_000.0;
            let task = json!({ "title": "one", "position": position });
            let created = instance.json("ann", "POST", "/api/tasks", task).await.body;
            assert_eq!(created["position"].as_f64(), Some(position));
            let path = format!("/api/tasks/{}", created["id"].as_str().unwrap());
            let patch = json!({ "title": "two" });
            let patched = instance.json("ann", "PATCH", &path, patch).await.body;
            assert_eq!(patched["position"].as_f64(), Some(position));
        }
        instance.fake.settle().await;
        for event in instance
            .fake
            .events("task-events")
            .iter()
            .skip(1)
            .step_by(2)
        {
            let changes = event["data"]["changes"].as_object().unwrap();
            assert_eq!(changes.keys().collect::<Vec<_>>(), ["title"]);
        }
    });
}

#[test]
fn the_events_have_the_shape_of_the_golden_files() {
    block_on(async {
        let instance = instance();
        let full = json!({
            "title": "Pay rent", "description": "cash", "priority": "high", "tags": ["home"], "position": 2.5,
            "due": { "date": "2026-12-01", "time": "09:00", "time_zone": "Europe/Berlin" },
            "reminders": [{ "before": "PT30M" }], "recurrence": { "rule": "monthly" },
        });
        let id = instance.json("ann", "POST", "/api/tasks", full).await.body["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let path = format!("/api/tasks/{id}");
        instance
            .json(
                "ann",
                "PATCH",
                &path,
                json!({ "due": { "time": "10:00" }, "tags": null }),
            )
            .await;
        instance
            .ask("ann", "POST", &format!("{path}/complete"), "")
            .await;
        instance
            .ask("ann", "POST", &format!("{path}/reopen"), "")
            .await;
        instance.ask("ann", "DELETE", &path, "").await;
        instance.fake.settle().await;
        for topic in ["task-events", "task-updates"] {
            for event in instance.fake.events(topic) {
                golden(
                    &format!("{topic}/{}.json", event["type"].as_str().unwrap()),
                    &event,
                );
            }
        }
    });
}

/// Compares with a file of tests/golden; with UPDATE_GOLDEN=1 it writes the file instead.
fn golden(name: &str, value: &Value) {
    let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    let text = format!("{value:#}\n");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &text).unwrap();
    }
    let expected =
        std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    assert_eq!(
        text, expected,
        "{name}: if the change is meant, run the test with UPDATE_GOLDEN=1"
    );
}

#[test]
fn only_a_valid_token_gets_in() {
    block_on(async {
        let instance = instance();
        let fake = &instance.fake;
        let good = fake.token("ann", |_, _, _| {});
        let flip = |token: &str, part: usize| {
            let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
            let flipped = if parts[part].starts_with('A') {
                "B"
            } else {
                "A"
            };
            parts[part].replace_range(10..11, flipped);
            parts.join(".")
        };
        let none = r#"{"alg":"none","kid":"k1"}"#;
        use base64::Engine as _;
        let none = format!(
            "{}.{}.",
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(none),
            good.split('.').nth(1).unwrap()
        );
        for (name, header, status) in [
            ("good", format!("Bearer {good}"), 200),
            ("lower case scheme", format!("bearer {good}"), 200),
            ("again, from the cache", format!("Bearer {good}"), 200),
            ("other scheme", format!("Basic {good}"), 401),
            ("empty", "Bearer ".into(), 401),
            ("no scheme", good.clone(), 401),
            (
                "forged signature",
                format!("Bearer {}", flip(&good, 2)),
                401,
            ),
            ("forged claims", format!("Bearer {}", flip(&good, 1)), 401),
            ("alg none", format!("Bearer {none}"), 401),
            (
                "expired",
                format!(
                    "Bearer {}",
                    fake.token("ann", |_, seconds, _| *seconds = -60)
                ),
                401,
            ),
            (
                "unknown key",
                format!(
                    "Bearer {}",
                    fake.token("ann", |_, _, kid| *kid = "k9".into())
                ),
                401,
            ),
            (
                "other issuer",
                format!("Bearer {}", fake.token("ann", |c, _, _| c.iss = "x".into())),
                401,
            ),
            (
                "other audience",
                format!("Bearer {}", fake.token("ann", |c, _, _| c.aud = "x".into())),
                401,
            ),
            (
                "odd account",
                format!("Bearer {}", fake.token("a||b", |_, _, _| {})),
                401,
            ),
            ("huge", format!("Bearer {}", "a".repeat(100_000)), 401),
        ] {
            let request = Request::get("/api/tasks")
                .header("authorization", header)
                .body(Body::empty())
                .unwrap();
            let answer = instance.send(request).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.body);
            if status == 401 {
                assert_eq!(answer.body["code"], "unauthorized", "{name}");
                assert_eq!(answer.headers["www-authenticate"], "Bearer", "{name}");
            }
        }
        let without = instance
            .send(Request::get("/api/tasks").body(Body::empty()).unwrap())
            .await;
        assert_eq!(
            (without.status.as_u16(), &without.body["code"]),
            (401, &json!("unauthorized"))
        );
        // A token that was good is not good for ever, in the cache either.
        fake.world().micros += 3_700_000_000;
        let request = Request::get("/api/tasks").header("authorization", format!("Bearer {good}"));
        assert_eq!(
            instance
                .send(request.body(Body::empty()).unwrap())
                .await
                .status,
            401
        );
    });
}

#[test]
fn internal_routes_are_for_the_sidecar_alone() {
    block_on(async {
        let instance = instance();
        assert_eq!(instance.sweep().await.status, 200);
        let user = instance
            .ask("ann", "POST", "/internal/tasks/outbox-sweep", "")
            .await;
        assert_eq!(user.status, 401);
        let wrong = Request::post("/internal/tasks/outbox-sweep").header("dapr-api-token", "guess");
        assert_eq!(
            instance
                .send(wrong.body(Body::empty()).unwrap())
                .await
                .status,
            401
        );
    });
}

#[test]
fn bad_input_gets_a_clear_error_and_changes_nothing() {
    block_on(async {
        let instance = instance();
        let id = instance.create("ann", "here").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        instance.fake.settle().await;
        let before = instance.fake.world().state.clone();
        let other = "/api/tasks/0-000000000000".to_owned();
        let task = format!("/api/tasks/{id}");
        let tags: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
        let cases: Vec<(&str, &str, Vec<u8>, u16, &str)> = vec![
            (
                "POST",
                "/api/tasks",
                vec![b' '; 2_000_000],
                413,
                "too_large",
            ),
            (
                "POST",
                "/api/tasks",
                b"{\"title\":\"\xff\"}".to_vec(),
                400,
                "malformed",
            ),
            ("POST", "/api/tasks", b"".to_vec(), 400, "malformed"),
            (
                "POST",
                "/api/tasks",
                format!("{{\"x\":{}", "[".repeat(50_000)).into_bytes(),
                400,
                "malformed",
            ),
            (
                "POST",
                "/api/tasks",
                b"{\"title\":\"a\",\"colour\":1}".to_vec(),
                422,
                "invalid",
            ),
            (
                "POST",
                "/api/tasks",
                b"{\"title\":\"a\",\"status\":\"done\"}".to_vec(),
                422,
                "invalid",
            ),
            (
                "POST",
                "/api/tasks",
                json!({ "title": "a", "tags": tags })
                    .to_string()
                    .into_bytes(),
                422,
                "invalid",
            ),
            ("PATCH", &task, b"{\"id\":\"x\"}".to_vec(), 422, "invalid"),
            ("PATCH", &task, b"{\"title\":null}".to_vec(), 422, "invalid"),
            ("PATCH", &other, b"{}".to_vec(), 404, "not_found"),
            ("GET", &other, vec![], 404, "not_found"),
            (
                "GET",
                "/api/tasks/zzzzzz-000000000000",
                vec![],
                404,
                "not_found",
            ),
            ("DELETE", "/api/tasks/%00%ff", vec![], 404, "not_found"),
            ("DELETE", "/api/tasks/..", vec![], 404, "not_found"),
            ("GET", "/api/tasks?status=late", vec![], 422, "invalid"),
            ("GET", "/api/tasks?limit=0", vec![], 422, "invalid"),
            ("GET", "/api/tasks?limit=201", vec![], 422, "invalid"),
            (
                "GET",
                "/api/tasks?limit=99999999999999999999",
                vec![],
                422,
                "invalid",
            ),
            ("GET", "/api/tasks?cursor=abc", vec![], 422, "invalid"),
            ("GET", "/api/tasks?colour=red", vec![], 422, "invalid"),
            ("PUT", &task, vec![], 405, "method_not_allowed"),
            ("GET", "/api/other", vec![], 404, "not_found"),
        ];
        for (method, path, body, status, code) in cases {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
            let answer = instance.ask("ann", method, path, body).await;
            assert_eq!(
                (answer.status.as_u16(), answer.body["code"].as_str()),
                (status, Some(code)),
                "{method} {path} {shown}"
            );
            assert_eq!(
                answer.headers["content-type"], "application/problem+json",
                "{method} {path} {shown}"
            );
            assert_eq!(
                answer.body["request_id"],
                answer.headers["x-request-id"].to_str().unwrap()
            );
        }
        assert_eq!(instance.fake.world().state, before);
    });
}

#[test]
fn one_account_does_not_see_the_other() {
    block_on(async {
        let instance = instance();
        let id = instance.create("ann", "mine").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        for (method, path) in [
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/complete"),
            ("POST", "/reopen"),
        ] {
            let answer = instance
                .ask("bob", method, &format!("/api/tasks/{id}{path}"), "")
                .await;
            assert_eq!(answer.status, 404, "{method} {path}");
        }
        assert!(instance.titles("bob").await.is_empty());
        instance.create("ann", "and mine").await;
        let cursor = instance
            .ask("ann", "GET", "/api/tasks?limit=1", "")
            .await
            .body["next_cursor"]
            .clone();
        let path = format!("/api/tasks?limit=1&cursor={}", cursor.as_str().unwrap());
        assert_eq!(instance.ask("bob", "GET", &path, "").await.status, 422);
        assert_eq!(
            instance.ask("ann", "GET", &path, "").await.body["tasks"][0]["title"],
            "mine"
        );
    });
}

#[test]
fn a_stale_if_match_is_refused() {
    block_on(async {
        let instance = instance();
        let id = instance.create("ann", "a").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let token = instance.fake.token("ann", |_, _, _| {});
        for (etag, status) in [
            ("\"9\"", 412),
            ("nine", 400),
            ("W/\"1\"", 400),
            ("\"1\"", 200),
            ("*", 200),
            ("\"1\"", 412),
        ] {
            let request = Request::patch(format!("/api/tasks/{id}"))
                .header("authorization", format!("Bearer {token}"))
                .header("if-match", etag)
                .body(Body::from(
                    json!({ "title": format!("by {etag} {status}") }).to_string(),
                ));
            assert_eq!(
                instance.send(request.unwrap()).await.status,
                status,
                "{etag}"
            );
        }
    });
}

#[test]
fn writers_at_once_are_all_served_once() {
    block_on(async {
        let fake = Fake::default();
        // Two instances: they share nothing but the state.
        let instances = [Instance::new(&fake), Instance::new(&fake)];
        let writers = (0..16).map(|w| {
            let instance = &instances[w % 2];
            async move {
                for n in 0..5 {
                    instance.create("ann", &format!("{w}.{n}")).await;
                }
            }
        });
        join_all(writers).await;
        fake.settle().await;
        let mut titles = instances[0].titles("ann").await;
        titles.sort_unstable();
        titles.dedup();
        assert_eq!(titles.len(), 80);
        let seqs: Vec<u64> = fake
            .events("task-events")
            .iter()
            .map(|e| e["data"]["seq"].as_u64().unwrap())
            .collect();
        assert_eq!(
            seqs,
            (1..=80).collect::<Vec<_>>(),
            "every event, in the account's order"
        );
        assert!(fake.keys("outbox:").is_empty());
    });
}

#[test]
fn an_instance_publishes_each_event_once() {
    block_on(async {
        let instance = instance();
        let writers = (0..8).map(|w| {
            let (instance, account) = (&instance, format!("account{}", w / 2));
            async move {
                for n in 0..10 {
                    instance.create(&account, &format!("{w}.{n}")).await;
                }
            }
        });
        // Delivering goes on while they write.
        let over = std::cell::Cell::new(false);
        let writing = async {
            join_all(writers).await;
            over.set(true);
        };
        let delivering = async {
            while !over.get() {
                instance.fake.settle().await;
                yield_now().await;
            }
        };
        futures::join!(writing, delivering);
        instance.fake.settle().await;
        assert_eq!(instance.fake.world().published.len(), 2 * 80);
        assert_eq!(instance.fake.events("task-events").len(), 80);
    });
}

#[test]
fn a_lost_answer_does_not_make_a_task_twice() {
    block_on(async {
        for faults in [
            vec![Fault::AnswerLost],
            vec![Fault::Away],
            vec![Fault::Away, Fault::AnswerLost],
            vec![Fault::None, Fault::AnswerLost],
        ] {
            let instance = instance();
            instance.fake.world().transactions = faults.clone().into();
            let first = instance.create("ann", "a").await;
            let second = instance.create("ann", "b").await;
            instance.fake.settle().await;
            assert_eq!(instance.titles("ann").await, ["b", "a"], "{faults:?}");
            assert_eq!(
                (&first["version"], &second["version"]),
                (&json!(1), &json!(2)),
                "{faults:?}"
            );
            assert_eq!(instance.fake.events("task-events").len(), 2, "{faults:?}");
        }
    });
}

#[test]
fn a_sidecar_that_is_away_means_503_and_nothing_stored() {
    block_on(async {
        let instance = instance();
        instance.create("ann", "before").await;
        instance.fake.world().away = true;
        let started = instance.fake.world().micros;
        for (method, path) in [("POST", "/api/tasks"), ("GET", "/api/tasks")] {
            let answer = instance
                .json("ann", method, path, json!({ "title": "a" }))
                .await;
            assert_eq!(
                (answer.status.as_u16(), &answer.body["code"]),
                (503, &json!("unavailable"))
            );
            assert!(answer.headers.contains_key("retry-after"));
        }
        assert!(instance.fake.world().micros - started < 6_000_000);
        instance.fake.world().away = false;
        assert_eq!(instance.titles("ann").await, ["before"]);
    });
}

#[test]
fn what_a_crash_left_the_sweep_delivers_in_order() {
    block_on(async {
        let fake = Fake::default();
        let instance = Instance::new(&fake);
        for n in 0..5 {
            instance.create("ann", &format!("ann {n}")).await;
            instance.create("bob", &format!("bob {n}")).await;
        }
        fake.crash();
        assert_eq!(fake.events("task-events").len(), 0);
        // Within the grace time the sweep leaves the slots alone.
        let next = Instance::new(&fake);
        assert_eq!(next.sweep().await.body["freed"], 0);
        // Somebody else's change waits for the slots before it to be free, and then leaves its own to the sweep too.
        let started = fake.world().micros;
        next.create("ann", "ann 5").await;
        fake.settle().await;
        assert_eq!(fake.events("task-events").len(), 0);
        let waited = fake.world().micros - started;
        assert!((2_000_000..3_000_000).contains(&waited), "{waited}");
        assert_eq!(next.sweep().await.body["freed"], 11);
        let seqs = |account: &str| -> Vec<u64> {
            let events = fake.events("task-events");
            let own = events
                .iter()
                .filter(|event| event["data"]["account"] == account);
            own.map(|event| event["data"]["seq"].as_u64().unwrap())
                .collect()
        };
        assert_eq!(
            (seqs("ann"), seqs("bob")),
            ((1..=6).collect(), (1..=5).collect())
        );
        assert!(fake.keys("outbox:").is_empty());
        assert_eq!(next.sweep().await.body["freed"], 0);
    });
}

#[test]
fn who_waits_for_a_slot_holds_up_nobody_else() {
    block_on(async {
        let fake = Fake::default();
        Instance::new(&fake).create("ann", "left by a crash").await;
        fake.crash();
        let instance = Instance::new(&fake);
        instance.create("ann", "waits").await;
        let elapsed = |since: i64| fake.world().micros - since;
        let started = elapsed(0);
        let other = async {
            // By then the looks at ann's slot are far apart.
            for n in 0..8 {
                while elapsed(started) < 300_000 + i64::from(n) * 161_000 {
                    yield_now().await;
                }
                instance.create("bob", "comes later").await;
                fake.settle().await;
                let stored = elapsed(0);
                while fake.events("task-events").len() <= n as usize {
                    assert!(elapsed(stored) < 20_000, "bob waits for ann");
                    yield_now().await;
                }
            }
        };
        futures::join!(fake.settle(), other);
        let events = fake.events("task-events");
        assert_eq!(events.len(), 8);
        assert!(events.iter().all(|e| e["data"]["account"] == "bob"));
    });
}

#[test]
fn a_ring_too_large_for_one_answer_is_swept_in_parts() {
    block_on(async {
        let instance = instance();
        let task = json!({ "title": "a", "description": "x".repeat(8_000) });
        let operations = vec![json!({ "op": "create", "task": task }); 20];
        for _ in 0..6 {
            let body = json!({ "operations": operations.clone() });
            let answer = instance.json("ann", "POST", "/api/tasks/batch", body).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
        instance.fake.crash();
        // Of the slots, with 170 KB each, two fit into an answer.
        instance.fake.world().max_answer = Some(400_000);
        instance.fake.world().micros += 10_000_000;
        assert_eq!(instance.sweep().await.body["freed"], 6);
        assert_eq!(instance.fake.events("task-events").len(), 120);
        assert!(instance.fake.keys("outbox:").is_empty());
    });
}

#[test]
fn a_damaged_slot_and_a_clock_that_was_set_back_do_not_stop_the_sweep() {
    block_on(async {
        let instance = instance();
        instance.create("ann", "a").await;
        let damaged = "outbox:5".to_owned();
        instance
            .fake
            .world()
            .state
            .insert(damaged.clone(), (json!({ "what": 1 }), 1));
        instance.fake.crash();
        instance.fake.world().micros -= 3_600_000_000;
        assert_eq!(instance.sweep().await.body["freed"], 1);
        assert_eq!(instance.fake.keys("outbox:"), [damaged]);
    });
}

#[test]
fn an_absent_broker_delays_events_and_loses_none() {
    block_on(async {
        for fault in [Fault::Away, Fault::AnswerLost] {
            let instance = instance();
            instance.create("ann", "a").await;
            instance.fake.world().publishings = vec![fault; 3].into();
            instance.create("ann", "b").await;
            instance.fake.settle().await;
            instance.create("ann", "c").await;
            instance.fake.settle().await;
            assert!(!instance.fake.keys("outbox:").is_empty());
            instance.fake.world().publishings.clear();
            instance.fake.world().micros += 10_000_000;
            instance.sweep().await;
            let events = instance.fake.events("task-events");
            let titles: Vec<&str> = events
                .iter()
                .map(|e| e["data"]["task"]["title"].as_str().unwrap())
                .collect();
            assert_eq!(titles, ["a", "b", "c"], "{fault:?}");
            assert!(instance.fake.keys("outbox:").is_empty());
        }
    });
}

#[test]
fn a_full_ring_refuses_and_a_nearly_full_one_does_not() {
    block_on(async {
        let instance = instance();
        instance.create("ann", "a").await;
        let slot = instance.fake.keys("outbox:").remove(0);
        let taken = instance.fake.world().state[&slot].clone();
        for n in (0..SLOTS).filter(|n| *n != 77) {
            instance
                .fake
                .world()
                .state
                .insert(format!("outbox:{n}"), taken.clone());
        }
        // By chance a free slot would be found once in a thousand tries.
        instance.create("ann", "b").await;
        let before = instance.fake.world().state.clone();
        let refused = instance
            .json("ann", "POST", "/api/tasks", json!({ "title": "c" }))
            .await;
        assert_eq!(refused.status, 503);
        assert_eq!(refused.headers["retry-after"], "5");
        assert_eq!(instance.fake.world().state, before);
    });
}

#[test]
fn a_slot_that_was_taken_anew_is_not_freed() {
    block_on(async {
        let instance = instance();
        instance.create("ann", "a").await;
        let slot = instance.fake.keys("outbox:").remove(0);
        // The sweep of another replica was faster, and the slot is somebody else's by now.
        let mut other = instance.fake.world().state[&slot].clone();
        other.0["change"] = json!("another");
        other.1 += 1_000;
        instance.fake.world().state.insert(slot.clone(), other);
        instance.fake.settle().await;
        assert_eq!(instance.fake.keys("outbox:"), [slot]);
    });
}
