//! JSON Lines: one task a line, as the API shows it, and as an export writes it.
//!
//! Carries everything but the version, which is the account's, the id's first part, which says where the account keeps
//! the task, and the parent, which is an id with such a part. An exported task is known again by its id, so importing it into its own account adds nothing. One
//! field is here alone: `series_start`, the occurrence that the rule began with, if it is not this one.

use docket_domain::command::Field;
use docket_domain::due::Due;
use docket_domain::recurrence::{From, Recurrence, Rule, Start};
use docket_domain::task::{Reminder, Status, TaskView};
use docket_domain::{Instant, Known, NewTask, Task, TaskId, TaskInput};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::import::{Import, Unreadable, quoted};

/// The fields that are read, in any way.
const FIELDS: [&str; 17] = [
    "id",
    "title",
    "description",
    "status",
    "priority",
    "tags",
    "due",
    "due_at",
    "reminders",
    "recurrence",
    "position",
    "created_at",
    "updated_at",
    "completed_at",
    "version",
    "series_start",
    PARENT,
];
/// Another task by its id, which is a different one in another account.
const PARENT: &str = "parent_id";

/// What a line says beyond the fields that a person may set.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Rest {
    id: Option<String>,
    status: Option<Status>,
    created_at: Option<Instant>,
    updated_at: Option<Instant>,
    completed_at: Option<Instant>,
    recurrence: Option<Series>,
    series_start: Option<Start>,
}

#[derive(Deserialize)]
struct Series {
    series_id: Option<String>,
    index: Option<u32>,
}

/// Reads a whole file. Blank lines count as lines, and are nothing else.
pub(crate) fn read(text: &str, import: &mut Import) -> Result<(), Unreadable> {
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        match read_line(number, line, import) {
            Ok(task) => import.add(number, task)?,
            Err(error) => {
                // The place within the line: serde counts lines itself, and there is but one.
                let detail = error
                    .to_string()
                    .replace(" at line 1 column ", " at column ");
                import.problem(number, format!("left out: not a task in JSON: {detail}"));
            }
        }
    }
    Ok(())
}

fn read_line(number: usize, line: &str, import: &mut Import) -> Result<NewTask, serde_json::Error> {
    let mut fields: Map<String, Value> = serde_json::from_str(line)?;
    let unknown: Vec<String> = fields
        .keys()
        .filter(|name| !FIELDS.contains(&name.as_str()))
        .map(|name| quoted(name))
        .collect();
    if !unknown.is_empty() {
        let names = unknown.join(", ");
        import.problem(
            number,
            format!("taken without what a task has not: {names}"),
        );
    }
    if fields
        .remove(PARENT)
        .is_some_and(|parent| !parent.is_null())
    {
        import.problem(number, "taken without its parent");
    }
    let fields = Value::Object(fields);
    let input = TaskInput::deserialize(&fields)?;
    let rest = Rest::deserialize(&fields)?;
    let done = match rest.status {
        Some(status) => status == Status::Done,
        None => rest.completed_at.is_some(),
    };
    // Other fields of the same task say what is wrong with these.
    let due = fields.get("due").and_then(|due| Due::deserialize(due).ok());
    let reminders = fields
        .get("reminders")
        .and_then(|all| Vec::<Reminder>::deserialize(all).ok());
    Ok(NewTask {
        token: token(rest.id.as_deref(), line, import),
        known: Known {
            due,
            reminders: reminders.unwrap_or_default(),
            recurrence: known_recurrence(&input, rest.recurrence, rest.series_start, import),
        },
        input,
        created_at: rest.created_at,
        updated_at: rest.updated_at,
        done,
        completed_at: rest.completed_at.filter(|_| done),
    })
}

/// A task of ours keeps what is unique in its id; any other is known by its id, or by its words.
fn token(id: Option<&str>, line: &str, import: &mut Import) -> u64 {
    match id {
        Some(id) => match TaskId::parse(id) {
            Some(id) => id.token,
            None => import.token(&["jsonl id", id]),
        },
        None => import.token(&["jsonl", line]),
    }
}

fn known_recurrence(
    input: &TaskInput,
    series: Option<Series>,
    start: Option<Start>,
    import: &Import,
) -> Option<Recurrence> {
    let Field::Value(sent) = &input.recurrence else {
        return None;
    };
    let (Field::Value(rule), Some(series)) = (&sent.rule, series) else {
        return None;
    };
    Some(Recurrence {
        rule: Rule::checked((import.options.check_rule)(rule).ok()?),
        from: From::default(),
        series_id: series.series_id.filter(|id| is_series_id(id))?,
        index: series.index.filter(|index| *index > 0)?,
        start,
        next: None,
    })
}

/// Whether a text can be the id of a series.
pub(crate) fn is_series_id(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Writes a task as a line.
pub(crate) fn write(task: &Task, out: &mut String) {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        task: TaskView<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        series_start: Option<&'a Start>,
    }
    let line = Line {
        task: task.view(),
        series_start: task.recurrence.as_ref().and_then(|r| r.start.as_ref()),
    };
    // A task has nothing that JSON has not.
    out.push_str(&serde_json::to_string(&line).unwrap_or_default());
    out.push('\n');
}
