//! The test suites and what runs them.

pub mod bench;
pub mod oracle;
pub mod runner;
pub mod suites;
pub mod tour;
