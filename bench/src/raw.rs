//! The sidecar itself: the state calls that an operation of the API cannot do without.

use anyhow::{Context as _, Result, ensure};
use docket_tests::stack::Stack;
use reqwest::Client;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// A document is as large as a book or a segment is on average: they close at 24 KiB.
const DOCUMENT_BYTES: usize = 12 * 1024;
/// The store of the tasks.
const STORE: &str = "state";

/// A client of the sidecar of `tasks`.
pub struct Raw {
    http: Client,
    base: String,
    token: String,
    slots: AtomicU64,
}

impl Raw {
    /// The sidecar of a stack.
    ///
    /// # Errors
    /// The stack does not tell where it is.
    pub fn new(stack: &Stack) -> Result<Self> {
        Ok(Self {
            http: stack.http().clone(),
            base: format!("{}/v1.0/state", stack.sidecar_address("tasks")?),
            token: stack.api_tokens("tasks")?.dapr_api_token,
            slots: AtomicU64::new(0),
        })
    }

    /// Writes documents of a usual size.
    ///
    /// # Errors
    /// The sidecar refuses.
    pub async fn seed(&self, keys: &[String]) -> Result<()> {
        let items: Vec<Value> = keys
            .iter()
            .map(|key| json!({ "key": key, "value": document() }))
            .collect();
        self.post(STORE, "", &json!(items)).await.map(drop)
    }

    /// Reads a document; its etag.
    ///
    /// # Errors
    /// The sidecar refuses, or there is none.
    pub async fn get(&self, key: &str) -> Result<String> {
        let request = self
            .http
            .get(format!("{}/{STORE}/{key}", self.base))
            .header("dapr-api-token", &self.token);
        let answer = request.send().await?.error_for_status()?;
        let etag = answer.headers().get("etag").context("no etag")?;
        let etag = etag.to_str()?.to_owned();
        ensure!(answer.bytes().await?.len() >= DOCUMENT_BYTES, "too short");
        Ok(etag)
    }

    /// Reads many documents at once.
    ///
    /// # Errors
    /// The sidecar refuses.
    pub async fn bulk(&self, keys: &[String]) -> Result<()> {
        self.post(STORE, "/bulk", &json!({ "keys": keys, "parallelism": 16 }))
            .await
            .map(drop)
    }

    /// Reads a document, and writes it and a new key in one guarded transaction: a change without its rules and events.
    ///
    /// # Errors
    /// The sidecar refuses.
    pub async fn change(&self, key: &str) -> Result<()> {
        let etag = self.get(key).await?;
        let slot = self.slots.fetch_add(1, Ordering::Relaxed);
        let guarded = json!({ "concurrency": "first-write" });
        let book = json!({ "key": key, "value": document(), "etag": etag, "options": guarded });
        let event = "e".repeat(700);
        let slot =
            json!({ "key": format!("bench-slot:{slot}"), "value": event, "options": guarded });
        self.upsert(STORE, &[book, slot]).await
    }

    /// Writes keys of a store in one transaction, each by the request that Dapr takes for it.
    ///
    /// # Errors
    /// The sidecar refuses.
    pub async fn upsert(&self, store: &str, requests: &[Value]) -> Result<()> {
        let upsert = |request| json!({ "operation": "upsert", "request": request });
        let operations: Vec<Value> = requests.iter().map(upsert).collect();
        let body = json!({ "operations": operations });
        self.post(store, "/transaction", &body).await.map(drop)
    }

    async fn post(&self, store: &str, path: &str, body: &Value) -> Result<usize> {
        let request = self
            .http
            .post(format!("{}/{store}{path}", self.base))
            .header("dapr-api-token", &self.token)
            .json(body);
        Ok(request
            .send()
            .await?
            .error_for_status()?
            .bytes()
            .await?
            .len())
    }
}

fn document() -> Value {
    json!({ "tasks": "t".repeat(DOCUMENT_BYTES) })
}
