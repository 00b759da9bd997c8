//! Every transition of every IANA zone from 2024 to 2040: a series across it keeps its wall clock, or says why not.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use chrono::{DateTime, NaiveDateTime, NaiveTime, Offset as _, TimeDelta, TimeZone as _, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use docket_domain::due::Due;
use docket_planner::recurrence::{Rule, Series, next, preview};

/// A moment at which a zone's offset changes.
#[derive(Clone, Copy, Debug)]
struct Transition {
    at: DateTime<Utc>,
    before: TimeDelta,
    after: TimeDelta,
}

impl Transition {
    /// The wall clock just before and just after.
    fn walls(&self) -> (NaiveDateTime, NaiveDateTime) {
        let at = self.at.naive_utc();
        (at + self.before, at + self.after)
    }

    /// What the moment at `wall` is and how it is explained, if it is in the gap or the overlap.
    fn explains(&self, wall: NaiveDateTime) -> Option<(NaiveDateTime, &'static str)> {
        let (before, after) = self.walls();
        let first = wall - self.before;
        if before <= wall && wall < after {
            Some((first, "clocks went forward"))
        } else if after <= wall && wall < before {
            Some((first, "clocks went back"))
        } else {
            None
        }
    }
}

fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    let seconds = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
    TimeDelta::seconds(i64::from(seconds.local_minus_utc()))
}

/// All transitions of a zone from 2024 to 2040; no zone has two on one day.
fn transitions(zone: Tz) -> Vec<Transition> {
    let mut found = Vec::new();
    let mut day = Utc.with_ymd_and_hms(2024, 1, 1, 0, 0, 0).unwrap();
    let end = Utc.with_ymd_and_hms(2041, 1, 1, 0, 0, 0).unwrap();
    let mut before = offset(zone, day);
    while day < end {
        let next = day + TimeDelta::days(1);
        let after = offset(zone, next);
        if after != before {
            // The last moment before it and the first one after it.
            let (mut last, mut first) = (day, next);
            while first - last > TimeDelta::seconds(1) {
                let middle = last + (first - last) / 2;
                let middle = DateTime::from_timestamp(middle.timestamp(), 0).unwrap();
                if offset(zone, middle) == before {
                    last = middle;
                } else {
                    first = middle;
                }
            }
            found.push(Transition {
                at: first,
                before,
                after,
            });
        }
        (day, before) = (next, after);
    }
    found
}

/// Wall-clock times around a transition: its edges, what is between them, and what is not.
fn times(transition: &Transition) -> Vec<NaiveTime> {
    let (before, after) = transition.walls();
    let (low, high) = (before.min(after), before.max(after));
    let second = TimeDelta::seconds(1);
    [
        low - second,
        low,
        low + (high - low) / 2,
        high - second,
        high,
    ]
    .map(|wall| wall.time())
    .to_vec()
}

#[test]
fn a_daily_series_keeps_its_wall_clock_or_says_why() {
    let rule = Rule::parse("daily").unwrap();
    let mut count = 0;
    for zone in TZ_VARIANTS {
        let transitions = transitions(zone);
        count += transitions.len();
        for transition in &transitions {
            for time in times(transition) {
                let start = Due {
                    date: transition.at.date_naive() - TimeDelta::days(3),
                    time: Some(time),
                    time_zone: Some(zone),
                };
                let series = Series {
                    rule: &rule,
                    start: &start,
                };
                let mut expected = start.date;
                for occurrence in preview(series, &start, 1, 6) {
                    expected = expected.succ_opt().unwrap();
                    assert_eq!(occurrence.due.date, expected, "{zone} {transition:?}");
                    assert_eq!(occurrence.due.time, Some(time), "{zone} {transition:?}");
                    let wall = expected.and_time(time);
                    let at = occurrence.at.unwrap().to_datetime();
                    let why = occurrence.why.join("; ");
                    let touched = transitions.iter().find_map(|each| each.explains(wall));
                    if let Some((first, reason)) = touched {
                        assert_eq!(at.naive_utc(), first, "{zone} {wall}");
                        assert!(why.starts_with(reason), "{zone} {wall}: {why}");
                    } else {
                        assert_eq!(at.with_timezone(&zone).naive_local(), wall, "{zone}");
                        assert_eq!(why, "", "{zone} {wall}");
                    }
                }
            }
        }
    }
    assert!(count > 4_000, "only {count} transitions");
}

#[test]
fn a_rule_of_every_few_minutes_goes_forward_in_time() {
    let rule = Rule::parse("cron:*/20 * * * *").unwrap();
    for zone in TZ_VARIANTS {
        for transition in transitions(zone) {
            let (before, _) = transition.walls();
            let begin = before - TimeDelta::hours(2);
            let start = Due {
                date: begin.date(),
                time: Some(begin.time()),
                time_zone: Some(zone),
            };
            let series = Series {
                rule: &rule,
                start: &start,
            };
            let mut last = start.clone();
            for occurrence in preview(series, &start, 1, 18) {
                assert!(occurrence.at > last.at(), "{zone} {occurrence:?}");
                // From any of them the way goes on alike.
                assert_eq!(next(series, &last, 1, None).as_ref(), Some(&occurrence));
                last = occurrence.due;
            }
            let past = last.at().unwrap().to_datetime();
            assert!(past > transition.at, "{zone} {transition:?}");
        }
    }
}
