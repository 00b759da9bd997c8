//! What other systems send to the topic `task-inbox`, and what comes back on `task-inbox-results`. How a message is
//! signed is in `docs/task-inbox.md`.

use docket_domain::task::TaskView;
use docket_domain::{AccountId, TaskId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// The topic of the messages.
pub const TOPIC: &str = "task-inbox";
/// The output binding of the results, and its topic.
pub const RESULTS: &str = "task-inbox-results";
/// The topic of the messages that are none, or that nobody trusted has sent, each with the reason.
pub const DEAD: &str = "task-inbox-dead";

/// A message. It has either a token, or an account and a signature.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct InboxMessage {
    /// Names the message within its account: 1 to 128 visible ASCII characters. One that comes again is not carried out
    /// again.
    pub id: String,
    /// When it was made, as RFC 3339 has it.
    pub at: String,
    /// An access token of the account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Whose tasks to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// `v1=…`, made with the key that the sender shares with Docket.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// What to do: an operation as in a batch, [`crate::OperationRequest`]. Its text is what is signed.
    pub operation: Option<Box<RawValue>>,
}

/// What came of a message. A repetition of the message repeats it.
#[derive(Clone, Debug, Serialize)]
pub struct InboxResult<'a> {
    /// The message's id.
    pub id: &'a str,
    /// Its account.
    pub account: &'a AccountId,
    /// What the same change would have been answered with over HTTP: 200, 201, 204; or the problem's status.
    pub status: u16,
    /// The task as the operation left it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<TaskView<'a>>,
    /// The id of the task that is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted: Option<TaskId>,
    /// Why it was refused; nothing was changed. Its `request_id` is the message's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem<'a>>,
}
