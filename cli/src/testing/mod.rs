//! The test suites and what runs them.

pub mod bench;
pub mod contract;
mod deny;
pub mod kafka;
pub mod postgres;
pub mod python;
pub mod runner;
mod stack;
pub mod suites;
pub mod supply;
pub mod tour;
