//! The task inbox: messages of other systems.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_domain::AccountId;
use docket_domain::task_inbox::Signed;

use super::*;

const KEY: [u8; 32] = [9; 32];

fn fake() -> Fake {
    let fake = Fake::default();
    let keys = json!({ "old": URL_SAFE_NO_PAD.encode([8; 32]), "k": URL_SAFE_NO_PAD.encode(KEY) });
    fake.world().secrets.insert("inbox-key".into(), keys);
    fake
}

const AT: &str = "2026-11-23T08:00:00Z";

/// A message of an account that is signed with `key`.
fn signed_with(key: &[u8; 32], id: &str, account: &str, operation: &Value) -> Value {
    let operation = operation.to_string();
    let name = AccountId::parse(account).unwrap();
    let signed = Signed {
        id,
        at: AT,
        account: &name,
        operation: &operation,
    };
    let signature = signed.sign(key);
    let operation: Value = serde_json::from_str(&operation).unwrap();
    json!({ "id": id, "at": AT, "account": account, "signature": signature, "operation": operation })
}

fn signed(id: &str, account: &str, operation: &Value) -> Value {
    signed_with(&KEY, id, account, operation)
}

impl Instance {
    async fn deliver(&self, offset: u32, message: impl Into<Body>) -> u16 {
        let request = Request::post("/inbox")
            .header("dapr-api-token", APP_TOKEN)
            .header("content-type", "application/json")
            .header("__topic", "task-inbox")
            .header("__partition", "3")
            .header("__offset", offset)
            .header("__key", "ann")
            .body(message.into());
        self.send(request.unwrap()).await.status.as_u16()
    }

    /// Delivers a message; gives its result.
    async fn result(&self, message: &Value) -> Value {
        let before = self.fake.world().bound.len();
        assert_eq!(self.deliver(1, message.to_string()).await, 200, "{message}");
        let world = self.fake.world();
        assert_eq!(
            world.bound.len(),
            before + 1,
            "{message}: {:?}",
            world.published_raw
        );
        let (binding, call) = world.bound.last().unwrap();
        assert_eq!(binding, "task-inbox-results");
        assert_eq!(call["operation"], "create");
        assert_eq!(call["metadata"]["partitionKey"], call["data"]["account"]);
        call["data"].clone()
    }

    /// Delivers what has no result; gives the reason, and what is kept of it.
    async fn reason(&self, message: impl Into<Body>) -> (String, Vec<u8>) {
        assert_eq!(self.deliver(7, message).await, 200);
        let world = self.fake.world();
        let (topic, query, bytes) = world.published_raw.last().unwrap();
        assert_eq!(topic, "task-inbox-dead");
        assert!(
            query.contains("metadata.__partition=3&metadata.__topic=task-inbox"),
            "{query}"
        );
        assert!(query.contains("metadata.__offset=7"), "{query}");
        assert!(query.contains("metadata.partitionKey=ann"), "{query}");
        let query = format!("http://q/?{query}");
        let reason = query.split("metadata.reason=").nth(1).unwrap();
        let reason = reason.split('&').next().unwrap().replace("%20", " ");
        (reason, bytes.to_vec())
    }
}

fn create(title: &str) -> Value {
    json!({ "op": "create", "task": { "title": title } })
}

#[test]
fn every_operation_is_carried_out_and_answered_as_over_http() {
    block_on(async {
        let instance = Instance::new(&fake());
        let made = instance.result(&signed("m1", "ann", &create("Milk"))).await;
        assert_eq!(
            (&made["id"], &made["account"], &made["status"]),
            (&json!("m1"), &json!("ann"), &json!(201))
        );
        let id = &made["task"]["id"];
        let update = json!({ "op": "update", "id": id, "task": { "title": "Oat milk" } });
        let steps = [
            ("m2", update, 200, "open"),
            ("m3", json!({ "op": "complete", "id": id }), 200, "done"),
            ("m4", json!({ "op": "reopen", "id": id }), 200, "open"),
        ];
        for (message, operation, status, expected) in steps {
            let result = instance.result(&signed(message, "ann", &operation)).await;
            assert_eq!(result["status"], status, "{result}");
            assert_eq!(result["task"]["status"], expected, "{result}");
            assert_eq!(result["task"]["title"], "Oat milk");
        }
        let gone = json!({ "op": "delete", "id": id });
        let result = instance.result(&signed("m5", "ann", &gone)).await;
        assert_eq!(
            result,
            json!({ "id": "m5", "account": "ann", "status": 204, "deleted": id })
        );
        assert!(instance.titles("ann").await.is_empty());
        instance.fake.settle().await;
        let events = instance.fake.events("task-events");
        let actor = json!({ "kind": "system", "id": "task-inbox" });
        assert_eq!(events.len(), 5);
        assert!(events.iter().all(|event| event["data"]["actor"] == actor));
    });
}

