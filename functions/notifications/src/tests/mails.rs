//! Mails, and the ledger that tells of them.

use super::*;
use docket_fake::Fault;

fn email() -> Value {
    json!({ "enabled": true })
}

/// What was sent: recipient, subject.
fn sent(fake: &Fake) -> Vec<(String, String)> {
    let world = fake.world();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let sent = world.bound.iter().map(|(binding, body)| {
        assert_eq!(
            (binding.as_str(), &body["operation"]),
            ("smtp", &json!("create"))
        );
        let metadata = &body["metadata"];
        assert_eq!(metadata.as_object().unwrap().len(), 2, "{metadata}");
        (text(&metadata["emailTo"]), text(&metadata["subject"]))
    });
    sent.collect()
}

/// The ledger's lines of the mails.
async fn ledger(instance: &Instance, account: &str) -> Vec<(String, Value, u64)> {
    let path = format!("/api/notifications/ledger?task={TASK}");
    let page = instance.get(account, &path).await;
    let lines = page["entries"].as_array().unwrap().iter();
    lines
        .filter(|line| line["channel"] == "email")
        .map(|line| {
            (
                line["state"].as_str().unwrap().to_owned(),
                line["delivered_at"].clone(),
                line["attempts"].as_u64().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_mail_is_sent_once_however_often_the_event_comes() {
    block_on(async {
        let instance = instance();
        instance.prefer("ann", json!({ "email": email() })).await;
        for _ in 0..2 {
            instance.deliver(&reminder("ann", 1)).await;
            instance.fake.settle().await;
        }
        instance.sweep().await;
        let expected = [("ann@example.org".to_owned(), "Reminder: task 1".to_owned())];
        assert_eq!(sent(&instance.fake), expected);
        let html = instance.fake.world().bound[0].1["data"].to_string();
        assert!(html.contains("task 1"), "{html}");
        let lines = ledger(&instance, "ann").await;
        assert_eq!(
            (lines.len(), lines[0].0.as_str(), lines[0].2),
            (1, "delivered", 1)
        );
        assert!(lines[0].1.is_string());
        assert!(ledger(&instance, "ben").await.is_empty());
    });
}

#[test]
fn who_wants_no_mails_gets_none() {
    block_on(async {
        let instance = instance();
        instance.deliver(&reminder("ann", 1)).await;
        instance.prefer("ann", json!({ "email": email() })).await;
        instance.deliver(&reminder("ann", 2)).await;
        // Before it is sent, it is not wanted any more.
        instance
            .prefer("ann", json!({ "email": { "enabled": false } }))
            .await;
        instance.fake.settle().await;
        instance.sweep().await;
        assert!(sent(&instance.fake).is_empty());
        let lines = ledger(&instance, "ann").await;
        assert_eq!((lines.len(), lines[0].0.as_str()), (1, "unwanted"));
    });
}

#[test]
fn what_a_crash_left_the_sweep_sends() {
    block_on(async {
        let instance = instance();
        instance.prefer("ann", json!({ "email": email() })).await;
        instance.deliver(&reminder("ann", 1)).await;
        instance.fake.crash();
        Instance::new(&instance.fake).sweep().await;
        assert_eq!(sent(&instance.fake).len(), 1);
        // However long everything was down.
        instance.deliver(&reminder("ann", 2)).await;
        instance.fake.crash();
        pass(&instance.fake, 7 * 86_400);
        Instance::new(&instance.fake).sweep().await;
        assert_eq!(sent(&instance.fake).len(), 2);
        pass(&instance.fake, 600);
        instance.sweep().await;
        assert_eq!(sent(&instance.fake).len(), 2);
        let agenda = instance.fake.keys("agenda:");
        assert!(agenda.is_empty(), "what is over is cleared: {agenda:?}");
    });
}

#[test]
fn a_server_that_refuses_is_tried_again_and_at_last_given_up() {
    block_on(async {
        let instance = instance();
        instance.prefer("ann", json!({ "email": email() })).await;
        instance.fake.world().bindings = [Fault::Away; 8].into();
        instance.deliver(&reminder("ann", 1)).await;
        instance.fake.settle().await;
        let state = |lines: Vec<(String, Value, u64)>| (lines[0].0.clone(), lines[0].2);
        assert_eq!(
            state(ledger(&instance, "ann").await),
            ("fired".to_owned(), 1)
        );
        for (attempt, pause) in [
            (2, 15),
            (3, 60),
            (4, 300),
            (5, 1_200),
            (6, 3_600),
            (7, 14_400),
            (8, 43_200),
        ] {
            pass(&instance.fake, pause - 5);
            instance.sweep().await;
            assert_eq!(
                ledger(&instance, "ann").await[0].2,
                attempt - 1,
                "too early"
            );
            pass(&instance.fake, 6);
            instance.sweep().await;
            assert_eq!(ledger(&instance, "ann").await[0].2, attempt);
        }
        assert_eq!(
            state(ledger(&instance, "ann").await),
            ("given-up".to_owned(), 8)
        );
        pass(&instance.fake, 86_400);
        instance.sweep().await;
        assert!(instance.fake.world().bindings.is_empty());
        assert!(sent(&instance.fake).is_empty());
    });
}

#[test]
fn a_mail_of_which_nobody_knows_comes_twice_rather_than_never() {
    block_on(async {
        let instance = instance();
        instance.prefer("ann", json!({ "email": email() })).await;
        instance.fake.world().bindings.push_back(Fault::AnswerLost);
        instance.deliver(&reminder("ann", 1)).await;
        instance.fake.settle().await;
        assert_eq!(sent(&instance.fake).len(), 1);
        pass(&instance.fake, 20);
        instance.sweep().await;
        assert_eq!(sent(&instance.fake).len(), 2);
        let lines = ledger(&instance, "ann").await;
        assert_eq!((lines[0].0.as_str(), lines[0].2), ("delivered", 2));
    });
}

#[test]
fn quiet_hours_hold_mails_back_and_not_the_inbox() {
    block_on(async {
        let instance = instance();
        // It is eight o'clock.
        let quiet = json!({ "email": email(), "quiet_hours": { "from": "22:00", "to": "08:30" } });
        instance.prefer("ann", quiet).await;
        instance.deliver(&reminder("ann", 1)).await;
        instance.fake.settle().await;
        assert_eq!(instance.get("ann", "/api/notifications").await["unread"], 1);
        pass(&instance.fake, 29 * 60);
        instance.sweep().await;
        assert!(sent(&instance.fake).is_empty());
        // Longer by now.
        instance
            .prefer("ann", json!({ "quiet_hours": { "to": "09:00" } }))
            .await;
        pass(&instance.fake, 120);
        instance.sweep().await;
        assert!(sent(&instance.fake).is_empty());
        pass(&instance.fake, 30 * 60);
        instance.sweep().await;
        assert_eq!(sent(&instance.fake).len(), 1);
        assert_eq!(
            ledger(&instance, "ann").await[0].2,
            1,
            "waiting is no attempt"
        );
    });
}

#[test]
fn a_digest_tells_once_a_day_of_what_is_unread() {
    block_on(async {
        let instance = instance();
        let digest = json!({ "email": email(), "digest": { "at": "18:00" } });
        instance.prefer("ann", digest).await;
        for n in 1..4 {
            instance.deliver(&reminder("ann", n)).await;
        }
        instance.fake.settle().await;
        let page = instance.get("ann", "/api/notifications").await;
        let read = page["notifications"][1]["id"].as_str().unwrap();
        let path = format!("/api/notifications/{read}/read");
        instance.ask("ann", "POST", &path, Value::Null).await;
        pass(&instance.fake, 9 * 3_600);
        instance.sweep().await;
        assert!(sent(&instance.fake).is_empty());
        pass(&instance.fake, 3_600);
        for _ in 0..2 {
            instance.sweep().await;
        }
        let expected = [(
            "ann@example.org".to_owned(),
            "2 unread reminders".to_owned(),
        )];
        assert_eq!(sent(&instance.fake), expected);
        let html = instance.fake.world().bound[0].1["data"].to_string();
        assert!(html.contains("task 1") && !html.contains("task 2") && html.contains("task 3"));
        assert_eq!(
            ledger(&instance, "ann").await.len(),
            3,
            "each was told, or read before"
        );
        // The next day nothing new has come; on the day after, what has come is read in time.
        pass(&instance.fake, 86_400);
        instance.sweep().await;
        instance.deliver(&reminder("ann", 4)).await;
        instance
            .ask("ann", "POST", "/api/notifications/read-all", Value::Null)
            .await;
        pass(&instance.fake, 86_400);
        instance.sweep().await;
        assert_eq!(sent(&instance.fake).len(), 1);
    });
}

#[test]
fn many_mails_of_many_instances_go_where_they_belong_each_once() {
    block_on(async {
        let fake = instance().fake;
        let instances: Vec<Instance> = (0..3).map(|_| Instance::new(&fake)).collect();
        let names: Vec<String> = (0..30).map(|n| format!("account{n}")).collect();
        for name in &names {
            instances[0].prefer(name, json!({ "email": email() })).await;
        }
        let deliveries = names.iter().enumerate().map(|(n, name)| {
            let instance = &instances[n % 3];
            async move {
                let mut event = reminder(name, n as i64);
                event.data.title = format!("for {name}");
                while instance.deliver(&event).await != "SUCCESS" {}
            }
        });
        futures::future::join_all(deliveries).await;
        fake.settle().await;
        let mut got = sent(&fake);
        got.sort();
        let mut expected: Vec<(String, String)> = names
            .iter()
            .map(|name| {
                (
                    format!("{name}@example.org"),
                    format!("Reminder: for {name}"),
                )
            })
            .collect();
        expected.sort();
        assert_eq!(got, expected);
    });
}

#[test]
fn nobody_sends_while_another_holds_the_lease() {
    block_on(async {
        let instance = instance();
        instance.prefer("ann", json!({ "email": email() })).await;
        let until = "2026-11-23T08:01:00Z";
        let held = json!({ "holder": "another", "until": until });
        instance
            .fake
            .world()
            .state
            .insert("mail-lease".to_owned(), (held, 1_000_000));
        instance.deliver(&reminder("ann", 1)).await;
        instance.fake.settle().await;
        instance.sweep().await;
        assert!(sent(&instance.fake).is_empty());
        assert_eq!(ledger(&instance, "ann").await[0].2, 0, "not tried yet");
        pass(&instance.fake, 60);
        instance.sweep().await;
        assert_eq!(sent(&instance.fake).len(), 1);
        assert!(
            instance.fake.keys("mail-lease").is_empty(),
            "it is given back"
        );
    });
}

#[test]
fn the_ledger_joins_what_fired_with_what_was_delivered() {
    block_on(async {
        let instance = instance();
        let fired = reminder("ann", 1);
        instance.deliver(&fired).await;
        instance.deliver(&reminder("ann", 2)).await;
        let entry = |id: &str, state: &str, event: &str| {
            json!({
                "reminder_id": id, "occurrence": 1, "state": state, "scheduled_at": fired.data.at,
                "fired_at": fired.data.fired_at, "attempts": 2, "event_id": event,
            })
        };
        let mut to_come = entry("r9", "scheduled", "due-9");
        to_come["scheduled_at"] = "2026-12-01T08:00:00Z".into();
        to_come["fired_at"] = Value::Null;
        to_come["attempts"] = 0.into();
        let entries = json!({ "entries": [entry("r1", "fired", &fired.id), to_come] });
        let reminders = Box::new(move |_: &str, _: &Value| (200, entries.clone()));
        instance
            .fake
            .world()
            .apps
            .insert("reminders".to_owned(), reminders);
        let path = format!("/api/notifications/ledger?task={TASK}");
        let page = instance.get("ann", &path).await;
        let lines = page["entries"].as_array().unwrap();
        let told: Vec<_> = lines
            .iter()
            .map(|line| {
                (
                    line["reminder"].as_str().unwrap(),
                    line["state"].as_str().unwrap(),
                    line["attempts"].as_u64().unwrap(),
                )
            })
            .collect();
        // The second is not known to reminders any more, and is told all the same.
        let expected = [
            ("r1", "delivered", 2),
            ("r2", "delivered", 1),
            ("r9", "scheduled", 0),
        ];
        assert_eq!(told, expected, "{page}");
        assert_eq!(lines[0]["delivered_at"], "2026-11-23T08:00:00.000Z");
        assert!(lines[2]["delivered_at"].is_null() && lines[2]["notification_id"].is_null());

        for query in ["", "?task=x", "?task=0-90tj1f2kwhvp&task=0-90tj1f2kwhvp"] {
            let path = format!("/api/notifications/ledger{query}");
            let (status, _) = instance.ask("ann", "GET", &path, Value::Null).await;
            assert_eq!(status, 422, "{query}");
        }
        instance.fake.world().apps.clear();
        let (status, _) = instance.ask("ann", "GET", &path, Value::Null).await;
        assert_eq!(status, 503);
    });
}
