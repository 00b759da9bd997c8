//! Whatever comes as a cursor, an id, a date or an event is read or refused, soon; what is read is written as it was.

use docket_fuzz::{run, texts};

use crate::audit::{self, Order};
use crate::due::{format_time, parse_date, parse_time, parse_zone};
use crate::event::CloudEvent as _;
use crate::find;
use crate::inbox::{self, NotificationId};
use crate::preferences::Preferences;
use crate::reminder_due::ReminderDue;
use crate::task_inbox::{check_time, is_id};
use crate::{AccountId, Event, Instant, TaskId};

const WORDS: &[&str] = &[
    "0-",
    "1-",
    "-",
    "0",
    "zzzzzzzzzzzzz",
    "WyI",
    "fQ",
    "eyJ",
    "null",
    "_",
    "2026-11-23",
    "T",
    "Z",
    "08:00:00",
    ".000",
    "+01:00",
    "-00:00",
    "24:00",
    "09:60",
    "Europe/",
    "Berlin",
    "UTC",
    "GMT+1",
    "PT30M",
    "P1D",
    "10000-01-01",
];
const GOOD: &[&str] = &[
    "0-90tj1f2kwhvp",
    "2026-11-23T08:00:00.000Z",
    "2026-11-23T08:00:00+05:00",
    "2024-02-29",
    "23:59:59",
    "Asia/Karachi",
    "WyI4ajR2ejY3a3Z3bWQyIiwwLFtbIkNyZWF0ZWQiXSwwXV0",
    "c-8j4vz67kvwmd2",
];
const EVENT_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"id\"",
    "\"type\"",
    "\"task-created\"",
    "\"subject\"",
    "\"data\"",
    "\"seq\"",
    "null",
    "true",
    "1e400",
    "-1",
    "\"\\ud800\"",
    "\"time\"",
    "\"specversion\"",
    "\"account\"",
    "\"changes\"",
];
const EVENTS: &[&str] = &[
    include_str!("../../../functions/tasks/tests/golden/task-events/task-created.json"),
    include_str!("../../../functions/tasks/tests/golden/task-events/task-deleted.json"),
    include_str!("../tests/golden/reminders/reminder-due.json"),
];

#[test]
fn cursors() {
    let ann = AccountId::parse("ann").unwrap();
    run("cursors", texts(WORDS, GOOD), |text| {
        // Nobody finds one by chance: each has a checksum.
        assert_eq!(find::Query::default().resume(&ann, &text), None, "{text}");
        let query = audit::Query {
            filter: audit::Filter::default(),
            order: Order::NewestFirst,
            limit: 10,
            cursor: None,
        };
        assert_eq!(query.resume(&ann, &text), None, "{text}");
        assert_eq!(inbox::resume(&ann, false, &text), None, "{text}");
    });
}

#[test]
fn ids_and_times() {
    let now = Instant::parse("2026-11-23T08:00:00Z").unwrap();
    run("ids, dates and times", texts(WORDS, GOOD), |text| {
        if let Some(id) = TaskId::parse(&text) {
            assert_eq!(id.to_string(), text);
        }
        if let Some(id) = NotificationId::parse(&text) {
            assert_eq!(id.to_string(), text);
        }
        if let Some(account) = AccountId::parse(&text) {
            assert_eq!(account.as_str(), text);
        }
        if let Some(at) = Instant::parse(&text) {
            assert_eq!(Instant::parse(&at.to_string()), Some(at), "{text}");
            // The ends of time are no panic.
            let _ = (at.plus_millis(i64::MAX), at.plus_millis(i64::MIN));
        }
        if let Some(time) = parse_time(&text) {
            assert_eq!(parse_time(&format_time(time)), Some(time), "{text}");
        }
        if let Some(date) = parse_date(&text) {
            assert_eq!(parse_date(&date.to_string()), Some(date), "{text}");
        }
        let _ = (parse_zone(&text), check_time(&text, now), is_id(&text));
    });
}

#[test]
fn events() {
    run("CloudEvents", texts(EVENT_WORDS, EVENTS), |text| {
        let _ = (
            Event::read(text.as_bytes()),
            ReminderDue::read(text.as_bytes()),
        );
        let _ = serde_json::from_str::<Preferences>(&text);
    });
}
