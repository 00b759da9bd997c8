//! Tasks that come out of a file, and go into one.

use schemars::JsonSchema;
use serde::Serialize;

/// What came of an import.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Imported {
    /// How many tasks are new.
    pub created: usize,
    /// How many were there already.
    pub skipped: usize,
    /// What could not be taken as it was meant, in the order of the lines.
    pub problems: Vec<ImportProblem>,
}

/// What is wrong with a line of an imported file.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct ImportProblem {
    /// The line's number, counted from 1.
    pub line: usize,
    /// What is wrong, and what became of the line.
    pub detail: String,
}