#[test]
fn a_token_does_as_well_and_its_person_is_the_doer() {
    block_on(async {
        let instance = Instance::new(&fake());
        let token = instance.fake.token("ann", |_, _, _| {});
        let message = json!({ "id": "m1", "at": AT, "token": token, "operation": create("Milk") });
        assert_eq!(instance.result(&message).await["status"], 201);
        instance.fake.settle().await;
        let event = &instance.fake.events("task-events")[0];
        assert_eq!(
            event["data"]["actor"],
            json!({ "kind": "person", "id": "ann" })
        );
    });
}

#[test]
fn a_message_counts_once_and_is_answered_alike() {
    block_on(async {
        let fake = fake();
        let (one, two) = (Instance::new(&fake), Instance::new(&fake));
        let message = signed("m1", "ann", &create("Milk"));
        let first = one.result(&message).await;
        let refused = signed(
            "m2",
            "ann",
            &json!({ "op": "complete", "id": "0-000000000000" }),
        );
        let no = one.result(&refused).await;
        assert_eq!(
            (&no["status"], &no["problem"]["code"]),
            (&json!(404), &json!("not_found"))
        );
        assert_eq!(no["problem"]["request_id"], "m2");
        for hours in [0, 1, 7 * 24 - 2] {
            fake.world().micros += hours * 3_600 * 1_000_000;
            let fresh = Instance::new(&fake);
            assert_eq!(two.result(&message).await, first);
            assert_eq!(fresh.result(&refused).await, no);
        }
        // The id of somebody else's message is another one.
        assert_eq!(
            one.result(&signed("m1", "bob", &create("Milk"))).await["status"],
            201
        );
        let other = one.result(&signed("m1", "ann", &create("Bread"))).await;
        assert_eq!(other["problem"]["code"], "idempotency_key_reused");
        assert_eq!(one.titles("ann").await, ["Milk"]);
        // When the id is forgotten, the message is too old.
        fake.world().micros += 26 * 3_600 * 1_000_000;
        let (reason, _) = one.reason(message.to_string()).await;
        assert!(reason.contains("7 days"), "{reason}");
        assert_eq!(one.titles("ann").await, ["Milk"]);
    });
}

#[test]
fn a_crash_at_any_moment_leaves_one_change_and_at_least_one_result() {
    block_on(async {
        for broken in ["transaction", "answer lost", "result", "result lost"] {
            let fake = fake();
            let instance = Instance::new(&fake);
            let message = signed("m1", "ann", &create("Milk")).to_string();
            {
                let mut world = fake.world();
                match broken {
                    // Longer than a change is tried.
                    "transaction" => world.transactions.extend([Fault::Away; 200]),
                    "answer lost" => world.transactions.push_back(Fault::AnswerLost),
                    "result" => world.bindings.push_back(Fault::Away),
                    _ => world.bindings.push_back(Fault::AnswerLost),
                }
            }
            let mut answers = vec![instance.deliver(1, message.clone()).await];
            fake.crash();
            fake.world().transactions.clear();
            let fresh = Instance::new(&fake);
            answers.push(fresh.deliver(1, message.clone()).await);
            answers.push(fresh.deliver(1, message).await);
            assert_eq!(answers.last(), Some(&200), "{broken}: {answers:?}");
            assert_eq!(fresh.titles("ann").await, ["Milk"], "{broken}");
            let world = fake.world();
            assert!(!world.bound.is_empty(), "{broken}");
            assert!(
                world
                    .bound
                    .iter()
                    .all(|(_, call)| call == &world.bound[0].1),
                "{broken}"
            );
            assert!(world.published_raw.is_empty(), "{broken}");
        }
    });
}

