//! Cron expressions of five fields, numbered as Vixie cron numbers them.

use std::fmt;
use std::str::FromStr as _;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime};
use cron::TimeUnitSpec;

use super::days::{CYCLE_DAYS, LAST_YEAR};
use super::set::Set;

/// An expression: minute, hour, day of the month, month, day of the week.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cron {
    /// The fields as they were written, in lower case and with single spaces.
    text: String,
    minutes: Set,
    hours: Set,
    days: Set,
    months: Set,
    /// Days after Sunday.
    weekdays: Set,
    /// Whether one of day and weekday is enough.
    either: bool,
}

impl Cron {
    /// Reads an expression in lower case. The error is in words for the person who wrote it.
    pub(super) fn parse(expression: &str) -> Result<Self, String> {
        let fields: Vec<&str> = expression.split_ascii_whitespace().collect();
        let &[minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(
                "a cron rule has five fields: minute hour day-of-month month day-of-week"
                    .to_owned(),
            );
        };
        if let Some(field) = fields.iter().find(|field| !is_whole(field)) {
            return Err(format!("\"{field}\" is not a field of a cron rule"));
        }
        // The crate counts seconds too, and weekdays from 1; a task has no seconds, and cron counts from 0.
        let schedule = cron::Schedule::from_str(&format!("0 {minute} {hour} {day} {month} *"))
            .map_err(|_| format!("\"{expression}\" is not a cron expression of five fields"))?;
        let free = |field: &str| field.starts_with(['*', '?']);
        Ok(Self {
            text: fields.join(" "),
            minutes: set(schedule.minutes()),
            hours: set(schedule.hours()),
            days: set(schedule.days_of_month()),
            months: set(schedule.months()),
            weekdays: weekdays(weekday).ok_or_else(|| {
                format!("\"{weekday}\" is not a day of the week: 0 to 7, or sun to sat")
            })?,
            either: !free(day) && !free(weekday),
        })
    }

    /// The days on which it comes, from one on; a search through the calendar's whole cycle without any ends them.
    pub(super) fn days(&self, from: NaiveDate) -> impl Iterator<Item = NaiveDate> {
        let mut next = Some(from);
        std::iter::from_fn(move || {
            let mut day = next?;
            for _ in 0..=CYCLE_DAYS {
                if day.year() > LAST_YEAR {
                    break;
                }
                if self.comes_on(day) {
                    next = day.succ_opt();
                    return Some(day);
                }
                day = day.succ_opt()?;
            }
            next = None;
            None
        })
    }

    /// The wall-clock times at which it comes, from the beginning of a day on.
    pub(super) fn times(&self, from: NaiveDate) -> impl Iterator<Item = NaiveDateTime> {
        self.days(from).flat_map(move |day| {
            self.hours.iter().flat_map(move |hour| {
                self.minutes
                    .iter()
                    .filter_map(move |minute| day.and_hms_opt(hour, minute, 0))
            })
        })
    }

    fn comes_on(&self, day: NaiveDate) -> bool {
        let by_day = self.days.has(day.day());
        let by_weekday = self.weekdays.has(day.weekday().num_days_from_sunday());
        self.months.has(day.month())
            && if self.either {
                by_day || by_weekday
            } else {
                by_day && by_weekday
            }
    }
}

/// Whether the field cannot run into the next: the crate would read `1 -5` as a range.
fn is_whole(field: &str) -> bool {
    let end = |c: char| c.is_ascii_alphanumeric() || matches!(c, '*' | '?');
    field.starts_with(end) && field.ends_with(end)
}

fn set(field: &impl TimeUnitSpec) -> Set {
    field.iter().collect()
}

/// The weekdays of a field, 0 for Sunday.
fn weekdays(field: &str) -> Option<Set> {
    let mut set = Set::default();
    for item in field.split(',') {
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => (
                range,
                Some(step.parse().ok().filter(|n| (1..=7).contains(n))?),
            ),
            None => (item, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (0, 6),
            Some((first, last)) => (weekday(first)?, weekday(last)?),
            // As in the other fields, a step goes on to the end.
            None if step.is_some() => (weekday(range)?, 6),
            None => (weekday(range)?, weekday(range)?),
        };
        if first > last {
            return None;
        }
        (first..=last)
            .step_by(step.unwrap_or(1))
            .for_each(|day| set.insert(day % 7));
    }
    Some(set)
}

fn weekday(text: &str) -> Option<u32> {
    const NAMES: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    (0_u32..)
        .zip(NAMES)
        .find_map(|(number, name)| (name == text).then_some(number))
        .or_else(|| text.parse().ok().filter(|number| *number <= 7))
}

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
