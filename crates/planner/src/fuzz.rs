//! Whatever is typed as a rule or as a line of quick add is read or refused, soon.

use chrono_tz::Tz;
use docket_domain::Instant;
use docket_domain::due::Due;
use docket_fuzz::{run, texts};
use proptest::prelude::*;

use crate::quick_add::parse;
use crate::recurrence::{Rule, Series, next, preview};

const RULE_WORDS: &[&str] = &[
    "FREQ=",
    "SECONDLY",
    "MINUTELY",
    "HOURLY",
    "DAILY",
    "WEEKLY",
    "MONTHLY",
    "YEARLY",
    ";",
    ",",
    "INTERVAL=",
    "COUNT=",
    "UNTIL=",
    "BYDAY=",
    "BYMONTH=",
    "BYMONTHDAY=",
    "BYYEARDAY=",
    "BYWEEKNO=",
    "BYSETPOS=",
    "BYHOUR=",
    "BYMINUTE=",
    "BYSECOND=",
    "WKST=",
    "MO",
    "SU",
    "-1FR",
    "53SU",
    "-53MO",
    "1",
    "-1",
    "31",
    "366",
    "-366",
    "53",
    "20261231T235959Z",
    "20260230",
    "cron:",
    "*",
    "*/5",
    "1-5",
    "L",
    "#",
    "?",
    "MON-FRI",
    "0 9 * * *",
    "RRULE:",
    "daily",
    "weekly",
];
const RULES: &[&str] = &[
    "FREQ=MONTHLY;BYDAY=-1FR;COUNT=12",
    "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
    "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE,FR;WKST=SU;UNTIL=20271231",
    "FREQ=YEARLY;BYWEEKNO=53;BYDAY=MO",
    "FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR;BYSETPOS=-1",
    "FREQ=DAILY;INTERVAL=10000",
    "cron:0 9 * * 1-5",
    "cron:*/15 0-23/2 1,15 */3 MON",
    "cron:59 23 29 2 *",
];
const LINE_WORDS: &[&str] = &[
    "tomorrow",
    "today",
    "next",
    "every",
    "other",
    "monday",
    "weekday",
    "month",
    "last",
    "first",
    "day",
    "of",
    "at",
    "9am",
    "17:30",
    "25:00",
    "noon",
    "in",
    "minutes",
    "weeks",
    "on",
    "the",
    "31st",
    "feb",
    "29",
    "2027-02-30",
    "!high",
    "#tag",
    "#",
    "!",
    "\"",
    "remind",
    "me",
    "before",
    "starting",
    "until",
    "utc",
    "berlin",
    "half past",
    "years",
    "99999999999",
    "every 3 days",
    "after",
    "completion",
    "am",
    "/",
    "-",
];
const LINES: &[&str] = &[
    "Buy milk tomorrow at 9am #shop !high",
    "Pay rent every month on the 31st starting feb 1 at 09:00 remind me 30 minutes before",
    "Call \"Zoë at 9\" next monday 17:30 Europe/Berlin",
    "Standup every weekday at 9:15 until 2027-12-31",
    "Water plants every 3 days after completion",
    "Taxes on 2027-02-29",
];

fn due() -> impl Strategy<Value = Due> {
    let dates = (1_i32..=9999, 1_u32..=366);
    let time = prop::option::of(0_u32..86_400);
    let zone = prop::option::of(prop::sample::select(chrono_tz::TZ_VARIANTS.as_slice()));
    (dates, time, zone).prop_filter_map("a date", |((year, day), seconds, zone)| {
        let time =
            seconds.and_then(|s| chrono::NaiveTime::from_num_seconds_from_midnight_opt(s, 0));
        Some(Due {
            date: chrono::NaiveDate::from_yo_opt(year, day)?,
            time,
            time_zone: zone.filter(|_| time.is_some()),
        })
    })
}

#[test]
fn rules() {
    let inputs = (texts(RULE_WORDS, RULES), due(), 1_u32..20_000);
    run("recurrence rules", inputs, |(text, due, index)| {
        let Ok(rule) = Rule::parse(&text) else {
            return;
        };
        // What is told of a rule reads as the same one.
        assert_eq!(
            Rule::parse(&rule.to_string()).as_ref(),
            Ok(&rule),
            "{text:?}"
        );
        let series = Series {
            rule: &rule,
            start: &due,
        };
        let dates = preview(series, &due, index, 5);
        assert!(dates.len() <= 5);
        let first = next(series, &due, index, None);
        assert_eq!(first.as_ref(), dates.first(), "{text:?}");
    });
}

#[test]
fn lines() {
    const INSTANTS: std::ops::RangeInclusive<i64> = -62_135_596_800_000..=253_402_300_799_999;
    let zone = prop::sample::select(chrono_tz::TZ_VARIANTS.as_slice());
    let locale = prop_oneof![
        Just("en".to_owned()),
        Just("en-GB".to_owned()),
        Just("ur-PK".to_owned()),
        any::<String>(),
    ];
    let inputs = (texts(LINE_WORDS, LINES), INSTANTS, zone, locale);
    run(
        "quick add",
        inputs,
        |(text, now, zone, locale): (_, _, Tz, _)| {
            let now = Instant::from_millis(now).unwrap();
            let Ok(parsed) = parse(&text, now, zone, &locale) else {
                return;
            };
            let units = text.encode_utf16().count();
            let mut end = 0;
            for span in &parsed.spans {
                assert!(
                    end <= span.start && span.start < span.end && span.end <= units,
                    "{text:?}"
                );
                end = span.end;
            }
            if let Some(recurrence) = &parsed.task.recurrence {
                assert!(Rule::parse(&recurrence.rule).is_ok(), "{text:?}");
            }
        },
    );
}
