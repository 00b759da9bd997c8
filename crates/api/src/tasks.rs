//! Lists of tasks.

use docket_domain::task::TaskView;
use schemars::JsonSchema;
use serde::Serialize;

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
