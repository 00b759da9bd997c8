//! Quick add: a task out of a line of text, as a person types it.
//!
//! The text is cut into tokens; a language, which is a table of words and of patterns of words (`english.rs`), is matched
//! on them; the longest pattern at each place is a piece; and the pieces that count are read into a task. What they leave
//! of the text is the title. Whoever adds a language adds a table, and the words in which spans speak (`words.rs`).
//!
//! # What is recognised
//!
//! | | |
//! |---|---|
//! | days | today, tom, fri, next fri, in 3 days, 24 dec, dec 24 2027, 2026-12-24, 24/12, on the 24th, end of month, mid january, last friday of november, 2 weeks before 21 jul, … |
//! | times | 5pm, 17:00, at 9, noon, tonight, in the morning (9), afternoon (12), evening (19), night (22); in 2 hours; and right after one a zone: Europe/Berlin, EST |
//! | `every …` | as Todoist documents it, and `every! …`, `after …`, which count from completion; starting, from, until, ending, for 3 weeks, 10 times |
//! | tags | `#tag`; `@home` is the tag `@home`, as in todo.txt; `#2041` is text |
//! | priorities | `!high` `!medium` `!low`; `p1` is high, `p2` and `p3` are medium, `p4` is low |
//! | reminders | remind me 30m before, remind at 9am, `!30m`, `!tomorrow 9am`; remind me tomorrow to … |
//!
//! # Choices
//!
//! - Quotes protect what is in them, and stay. Words are bounded: "mayor" and "today's" are text.
//! - Of two days, two times, two priorities or two rules the last counts; the others stay in the title, which can
//!   therefore mean something when it is read again. A rule counts more than a day: a date beside it is where the series
//!   starts, a bare weekday is text.
//! - What is ambiguous is the nearest future reading, and its span says so: "next fri" is the coming Friday; a weekday is
//!   a week away if it is today, unless a time of today is still ahead; 3/4 without a year is the next one; "at 9" is 21:00
//!   if that comes first. With "every", and where there is a colon, hours are those of a 24-hour clock.
//! - "24th", "3/4", "at 9" and "every 5" only count where no word follows that they could belong to ("24th street").
//! - "Next week" is its Monday, "next month" its first day, a weekend is its Saturday, the end of a week its Sunday.
//! - "3 days" alone is text, and so is "until friday" or "for 3 days" where nothing recurs.
//! - The 31st of every month is its last day. A 29th or 30th is remembered by the series' first date, and clamped in
//!   shorter months; in a list ("every 1st and 30th") RFC 5545 holds, and months without the day are left out.
//! - A series starts today, or where it says; the due date is its first date. "For 3 weeks" ends before the same weekday.
//!   A start in the past goes on in its step from today.
//! - What is understood and cannot be had (every 12 hours, two times a day) stays in the title, with a span that says why.

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

use grammar::Language;
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
/// and whether 3/4 is in March, as in the United States, or in April). English is the only language so far; every other
/// one is read as English.
///
/// # Errors
/// [`Error::TooLong`]. Any other text has a meaning, be it that all of it is the title.
pub fn parse(text: &str, now: Instant, time_zone: Tz, locale: &str) -> Result<Parsed, Error> {
    if text.chars().nth(MAX_TEXT).is_some() {
        return Err(Error::TooLong);
    }
    let here = Here {
        now,
        zone: time_zone,
    };
    Ok(read(text, here, &english::ENGLISH, month_first(locale)))
}

/// Reads a text in a language; `month_first` says whether 3/4 is in March.
fn read(text: &str, here: Here, language: &'static Language, month_first: bool) -> Parsed {
    let tokens = tokens::tokens(text, language);
    let matcher = Matcher {
        text,
        tokens: &tokens,
        language,
        month_first,
    };
    let pieces = pieces::pieces(&matcher);
    let places: Vec<_> = pieces
        .iter()
        .map(|piece| title::place(&matcher, piece))
        .collect();
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
    Parsed { task, spans }
}

/// Whether the month comes before the day in digits; only the United States write so.
fn month_first(locale: &str) -> bool {
    let mut subtags = locale.split(['-', '_']).skip(1);
    subtags.any(|subtag| subtag.eq_ignore_ascii_case("us"))
}

#[cfg(test)]
mod tests {
    use chrono::Weekday;

    use super::grammar::{DayForm, Key, PieceForm, Slot, Unit, Word};
    use super::*;

    /// Some Urdu, whose words stand in another order: "3 days in".
    static URDU: Language = Language {
        words: &[
            ("جمعہ", Word::Weekday(Weekday::Fri)),
            ("دن", Word::Unit(Unit::Day, 1)),
            ("میں", Word::Key(Key::In)),
            ("کل", Word::Relative(1)),
            ("ہر", Word::Key(Key::Every)),
        ],
        days: &[
            (&[Slot::Relative], DayForm::Relative),
            (&[Slot::Span, Slot::W(Key::In)], DayForm::In),
        ],
        clauses: &[],
        pieces: &[
            (&[Slot::Day], PieceForm::DueAlone),
            (&[Slot::Each, Slot::Weekdays], PieceForm::Every),
        ],
        beyond: &[],
        names: &[],
        holidays: &[],
    };

    #[test]
    fn another_language_is_another_table() {
        let here = Here {
            now: Instant::parse("2026-11-23T10:00:00Z").unwrap(),
            zone: Tz::Asia__Karachi,
        };
        for (text, title, date, rule) in [
            ("دودھ لانا کل", "دودھ لانا", "2026-11-24", None),
            ("دودھ لانا ۳ دن میں", "دودھ لانا", "2026-11-26", None),
            (
                "صفائی ہر جمعہ",
                "صفائی",
                "2026-11-27",
                Some("FREQ=WEEKLY;BYDAY=FR"),
            ),
        ] {
            let task = read(text, here, &URDU, false).task;
            assert_eq!(task.title, title);
            assert_eq!(task.due.unwrap().date.to_string(), date);
            assert_eq!(task.recurrence.map(|r| r.rule).as_deref(), rule);
        }
    }
}
