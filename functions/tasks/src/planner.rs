//! The planner as this function uses it. In Wasm it is the component that spin.toml composes with this one, behind
//! `wit/planner.wit`; natively, in unit tests, the library that the component is made of.

#[cfg(target_family = "wasm")]
mod component;
#[cfg(target_family = "wasm")]
pub use component::{check, next, parse, preview};

#[cfg(not(target_family = "wasm"))]
mod library;
#[cfg(not(target_family = "wasm"))]
pub use library::{check, next, parse, preview};
