//! What is not plain about a date, in words for a person.

use chrono::{Datelike as _, LocalResult, Months, NaiveDate, NaiveDateTime, TimeZone as _};
use docket_domain::Instant;
use docket_domain::due::format_time;

use super::Series;
use super::days::numbered;
use super::rrule::{Frequency, Rrule};
use super::set::Set;

/// The words for one date of a series.
pub(super) fn words(series: Series<'_>, wall: NaiveDateTime, at: Option<Instant>) -> Vec<String> {
    let (start, day) = (series.start.date, wall.date());
    let of_rule = |words: fn(&Rrule, NaiveDate, NaiveDate) -> Option<String>| {
        words(series.rule.rrule()?, start, day)
    };
    [
        of_rule(clamped),
        of_rule(skipped),
        of_rule(counted),
        clocks(series, wall, at),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The first date had a day that this month lacks.
fn clamped(rule: &Rrule, start: NaiveDate, day: NaiveDate) -> Option<String> {
    let remembered = rule.implied_month_day(start)?;
    (remembered != day.day()).then(|| {
        format!(
            "{}, clamped to the {}",
            ordinal(remembered),
            ordinal(day.day())
        )
    })
}

/// The month before this one in the rule lacks the day.
fn skipped(rule: &Rrule, start: NaiveDate, day: NaiveDate) -> Option<String> {
    if rule.frequency != Frequency::Monthly || !rule.month_days.has(day.day()) {
        return None;
    }
    let before = day
        .with_day(1)?
        .checked_sub_months(Months::new(rule.interval))?;
    let lacks = u32::from(before.num_days_in_month()) < day.day();
    let only = rule.month_days.iter().count() == 1 && rule.month_days_back.is_empty();
    let of_rule = rule.months.is_empty() || rule.months.has(before.month());
    (lacks && only && of_rule && before > start).then(|| {
        let month = before.format("%B");
        format!("{month} has no {}", ordinal(day.day()))
    })
}

/// Where the rule counts to find the day: "last Friday of the month".
fn counted(rule: &Rrule, _: NaiveDate, day: NaiveDate) -> Option<String> {
    let back = u32::from(day.num_days_in_month()) - day.day0();
    let weekday = day.format("%A").to_string();
    let (place, what) = if let &[place] = rule.positions.as_slice() {
        (place, picked(rule, weekday)?)
    } else if !rule.positions.is_empty() {
        return None;
    } else if let Some(number) = numbered(rule, day) {
        (number, weekday)
    } else if rule.month_days_back.has(back) {
        (-i32::try_from(back).ok()?, "day".to_owned())
    } else {
        return None;
    };
    let place = match (place, ordinal(place.unsigned_abs())) {
        (-1, _) => "last".to_owned(),
        (..0, place) => format!("{place} last"),
        (_, place) => place,
    };
    let period = if rule.counts_in_year() {
        "year"
    } else {
        "month"
    };
    Some(format!("{place} {what} of the {period}"))
}

/// What BYSETPOS picks from, where it is a month's days of some kind.
fn picked(rule: &Rrule, weekday: String) -> Option<String> {
    let by_weekday = rule.frequency == Frequency::Monthly
        && rule.month_days.is_empty()
        && rule.month_days_back.is_empty()
        && rule.numbered.is_empty();
    let days = rule.weekdays;
    if !by_weekday || days.is_empty() {
        None
    } else if days == Set::range(0, 6) {
        Some("day".to_owned())
    } else if days == Set::range(0, 4) {
        Some("workday".to_owned())
    } else if days == Set::range(5, 6) {
        Some("weekend day".to_owned())
    } else {
        (days.iter().count() == 1).then_some(weekday)
    }
}

/// The clocks changed at that time.
fn clocks(series: Series<'_>, wall: NaiveDateTime, at: Option<Instant>) -> Option<String> {
    let zone = series.start.time_zone?;
    let shown = at?.to_datetime().with_timezone(&zone).naive_local();
    let time = format_time(wall.time());
    if shown != wall {
        let day = if shown.date() == wall.date() {
            ""
        } else {
            " the next day"
        };
        let shown = format_time(shown.time());
        return Some(format!(
            "clocks went forward, {shown}{day} instead of {time}"
        ));
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
