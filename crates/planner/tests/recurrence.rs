//! What holds for any rule, any first date and any text.

use std::time::{Duration, Instant};

use chrono::{NaiveDate, NaiveTime, TimeDelta};
use docket_domain::due::{self, Due};
use docket_planner::recurrence::{MAX_RULE, Rule, Series, next, preview};
use proptest::prelude::*;

/// A rule of RFC 5545, most often one that is well written.
fn rrule() -> impl Strategy<Value = String> {
    let frequency = prop::sample::select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]);
    let list = |values: &'static str| {
        prop::collection::vec(values, 1..5).prop_map(|values| values.join(","))
    };
    let day = "[1-9]|[12][0-9]|3[01]|-[1-9]|-[12][0-9]|-3[01]";
    let parts = (
        prop::option::weighted(0.5, "[1-9]|[1-9][0-9]|[1-9][0-9]{3}|10000"),
        prop::option::weighted(0.3, list("[1-9]|1[0-2]")),
        prop::option::weighted(0.3, list(day)),
        prop::option::weighted(0.5, list("(|1|2|-1|5|-20|53)(MO|TU|WE|TH|FR|SA|SU)")),
        prop::option::weighted(0.2, list("-?[1-9]|-?[1-3][0-9]{2}")),
        prop::option::weighted(0.3, "MO|WE|SA|SU"),
        prop::option::weighted(
            0.5,
            "COUNT=[1-9][0-9]?|UNTIL=(20[2-9][0-9]|9999)(01|12)(01|31)(|T093000|T093000Z)",
        ),
    );
    (frequency, parts).prop_map(
        |(frequency, (interval, month, day, weekday, place, week, end))| {
            let mut rule = format!("FREQ={frequency}");
            for (key, value) in [
                ("INTERVAL=", interval),
                ("BYMONTH=", month),
                ("BYMONTHDAY=", day),
                ("BYDAY=", weekday),
                ("BYSETPOS=", place),
                ("WKST=", week),
                ("", end),
            ] {
                if let Some(value) = value {
                    rule.push_str(&format!(";{key}{value}"));
                }
            }
            rule
        },
    )
}

fn cron() -> impl Strategy<Value = String> {
    let field = |values: &'static str| {
        prop_oneof![
            2 => Just("*".to_owned()),
            1 => "\\*/[1-7]",
            3 => prop::collection::vec(values, 1..4).prop_map(|values| values.join(",")),
        ]
    };
    (
        field("[0-9]|[1-5][0-9]"),
        field("[0-9]|1[0-9]|2[0-3]"),
        field("[1-9]|[12][0-9]|3[01]"),
        field("[1-9]|1[0-2]|jan|DEC"),
        field("[0-7]|mon|SUN|1-5|5-7/2"),
    )
        .prop_map(|(minute, hour, day, month, weekday)| {
            format!("cron:{minute} {hour} {day} {month} {weekday}")
        })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        1 => "daily|weekly|monthly|yearly",
        5 => rrule(),
        2 => cron(),
    ]
    .prop_filter_map("refused", |text| Rule::parse(&text).ok())
}

fn any_due() -> impl Strategy<Value = Due> {
    let zones = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Pacific/Apia",
    ];
    let year = prop_oneof![8 => 1990..2045_i32, 1 => 1..3_i32, 1 => 9_980..=9_999_i32];
    (
        year,
        1..=366_u32,
        prop::option::of(0..86_400_u32),
        prop::option::of(prop::sample::select(zones.to_vec())),
    )
        .prop_filter_map("no such day", |(year, day, time, zone)| {
            let time = time.and_then(|time| NaiveTime::from_num_seconds_from_midnight_opt(time, 0));
            Some(Due {
                date: NaiveDate::from_yo_opt(year, day)?,
                time,
                time_zone: zone.filter(|_| time.is_some()).and_then(due::parse_zone),
            })
        })
}

