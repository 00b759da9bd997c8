//! From the sign-up to the end.

use super::*;
use docket_fake::Fault;

#[test]
fn somebody_signs_up_and_is_himself_then() {
    block_on(async {
        let instance = instance();
        let ann = instance.device();
        let body = json!({
            "email": " Ann@Example.org ", "password": PASSWORD, "name": "Ann", "locale": "ur-PK", "time_zone": "Asia/Karachi",
        });
        let answer = ann.post("/api/auth/signup", body).await;
        let set = answer.headers["set-cookie"].to_str().unwrap().to_owned();
        assert!(set.contains("; HttpOnly; SameSite=Strict; Secure"), "{set}");
        let made = answer.expect(201);
        let user = json!({
            "id": made["user"]["id"], "email": "Ann@Example.org", "email_verified": false, "name": "Ann", "locale": "ur-PK",
            "time_zone": "Asia/Karachi", "morning": "09:00", "preferences": {}, "created_at": "2026-11-23T08:00:00.000Z",
        });
        assert_eq!((&made["user"], &made["expires_in"]), (&user, &json!(600)));
        assert_eq!(ann.get("/api/auth/me").await, user);
        let told =
            json!({ "account": user["id"], "morning": "09:00", "time_zone": "Asia/Karachi" });
        let (app, path, body) = instance.fake.world().invoked[0].clone();
        assert_eq!(
            (app.as_str(), path.as_str()),
            ("notifications", "/internal/notifications/settings")
        );
        assert_eq!(body, told);
        // However the address is written, it is taken.
        let other = instance.device();
        let taken = other.sign_up("ann@EXAMPLE.org").await;
        assert_eq!(taken.expect(409)["code"], "conflict");
        let back = other.sign_in("ann@example.org", PASSWORD).await;
        assert_eq!(back.expect(200)["user"], user);
    });
}

#[test]
fn the_store_has_neither_passwords_nor_tokens_and_addresses_in_accounts_alone() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let made = ann.post(
            "/api/auth/tokens",
            json!({ "name": "bot", "scopes": ["chat"] }),
        );
        let secret = made.await.expect(201)["secret"]
            .as_str()
            .unwrap()
            .to_owned();
        ann.refresh().await.expect(200);
        let cookie = ann.cookie.borrow().rsplit('.').next().unwrap().to_owned();
        let mailed = instance.fake.world().invoked.last().unwrap().2["link"].clone();
        let link = mailed
            .as_str()
            .unwrap()
            .split('#')
            .nth(1)
            .unwrap()
            .to_owned();
        assert_eq!(link.len(), 43);
        for (key, (value, _)) in &instance.fake.world().state {
            let stored = format!("{key} {value}");
            for hidden in [PASSWORD, &secret, &cookie, &link, &ann.token.borrow()] {
                assert!(!stored.contains(hidden), "{stored}");
            }
            let may = key.starts_with("account:") || key.starts_with("mailed:");
            assert!(may || !stored.contains("example.org"), "{stored}");
        }
    });
}

#[test]
fn wrong_and_unknown_are_answered_alike() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let ensured = instance.called(
            "/internal/accounts/ensure",
            json!({ "email": "ops@example.org", "make": true }),
        );
        ensured.await.expect(200);
        let mut answers = Vec::new();
        for (email, password) in [
            ("ann@example.org", "wrong horse"),
            ("ann@example.org", ""),
            ("nobody@example.org", PASSWORD),
            ("ops@example.org", PASSWORD),
            ("ops@example.org", ""),
        ] {
            let reads = instance.fake.world().reads;
            let answer = ann.sign_in(email, password).await;
            let mut body = answer.body;
            body["request_id"].take();
            let reads = instance.fake.world().reads - reads;
            answers.push((answer.status, body, answer.headers.len(), reads));
        }
        assert_eq!(answers[0].0, 401);
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
    });
}

