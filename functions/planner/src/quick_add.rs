//! The interface `quick-add`.

use docket_domain::due::parse_zone;
use docket_domain::recurrence::From;
use docket_domain::task::{Priority, When};
use docket_planner::quick_add::{self, ParsedRecurrence, ParsedTask, Span};

use crate::bindings::Planner;
use crate::bindings::exports::docket::planner::quick_add as records;
use crate::{read_instant, write_due};

impl records::Guest for Planner {
    fn parse(
        text: String,
        now: String,
        time_zone: String,
        locale: String,
    ) -> Result<records::Parsed, String> {
        let zone = parse_zone(&time_zone).ok_or("a time zone is the name of an IANA zone")?;
        let parsed = quick_add::parse(&text, read_instant(&now)?, zone, &locale)
            .map_err(|error| error.to_string())?;
        Ok(records::Parsed {
            task: write_task(parsed.task),
            spans: parsed.spans.into_iter().map(write_span).collect(),
        })
    }
}

fn write_task(task: ParsedTask) -> records::Task {
    records::Task {
        title: task.title,
        priority: task.priority.map(|priority| match priority {
            Priority::Low => records::Priority::Low,
            Priority::Medium => records::Priority::Medium,
            Priority::High => records::Priority::High,
        }),
        tags: task.tags,
        due: task.due.map(write_due),
        recurrence: task.recurrence.map(write_recurrence),
        reminders: task.reminders.into_iter().map(write_reminder).collect(),
    }
}

fn write_recurrence(recurrence: ParsedRecurrence) -> records::Repeat {
    records::Repeat {
        rule: recurrence.rule,
        counted_from: match recurrence.from {
            From::Due => records::Basis::Due,
            From::Completion => records::Basis::Completion,
        },
    }
}

fn write_reminder(when: When) -> records::Reminder {
    match when {
        When::At(at) => records::Reminder::At(at.to_string()),
        When::Before(before) => records::Reminder::Before(before.to_string()),
    }
}

fn write_span(span: Span) -> records::Span {
    // A text is far shorter than 4 GiB.
    let place = |units: usize| u32::try_from(units).unwrap_or(u32::MAX);
    records::Span {
        start: place(span.start),
        end: place(span.end),
        means: span.means,
    }
}
