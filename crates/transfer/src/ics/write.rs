//! Tasks to VTODO components.

use docket_domain::due::{Due, format_time};
use docket_domain::recurrence::From;
use docket_domain::task::{Priority, Reminder, When};
use docket_domain::{Instant, Task, base32};
use ical_vcard::Contentline;
use std::fmt::Display;

use super::{MILLIS, POSITION, RECURRENCE, UID_SUFFIX, rrule};

/// The longest line, in bytes (RFC 5545, section 3.1).
const LINE: usize = 75;
/// What ends the calendar.
pub(crate) const TAIL: &str = "END:VCALENDAR\r\n";

/// A parameter of a property.
type Param<'a> = (&'a str, String);

/// Writes what begins the calendar.
pub(crate) fn write_head(out: &mut String) {
    for (name, value) in [
        ("BEGIN", "VCALENDAR"),
        ("VERSION", "2.0"),
        ("PRODID", "-//Docket//Docket//EN"),
    ] {
        line(out, name, &[], value);
    }
}

/// Writes a task as a VTODO.
pub(crate) fn write(task: &Task, out: &mut String) {
    line(out, "BEGIN", &[], "VTODO");
    let token = base32::encode(task.id.token, 12);
    line(out, "UID", &[], format!("{token}{UID_SUFFIX}"));
    line(out, "DTSTAMP", &[], instant(task.updated_at));
    stamp(out, "CREATED", task.created_at);
    stamp(out, "LAST-MODIFIED", task.updated_at);
    line(out, "SUMMARY", &[], text(&task.title));
    if !task.description.is_empty() {
        line(out, "DESCRIPTION", &[], text(&task.description));
    }
    let priority = match task.priority {
        Priority::High => 1,
        Priority::Medium => 5,
        Priority::Low => 9,
    };
    line(out, "PRIORITY", &[], priority);
    if !task.tags.is_empty() {
        let tags: Vec<String> = task.tags.iter().map(|tag| text(tag)).collect();
        line(out, "CATEGORIES", &[], tags.join(","));
    }
    if let Some(at) = task.completed_at {
        line(out, "STATUS", &[], "COMPLETED");
        stamp(out, "COMPLETED", at);
    } else {
        line(out, "STATUS", &[], "NEEDS-ACTION");
    }
    if let Some(due) = &task.due {
        let (params, value) = due_value(due);
        line(out, "DUE", &params, value);
    }
    write_recurrence(task, out);
    line(
        out,
        POSITION,
        &[],
        task.position.unwrap_or(task.created_seq as f64),
    );
    for reminder in &task.reminders {
        write_alarm(reminder, &task.title, out);
    }
    line(out, "END", &[], "VTODO");
}

fn write_recurrence(task: &Task, out: &mut String) {
    let Some(recurrence) = &task.recurrence else {
        return;
    };
    if let Some(rrule) = rrule(recurrence.rule.as_str()) {
        line(out, "RRULE", &[], rrule);
    }
    let from = match recurrence.from {
        From::Due => "due",
        From::Completion => "completion",
    };
    let mut params = vec![
        ("FROM", from.to_owned()),
        ("SERIES", recurrence.series_id.clone()),
        ("INDEX", recurrence.index.to_string()),
    ];
    if let Some(start) = &recurrence.start {
        params.push(("START-INDEX", start.index.to_string()));
        params.push(("START", start.due.date.format("%Y-%m-%d").to_string()));
        params.extend(start.due.time.map(|time| ("START-TIME", format_time(time))));
        params.extend(
            start
                .due
                .time_zone
                .map(|zone| ("START-ZONE", zone.name().to_owned())),
        );
    }
    line(out, RECURRENCE, &params, text(recurrence.rule.as_str()));
}

fn write_alarm(reminder: &Reminder, title: &str, out: &mut String) {
    line(out, "BEGIN", &[], "VALARM");
    line(out, "UID", &[], text(&reminder.id));
    line(out, "ACTION", &[], "DISPLAY");
    line(out, "DESCRIPTION", &[], text(title));
    match reminder.when {
        When::Before(before) => {
            let related = [("RELATED", "END".to_owned())];
            line(out, "TRIGGER", &related, format!("-{before}"));
        }
        When::At(at) => {
            let mut params = vec![("VALUE", "DATE-TIME".to_owned())];
            params.extend(millis(at));
            line(out, "TRIGGER", &params, instant(at));
        }
    }
    line(out, "END", &[], "VALARM");
}

/// A due date as RFC 5545 has it: a day, a local time, a time with its zone, or one in UTC.
fn due_value(due: &Due) -> (Vec<Param<'static>>, String) {
    let date = due.date.format("%Y%m%d");
    match (due.time, due.time_zone) {
        (None, _) => (vec![("VALUE", "DATE".to_owned())], date.to_string()),
        (Some(time), zone) => {
            let value = format!("{date}T{}", time.format("%H%M%S"));
            match zone.map(|zone| zone.name()) {
                None => (Vec::new(), value),
                Some("UTC") => (Vec::new(), value + "Z"),
                Some(name) => (vec![("TZID", name.to_owned())], value),
            }
        }
    }
}

fn instant(at: Instant) -> String {
    at.to_datetime().format("%Y%m%dT%H%M%SZ").to_string()
}

fn millis(at: Instant) -> Option<Param<'static>> {
    let millis = at.as_millis().rem_euclid(1_000);
    (millis > 0).then(|| (MILLIS, millis.to_string()))
}

fn stamp(out: &mut String, name: &str, at: Instant) {
    let params: Vec<Param> = millis(at).into_iter().collect();
    line(out, name, &params, instant(at));
}

/// Escapes a TEXT value (RFC 5545, section 3.3.11). Control characters have no place in one.
fn text(words: &str) -> String {
    let mut escaped = String::with_capacity(words.len() + 8);
    let mut chars = words.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\r' => escaped.push_str("\\n"),
            c if c.is_ascii_control() && c != '\t' => {}
            c => escaped.push(c),
        }
    }
    escaped
}

/// Writes a content line, folded where it gets too long.
fn line(out: &mut String, name: &str, params: &[Param], value: impl Display) {
    // Names are constants and values are escaped: nothing is refused.
    let content = Contentline::try_new(name, value.to_string()).and_then(|content| {
        let mut params = params.iter();
        params.try_fold(content, |content, (name, value)| {
            content.try_add_param(name, [value])
        })
    });
    let Ok(content) = content else {
        return;
    };
    let content = content.to_string();
    let (mut rest, mut room) = (content.as_str(), LINE);
    while rest.len() > room {
        let (now, later) = rest.split_at(rest.floor_char_boundary(room));
        out.extend([now, "\r\n "]);
        // The blank that marks the fold is part of the next line.
        (rest, room) = (later, LINE - 1);
    }
    out.extend([rest, "\r\n"]);
}
