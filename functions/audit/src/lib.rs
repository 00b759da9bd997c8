//! `audit`: every event of a task, kept in order and chained by hashes. Its sidecar delivers `task-events`, many at once, to
//! `/internal/audit/task-events`; it answers `/api/audit` and `/api/tasks/{id}/history`, and `tasks`, through both
//! sidecars, at `/internal/audit/entry`.

mod app;
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
