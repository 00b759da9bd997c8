//! Events, and the inbox that they fill.

use super::*;
use docket_fake::Fault;

const INBOX: &str = "/api/notifications";

fn ids(page: &Value) -> Vec<String> {
    let notifications = page["notifications"].as_array().unwrap().iter();
    notifications
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_reminder_that_is_due_is_in_the_inbox_once_however_often_it_comes() {
    block_on(async {
        let instance = instance();
        for _ in 0..2 {
            assert_eq!(instance.deliver(&reminder("ann", 1)).await, "SUCCESS");
        }
        let page = instance.get("ann", INBOX).await;
        let id = ids(&page)[0].clone();
        assert_eq!(
            page,
            json!({
                "notifications": [{
                    "id": id, "created_at": "2026-11-23T08:00:00.000Z", "read": false, "task_id": TASK,
                    "reminder_id": "r1", "occurrence": 1, "at": "2026-11-23T07:59:00.001Z",
                    "fired_at": "2026-11-23T07:59:00.041Z", "title": "task 1", "due": null, "due_at": null,
                    "priority": "high",
                }],
                "unread": 1, "next_cursor": null,
            })
        );
        // Open clients are told each time, by the same message.
        let told = instance.fake.events("task-updates");
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["type"], "notification-created");
        assert_eq!(told[0]["data"]["notification"], page["notifications"][0]);
        // Nobody else sees it.
        assert_eq!(instance.get("ben", INBOX).await["unread"], 0);
    });
}

#[test]
fn what_is_no_event_is_dropped() {
    block_on(async {
        let instance = instance();
        let good = reminder("ann", 1);
        let mut odd = good.cloud_event();
        odd["data"]["account"] = "a/b".into();
        let mut other = good.cloud_event();
        other["type"] = "task-created".into();
        let mut long = good.clone();
        long.data.title = "x".repeat(501);
        let mut named = good.clone();
        named.data.reminder_id = "x".repeat(200);
        for body in [
            String::new(),
            "{".to_owned(),
            "[]".to_owned(),
            json!({ "specversion": "1.0", "type": "reminder-due" }).to_string(),
            odd.to_string(),
            other.to_string(),
            long.cloud_event().to_string(),
            named.cloud_event().to_string(),
            "x".repeat(2_000_000),
        ] {
            let start: String = body.chars().take(100).collect();
            let answer = instance
                .called("/internal/notifications/reminders", body)
                .await;
            assert_eq!(answer, (200, json!({ "status": "DROP" })), "{start}");
        }
        assert!(instance.fake.world().state.is_empty());
        assert!(instance.fake.world().published.is_empty());
    });
}

#[test]
fn only_the_sidecar_delivers_and_sweeps() {
    block_on(async {
        let instance = instance();
        for path in [
            "/internal/notifications/reminders",
            "/internal/notifications/notification-sweep",
        ] {
            for wrong in ["", "wrong", "to-the-sidecar"] {
                let request = Request::post(path).header("dapr-api-token", wrong);
                let body = reminder("ann", 1).cloud_event().to_string();
                let answer = instance.send(request.body(body.into()).unwrap()).await;
                assert_eq!(answer.0, 401, "{path} {wrong}");
            }
        }
        assert!(instance.fake.world().state.is_empty());
    });
}

#[test]
fn what_fails_is_asked_for_again_and_happens_once() {
    let faults: [fn(&mut docket_fake::World); 4] = [
        |world| world.away = true,
        |world| world.transactions.push_back(Fault::Away),
        |world| world.transactions.push_back(Fault::AnswerLost),
        |world| world.publishings.push_back(Fault::AnswerLost),
    ];
    block_on(async {
        for fault in faults {
            let instance = instance();
            fault(&mut instance.fake.world());
            assert_eq!(instance.deliver(&reminder("ann", 1)).await, "RETRY");
            instance.fake.world().away = false;
            assert_eq!(instance.deliver(&reminder("ann", 1)).await, "SUCCESS");
            assert_eq!(instance.get("ann", INBOX).await["unread"], 1);
            assert_eq!(instance.fake.events("task-updates").len(), 1);
        }
    });
}

