//! How a task comes back. What may be written as a rule, and which dates it gives, is the planner's business.

use chrono::NaiveDateTime;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::TaskId;
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
    /// The occurrence after this one, from when it was created: so it is never created twice. Clients do not see it, so it
    /// changes neither the task's version nor the account's sequence number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TaskId>,
}

/// What the planner is asked: which date follows on the one of an occurrence that is done.
#[derive(Clone, Copy, Debug)]
pub struct Following<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// The date that the rule began with.
    pub start: &'a Due,
    /// Which occurrence of the rule is done, 1 for the one at `start`.
    pub index: u32,
    /// The date after which the next one comes.
    pub after: &'a Due,
    /// The moment on the wall clock from which it is counted, if that is not the due date.
    pub done: Option<NaiveDateTime>,
}

/// Knows which date follows; none where the series ends. The error says why the rule is none, in words for a person.
pub type NextDate = fn(&Following<'_>) -> Result<Option<Due>, String>;

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
