//! Tasks that come out of a file, and go into one.

use docket_domain::todotxt::Problem;
use serde::Serialize;

/// What came of an import.
#[derive(Clone, Debug, Serialize)]
pub struct Imported {
    /// How many tasks are new.
    pub created: usize,
    /// How many were there already.
    pub skipped: usize,
    /// What could not be taken as it was meant, in the order of the lines.
    pub problems: Vec<Problem>,
}
