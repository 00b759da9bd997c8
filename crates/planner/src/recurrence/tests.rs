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

/// `date`, `date time` or either with `: why`.
fn shown(occurrence: &Occurrence) -> String {
    let Due { date, time, .. } = &occurrence.due;
    let time = time.map_or_else(String::new, |time| format!(" {}", due::format_time(time)));
    let why = occurrence.why.join("; ");
    let colon = if why.is_empty() { "" } else { ": " };
    format!("{date}{time}{colon}{why}")
}

/// The dates of a rule after its first one.
fn dates(text: &str, start: &str, count: u32) -> Vec<String> {
    let (rule, start) = (rule(text), due(start));
    let series = Series {
        rule: &rule,
        start: &start,
    };
    preview(series, &start, 1, count)
        .iter()
        .map(shown)
        .collect()
}

/// Checks the first dates after a start. `end` at the end of a list: there are no more.
fn check(table: &[(&str, &str, &[&str])]) {
    for (text, start, expected) in table {
        let ends = expected.last() == Some(&"end");
        let expected = &expected[..expected.len() - usize::from(ends)];
        let count = u32::try_from(expected.len() + usize::from(ends)).unwrap();
        assert_eq!(dates(text, start, count), expected, "{text} from {start}");
    }
}

#[test]
fn month_ends_clamp_and_the_day_is_remembered() {
    check(&[
        (
            "monthly",
            "2026-01-31",
            &[
                "2026-02-28: 31st, clamped to the 28th",
                "2026-03-31",
                "2026-04-30: 31st, clamped to the 30th",
                "2026-05-31",
            ],
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
            "FREQ=MONTHLY;INTERVAL=3",
            "2026-11-30",
            &["2027-02-28: 30th, clamped to the 28th", "2027-05-30"],
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
        // 2100 is no leap year.
        (
            "FREQ=YEARLY;INTERVAL=4",
            "2096-02-29",
            &["2100-02-28: 29th, clamped to the 28th", "2104-02-29"],
        ),
        (
            "FREQ=YEARLY;BYMONTH=2,3",
            "2026-01-31",
            &["2026-02-28: 31st, clamped to the 28th", "2026-03-31"],
        ),
        // A day that the rule names is not moved.
        (
            "FREQ=MONTHLY;BYMONTHDAY=31",
            "2026-01-31",
            &[
                "2026-03-31: February has no 31st",
                "2026-05-31: April has no 31st",
                "2026-07-31: June has no 31st",
                "2026-08-31",
            ],
        ),
        (
            "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29",
            "2026-01-01",
            &["2028-02-29", "2032-02-29"],
        ),
    ]);
}

#[test]
fn rrules_give_their_days() {
    check(&[
        ("daily", "2026-12-30", &["2026-12-31", "2027-01-01"]),
        (
            "FREQ=DAILY;INTERVAL=10;BYMONTH=1",
            "2026-01-05",
            &["2026-01-15", "2026-01-25", "2027-01-10"],
        ),
        (
            "FREQ=DAILY;BYMONTHDAY=-1,1",
            "2026-02-01",
            &["2026-02-28: last day of the month", "2026-03-01"],
        ),
        ("weekly", "2026-11-23", &["2026-11-30", "2026-12-07"]),
        (
            "FREQ=WEEKLY;BYDAY=FR,MO",
            "2026-11-24",
            &["2026-11-27", "2026-11-30", "2026-12-04"],
        ),
        // Where a week begins decides which days are of the same one: 5 August 1997 was a Tuesday (RFC 5545, 3.8.5.3).
        (
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=MO",
            "1997-08-05",
            &["1997-08-10", "1997-08-19", "1997-08-24", "end"],
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU;WKST=SU",
            "1997-08-05",
            &["1997-08-17", "1997-08-19", "1997-08-31", "end"],
        ),
        (
            "FREQ=MONTHLY;BYDAY=-1FR,2TU",
            "2026-11-01",
            &[
                "2026-11-10: 2nd Tuesday of the month",
                "2026-11-27: last Friday of the month",
                "2026-12-08: 2nd Tuesday of the month",
            ],
        ),
        (
            "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13",
            "2026-01-01",
            &["2026-02-13", "2026-03-13", "2026-11-13"],
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=15,-1",
            "2027-01-31",
            &["2027-02-15", "2027-02-28: last day of the month"],
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=-31",
            "2027-01-02",
            &[
                "2027-03-01: 31st last day of the month",
                "2027-05-01: 31st last day of the month",
            ],
        ),
        (
            "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
            "2026-01-01",
            &[
                "2026-01-30: last workday of the month",
                "2026-02-27: last workday of the month",
            ],
        ),
        (
            "FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=2",
            "2026-11-01",
            &[
                "2026-11-07: 2nd weekend day of the month",
                "2026-12-06: 2nd weekend day of the month",
            ],
        ),
        // Positions that meet, and one that is not there.
        (
            "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=5,-1,-5,9",
            "2026-11-30",
            &[
                "2026-12-28",
                "2027-01-25",
                "2027-02-22",
                "2027-03-01",
                "2027-03-29",
                "2027-04-26",
            ],
        ),
        (
            "FREQ=YEARLY;BYDAY=20MO,-1SU",
            "1997-05-19",
            &[
                "1997-12-28: last Sunday of the year",
                "1998-05-18: 20th Monday of the year",
            ],
        ),
        (
            "FREQ=YEARLY;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8;INTERVAL=4",
            "1996-11-05",
            &["2000-11-07", "2004-11-02", "2008-11-04"],
        ),
        (
            "FREQ=YEARLY;BYMONTH=3,10;BYDAY=-1SU",
            "2026-01-01",
            &[
                "2026-03-29: last Sunday of the month",
                "2026-10-25: last Sunday of the month",
            ],
        ),
        (
            "FREQ=YEARLY;BYMONTHDAY=13",
            "2026-11-30",
            &["2026-12-13", "2027-01-13"],
        ),
        (
            "FREQ=YEARLY;BYDAY=53SU",
            "2000-01-01",
            &[
                "2000-12-31: 53rd Sunday of the year",
                "2006-12-31: 53rd Sunday of the year",
            ],
        ),
    ]);
}

#[test]
fn rare_days_are_found() {
    check(&[
        // 29 February on a Monday, in the years 7, 14, 21 … after 2027.
        (
            "FREQ=YEARLY;INTERVAL=7;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO",
            "2027-01-01",
            &["2608-02-29"],
        ),
        (
            "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=TH",
            "2026-01-01",
            &["2052-02-29", "2080-02-29", "2120-02-29"],
        ),
        (
            "FREQ=WEEKLY;INTERVAL=53;BYMONTH=2;BYDAY=MO",
            "2026-11-23",
            &["2040-02-06"],
        ),
        // Every seventh day from a Tuesday is a Tuesday.
        ("FREQ=DAILY;INTERVAL=7;BYDAY=MO", "2026-11-24", &["end"]),
        (
            "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
            "2026-01-01",
            &["end"],
        ),
    ]);
}

#[test]
fn a_series_ends() {
    check(&[
        (
            "FREQ=DAILY;COUNT=3",
            "2026-12-31",
            &["2027-01-01", "2027-01-02", "end"],
        ),
        ("FREQ=DAILY;COUNT=1", "2026-12-31", &["end"]),
        (
            "FREQ=DAILY;UNTIL=20270102",
            "2026-12-31",
            &["2027-01-01", "2027-01-02", "end"],
        ),
        ("FREQ=DAILY;UNTIL=20261230", "2026-12-31", &["end"]),
        // A day counts as a whole, whatever the time.
        (
            "FREQ=DAILY;UNTIL=20270101",
            "2026-12-31 23:59",
            &["2027-01-01 23:59", "end"],
        ),
        (
            "FREQ=DAILY;UNTIL=20270101T000000",
            "2026-12-31",
            &["2027-01-01", "end"],
        ),
        (
            "FREQ=DAILY;UNTIL=20270101T090000",
            "2026-12-31 09:00",
            &["2027-01-01 09:00", "end"],
        ),
        (
            "FREQ=DAILY;UNTIL=20270101T085959",
            "2026-12-31 09:00",
            &["end"],
        ),
        (
            "FREQ=DAILY;UNTIL=20270101T090000Z",
            "2026-12-31 09:00",
            &["2027-01-01 09:00", "end"],
        ),
        // 09:00 in Berlin is 08:00 in UTC.
        (
            "FREQ=DAILY;UNTIL=20270101T080000Z",
            "2026-12-31 09:00 Europe/Berlin",
            &["2027-01-01 09:00", "end"],
        ),
        (
            "FREQ=DAILY;UNTIL=20270101T075959Z",
            "2026-12-31 09:00 Europe/Berlin",
            &["end"],
        ),
        (
            "FREQ=DAILY;UNTIL=20270101T090000",
            "2026-12-31 09:00 Europe/Berlin",
            &["2027-01-01 09:00", "end"],
        ),
        ("daily", "9999-12-30", &["9999-12-31", "end"]),
        ("weekly", "9999-12-30", &["end"]),
        (
            "FREQ=WEEKLY;BYDAY=MO,FR,SU",
            "9999-12-27",
            &["9999-12-31", "end"],
        ),
        ("monthly", "9999-11-30 09:00", &["9999-12-30 09:00", "end"]),
        ("yearly", "9998-12-31", &["9999-12-31", "end"]),
        ("FREQ=YEARLY;INTERVAL=10000", "0001-01-01", &["end"]),
        ("cron:0 9 * * *", "9999-12-30", &["9999-12-31", "end"]),
        (
            "cron:0 9,18 * * *",
            "9999-12-31 09:00",
            &["9999-12-31 18:00", "end"],
        ),
        // The last day west of Greenwich reaches into the year 10000.
        ("daily", "9999-12-30 23:00 Pacific/Honolulu", &["end"]),
        ("daily", "0001-01-01", &["0001-01-02"]),
        (
            "FREQ=WEEKLY;BYDAY=MO;WKST=SU",
            "0001-01-01",
            &["0001-01-08"],
        ),
    ]);
}

#[test]
fn the_wall_clock_is_kept_across_daylight_saving() {
    check(&[
        (
            "daily",
            "2026-03-27 02:30 Europe/Berlin",
            &[
                "2026-03-28 02:30",
                "2026-03-29 02:30: clocks went forward, 03:30 instead of 02:30",
                "2026-03-30 02:30",
            ],
        ),
        (
            "daily",
            "2026-10-24 02:30 Europe/Berlin",
            &[
                "2026-10-25 02:30: clocks went back, the first 02:30",
                "2026-10-26 02:30",
            ],
        ),
        (
            "monthly",
            "2027-02-28 02:30 Europe/Berlin",
            &["2027-03-28 02:30: clocks went forward, 03:30 instead of 02:30"],
        ),
        (
            "monthly",
            "2026-08-31 02:15 Australia/Lord_Howe",
            &["2026-09-30 02:15: 31st, clamped to the 30th"],
        ),
        (
            "FREQ=YEARLY;BYMONTH=10;BYDAY=1SU",
            "2026-01-01 02:15 Australia/Lord_Howe",
            &[
                "2026-10-04 02:15: 1st Sunday of the month; clocks went forward, 02:45 instead of 02:15",
            ],
        ),
        // Samoa left out 30 December 2011, whose noon is that of the 31st: it comes once.
        (
            "daily",
            "2011-12-28 12:00 Pacific/Apia",
            &[
                "2011-12-29 12:00",
                "2011-12-30 12:00: clocks went forward, 12:00 the next day instead of 12:00",
                "2012-01-01 12:00",
            ],
        ),
        (
            "daily",
            "2027-03-26 23:30 America/Scoresbysund",
            &[
                "2027-03-27 23:30: clocks went forward, 00:30 the next day instead of 23:30",
                "2027-03-28 23:30",
            ],
        ),
        // 02:30 is 03:30 that day, which need not come again.
        (
            "cron:30 2,3 * * *",
            "2026-03-28 03:30 Europe/Berlin",
            &[
                "2026-03-29 02:30: clocks went forward, 03:30 instead of 02:30",
                "2026-03-30 02:30",
            ],
        ),
        (
            "cron:0 * * * *",
            "2026-10-25 01:00 Europe/Berlin",
            &[
                "2026-10-25 02:00: clocks went back, the first 02:00",
                "2026-10-25 03:00",
            ],
        ),
        // Without a zone there are no clocks to change.
        ("daily", "2026-03-28 02:30", &["2026-03-29 02:30"]),
    ]);
}

#[test]
fn the_instant_is_that_of_the_zone() {
    let (rule, start) = (rule("daily"), due("2026-03-28 02:30 Europe/Berlin"));
    let series = Series {
        rule: &rule,
        start: &start,
    };
    let at: Vec<_> = preview(series, &start, 1, 2)
        .iter()
        .map(|occurrence| occurrence.at.unwrap().to_string())
        .collect();
    assert_eq!(at, ["2026-03-29T01:30:00.000Z", "2026-03-30T00:30:00.000Z"]);
}

#[test]
fn cron_counts_as_vixie_cron_does() {
    check(&[
        (
            "cron:0 9 * * *",
            "2026-11-23 10:00",
            &["2026-11-24 09:00", "2026-11-25 09:00"],
        ),
        ("cron:0 9 * * *", "2026-11-23 08:00", &["2026-11-23 09:00"]),
        (
            "cron:*/20 9-10 * * *",
            "2026-11-23 09:15",
            &["2026-11-23 09:20", "2026-11-23 09:40", "2026-11-23 10:00"],
        ),
        // 23 November 2026 is a Monday.
        ("cron:0 9 * * 1", "2026-11-23", &["2026-11-30"]),
        ("cron:0 9 * * mon", "2026-11-23", &["2026-11-30"]),
        (
            "cron:0 9 * * 0",
            "2026-11-23",
            &["2026-11-29", "2026-12-06"],
        ),
        (
            "cron:0 9 * * 7",
            "2026-11-23",
            &["2026-11-29", "2026-12-06"],
        ),
        (
            "cron:0 9 * * SUN",
            "2026-11-23",
            &["2026-11-29", "2026-12-06"],
        ),
        (
            "cron:0 9 * * 5-7",
            "2026-11-23",
            &["2026-11-27", "2026-11-28", "2026-11-29", "2026-12-04"],
        ),
        (
            "cron:0 9 * * 1-5/2",
            "2026-11-23",
            &["2026-11-25", "2026-11-27", "2026-11-30"],
        ),
        (
            "cron:0 9 * * */3",
            "2026-11-23",
            &["2026-11-25", "2026-11-28", "2026-11-29"],
        ),
        (
            "cron:0 9 * * 5/1",
            "2026-11-23",
            &["2026-11-27", "2026-11-28", "2026-12-04"],
        ),
        (
            "cron:0 9 * * mon-wed,6",
            "2026-11-23",
            &["2026-11-24", "2026-11-25", "2026-11-28"],
        ),
        // Both restricted: either will do. 1 December is a Tuesday.
        (
            "cron:0 9 1 * 5",
            "2026-11-23",
            &["2026-11-27", "2026-12-01", "2026-12-04"],
        ),
        // A field from `*` on is not restricted: both have to fit.
        (
            "cron:0 9 */2 * 1",
            "2026-11-23",
            &["2026-12-07", "2026-12-21"],
        ),
        (
            "cron:0 9 1 * */6",
            "2026-11-23",
            &["2027-05-01", "2027-08-01"],
        ),
        ("cron:0 9 1 * ?", "2026-11-23", &["2026-12-01"]),
        (
            "cron:0 0 29 2 *",
            "2026-11-23 09:00",
            &["2028-02-29 00:00", "2032-02-29 00:00"],
        ),
        (
            "cron:0 0 29 2 1",
            "2026-11-23",
            &["2027-02-01", "2027-02-08"],
        ),
        (
            "cron:0 0 31 jan,apr *",
            "2026-11-23",
            &["2027-01-31", "2028-01-31"],
        ),
        // An all-day series has one date a day.
        (
            "cron:0 9,17 * * *",
            "2026-11-23",
            &["2026-11-24", "2026-11-25"],
        ),
    ]);
}

#[test]
fn from_completion_a_rule_begins_anew() {
    for (text, start, done, expected) in [
        (
            "FREQ=DAILY;INTERVAL=3",
            "2026-11-20 09:00",
            "2026-11-24 14:00",
            "2026-11-27 09:00",
        ),
        (
            "FREQ=DAILY;INTERVAL=3",
            "2026-11-20 09:00",
            "2026-11-24 08:00",
            "2026-11-27 09:00",
        ),
        (
            "FREQ=DAILY;INTERVAL=3",
            "2026-11-20",
            "2026-11-24 08:00",
            "2026-11-27",
        ),
        // Done before it was due.
        ("daily", "2026-11-20", "2026-11-17 12:00", "2026-11-18"),
        (
            "weekly",
            "2026-11-20 09:00",
            "2026-11-24 08:00",
            "2026-12-01 09:00",
        ),
        (
            "monthly",
            "2026-10-31",
            "2027-01-30 08:00",
            "2027-02-28: 30th, clamped to the 28th",
        ),
        // The Friday that was done early does not come again.
        (
            "FREQ=WEEKLY;BYDAY=FR",
            "2026-11-20",
            "2026-11-18 08:00",
            "2026-11-27",
        ),
        (
            "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO",
            "2026-11-02",
            "2026-11-24 08:00",
            "2026-12-07",
        ),
        (
            "cron:0 9,17 * * *",
            "2026-11-20 09:00",
            "2026-11-24 10:00",
            "2026-11-24 17:00",
        ),
        (
            "cron:0 9,17 * * *",
            "2026-11-24 17:00",
            "2026-11-24 16:00",
            "2026-11-25 09:00",
        ),
        (
            "cron:0 9 * * *",
            "2026-11-20",
            "2026-11-24 10:00",
            "2026-11-25",
        ),
        ("FREQ=DAILY;COUNT=1", "2026-11-20", "2026-11-24 10:00", ""),
        (
            "FREQ=DAILY;UNTIL=20261124",
            "2026-11-20",
            "2026-11-24 10:00",
            "",
        ),
    ] {
        let (rule, start) = (rule(text), due(start));
        let series = Series {
            rule: &rule,
            start: &start,
        };
        let done_at = NaiveDateTime::parse_from_str(done, "%Y-%m-%d %H:%M").unwrap();
        let next = next(series, &start, 1, Some(done_at));
        assert_eq!(
            next.as_ref().map_or_else(String::new, shown),
            expected,
            "{text} done {done}"
        );
    }
}

#[test]
fn the_next_date_follows_on_any_date_of_the_series() {
    for (text, start, after, index, expected) in [
        // The first date is remembered, far from it too.
        ("monthly", "2026-01-31", "2026-02-28", 2, "2026-03-31"),
        ("monthly", "2026-01-31", "2031-02-28", 62, "2031-03-31"),
        (
            "FREQ=WEEKLY;INTERVAL=2",
            "2026-11-23",
            "2036-11-24",
            99,
            "2036-12-08",
        ),
        (
            "FREQ=DAILY;COUNT=3",
            "2026-11-23",
            "2026-11-24",
            2,
            "2026-11-25",
        ),
        ("FREQ=DAILY;COUNT=3", "2026-11-23", "2026-11-25", 3, ""),
        ("FREQ=DAILY;COUNT=3", "2026-11-23", "2026-11-25", 4, ""),
        // A date that is in another zone, or has no time.
        (
            "daily",
            "2026-11-23 09:00 Europe/Berlin",
            "2026-11-24 04:00 America/New_York",
            2,
            "2026-11-25 09:00",
        ),
        (
            "daily",
            "2026-11-23 09:00 Europe/Berlin",
            "2026-11-24",
            2,
            "2026-11-25 09:00",
        ),
        ("daily", "2026-11-23", "2026-11-24 09:00", 2, "2026-11-25"),
        // Before the first date nothing comes.
        (
            "FREQ=WEEKLY;BYDAY=MO,WE",
            "2026-11-25",
            "2026-01-01",
            1,
            "2026-11-25",
        ),
    ] {
        let (rule, start) = (rule(text), due(start));
        let series = Series {
            rule: &rule,
            start: &start,
        };
        let next = next(series, &due(after), index, None);
        assert_eq!(
            next.as_ref().map_or_else(String::new, shown),
            expected,
            "{text} after {after}"
        );
    }
}

#[test]
fn a_preview_is_bounded() {
    assert_eq!(dates("daily", "2026-11-23", u32::MAX).len(), 100);
    assert_eq!(dates("daily", "2026-11-23", 0).len(), 0);
}

#[test]
fn rules_are_written_one_way() {
    for (text, canonical) in [
        ("daily", "daily"),
        (" Yearly ", "yearly"),
        ("FREQ=DAILY", "FREQ=DAILY"),
        ("FREQ=DAILY;INTERVAL=01;WKST=MO", "FREQ=DAILY"),
        (
            "rrule:freq=weekly;byday=fr,mo,fr",
            "FREQ=WEEKLY;BYDAY=MO,FR",
        ),
        (
            "COUNT=6;BYDAY=-1FR,+2MO,TU;INTERVAL=2;FREQ=MONTHLY",
            "FREQ=MONTHLY;INTERVAL=2;BYDAY=TU,2MO,-1FR;COUNT=6",
        ),
        (
            "FREQ=MONTHLY;BYMONTHDAY=-1,-2,31,+1;BYMONTH=12,1;BYSETPOS=-1,1",
            "FREQ=MONTHLY;BYMONTH=1,12;BYMONTHDAY=1,31,-2,-1;BYSETPOS=1,-1",
        ),
        (
            "FREQ=DAILY;UNTIL=20271231T235959z",
            "FREQ=DAILY;UNTIL=20271231T235959Z",
        ),
        (
            "FREQ=WEEKLY;WKST=SU;UNTIL=20271231",
            "FREQ=WEEKLY;WKST=SU;UNTIL=20271231",
        ),
        (
            "FREQ=WEEKLY;UNTIL=20271231T090000",
            "FREQ=WEEKLY;UNTIL=20271231T090000",
        ),
        ("CRON: 0  9 * JAN MON-FRI", "cron:0 9 * jan mon-fri"),
    ] {
        let read = rule(text);
        assert_eq!(read.to_string(), canonical, "{text}");
        assert_eq!(rule(canonical), read, "{text}");
    }
    assert_eq!(rule("monthly").to_rrule().as_deref(), Some("FREQ=MONTHLY"));
    assert_eq!(rule("cron:0 9 * * *").to_rrule(), None);
}

#[test]
fn bad_rules_are_refused_with_a_reason() {
    let long = format!("FREQ=DAILY;BYDAY={}", "MO,".repeat(40_000));
    for (text, reason) in [
        ("sometimes", "a rule is"),
        ("", "a rule is"),
        ("FREQ=SOMETIMES", "FREQ=SOMETIMES is not valid"),
        ("FREQ=SECONDLY;INTERVAL=1;COUNT=1000000000", "shortest"),
        ("FREQ=MINUTELY", "shortest"),
        ("FREQ=HOURLY", "shortest"),
        (
            "FREQ=DAILY;COUNT=1000000000",
            "COUNT=1000000000 is not valid: 1 to 10000",
        ),
        ("FREQ=DAILY;COUNT=10001", "COUNT=10001"),
        ("FREQ=DAILY;COUNT=9223372036854775808", "COUNT=9"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=DAILY;INTERVAL=-1", "INTERVAL=-1"),
        ("FREQ=DAILY;INTERVAL=+1", "INTERVAL=+1"),
        ("FREQ=DAILY;INTERVAL=", "INTERVAL="),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "exclude"),
        ("FREQ=DAILY;UNTIL=20271301", "UNTIL"),
        ("FREQ=DAILY;UNTIL=00001231", "UNTIL"),
        ("FREQ=DAILY;UNTIL=100000101", "UNTIL"),
        ("FREQ=DAILY;UNTIL=20270101T250000Z", "UNTIL"),
        ("FREQ=DAILY;UNTIL=20270101T235960Z", "UNTIL"),
        ("FREQ=DAILY;UNTIL=2027-01-01", "UNTIL"),
        ("FREQ=WEEKLY;BYDAY=XX", "BYDAY"),
        ("FREQ=WEEKLY;BYDAY=1MO", "needs FREQ"),
        ("FREQ=DAILY;BYDAY=1MO", "needs FREQ"),
        ("FREQ=WEEKLY;BYDAY=é", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=0MO", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=54MO", "BYDAY"),
        ("FREQ=MONTHLY;BYDAY=+-1MO", "BYDAY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "WEEKLY"),
        ("FREQ=MONTHLY;BYMONTHDAY=32", "1 to 31"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=YEARLY;BYMONTH=13", "BYMONTH"),
        ("FREQ=YEARLY;BYMONTH=-1", "BYMONTH"),
        ("FREQ=YEARLY;BYMONTH=1,", "BYMONTH"),
        ("FREQ=YEARLY;BYWEEKNO=3", "not supported"),
        ("FREQ=DAILY;BYHOUR=9", "that of the due date"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;", "KEY=value"),
        ("X;FREQ=DAILY", "KEY=value"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never"),
        ("FREQ=DAILY;BYMONTH=4,6,9,11;BYMONTHDAY=31", "never"),
        ("FREQ=MONTHLY;BYDAY=6MO", "never"),
        ("FREQ=MONTHLY;BYDAY=1MO;BYMONTHDAY=8", "never"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2", "never"),
        ("cron:* *", "five fields"),
        ("cron:0 9 * * * *", "five fields"),
        ("cron:99 * * * *", "not a cron"),
        ("cron:0 24 * * *", "not a cron"),
        ("cron:0 9 0 * *", "not a cron"),
        ("cron:0 9 * 13 *", "not a cron"),
        ("cron:0 9 * * 8", "not a day of the week"),
        ("cron:0 9 * * 5-1", "not a day of the week"),
        ("cron:0 9 * * */0", "not a day of the week"),
        ("cron:0 9 * * someday", "not a day of the week"),
        ("cron:*/0 9 * * *", "not a cron"),
        ("cron:0 9 1 -5 *", "not a field"),
        ("cron:0 9 1- 5 *", "not a field"),
        ("cron:0 9 l * *", "not a cron"),
        ("cron:@daily", "five fields"),
        ("cron:0 0 31 2 *", "never"),
        ("cron:0 0 31 4,6,9,11 *", "never"),
        (long.as_str(), "at most 512 bytes"),
    ] {
        let error = Rule::parse(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
}
