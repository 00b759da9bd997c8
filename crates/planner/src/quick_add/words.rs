//! What pieces mean, in plain English.

use chrono::{NaiveDate, NaiveTime, Weekday};
use docket_domain::due::format_time;
use docket_domain::recurrence::From;

use super::days::{Span, Weekdays};
use super::every::{Every, On, each_month};
use super::grammar::{Part, Unit};

/// Why "every hour" is not taken.
pub const MORE_THAN_DAILY: &str = "stays in the title: a task comes back at most once a day";
/// Why "every 3 workdays" is not taken.
pub const COUNTED_WORKDAYS: &str = "stays in the title: no rule can count workdays";
/// Why "at 9am and 9pm" is not taken.
pub const TWO_TIMES: &str = "stays in the title: a task is due at one time of the day";
/// Why "every 14 jan, 15 jun" is not taken.
pub const MORE_THAN_A_RULE: &str = "stays in the title: no single rule can say this";
/// Why an end before the beginning is not taken.
pub const ENDS_BEFORE: &str = "stays in the title: it ends before it begins";
/// Why a reminder before nothing is not taken.
pub const NOTHING_DUE: &str = "stays in the title: the task has no due date to be reminded before";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// "Friday 27 November 2026".
pub fn date(date: NaiveDate) -> String {
    date.format("%A %-d %B %Y").to_string()
}

/// "17:00".
pub fn time(time: NaiveTime) -> String {
    format_time(time)
}

/// "3 weeks".
pub fn span(span: Span) -> String {
    counted(span.count, span.unit)
}

/// "1 day 30 minutes", for a number of seconds.
pub fn seconds(seconds: u32) -> String {
    let parts = [
        (seconds / 86_400, Unit::Day),
        (seconds % 86_400 / 3_600, Unit::Hour),
        (seconds % 3_600 / 60, Unit::Minute),
    ];
    let words: Vec<_> = parts
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, unit)| counted(count, unit))
        .collect();
    if words.is_empty() {
        counted(0, Unit::Minute)
    } else {
        words.join(" ")
    }
}

/// "every Tuesday", "every 2 weeks on Friday", "every month on the last day".
pub fn every(every: &Every) -> String {
    let each = match every.interval {
        1 => format!("every {}", unit(every.unit)),
        n => format!("every {}", counted(n, every.unit)),
    };
    let on = match &every.on {
        On::First => String::new(),
        On::Weekdays(days) if every.interval == 1 => {
            return from_words(every, format!("every {}", weekdays(*days)));
        }
        On::Weekdays(days) => format!(" on {}", weekdays(*days)),
        On::Days(days, months) => {
            format!(
                " on the {}{}",
                list(days.iter().map(|n| nth_day(*n))),
                of_months(*months)
            )
        }
        On::Nth(ordinals, days, months) => format!(
            " on the {} {}{}",
            list(ordinals.iter().map(|n| nth(*n))),
            weekdays(*days),
            of_months(*months)
        ),
        On::Workdays(ordinals, months) => format!(
            " on the {} workday{}",
            list(ordinals.iter().map(|n| nth(*n))),
            of_months(*months)
        ),
    };
    from_words(every, each + &on)
}

fn from_words(every: &Every, words: String) -> String {
    match every.from {
        From::Due => words,
        From::Completion => format!("{words}, counted from the day it is done"),
    }
}

fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::Minute => "minute",
        Unit::Hour => "hour",
        Unit::Day => "day",
        Unit::Week => "week",
        Unit::Month => "month",
        Unit::Year => "year",
    }
}

fn counted(count: u32, of: Unit) -> String {
    format!("{count} {}{}", unit(of), if count == 1 { "" } else { "s" })
}

fn weekdays(days: Weekdays) -> String {
    if days == Weekdays::WORKDAYS {
        return "workday".to_owned();
    }
    list(days.each().map(|day| {
        match day {
            Weekday::Mon => "Monday",
            Weekday::Tue => "Tuesday",
            Weekday::Wed => "Wednesday",
            Weekday::Thu => "Thursday",
            Weekday::Fri => "Friday",
            Weekday::Sat => "Saturday",
            Weekday::Sun => "Sunday",
        }
        .to_owned()
    }))
}

fn of_months(months: u16) -> String {
    if months == 0 {
        return String::new();
    }
    let names = each_month(months)
        .filter_map(|month| MONTHS.get(usize::try_from(month).ok()?.checked_sub(1)?))
        .map(|name| (*name).to_owned());
    format!(" of {}", list(names))
}

/// "1st", "last", "2nd last".
fn nth(n: i32) -> String {
    match n {
        -1 => "last".to_owned(),
        ..-1 => format!("{} last", nth(-n)),
        _ => {
            let suffix = match (n % 10, n % 100) {
                (_, 11..=13) => "th",
                (1, _) => "st",
                (2, _) => "nd",
                (3, _) => "rd",
                _ => "th",
            };
            format!("{n}{suffix}")
        }
    }
}

fn nth_day(n: i32) -> String {
    if n < 0 {
        format!("{} day", nth(n))
    } else {
        nth(n)
    }
}

/// "a, b and c".
fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    match items.pop() {
        Some(last) if !items.is_empty() => format!("{} and {last}", items.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// "in the morning".
pub fn part(part: Part) -> &'static str {
    match part {
        Part::Morning => "in the morning",
        Part::Afternoon => "in the afternoon",
        Part::Evening => "in the evening",
        Part::Night => "at night",
    }
}
