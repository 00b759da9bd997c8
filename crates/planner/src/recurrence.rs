//! Recurrence: which date comes next, and why.
//!
//! A [`Series`] is a rule and the first due date. Everything that a rule leaves open comes from that date: the time
//! of day, the weekday of `FREQ=WEEKLY`, the day of the month, the phase of `INTERVAL`. Rules work on the calendar and
//! the wall clock; only when a date is found does its zone make it an instant.
//!
//! # Choices
//!
//! RFC 5545 leaves some questions open, and on some others people expect what it does not say. Here we differ from
//! python-dateutil, which `tests/oracle.rs` compares with; each row has a case of its name there, with both answers:
//!
//! | case | here | dateutil |
//! |---|---|---|
//! | `implied-day` | a day that comes from the first date is remembered and clamped: 31 January, 28 February, 31 March. An explicit BYMONTHDAY skips the months that lack it | months that lack the day are skipped |
//! | `first-date` | the first date counts for COUNT, even when the rule would not give it (RFC 5545, 3.8.5.3) | only dates of the rule count |
//! | `until-day` | UNTIL with a date takes in that whole day | ends at its midnight |
//! | `mixed-weekdays` | `BYDAY=MO,1FR` is every Monday and the first Friday | a day has to be both |
//! | `first-week` | BYSETPOS counts in whole weeks, from WKST | the first week begins at the first date |
//!
//! BYMONTHDAY with WEEKLY, and BYDAY with a number with DAILY or WEEKLY, are refused, as RFC 5545 (3.3.10) has it. UNTIL
//! in UTC means the wall clock where the series has no zone.
//!
//! Where there is nothing to compare with:
//!
//! - A time that the clocks skip moves forward by as much as they do; of a time that comes twice the first counts; the
//!   series keeps its time of day. An occurrence that would thereby not be later than the one before it is left out.
//! - A cron expression counts as Vixie cron does: 0 and 7 are Sunday. When both the day of the month and the weekday
//!   are restricted, a day needs one of them; a field that begins with `*` is not restricted. An all-day series takes
//!   the days of the expression and leaves its hours and minutes.
//! - From completion, a rule is counted from the day on which the task was done, as if the series had begun there; a
//!   cron expression from the minute. The date that was just done does not come again.
//! - Dates end with the year 9999. The Gregorian calendar repeats itself after 400 years, so a search which finds
//!   nothing for so long ends too; none is longer. A rule that finds nothing from any first date is refused.

mod cron;
mod days;
mod rrule;
mod rule;
mod set;
mod why;

#[cfg(test)]
mod tests;

pub use docket_domain::recurrence::MAX_RULE;
pub use rule::{MAX_NUMBER, Rule};

use chrono::{NaiveDateTime, NaiveTime};
use docket_domain::Instant;
use docket_domain::due::Due;

use rrule::Until;
use rule::Kind;

/// The most dates that a preview gives.
pub const MAX_PREVIEW: u32 = 100;

/// A rule with the date that it began with.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// What comes when.
    pub rule: &'a Rule,
    /// The first due date. It remembers the day of the month (31) where a later one had to be clamped, and the
    /// wall-clock time.
    pub start: &'a Due,
}

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

/// The next `count` occurrences strictly after `after`, a date of the series; at most [`MAX_PREVIEW`], and fewer when
/// COUNT, UNTIL or the year 9999 ends the series. `index` is the number of `after` in it, 1 for the first date.
pub fn preview(series: Series<'_>, after: &Due, index: u32, count: u32) -> Vec<Occurrence> {
    let count = series.rule.left_after(index).min(count).min(MAX_PREVIEW);
    occurrences(series, series.wall(after), series.at(after))
        .take(usize::try_from(count).unwrap_or(usize::MAX))
        .collect()
}

