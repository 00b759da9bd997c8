//! iCalendar (RFC 5545): each VTODO is a task.
//!
//! The content lines are taken apart, checked and put together by `ical_vcard`, which does just that. What stands around
//! it is here, since a problem has to name its line: crates that read whole calendars (`icalendar`, `calcard`) give no
//! line numbers and fail or fall silent at the first odd line; `ical` loses blanks where lines are folded.
//!
//! An export carries everything that JSON Lines does. What has no property of its own stands in `X-DOCKET-POSITION`,
//! `X-DOCKET-RECURRENCE` and the parameter `X-DOCKET-MILLIS`. RFC 5545 has no place for control characters: line breaks
//! of a description are LF after the import, other control characters are gone. Zones are IANA names without a
//! VTIMEZONE, as RFC 7809 has it.

mod read;
mod write;

pub(crate) use read::read;
pub(crate) use write::{TAIL, write, write_head};

/// The manual order.
const POSITION: &str = "X-DOCKET-POSITION";
/// The rule as Docket writes it; its parameters say what RRULE does not.
const RECURRENCE: &str = "X-DOCKET-RECURRENCE";
/// A parameter of instants: the milliseconds, since RFC 5545 ends at the second.
const MILLIS: &str = "X-DOCKET-MILLIS";
/// How the UID of an exported task ends; before it stands what is unique in the task's id.
const UID_SUFFIX: &str = "@docket";

/// The RRULE that means the same as a rule, if one does: cron expressions have none.
fn rrule(rule: &str) -> Option<String> {
    match rule {
        "daily" | "weekly" | "monthly" | "yearly" => {
            Some(format!("FREQ={}", rule.to_ascii_uppercase()))
        }
        _ => rule.starts_with("FREQ=").then(|| rule.to_owned()),
    }
}