#[test]
fn what_the_rules_refuse_is_pointed_at() {
    block_on(async {
        let instance = Instance::new(&fake());
        let long = "x".repeat(501);
        for (n, (operation, status, pointer)) in [
            (
                json!({ "op": "create", "task": { "title": long } }),
                422,
                "/operation/task/title",
            ),
            (
                json!({ "op": "create", "task": { "titel": "a" } }),
                422,
                "/operation/task/titel",
            ),
            (
                json!({ "op": "create", "task": ["a"] }),
                422,
                "/operation/task",
            ),
            (json!({ "op": "create" }), 422, "/operation/task"),
            (
                json!({ "op": "create", "id": "x", "task": {} }),
                422,
                "/operation/id",
            ),
            (json!({ "op": "complete" }), 422, "/operation/id"),
            (json!({ "op": "explode" }), 422, "/operation/op"),
            (json!({}), 422, "/operation/op"),
            (json!([]), 422, "/operation"),
            (json!({ "op": "delete", "id": "nonsense" }), 404, ""),
        ]
        .into_iter()
        .enumerate()
        {
            let result = instance
                .result(&signed(&format!("m{n}"), "ann", &operation))
                .await;
            assert_eq!(result["status"], status, "{result}");
            let shown = result["problem"]["errors"][0]["pointer"]
                .as_str()
                .unwrap_or("");
            assert_eq!(shown, pointer, "{result}");
        }
        assert!(instance.titles("ann").await.is_empty());
    });
}

