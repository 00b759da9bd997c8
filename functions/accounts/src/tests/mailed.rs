//! Links that come by mail.

use super::*;

impl Instance {
    /// The mails that were asked for: to whom, and the token of the link.
    fn mails(&self) -> Vec<(String, String)> {
        let invoked = &self.fake.world().invoked;
        let mails = invoked
            .iter()
            .filter(|(_, path, _)| path == "/internal/notifications/mails");
        mails
            .map(|(_, _, mail)| {
                let link = mail["link"].as_str().unwrap();
                let link = link.strip_prefix("https://docket.example.org/").unwrap();
                let token = link.split('#').nth(1).unwrap();
                (mail["to"].as_str().unwrap().to_owned(), token.to_owned())
            })
            .collect()
    }
}

#[test]
fn an_address_is_shown_to_be_the_owners() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        ann.post("/api/auth/verify/request", Value::Null)
            .await
            .expect(202);
        let mails = instance.mails();
        assert_eq!(mails.len(), 2, "one of the sign-up");
        assert!(mails.iter().all(|(to, _)| to == "ann@example.org"));
        let anybody = instance.device();
        let verify = |token: &str| anybody.post("/api/auth/verify", json!({ "token": token }));
        for wrong in ["", "x", mails[0].1.strip_prefix(|_| true).unwrap()] {
            assert_eq!(
                verify(wrong).await.expect(422)["errors"][0]["pointer"],
                "/token"
            );
        }
        assert_eq!(ann.get("/api/auth/me").await["email_verified"], false);
        for (_, token) in &mails {
            verify(token).await.expect(204);
        }
        assert_eq!(ann.get("/api/auth/me").await["email_verified"], true);
        ann.post("/api/auth/verify/request", Value::Null)
            .await
            .expect(202);
        assert_eq!(instance.mails().len(), 2, "it is shown already");
        // It is no link to set a password with.
        let other = anybody.post(
            "/api/auth/reset",
            json!({ "token": mails[0].1, "password": PASSWORD }),
        );
        other.await.expect(422);
    });
}

#[test]
fn a_forgotten_password_is_set_anew_once() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let anybody = instance.device();
        for _ in 0..2 {
            let asked = anybody.post(
                "/api/auth/reset/request",
                json!({ "email": "ANN@example.org" }),
            );
            assert_eq!(asked.await.expect(202), Value::Null);
        }
        let unknown = anybody.post(
            "/api/auth/reset/request",
            json!({ "email": "nobody@example.org" }),
        );
        assert_eq!(unknown.await.expect(202), Value::Null);
        let mails = instance.mails();
        assert_eq!(mails.len(), 3, "one of the sign-up, and none to nobody");
        let reset = |token: &str, password: &str| {
            anybody.post(
                "/api/auth/reset",
                json!({ "token": token, "password": password }),
            )
        };
        let short = reset(&mails[1].1, "short").await;
        assert_eq!(short.expect(422)["errors"][0]["pointer"], "/password");
        reset(&mails[1].1, "another horse").await.expect(204);
        // Neither this link nor the other one counts any more.
        for (_, token) in &mails[1..] {
            let again = reset(token, "a third horse").await;
            assert_eq!(again.expect(422)["errors"][0]["pointer"], "/token");
        }
        ann.refresh().await.expect(401);
        ann.sign_in("ann@example.org", PASSWORD).await.expect(401);
        ann.sign_in("ann@example.org", "another horse")
            .await
            .expect(200);
        assert_eq!(ann.get("/api/auth/me").await["email_verified"], true);
    });
}

#[test]
fn a_link_is_good_for_an_hour() {
    block_on(async {
        let instance = instance();
        instance.person("ann@example.org").await;
        let anybody = instance.device();
        anybody
            .post(
                "/api/auth/reset/request",
                json!({ "email": "ann@example.org" }),
            )
            .await
            .expect(202);
        let token = instance.mails().remove(1).1;
        pass(&instance.fake, 3_600);
        let late = anybody.post(
            "/api/auth/reset",
            json!({ "token": token, "password": PASSWORD }),
        );
        late.await.expect(422);
    });
}

#[test]
fn without_a_mail_server_that_is_said_where_it_tells_nothing() {
    block_on(async {
        let instance = instance();
        let none = Box::new(|_: &str, _: &Value| (200, json!({ "taken": false })));
        instance
            .fake
            .world()
            .apps
            .insert("notifications".into(), none);
        let ann = instance.person("ann@example.org").await;
        let asked = ann
            .post("/api/auth/verify/request", Value::Null)
            .await
            .expect(422);
        assert!(
            asked["detail"].as_str().unwrap().contains("--smtp"),
            "{asked}"
        );
        ann.post(
            "/api/auth/reset/request",
            json!({ "email": "ann@example.org" }),
        )
        .await
        .expect(202);
    });
}

#[test]
fn five_mails_go_to_an_address_within_an_hour() {
    block_on(async {
        let instance = instance();
        instance.person("ann@example.org").await;
        let body = json!({ "email": "ann@example.org" });
        for n in 0..5 {
            let device = instance.device_at(if n % 2 == 0 { "10.0.0.1" } else { "10.0.0.2" });
            device
                .post("/api/auth/reset/request", body.clone())
                .await
                .expect(202);
        }
        let device = instance.device_at("10.0.0.3");
        device
            .post("/api/auth/reset/request", body)
            .await
            .expect(429);
        assert_eq!(instance.mails().len(), 6);
    });
}
