//! Staying signed in, and ceasing to be.

use super::*;

#[test]
fn a_session_is_refreshed_as_long_as_it_is_used() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let first = ann.token.borrow().clone();
        for _ in 0..3 {
            pass(&instance.fake, 29 * 86_400);
            ann.get_refused("/api/auth/me").await;
            ann.refresh().await.expect(200);
            ann.get("/api/auth/me").await;
        }
        assert_ne!(*ann.token.borrow(), first);
        pass(&instance.fake, 4 * 86_400);
        ann.refresh().await.expect(401);
    });
}

impl Device<'_> {
    async fn get_refused(&self, path: &str) {
        self.ask("GET", path, Value::Null).await.expect(401);
    }
}

#[test]
fn two_tabs_refresh_at_once_and_go_on() {
    block_on(async {
        let instance = instance();
        let other = Instance::new(&instance.fake);
        let ann = instance.person("ann@example.org").await;
        let tab = other.device();
        tab.cookie.replace(ann.cookie.borrow().clone());
        let both = futures::future::join(ann.refresh(), tab.refresh()).await;
        assert_eq!((both.0.status, both.1.status), (200, 200));
        assert_eq!(ann.cookie, tab.cookie);
        pass(&instance.fake, 600);
        ann.refresh().await.expect(200);
        // The other tab has the same cookie by then, as tabs of a browser do.
        tab.cookie.replace(ann.cookie.borrow().clone());
        pass(&instance.fake, 600);
        tab.refresh().await.expect(200);
    });
}

#[test]
fn a_stolen_token_ends_the_session_whoever_uses_it_second() {
    block_on(async {
        for thief_is_first in [false, true] {
            let instance = instance();
            let ann = instance.person("ann@example.org").await;
            let thief = instance.device_at("10.6.6.6");
            thief.cookie.replace(ann.cookie.borrow().clone());
            let (first, second) = if thief_is_first {
                (&thief, &ann)
            } else {
                (&ann, &thief)
            };
            first.refresh().await.expect(200);
            pass(&instance.fake, 11);
            second.refresh().await.expect(401);
            first.refresh().await.expect(401);
            assert!(instance.fake.keys("session:").is_empty());
        }
    });
}

#[test]
fn whoever_signs_out_is_out() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let answer = ann.post("/api/auth/logout", Value::Null).await;
        let set = answer.headers["set-cookie"].to_str().unwrap().to_owned();
        assert!(
            set.starts_with("docket_refresh=;") && set.contains("Max-Age=0"),
            "{set}"
        );
        answer.expect(204);
        ann.refresh().await.expect(401);
        assert!(instance.fake.keys("session:").is_empty());
        // Again, and by somebody who never was in.
        ann.post("/api/auth/logout", Value::Null).await.expect(204);
        let made_up = instance.device();
        made_up.cookie.replace("docket_refresh=a.b.c".to_owned());
        made_up
            .post("/api/auth/logout", Value::Null)
            .await
            .expect(204);
        made_up.refresh().await.expect(401);
    });
}

#[test]
fn sessions_are_listed_and_revoked() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        let mut devices = Vec::new();
        for _ in 0..3 {
            pass(&instance.fake, 60);
            let device = instance.device();
            device
                .sign_in("ann@example.org", PASSWORD)
                .await
                .expect(200);
            devices.push(device);
        }
        let list = devices[0].get("/api/auth/sessions").await;
        let sessions = list["sessions"].as_array().unwrap().clone();
        let current: Vec<bool> = sessions
            .iter()
            .map(|one| one["current"].as_bool().unwrap())
            .collect();
        assert_eq!(
            current,
            [false, false, true, false],
            "the one last used is first"
        );
        assert_eq!(sessions[0]["device"], "Firefox");
        let of = |n: usize| format!("/api/auth/sessions/{}", sessions[n]["id"].as_str().unwrap());
        ann.ask("DELETE", &of(0), Value::Null).await.expect(204);
        ann.ask("DELETE", &of(0), Value::Null).await.expect(404);
        devices[2].refresh().await.expect(401);
        devices[1].refresh().await.expect(200);
        let ben = instance.person("ben@example.org").await;
        ben.ask("DELETE", &of(1), Value::Null).await.expect(404);
        ann.ask("DELETE", "/api/auth/sessions?others=true", Value::Null)
            .await
            .expect(204);
        ann.refresh().await.expect(200);
        devices[1].refresh().await.expect(401);
        ann.ask("DELETE", "/api/auth/sessions", Value::Null)
            .await
            .expect(204);
        ann.refresh().await.expect(401);
        ben.refresh().await.expect(200);
    });
}

#[test]
fn a_page_of_somebody_else_gets_no_session() {
    block_on(async {
        let instance = instance();
        let ann = instance.person("ann@example.org").await;
        for (origin, status) in [
            ("https://evil.example", 403),
            ("null", 403),
            ("https://docket.example.org", 200),
        ] {
            let request = ann
                .request("POST", "/api/auth/refresh")
                .header("origin", origin)
                .header("cookie", ann.cookie.borrow().clone());
            let answer = instance.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status, status, "{origin}");
        }
    });
}
