//! What an account wants.

use super::*;

const PATH: &str = "/api/notifications/preferences";

#[test]
fn preferences_are_kept() {
    block_on(async {
        let instance = instance();
        let usual = json!({
            "morning": "09:00", "time_zone": "UTC", "email": { "enabled": false, "address": null },
            "quiet_hours": null, "digest": null,
        });
        assert_eq!(instance.get("ann", PATH).await, usual);
        let digest = json!({ "digest": { "at": "18:00" } });
        instance.prefer("ann", digest).await;
        assert!(instance.fake.world().invoked.is_empty());
        let now = instance.get("ann", PATH).await;
        assert_eq!(now["digest"]["at"], "18:00");
        assert_eq!(instance.get("ben", PATH).await, usual);
    });
}

#[test]
fn mails_go_to_the_accounts_verified_address_alone() {
    block_on(async {
        let instance = instance();
        let on = json!({ "email": { "enabled": true } });
        for unverified in ["new", "nobody"] {
            let (status, problem) = instance.ask(unverified, "PATCH", PATH, on.clone()).await;
            let error = &problem["errors"][0];
            assert_eq!((status, &error["pointer"]), (422, &json!("/email/enabled")));
            assert!(error["detail"].as_str().unwrap().contains("not verified"));
        }
        instance.prefer("ann", on.clone()).await;
        let now = instance.get("ann", PATH).await;
        let sent = json!({ "enabled": true, "address": "ann@example.org" });
        assert_eq!(now["email"], sent);
        // Nobody is asked for what does not need it.
        instance.fake.world().apps.clear();
        let digest = json!({ "digest": { "at": "18:00" } });
        instance.prefer("ann", digest).await;
        assert_eq!(instance.ask("ben", "PATCH", PATH, on).await.0, 503);
    });
}

#[test]
fn without_a_mail_server_no_mails_can_be_asked_for() {
    block_on(async {
        let instance = instance();
        instance.fake.world().components.clear();
        let on = json!({ "email": { "enabled": true } });
        let (status, problem) = instance.ask("ann", "PATCH", PATH, on).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (422, &json!("/email/enabled"))
        );
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("--smtp"), "{detail}");
    });
}

#[test]
fn what_breaks_a_rule_is_refused() {
    block_on(async {
        let instance = instance();
        for (patch, pointer) in [
            // These two are the account's.
            (json!({ "time_zone": "UTC" }), "/time_zone"),
            (
                json!({ "email": { "address": "ann@example.org" } }),
                "/email/address",
            ),
            (json!({ "digest": {} }), "/digest/at"),
            (json!({ "sound": "loud" }), "/sound"),
            (json!({ "quiet_hours": [] }), "/quiet_hours"),
        ] {
            let (status, problem) = instance.ask("ann", "PATCH", PATH, patch.clone()).await;
            assert_eq!(
                (status, &problem["errors"][0]["pointer"]),
                (422, &json!(pointer)),
                "{patch}"
            );
        }
        assert!(instance.fake.world().state.is_empty());
    });
}
