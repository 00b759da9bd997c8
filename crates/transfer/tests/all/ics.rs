//! iCalendar read and written.

use docket_transfer::Format::Ics;
use serde_json::{Value, json};

use crate::{
    check_none, check_one, check_problems, check_refused, export, import, stored, tokens, views,
};

/// A calendar around lines that begin at line 3.
fn calendar(lines: &str) -> String {
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}\r\nEND:VCALENDAR\r\n",
        lines.replace('\n', "\r\n")
    )
}

/// A calendar with a task that has a UID (line 4), a title (line 5) and these lines, from line 6 on.
fn todo(lines: &str) -> String {
    calendar(&format!(
        "BEGIN:VTODO\nUID:u1\nSUMMARY:Call\n{lines}\nEND:VTODO"
    ))
}

fn check(lines: &str, fields: Value, problems: &[(usize, &str)]) {
    check_one(Ics, &todo(lines), fields, problems);
}

#[test]
fn properties() {
    check(
        "DESCRIPTION:One\\nTwo\\, three\\; four\\\\n \\x\nCATEGORIES:a,b\nCATEGORIES:c\\;d\nCREATED:20261101T100000Z\nlast-modified:20261102T100000Z",
        json!({
            "title": "Call", "description": "One\nTwo, three; four\\n \\x", "tags": ["a", "b", "c;d"], "status": "open",
            "priority": "medium", "created_at": "2026-11-01T10:00:00.000Z", "updated_at": "2026-11-02T10:00:00.000Z",
        }),
        &[],
    );
    for (value, word) in [
        ("0", "medium"),
        ("1", "high"),
        ("4", "high"),
        ("5", "medium"),
        ("6", "low"),
        ("9", "low"),
    ] {
        check(
            &format!("PRIORITY:{value}"),
            json!({ "priority": word }),
            &[],
        );
    }
    check(
        "PRIORITY:first",
        json!({ "priority": "medium" }),
        &[(6, "not a priority from 0 to 9")],
    );
    check(
        "CATEGORIES:Getting things done",
        json!({ "tags": ["Getting-things-done"] }),
        &[(6, "is now the tag")],
    );
    check_one(
        Ics,
        &calendar("BEGIN:VTODO\nUID:u1\nSUMMARY:fold\n ed \n  twice\n\tand more\nEND:VTODO"),
        json!({ "title": "folded  twiceand more" }),
        &[],
    );
}

#[test]
fn what_is_done() {
    for (lines, at) in [
        (
            "STATUS:COMPLETED\nCOMPLETED:20261118T101500Z",
            "2026-11-18T10:15:00.000Z",
        ),
        (
            "COMPLETED;TZID=Europe/Berlin:20261118T111500",
            "2026-11-18T10:15:00.000Z",
        ),
        ("STATUS:COMPLETED", "2026-11-23T08:00:00.000Z"),
        ("PERCENT-COMPLETE:100", "2026-11-23T08:00:00.000Z"),
    ] {
        check(lines, json!({ "status": "done", "completed_at": at }), &[]);
    }
    check(
        "STATUS:NEEDS-ACTION\nCOMPLETED:20261118T101500Z",
        json!({ "status": "open", "completed_at": null }),
        &[],
    );
    check(
        "STATUS:IN-PROCESS\nPERCENT-COMPLETE:40",
        json!({ "status": "open" }),
        &[(7, "\"40\" percent")],
    );
    check_none(Ics, &todo("STATUS:CANCELLED"), &[(6, "it was cancelled")]);
}

#[test]
fn due_dates() {
    for (lines, due, problems) in [
        (
            "DUE;VALUE=DATE:20261205",
            json!({ "date": "2026-12-05" }),
            vec![],
        ),
        ("DUE:20261205", json!({ "date": "2026-12-05" }), vec![]),
        (
            "DUE:20261205T093000",
            json!({ "date": "2026-12-05", "time": "09:30" }),
            vec![],
        ),
        (
            "DUE:20261205T093001Z",
            json!({ "date": "2026-12-05", "time": "09:30:01", "time_zone": "UTC" }),
            vec![],
        ),
        (
            "DUE;TZID=\"America/New_York\":20261205T093000",
            json!({ "date": "2026-12-05", "time": "09:30", "time_zone": "America/New_York" }),
            vec![],
        ),
        (
            "DUE;TZID=/example.org/20260101/Europe/Berlin:20261205T093000",
            json!({ "date": "2026-12-05", "time": "09:30", "time_zone": "Europe/Berlin" }),
            vec![],
        ),
        (
            "DUE;TZID=Mars/Olympus:20261205T093000",
            json!({ "date": "2026-12-05", "time": "09:30" }),
            vec![(
                6,
                "\"Mars/Olympus\" is not an IANA time zone; the time is taken as local",
            )],
        ),
        (
            "DUE:20261305",
            Value::Null,
            vec![(6, "DUE: \"20261305\" is not a date; taken without it")],
        ),
        ("DUE:20261205T250000", Value::Null, vec![(6, "not a date")]),
        ("DUE:soon", Value::Null, vec![(6, "not a date")]),
        (
            "DTSTART;VALUE=DATE:20261205\nDURATION:P2D",
            json!({ "date": "2026-12-07" }),
            vec![],
        ),
        (
            "DTSTART:20261205T230000\nDURATION:PT90M",
            json!({ "date": "2026-12-06", "time": "00:30" }),
            vec![],
        ),
        (
            "DTSTART:20261205\nRRULE:FREQ=DAILY",
            json!({ "date": "2026-12-05" }),
            vec![],
        ),
        (
            "DTSTART:20261205",
            Value::Null,
            vec![(6, "taken without its start \"20261205\"")],
        ),
        (
            "DUE:20261206\nDTSTART:20261205",
            json!({ "date": "2026-12-06" }),
            vec![(7, "without its start")],
        ),
        (
            "DTSTART:20261206T100000\nDUE:20261206T100000",
            json!({ "date": "2026-12-06", "time": "10:00" }),
            vec![],
        ),
    ] {
        check(lines, json!({ "due": due }), &problems);
    }
}

