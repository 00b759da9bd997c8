//! RRULE of RFC 5545 (3.3.10), as far as days go: read and written.

use std::fmt;

use chrono::{Datelike as _, NaiveDate, NaiveDateTime, Weekday};
use docket_domain::due;

use super::rule::MAX_NUMBER;
use super::set::Set;

/// FREQ.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

impl Frequency {
    const ALL: [Self; 4] = [Self::Daily, Self::Weekly, Self::Monthly, Self::Yearly];

    /// The word that is a whole rule.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
            Self::Yearly => "yearly",
        }
    }

    /// The frequency of a word in lower case.
    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.word() == word)
    }
}

/// COUNT or UNTIL.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum End {
    Never,
    Count(u32),
    Until(Until),
}

/// The last moment of a series, itself within.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Until {
    /// A whole day, in the zone of the series.
    Day(NaiveDate),
    /// A wall-clock time, in the zone of the series.
    Wall(NaiveDateTime),
    /// An instant; for a series without a zone, a wall-clock time.
    Utc(NaiveDateTime),
}

/// The parts of a rule; empty sets and lists are parts that were not written.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Rrule {
    pub(super) frequency: Frequency,
    /// INTERVAL, from 1.
    pub(super) interval: u32,
    /// BYMONTH, 1 to 12.
    pub(super) months: Set,
    /// BYMONTHDAY, 1 to 31.
    pub(super) month_days: Set,
    /// Negative BYMONTHDAY: 1 is the last day of the month.
    pub(super) month_days_back: Set,
    /// BYDAY without a number: days after Monday.
    pub(super) weekdays: Set,
    /// BYDAY with a number, not 0, ascending and negative ones last.
    pub(super) numbered: Vec<(i32, Weekday)>,
    /// BYSETPOS, not 0, ascending and negative ones last.
    pub(super) positions: Vec<i32>,
    /// WKST.
    pub(super) week_start: Weekday,
    pub(super) end: End,
}

impl Rrule {
    /// A rule of nothing but FREQ.
    pub(super) fn new(frequency: Frequency) -> Self {
        Self {
            frequency,
            interval: 1,
            months: Set::default(),
            month_days: Set::default(),
            month_days_back: Set::default(),
            weekdays: Set::default(),
            numbered: Vec::new(),
            positions: Vec::new(),
            week_start: Weekday::Mon,
            end: End::Never,
        }
    }

