//! Whatever is in a file is read or refused, soon, and what was read can be written.

use docket_domain::Instant;
use docket_fuzz::{run, texts};
use proptest::prelude::*;

use crate::{Format, Import, MAX_PROBLEMS, Options, read};

const WORDS: &[&str] = &[
    "x ",
    "(A) ",
    "2026-11-23 ",
    "due:",
    "rec:+1m",
    "t:",
    "pri:",
    "@home",
    "+project",
    "\n",
    "\r\n",
    ",",
    "\"",
    "\"\"",
    ";",
    "TYPE",
    "CONTENT",
    "PRIORITY",
    "INDENT",
    "DATE",
    "TIMEZONE",
    "task",
    "section",
    "BEGIN:VTODO\r\n",
    "END:VTODO\r\n",
    "BEGIN:VCALENDAR\r\n",
    "END:VCALENDAR\r\n",
    "BEGIN:VALARM\r\n",
    "TRIGGER:-PT15M\r\n",
    "SUMMARY:",
    "DUE;TZID=Europe/Berlin:",
    "DUE;VALUE=DATE:20261123\r\n",
    "RRULE:FREQ=DAILY\r\n",
    "UID:1\r\n",
    "STATUS:COMPLETED\r\n",
    "\r\n ",
    "\\n",
    "\\,",
    ":",
    "{\"title\":",
    "\"tags\":[",
    "\"due\":{",
    "null",
    "true",
    "}",
    "]",
    "tomorrow",
    "every day",
    "20261123T090000Z",
];
const FILES: &[&str] = &[
    "(A) 2026-11-23 Call @phone +work due:2026-12-01 rec:+1m\nx 2026-11-24 2026-11-23 Done pri:B\n",
    "TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE\n\
     task,\"Buy, milk @shop\",\"a \"\"note\"\"\",1,1,,,every monday at 9am,en,Europe/Berlin\n,,,,,,,,,\n",
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:x\r\nBEGIN:VTODO\r\nUID:1\r\nSUMMARY:Tax\\, and\r\n  more\r\n\
     DUE;TZID=Europe/Berlin:20261201T100000\r\nRRULE:FREQ=MONTHLY;COUNT=3\r\nPRIORITY:1\r\nCATEGORIES:a,b\r\n\
     BEGIN:VALARM\r\nACTION:DISPLAY\r\nTRIGGER:-PT15M\r\nEND:VALARM\r\nEND:VTODO\r\nEND:VCALENDAR\r\n",
    "{\"title\":\"a\",\"tags\":[\"b\"],\"due\":{\"date\":\"2026-12-01\",\"time\":\"10:00\",\"time_zone\":\"Europe/Berlin\"},\
     \"reminders\":[{\"before\":\"PT30M\"}],\"recurrence\":{\"rule\":\"daily\"}}\n{\"title\":\"c\",\"status\":\"done\"}\n",
];

fn options() -> Options {
    Options {
        now: Instant::parse("2026-11-23T08:00:00Z").unwrap(),
        time_zone: Some(chrono_tz::Europe::Berlin),
        read_date: |_, _, _| None,
        check_rule: |rule| match rule.len() {
            1..100 => Ok(rule.to_owned()),
            _ => Err("no rule".to_owned()),
        },
    }
}

fn is_sound(import: &Import, lines: usize) {
    let problems = import.problems();
    assert!(problems.len() <= MAX_PROBLEMS + 1);
    for (line, _) in &import.tasks {
        assert!(
            (1..=lines).contains(line),
            "a task at line {line} of {lines}"
        );
    }
}

fn try_format(format: Format) {
    run(format.name(), texts(WORDS, FILES), |text| {
        if let Ok(import) = read(format, text.as_bytes(), &options()) {
            is_sound(
                &import,
                text.split('\n').count() + text.matches('\r').count(),
            );
        }
    });
}

#[test]
fn todo_txt() {
    try_format(Format::TodoTxt);
}

#[test]
fn todoist_csv() {
    try_format(Format::TodoistCsv);
}

#[test]
fn icalendar() {
    try_format(Format::Ics);
}

#[test]
fn json_lines() {
    try_format(Format::JsonLines);
}

#[test]
fn bytes_that_are_no_text() {
    let inputs = (0_usize..4, prop::collection::vec(any::<u8>(), 0..400));
    run("bytes", inputs, |(format, bytes)| {
        if let Ok(import) = read(Format::ALL[format], &bytes, &options()) {
            is_sound(&import, bytes.len() + 1);
        }
    });
}