#[test]
fn reminders() {
    for (lines, when, problems) in [
        (
            "DUE:20261205T093000\n{TRIGGER:-PT30M}",
            json!({ "before": "PT30M" }),
            vec![],
        ),
        (
            "DUE:20261205\n{TRIGGER;RELATED=END:-P1D}",
            json!({ "before": "P1D" }),
            vec![],
        ),
        (
            "DUE:20261205\n{TRIGGER:PT0S}",
            json!({ "before": "PT0S" }),
            vec![],
        ),
        // Half an hour before the start is three hours and a half before the due time.
        (
            "DTSTART:20261205T090000\nDUE:20261205T120000\n{TRIGGER:-PT30M}",
            json!({ "before": "PT3H30M" }),
            vec![(6, "start")],
        ),
        (
            "DTSTART:20261205T090000\nDUE:20261205T120000\n{TRIGGER:PT30M}",
            json!({ "before": "PT2H30M" }),
            vec![(6, "start")],
        ),
        (
            "{TRIGGER;VALUE=DATE-TIME:20261205T090000Z}",
            json!({ "at": "2026-12-05T09:00:00.000Z" }),
            vec![],
        ),
        (
            "DUE:20261205\n{TRIGGER:PT30M}",
            Value::Null,
            vec![(8, "a reminder after the due date")],
        ),
        (
            "DUE:20261205\n{TRIGGER:-P400D}",
            Value::Null,
            vec![(8, "more than 366 days")],
        ),
        (
            "DUE:20261205\n{TRIGGER:early}",
            Value::Null,
            vec![(8, "cannot be read")],
        ),
        (
            "{TRIGGER:-PT30M}",
            Value::Null,
            vec![(7, "without a due date")],
        ),
        (
            "{ACTION:DISPLAY}",
            Value::Null,
            vec![(6, "without a TRIGGER")],
        ),
        (
            "{TRIGGER;VALUE=DATE-TIME:20261305T090000Z}",
            Value::Null,
            vec![(7, "cannot be read")],
        ),
    ] {
        let lines = lines
            .replace('{', "BEGIN:VALARM\n")
            .replace('}', "\nEND:VALARM");
        let import = import(Ics, &todo(&lines));
        check_problems(&lines, &import.problems(), &problems);
        let mut found = views(import)[0]["reminders"].take();
        let reminders = found.as_array_mut().unwrap();
        for reminder in reminders.iter_mut() {
            let id = reminder.as_object_mut().unwrap().remove("id").unwrap();
            assert_eq!(id.as_str().unwrap().len(), 8);
        }
        let expected: Vec<Value> = Some(when)
            .into_iter()
            .filter(|when| !when.is_null())
            .collect();
        assert_eq!(*reminders, expected, "{lines}");
    }
}