    /// Reads the parts, in capitals and without `RRULE:`. The error is in words for the person who wrote them.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut rule = Self::new(Frequency::Daily);
        let mut seen: Vec<&str> = Vec::new();
        for part in text.split(';') {
            let (key, value) = part
                .split_once('=')
                .ok_or_else(|| format!("\"{part}\" is not KEY=value"))?;
            if seen.contains(&key) {
                return Err(format!("{key} stands twice"));
            }
            rule.read(key, value)?
                .map_err(|range| format!("{key}={value} is not valid: {range}"))?;
            seen.push(key);
        }
        rule.check(&seen)?;
        Ok(rule)
    }

    /// Whether BYMONTHDAY or BYDAY says which days.
    pub(super) fn names_days(&self) -> bool {
        !(self.month_days.is_empty()
            && self.month_days_back.is_empty()
            && self.weekdays.is_empty()
            && self.numbered.is_empty())
    }

    /// Whether the number of a BYDAY counts in the year; otherwise it counts in the month.
    pub(super) fn counts_in_year(&self) -> bool {
        self.frequency == Frequency::Yearly && self.months.is_empty()
    }

    /// The day of the month that comes from the first date, as the rule names no days. Shorter months clamp it.
    pub(super) fn implied_month_day(&self, start: NaiveDate) -> Option<u32> {
        let of_month = matches!(self.frequency, Frequency::Monthly | Frequency::Yearly);
        (of_month && !self.names_days()).then(|| start.day())
    }

    /// Takes in one part. The outer error is a whole sentence, the inner one says what the part may be.
    fn read(&mut self, key: &str, value: &str) -> Result<Result<(), &'static str>, String> {
        let outcome = match key {
            "FREQ" => {
                if matches!(value, "SECONDLY" | "MINUTELY" | "HOURLY") {
                    return Err("the shortest FREQ of a task is DAILY".to_owned());
                }
                Frequency::from_word(&value.to_ascii_lowercase())
                    .map(|frequency| self.frequency = frequency)
                    .ok_or("DAILY, WEEKLY, MONTHLY or YEARLY")
            }
            "INTERVAL" => whole(value, MAX_NUMBER)
                .map(|interval| self.interval = interval)
                .ok_or("1 to 10000"),
            "COUNT" | "UNTIL" if self.end != End::Never => {
                return Err("COUNT and UNTIL exclude each other (RFC 5545)".to_owned());
            }
            "COUNT" => whole(value, MAX_NUMBER)
                .map(|count| self.end = End::Count(count))
                .ok_or("1 to 10000"),
            "UNTIL" => until(value)
                .map(|until| self.end = End::Until(until))
                .ok_or("20271231, 20271231T170000 or 20271231T170000Z"),
            "WKST" => weekday(value)
                .map(|day| self.week_start = day)
                .ok_or("MO, TU, WE, TH, FR, SA or SU"),
            "BYMONTH" => each(value, |month| whole(month, 12))
                .map(|months| self.months = months.into_iter().collect())
                .ok_or("1 to 12"),
            "BYMONTHDAY" => each(value, |day| position(day, 31))
                .map(|days| {
                    let (front, back) = days.into_iter().partition::<Vec<_>, _>(|day| *day > 0);
                    self.month_days = front.into_iter().map(i32::unsigned_abs).collect();
                    self.month_days_back = back.into_iter().map(i32::unsigned_abs).collect();
                })
                .ok_or("1 to 31, or -31 to -1"),
            "BYDAY" => each(value, numbered_weekday)
                .map(|days| {
                    for (number, day) in days {
                        match number {
                            Some(number) => self.numbered.push((number, day)),
                            None => self.weekdays.insert(day.num_days_from_monday()),
                        }
                    }
                    self.numbered
                        .sort_by_key(|(number, day)| (from_front(*number), day.num_days_from_monday()));
                    self.numbered.dedup();
                })
                .ok_or("MO to SU, with a number from 1 to 53 or -53 to -1 where it is the first or last of a month or year"),
            "BYSETPOS" => each(value, |place| position(place, 366))
                .map(|mut positions| {
                    positions.sort_by_key(|place| from_front(*place));
                    positions.dedup();
                    self.positions = positions;
                })
                .ok_or("1 to 366, or -366 to -1"),
            "BYHOUR" | "BYMINUTE" | "BYSECOND" => {
                return Err(format!(
                    "{key} is not supported: the time of day is that of the due date"
                ));
            }
            _ => return Err(format!("{key} is not supported")),
        };
        Ok(outcome)
    }

    /// What the parts may not be together.
    fn check(&self, seen: &[&str]) -> Result<(), String> {
        use Frequency::{Daily, Weekly};
        let refusal = if !seen.contains(&"FREQ") {
            "FREQ is missing"
        } else if seen.contains(&"BYSETPOS")
            && !["BYDAY", "BYMONTHDAY", "BYMONTH"]
                .iter()
                .any(|part| seen.contains(part))
        {
            "BYSETPOS needs another BY part (RFC 5545)"
        } else if matches!(self.frequency, Daily | Weekly) && !self.numbered.is_empty() {
            "BYDAY with a number needs FREQ=MONTHLY or YEARLY (RFC 5545)"
        } else if self.frequency == Weekly && seen.contains(&"BYMONTHDAY") {
            "BYMONTHDAY does not go with FREQ=WEEKLY (RFC 5545)"
        } else {
            return Ok(());
        };
        Err(refusal.to_owned())
    }
}

/// Sorts numbers from the front before those from the back.
fn from_front(number: i32) -> (bool, i32) {
    (number < 0, number)
}

fn each<T>(list: &str, read: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    list.split(',').map(read).collect()
}

/// A plain number from 1 to `max`.
fn whole(text: &str, max: u32) -> Option<u32> {
    let plain = text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|number| plain && (1..=max).contains(number))
}

