//! Finds the pieces of a text that have a meaning.

use docket_domain::recurrence::From;
use docket_domain::task::{MAX_TAG, Priority};
use std::ops::Range;

use super::days::{Day, Span};
use super::every::{Every, NotTaken, Parts};
use super::grammar::{Part, PieceForm, Unit};
use super::matcher::{Clock, Found, Matcher};
use super::tokens::{Kind, closes};
use super::words;

/// A piece of the text.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Its tokens.
    pub tokens: Range<usize>,
    /// What it says.
    pub what: What,
}

/// What a piece says.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A tag.
    Tag(String),
    /// How much the task matters.
    Priority(Priority),
    /// The day on which it is due.
    Day(Day),
    /// How long from now it is due, in hours or minutes.
    Soon(Span),
    /// The time at which it is due.
    Clock(Clock),
    /// The part of the day in which it is due; of today, if it says so.
    Part(Part, bool),
    /// How it comes back, and when on these days.
    Every(Every, Option<Clock>, Option<Part>),
    /// When the series begins; without one, when the task is due.
    Starting(Day),
    /// When the series begins, and perhaps ends.
    From(Day, Option<Day>),
    /// When the series ends.
    Until(Day),
    /// How long the series goes.
    For(Span),
    /// How many there are in the series.
    Times(u32),
    /// Reminders so many seconds before the task is due.
    RemindBefore(Vec<u32>),
    /// A reminder after a length of time.
    RemindIn(Span),
    /// A reminder on a day, at a time, or both.
    RemindAt(Option<Day>, Option<Clock>),
    /// Something that is understood and cannot be had: why.
    Refused(&'static str),
}

/// All pieces, in the order of the text: at each place the longest.
pub fn pieces(matcher: &Matcher<'_>) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut at = 0;
    while at < matcher.tokens.len() {
        let after_day = pieces.last().is_some_and(|last| {
            last.tokens.end == at
                && matches!(
                    last.what,
                    What::Day(_) | What::Every(..) | What::Starting(_)
                )
        });
        let found = if matcher.may_begin(at) {
            tag(matcher, at).or_else(|| longest(matcher, at, after_day))
        } else {
            None
        };
        match found {
            Some((what, end)) => {
                let piece = Piece {
                    tokens: at..end,
                    what,
                };
                let piece = if matches!(piece.what, What::Every(..)) {
                    beyond(matcher, piece)
                } else {
                    piece
                };
                at = piece.tokens.end;
                pieces.push(piece);
            }
            None => at += 1,
        }
    }
    pieces
}

/// The longest piece that begins here, and the token after it.
fn longest(matcher: &Matcher<'_>, at: usize, after_day: bool) -> Option<(What, usize)> {
    candidates(matcher, at)
        .filter(|(form, found, end)| match form {
            PieceForm::PartOfDay => after_day,
            PieceForm::AtAlone => alone(matcher, *end),
            PieceForm::DueAlone => !found.doubtful || alone(matcher, *end),
            PieceForm::Every => !found.bare || alone(matcher, *end),
            _ => true,
        })
        .filter_map(|(form, found, end)| {
            // The letter of "p1" touches its number.
            let apart = matcher
                .tokens
                .get(at + 1)
                .is_some_and(|second| !second.glued);
            if form == PieceForm::PriorityNumber && apart {
                return None;
            }
            Some((what(form, found)?, end))
        })
        .max_by_key(|(_, end)| *end)
}

/// Every way to read a piece here.
fn candidates<'a>(
    matcher: &'a Matcher<'_>,
    at: usize,
) -> impl Iterator<Item = (PieceForm, Found, usize)> + 'a {
    let nothing = matcher.tokens.get(at).is_none_or(|token| {
        token.kind == Kind::Quoted || (token.kind == Kind::Word && token.entries.is_empty())
    });
    let patterns = if nothing {
        &[]
    } else {
        matcher.language.pieces
    };
    patterns.iter().filter_map(move |(slots, form)| {
        let mut found = Found::default();
        let end = matcher.all(slots, at, 0, &mut found)?;
        matcher.may_end(end).then_some((*form, found, end))
    })
}

/// Whether no word follows that the piece before could belong to: the text ends, a sign, or another piece begins.
fn alone(matcher: &Matcher<'_>, at: usize) -> bool {
    matcher.tokens.get(at).is_none_or(|token| {
        matches!(token.kind, Kind::Sign(_) | Kind::Quoted)
            || candidates(matcher, at).any(|(form, found, _)| what(form, found).is_some())
    })
}

/// An `every …` that goes on as no rule can is not taken, and neither is its rest.
fn beyond(matcher: &Matcher<'_>, mut every: Piece) -> Piece {
    let more = |at: usize| {
        matcher
            .language
            .beyond
            .iter()
            .filter_map(|slots| matcher.all(slots, at, 0, &mut Found::default()))
            .filter(|end| matcher.may_end(*end))
            .max()
    };
    while let Some(end) = more(every.tokens.end) {
        every.tokens.end = end;
        every.what = What::Refused(words::MORE_THAN_A_RULE);
    }
    every
}

