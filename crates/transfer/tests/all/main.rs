//! Files as people have them, read and written; what holds for all formats, and what the tests of each share.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod files;
mod ics;
mod jsonl;
mod round_trip;
mod todoist;
mod todotxt;

use chrono_tz::Tz;
use docket_domain::{AccountId, Actor, ActorKind, Command, Context, Entropy, Instant, Shelf, Task};
use docket_planner::quick_add;
use docket_planner::recurrence::Rule;
use docket_transfer::{
    Dated, Format, Import, MAX_PROBLEMS, MAX_TASKS, Options, Problem, Unreadable, read,
};
use serde_json::Value;

const NOW: &str = "2026-11-23T08:00:00Z";

/// What the tests tell a reader about the world.
fn options() -> Options {
    Options {
        now: Instant::parse(NOW).unwrap(),
        time_zone: None,
        read_date,
        check_rule: check,
    }
}

/// A date in words, by the planner; `None` for words that say anything else.
fn read_date(text: &str, now: Instant, zone: Tz) -> Option<Dated> {
    let task = quick_add::parse(text, now, zone, "en").ok()?.task;
    let recurrence = task.recurrence;
    Some(Dated {
        due: task.due.filter(|_| task.title.is_empty())?,
        recurrence: recurrence.map(|found| (found.rule, found.from)),
    })
}

fn check(rule: &str) -> Result<String, String> {
    Rule::parse(rule).map(|rule| rule.to_string())
}

fn context() -> Context {
    Context {
        account: AccountId::parse("ann").unwrap(),
        actor: Actor::new(ActorKind::Person, "ann"),
        now: Instant::parse(NOW).unwrap(),
        entropy: Entropy(1),
        if_version: None,
        check_rule: check,
        allowance: Default::default(),
    }
}

/// Reads what is a file of the format.
fn import(format: Format, text: &str) -> Import {
    read(format, text.as_bytes(), &options()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The tasks of a fresh account that took an import.
fn stored(import: Import) -> Vec<Task> {
    let tasks = import.tasks.into_iter().map(|(_, task)| task).collect();
    let command = Command::Import { tasks, scanned: 0 };
    let applied = Shelf::default().apply(&command, &context()).unwrap();
    assert_eq!(applied.skipped, 0);
    applied.tasks
}

/// The same, as clients see them.
fn views(import: Import) -> Vec<Value> {
    let view = |task: &Task| serde_json::to_value(task.view()).unwrap();
    stored(import).iter().map(view).collect()
}

/// Checks a file of one task against the fields that matter for it, and against its problems: each a line, and words
/// that its detail has.
fn check_one(format: Format, text: &str, fields: Value, problems: &[(usize, &str)]) {
    let import = import(format, text);
    check_problems(text, &import.problems(), problems);
    let tasks = views(import);
    assert_eq!(tasks.len(), 1, "{text}");
    for (field, value) in fields.as_object().unwrap() {
        assert_eq!(tasks[0][field], *value, "{text}: {field}");
    }
}

/// Checks that a file has no task, and why.
fn check_none(format: Format, text: &str, problems: &[(usize, &str)]) {
    let import = import(format, text);
    check_problems(text, &import.problems(), problems);
    assert!(import.tasks.is_empty(), "{text}");
}

fn check_problems(text: &str, problems: &[Problem], expected: &[(usize, &str)]) {
    assert_eq!(problems.len(), expected.len(), "{text}: {problems:?}");
    for (problem, (line, words)) in problems.iter().zip(expected) {
        assert_eq!(problem.line, *line, "{text}: {problem:?}");
        assert!(problem.detail.contains(words), "{text}: {problem:?}");
    }
}

/// Checks that a file is refused as a whole, and why.
fn check_refused(format: Format, text: &str, line: usize, words: &str) {
    match read(format, text.as_bytes(), &options()) {
        Err(Unreadable::NotOfFormat { line: at, detail }) => {
            assert_eq!(at, line, "{text}: {detail}");
            assert!(detail.contains(words), "{text}: {detail}");
        }
        other => panic!("{text}: {other:?}"),
    }
}

/// The tokens of a file's tasks.
fn tokens(format: Format, text: &str) -> Vec<u64> {
    let tasks = import(format, text).tasks;
    tasks.into_iter().map(|(_, task)| task.token).collect()
}

/// A file with some tasks.
fn export(format: Format, tasks: &[Task]) -> String {
    let mut file = String::new();
    format.write_head(&mut file);
    for task in tasks {
        format.write_task(task, &mut file);
    }
    format.write_tail(&mut file);
    file
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
