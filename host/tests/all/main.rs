//! The host's tests beyond single functions: manifests, real components, the program itself.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking, also in what they share"
)]

mod guests;
mod manifests;
mod process;
mod support;
