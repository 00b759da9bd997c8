//! How a task comes back. What may be written as a rule, and which dates it gives, is the planner's business.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr as _;

use crate::due::Due;

/// The longest rule, in bytes.
pub const MAX_RULE: usize = 512;
/// The largest INTERVAL and COUNT of a rule.
pub const MAX_NUMBER: u32 = 10_000;

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
}

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

/// Checks a rule by its form and gives its canonical spelling, or says what is wrong with it, in words for the person
/// who wrote it.
pub fn check(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > MAX_RULE {
        return Err(format!("a rule has at most {MAX_RULE} bytes"));
    }
    if matches!(text, "daily" | "weekly" | "monthly" | "yearly") {
        return Ok(text.to_owned());
    }
    if let Some(expression) = text.strip_prefix("cron:") {
        return cron(expression.trim());
    }
    let upper = text.to_ascii_uppercase();
    let parts = upper.strip_prefix("RRULE:").unwrap_or(&upper);
    if parts.starts_with("FREQ=") || parts.contains(";FREQ=") {
        return rrule(parts);
    }
    Err("a rule is daily, weekly, monthly, yearly, FREQ=… (RFC 5545) or cron:…".to_owned())
}

fn cron(expression: &str) -> Result<String, String> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    if fields.len() != 5 {
        return Err(
            "a cron rule has five fields: minute hour day-of-month month day-of-week".to_owned(),
        );
    }
    let fields = fields.join(" ");
    // The crate counts seconds too; a task does not.
    cron::Schedule::from_str(&format!("0 {fields}"))
        .map_err(|_| "this is not a cron expression of five fields".to_owned())?;
    Ok(format!("cron:{fields}"))
}

fn rrule(parts: &str) -> Result<String, String> {
    let mut seen: Vec<&str> = Vec::new();
    for part in parts.split(';') {
        let (key, value) = part
            .split_once('=')
            .ok_or_else(|| format!("\"{part}\" is not KEY=value"))?;
        if seen.contains(&key) {
            return Err(format!("{key} stands twice"));
        }
        rrule_part(key, value)?;
        seen.push(key);
    }
    let has = |key: &str| seen.contains(&key);
    if has("COUNT") && has("UNTIL") {
        return Err("COUNT and UNTIL exclude each other (RFC 5545)".to_owned());
    }
    if has("BYSETPOS") && !(has("BYDAY") || has("BYMONTHDAY") || has("BYMONTH")) {
        return Err("BYSETPOS needs another BY part (RFC 5545)".to_owned());
    }
    let ordinal_days = parts.split(';').any(|p| {
        p.strip_prefix("BYDAY=")
            .is_some_and(|days| days.contains(|c: char| c.is_ascii_digit()))
    });
    if ordinal_days && !(parts.contains("FREQ=MONTHLY") || parts.contains("FREQ=YEARLY")) {
        return Err("BYDAY with a number needs FREQ=MONTHLY or YEARLY (RFC 5545)".to_owned());
    }
    Ok(parts.to_owned())
}

fn rrule_part(key: &str, value: &str) -> Result<(), String> {
    let each = |ok: &dyn Fn(&str) -> bool| value.split(',').all(ok);
    let ok = match key {
        "FREQ" => match value {
            "DAILY" | "WEEKLY" | "MONTHLY" | "YEARLY" => true,
            "SECONDLY" | "MINUTELY" | "HOURLY" => {
                return Err("the shortest FREQ of a task is DAILY".to_owned());
            }
            _ => false,
        },
        "INTERVAL" | "COUNT" => whole(value, 1, MAX_NUMBER as i32).is_some(),
        "UNTIL" => until(value),
        "WKST" => weekday(value),
        "BYDAY" => each(&|day| {
            let at = day.len().saturating_sub(2);
            day.split_at_checked(at).is_some_and(|(ordinal, name)| {
                weekday(name) && (ordinal.is_empty() || ordinal_in(ordinal, 53))
            })
        }),
        "BYMONTHDAY" => each(&|day| ordinal_in(day, 31)),
        "BYMONTH" => each(&|month| whole(month, 1, 12).is_some()),
        "BYSETPOS" => each(&|position| ordinal_in(position, 366)),
        _ => return Err(format!("{key} is not supported")),
    };
    if ok {
        Ok(())
    } else {
        Err(format!("{key}={value} is not valid"))
    }
}

