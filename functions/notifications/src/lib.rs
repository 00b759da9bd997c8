//! `notifications`: what people are told, and when. Its sidecar delivers `reminders` to
//! `/internal/notifications/reminders`; each event is one entry of its account's inbox, a message on `task-updates` for open
//! clients, and a mail for those who want one.

mod agenda;
mod app;
mod letter;
mod post;
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
