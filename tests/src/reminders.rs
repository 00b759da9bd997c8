//! Reminders as a consumer of the topic `reminders` gets them, and what only the sidecar may ask of their function.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use docket_api::reminders::{LEDGER, Ledger};
use docket_cli::events::{self, Query};
use docket_domain::event::CloudEvent as _;
use docket_domain::reminder_due::{REMINDERS, ReminderDue};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

use crate::client::{Account, Answer};
use crate::stack::Stack;
use crate::until;

/// The name of the sidecar of `reminders` among the parts.
pub const SIDECAR: &str = "dapr-reminders";
/// The function and its app id.
pub const APP: &str = "reminders";

/// What has fired of an account.
#[derive(Debug, Default)]
pub struct Fired {
    /// The first publication of each, by its event's id.
    pub events: BTreeMap<String, ReminderDue>,
    /// How many records repeat one.
    pub repeated: usize,
}

impl Fired {
    /// Reads all that the topic has of an account, and checks it.
    ///
    /// # Errors
    /// The broker does not answer, or an event is not as it must be.
    pub async fn read(stack: &Stack, account: &Account) -> Result<Self> {
        let query = Query {
            account: Some(account.id.clone()),
            ..Query::all(REMINDERS)
        };
        let mut fired = Self::default();
        for record in events::collect(&stack.brokers(), &query).await? {
            let body = record.body.to_string();
            let event = ReminderDue::read(body.as_bytes()).with_context(|| body.clone())?;
            ensure!(
                event.data.account.as_str() == account.id,
                "somebody else's: {body}"
            );
            ensure!(event.data.fired_at >= event.data.at, "too early: {body}");
            if fired.events.insert(event.id.clone(), event).is_some() {
                fired.repeated += 1;
            }
        }
        Ok(fired)
    }

    /// Waits until so many different ones have fired.
    ///
    /// # Errors
    /// They have not in time.
    pub async fn wait(
        stack: &Stack,
        account: &Account,
        count: usize,
        within: Duration,
    ) -> Result<Self> {
        until(&format!("{count} reminders fire"), within, async || {
            let fired = Self::read(stack, account).await?;
            Ok((fired.events.len() >= count).then_some(fired))
        })
        .await
    }

    /// How late each fired, in milliseconds, the least first.
    #[must_use]
    pub fn lateness(&self) -> Vec<i64> {
        let late =
            |event: &ReminderDue| event.data.fired_at.as_millis() - event.data.at.as_millis();
        let mut all: Vec<i64> = self.events.values().map(late).collect();
        all.sort_unstable();
        all
    }

    /// The tasks that were reminded of, each as often as it was.
    #[must_use]
    pub fn tasks(&self) -> Vec<String> {
        let task = |event: &ReminderDue| event.data.task_id.to_string();
        let mut all: Vec<String> = self.events.values().map(task).collect();
        all.sort_unstable();
        all
    }
}

/// The instant so many milliseconds from now, as requests have it.
#[must_use]
pub fn in_millis(millis: i64) -> DateTime<Utc> {
    Utc::now() + TimeDelta::milliseconds(millis)
}

/// A task with one reminder at an instant.
#[must_use]
pub fn reminding(title: &str, at: DateTime<Utc>) -> Value {
    json!({ "title": title, "reminders": [{ "at": at.to_rfc3339() }] })
}

/// Calls an internal route of the function, as its sidecar would.
///
/// # Errors
/// It is not answered with 200.
pub async fn ask<A: DeserializeOwned>(
    stack: &Stack,
    account: &Account,
    path: &str,
    body: &Value,
) -> Result<A> {
    let request = account
        .anonymous(Method::POST, path)
        .header("dapr-api-token", stack.api_tokens(APP)?.app_api_token)
        .json(body);
    Answer::of(request).await?.read(200)
}

/// What the function knows of a task's reminders.
///
/// # Errors
/// It does not answer.
pub async fn ledger(stack: &Stack, account: &Account, task: &str) -> Result<Ledger> {
    let body = json!({ "account": account.id, "task_id": task });
    ask(stack, account, LEDGER, &body).await
}
