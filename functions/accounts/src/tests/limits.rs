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
