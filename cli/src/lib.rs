//! The library behind `cargo docket`: the whole-system tests use its parts, the binary only its
//! command line.

pub mod accounts;
pub mod ask;
pub mod audit;
pub mod build;
pub mod commands;
pub mod dead_letters;
pub mod doctor;
pub mod events;
pub mod inbox;
pub mod layout;
pub mod machine;
pub mod stack;
pub mod supply;
pub mod testing;
pub mod tidy;
pub mod token;
