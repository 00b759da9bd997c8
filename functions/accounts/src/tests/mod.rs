//! The routes, next to a sidecar in memory.

mod contract;
mod life;
mod limits;
mod mailed;
mod sessions;
mod tokens;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_fake::{APP_TOKEN, Fake, KEY_ID, config, signing_key};
use docket_service::serve::serve;
use futures::executor::block_on;
use http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use std::cell::RefCell;

use crate::{App, Place, router};

const PASSWORD: &str = "correct horse";

/// One instance of the function, with whoever asks it.
struct Instance {
    fake: Fake,
    router: axum::Router,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answer {
    fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The cookie of this name that it sets: its name and value.
    fn cookie(&self, name: &str) -> Option<String> {
        let set = self.headers.get_all("set-cookie").iter();
        let mut pairs = set.map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap());
        let found = pairs.find(|pair| pair.split('=').next() == Some(name));
        found.map(str::to_owned)
    }
}

/// Somebody at a device, which keeps cookies.
struct Device<'a> {
    instance: &'a Instance,
    address: &'static str,
    cookie: RefCell<String>,
    /// The cookie by which the device is known.
    mark: RefCell<String>,
    token: RefCell<String>,
}

fn instance() -> Instance {
    let fake = Fake::default();
    prepare(&fake);
    Instance::new(&fake)
}

/// Has the sidecar give the keys, and `notifications` take mails.
pub(crate) fn prepare(fake: &Fake) {
    let key = URL_SAFE_NO_PAD.encode(signing_key().to_bytes());
    let mut world = fake.world();
    world
        .secrets
        .insert("jwt-signing".into(), json!({ KEY_ID: key }));
    let refresh = URL_SAFE_NO_PAD.encode([9; 32]);
    world
        .secrets
        .insert("refresh-key".into(), json!({ "r1": refresh }));
    let taken = Box::new(|_: &str, _: &Value| (200, json!({ "taken": true })));
    world.apps.insert("notifications".into(), taken);
}

impl Instance {
    fn new(fake: &Fake) -> Self {
        let place = Place::read(
            "https://docket.example.org/",
            "0",
            "10",
            "https://app.example.com",
        )
        .unwrap();
        Self {
            fake: fake.clone(),
            router: router(App::new(fake.clone(), &config(), place).unwrap()),
        }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = serve(&self.fake, self.router.clone(), request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.fake.settle().await;
        Answer {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    /// What the sidecar is answered when it calls a route of ours.
    async fn called(&self, path: &str, body: Value) -> Answer {
        let request = Request::post(path).header("dapr-api-token", APP_TOKEN);
        self.send(request.body(body.to_string().into()).unwrap())
            .await
    }

    fn device(&self) -> Device<'_> {
        self.device_at("10.0.0.1")
    }

    fn device_at(&self, address: &'static str) -> Device<'_> {
        Device {
            instance: self,
            address,
            cookie: RefCell::default(),
            mark: RefCell::default(),
            token: RefCell::default(),
        }
    }

    /// Somebody who has signed up.
    async fn person(&self, email: &str) -> Device<'_> {
        let device = self.device();
        let answer = device.sign_up(email).await;
        answer.expect(201);
        device
    }
}

impl Device<'_> {
    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(format!("http://docket.example.org{path}"))
            .header("spin-client-addr", format!("{}:4711", self.address))
            .header("user-agent", "Firefox")
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let mut request = self.request(method, path);
        if !self.token.borrow().is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token.borrow()));
        }
        let cookies = format!("a=b; {}; {}", self.cookie.borrow(), self.mark.borrow());
        request = request.header("cookie", cookies);
        let body = if body.is_null() {
            Body::empty()
        } else {
            body.to_string().into()
        };
        let answer = self.instance.send(request.body(body).unwrap()).await;
        for (name, kept) in [
            ("docket_refresh", &self.cookie),
            ("docket_device", &self.mark),
        ] {
            if let Some(cookie) = answer.cookie(name) {
                kept.replace(cookie);
            }
        }
        if let Some(token) = answer.body["access_token"].as_str() {
            *self.token.borrow_mut() = token.to_owned();
        }
        answer
    }

    async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, Value::Null).await.expect(200)
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask("POST", path, body).await
    }

    async fn sign_up(&self, email: &str) -> Answer {
        let body = json!({ "email": email, "password": PASSWORD });
        self.post("/api/auth/signup", body).await
    }

    async fn sign_in(&self, email: &str, password: &str) -> Answer {
        let body = json!({ "email": email, "password": password });
        self.post("/api/auth/login", body).await
    }

    async fn refresh(&self) -> Answer {
        self.post("/api/auth/refresh", Value::Null).await
    }
}

/// Lets the clock go on.
fn pass(fake: &Fake, seconds: i64) {
    fake.world().micros += seconds * 1_000_000;
}
