//! A stack: the processes of one data folder, from their secrets to their end.
//!
//! `plan` says what has to run, `supervisor` runs it, `registry` tells other commands about it.

pub mod configuration;
pub mod console;
pub mod engine;
pub mod folder;
pub mod health;
pub mod logs;
pub mod mail;
pub mod plan;
pub mod process;
pub mod registry;
pub mod secrets;
pub mod supervisor;
pub mod topics;
