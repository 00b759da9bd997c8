//! What every function shares: who calls, errors on the wire, reading bodies and queries, taking in events, and the world outside of
//! the rules.

pub mod auth;
pub mod body;
pub mod browser;
pub mod config;
#[cfg(test)]
mod fuzz;
pub mod intake;
pub mod parameters;
pub mod problem;
pub mod runtime;
pub mod serve;
#[cfg(target_family = "wasm")]
pub mod spin;
mod strict;

pub use auth::{Authority, Caller, Internal, May, OwnSidecar};
pub use body::Json;
pub use browser::Origins;
pub use config::Config;
pub use intake::{Consumer, Delivered, DeliveredTogether, Verdict, Verdicts};
pub use parameters::{Parameters, Refusal};
pub use problem::{Code, Problem};
pub use runtime::Runtime;
