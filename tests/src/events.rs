//! Events as a consumer gets them: read from the broker, checked, and each counted once.

use anyhow::{Context as _, Result, bail, ensure};
use docket_api::notifications::NOTIFICATION_CREATED;
use docket_cli::events::{self, Query};
use docket_domain::event::{SOURCE, TASK_EVENTS, TASK_UPDATES};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

use crate::client::{Account, Task};
use crate::stack::Stack;

/// What happened to an account's tasks, as its events tell.
#[derive(Debug, Default)]
pub struct History {
    /// The changes, in the order of their sequence numbers: 1, 2, 3 …
    pub changes: Vec<Change>,
    /// How many records repeat an event.
    pub duplicates: usize,
}

/// One event of `task-events`.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The CloudEvents type.
    pub kind: String,
    /// The task's id.
    pub subject: String,
    /// Who did it, what changed and the task as it then was.
    pub task: Task,
    /// The changed fields, each with `from` and `to`.
    pub changes: Map<String, Value>,
}

impl History {
    /// Reads everything that both topics have of an account, and checks it: CloudEvents 1.0, keyed by the account, in
    /// order and without gaps at the first delivery of each, repeated only as they were, and alike in both topics.
    ///
    /// # Errors
    /// The broker does not answer, or an event is not as it must be.
    pub async fn read(stack: &Stack, account: &Account) -> Result<Self> {
        let (functions, again) = delivered(stack, TASK_EVENTS, account).await?;
        let (clients, updates_again) = delivered(stack, TASK_UPDATES, account).await?;
        ensure!(
            functions.len() == clients.len(),
            "{} events in {TASK_EVENTS}, {} in {TASK_UPDATES}",
            functions.len(),
            clients.len()
        );
        let mut changes = Vec::with_capacity(functions.len());
        for (event, update) in functions.iter().zip(&clients) {
            changes.push(change(event, update).with_context(|| format!("{event} and {update}"))?);
        }
        Ok(Self {
            changes,
            duplicates: again + updates_again,
        })
    }

    /// The tasks as they are after all changes, newest first.
    #[must_use]
    pub fn replay(&self) -> Vec<Task> {
        let mut tasks: Vec<Task> = Vec::new();
        for change in &self.changes {
            match tasks.iter().position(|task| task.id == change.subject) {
                Some(place) if change.kind == "task-deleted" => {
                    tasks.remove(place);
                }
                Some(place) => {
                    if let Some(task) = tasks.get_mut(place) {
                        task.clone_from(&change.task);
                    }
                }
                None => tasks.push(change.task.clone()),
            }
        }
        tasks.reverse();
        tasks
    }

    /// Checks that the API shows the tasks that follow from the events, by every status.
    ///
    /// # Errors
    /// It shows others.
    pub async fn matches_the_api(&self, account: &Account) -> Result<()> {
        let expected = self.replay();
        for status in ["open", "done", "all"] {
            let shown = account.all(status, 200).await?;
            let expected: Vec<&Task> = expected
                .iter()
                .filter(|task| status == "all" || task.status == status)
                .collect();
            ensure!(
                shown.iter().collect::<Vec<_>>() == expected,
                "the {status} tasks of {}: the API shows {}, the events tell of {}; first difference: {:?}",
                account.id,
                shown.len(),
                expected.len(),
                shown.iter().zip(&expected).find(|(a, b)| a != *b)
            );
        }
        Ok(())
    }
}

