//! What is not plain about a date, in words for a person.

use chrono::{Datelike as _, LocalResult, NaiveDateTime, TimeZone as _};
use docket_domain::Instant;
use docket_domain::due::format_time;

use super::Series;

/// The words for one date of a series.
pub(super) fn words(series: Series<'_>, wall: NaiveDateTime, at: Option<Instant>) -> Vec<String> {
    [clamped(series, wall), clocks(series, wall, at)]
        .into_iter()
        .flatten()
        .collect()
}

/// The first date had a day that this month lacks.
fn clamped(series: Series<'_>, wall: NaiveDateTime) -> Option<String> {
    let day = series.rule.rrule()?.implied_month_day(series.start.date)?;
    (day != wall.day()).then(|| format!("{}, clamped to the {}", ordinal(day), ordinal(wall.day())))
}

/// The clocks changed at that time.
fn clocks(series: Series<'_>, wall: NaiveDateTime, at: Option<Instant>) -> Option<String> {
    let zone = series.start.time_zone?;
    let shown = at?.to_datetime().with_timezone(&zone).naive_local();
    let time = format_time(wall.time());
    if shown != wall {
        let shown = format_time(shown.time());
        return Some(format!("clocks went forward, {shown} instead of {time}"));
    }
    matches!(zone.from_local_datetime(&wall), LocalResult::Ambiguous(..))
        .then(|| format!("clocks went back, the first {time}"))
}

/// 1st, 2nd, 3rd, 4th.
fn ordinal(number: u32) -> String {
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    format!("{number}{suffix}")
}
