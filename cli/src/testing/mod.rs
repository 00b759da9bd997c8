//! The test suites and what runs them.

pub mod bench;
pub mod kafka;
pub mod oracle;
pub mod postgres;
pub mod runner;
pub mod suites;
pub mod tour;
