//! The local stand-in for `spin up`: runs the HTTP triggers of a Spin application on wasmtime.
//!
//! What it runs it runs as Spin does: the same manifest, the same routes and request headers, the same rules for
//! outgoing calls, the same reuse of instances. What it does not run it refuses by name when it starts.
//!
//! The way of a request: [`serve`] takes it off a connection, unless its client asks too much ([`callers`]), and finds its
//! route ([`routes`]), [`pool`] hands it
//! to an instance, [`guest`] is what that instance has on this side, [`turns`] keep it from holding up others, and [`outbound`]
//! makes its calls.

pub mod allowed_hosts;
pub mod app;
pub mod cache;
pub mod callers;
pub mod compose;
pub mod engine;
pub mod guest;
pub mod log;
pub mod manifest;
pub mod outbound;
mod patience;
pub mod pool;
pub mod routes;
pub mod serve;
pub mod turns;
pub mod variables;
