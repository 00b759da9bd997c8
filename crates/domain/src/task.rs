//! The task as it is stored and as clients see it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

use crate::due::Due;
use crate::recurrence::Recurrence;
use crate::{Instant, TaskId};

/// The longest title, in characters.
pub const MAX_TITLE: usize = 500;
/// The longest description, in characters.
pub const MAX_DESCRIPTION: usize = 8_000;
/// The most tags of a task.
pub const MAX_TAGS: usize = 32;
/// The longest tag, in characters.
pub const MAX_TAG: usize = 64;
/// The most reminders of a task.
pub const MAX_REMINDERS: usize = 16;
/// The most tasks above one, its parent and that one's parents, when its parent is set.
pub const MAX_DEPTH: usize = 8;

/// A task as the book and the segments keep it: what is at its default is left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// The id.
    pub id: TaskId,
    /// What to do, 1 to [`MAX_TITLE`] characters.
    pub title: String,
    /// More about it, at most [`MAX_DESCRIPTION`] characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// How much it matters.
    #[serde(default, skip_serializing_if = "Priority::is_medium")]
    pub priority: Priority,
    /// Its tags in the order given, each once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// When it is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Due>,
    /// When to remind of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reminders: Vec<Reminder>,
    /// How it comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<Recurrence>,
    /// The task that it is part of. A weak reference: that one may be gone by now, and being done or deleted it leaves
    /// this one as it is. At most [`MAX_DEPTH`] tasks are above this one when it is set; what is below is not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<TaskId>,
    /// Its place in the manual order, if somebody gave it one; else [`Self::created_seq`] is its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<f64>,
    /// The account's sequence number of its creation: the order of creation.
    pub created_seq: u64,
    /// The account's sequence number of its last change: its version.
    pub seq: u64,
    /// When it was created.
    pub created_at: Instant,
    /// When it was last changed.
    pub updated_at: Instant,
    /// When it was done; a task is open as long as this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Instant>,
}

impl Task {
    /// Open or done.
    pub fn status(&self) -> Status {
        if self.completed_at.is_some() {
            Status::Done
        } else {
            Status::Open
        }
    }

    /// About how many bytes the task takes in its segment's JSON; exact enough to bound a segment.
    pub fn stored_size(&self) -> usize {
        240 + self.title.len()
            + self.description.len()
            + self.tags.iter().map(|tag| tag.len() + 3).sum::<usize>()
            + self.reminders.len() * 64
            + self.recurrence.as_ref().map_or(0, |r| {
                r.rule.as_str().len()
                    + if r.start.is_some() { 180 } else { 80 }
                    + if r.next.is_some() { 30 } else { 0 }
            })
            + self.parent_id.map_or(0, |_| 32)
    }

    /// The task as clients see it.
    pub fn view(&self) -> TaskView<'_> {
        TaskView {
            id: self.id,
            title: &self.title,
            description: &self.description,
            status: self.status(),
            priority: self.priority,
            tags: &self.tags,
            due: self.due.as_ref(),
            due_at: self.due.as_ref().and_then(Due::at),
            reminders: &self.reminders,
            recurrence: self.recurrence.as_ref().map(|r| RecurrenceView {
                rule: r.rule.as_str(),
                from: r.from,
                series_id: &r.series_id,
                index: r.index,
            }),
            parent_id: self.parent_id,
            position: self.position.unwrap_or(self.created_seq as f64),
            created_at: self.created_at,
            updated_at: self.updated_at,
            completed_at: self.completed_at,
            version: self.seq,
        }
    }
}

/// A task on the wire: every field, whether set or not.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Task")]
pub struct TaskView<'a> {
    id: TaskId,
    /// One line.
    #[schemars(length(min = 1, max = MAX_TITLE))]
    title: &'a str,
    #[schemars(length(max = MAX_DESCRIPTION))]
    description: &'a str,
    status: Status,
    priority: Priority,
    #[schemars(length(max = MAX_TAGS), inner(length(min = 1, max = MAX_TAG)))]
    tags: &'a [String],
    due: Option<&'a Due>,
    /// The instant of `due`, when its zone makes it one.
    due_at: Option<Instant>,
    #[schemars(length(max = MAX_REMINDERS))]
    reminders: &'a [Reminder],
    recurrence: Option<RecurrenceView<'a>>,
    /// The task that this one is part of. It had to be there when it was set, with no circle, and at most 8 tasks above
    /// this one. Whatever becomes of it leaves this one as it is: of one that is deleted the id stays here until it is
    /// set to another, or to null, and the task is to be shown as one without a parent.
    parent_id: Option<TaskId>,
    /// The place in the manual order; small numbers come first.
    #[serde(serialize_with = "shortest")]
    #[schemars(with = "f64")]
    position: f64,
    created_at: Instant,
    updated_at: Instant,
    /// Only a done task has it.
    completed_at: Option<Instant>,
    /// The account's sequence number of the task's last change; its ETag.
    version: u64,
}