proptest! {
    #[test]
    fn no_text_is_too_much(
        text in "\\PC{0,60}|[A-Z=;,:0-9* /-]{0,60}|(cron:|FREQ=DAILY;)[A-Z=;,0-9* /?-]{0,40}",
    ) {
        if let Ok(rule) = Rule::parse(&text) {
            prop_assert_eq!(Rule::parse(&rule.to_string()), Ok(rule));
        }
    }

    #[test]
    fn a_rule_reads_as_it_was_written(rule in any_rule()) {
        let text = rule.to_string();
        prop_assert!(text.len() <= MAX_RULE);
        prop_assert_eq!(Rule::parse(&text), Ok(rule.clone()));
        if let Some(rrule) = rule.to_rrule() {
            let there = Rule::parse(&format!("rrule:{}", rrule.to_lowercase()));
            prop_assert_eq!(there.unwrap().to_rrule(), Some(rrule));
        }
    }

    #[test]
    fn dates_only_go_forward(
        rule in any_rule(),
        start in any_due(),
        days in 0..4_000_i64,
        count in 0..30_u32,
    ) {
        let series = Series { rule: &rule, start: &start };
        let date = start.date.checked_add_signed(TimeDelta::days(days)).unwrap_or(start.date);
        let after = Due { date, ..start.clone() };
        let dates = preview(series, &after, 1, count);
        prop_assert!(dates.len() <= count as usize);
        let wall = |due: &Due| due.date.and_time(due.time.unwrap_or_default());
        let mut last = after.clone();
        for (index, date) in (1..).zip(&dates) {
            prop_assert!(wall(&date.due) > wall(&last), "{} {:?}", rule, date);
            prop_assert!(date.at.is_none() || date.at > last.at());
            prop_assert_eq!(date.due.time.is_some(), start.time.is_some());
            prop_assert_eq!(date.due.time_zone, start.time_zone);
            prop_assert_eq!(date.at, date.due.at());
            // One step at a time gives the same.
            let step = next(series, &last, index, None);
            prop_assert_eq!(step.as_ref(), Some(date));
            last = date.due.clone();
        }
        if dates.len() < count as usize {
            prop_assert_eq!(next(series, &last, 1 + dates.len() as u32, None), None);
        }
    }

    #[test]
    fn what_was_done_does_not_come_again(
        rule in any_rule(),
        start in any_due(),
        days in -50..50_i64,
        time in 0..86_400_u32,
    ) {
        let series = Series { rule: &rule, start: &start };
        let day = start.date.checked_add_signed(TimeDelta::days(days)).unwrap_or(start.date);
        let done = day.and_time(NaiveTime::from_num_seconds_from_midnight_opt(time, 0).unwrap());
        if let Some(date) = next(series, &start, 1, Some(done)) {
            prop_assert!(date.due != start);
            prop_assert!(date.due.date >= day);
        }
    }
}

#[test]
fn hostile_rules_take_no_time() {
    for text in [
        "FREQ=DAILY;INTERVAL=7;BYDAY=MO",
        "FREQ=DAILY;INTERVAL=10000;BYMONTH=2;BYMONTHDAY=29;BYDAY=SU",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=SU",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=WEEKLY;INTERVAL=9999;BYMONTH=2;BYDAY=SU;BYSETPOS=-1",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31;BYDAY=SU",
        "FREQ=MONTHLY;BYMONTHDAY=31,30,29,-1,-2,-3;BYDAY=6SU,-6MO",
        "FREQ=YEARLY;INTERVAL=3;BYDAY=53SU,-53MO;BYSETPOS=2",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=1SU,2MO,3TU,4WE,5TH;INTERVAL=4",
        "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYSETPOS=366",
        "cron:0 0 29 2 1",
        "cron:0 0 29 2 */7",
        "cron:59 23 31 12 *",
        "cron:* * * * *",
    ] {
        let started = Instant::now();
        if let Ok(rule) = Rule::parse(text) {
            for day in ["2027-01-30", "9990-01-01"] {
                let start = Due {
                    date: due::parse_date(day).unwrap(),
                    time: due::parse_time("09:00"),
                    time_zone: due::parse_zone("Europe/Berlin"),
                };
                let series = Series {
                    rule: &rule,
                    start: &start,
                };
                preview(series, &start, 1, 100);
            }
        }
        // Some milliseconds, really; but the machine may be busy.
        let took = started.elapsed();
        assert!(took < Duration::from_secs(1), "{text}: {took:?}");
    }
}
