//! A client of the API, for one account.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::contract::{self, Sent};
use crate::secrets;

/// Somebody with a token.
#[derive(Clone, Debug)]
pub struct Account {
    http: reqwest::Client,
    base: String,
    /// The account's id.
    pub id: String,
    /// The access token.
    pub token: String,
}

/// A task as clients see it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are those of docket-domain's task")]
pub struct Task {
    pub id: String,
    pub title: String,
    pub description: String,
    pub status: String,
    pub priority: String,
    pub tags: Vec<String>,
    pub due: Option<Value>,
    pub due_at: Option<String>,
    pub reminders: Vec<Value>,
    pub recurrence: Option<Value>,
    pub parent_id: Option<String>,
    pub position: f64,
    pub created_at: String,
    pub updated_at: String,
    pub completed_at: Option<String>,
    pub version: u64,
}

/// A page of tasks.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// The tasks.
    pub tasks: Vec<Task>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
    /// How many tasks there are in all.
    pub total: u64,
}

/// What came of one operation of a batch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Operated {
    /// The operation.
    pub op: String,
    /// The task, unless it is gone.
    pub task: Option<Task>,
    /// The id of what is gone.
    pub id: Option<String>,
}

/// A page of the change feed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// What happened.
    pub changes: Vec<Change>,
    /// Where the next page begins.
    pub next: u64,
    /// Whether to begin anew.
    pub reset: bool,
}

/// A change of the feed: a task, or the id of one that is gone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The account's sequence number.
    pub seq: u64,
    /// The task as it is.
    pub task: Option<Task>,
    /// The id.
    pub deleted: Option<String>,
}

/// What came of an import.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imported {
    /// How many tasks are new.
    pub created: usize,
    /// How many were there.
    pub skipped: usize,
    /// What could not be read.
    pub problems: Vec<Value>,
}

/// An error as it is on the wire.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(
    missing_docs,
    reason = "the fields are those of RFC 9457 and of docket-service's problem"
)]
pub struct Problem {
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub code: String,
    pub detail: String,
    pub request_id: String,
    #[serde(default)]
    pub errors: Vec<Value>,
}

/// An answer with its whole body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// There is no answer, or not all of it.
    ///
    /// # Panics
    /// The contract is in force, and the answer is not as it promises.
    pub async fn of(request: RequestBuilder) -> Result<Self, reqwest::Error> {
        let (client, request) = request.build_split();
        let request = request?;
        let body = request.body().and_then(|body| body.as_bytes());
        secrets::note_all(request.headers(), body.unwrap_or_default());
        let sent = contract::is_in_force().then(|| Sent {
            method: request.method().clone(),
            url: request.url().clone(),
            headers: request.headers().clone(),
            body: request
                .body()
                .and_then(|body| Some(body.as_bytes()?.to_vec())),
        });
        let response = client.execute(request).await?;
        let answer = Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        };
        secrets::note_all(&answer.headers, &answer.body);
        if let Some(Err(error)) = sent.map(|sent| contract::check(&sent, &answer)) {
            #[expect(
                clippy::panic,
                reason = "no caller may take it for an answer that he expected"
            )]
            {
                panic!("{error:#}");
            }
        }
        Ok(answer)
    }

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON, if the status is as expected.
    ///
    /// # Errors
    /// It is not.
    pub fn read<T: DeserializeOwned>(&self, status: u16) -> Result<T> {
        self.check(status)?;
        serde_json::from_slice(&self.body).with_context(|| self.to_string())
    }

    /// Checks the status.
    ///
    /// # Errors
    /// It is another.
    pub fn check(&self, status: u16) -> Result<()> {
        ensure!(self.status == status, "expected {status}: {self}");
        Ok(())
    }

    /// The problem that the answer is, if it is one in every respect.
    ///
    /// # Errors
    /// It is not.
    pub fn problem(&self, status: u16, code: &str) -> Result<Problem> {
        let problem: Problem = self.read(status)?;
        ensure!(
            problem.code == code && problem.status == status,
            "expected {code}: {self}"
        );
        ensure!(
            self.header("content-type") == Some("application/problem+json"),
            "content type: {self}"
        );
        ensure!(
            self.header("x-request-id") == Some(problem.request_id.as_str()),
            "request id {:?}: {self}",
            self.header("x-request-id")
        );
        ensure!(
            !problem.title.is_empty() && !problem.detail.is_empty() && !problem.r#type.is_empty(),
            "says too little: {self}"
        );
        let wants_retry = matches!(status, 429 | 503);
        ensure!(
            self.retry_after().is_some() == wants_retry,
            "Retry-After: {:?}",
            self.headers
        );
        Ok(problem)
    }

    /// After how many seconds to try again.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        self.header("retry-after")?.parse().ok()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text: String = String::from_utf8_lossy(&self.body)
            .chars()
            .take(400)
            .collect();
        write!(f, "{} {text}", self.status)
    }
}

