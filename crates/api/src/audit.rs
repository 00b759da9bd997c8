//! The audit log on the wire.

use docket_domain::audit::Entry;
use docket_domain::{AccountId, TaskId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The app that is asked for an entry.
pub const APP: &str = "audit";
/// Where: this is no part of the public API.
pub const ENTRY_PATH: &str = "/internal/audit/entry";

/// A page of the audit log.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where the next page begins. A page may have fewer entries than asked for, even none, and others follow all the same:
    /// the log ends where this is null.
    pub next_cursor: Option<String>,
}

/// What `tasks` asks `audit`: the entry of an event of a task.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EntryRequest {
    /// Whose task.
    pub account: AccountId,
    /// Which task.
    pub task_id: TaskId,
    /// Which event.
    pub event_id: String,
}

/// The answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct EntryAnswer {
    /// The entry, if the task has such an event.
    pub entry: Option<Entry>,
    /// Whether the event of that sequence number has come: if not, and there is such a one, it is on its way.
    pub has_come: bool,
}