/// `#tag` or `@context`, which is a tag with its `@`, as in todo.txt. A number is none: "#2041".
fn tag(matcher: &Matcher<'_>, at: usize) -> Option<(What, usize)> {
    let first = matcher.tokens.get(at)?;
    let Kind::Sign(sign @ ('#' | '@')) = first.kind else {
        return None;
    };
    let second = matcher.tokens.get(at + 1).filter(|token| token.glued)?;
    let rest = matcher.text.get(second.start..)?;
    let name = rest
        .split(|c: char| c.is_whitespace() || c.is_control() || c == ',')
        .next()?
        .trim_end_matches(closes);
    let fits = name.starts_with(char::is_alphanumeric) && name.chars().any(char::is_alphabetic);
    // "@5pm" and "@noon" are times.
    let is_time = sign == '@' && longest(matcher, at, false).is_some();
    let tag = if sign == '@' {
        format!("@{name}")
    } else {
        name.to_owned()
    };
    if !fits || is_time || tag.chars().count() > MAX_TAG {
        return None;
    }
    let end = second.start + name.len();
    let count = matcher
        .tokens
        .get(at..)?
        .iter()
        .take_while(|token| token.end <= end)
        .count();
    Some((What::Tag(tag), at + count))
}

/// What a form makes of what was found; `None` if that makes no sense.
fn what(form: PieceForm, mut found: Found) -> Option<What> {
    match form {
        PieceForm::Due | PieceForm::DueAlone => match found.days.pop()? {
            Day::In(span) if span.unit < Unit::Day => Some(What::Soon(span)),
            day => Some(What::Day(day)),
        },
        PieceForm::At | PieceForm::AtAlone => Some(What::Clock(found.clock?)),
        PieceForm::Part | PieceForm::PartOfDay => Some(What::Part(found.part?, false)),
        PieceForm::PartToday => Some(What::Part(found.part?, true)),
        PieceForm::Every => every(found),
        PieceForm::AfterDone => {
            found.from = From::Completion;
            found.interval = found.number;
            every(found)
        }
        PieceForm::TwoTimes => Some(What::Refused(words::TWO_TIMES)),
        PieceForm::CountedWorkdays => Some(What::Refused(words::COUNTED_WORKDAYS)),
        PieceForm::Starting => Some(What::Starting(whole_day(found.days.pop()?)?)),
        PieceForm::From => Some(What::From(whole_day(found.days.pop()?)?, None)),
        PieceForm::FromTo => {
            let to = whole_day(found.days.pop()?)?;
            Some(What::From(whole_day(found.days.pop()?)?, Some(to)))
        }
        PieceForm::Until => Some(What::Until(whole_day(found.days.pop()?)?)),
        PieceForm::For => Some(What::For(found.spans.pop()?)),
        PieceForm::Times => Some(What::Times(found.number.filter(|n| *n > 0)?)),
        PieceForm::Priority => Some(What::Priority(found.priority?)),
        PieceForm::PriorityNumber => match found.number? {
            1 => Some(What::Priority(Priority::High)),
            2 | 3 => Some(What::Priority(Priority::Medium)),
            4 => Some(What::Priority(Priority::Low)),
            _ => None,
        },
        PieceForm::RemindBefore => {
            let seconds = found.spans.iter().map(|span| span.seconds());
            Some(What::RemindBefore(seconds.collect::<Option<_>>()?))
        }
        PieceForm::RemindIn => Some(What::RemindIn(found.spans.pop()?)),
        PieceForm::RemindAt => match found.days.pop() {
            Some(Day::In(span)) if span.unit < Unit::Day => Some(What::RemindIn(span)),
            day => Some(What::RemindAt(day, found.clock)),
        },
    }
}

/// A day that is not hours or minutes away.
fn whole_day(day: Day) -> Option<Day> {
    (!matches!(day, Day::In(span) if span.unit < Unit::Day)).then_some(day)
}

fn every(found: Found) -> Option<What> {
    let (clock, part) = (found.clock, found.part);
    // "Every 5pm" and "every morning" are every day.
    let daily = (clock.is_some() || part.is_some()).then_some((Unit::Day, 1));
    let parts = Parts {
        from: found.from,
        interval: found.interval,
        unit: found.unit.or(daily),
        ordinals: found.ordinals,
        target: found.target,
        months: found.months,
        of_month: found.of_month,
    };
    match Every::new(parts) {
        Ok(every) => Some(What::Every(every, clock, part)),
        Err(NotTaken::Beyond(why)) => Some(What::Refused(why)),
        Err(NotTaken::Text) => None,
    }
}

/// Whether a day is only a day of the week.
pub fn is_weekday(day: &Day) -> bool {
    matches!(
        day,
        Day::Weekday(..) | Day::WeekdayOfWeek(..) | Day::Weekend(_)
    )
}
