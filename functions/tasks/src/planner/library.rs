//! The planner, called directly.

use chrono_tz::Tz;
use docket_domain::Instant;
use docket_domain::due::Due;
use docket_domain::recurrence::Following;
use docket_planner::quick_add::{self, Parsed};
use docket_planner::recurrence::{self, Occurrence, Rule, Series};

/// Checks a rule: gives its canonical spelling, or says what is wrong with it, in words for the person who wrote it.
pub fn check(rule: &str) -> Result<String, String> {
    Rule::parse(rule).map(|rule| rule.to_string())
}

/// The next `count` dates of a series after its first one.
///
/// # Errors
/// The rule is none, as [`check`] would have said.
pub fn preview(rule: &str, start: &Due, count: u32) -> Result<Vec<Occurrence>, String> {
    let rule = &Rule::parse(rule)?;
    Ok(recurrence::preview(Series { rule, start }, start, 1, count))
}

/// The date that follows when an occurrence is done; none where the series ends.
///
/// # Errors
/// The rule is none, as [`check`] would have said.
pub fn next(asked: &Following<'_>) -> Result<Option<Due>, String> {
    let series = Series {
        rule: &Rule::parse(asked.rule.as_str())?,
        start: asked.start,
    };
    let next = recurrence::next(series, asked.after, asked.index, asked.done);
    Ok(next.map(|occurrence| occurrence.due))
}

/// Reads a line of quick add, typed at `now` by a person in a zone and with a language (BCP 47).
///
/// # Errors
/// It has more than [`quick_add::MAX_TEXT`] characters.
pub fn parse(text: &str, now: Instant, time_zone: Tz, locale: &str) -> Result<Parsed, String> {
    quick_add::parse(text, now, time_zone, locale).map_err(|error| error.to_string())
}
