//! What programs hold.

use super::*;

const PATH: &str = "/api/auth/tokens";

async fn grant(instance: &Instance, token: &str) -> Answer {
    let asked = json!({ "token": token });
    instance
        .called("/internal/accounts/agent-token", asked)
        .await
}

#[test]
fn a_token_lives_is_used_and_is_revoked() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let account = ann.get("/api/auth/me").await["id"].clone();
        let wanted = json!({
            "name": "Calendar", "scopes": ["tasks:read", "tasks:write"], "expires_in": 3_600, "changes_per_hour": 60,
        });
        let made = ann.post(PATH, wanted).await.expect(201);
        let secret = made["secret"].as_str().unwrap().to_owned();
        assert!(secret.starts_with("dkt_"));
        let granted = json!({
            "account": account, "id": made["token"]["id"], "name": "Calendar", "scopes": ["tasks:read", "tasks:write"],
            "expires_at": "2026-11-23T09:00:00.000Z", "changes_per_hour": 60,
        });
        assert_eq!(made["token"]["last_used_at"], Value::Null);
        assert_eq!(grant(&instance, &secret).await.expect(200), granted);
        let list = ann.get(PATH).await;
        assert!(!list.to_string().contains(&secret));
        assert_eq!(
            list["tokens"][0]["last_used_at"],
            "2026-11-23T08:00:00.000Z"
        );
        let transacted = instance.fake.world().transacted;
        grant(&instance, &secret).await.expect(200);
        assert_eq!(
            instance.fake.world().transacted,
            transacted,
            "its use is noted now and then"
        );
        for wrong in [
            "",
            "dkt_x",
            secret.strip_suffix(|_| true).unwrap(),
            &secret.replace("dkt_", "dkt_b"),
        ] {
            grant(&instance, wrong).await.expect(404);
        }
        let ben = instance.person("ben@example.org").await;
        let path = format!("{PATH}/{}", made["token"]["id"].as_str().unwrap());
        ben.ask("DELETE", &path, Value::Null).await.expect(404);
        ann.ask("DELETE", &path, Value::Null).await.expect(204);
        ann.ask("DELETE", &path, Value::Null).await.expect(404);
        grant(&instance, &secret).await.expect(404);
    });
}

#[test]
fn a_token_ends_by_itself() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let wanted = json!({ "name": "bot", "scopes": ["chat"], "expires_in": 60 });
        let made = ann.post(PATH, wanted).await.expect(201);
        let secret = made["secret"].as_str().unwrap();
        pass(&instance.fake, 59);
        grant(&instance, secret).await.expect(200);
        pass(&instance.fake, 1);
        grant(&instance, secret).await.expect(404);
    });
}

#[test]
fn an_account_has_fifty_tokens() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let wanted = json!({ "name": "bot", "scopes": ["chat"] });
        for _ in 0..50 {
            ann.post(PATH, wanted.clone()).await.expect(201);
        }
        ann.post(PATH, wanted).await.expect(409);
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        for (wanted, pointer) in [
            (json!({ "scopes": ["chat"] }), "/name"),
            (json!({ "name": "a\nb", "scopes": ["chat"] }), "/name"),
            (json!({ "name": "bot", "scopes": [] }), "/scopes"),
            (json!({ "name": "bot", "scopes": ["root"] }), "/scopes/0"),
            (
                json!({ "name": "bot", "scopes": ["chat"], "expires_in": 0 }),
                "/expires_in",
            ),
            (
                json!({ "name": "bot", "scopes": ["chat"], "changes_per_hour": 0 }),
                "/changes_per_hour",
            ),
        ] {
            let problem = ann.post(PATH, wanted.clone()).await.expect(422);
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{wanted}");
        }
        assert_eq!(ann.get(PATH).await["tokens"], json!([]));
    });
}

#[test]
fn an_operator_has_an_account_made_once() {
    block_on(async {
        let instance = instance();
        let ensure = |email: &'static str| {
            instance.called(
                "/internal/accounts/ensure",
                json!({ "email": email, "make": true }),
            )
        };
        let made = ensure("ops@example.org").await.expect(200);
        assert_eq!(ensure("OPS@example.org").await.expect(200), made);
        let address = instance
            .called("/internal/accounts/address", made.clone())
            .await
            .expect(200);
        assert_eq!(
            address,
            json!({ "email": "ops@example.org", "verified": true })
        );
        let unknown = instance.called("/internal/accounts/address", json!({ "account": "nobody" }));
        unknown.await.expect(404);
        ensure("nonsense").await.expect(422);
        let both =
            futures::future::join(ensure("new@example.org"), ensure("new@example.org")).await;
        assert_eq!(both.0.expect(200), both.1.expect(200));
        let ann = instance.person("ann@example.org").await;
        assert_eq!(
            ensure("ann@example.org").await.expect(200)["account"],
            ann.get("/api/auth/me").await["id"]
        );
    });
}
