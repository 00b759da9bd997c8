//! `reminders`: a reminder is published when it is due. It is the one function with Dapr jobs.
//!
//! Its sidecar delivers `task-events`; each is followed by the task's [`Plan`](docket_domain::reminders::Plan), a document
//! that says what is to fire when and what has fired. In the same transaction the agenda notes in which minutes to look at
//! the plan; after it, each reminder has a job. A job says only that it is time to look. What a job missed, the cron binding
//! `reminder-sweep` finds by the agenda, however long everything was down.

mod app;
mod jobs;
mod routes;
mod settings;
mod store;
mod sweep;

pub use app::App;
pub use routes::router;

#[cfg(target_family = "wasm")]
mod entry;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