/// What came of a batch of so many operations.
///
/// # Errors
/// It was refused, or does not answer each operation.
pub fn operated(answer: &Answer, operations: usize) -> Result<Vec<Operated>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Batch {
        results: Vec<Operated>,
    }
    let Batch { results } = answer.read(200)?;
    ensure!(
        results.len() == operations,
        "{} results of {operations} operations",
        results.len()
    );
    Ok(results)
}

impl Account {
    /// A client with an access token, which names its account.
    ///
    /// # Errors
    /// It does not.
    pub fn new(http: reqwest::Client, base: String, token: String) -> Result<Self> {
        #[derive(Deserialize)]
        struct Claims {
            sub: String,
        }
        let claims = token.split('.').nth(1).context("not a JWT")?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
        Ok(Self {
            http,
            base,
            id: claims.sub,
            token,
        })
    }

    /// The same account with another token.
    #[must_use]
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self {
            token: token.into(),
            ..self.clone()
        }
    }

    /// A request with the account's token.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.anonymous(method, path).bearer_auth(&self.token)
    }

    /// A request without a token.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    /// Asks for something and gives any answer.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let request = self.request(method, path);
        Answer::of(match body {
            Some(body) => request.json(body),
            None => request,
        })
        .await
    }

    /// Creates a task.
    ///
    /// # Errors
    /// It is not created.
    pub async fn create(&self, task: &Value) -> Result<Task> {
        self.send(Method::POST, "/api/tasks", Some(task))
            .await?
            .read(201)
    }

    /// Reads a task.
    ///
    /// # Errors
    /// It is not there.
    pub async fn get(&self, id: &str) -> Result<Task> {
        self.send(Method::GET, &format!("/api/tasks/{id}"), None)
            .await?
            .read(200)
    }

    /// Changes a task.
    ///
    /// # Errors
    /// It is not changed.
    pub async fn patch(&self, id: &str, patch: &Value) -> Result<Task> {
        self.send(Method::PATCH, &format!("/api/tasks/{id}"), Some(patch))
            .await?
            .read(200)
    }

    /// `complete` or `reopen`.
    ///
    /// # Errors
    /// It is refused.
    pub async fn act(&self, id: &str, action: &str) -> Result<Task> {
        self.send(Method::POST, &format!("/api/tasks/{id}/{action}"), None)
            .await?
            .read(200)
    }

    /// Deletes a task.
    ///
    /// # Errors
    /// It is not deleted.
    pub async fn delete(&self, id: &str) -> Result<()> {
        self.send(Method::DELETE, &format!("/api/tasks/{id}"), None)
            .await?
            .check(204)
    }

    /// Sends a batch and gives any answer.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn try_batch(&self, operations: &[Value]) -> Result<Answer, reqwest::Error> {
        let body = json!({ "operations": operations });
        self.send(Method::POST, "/api/tasks/batch", Some(&body))
            .await
    }

    /// Carries out a batch.
    ///
    /// # Errors
    /// It is refused, or does not answer each operation.
    pub async fn batch(&self, operations: &[Value]) -> Result<Vec<Operated>> {
        operated(&self.try_batch(operations).await?, operations.len())
    }

    /// A page of the change feed.
    ///
    /// # Errors
    /// It is refused.
    pub async fn changes(&self, since: u64, limit: usize) -> Result<Changes> {
        let path = format!("/api/changes?since={since}&limit={limit}");
        self.send(Method::GET, &path, None).await?.read(200)
    }

    /// A page.
    ///
    /// # Errors
    /// It is refused.
    pub async fn page(&self, query: &str) -> Result<Page> {
        self.send(Method::GET, &format!("/api/tasks?{query}"), None)
            .await?
            .read(200)
    }

    /// All tasks of a status, page by page, newest first.
    ///
    /// # Errors
    /// A page is refused, or the pages and the total disagree.
    pub async fn all(&self, status: &str, limit: usize) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        let mut cursor = String::new();
        loop {
            let page = self
                .page(&format!("status={status}&limit={limit}&cursor={cursor}"))
                .await?;
            tasks.extend(page.tasks);
            match page.next_cursor {
                Some(next) => cursor = next,
                None => {
                    let total = usize::try_from(page.total)?;
                    ensure!(
                        tasks.len() == total,
                        "{} of {total} {status} tasks",
                        tasks.len()
                    );
                    return Ok(tasks);
                }
            }
        }
    }

    /// Imports a file: `query` has the format and what goes with it.
    ///
    /// # Errors
    /// It is refused.
    pub async fn import(&self, query: &str, file: impl Into<reqwest::Body>) -> Result<Imported> {
        let path = format!("/api/import?{query}");
        Answer::of(self.request(Method::POST, &path).body(file))
            .await?
            .read(200)
    }

    /// All tasks as a file.
    ///
    /// # Errors
    /// It is refused, cut off, or no text.
    pub async fn export(&self, query: &str) -> Result<String> {
        let path = format!("/api/export?{query}");
        let answer = self.send(Method::GET, &path, None).await?;
        answer.check(200)?;
        Ok(String::from_utf8(answer.body)?)
    }
}
