//! What holds for all formats, and what the tests of each share.

use docket_domain::{AccountId, Actor, ActorKind, Command, Context, Entropy, Instant, Shelf, Task};
use docket_planner::recurrence::Rule;
use serde_json::Value;

use crate::{Format, Import, MAX_PROBLEMS, MAX_TASKS, Options, Unreadable, read};

fn check(rule: &str) -> Result<String, String> {
    Rule::parse(rule).map(|rule| rule.to_string())
}

/// What the tests tell a reader about the world.
pub(crate) fn options() -> Options {
    Options {
        time_zone: None,
        check_rule: check,
    }
}

/// The tasks of a fresh account that took an import.
pub(crate) fn stored(import: Import) -> Vec<Task> {
    let context = Context {
        account: AccountId::parse("ann").unwrap(),
        actor: Actor {
            kind: ActorKind::Person,
            id: "ann".to_owned(),
        },
        now: Instant::parse("2026-11-23T08:00:00Z").unwrap(),
        entropy: Entropy(1),
        if_version: None,
        check_rule: check,
    };
    let tasks = import.tasks.into_iter().map(|(_, task)| task).collect();
    let import = Command::Import { tasks, scanned: 0 };
    Shelf::default().apply(&import, &context).unwrap().tasks
}

/// The same, as clients see them.
pub(crate) fn imported_from(import: Import) -> Vec<Value> {
    let view = |task: &Task| serde_json::to_value(task.view()).unwrap();
    stored(import).iter().map(view).collect()
}

#[test]
fn formats_have_one_name_each() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.name()), Some(format));
    }
    assert_eq!(Format::parse("xls"), None);
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    for (file, line) in [
        (b"\xff".as_slice(), 1),
        (b"ok\nok\n\xc3(\nok", 3),
        (b"cut off\n\xe2\x82", 2),
    ] {
        let refusal = read(Format::TodoTxt, file, &options()).unwrap_err();
        assert_eq!(refusal, Unreadable::NotUtf8 { line });
    }
}

#[test]
fn the_number_of_tasks_and_problems_is_bounded() {
    let most = "milk\n".repeat(MAX_TASKS);
    let import = read(Format::TodoTxt, most.as_bytes(), &options()).unwrap();
    assert_eq!(import.tasks.len(), MAX_TASKS);
    let more = most + "milk";
    let refusal = read(Format::TodoTxt, more.as_bytes(), &options()).unwrap_err();
    assert_eq!(refusal, Unreadable::TooManyTasks);

    let odd = "x\n".repeat(MAX_PROBLEMS + 7);
    let import = read(Format::TodoTxt, odd.as_bytes(), &options()).unwrap();
    let problems = import.problems();
    assert_eq!(problems.len(), MAX_PROBLEMS + 1);
    assert_eq!(problems[MAX_PROBLEMS].line, MAX_PROBLEMS + 1);
    assert!(
        problems[MAX_PROBLEMS].detail.starts_with("7 more"),
        "{problems:?}"
    );
}
