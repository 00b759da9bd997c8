//! What a task is and what may happen to it: pure rules, no clock, no random source, no I/O.
//!
//! A caller loads an account's [`Shelf`] (its book and the segments that a command needs), calls
//! [`Shelf::apply`] with the time and some entropy as arguments, stores what changed in one transaction, and
//! publishes the events that came out.

pub mod account;
pub mod account_deleted;
pub mod agenda;
pub mod audit;
pub mod base32;
pub mod changes;
pub mod client;
pub mod command;
pub mod deliveries;
pub mod due;
pub mod event;
pub mod find;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod golden;
pub mod idempotency;
pub mod ids;
pub mod inbox;
pub mod instant;
pub mod mail;
pub mod outbox;
mod parent;
pub mod preferences;
pub mod rate;
pub mod recurrence;
pub mod reminder_due;
pub mod reminders;
mod schema;
pub mod scope;
pub mod shelf;
pub mod task;
pub mod task_inbox;

pub use command::{Command, FieldError, FieldErrorCode, Known, NewTask, Rejection, TaskInput};
pub use event::{Actor, ActorKind, Event, EventKind};
pub use ids::{AccountId, Entropy, TaskId};
pub use instant::Instant;
pub use scope::{Scope, Scopes};
pub use shelf::{Book, Context, Segment, Shelf};
pub use task::Task;