#[test]
fn an_older_hash_is_made_anew_at_the_next_sign_in() {
    use argon2::password_hash::{PasswordHasher as _, SaltString};
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let weak = argon2::Params::new(8, 1, 1, None).unwrap();
        let weak = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, weak);
        let salt = SaltString::encode_b64(&[1; 16]).unwrap();
        let old = weak
            .hash_password(PASSWORD.as_bytes(), &salt)
            .unwrap()
            .to_string();
        let key = instance.fake.keys("account:").remove(0);
        let stored = || instance.fake.world().state[&key].0["password"].clone();
        instance.fake.world().state.get_mut(&key).unwrap().0["password"] = old.clone().into();
        ann.sign_in("ann@example.org", "wrong horse")
            .await
            .expect(401);
        assert_eq!(stored(), old);
        ann.sign_in("ann@example.org", PASSWORD).await.expect(200);
        assert!(stored().as_str().unwrap().contains("m=19456,t=2,p=1"));
        ann.sign_in("ann@example.org", PASSWORD).await.expect(200);
    });
}

#[test]
fn who_comes_in_a_crowd_is_asked_to_come_again() {
    block_on(async {
        let instance = instance();
        let devices: Vec<_> = (0..40).map(|_| instance.device()).collect();
        let all = devices.iter().enumerate().map(async |(n, device)| {
            let answer = device.sign_in(&format!("a{n}@example.org"), PASSWORD).await;
            answer.status
        });
        let answers = futures::future::join_all(all).await;
        let of = |status| answers.iter().filter(|one| **one == status).count();
        assert!(of(401) >= 1 && of(503) >= 24, "{answers:?}");
        devices[0]
            .sign_in("a0@example.org", PASSWORD)
            .await
            .expect(401);
    });
}

#[test]
fn what_breaks_a_rule_is_refused_and_makes_nothing() {
    block_on(async {
        let instance = instance();
        let device = instance.device();
        for (body, pointers) in [
            (json!({}), &["/email"][..]),
            (json!({ "email": "ann", "password": PASSWORD }), &["/email"]),
            (json!({ "email": "a@b.c" }), &["/password"]),
            (
                json!({ "email": "a@b.c", "password": "short" }),
                &["/password"],
            ),
            (
                json!({ "email": "ann.petersen@b.c", "password": "ANN.petersen@b.c", "locale": "!", "time_zone": "Nowhere" }),
                &["/locale", "/time_zone", "/password"],
            ),
            (
                json!({ "email": "a@b.c", "password": PASSWORD, "admin": true }),
                &["/admin"],
            ),
        ] {
            let problem = device
                .post("/api/auth/signup", body.clone())
                .await
                .expect(422);
            let told: Vec<_> = problem["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| e["pointer"].as_str().unwrap())
                .collect();
            assert_eq!(told, pointers, "{body}");
            assert!(!problem.to_string().contains(PASSWORD), "{problem}");
        }
        assert!(instance.fake.world().state.is_empty());
    });
}

#[test]
fn the_owner_changes_what_he_says_of_himself() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        instance.fake.world().invoked.clear();
        let patch = json!({ "name": "Ann", "preferences": { "theme": "dark" } });
        let user = ann.ask("PATCH", "/api/auth/me", patch).await.expect(200);
        assert_eq!(
            (&user["name"], &user["preferences"]["theme"]),
            (&json!("Ann"), &json!("dark"))
        );
        assert!(instance.fake.world().invoked.is_empty());
        for _ in 0..2 {
            let patch = json!({ "time_zone": "Europe/Berlin", "morning": "07:30" });
            ann.ask("PATCH", "/api/auth/me", patch).await.expect(200);
        }
        assert_eq!(
            instance.fake.world().invoked.len(),
            2,
            "also when nothing changed"
        );
        let wrong = ann
            .ask("PATCH", "/api/auth/me", json!({ "email": "x@y.z" }))
            .await;
        assert_eq!(wrong.expect(422)["errors"][0]["pointer"], "/email");
        instance.fake.world().apps.clear();
        let away = ann
            .ask("PATCH", "/api/auth/me", json!({ "morning": null }))
            .await;
        away.expect(503);
    });
}

