//! What an account wants.

use super::*;

const PATH: &str = "/api/notifications/preferences";

#[test]
fn preferences_are_kept_and_reminders_is_told() {
    block_on(async {
        let instance = instance();
        let usual = json!({
            "morning": "09:00", "time_zone": "UTC", "email": { "enabled": false, "address": null },
            "quiet_hours": null, "digest": null,
        });
        assert_eq!(instance.get("ann", PATH).await, usual);
        instance
            .prefer("ann", json!({ "digest": { "at": "18:00" } }))
            .await;
        assert!(instance.fake.world().invoked.is_empty());
        for _ in 0..2 {
            instance
                .prefer(
                    "ann",
                    json!({ "time_zone": "Europe/Berlin", "morning": "07:30" }),
                )
                .await;
        }
        let told = json!({ "account": "ann", "morning": "07:30", "time_zone": "Europe/Berlin" });
        let invoked = instance.fake.world().invoked.clone();
        assert_eq!(invoked.len(), 2, "also when nothing changed");
        for (app, path, body) in invoked {
            assert_eq!(
                (app.as_str(), path.as_str()),
                ("reminders", "/internal/reminders/settings")
            );
            assert_eq!(body, told);
        }
        let now = instance.get("ann", PATH).await;
        assert_eq!(
            (&now["morning"], &now["digest"]["at"]),
            (&json!("07:30"), &json!("18:00"))
        );
        assert_eq!(instance.get("ben", PATH).await, usual);
        instance.fake.world().apps.clear();
        let (status, _) = instance
            .ask("ann", "PATCH", PATH, json!({ "morning": null }))
            .await;
        assert_eq!(status, 503, "reminders is away");
    });
}

#[test]
fn without_a_mail_server_no_mails_can_be_asked_for() {
    block_on(async {
        let instance = instance();
        instance.fake.world().components.clear();
        let on = json!({ "email": { "enabled": true, "address": "ann@example.org" } });
        let (status, problem) = instance.ask("ann", "PATCH", PATH, on.clone()).await;
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (422, &json!("/email/enabled"))
        );
        let detail = problem["errors"][0]["detail"].as_str().unwrap();
        assert!(detail.contains("--smtp"), "{detail}");
        // The address may be kept for later.
        let address = json!({ "email": { "address": "ann@example.org" } });
        instance.prefer("ann", address).await;
        instance.fake.world().components.push("smtp");
        instance.prefer("ann", on).await;
        let now = instance.get("ann", PATH).await;
        assert_eq!(now["email"]["enabled"], true);
    });
}

#[test]
fn what_breaks_a_rule_is_refused() {
    block_on(async {
        let instance = instance();
        for (patch, pointer) in [
            (json!({ "time_zone": "Nowhere" }), "/time_zone"),
            (json!({ "email": { "enabled": true } }), "/email/address"),
            (
                json!({ "email": { "address": "a@b.c\r\nBcc: d@e.f" } }),
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
