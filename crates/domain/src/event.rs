//! What happened: one event a changed task, and the CloudEvents that others get of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::audit::canonical;
use crate::shelf::Kept;
use crate::task::{Task, TaskView};
use crate::{AccountId, Instant, TaskId};

/// Where the events come from, as CloudEvents' `source`.
pub const SOURCE: &str = "/docket/tasks";
/// The topic of every change, for those that act on it.
pub const TASK_EVENTS: &str = "task-events";
/// The topic of what open clients show.
pub const TASK_UPDATES: &str = "task-updates";

/// What kind of change. The names are the CloudEvents types.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A task is new.
    TaskCreated,
    /// Fields of a task changed.
    TaskUpdated,
    /// A task was done.
    TaskCompleted,
    /// A done task is open again.
    TaskReopened,
    /// A task is gone.
    TaskDeleted,
}

impl EventKind {
    /// Every kind, for whoever must treat them all.
    pub const ALL: [Self; 5] = [
        Self::TaskCreated,
        Self::TaskUpdated,
        Self::TaskCompleted,
        Self::TaskReopened,
        Self::TaskDeleted,
    ];

    /// The CloudEvents type.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TaskCreated => "task-created",
            Self::TaskUpdated => "task-updated",
            Self::TaskCompleted => "task-completed",
            Self::TaskReopened => "task-reopened",
            Self::TaskDeleted => "task-deleted",
        }
    }

    /// Reads a CloudEvents type.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Who made a change.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    /// What kind of doer.
    pub kind: ActorKind,
    /// Which: an account for a person, a token's id for an agent.
    pub id: String,
    /// An agent token's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Actor {
    /// A doer without a name.
    pub fn new(kind: ActorKind, id: impl Into<String>) -> Self {
        Self {
            kind,
            id: id.into(),
            name: None,
        }
    }
}

/// The kinds of doers.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActorKind {
    /// A person, through the API or the web client.
    Person,
    /// A program with an agent token of a person.
    Agent,
    /// The function `recurrence`, for the person whose task came back.
    Recurrence,
    /// Another system that shares a key with Docket, through the task inbox.
    System,
}

impl ActorKind {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Agent => "agent",
            Self::Recurrence => "recurrence",
            Self::System => "system",
        }
    }
}

/// One task's change, as the outbox keeps it until it is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique for all time: what consumers know a second delivery by.
    pub id: String,
    /// What happened.
    pub kind: EventKind,
    /// Whose task.
    pub account: AccountId,
    /// The account's sequence number of this change; without gaps.
    pub seq: u64,
    /// When.
    pub at: Instant,
    /// Who did it.
    pub actor: Actor,
    /// Which task.
    pub task_id: TaskId,
    /// The fields that changed, each with `from` and `to`; empty for a new and for a deleted task.
    pub changes: Map<String, Value>,
    /// The task as it now is, as clients see it; a deleted one as it last was.
    pub task: Value,
    /// Of a deleted task, what else it takes to bring it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

impl Event {
    /// The CloudEvent (1.0, structured JSON) for [`TASK_EVENTS`].
    pub fn task_event(&self) -> Value {
        let mut data = json!({
            "account": self.account,
            "seq": self.seq,
            "actor": self.actor,
            "changes": self.changes,
            "task": self.task,
        });
        if let (Some(kept), Some(fields)) = (&self.kept, data.as_object_mut()) {
            fields.insert("kept".to_owned(), json!(kept));
        }
        self.envelope(data)
    }

    /// The CloudEvent (1.0, structured JSON) for [`TASK_UPDATES`]: what a client needs to be up to date.
    pub fn task_update(&self) -> Value {
        self.envelope(match self.kind {
            EventKind::TaskDeleted => json!({
                "account": self.account,
                "seq": self.seq,
                "event": self.kind,
                "deleted": self.task_id,
            }),
            _ => json!({
                "account": self.account,
                "seq": self.seq,
                "event": self.kind,
                "task": self.task,
            }),
        })
    }

    fn envelope(&self, data: Value) -> Value {
        json!({
            "specversion": "1.0",
            "id": self.id,
            "source": SOURCE,
            "type": self.kind,
            "subject": self.task_id,
            "time": self.at,
            "datacontenttype": "application/json",
            "partitionkey": self.account,
            "data": data,
        })
    }
}

/// What a consumer takes in.
pub trait CloudEvent: Sized {
    /// Reads an event of this kind from its structured JSON form, whatever was added to it on its way.
    ///
    /// # Errors
    /// It is not such an event.
    fn read(cloud_event: &[u8]) -> Result<Self, serde_json::Error>;

    /// Whose it is. Those of an account come in order.
    fn account(&self) -> &AccountId;
}

/// What [`Event::task_event`] wrote.
impl CloudEvent for Event {
    fn read(cloud_event: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Envelope {
            id: String,
            #[serde(rename = "type")]
            kind: EventKind,
            subject: TaskId,
            time: Instant,
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            account: AccountId,
            seq: u64,
            actor: Actor,
            changes: Map<String, Value>,
            task: Value,
            #[serde(default)]
            kept: Option<Kept>,
        }
        let Envelope {
            id,
            kind,
            subject,
            time,
            data,
        } = serde_json::from_slice(cloud_event)?;
        Ok(Self {
            id,
            kind,
            account: data.account,
            seq: data.seq,
            at: time,
            actor: data.actor,
            task_id: subject,
            changes: data.changes,
            task: data.task,
            kept: data.kept,
        })
    }

    fn account(&self) -> &AccountId {
        &self.account
    }
}

/// The fields in which two states of a task differ, each with `from` and `to` as clients see them; what follows from
/// others (`due_at`, `updated_at`, `version`) is left out.
pub fn changes(old: &Task, new: &Task) -> Map<String, Value> {
    changes_of(&to_value(&old.view()), &to_value(&new.view()))
}

/// [`changes`] of two states as clients see them.
pub(crate) fn changes_of(old: &Value, new: &Value) -> Map<String, Value> {
    new.as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !matches!(name.as_str(), "due_at" | "updated_at" | "version"))
        .filter_map(|(name, to)| {
            let from = old.get(name).unwrap_or(&Value::Null);
            let change = || (name.clone(), json!({ "from": from, "to": to }));
            (!is_same(from, to)).then(change)
        })
        .collect()
}

/// Whether two values are the same, however their numbers are written.
pub(crate) fn is_same(a: &Value, b: &Value) -> bool {
    a == b || canonical(a) == canonical(b)
}

/// The task as clients see it, as JSON. A task has no content that JSON cannot hold.
pub(crate) fn to_value(view: &TaskView<'_>) -> Value {
    serde_json::to_value(view).unwrap_or_default()
}