#[test]
fn what_is_no_message_is_among_the_dead_letters_as_it_was() {
    block_on(async {
        let fake = fake();
        let instance = Instance::new(&fake);
        let good = signed("m1", "ann", &create("Milk"));
        let changed = |change: &dyn Fn(&mut Value)| {
            let mut message = good.clone();
            change(&mut message);
            message.to_string().into_bytes()
        };
        let deep = format!(r#"{{"id":{}"#, "[".repeat(100_000)).into_bytes();
        let deeper = good
            .to_string()
            .replace(r#""Milk""#, &"[".repeat(100_000))
            .into_bytes();
        let token = fake.token("ann", |_, _, _| {});
        let expired = fake.token("ann", |_, seconds, _| *seconds = -60);
        let by_token = |token: &str| {
            json!({ "id": "m1", "at": AT, "token": token, "operation": create("Milk") })
                .to_string()
                .into_bytes()
        };
        for (message, expected) in [
            (b"".to_vec(), "not JSON"),
            (b"null".to_vec(), "object"),
            (b"not json".to_vec(), "not JSON"),
            (b"\xff\xfe{}".to_vec(), "not JSON"),
            (
                good.to_string()
                    .replace("Milk", "\u{1}")
                    .replace('\u{1}', "\0")
                    .into_bytes(),
                "not JSON",
            ),
            (deep, "invalid"),
            (deeper, "not JSON"),
            (vec![b' '; 300 * 1024], "262144 bytes"),
            (b"[]".to_vec(), "object"),
            (changed(&|m| m["extra"] = json!(1)), "no such field"),
            (changed(&|m| m["at"] = json!("soon")), "RFC 3339"),
            (
                changed(&|m| m["at"] = json!("2026-11-16T07:59:59Z")),
                "7 days",
            ),
            (
                changed(&|m| m["at"] = json!("2026-11-23T08:05:01Z")),
                "future",
            ),
            (
                changed(&|m| m["at"] = json!("2026-11-23T08:00:01Z")),
                "signature",
            ),
            (changed(&|m| m["id"] = json!("m2")), "signature"),
            (changed(&|m| m["account"] = json!("bob")), "signature"),
            (changed(&|m| m["account"] = json!("../x")), "account"),
            (
                changed(&|m| m["operation"]["op"] = json!("delete")),
                "signature",
            ),
            (changed(&|m| m["signature"] = json!("v1=00")), "signature"),
            (changed(&|m| m["token"] = json!(token)), "either a token"),
            (
                changed(&|m| drop(m.as_object_mut().unwrap().remove("signature"))),
                "either a token",
            ),
            (
                changed(&|m| drop(m.as_object_mut().unwrap().remove("operation"))),
                "what is to be done",
            ),
            (
                signed_with(&[1; 32], "m1", "ann", &create("a"))
                    .to_string()
                    .into_bytes(),
                "signature",
            ),
            (
                signed("", "ann", &create("a")).to_string().into_bytes(),
                "visible ASCII",
            ),
            (
                signed("a b", "ann", &create("a")).to_string().into_bytes(),
                "visible ASCII",
            ),
            (by_token(&expired), "expired"),
            (by_token("eyJ"), "not a token"),
        ] {
            let said = String::from_utf8_lossy(&message[..message.len().min(60)]).into_owned();
            let (reason, kept) = instance.reason(message.clone()).await;
            assert!(reason.contains(expected), "{said}: {reason}");
            assert_eq!(kept, message, "{said}");
        }
        assert!(fake.world().bound.is_empty(), "nobody is told");
        assert!(fake.keys("").is_empty(), "nothing is stored");
        // What even the dead letters could not take stays where it is.
        let (_, kept) = instance.reason(vec![b'x'; 900 * 1024]).await;
        assert!(kept.is_empty());
    });
}

#[test]
fn an_old_key_counts_until_it_is_withdrawn_and_a_new_one_soon() {
    block_on(async {
        let instance = Instance::new(&fake());
        let with = |key: [u8; 32], id: &str| signed_with(&key, id, "ann", &create(id));
        assert_eq!(instance.result(&with([8; 32], "m1")).await["status"], 201);
        let keys = json!({ "new": URL_SAFE_NO_PAD.encode([10; 32]), "odd": "short" });
        instance
            .fake
            .world()
            .secrets
            .insert("inbox-key".into(), keys);
        instance.fake.world().micros += 6_000_000;
        assert_eq!(instance.result(&with([10; 32], "m2")).await["status"], 201);
        let (reason, _) = instance.reason(with([8; 32], "m3").to_string()).await;
        assert!(reason.contains("signature"), "{reason}");
    });
}

#[test]
fn what_cannot_be_done_now_comes_again_but_not_for_ever() {
    block_on(async {
        let fake = fake();
        let instance = Instance::new(&fake);
        let message = signed("m1", "ann", &create("Milk")).to_string();
        // A book that cannot be read will not get better, and only looks like a store that is away.
        fake.world()
            .state
            .insert("book:ann".into(), (json!("torn"), 1));
        assert_eq!(instance.deliver(7, message.clone()).await, 503);
        assert_eq!(instance.deliver(7, message.clone()).await, 503);
        fake.world().micros += 590 * 1_000_000;
        assert_eq!(instance.deliver(7, message.clone()).await, 503);
        fake.world().micros += 11 * 1_000_000;
        let (reason, kept) = instance.reason(message.clone()).await;
        assert_eq!(
            (reason.as_str(), kept),
            ("not carried out within 600 s", message.clone().into_bytes())
        );
        // The next one has its own time.
        assert_eq!(instance.deliver(8, message.clone()).await, 503);
        // A letter that cannot be sent is not lost: the message comes again.
        fake.world().micros += 700 * 1_000_000;
        fake.world().publishings.push_back(Fault::Away);
        assert_eq!(instance.deliver(8, message.clone()).await, 503);
        // Mended and replayed, it has its effect.
        fake.world().state.clear();
        assert_eq!(instance.deliver(9, message).await, 200);
        assert_eq!(instance.titles("ann").await, ["Milk"]);
    });
}

#[test]
fn the_inbox_is_for_the_sidecar_alone() {
    block_on(async {
        let instance = Instance::new(&fake());
        let message = signed("m1", "ann", &create("Milk")).to_string();
        for token in ["", "guess"] {
            let request = Request::post("/inbox")
                .header("dapr-api-token", token)
                .body(Body::from(message.clone()));
            assert_eq!(instance.send(request.unwrap()).await.status, 401);
        }
        assert!(instance.titles("ann").await.is_empty());
    });
}
