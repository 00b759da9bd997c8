//! When a task's reminders fire: what the function `reminders` keeps of each task, and what follows from each change.
//!
//! A [`Plan`] follows the events of one task. It says what is to fire and when, what has fired, and it is what decides: jobs
//! and the agenda only say when to look at it.

mod plan;
mod settings;

pub use plan::{Entry, Followed, Plan, State, TaskState, plan_key};
pub use settings::Settings;

#[cfg(test)]
mod tests;
