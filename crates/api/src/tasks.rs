//! Lists of tasks.

use docket_domain::TaskId;
use docket_domain::task::TaskView;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A page of tasks.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TaskPage<'a> {
    /// The tasks, in the order asked for.
    pub tasks: Vec<TaskView<'a>>,
    /// Where the next page begins; `null` after the last.
    pub next_cursor: Option<String>,
    /// How many tasks there are on all pages together.
    pub total: u64,
}

/// A change that is to be taken back.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct UndoRequest {
    /// The id of the event of the change, as the task's history has it.
    pub event_id: String,
}

/// What came of it: one of both.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Undone<'a> {
    /// The task as it now is.
    pub task: Option<TaskView<'a>>,
    /// The id of a task whose creation was undone.
    pub deleted: Option<TaskId>,
}
