//! Tables of rules and the dates that they give.

use chrono::NaiveDateTime;
use docket_domain::due::{self, Due};

use super::*;

/// Reads `2026-01-31`, `2026-01-31 09:00` or `2026-01-31 09:00 Europe/Berlin`.
fn due(text: &str) -> Due {
    let mut words = text.split(' ');
    Due {
        date: due::parse_date(words.next().unwrap()).unwrap(),
        time: words.next().map(|time| due::parse_time(time).unwrap()),
        time_zone: words.next().map(|zone| due::parse_zone(zone).unwrap()),
    }
}

fn rule(text: &str) -> Rule {
    Rule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The dates after the first one, each as `date`, `date time`, or with `: why`.
fn dates(text: &str, start: &str, count: u32) -> Vec<String> {
    let start = due(start);
    let rule = rule(text);
    let series = Series {
        rule: &rule,
        start: &start,
    };
    preview(series, &start, 1, count)
        .iter()
        .map(shown)
        .collect()
}

fn shown(occurrence: &Occurrence) -> String {
    let Due { date, time, .. } = &occurrence.due;
    let time = time.map_or_else(String::new, |time| format!(" {}", due::format_time(time)));
    let why = occurrence.why.join("; ");
    let colon = if why.is_empty() { "" } else { ": " };
    format!("{date}{time}{colon}{why}")
}

#[test]
fn month_ends_clamp_and_the_day_is_remembered() {
    for (rule, start, expected) in [
        (
            "monthly",
            "2026-01-31",
            &[
                "2026-02-28: 31st, clamped to the 28th",
                "2026-03-31",
                "2026-04-30: 31st, clamped to the 30th",
                "2026-05-31",
            ][..],
        ),
        (
            "FREQ=MONTHLY",
            "2028-01-30 09:00",
            &[
                "2028-02-29 09:00: 30th, clamped to the 29th",
                "2028-03-30 09:00",
            ],
        ),
        (
            "yearly",
            "2028-02-29",
            &[
                "2029-02-28: 29th, clamped to the 28th",
                "2030-02-28: 29th, clamped to the 28th",
                "2031-02-28: 29th, clamped to the 28th",
                "2032-02-29",
            ],
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=31",
            "2026-01-31",
            &["2026-03-31", "2026-05-31", "2026-07-31", "2026-08-31"],
        ),
        (
            "FREQ=YEARLY;BYMONTH=2,3",
            "2026-01-31",
            &["2026-02-28: 31st, clamped to the 28th", "2026-03-31"],
        ),
    ] {
        let count = expected.len().try_into().unwrap();
        assert_eq!(dates(rule, start, count), expected, "{rule} from {start}");
    }
}

#[test]
fn completion() {
    let start = due("2026-11-20 09:00");
    let done = |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
    for (text, at, expected) in [
        (
            "FREQ=DAILY;INTERVAL=3",
            "2026-11-24 14:00",
            "2026-11-27 09:00",
        ),
        (
            "FREQ=DAILY;INTERVAL=3",
            "2026-11-24 08:00",
            "2026-11-27 09:00",
        ),
        ("weekly", "2026-11-24 08:00", "2026-12-01 09:00"),
        ("cron:0 9,17 * * *", "2026-11-24 10:00", "2026-11-24 17:00"),
    ] {
        let rule = rule(text);
        let series = Series {
            rule: &rule,
            start: &start,
        };
        let next = next(series, &start, 1, Some(done(at))).unwrap();
        assert_eq!(shown(&next), expected, "{text} done {at}");
    }
}
