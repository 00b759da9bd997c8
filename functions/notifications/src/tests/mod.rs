//! The routes, next to a sidecar in memory.

mod accounts;
mod contract;
mod inbox;
mod mails;
mod preferences;

use axum::body::Body;
use docket_domain::reminder_due::{Data, ReminderDue};
use docket_domain::task::Priority;
use docket_domain::{AccountId, Instant, TaskId};
use docket_fake::{APP_TOKEN, Fake, Invoked, config};
use futures::executor::block_on;
use http::Request;
use serde_json::{Value, json};

use crate::{App, router};

const TASK: &str = "0-90tj1f2kwhvp";

/// One instance of the function, with whoever asks it.
struct Instance {
    fake: Fake,
    router: axum::Router,
}

impl Instance {
    fn new(fake: &Fake) -> Self {
        Self {
            fake: fake.clone(),
            router: router(App::new(fake.clone(), &config()).unwrap()),
        }
    }

    /// The status and the body of an answer.
    async fn send(&self, request: Request<Body>) -> (u16, Value) {
        docket_fake::send(&self.fake, &self.router, request).await
    }

    async fn ask(&self, account: &str, method: &str, path: &str, body: Value) -> (u16, Value) {
        let token = self.fake.token(account, |_, _, _| {});
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {token}"));
        let body = if body.is_null() {
            Body::empty()
        } else {
            body.to_string().into()
        };
        self.send(request.body(body).unwrap()).await
    }

    async fn get(&self, account: &str, path: &str) -> Value {
        let (status, body) = self.ask(account, "GET", path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// What the sidecar is answered when it calls a route of ours.
    async fn called(&self, path: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::post(path).header("dapr-api-token", APP_TOKEN);
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Delivers an event; gives the verdict.
    async fn deliver(&self, event: &ReminderDue) -> String {
        let mut event = event.cloud_event();
        event["topic"] = "reminders".into();
        event["traceid"] = "00-0-0-00".into();
        let answer = self
            .called("/internal/notifications/reminders", event.to_string())
            .await;
        assert_eq!(answer.0, 200);
        answer.1["status"].as_str().unwrap().to_owned()
    }

    async fn sweep(&self) {
        let path = "/internal/notifications/notification-sweep";
        let (status, body) = self.called(path, Body::empty()).await;
        assert_eq!(status, 200, "{body}");
    }

    async fn prefer(&self, account: &str, patch: Value) {
        let path = "/api/notifications/preferences";
        let (status, body) = self.ask(account, "PATCH", path, patch).await;
        assert_eq!(status, 200, "{body}");
    }
}

fn instance() -> Instance {
    let fake = Fake::default();
    fake.world().components.push("smtp");
    let reminders: Invoked = Box::new(|path: &str, _: &Value| match path {
        "/internal/reminders/snooze" => (200, json!({ "scheduled": true })),
        "/internal/reminders/settings" => (200, json!({ "pending": false })),
        _ => (200, json!({ "entries": [] })),
    });
    let accounts: Invoked = Box::new(|path: &str, body: &Value| {
        assert_eq!(path, "/internal/accounts/address");
        let account = body["account"].as_str().unwrap();
        match account {
            "nobody" => (404, json!({ "code": "not_found" })),
            _ => (
                200,
                json!({ "email": format!("{account}@example.org"), "verified": account != "new" }),
            ),
        }
    });
    let apps = [("reminders", reminders), ("accounts", accounts)];
    fake.world()
        .apps
        .extend(apps.map(|(name, app)| (name.to_owned(), app)));
    Instance::new(&fake)
}

/// The `n`-th reminder of an account that fires.
fn reminder(account: &str, n: i64) -> ReminderDue {
    let at = Instant::parse("2026-11-23T07:59:00Z")
        .unwrap()
        .plus_millis(n);
    ReminderDue::new(Data {
        account: AccountId::parse(account).unwrap(),
        task_id: TaskId::parse(TASK).unwrap(),
        reminder_id: format!("r{n}"),
        occurrence: 1,
        at,
        fired_at: at.plus_millis(40),
        snoozed: None,
        title: format!("task {n}"),
        due: None,
        due_at: None,
        priority: Priority::High,
        tags: vec!["home".to_owned()],
    })
}

/// Lets the clock go on.
fn pass(fake: &Fake, seconds: i64) {
    fake.world().micros += seconds * 1_000_000;
}
