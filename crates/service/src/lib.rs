//! What every function shares: who calls, errors on the wire, reading bodies, and the world outside of the rules.

pub mod auth;
pub mod body;
pub mod problem;
pub mod runtime;
pub mod serve;
#[cfg(target_family = "wasm")]
pub mod spin;
mod strict;

pub use auth::{Authority, Caller, Internal};
pub use body::Json;
pub use problem::{Code, Problem};
pub use runtime::Runtime;
