//! The library behind `cargo docket`: the whole-system tests use its parts, the binary only its
//! command line.

pub mod build;
pub mod commands;
pub mod layout;
pub mod machine;
pub mod stack;