fn whole(text: &str, min: i32, max: i32) -> Option<i32> {
    let plain = !text.is_empty() && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|n| plain && (min..=max).contains(n))
}

fn ordinal_in(text: &str, max: i32) -> bool {
    whole(text.strip_prefix(['+', '-']).unwrap_or(text), 1, max).is_some()
}

fn weekday(text: &str) -> bool {
    matches!(text, "MO" | "TU" | "WE" | "TH" | "FR" | "SA" | "SU")
}

fn until(text: &str) -> bool {
    let (day, time) = match text.split_once('T') {
        Some((day, time)) => (day, Some(time.strip_suffix('Z').unwrap_or(time))),
        None => (text, None),
    };
    let time_of_day = |t: &str| {
        let number = |at: usize| t.get(at..at + 2).and_then(|pair| whole(pair, 0, 59));
        t.len() == 6
            && number(0).is_some_and(|h| h < 24)
            && number(2).is_some()
            && number(4).is_some()
    };
    day.len() == 8
        && NaiveDate::parse_from_str(day, "%Y%m%d").is_ok()
        && time.is_none_or(time_of_day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_that_are_written_well_are_kept() {
        for (text, canonical) in [
            ("daily", "daily"),
            (" yearly ", "yearly"),
            ("FREQ=DAILY", "FREQ=DAILY"),
            ("rrule:freq=weekly;byday=mo,fr", "FREQ=WEEKLY;BYDAY=MO,FR"),
            (
                "FREQ=MONTHLY;BYDAY=-1FR;INTERVAL=2",
                "FREQ=MONTHLY;BYDAY=-1FR;INTERVAL=2",
            ),
            (
                "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=6",
                "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=6",
            ),
            (
                "FREQ=DAILY;UNTIL=20271231T235959Z",
                "FREQ=DAILY;UNTIL=20271231T235959Z",
            ),
            ("cron: 0  9 * * 1-5", "cron:0 9 * * 1-5"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(canonical), "{text}");
        }
    }

    #[test]
    fn rules_that_are_not_are_refused_with_a_reason() {
        let long = format!("FREQ=DAILY;BYDAY={}", "MO,".repeat(300));
        for (text, reason) in [
            ("sometimes", "a rule is"),
            ("", "a rule is"),
            ("FREQ=SOMETIMES", "FREQ=SOMETIMES is not valid"),
            ("FREQ=SECONDLY;INTERVAL=1;COUNT=1000000000", "shortest"),
            (
                "FREQ=DAILY;COUNT=1000000000",
                "COUNT=1000000000 is not valid",
            ),
            ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
            ("FREQ=DAILY;INTERVAL=-1", "INTERVAL=-1"),
            ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "exclude"),
            ("FREQ=DAILY;UNTIL=20271301", "UNTIL"),
            ("FREQ=DAILY;UNTIL=20270101T250000Z", "UNTIL"),
            ("FREQ=WEEKLY;BYDAY=XX", "BYDAY"),
            ("FREQ=WEEKLY;BYDAY=1MO", "needs FREQ"),
            ("FREQ=WEEKLY;BYDAY=é", "BYDAY"),
            ("FREQ=YEARLY;BYMONTH=13", "BYMONTH"),
            ("FREQ=YEARLY;BYWEEKNO=3", "not supported"),
            ("FREQ=DAILY;FREQ=DAILY", "twice"),
            ("FREQ=DAILY;", "KEY=value"),
            ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS"),
            ("cron:* *", "five fields"),
            ("cron:99 * * * *", "not a cron"),
            (long.as_str(), "at most"),
        ] {
            let error = check(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
