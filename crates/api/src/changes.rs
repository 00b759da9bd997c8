//! The change feed.

use docket_domain::TaskId;
use docket_domain::changes::{Change, Page};
use docket_domain::task::TaskView;
use schemars::JsonSchema;
use serde::Serialize;

/// What happened since a client last asked.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ChangePage<'a> {
    /// The changes in the order of their sequence numbers, each task once; none when the client is up to date.
    pub changes: Vec<ChangeView<'a>>,
    /// The `since` of the next request.
    pub next: u64,
    /// Whether the client has to throw away all tasks that it has, and to begin anew from `next`.
    pub reset: bool,
}

/// A change: the task as it now is, or the id of what is gone.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ChangeView<'a> {
    /// The account's sequence number.
    pub seq: u64,
    /// The task, if it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskView<'a>>,
    /// The id of a task that was deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<TaskId>,
}

impl<'a> From<&Page<'a>> for ChangePage<'a> {
    fn from(page: &Page<'a>) -> Self {
        let change = |change: &Change<'a>| {
            let (task, deleted) = match change {
                Change::Task(task) => (Some(task.view()), None),
                Change::Deleted(tombstone) => (None, Some(tombstone.1)),
            };
            ChangeView {
                seq: change.seq(),
                task,
                deleted,
            }
        };
        Self {
            changes: page.changes.iter().map(change).collect(),
            next: page.next.number(),
            reset: page.reset,
        }
    }
}
