//! `tasks`: the only writer of tasks. Answers `/api/tasks` and `/api/import`; its sidecar's cron binding calls
//! `/internal/tasks/outbox-sweep`, its Kafka binding `/inbox`, and the function `recurrence`, through both sidecars, `/internal/tasks/occurrences`.

mod app;
mod inbox;
mod outbox;
mod planner;
mod routes;
mod store;

pub use app::App;
pub use routes::router;

#[cfg(target_family = "wasm")]
mod entry;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
