//! The audit log: what happened to an account's tasks, kept for good, so that nobody can change it unseen.
//!
//! Each [`Entry`] has a hash of its content, and a hash over that and the entry before: whoever changes, removes or moves
//! one breaks the chain at that place, and [`Verifier`] finds it. The chain goes over the contents' hashes alone, so a
//! content can be [redacted](Entry::redact) later.
//!
//! The [`Log`] is the account's one document that every event goes through: the newest entries, the chain's end, and what
//! events are missing. What is full of it is sealed, as pages that never change again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

use crate::shelf::Kept;
use crate::{Actor, Event, EventKind, Instant, TaskId};

pub use canonical::canonical;
pub use hash::Hash;
pub use log::{
    Added, Log, PAGE_BYTES, PAGE_ENTRIES, Pages, SPANS, Span, directory_key, log_key, page_key,
    task_key, task_pages_key,
};
pub use query::{Filter, MAX_LIMIT, Order, Place, Query};
pub use verify::{Break, Broken, Sequence, Verified, Verifier};

mod canonical;
mod hash;
mod log;
mod query;
#[cfg(test)]
mod tests;
mod verify;

/// What becomes of a type of events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Treatment {
    /// Each event has an entry.
    Audited,
    /// It has none, for this reason.
    Exempt(&'static str),
}

/// The catalogue: what becomes of the events of a CloudEvents type. `None` of a type that nobody has thought about, which
/// is a mistake: every type that Docket publishes is named here.
pub fn treatment(event_type: &str) -> Option<Treatment> {
    match event_type {
        "task-created" | "task-updated" | "task-completed" | "task-reopened" | "task-deleted" => {
            Some(Treatment::Audited)
        }
        "reminder-due" => Some(Treatment::Exempt(
            "nothing of the account changes; the ledger of the notifications has it",
        )),
        "account-deleted" => Some(Treatment::Exempt(
            "the account's log is redacted at it, and ends",
        )),
        "notification-created" => Some(Treatment::Exempt(
            "it tells open clients of what the inbox has",
        )),
        _ => None,
    }
}

/// What an entry tells: an event without what follows from others.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The account's sequence number of the change.
    pub seq: u64,
    /// The event's id: what undoes the change.
    pub event_id: String,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventKind,
    /// Which task.
    pub task_id: TaskId,
    /// The task's title as it then was.
    pub title: String,
    /// Who did it.
    pub actor: Actor,
    /// When.
    pub at: Instant,
    /// The fields that changed; none of a new and of a deleted task.
    #[schemars(with = "BTreeMap<String, FieldChange>")]
    pub changes: Map<String, Value>,
    /// A new task as it was created, or a deleted one as it last was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub task: Option<Value>,
    /// What else it takes to bring a deleted task back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Map<String, Value>>")]
    pub kept: Option<Kept>,
}

/// How a field changed.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct FieldChange {
    /// What it was.
    pub from: Value,
    /// What it became.
    pub to: Value,
}

impl Content {
    /// What is kept of an event.
    pub fn of(event: &Event) -> Self {
        let title = event.task.get("title").and_then(Value::as_str);
        Self {
            seq: event.seq,
            event_id: event.id.clone(),
            kind: event.kind,
            task_id: event.task_id,
            title: title.unwrap_or_default().to_owned(),
            actor: event.actor.clone(),
            at: event.at,
            changes: event.changes.clone(),
            task: matches!(event.kind, EventKind::TaskCreated | EventKind::TaskDeleted)
                .then(|| event.task.clone()),
            kept: event.kept.clone(),
        }
    }

    /// The task's parents before the event, as far as it tells: of which one has to be looked at when it is undone.
    pub(crate) fn parents(&self) -> Vec<TaskId> {
        let changed = self
            .changes
            .get("parent_id")
            .and_then(|change| change.get("from"));
        let deleted = self.task.as_ref().and_then(|task| task.get("parent_id"));
        let told = changed.into_iter().chain(deleted);
        told.filter_map(|id| TaskId::parse(id.as_str()?)).collect()
    }

    /// The SHA-256 of its canonical JSON (RFC 8785).
    pub fn hash(&self) -> Hash {
        // It has nothing that JSON cannot hold.
        let value = serde_json::to_value(self).unwrap_or_default();
        Hash::new(Sha256::digest(canonical(&value)))
    }
}

/// An event in the log.
#[derive(Clone, Debug, JsonSchema, PartialEq, Serialize, Deserialize)]
#[schemars(rename = "AuditEntry")]
pub struct Entry {
    /// What it tells.
    #[serde(flatten)]
    pub content: Content,
    /// Whether what it told of the task and of the doer was taken out since. What is left of it has another hash.
    #[serde(default, skip_serializing_if = "is_false")]
    pub redacted: bool,
    /// The SHA-256 of the canonical JSON (RFC 8785) of the other fields, `redacted` and the hashes left out.
    pub content_hash: Hash,
    /// The `hash` of the entry before; zeros in the first one.
    pub previous_hash: Hash,
    /// The SHA-256 of the 32 bytes of `previous_hash` and the 32 bytes of `content_hash`.
    pub hash: Hash,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Entry {
    /// The entry of a content after the one whose hash is `previous`.
    pub fn after(previous: Hash, content: Content) -> Self {
        let content_hash = content.hash();
        Self {
            content,
            redacted: false,
            content_hash,
            previous_hash: previous,
            hash: previous.followed_by(content_hash),
        }
    }

    /// Takes out what tells of the task and of the doer. What is left says that something of this kind happened then, and
    /// the chain holds.
    pub fn redact(&mut self) {
        self.redacted = true;
        self.content.title.clear();
        self.content.actor.id.clear();
        self.content.actor.name = None;
        self.content.changes.clear();
        self.content.task = None;
        self.content.kept = None;
    }

    /// Whether it is as it was when it was written, as far as it tells itself.
    fn is_whole(&self) -> bool {
        (self.redacted || self.content.hash() == self.content_hash)
            && self.previous_hash.followed_by(self.content_hash) == self.hash
    }

    /// About how many bytes it takes in its page.
    fn stored_size(&self) -> usize {
        let text = serde_json::to_string(&self.content).unwrap_or_default();
        text.len() + 260
    }
}
