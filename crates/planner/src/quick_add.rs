//! Quick add: a task out of a line of text, as a person types it.
//!
//! The text is read word by word. What is recognised (a date, a tag, …) becomes a field of the task and a [`Span`] that
//! says what it means; what is left is the title.

use chrono::{Days, NaiveDate};
use chrono_tz::Tz;
use docket_domain::Instant;
use docket_domain::due::{Due, parse_date};
use docket_domain::recurrence::From;
use docket_domain::task::{Priority, When};

/// The longest text that is read, in characters.
pub const MAX_TEXT: usize = 2_000;

/// A text that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The task that it describes.
    pub task: ParsedTask,
    /// The pieces that have a meaning, in the order of the text; none overlaps another.
    pub spans: Vec<Span>,
}

/// A task as a text describes it: what the text does not say is absent, so that the task's own defaults hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParsedTask {
    /// What is left of the text when its pieces are taken out. It may be blank (a text that is a date only) and longer
    /// than a title may be: whoever makes a task of it checks that.
    pub title: String,
    /// How much it matters.
    pub priority: Option<Priority>,
    /// Its tags in the order given, each once; `@home` is the tag `@home`, as in todo.txt.
    pub tags: Vec<String>,
    /// When it is due. A time is in the zone that the text names, else in the caller's.
    pub due: Option<Due>,
    /// How it comes back; there is a due date then, the first of the series.
    pub recurrence: Option<ParsedRecurrence>,
    /// When to remind of it.
    pub reminders: Vec<When>,
}

/// A recurrence as a text describes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ParsedRecurrence {
    /// The rule (RFC 5545), as [`crate::recurrence`] reads it.
    pub rule: String,
    /// What the next date is counted from.
    pub from: From,
}

/// A piece of the text that has a meaning.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Span {
    /// Where it begins, in UTF-16 code units from the start of the text, as a browser counts.
    pub start: usize,
    /// Where it ends, exclusively, in the same units.
    pub end: usize,
    /// What it means, in words for a person: "due Friday 27 November 2026".
    pub means: String,
}

/// Why a text is not read at all.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The text has too many characters.
    #[error("a quick-add text has at most {MAX_TEXT} characters")]
    TooLong,
}

/// Reads `text` as typed at `now` by a person in `time_zone` whose language is `locale` (BCP 47: it decides the words,
/// and whether 3/4 is in March or in April). English is the only language so far; every other one is read as English.
///
/// # Errors
/// [`Error::TooLong`]. Any other text has a meaning, be it that all of it is the title.
pub fn parse(text: &str, now: Instant, time_zone: Tz, _locale: &str) -> Result<Parsed, Error> {
    if text.chars().count() > MAX_TEXT {
        return Err(Error::TooLong);
    }
    let today = now.to_datetime().with_timezone(&time_zone).date_naive();
    let mut task = ParsedTask::default();
    let mut spans = Vec::new();
    let mut title = Vec::new();
    let mut at = 0;
    for piece in text.split_inclusive(char::is_whitespace) {
        let word = piece.trim_end();
        let length = word.encode_utf16().count();
        match take(word, today, &mut task) {
            Some(means) => spans.push(Span {
                start: at,
                end: at + length,
                means,
            }),
            None if word.is_empty() => {}
            None => title.push(word),
        }
        at += piece.encode_utf16().count();
    }
    task.title = title.join(" ");
    Ok(Parsed { task, spans })
}

fn take(word: &str, today: NaiveDate, task: &mut ParsedTask) -> Option<String> {
    if let Some(tag) = word.strip_prefix('#').filter(|tag| !tag.is_empty()) {
        task.tags.push(tag.to_owned());
        return Some(format!("tag {tag}"));
    }
    if let Some(priority) = word.strip_prefix('!').and_then(Priority::parse) {
        task.priority = Some(priority);
        return Some(format!("{} priority", word.trim_start_matches('!')));
    }
    let date = match word.to_lowercase().as_str() {
        "today" | "tod" => Some(today),
        "tomorrow" | "tom" | "tmr" => today.checked_add_days(Days::new(1)),
        other => parse_date(other),
    }?;
    task.due = Some(Due {
        date,
        time: None,
        time_zone: None,
    });
    Some(format!("due {}", date.format("%A %-d %B %Y")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_task() {
        let now = Instant::parse("2026-11-23T10:00:00Z").unwrap();
        let parsed = parse("Buy milk tomorrow #shop !high", now, Tz::UTC, "en").unwrap();
        assert_eq!(parsed.task.title, "Buy milk");
        assert_eq!(parsed.task.tags, ["shop"]);
        assert_eq!(parsed.task.priority, Some(Priority::High));
        assert_eq!(
            parsed.task.due.unwrap().date,
            parse_date("2026-11-24").unwrap()
        );
        assert_eq!(
            parsed.spans[0],
            Span {
                start: 9,
                end: 17,
                means: "due Tuesday 24 November 2026".to_owned()
            }
        );
        assert_eq!(
            parse(&"x".repeat(2_001), now, Tz::UTC, "en"),
            Err(Error::TooLong)
        );
    }
}
