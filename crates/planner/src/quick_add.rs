//! Quick add: a task out of a line of text, as a person types it.
//!
//! The text is read word by word. What is recognised (a date, a tag, …) becomes a field of the task and a [`Span`] that
//! says what it means; what is left is the title.

mod days;
mod english;
mod every;
mod grammar;
mod matcher;
mod pieces;
mod reading;
mod title;
mod tokens;
mod words;
mod zones;

use chrono_tz::Tz;
use docket_domain::Instant;
use docket_domain::due::Due;
use docket_domain::recurrence::From;
use docket_domain::task::{Priority, When};

use matcher::Matcher;
use reading::{Fate, Here};

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
/// and whether 3/4 is in March, as in en-US, or in April). English is the only language so far; every other one is read
/// as English.
///
/// # Errors
/// [`Error::TooLong`]. Any other text has a meaning, be it that all of it is the title.
pub fn parse(text: &str, now: Instant, time_zone: Tz, locale: &str) -> Result<Parsed, Error> {
    if text.chars().nth(MAX_TEXT).is_some() {
        return Err(Error::TooLong);
    }
    let language = &english::ENGLISH;
    let tokens = tokens::tokens(text, language);
    let matcher = Matcher {
        text,
        tokens: &tokens,
        language,
        month_first: locale.replace('_', "-").eq_ignore_ascii_case("en-us"),
    };
    let pieces = pieces::pieces(&matcher);
    let places: Vec<_> = pieces
        .iter()
        .map(|piece| title::place(&matcher, piece))
        .collect();
    let here = Here {
        now,
        zone: time_zone,
    };
    let words = |piece: &pieces::Piece| text.get(title::bytes(&tokens, piece)).unwrap_or_default();
    let (mut task, fates) = reading::read(&pieces, here, words);
    task.title = title::title(text, places.iter().zip(&fates));
    let mut units = title::Units::new(text);
    let spans = places
        .into_iter()
        .zip(fates)
        .filter_map(|(place, fate)| match fate {
            Fate::Text => None,
            Fate::Taken(means) | Fate::Kept(means) => Some(Span {
                start: units.at(place.start),
                end: units.at(place.end),
                means,
            }),
        })
        .collect();
    Ok(Parsed { task, spans })
}
