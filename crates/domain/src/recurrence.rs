//! How a task comes back. What may be written as a rule, and which dates it gives, is the planner's business.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::due::Due;

/// The longest rule, in bytes.
pub const MAX_RULE: usize = 512;

/// How a task comes back.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Recurrence {
    /// When, in its canonical spelling.
    pub rule: Rule,
    /// What the next date is counted from.
    #[serde(default, skip_serializing_if = "From::is_due")]
    pub from: From,
    /// The series that all occurrences share.
    pub series_id: String,
    /// Which occurrence this one is, counted from 1.
    pub index: u32,
    /// The occurrence that the rule began with, if it was not this one: from its date the later ones remember the day
    /// of the month (31) and the time on the wall. A new rule, and a due date set by hand, begin anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
}

/// The occurrence that a rule began with.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// Which occurrence of the series it was: COUNT counts from there.
    pub index: u32,
    /// When it was due.
    pub due: Due,
}

/// What the next occurrence is counted from.
#[derive(Clone, Copy, Debug, Default, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "RecurrenceFrom")]
pub enum From {
    /// The due date of this one.
    #[default]
    Due,
    /// The day on which this one was done.
    Completion,
}

impl From {
    fn is_due(&self) -> bool {
        *self == Self::Due
    }
}

/// A rule as text, in its canonical spelling: `daily`, `weekly`, `monthly`, `yearly`, an RFC 5545 RRULE from `FREQ=` on,
/// or `cron:` with an expression. The domain does not know rules: [`crate::Context::check_rule`] does, before a rule is
/// taken; what is stored was checked then.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Rule(String);

impl Rule {
    /// A rule that was checked.
    pub fn checked(canonical: String) -> Self {
        Self(canonical)
    }

    /// The rule's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