#[test]
fn recurrences() {
    let found = |lines: &str, problems: &[(usize, &str)]| {
        let import = import(Ics, &todo(lines));
        check_problems(lines, &import.problems(), problems);
        views(import)[0]["recurrence"].take()
    };
    let monthly = found("RRULE:FREQ=MONTHLY;BYDAY=-1FR", &[]);
    assert_eq!(
        (&monthly["rule"], &monthly["from"]),
        (&json!("FREQ=MONTHLY;BYDAY=-1FR"), &json!("due"))
    );
    let broken = found(
        "RRULE:FREQ=SOMETIMES",
        &[(6, "RRULE: FREQ=SOMETIMES is not valid")],
    );
    assert_eq!(broken, Value::Null);
    found(
        "RRULE:FREQ=DAILY\nEXDATE:20261205",
        &[(7, "taken without its EXDATE")],
    );

    let ours = "X-DOCKET-RECURRENCE;FROM=completion;SERIES=abc;INDEX=4:";
    let series = json!({ "rule": "daily", "from": "completion", "series_id": "abc", "index": 4 });
    assert_eq!(
        found(&format!("RRULE:FREQ=DAILY\n{ours}daily"), &[]),
        series
    );
    let cron = found(&format!("{ours}cron:0 9 * * 1"), &[]);
    assert_eq!(cron["rule"], "cron:0 9 * * 1");
    // Somebody else has changed the rule, or taken it away.
    let changed = found(&format!("RRULE:FREQ=WEEKLY\n{ours}daily"), &[]);
    assert_eq!(
        (&changed["rule"], &changed["index"]),
        (&json!("FREQ=WEEKLY"), &json!(1))
    );
    assert_eq!(found(&format!("{ours}daily"), &[]), Value::Null);
}

#[test]
fn odd_components_and_lines_are_told() {
    check(
        "no colon here",
        json!({ "title": "Call" }),
        &[(6, "\"no colon here\" is not a line of an iCalendar")],
    );
    check(
        "DUE;TZID=\"Europe/Berlin:20261205T093000",
        json!({ "due": null }),
        &[(6, "not a line")],
    );
    check_none(
        Ics,
        &calendar("BEGIN:VTODO\nUID:u1\nSUMMARY: \nEND:VTODO"),
        &[(3, "no title")],
    );
    check_none(
        Ics,
        &calendar("BEGIN:VEVENT\nUID:u1\nSUMMARY:Party\nEND:VEVENT"),
        &[(3, "a VEVENT is not a task")],
    );
    check_none(
        Ics,
        &todo("RECURRENCE-ID:20261205"),
        &[(6, "one occurrence of a series")],
    );
    check_one(
        Ics,
        &calendar("BEGIN:VTODO\nSUMMARY:Call\nEND:VTODO"),
        json!({ "title": "Call" }),
        &[(3, "no UID")],
    );
    let twice = calendar(
        "BEGIN:VTODO\nUID:u1\nSUMMARY:One\nEND:VTODO\nBEGIN:VTODO\nUID:u1\nSUMMARY:Two\nEND:VTODO",
    );
    let import = import(Ics, &twice);
    check_problems(
        &twice,
        &import.problems(),
        &[(
            8,
            "the task of line 3 has the same UID; taken as one of its own",
        )],
    );
    assert_eq!(views(import).len(), 2);
}

#[test]
fn what_is_no_icalendar_is_refused() {
    for (file, line, words) in [
        ("", 1, "empty"),
        ("\n\n", 1, "empty"),
        ("milk\n", 1, "BEGIN:VCALENDAR is missing"),
        ("{\"title\":\"a\"}", 1, "BEGIN:VCALENDAR is missing"),
        ("BEGIN:VCARD\nEND:VCARD", 1, "BEGIN:VCALENDAR is missing"),
        (
            "BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:Cut",
            3,
            "ends before END:VTODO",
        ),
        (
            "BEGIN:VCALENDAR\nBEGIN:VTODO\nEND:VCALENDAR",
            3,
            "does not end what is open",
        ),
        (
            "BEGIN:VCALENDAR\nEND:VCALENDAR\nSUMMARY:After",
            3,
            "BEGIN:VCALENDAR is missing",
        ),
        (&"BEGIN:VCALENDAR\n".repeat(100), 17, "too many components"),
    ] {
        check_refused(Ics, file, line, words);
    }
    assert!(tokens(Ics, "BEGIN:VCALENDAR\nEND:VCALENDAR").is_empty());
    assert_eq!(tokens(Ics, &todo("").repeat(2)).len(), 2);
}

#[test]
fn a_task_is_known_again_by_its_uid() {
    assert_eq!(tokens(Ics, &todo("")), tokens(Ics, &todo("PRIORITY:1")));
    let tasks = stored(import(Ics, &todo("")));
    assert_eq!(tokens(Ics, &export(Ics, &tasks)), [tasks[0].id.token]);
}

#[test]
fn an_export_is_folded_and_escaped_as_rfc_5545_has_it() {
    let long = "Ärger, viel; ".repeat(30);
    let tasks = stored(import(
        Ics,
        &todo(&format!(
            "DESCRIPTION:{}",
            long.replace(',', "\\,").replace(';', "\\;")
        )),
    ));
    let file = export(Ics, &tasks);
    assert!(
        file.starts_with("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:"),
        "{file}"
    );
    assert!(file.ends_with("END:VTODO\r\nEND:VCALENDAR\r\n"), "{file}");
    assert!(
        file.contains("\r\nDESCRIPTION:Ärger\\, viel\\; Ärger"),
        "{file}"
    );
    assert!(
        file.split("\r\n")
            .all(|line| line.len() <= 75 && !line.contains('\n')),
        "{file}"
    );
}
