//! The API: accounts, and their tasks made quickly.

use anyhow::{Context as _, Result, ensure};
use docket_tests::client::{Account, Imported};
use docket_tests::stack::Stack;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Words for titles: what is searched for is in one of sixteen.
const WORDS: [&str; 16] = [
    "milk",
    "passport",
    "invoice",
    "garden",
    "dentist",
    "tyres",
    "report",
    "garage",
    "letter",
    "recipe",
    "window",
    "insurance",
    "birthday",
    "bicycle",
    "library",
    "ticket",
];

/// The API of a stack.
pub struct Api<'a> {
    stack: &'a Stack,
}

impl<'a> Api<'a> {
    /// Of this stack.
    pub fn new(stack: &'a Stack) -> Self {
        Self { stack }
    }

    /// A new account with so many open tasks.
    ///
    /// # Errors
    /// They are not all taken.
    pub async fn account(&self, name: &str, tasks: usize) -> Result<Account> {
        let account = self.stack.account(name).await?;
        // A file has at most so many tasks.
        const FILE: usize = 20_000;
        for first in (0..tasks).step_by(FILE) {
            let last = tasks.min(first + FILE);
            let mut file = String::new();
            for n in first..last {
                let word = WORDS.get(n % WORDS.len()).unwrap_or(&"task");
                writeln!(file, "Look after the {word} {n}")?;
            }
            let answer = account
                .request(Method::POST, "/api/import?format=todotxt")
                // The import of a large file takes its time.
                .timeout(std::time::Duration::from_secs(600))
                .body(file)
                .send()
                .await?
                .error_for_status()?;
            let imported: Imported = serde_json::from_slice(&answer.bytes().await?)?;
            ensure!(imported.created == last - first, "{imported:?}");
        }
        Ok(account)
    }

    /// Several accounts with so many tasks each.
    ///
    /// # Errors
    /// See [`Self::account`].
    pub async fn accounts(&self, name: &str, count: usize, tasks: usize) -> Result<Vec<Account>> {
        let mut accounts = Vec::new();
        for n in 0..count {
            accounts.push(self.account(&format!("{name}-{n}"), tasks).await?);
        }
        Ok(accounts)
    }
}

/// Creates a task; its id.
///
/// # Errors
/// It is not created.
pub async fn create(account: &Account) -> Result<String> {
    let task = json!({ "title": "Call the bank", "priority": "high", "tags": ["money"] });
    let created = send(account.request(Method::POST, "/api/tasks").json(&task)).await?;
    let id = created.get("id").and_then(Value::as_str).context("no id")?;
    Ok(id.to_owned())
}

/// Creates so many tasks at once.
///
/// # Errors
/// They are not created.
pub async fn batch(account: &Account, tasks: usize) -> Result<()> {
    let operations: Vec<Value> = (0..tasks)
        .map(|n| json!({ "op": "create", "task": { "title": format!("Call the bank {n}") } }))
        .collect();
    let body = json!({ "operations": operations });
    let done = send(
        account
            .request(Method::POST, "/api/tasks/batch")
            .json(&body),
    )
    .await?;
    let results = done.get("results").and_then(Value::as_array);
    ensure!(results.map(Vec::len) == Some(tasks), "not all are answered");
    Ok(())
}

/// Reads a task.
///
/// # Errors
/// It is not there.
pub async fn get(account: &Account, id: &str) -> Result<()> {
    send(account.request(Method::GET, &format!("/api/tasks/{id}")))
        .await
        .map(drop)
}

/// A page of tasks; the ids, and where the next one begins.
///
/// # Errors
/// It is refused.
pub async fn page(account: &Account, query: &str) -> Result<(Vec<String>, Option<String>)> {
    let page = send(account.request(Method::GET, &format!("/api/tasks?{query}"))).await?;
    let tasks = page.get("tasks").and_then(Value::as_array);
    let ids = tasks
        .context("no tasks")?
        .iter()
        .filter_map(|task| Some(task.get("id")?.as_str()?.to_owned()))
        .collect();
    let next = page.get("next_cursor").and_then(Value::as_str);
    Ok((ids, next.map(str::to_owned)))
}

/// All open tasks, in pages of 200.
///
/// # Errors
/// A page is refused, or there are not so many.
pub async fn list_all(account: &Account, tasks: usize) -> Result<()> {
    let (mut seen, mut cursor) = (0, String::new());
    loop {
        let (ids, next) = page(account, &format!("limit=200&cursor={cursor}")).await?;
        seen += ids.len();
        match next {
            Some(next) => cursor = next,
            None => break,
        }
    }
    ensure!(seen == tasks, "{seen} of {tasks}");
    Ok(())
}

async fn send(request: RequestBuilder) -> Result<Value> {
    let answer = request.send().await?.error_for_status()?;
    Ok(serde_json::from_slice(&answer.bytes().await?)?)
}
