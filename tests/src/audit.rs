//! The audit log beside the events: all of them, in order, and nothing else.

use anyhow::{Context as _, Result, ensure};
use docket_api::AuditPage;
use docket_cli::events::{self, Query};
use docket_domain::audit::{Entry, Verified};
use docket_domain::event::TASK_EVENTS;
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::Account;
use crate::stack::Stack;
use crate::until;

/// How long the log may be behind.
pub const BEHIND: Duration = Duration::from_secs(60);

/// All entries from a path on, page by page.
///
/// # Errors
/// The path is refused.
pub async fn walk(account: &Account, path: &str) -> Result<Vec<Entry>> {
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = account
            .send(Method::GET, &format!("{path}&cursor={cursor}"), None)
            .await?;
        let page: AuditPage = answer.read(200)?;
        entries.extend(page.entries);
        match page.next_cursor {
            Some(next) => cursor = next,
            None => return Ok(entries),
        }
    }
}

/// The whole log, oldest first.
///
/// # Errors
/// It cannot be read.
pub async fn log(account: &Account) -> Result<Vec<Entry>> {
    let mut entries = walk(account, "/api/audit?limit=500").await?;
    entries.reverse();
    Ok(entries)
}

/// What the function finds of the log.
///
/// # Errors
/// It is refused.
pub async fn verified(account: &Account) -> Result<Verified> {
    account
        .send(Method::GET, "/api/audit/verify", None)
        .await?
        .read(200)
}

/// Waits until the log has so many entries; gives what was found of it.
///
/// # Errors
/// They do not come, or the log is broken.
pub async fn until_entries(account: &Account, count: usize) -> Result<Verified> {
    until("the log has every event", BEHIND, async || {
        let found = verified(account).await?;
        ensure!(found.ok, "{found:?}");
        Ok((found.entries >= count as u64).then_some(found))
    })
    .await
}

/// The events of an account in the broker, each once, by their sequence numbers.
///
/// # Errors
/// The broker does not answer.
pub async fn events_of(stack: &Stack, account: &Account) -> Result<Vec<Value>> {
    let query = Query {
        account: Some(account.id.clone()),
        ..Query::all(TASK_EVENTS)
    };
    let mut events = BTreeMap::new();
    for event in events::collect(&stack.brokers(), &query).await? {
        let seq = event.body.pointer("/data/seq").and_then(Value::as_u64);
        let seq = seq.context("no number")?;
        events.insert(seq, event.body);
    }
    Ok(events.into_values().collect())
}

/// Holds the log against the events: each has its entry, in order, and there is no other.
///
/// # Errors
/// They differ.
pub async fn agree(stack: &Stack, account: &Account) -> Result<Vec<Value>> {
    stack.settled().await?;
    let events = events_of(stack, account).await?;
    let found = until_entries(account, events.len()).await?;
    assert_eq!(found.entries, events.len() as u64);
    assert_eq!(
        (&found.missing[..], found.late, found.redacted),
        (&[][..], 0, 0)
    );
    let entries = log(account).await?;
    assert_eq!(entries.len(), events.len());
    for (entry, event) in entries.iter().zip(&events) {
        let entry = serde_json::to_value(entry)?;
        for (told, happened) in [
            ("/event_id", "/id"),
            ("/type", "/type"),
            ("/task_id", "/subject"),
            ("/at", "/time"),
            ("/seq", "/data/seq"),
            ("/actor", "/data/actor"),
            ("/changes", "/data/changes"),
            ("/title", "/data/task/title"),
        ] {
            let (told, happened) = (entry.pointer(told), event.pointer(happened));
            ensure!(told == happened, "{entry} of {event}");
        }
        let kind = event.pointer("/type").and_then(Value::as_str);
        let whole = matches!(kind, Some("task-created" | "task-deleted"));
        let task = event.pointer("/data/task").filter(|_| whole);
        ensure!(entry.get("task") == task, "{entry}");
    }
    Ok(events)
}
