//! Links that come by mail.

use super::*;

impl Instance {
    /// The mails with links that were asked for: to whom, and the token of the link.
    fn mails(&self) -> Vec<(String, String)> {
        let links = self.letters().into_iter();
        links.filter_map(|(to, token)| Some((to, token?))).collect()
    }

    /// The mails that were asked for: to whom, and the token of the link if there is one.
    fn letters(&self) -> Vec<(String, Option<String>)> {
        let invoked = &self.fake.world().invoked;
        let mails = invoked
            .iter()
            .filter(|(_, path, _)| path == "/internal/notifications/mails");
        mails
            .map(|(_, _, mail)| {
                let token = mail["link"].as_str().map(|link| {
                    let link = link.strip_prefix("https://docket.example.org/").unwrap();
                    link.split('#').nth(1).unwrap().to_owned()
                });
                (mail["to"].as_str().unwrap().to_owned(), token)
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

/// Asks for another address; what the answer was.
async fn ask_to_change(device: &Device<'_>, email: &str, password: &str) -> Answer {
    let body = json!({ "email": email, "password": password });
    device.post("/api/auth/email", body).await
}

#[test]
fn an_account_gets_the_address_that_its_owner_shows_to_have() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let anybody = instance.device();
        let verify = |token: &str| anybody.post("/api/auth/verify", json!({ "token": token }));
        let first = instance.mails().remove(0).1;
        verify(&first).await.expect(204);
        for (email, password, status) in [
            ("new@example.org", "wrong horse", 403),
            ("no address", PASSWORD, 422),
            ("ANN@example.org", PASSWORD, 422),
        ] {
            let answer = ask_to_change(&ann, email, password).await;
            answer.expect(status);
        }
        let agent = json!({ "email": "new@example.org", "password": PASSWORD });
        anybody.post("/api/auth/email", agent).await.expect(401);
        assert_eq!(instance.letters().len(), 1, "nothing was sent");

        ask_to_change(&ann, "New@example.org", PASSWORD)
            .await
            .expect(202);
        let letters = instance.letters();
        let [_, (to, Some(token)), (noticed, None)] = letters.as_slice() else {
            panic!("{letters:?}");
        };
        assert_eq!(
            (to.as_str(), noticed.as_str()),
            ("New@example.org", "ann@example.org")
        );
        // Until the link is followed, all is as it was.
        ann.sign_in("new@example.org", PASSWORD).await.expect(401);
        ann.sign_in("ann@example.org", PASSWORD).await.expect(200);
        assert_eq!(ann.get("/api/auth/me").await["email"], "ann@example.org");
        for _ in 0..2 {
            verify(token).await.expect(204);
            let me = ann.get("/api/auth/me").await;
            let shown = (&me["email"], &me["email_verified"]);
            assert_eq!(shown, (&json!("New@example.org"), &json!(true)));
        }
        ann.refresh().await.expect(200);
        ann.sign_in("ann@example.org", PASSWORD).await.expect(401);
        ann.sign_in("new@example.org", PASSWORD).await.expect(200);
        let told: Vec<Value> = {
            let invoked = &instance.fake.world().invoked;
            let told = invoked
                .iter()
                .filter(|(_, path, _)| path == "/internal/notifications/addresses");
            told.map(|(_, _, told)| told["email"].clone()).collect()
        };
        assert_eq!(told, ["New@example.org", "New@example.org"]);
        // The old address is anybody's.
        let other = instance.person("ann@example.org").await;
        let id = |me: Value| me["id"].clone();
        assert_ne!(
            id(other.get("/api/auth/me").await),
            id(ann.get("/api/auth/me").await)
        );
    });
}

#[test]
fn an_address_of_another_account_is_answered_like_any_and_stays_with_it() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let sent = instance.letters().len();
        instance.person("bob@example.org").await;
        let taken = ask_to_change(&ann, "bob@example.org", PASSWORD).await;
        let free = ask_to_change(&ann, "cid@example.org", PASSWORD).await;
        assert_eq!(taken.expect(202), free.expect(202));
        let letters = instance.letters();
        let [_, (to, Some(token))] = &letters[sent..] else {
            panic!("{letters:?}");
        };
        // Whoever has not shown to have the old address has no notice sent there.
        assert_eq!(to, "cid@example.org");
        // Somebody else was quicker.
        instance.person("cid@example.org").await;
        let late = ann
            .post("/api/auth/verify", json!({ "token": token }))
            .await;
        assert_eq!(late.expect(422)["errors"][0]["pointer"], "/token");
        assert_eq!(ann.get("/api/auth/me").await["email"], "ann@example.org");
    });
}

#[test]
fn a_link_to_another_address_counts_until_password_or_address_are_others() {
    block_on(async {
        for change in ["password", "address", "a day"] {
            let instance = instance();
            let ann = instance.person("ann@example.org").await;
            ask_to_change(&ann, "one@example.org", PASSWORD)
                .await
                .expect(202);
            ask_to_change(&ann, "two@example.org", PASSWORD)
                .await
                .expect(202);
            let mails = instance.mails();
            let follow = |n: usize| ann.post("/api/auth/verify", json!({ "token": mails[n].1 }));
            match change {
                "password" => {
                    let body = json!({ "current": PASSWORD, "new": "another horse" });
                    ann.post("/api/auth/password", body).await.expect(204);
                }
                "address" => drop(follow(2).await.expect(204)),
                _ => pass(&instance.fake, 24 * 3_600),
            }
            follow(1).await.expect(422);
            // Nor is it a link to set a password with.
            let body = json!({ "token": mails[1].1, "password": "a third horse" });
            ann.post("/api/auth/reset", body).await.expect(422);
        }
    });
}

#[test]
fn five_mails_go_to_a_new_address_within_an_hour() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let ask = || ask_to_change(&ann, "new@example.org", PASSWORD);
        for _ in 0..5 {
            ask().await.expect(202);
        }
        ask().await.expect(429);
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
        // Strangers who guess do not keep out whoever got the mail.
        let stranger = instance.device_at("10.0.0.2");
        for _ in 0..10 {
            let guess = stranger.sign_in("ann@example.org", PASSWORD).await;
            guess.expect(401);
        }
        let another = async |device: &Device<'_>, status| {
            let answer = device.sign_in("ann@example.org", "another horse").await;
            answer.expect(status);
        };
        another(&stranger, 429).await;
        another(&anybody, 200).await;
        another(&ann, 200).await;
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
