//! Several changes at once.

use docket_domain::command::MAX_OPERATIONS;
use docket_domain::task::TaskView;
use docket_domain::{TaskId, TaskInput};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a batch is asked to do: all of it, or nothing.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["operations"]))]
pub struct BatchRequest {
    /// 1 to 200 operations, carried out in this order.
    #[schemars(length(min = 1, max = MAX_OPERATIONS))]
    pub operations: Vec<OperationRequest>,
}

/// One change of a batch.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["op"]))]
pub struct OperationRequest {
    /// `create`, `update`, `complete`, `reopen` or `delete`.
    #[schemars(extend("enum" = ["create", "update", "complete", "reopen", "delete"]))]
    pub op: String,
    /// Which task; not for `create`.
    pub id: Option<String>,
    /// The fields of the new task, or those to change; only for `create` and `update`.
    pub task: Option<TaskInput>,
}

/// What came of a batch.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct BatchAnswer<'a> {
    /// One for each operation, in the same order.
    pub results: Vec<OperationResult<'a>>,
}

/// What came of one operation: the task as the operation left it, or the id of what is gone.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct OperationResult<'a> {
    /// The operation, as it was asked for.
    pub op: &'a str,
    /// The task; absent after `delete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskView<'a>>,
    /// The id; only after `delete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<TaskId>,
}