#[test]
fn another_password_ends_all_other_sessions() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let phone = instance.device();
        phone.sign_in("ann@example.org", PASSWORD).await.expect(200);
        let change = |current: &str, new: &str| json!({ "current": current, "new": new });
        let path = "/api/auth/password";
        let wrong = ann.post(path, change("wrong horse", "another horse")).await;
        assert_eq!(wrong.expect(403)["code"], "forbidden");
        let short = ann.post(path, change(PASSWORD, "short")).await;
        assert_eq!(short.expect(422)["errors"][0]["pointer"], "/new");
        ann.post(path, change(PASSWORD, "another horse"))
            .await
            .expect(204);
        ann.refresh().await.expect(200);
        phone.refresh().await.expect(401);
        phone.sign_in("ann@example.org", PASSWORD).await.expect(401);
        phone
            .sign_in("ann@example.org", "another horse")
            .await
            .expect(200);
    });
}

#[test]
fn who_is_gone_is_gone_and_everybody_is_told_once_it_can_be() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let id = ann.get("/api/auth/me").await["id"].clone();
        let wrong = ann
            .ask(
                "DELETE",
                "/api/auth/me",
                json!({ "password": "wrong horse" }),
            )
            .await;
        wrong.expect(403);
        instance.fake.world().publishings.push_back(Fault::Away);
        let right = json!({ "password": PASSWORD });
        ann.ask("DELETE", "/api/auth/me", right.clone())
            .await
            .expect(204);
        assert!(instance.fake.events("accounts").is_empty());
        for _ in 0..2 {
            let swept = instance.called("/internal/accounts/accounts-sweep", Value::Null);
            swept.await.expect(200);
        }
        let published = instance.fake.world().published.len();
        assert_eq!(published, 1, "it is told once");
        let event = instance.fake.events("accounts").remove(0);
        assert_eq!(
            (&event["type"], &event["partitionkey"]),
            (&json!("account-deleted"), &id)
        );
        let left: Vec<String> = instance.fake.world().state.keys().cloned().collect();
        let of_hers = |key: &&String| {
            !key.starts_with("limit:") && !key.starts_with("mailed:") && *key != "deletions"
        };
        assert_eq!(left.iter().find(of_hers), None);
        ann.ask("GET", "/api/auth/me", Value::Null)
            .await
            .expect(404);
        ann.refresh().await.expect(401);
        ann.sign_in("ann@example.org", PASSWORD).await.expect(401);
        let again = ann.sign_up("ann@example.org").await.expect(201);
        assert_ne!(again["user"]["id"], id);
    });
}

#[test]
fn a_sign_up_whose_answer_was_lost_is_one() {
    block_on(async {
        let instance = instance();
        let ann = instance.device();
        // The first transaction counts, the second makes the account.
        instance
            .fake
            .world()
            .transactions
            .extend([Fault::None, Fault::AnswerLost]);
        ann.sign_up("ann@example.org").await.expect(201);
        ann.get("/api/auth/me").await;
        let ben = instance.device();
        instance
            .fake
            .world()
            .transactions
            .extend([Fault::None, Fault::Away]);
        ben.sign_up("ben@example.org").await.expect(503);
        ben.sign_up("ben@example.org").await.expect(201);
        assert_eq!(
            instance.fake.keys("email:").len(),
            instance.fake.keys("account:").len()
        );
    });
}

#[test]
fn of_two_who_want_an_address_one_gets_it() {
    block_on(async {
        let instance = instance();
        let other = Instance::new(&instance.fake);
        let (one, two) = (instance.device(), other.device_at("10.0.0.2"));
        let both = futures::future::join(
            one.sign_up("ann@example.org"),
            two.sign_up("ann@example.org"),
        )
        .await;
        let mut statuses = [both.0.status, both.1.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        assert_eq!(instance.fake.keys("account:").len(), 1);
        assert_eq!(instance.fake.keys("session:").len(), 1);
    });
}
