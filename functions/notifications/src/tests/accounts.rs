//! What `accounts` asks, and what becomes of an account that is deleted.

use super::*;
use docket_domain::account_deleted::AccountDeleted;
use docket_fake::Fault;

const MAILS: &str = "/internal/notifications/mails";
const SETTINGS: &str = "/internal/notifications/settings";

fn mail(id: &str, until: &str) -> Value {
    json!({
        "account": "ann",
        "id": id,
        "to": "ann@example.org",
        "subject": "Verify your address\r\nBcc: all@example.org",
        "paragraphs": ["Hello <Ann>,", "Ignore this if it was not you."],
        "link": "http://127.0.0.1:3000/#verify=a&b",
        "until": until,
    })
}

fn deleted(account: &str) -> String {
    let account = AccountId::parse(account).unwrap();
    let at = Instant::parse("2026-11-23T08:00:00Z").unwrap();
    AccountDeleted { account, at }.cloud_event().to_string()
}

async fn delete(instance: &Instance, account: &str) -> Value {
    let path = "/internal/notifications/accounts";
    let (status, verdict) = instance.called(path, deleted(account)).await;
    assert_eq!(status, 200);
    verdict["status"].clone()
}

#[test]
fn a_mail_about_an_account_is_sent_once_whatever_the_preferences() {
    block_on(async {
        let instance = instance();
        for _ in 0..2 {
            let body = mail("v1", "2026-11-24T08:00:00Z").to_string();
            let answer = instance.called(MAILS, body).await;
            assert_eq!(answer, (200, json!({ "taken": true })));
            instance.fake.settle().await;
        }
        instance.sweep().await;
        let bound = instance.fake.world().bound.clone();
        assert_eq!(bound.len(), 1);
        assert_eq!(bound[0].1["metadata"]["emailTo"], "ann@example.org");
        let subject = "Verify your address  Bcc: all@example.org";
        assert_eq!(bound[0].1["metadata"]["subject"], subject);
        let html = bound[0].1["data"].as_str().unwrap();
        assert!(html.contains(
            "<p>Hello &lt;Ann&gt;,</p><p><a href=\"http://127.0.0.1:3000/#verify=a&amp;b\">"
        ));
        let kept = instance.fake.world().state["mail:ann:account-v1"].0.clone();
        assert!(!kept.to_string().contains("verify"), "{kept}");
    });
}

#[test]
fn a_mail_that_is_of_no_use_any_more_is_not_sent() {
    block_on(async {
        let instance = instance();
        instance.fake.world().bindings.push_back(Fault::Away);
        let body = mail("v1", "2026-11-23T08:10:00Z").to_string();
        assert_eq!(instance.called(MAILS, body).await.0, 200);
        instance.fake.settle().await;
        pass(&instance.fake, 601);
        instance.sweep().await;
        assert_eq!(instance.fake.world().bound.len(), 0);
    });
}

#[test]
fn without_a_mail_server_that_is_said_and_odd_mails_are_refused() {
    block_on(async {
        let instance = instance();
        for (field, value) in [
            ("id", json!("a/b")),
            ("id", json!("")),
            ("to", json!("a@b, c@d.org")),
            ("to", json!("ann@example.org\r\nBcc: all@example.org")),
        ] {
            let mut body = mail("v1", "2026-11-24T08:00:00Z");
            body[field] = value;
            let answer = instance.called(MAILS, body.to_string()).await;
            assert_eq!(answer.0, 422, "{body}");
        }
        instance.fake.world().components.clear();
        let body = mail("v1", "2026-11-24T08:00:00Z").to_string();
        let answer = instance.called(MAILS, body).await;
        assert_eq!(answer, (200, json!({ "taken": false })));
        instance.fake.settle().await;
        assert!(instance.fake.keys("mail:").is_empty());
    });
}

#[test]
fn settings_are_stored_and_told_to_reminders_again_if_they_were_away() {
    block_on(async {
        let instance = instance();
        let settings = json!({ "account": "ann", "morning": "07:30", "time_zone": "Asia/Karachi" });
        let away = Box::new(|_: &str, _: &Value| (503, json!({})));
        let there = instance
            .fake
            .world()
            .apps
            .insert("reminders".to_owned(), away);
        let answer = instance.called(SETTINGS, settings.to_string()).await;
        assert_eq!(answer.0, 503);
        let there = there.unwrap();
        let _away = instance
            .fake
            .world()
            .apps
            .insert("reminders".to_owned(), there);
        let answer = instance.called(SETTINGS, settings.to_string()).await;
        assert_eq!(answer, (200, json!({ "taken": true })));
        let now = instance.get("ann", "/api/notifications/preferences").await;
        assert_eq!(
            (&now["morning"], &now["time_zone"]),
            (&json!("07:30"), &json!("Asia/Karachi"))
        );
        let told = instance.fake.world().invoked.clone();
        assert_eq!(told.len(), 2);
        assert_eq!(told[1].2, settings);
    });
}

#[test]
fn a_deleted_account_is_forgotten_and_stays_so() {
    block_on(async {
        let instance = instance();
        for account in ["ann", "ben"] {
            let email = json!({ "email": { "enabled": true } });
            instance.prefer(account, email).await;
            for n in 1..=70 {
                instance.deliver(&reminder(account, n)).await;
            }
        }
        instance.fake.settle().await;
        let of = |account: &str| {
            let keys = instance.fake.keys("");
            let part = format!(":{account}");
            let keys = keys.into_iter().filter(|key| key.contains(&part));
            keys.collect::<Vec<_>>()
        };
        let (before, others) = (of("ann").len(), of("ben"));
        assert_eq!(before, others.len());
        // The first delivery is cut off here and there.
        instance
            .fake
            .world()
            .transactions
            .extend([Fault::None, Fault::Away]);
        assert_eq!(delete(&instance, "ann").await, "RETRY");
        for _ in 0..2 {
            assert_eq!(delete(&instance, "ann").await, "SUCCESS");
            assert_eq!(of("ann"), ["inbox:ann"]);
        }
        assert_eq!(of("ben"), others);
        // What is still under way, and whoever still has a token.
        assert_eq!(instance.deliver(&reminder("ann", 99)).await, "SUCCESS");
        let path = "/api/notifications/preferences";
        let digest = json!({ "digest": { "at": "18:00" } });
        assert_eq!(instance.ask("ann", "PATCH", path, digest).await.0, 401);
        let page = instance.get("ann", "/api/notifications").await;
        assert_eq!(
            (&page["notifications"], &page["unread"]),
            (&json!([]), &json!(0))
        );
        assert_eq!(of("ann"), ["inbox:ann"]);
        let kept = instance.fake.world().state["inbox:ann"].0.to_string();
        assert!(!kept.contains("task 1"), "{kept}");
    });
}
