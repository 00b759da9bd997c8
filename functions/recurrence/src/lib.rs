//! `recurrence`: what is done and recurs comes back. Its sidecar delivers `task-events` to
//! `/internal/recurrence/task-events`; when an occurrence of a series is done, it has `tasks` create the next one. It keeps
//! nothing: `tasks` knows what it has created.

mod app;
mod routes;

pub use app::App;
pub use routes::router;

#[cfg(target_family = "wasm")]
mod entry;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