/// A number from 1 to `max` that may have a sign.
fn position(text: &str, max: u32) -> Option<i32> {
    let number = whole(text.strip_prefix(['+', '-']).unwrap_or(text), max)?;
    let number = i32::try_from(number).ok()?;
    Some(if text.starts_with('-') {
        -number
    } else {
        number
    })
}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MO", Weekday::Mon),
    ("TU", Weekday::Tue),
    ("WE", Weekday::Wed),
    ("TH", Weekday::Thu),
    ("FR", Weekday::Fri),
    ("SA", Weekday::Sat),
    ("SU", Weekday::Sun),
];

fn weekday(text: &str) -> Option<Weekday> {
    let (_, day) = WEEKDAYS.iter().find(|(name, _)| *name == text)?;
    Some(*day)
}

fn weekday_name(day: Weekday) -> &'static str {
    WEEKDAYS
        .iter()
        .find(|(_, each)| *each == day)
        .map_or("", |(name, _)| name)
}

fn numbered_weekday(text: &str) -> Option<(Option<i32>, Weekday)> {
    let (number, name) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let number = if number.is_empty() {
        None
    } else {
        Some(position(number, 53)?)
    };
    Some((number, weekday(name)?))
}

/// A date, a date-time, or one in UTC (RFC 5545, 3.3.4 and 3.3.5).
fn until(text: &str) -> Option<Until> {
    let Some((day, time)) = text.split_once('T') else {
        return basic_date(text).map(Until::Day);
    };
    let (time, utc) = match time.strip_suffix('Z') {
        Some(time) => (time, true),
        None => (time, false),
    };
    let pair = |at: usize| time.get(at..at + 2);
    let time = match (time.len(), pair(0), pair(2), pair(4)) {
        (6, Some(hour), Some(minute), Some(second)) => {
            due::parse_time(&format!("{hour}:{minute}:{second}"))?
        }
        _ => return None,
    };
    let at = basic_date(day)?.and_time(time);
    Some(if utc { Until::Utc(at) } else { Until::Wall(at) })
}

fn basic_date(text: &str) -> Option<NaiveDate> {
    match (text.len(), text.get(..4), text.get(4..6), text.get(6..)) {
        (8, Some(year), Some(month), Some(day)) => {
            due::parse_date(&format!("{year}-{month}-{day}"))
        }
        _ => None,
    }
}

impl fmt::Display for Rrule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FREQ={}", self.frequency.word().to_ascii_uppercase())?;
        if self.interval != 1 {
            write!(f, ";INTERVAL={}", self.interval)?;
        }
        let text = |number: u32| number.to_string();
        list(f, "BYMONTH", self.months.iter().map(text))?;
        let back = self.month_days_back.iter().rev();
        let days = self.month_days.iter().map(text);
        list(
            f,
            "BYMONTHDAY",
            days.chain(back.map(|day| format!("-{day}"))),
        )?;
        let weekdays = WEEKDAYS
            .iter()
            .filter(|(_, day)| self.weekdays.has(day.num_days_from_monday()))
            .map(|(name, _)| (*name).to_owned());
        let numbered = self.numbered.iter();
        list(
            f,
            "BYDAY",
            weekdays.chain(numbered.map(|(number, day)| format!("{number}{}", weekday_name(*day)))),
        )?;
        list(
            f,
            "BYSETPOS",
            self.positions.iter().map(|place| place.to_string()),
        )?;
        if self.week_start != Weekday::Mon {
            write!(f, ";WKST={}", weekday_name(self.week_start))?;
        }
        match self.end {
            End::Never => Ok(()),
            End::Count(count) => write!(f, ";COUNT={count}"),
            End::Until(Until::Day(day)) => write!(f, ";UNTIL={}", day.format("%Y%m%d")),
            End::Until(Until::Wall(at)) => write!(f, ";UNTIL={}", at.format("%Y%m%dT%H%M%S")),
            End::Until(Until::Utc(at)) => write!(f, ";UNTIL={}", at.format("%Y%m%dT%H%M%SZ")),
        }
    }
}

/// Writes a part with its values, unless there are none.
fn list(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    values: impl Iterator<Item = String>,
) -> fmt::Result {
    for (at, value) in values.enumerate() {
        if at == 0 {
            write!(f, ";{key}={value}")?;
        } else {
            write!(f, ",{value}")?;
        }
    }
    Ok(())
}