/// An account's events in a topic, each once, in order; and how many records repeat one.
async fn delivered(stack: &Stack, topic: &str, account: &Account) -> Result<(Vec<Value>, usize)> {
    let query = Query {
        account: Some(account.id.clone()),
        ..Query::all(topic)
    };
    let mut records = events::collect(&stack.brokers(), &query).await?;
    records.sort_by_key(|record| (record.partition, record.offset));
    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    let (mut in_order, mut duplicates) = (Vec::new(), 0);
    let partition = records.first().map(|record| record.partition);
    let places: Vec<(Option<u64>, i32, i64)> = records
        .iter()
        .map(|record| (number(&record.body), record.partition, record.offset))
        .collect();
    for record in records {
        let event = record.body;
        if event.pointer("/type").and_then(Value::as_str) == Some(NOTIFICATION_CREATED) {
            // It is no change of a task.
            continue;
        }
        ensure!(
            record.key.as_deref() == Some(account.id.as_str()),
            "{topic}: key {:?} of {event}",
            record.key
        );
        ensure!(
            Some(record.partition) == partition,
            "{topic}: two partitions"
        );
        check_envelope(&event, account).with_context(|| format!("{topic}: {event}"))?;
        let id = text(&event, "/id")?.to_owned();
        if let Some(first) = seen.get(&id) {
            ensure!(first == &own(&event), "{topic}: {event} repeats {first}");
            duplicates += 1;
            continue;
        }
        let expected = in_order.len() as u64 + 1;
        let seq = number(&event);
        if seq != Some(expected) {
            let find = |seq| places.iter().find(|(number, ..)| *number == seq);
            bail!(
                "{topic}, account {}: number, partition and offset {:?} come where {expected} is due, which is at {:?}",
                account.id,
                find(seq),
                find(Some(expected))
            );
        }
        seen.insert(id, own(&event));
        in_order.push(event);
    }
    Ok((in_order, duplicates))
}

fn number(event: &Value) -> Option<u64> {
    event.pointer("/data/seq").and_then(Value::as_u64)
}

/// The event without what the sidecar adds to each delivery, its numbers by their value: who keeps an event on its way
/// may write `2.0` as `2`.
fn own(event: &Value) -> Value {
    let mut event = by_value(event);
    if let Value::Object(attributes) = &mut event {
        for added in ["traceid", "traceparent", "tracestate"] {
            attributes.remove(added);
        }
    }
    event
}

fn by_value(value: &Value) -> Value {
    match value {
        Value::Number(number) => number.as_f64().into(),
        Value::Array(items) => items.iter().map(by_value).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), by_value(value)))
            .collect(),
        other => other.clone(),
    }
}

fn check_envelope(event: &Value, account: &Account) -> Result<()> {
    for (pointer, expected) in [
        ("/specversion", "1.0"),
        ("/source", SOURCE),
        ("/datacontenttype", "application/json"),
        ("/partitionkey", account.id.as_str()),
        ("/data/account", account.id.as_str()),
    ] {
        let found = text(event, pointer)?;
        ensure!(found == expected, "{pointer} is {found}");
    }
    for pointer in ["/id", "/type", "/subject"] {
        ensure!(!text(event, pointer)?.is_empty(), "{pointer} is empty");
    }
    let time = text(event, "/time")?;
    ensure!(
        docket_domain::Instant::parse(time).is_some(),
        "time is {time}"
    );
    Ok(())
}

fn change(event: &Value, update: &Value) -> Result<Change> {
    for pointer in ["/id", "/type", "/subject", "/time", "/data/seq"] {
        ensure!(
            event.pointer(pointer) == update.pointer(pointer),
            "{pointer} differs"
        );
    }
    let kind = text(event, "/type")?.to_owned();
    let subject = text(event, "/subject")?.to_owned();
    let task: Task =
        serde_json::from_value(event.pointer("/data/task").cloned().unwrap_or_default())?;
    ensure!(
        text(update, "/data/event")? == kind,
        "the update is of another kind"
    );
    ensure!(task.id == subject, "the subject is another task");
    if kind == "task-deleted" {
        ensure!(
            text(update, "/data/deleted")? == subject,
            "another task is deleted"
        );
    } else {
        ensure!(
            Some(task.version) == event.pointer("/data/seq").and_then(Value::as_u64),
            "the version is not the sequence number"
        );
        ensure!(
            update.pointer("/data/task") == event.pointer("/data/task"),
            "the update's task differs"
        );
    }
    let actor = text(event, "/data/actor/kind")?;
    let known =
        actor == "person" || actor == "system" || (actor == "recurrence" && kind == "task-created");
    ensure!(known, "the actor");
    let Some(Value::Object(changes)) = event.pointer("/data/changes").cloned() else {
        bail!("no changes");
    };
    Ok(Change {
        kind,
        subject,
        task,
        changes,
    })
}

fn text<'a>(event: &'a Value, pointer: &str) -> Result<&'a str> {
    event
        .pointer(pointer)
        .and_then(Value::as_str)
        .with_context(|| format!("no {pointer}"))
}
