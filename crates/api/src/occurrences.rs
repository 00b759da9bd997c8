//! What `recurrence` asks of `tasks`. It is no part of the public API.

use docket_domain::{AccountId, TaskId};
use serde::{Deserialize, Serialize};

/// The app that is asked.
pub const APP: &str = "tasks";
/// Where.
pub const PATH: &str = "/internal/tasks/occurrences";

/// An occurrence of a recurring task was done: the next one is due.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct OccurrenceDone {
    /// Whose task.
    pub account: AccountId,
    /// Which.
    pub task_id: TaskId,
}

/// The answer.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub struct NextOccurrence {
    /// The next occurrence, if there is one: the same however often it is asked for.
    pub next: Option<TaskId>,
}
