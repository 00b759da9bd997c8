//! The public contract as types: what the routes read and answer beyond a single task. `snake_case` JSON throughout.
//!
//! Functions use these very types, so whatever is said of them is said of the wire.

pub mod accounts;
pub mod audit;
pub mod auth;
mod batch;
mod changes;
pub mod inbox;
pub mod notifications;
pub mod occurrences;
pub mod openapi;
mod planner;
pub mod problem;
pub mod reminders;
mod tags;
mod tasks;
mod transfer;

pub use audit::{AuditPage, EntryAnswer, EntryRequest};
pub use batch::{BatchAnswer, BatchRequest, OperationRequest, OperationResult};
pub use changes::{ChangePage, ChangeView};
pub use inbox::{InboxMessage, InboxResult};
pub use notifications::{
    Channel, LedgerLine, LedgerPage, LedgerState, NotificationPage, NotificationView,
    SnoozeRequest, SnoozedUntil, Unread,
};
pub use occurrences::{NextOccurrence, OccurrenceDone};
pub use planner::{
    ParseRequest, Parsed, ParsedRecurrence, ParsedTask, PlannedDate, Preview, PreviewRequest, Span,
};
pub use tags::{TagList, TagRename, TagView, TagsChanged};
pub use tasks::{TaskPage, UndoRequest, Undone};
pub use transfer::{ImportProblem, Imported};