/// Writes a whole number without a fraction, as others that pass it on do: the same task has one spelling.
fn shortest<S: serde::Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = (1_u64 << 53) as f64;
    if number.fract() == 0.0 && number.abs() < EXACT {
        serializer.serialize_i64(*number as i64)
    } else {
        serializer.serialize_f64(*number)
    }
}

/// How a task comes back.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Recurrence")]
struct RecurrenceView<'a> {
    /// The rule in its canonical spelling.
    rule: &'a str,
    from: crate::recurrence::From,
    /// What all occurrences share.
    series_id: &'a str,
    /// Which occurrence this one is.
    #[schemars(range(min = 1))]
    index: u32,
}

/// Whether a task is still to do.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// To do.
    Open,
    /// Done.
    Done,
}

/// How much a task matters.
#[derive(
    Clone, Copy, Debug, Default, Eq, JsonSchema, Ord, PartialEq, PartialOrd, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Can wait.
    Low,
    /// As most tasks.
    #[default]
    Medium,
    /// First.
    High,
}

impl Priority {
    /// Reads the word used on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "low" => Some(Self::Low),
            "medium" => Some(Self::Medium),
            "high" => Some(Self::High),
            _ => None,
        }
    }

    fn is_medium(&self) -> bool {
        *self == Self::Medium
    }
}

/// A reminder of a task.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct Reminder {
    /// Unique within the task, kept as long as the reminder lives.
    pub id: String,
    /// When.
    #[serde(flatten)]
    pub when: When,
}

/// When a reminder is due.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// At an instant.
    At(Instant),
    /// So long before the task is due.
    Before(Before),
}

/// A span of time before the due date, to the second, at most 366 days; on the wire an ISO 8601 duration of weeks,
/// or of days, hours, minutes and seconds (`PT30M`, `P1DT12H`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Before(u32);

const DAY: u32 = 86_400;
const MAX_BEFORE: u32 = 366 * DAY;

impl Before {
    /// The span in seconds.
    pub fn seconds(self) -> u32 {
        self.0
    }

    /// Reads an ISO 8601 duration; `None` for one that is not of the form above or too long.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix('P')?;
        let (days, time) = match rest.split_once('T') {
            Some((_, "")) => return None,
            Some((days, time)) => (days, time),
            None if rest.is_empty() => return None,
            None => (rest, ""),
        };
        let seconds = if days.ends_with('W') && time.is_empty() {
            units(days, &[('W', 7 * DAY)])?
        } else {
            units(days, &[('D', DAY)])?
                .checked_add(units(time, &[('H', 3_600), ('M', 60), ('S', 1)])?)?
        };
        (seconds <= MAX_BEFORE).then_some(Self(seconds))
    }
}

/// Adds up numbers that stand before the given letters, each letter at most once and in their order.
fn units(mut text: &str, letters: &[(char, u32)]) -> Option<u32> {
    let mut total = 0_u32;
    for (letter, seconds) in letters {
        if let Some((number, rest)) = text.split_once(*letter) {
            if number.is_empty() || number.len() > 8 || !number.bytes().all(|b| b.is_ascii_digit())
            {
                return None;
            }
            total = total.checked_add(number.parse::<u32>().ok()?.checked_mul(*seconds)?)?;
            text = rest;
        }
    }
    text.is_empty().then_some(total)
}

impl fmt::Display for Before {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, hours) = (self.0 / DAY, self.0 % DAY / 3_600);
        let (minutes, seconds) = (self.0 % 3_600 / 60, self.0 % 60);
        f.write_str("P")?;
        if days > 0 {
            write!(f, "{days}D")?;
        }
        if !self.0.is_multiple_of(DAY) || self.0 == 0 {
            f.write_str("T")?;
        }
        for (number, letter) in [(hours, 'H'), (minutes, 'M'), (seconds, 'S')] {
            if number > 0 || (self.0 == 0 && letter == 'S') {
                write!(f, "{number}{letter}")?;
            }
        }
        Ok(())
    }
}

impl Serialize for Before {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Before {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an ISO 8601 duration"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, canonical) in [
            ("PT30M", Some("PT30M")),
            ("PT90M", Some("PT1H30M")),
            ("P1D", Some("P1D")),
            ("P2W", Some("P14D")),
            ("P1DT12H0M5S", Some("P1DT12H5S")),
            ("PT0S", Some("PT0S")),
            ("P366D", Some("P366D")),
            ("P367D", None),
            ("P", None),
            ("PT", None),
            ("P1DT", None),
            ("P1W2D", None),
            ("PT1M1H", None),
            ("PT1.5H", None),
            ("-PT1H", None),
            ("P1Y", None),
            ("PT99999999999S", None),
            ("30m", None),
        ] {
            assert_eq!(
                Before::parse(text).map(|b| b.to_string()).as_deref(),
                canonical,
                "{text}"
            );
        }
    }
}
