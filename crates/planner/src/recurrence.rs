//! Recurrence: which date comes next, and why.

use docket_domain::Instant;
use docket_domain::due::Due;

/// One date that a rule gives.
#[derive(Clone, Debug, PartialEq)]
pub struct Occurrence {
    /// When it is due, in the form of the first due date: a day, a wall-clock time, or an instant in a zone.
    pub due: Due,
    /// The instant, where the due date has a zone.
    pub at: Option<Instant>,
    /// What is not plain about the date, in words for a person: "31st, clamped to the 28th", "clocks went forward".
    pub why: Vec<String>,
}