/// The occurrence that follows on `after`, which is number `index` of the series, counted from 1. `done` is the local
/// date and time of its completion for a series that counts from there; without it the due date counts. `None` when
/// the series is over.
pub fn next(
    series: Series<'_>,
    after: &Due,
    index: u32,
    done: Option<NaiveDateTime>,
) -> Option<Occurrence> {
    if series.rule.left_after(index) == 0 {
        return None;
    }
    let Some(done) = done else {
        return occurrences(series, series.wall(after), series.at(after)).next();
    };
    let start = Due {
        date: done.date(),
        ..series.start.clone()
    };
    let anew = Series {
        start: &start,
        ..series
    };
    let from = match series.rule.kind() {
        Kind::Cron(_) if start.time.is_some() => done,
        // A day on which it was done is over, at whatever time of that day the next would be.
        _ => anew.wall(&start),
    };
    occurrences(anew, from, None).find(|occurrence| occurrence.due != *after)
}

impl Series<'_> {
    /// The wall-clock time of a due date in the zone of this series; midnight for an all-day series.
    fn wall(&self, due: &Due) -> NaiveDateTime {
        if self.start.time.is_none() {
            return due.date.and_time(NaiveTime::MIN);
        }
        if let (Some(zone), Some(at)) = (self.start.time_zone, due.at())
            && due.time_zone != self.start.time_zone
        {
            return at.to_datetime().with_timezone(&zone).naive_local();
        }
        due.date
            .and_time(due.time.or(self.start.time).unwrap_or(NaiveTime::MIN))
    }

    /// The due date at a wall-clock time.
    fn due(&self, wall: NaiveDateTime) -> Due {
        Due {
            date: wall.date(),
            time: self.start.time.map(|_| wall.time()),
            time_zone: self.start.time_zone,
        }
    }

    /// The instant of a date of this series.
    fn at(&self, due: &Due) -> Option<Instant> {
        self.due(self.wall(due)).at()
    }
}

/// All occurrences after a wall-clock time, until the series is over; each is later than the one before it, and than
/// `last`.
fn occurrences<'a>(
    series: Series<'a>,
    after: NaiveDateTime,
    mut last: Option<Instant>,
) -> impl Iterator<Item = Occurrence> + 'a {
    let zoned = series.start.time.is_some() && series.start.time_zone.is_some();
    let until = series.rule.until();
    walls(series, after)
        .map(move |wall| {
            let due = series.due(wall);
            let at = due.at();
            (wall, due, at)
        })
        // An instant beyond the year 9999 is none.
        .take_while(move |(wall, _, at)| {
            at.is_some() == zoned && until.is_none_or(|until| within(until, *wall, *at, series))
        })
        .filter(move |(_, _, at)| {
            let later = at.is_none() || *at > last;
            last = last.max(*at);
            later
        })
        .map(move |(wall, due, at)| Occurrence {
            why: why::words(series, wall, at),
            due,
            at,
        })
}

/// The wall-clock times of the rule after `after`; those of an all-day series are midnights.
fn walls<'a>(
    series: Series<'a>,
    after: NaiveDateTime,
) -> Box<dyn Iterator<Item = NaiveDateTime> + 'a> {
    let start = series.start;
    let first = series.wall(start);
    let from = after.max(first).date();
    let later = move |wall: &NaiveDateTime| *wall > after && *wall >= first;
    match series.rule.kind() {
        Kind::Word(rrule) | Kind::Rrule(rrule) => Box::new(
            days::Days::new(rrule, start.date, from)
                .map(move |day| day.and_time(start.time.unwrap_or(NaiveTime::MIN)))
                .filter(later),
        ),
        Kind::Cron(cron) if start.time.is_some() => Box::new(cron.times(from).filter(later)),
        Kind::Cron(cron) => Box::new(
            cron.days(from)
                .map(|day| day.and_time(NaiveTime::MIN))
                .filter(later),
        ),
    }
}

/// Whether a date is not past UNTIL, which is itself within.
fn within(until: Until, wall: NaiveDateTime, at: Option<Instant>, series: Series<'_>) -> bool {
    match until {
        Until::Day(day) => wall.date() <= day,
        Until::Wall(end) | Until::Utc(end) if series.start.time.is_none() => {
            wall.date() <= end.date()
        }
        Until::Wall(end) => wall <= end,
        Until::Utc(end) => at.map_or(wall, |at| at.to_datetime().naive_utc()) <= end,
    }
}
