//! What the planner is asked, and what it answers.

use docket_domain::command::{DueInput, Field, RecurrenceInput};
use docket_domain::due::Due;
use docket_domain::recurrence::From;
use docket_domain::task::{Priority, When};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Asks for the next dates of a recurrence.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PreviewRequest {
    /// The recurrence, as a task has it. `from` changes nothing: each date counts as done when it is due.
    pub recurrence: Field<RecurrenceInput>,
    /// The first due date of the series, as a task has it.
    pub due: Field<DueInput>,
    /// How many dates, 1 to 100; 10 if it is left out.
    #[schemars(range(min = 1, max = 100))]
    pub count: Option<u64>,
}

/// The next dates of a recurrence.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Preview {
    /// The dates, in order; fewer than asked for when the series ends before.
    pub dates: Vec<PlannedDate>,
}

/// One date of a recurrence.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct PlannedDate {
    /// An RFC 3339 instant if the due date has a zone, else the day, or the day and the time on the wall.
    pub at: String,
    /// The same as a task's due date.
    pub due: Due,
    /// What is not plain about it, a phrase each: "31st, clamped to the 28th", "clocks went forward".
    pub why: Vec<String>,
}

/// Asks what a line of quick add means.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ParseRequest {
    /// The line.
    pub text: Field<String>,
    /// When it is typed, an RFC 3339 instant; now if it is left out.
    pub now: Option<String>,
    /// The IANA zone of who types it; UTC if it is left out.
    pub time_zone: Option<String>,
    /// The language (BCP 47) of who types it; `en` if it is left out.
    pub locale: Option<String>,
}

/// What a line of quick add means.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Parsed {
    /// A body for `POST /api/tasks`. Its title is what is left of the line; a blank one is for the person to fill in.
    pub task: ParsedTask,
    /// The pieces of the line that have a meaning, in its order; none overlaps another.
    pub spans: Vec<Span>,
}

/// The fields of a task that a line gives; others are left out.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[expect(missing_docs, reason = "the fields are the task's, documented there")]
pub struct ParsedTask {
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<ParsedRecurrence>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reminders: Vec<When>,
}

/// How the task comes back, as a body has it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[expect(missing_docs, reason = "the fields are the task's, documented there")]
pub struct ParsedRecurrence {
    pub rule: String,
    pub from: From,
}

/// A piece of a line that has a meaning.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Span {
    /// Where it begins, in UTF-16 code units from the start of the line, as a browser counts.
    pub start: usize,
    /// Where it ends, exclusively, in the same units.
    pub end: usize,
    /// What it means, for a person: "due Friday 27 November 2026".
    pub means: String,
}
