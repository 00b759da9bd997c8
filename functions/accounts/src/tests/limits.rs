//! How often somebody may try.

use super::*;

#[test]
fn passwords_are_guessed_ten_times_a_minute_from_anywhere() {
    block_on(async {
        let instance = instance();
        instance.person("ann@example.org").await;
        for n in 0..10 {
            let address = if n % 2 == 0 { "10.0.0.1" } else { "10.0.0.2" };
            let guess = instance
                .device_at(address)
                .sign_in("ann@example.org", "wrong horse")
                .await;
            guess.expect(401);
        }
        let ann = instance.device_at("10.0.0.3");
        let answer = ann.sign_in("ann@example.org", PASSWORD).await;
        assert_eq!(answer.headers["retry-after"], "6");
        assert_eq!(answer.expect(429)["code"], "too_many_requests");
        // For an address that nobody has, it is the same.
        for _ in 0..10 {
            ann.sign_in("nobody@example.org", PASSWORD)
                .await
                .expect(401);
        }
        ann.sign_in("nobody@example.org", PASSWORD)
            .await
            .expect(429);
        pass(&instance.fake, 6);
        ann.sign_in("ann@example.org", PASSWORD).await.expect(200);
    });
}

#[test]
fn strangers_keep_nobody_out_of_his_own_account() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        // Somebody who has an account as well, at Ann's own address of the network.
        let ben = instance.device();
        ben.sign_up("ben@example.org").await.expect(201);
        let guess = async |device: &Device<'_>| {
            for _ in 0..10 {
                let answer = device.sign_in("ann@example.org", "wrong horse").await;
                answer.expect(401);
            }
            device.sign_in("ann@example.org", PASSWORD).await
        };
        guess(&ben).await.expect(429);
        ann.post("/api/auth/logout", Value::Null).await.expect(204);
        ann.sign_in("ann@example.org", PASSWORD).await.expect(200);
        // The mark says nothing of the address that it is shown with.
        let upper = ann.sign_in("ANN@example.org", PASSWORD).await;
        upper.expect(200);

        // Whoever guesses at her device keeps nobody else out.
        let at_hers = instance.device_at("10.0.0.2");
        at_hers.mark.replace(ann.mark.borrow().clone());
        pass(&instance.fake, 60);
        guess(&at_hers).await.expect(429);
        let elsewhere = instance.device_at("10.0.0.3");
        let answer = elsewhere.sign_in("ann@example.org", PASSWORD).await;
        answer.expect(200);
        assert_ne!(elsewhere.mark, ann.mark);
    });
}

#[test]
fn a_hundred_wrong_passwords_come_in_a_row() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let stranger = instance.device_at("10.0.0.2");
        let wrong = async |times: u32| {
            for _ in 0..times {
                pass(&instance.fake, 6);
                let answer = stranger.sign_in("ann@example.org", "wrong horse").await;
                answer.expect(401);
            }
            pass(&instance.fake, 6);
        };
        wrong(60).await;
        // Her password, from wherever, is the end of the row.
        let elsewhere = instance.device_at("10.0.0.3");
        let right = elsewhere.sign_in("ann@example.org", PASSWORD).await;
        right.expect(200);
        wrong(100).await;
        let answer = stranger.sign_in("ann@example.org", PASSWORD).await;
        let seconds: u32 = answer.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        answer.expect(429);
        // One each 864 s, of which the row itself took some.
        assert!((1..=864).contains(&seconds), "{seconds}");
        ann.sign_in("ann@example.org", PASSWORD).await.expect(200);
        pass(&instance.fake, i64::from(seconds));
        wrong(0).await;
        let last = stranger.sign_in("ann@example.org", PASSWORD).await;
        last.expect(200);
    });
}

#[test]
fn who_is_asked_for_his_password_again_is_counted_like_one_who_signs_in() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let change = |current: &str| {
            let body = json!({ "current": current, "new": "another horse" });
            ann.post("/api/auth/password", body)
        };
        for _ in 0..10 {
            change("wrong horse").await.expect(403);
        }
        change(PASSWORD).await.expect(429);
        // It was her device alone that tried.
        let elsewhere = instance.device_at("10.0.0.3");
        let answer = elsewhere.sign_in("ann@example.org", PASSWORD).await;
        answer.expect(200);
        pass(&instance.fake, 6);
        change(PASSWORD).await.expect(204);
    });
}

#[test]
fn one_client_guesses_thirty_times_a_minute() {
    block_on(async {
        let instance = instance();
        let device = instance.device();
        for n in 0..30 {
            let email = format!("a{n}@example.org");
            device.sign_in(&email, PASSWORD).await.expect(401);
        }
        device.sign_in("b@example.org", PASSWORD).await.expect(429);
        let other = instance.device_at("10.0.0.2");
        other.sign_in("b@example.org", PASSWORD).await.expect(401);
    });
}

#[test]
fn one_client_makes_ten_accounts_an_hour() {
    block_on(async {
        let instance = instance();
        let device = instance.device();
        for n in 0..10 {
            device
                .sign_up(&format!("a{n}@example.org"))
                .await
                .expect(201);
        }
        let answer = device.sign_up("b@example.org").await;
        assert_eq!(answer.headers["retry-after"], "360");
        answer.expect(429);
        instance
            .device_at("10.0.0.2")
            .sign_up("b@example.org")
            .await
            .expect(201);
    });
}

#[test]
fn a_session_is_refreshed_sixty_times_a_minute() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        for _ in 0..60 {
            ann.refresh().await.expect(200);
        }
        ann.refresh().await.expect(429);
        pass(&instance.fake, 1);
        ann.refresh().await.expect(200);
    });
}

#[test]
fn who_guesses_at_once_guesses_no_more() {
    block_on(async {
        let instance = instance();
        let devices: Vec<_> = (0..24).map(|_| instance.device()).collect();
        let all = devices
            .iter()
            .map(|device| device.sign_in("ann@example.org", PASSWORD));
        let answers = futures::future::join_all(all).await;
        let tried = answers.iter().filter(|answer| answer.status == 401).count();
        assert!(tried <= 10, "{tried}");
        assert!(
            answers
                .iter()
                .all(|answer| matches!(answer.status, 401 | 429 | 503))
        );
    });
}
