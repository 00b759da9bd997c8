//! `accounts`: who people are. They sign up, sign in and stay signed in here; they say who else may act for them; and when
//! they leave, every function is told.

mod app;
mod client;
mod deletions;
mod issuer;
mod letter;
mod limits;
mod mails;
mod password;
mod routes;
mod store;

pub use app::{App, Place};
pub use routes::router;

#[cfg(target_family = "wasm")]
mod entry;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
