//! The files of `tests/data` against golden files: every task and every problem. `UPDATE_GOLDEN=1` rewrites them.

use docket_transfer::Format;
use serde_json::{Value, json};
use std::path::Path;

use crate::{import, views};

fn check(format: Format, name: &str) {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = std::fs::read_to_string(here.join("../../tests/data").join(name)).unwrap();
    let import = import(format, &file);
    let problems: Vec<Value> = import
        .problems()
        .iter()
        .map(|problem| json!({ "line": problem.line, "detail": problem.detail }))
        .collect();
    let lines: Vec<usize> = import.tasks.iter().map(|(line, _)| *line).collect();
    let tasks: Vec<Value> = lines
        .iter()
        .zip(views(import))
        .map(|(line, task)| json!({ "line": line, "task": task }))
        .collect();
    let found = serde_json::to_string_pretty(&json!({ "tasks": tasks, "problems": problems }));
    let found = found.unwrap() + "\n";
    let golden = here.join("tests/golden").join(format!("{name}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &found).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert_eq!(found, expected, "{}", golden.display());
}

#[test]
fn todo_txt() {
    check(Format::TodoTxt, "todo.txt");
}

#[test]
fn todoist_csv() {
    check(Format::TodoistCsv, "todoist.csv");
}

#[test]
fn icalendar() {
    check(Format::Ics, "tasks.ics");
}
