//! Somebody at a browser: an address of his own, cookies, and the access token that they bring.

use anyhow::{Context as _, Result};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::client::{Account, Answer};
use crate::stack::Stack;

/// The password of everybody who signs up here.
pub const PASSWORD: &str = "correct horse battery";

/// The cookie that holds the refresh token.
const SESSION: &str = "docket_refresh";

/// Somebody at a browser.
#[derive(Debug)]
pub struct Visitor {
    http: reqwest::Client,
    base: String,
    /// Pairs of name and value.
    cookies: Mutex<BTreeMap<String, String>>,
    token: Mutex<Option<String>>,
}

impl Visitor {
    /// Somebody who comes from `127.0.<place>`: what is counted by address is counted of him alone.
    ///
    /// # Errors
    /// There is no such client.
    pub fn new(stack: &Stack, place: [u8; 2]) -> Result<Self> {
        let [high, low] = place;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(20))
            .local_address(Some(Ipv4Addr::new(127, 0, high, low).into()))
            .user_agent("Visitor/1")
            .build()?;
        Ok(Self {
            http,
            base: stack.address(),
            cookies: Mutex::default(),
            token: Mutex::default(),
        })
    }

    /// Another browser of the same person, which has the same cookies.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self {
            http: self.http.clone(),
            base: self.base.clone(),
            cookies: Mutex::new(self.kept().clone()),
            token: Mutex::default(),
        }
    }

    /// The cookie of the session: its name and value.
    pub fn cookie(&self) -> Option<String> {
        let kept = self.kept();
        let value = kept.get(SESSION)?;
        Some(format!("{SESSION}={value}"))
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The access token.
    pub fn token(&self) -> Option<String> {
        self.token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A request with all that a browser sends.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut request = self.anonymous(method, path);
        if path.starts_with("/api/auth/") {
            let pairs = self.kept();
            let pairs: Vec<String> = pairs
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            if !pairs.is_empty() {
                request = request.header("cookie", pairs.join("; "));
            }
        }
        if let Some(token) = self.token() {
            request = request.bearer_auth(token);
        }
        request
    }

    /// A request without cookie and token.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request; keeps the cookies and the access token that the answer brings.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let request = self.request(method, path);
        let answer = Answer::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await?;
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str()?.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.kept().insert(name.to_owned(), value.to_owned());
            }
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if let Some(token) = body.get("access_token").and_then(Value::as_str) {
            *self.token.lock().unwrap_or_else(PoisonError::into_inner) = Some(token.to_owned());
        }
        Ok(answer)
    }

    /// A POST.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn post(&self, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.ask(Method::POST, path, body).await
    }

    /// Signs up.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn sign_up(&self, email: &str) -> Result<Answer> {
        let body = json!({ "email": email, "password": PASSWORD });
        self.post("/api/auth/signup", Some(&body)).await
    }

    /// Signs in.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn sign_in(&self, email: &str, password: &str) -> Result<Answer> {
        let body = json!({ "email": email, "password": password });
        self.post("/api/auth/login", Some(&body)).await
    }

    /// Fetches the next access token.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn refresh(&self) -> Result<Answer> {
        self.post("/api/auth/refresh", None).await
    }

    /// The client of the account that he has signed in to.
    ///
    /// # Errors
    /// He has not.
    pub fn account(&self) -> Result<Account> {
        let token = self.token().context("he has not signed in")?;
        Account::new(self.http.clone(), self.base.clone(), token)
    }
}