#[test]
fn pages_hold_everything_once_while_more_comes() {
    block_on(async {
        let instance = instance();
        for n in 0..200 {
            instance.deliver(&reminder("ann", n)).await;
        }
        let mut found = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("{INBOX}?limit=30&cursor={cursor}");
            let page = instance.get("ann", &path).await;
            found.extend(ids(&page));
            instance
                .deliver(&reminder("ann", 1_000 + found.len() as i64))
                .await;
            match page["next_cursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let mut once = found.clone();
        once.dedup();
        assert_eq!((found.len(), once), (200, found));
        for (account, query) in [
            ("ben", format!("cursor={cursor}")),
            ("ann", format!("unread=true&cursor={cursor}")),
            ("ann", "cursor=x".to_owned()),
            ("ann", "limit=0".to_owned()),
            ("ann", "limit=201".to_owned()),
            ("ann", "unread=maybe".to_owned()),
            ("ann", "what=ever".to_owned()),
        ] {
            let path = format!("{INBOX}?{query}");
            let (status, problem) = instance.ask(account, "GET", &path, Value::Null).await;
            assert_eq!(
                (status, &problem["code"]),
                (422, &json!("invalid")),
                "{path}"
            );
        }
    });
}

#[test]
fn what_was_read_is_told_and_counted() {
    block_on(async {
        let instance = instance();
        for n in 0..70 {
            instance.deliver(&reminder("ann", n)).await;
        }
        let all = ids(&instance.get("ann", &format!("{INBOX}?limit=200")).await);
        // One of the head and one of a sealed page, each twice.
        for (id, unread) in [(&all[0], 69), (&all[69], 68), (&all[69], 68)] {
            let path = format!("{INBOX}/{id}/read");
            let answer = instance.ask("ann", "POST", &path, Value::Null).await;
            assert_eq!(answer, (200, json!({ "unread": unread })), "{id}");
        }
        let unread = instance
            .get("ann", &format!("{INBOX}?unread=true&limit=200"))
            .await;
        assert_eq!(ids(&unread), all[1..69]);
        for (account, id) in [
            ("ben", all[0].as_str()),
            ("ann", "0-0000000000000"),
            ("ann", "x"),
        ] {
            for action in ["read", "snooze"] {
                let path = format!("{INBOX}/{id}/{action}");
                let body = json!({ "for": "PT1M" });
                let (status, problem) = instance.ask(account, "POST", &path, body).await;
                assert_eq!((status, &problem["code"]), (404, &json!("not_found")));
            }
        }
        let path = format!("{INBOX}/read-all");
        for _ in 0..2 {
            let answer = instance.ask("ann", "POST", &path, Value::Null).await;
            assert_eq!(answer, (200, json!({ "unread": 0 })));
        }
        let unread = instance.get("ann", &format!("{INBOX}?unread=true")).await;
        assert_eq!(ids(&unread).len(), 0);
    });
}

#[test]
fn a_snoozed_notification_is_asked_for_again_and_read() {
    block_on(async {
        let instance = instance();
        instance.deliver(&reminder("ann", 1)).await;
        let id = ids(&instance.get("ann", INBOX).await)[0].clone();
        let path = format!("{INBOX}/{id}/snooze");
        for wrong in ["", "PT0S", "10m", "P400D", "-PT1M"] {
            let answer = instance
                .ask("ann", "POST", &path, json!({ "for": wrong }))
                .await;
            assert_eq!(
                (answer.0, &answer.1["errors"][0]["pointer"]),
                (422, &json!("/for"))
            );
        }
        assert!(instance.fake.world().invoked.is_empty());
        let body = json!({ "for": "PT10M" });
        let answer = instance.ask("ann", "POST", &path, body.clone()).await;
        assert_eq!(answer.0, 200);
        let at = answer.1["at"].as_str().unwrap();
        assert!(at.starts_with("2026-11-23T08:10:0"), "{at}");
        let (app, route, asked) = instance.fake.world().invoked[0].clone();
        assert_eq!(
            (app.as_str(), route.as_str()),
            ("reminders", "/internal/reminders/snooze")
        );
        let expected =
            json!({ "account": "ann", "task_id": TASK, "notification_id": id, "at": at });
        assert_eq!(asked, expected);
        assert_eq!(instance.get("ann", INBOX).await["unread"], 0);

        // A task that is done does not come again.
        let refuses = Box::new(|_: &str, _: &Value| (200, json!({ "scheduled": false })));
        let old = instance
            .fake
            .world()
            .apps
            .insert("reminders".to_owned(), refuses);
        assert!(old.is_some());
        let (status, _) = instance.ask("ann", "POST", &path, body.clone()).await;
        assert_eq!(status, 409);
        instance.fake.world().apps.clear();
        let (status, _) = instance.ask("ann", "POST", &path, body).await;
        assert_eq!(status, 503);
    });
}

#[test]
fn instances_that_write_at_once_lose_nothing() {
    block_on(async {
        let fake = instance().fake;
        let instances: Vec<Instance> = (0..4).map(|_| Instance::new(&fake)).collect();
        let deliveries = (0..40).map(|n| {
            let instance = &instances[n % 4];
            async move {
                // As Dapr does: until it is taken in.
                let event = reminder("ann", n as i64 / 2);
                while instance.deliver(&event).await != "SUCCESS" {}
            }
        });
        futures::future::join_all(deliveries).await;
        let page = instances[0].get("ann", &format!("{INBOX}?limit=200")).await;
        assert_eq!((ids(&page).len(), &page["unread"]), (20, &json!(20)));
    });
}
