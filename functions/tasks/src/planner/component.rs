//! The planner as an imported component: the same functions as in `library`. Records of text go in and come out; one that
//! cannot be read is an error with words for the log.

use chrono_tz::Tz;
use docket_domain::Instant;
use docket_domain::due::{self, Due};
use docket_domain::recurrence::{Following, From};
use docket_domain::task::{Before, Priority, When};
use docket_planner::quick_add::{Parsed, ParsedRecurrence, ParsedTask, Span};
use docket_planner::recurrence::Occurrence;

use bindings::docket::planner::{quick_add, recurrence};

mod bindings {
    spin_sdk::wit_bindgen::generate!({
        path: "../../wit",
        world: "planned",
        runtime_path: "::spin_sdk::wit_bindgen::rt",
    });
}

pub fn check(rule: &str) -> Result<String, String> {
    recurrence::check(rule)
}

pub fn preview(rule: &str, start: &Due, count: u32) -> Result<Vec<Occurrence>, String> {
    let start = write_due(start);
    let series = recurrence::Series {
        rule: rule.to_owned(),
        start: start.clone(),
    };
    recurrence::preview(&series, &start, 1, count)?
        .iter()
        .map(|date| read_occurrence(date).ok_or_else(|| format!("not an occurrence: {date:?}")))
        .collect()
}

pub fn next(asked: &Following<'_>) -> Result<Option<Due>, String> {
    let series = recurrence::Series {
        rule: asked.rule.as_str().to_owned(),
        start: write_due(asked.start),
    };
    let after = write_due(asked.after);
    let done = asked
        .done
        .map(|wall| wall.format("%Y-%m-%dT%H:%M:%S").to_string());
    recurrence::next(&series, &after, asked.index, done.as_deref())?
        .map(|date| read_due(&date.due).ok_or_else(|| format!("not an occurrence: {date:?}")))
        .transpose()
}

pub fn parse(text: &str, now: Instant, time_zone: Tz, locale: &str) -> Result<Parsed, String> {
    let parsed = quick_add::parse(text, &now.to_string(), time_zone.name(), locale)?;
    read_parsed(&parsed).ok_or_else(|| format!("not a parsed text: {parsed:?}"))
}

fn write_due(due: &Due) -> recurrence::Due {
    recurrence::Due {
        date: due.date.format("%Y-%m-%d").to_string(),
        time: due.time.map(due::format_time),
        time_zone: due.time_zone.map(|zone| zone.name().to_owned()),
    }
}

fn read_due(record: &recurrence::Due) -> Option<Due> {
    Some(Due {
        date: due::parse_date(&record.date)?,
        time: optional(record.time.as_deref(), due::parse_time)?,
        time_zone: optional(record.time_zone.as_deref(), due::parse_zone)?,
    })
}

/// Reads a text that may be absent; the outer `None` says that it cannot be read.
fn optional<T>(text: Option<&str>, read: fn(&str) -> Option<T>) -> Option<Option<T>> {
    text.map_or(Some(None), |text| read(text).map(Some))
}

fn read_occurrence(record: &recurrence::Occurrence) -> Option<Occurrence> {
    Some(Occurrence {
        due: read_due(&record.due)?,
        at: optional(record.at.as_deref(), Instant::parse)?,
        why: record.why.clone(),
    })
}

fn read_parsed(record: &quick_add::Parsed) -> Option<Parsed> {
    let spans = record.spans.iter().map(|span| Span {
        start: span.start as usize,
        end: span.end as usize,
        means: span.means.clone(),
    });
    let task = &record.task;
    let due = match &task.due {
        Some(due) => Some(read_due(due)?),
        None => None,
    };
    Some(Parsed {
        task: ParsedTask {
            title: task.title.clone(),
            priority: task.priority.map(|priority| match priority {
                quick_add::Priority::Low => Priority::Low,
                quick_add::Priority::Medium => Priority::Medium,
                quick_add::Priority::High => Priority::High,
            }),
            tags: task.tags.clone(),
            due,
            recurrence: task.recurrence.as_ref().map(|repeat| ParsedRecurrence {
                rule: repeat.rule.clone(),
                from: match repeat.counted_from {
                    quick_add::Basis::Due => From::Due,
                    quick_add::Basis::Completion => From::Completion,
                },
            }),
            reminders: task
                .reminders
                .iter()
                .map(read_reminder)
                .collect::<Option<_>>()?,
        },
        spans: spans.collect(),
    })
}

fn read_reminder(record: &quick_add::Reminder) -> Option<When> {
    Some(match record {
        quick_add::Reminder::At(at) => When::At(Instant::parse(at)?),
        quick_add::Reminder::Before(before) => When::Before(Before::parse(before)?),
    })
}
