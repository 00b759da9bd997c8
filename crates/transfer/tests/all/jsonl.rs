//! JSON Lines read and written.

use docket_domain::TaskId;
use docket_transfer::Format::JsonLines;
use serde_json::json;

use crate::{check_none, check_one, check_problems, import, tokens, views};

#[test]
fn lines() {
    check_one(
        JsonLines,
        r#"{"title":"Call","due":{"date":"2026-12-01","time":"10:00"},"status":"done","completed_at":"2026-11-20T10:00:00.123Z","created_at":"2026-11-01T00:00:00Z","updated_at":"2026-11-21T00:00:00Z","position":2.5,"version":9,"due_at":null}"#,
        json!({
            "title": "Call", "status": "done", "completed_at": "2026-11-20T10:00:00.123Z",
            "created_at": "2026-11-01T00:00:00.000Z", "updated_at": "2026-11-21T00:00:00.000Z", "position": 2.5,
            "due": { "date": "2026-12-01", "time": "10:00" }, "version": 1,
        }),
        &[],
    );
    check_one(
        JsonLines,
        "\n{\"title\":\"Call\",\"status\":\"done\"}\n",
        json!({ "status": "done" }),
        &[],
    );
    check_one(
        JsonLines,
        r#"{"title":"Call","recurrence":{"rule":"monthly","from":"due","series_id":"s1","index":4},"series_start":{"index":1,"due":{"date":"2026-01-31"}}}"#,
        json!({ "recurrence": { "rule": "monthly", "from": "due", "series_id": "s1", "index": 4 } }),
        &[],
    );
}

#[test]
fn odd_lines_are_told() {
    for (line, problem) in [
        ("{", "not a task in JSON: EOF"),
        ("[]", "not a task in JSON: invalid type"),
        ("milk", "not a task in JSON: expected value at column 1"),
        ("{}", "a task has a title"),
        (r#"{"title":7}"#, "not a task in JSON: invalid type"),
        (
            r#"{"title":"a","due":{"date":"2026-13-01"}}"#,
            "a date is YYYY-MM-DD",
        ),
        (
            r#"{"title":"a","due":{"date":"2026-12-01","time":"09:00","time_zone":"Mars/Olympus"}}"#,
            "IANA time zone",
        ),
        (
            r#"{"title":"a","recurrence":{"rule":"FREQ=SOMETIMES"}}"#,
            "FREQ=SOMETIMES",
        ),
        (r#"{"title":"a","status":"cancelled"}"#, "unknown variant"),
        (r#"{"title":"a","created_at":"yesterday"}"#, "RFC 3339"),
    ] {
        check_none(JsonLines, line, &[(1, problem)]);
    }
    check_one(
        JsonLines,
        r#"{"title":"a","colour":"red","parent_id":"0-000000000001"}"#,
        json!({ "title": "a" }),
        &[
            (1, "taken without what a task has not: \"colour\""),
            (1, "taken without its parent"),
        ],
    );
}

#[test]
fn a_task_is_known_again_by_its_id() {
    let file = r#"{"id":"5-000000000007","title":"a"}"#;
    assert_eq!(
        tokens(JsonLines, file),
        [TaskId::parse("5-000000000007").unwrap().token]
    );
    let again = format!("{file}\n{}", file.replace("5-", "6-"));
    let import = import(JsonLines, &again);
    check_problems(
        &again,
        &import.problems(),
        &[(2, "line 1 has this task already")],
    );
    assert_eq!(views(import).len(), 1);
    let foreign = r#"{"id":"T-17","title":"a"}"#;
    assert_eq!(
        tokens(JsonLines, foreign),
        tokens(JsonLines, &foreign.replace("\"a\"", "\"b\""))
    );
    let none = r#"{"title":"a"}"#;
    let both = tokens(JsonLines, &format!("{none}\n{none}"));
    assert_ne!(both[0], both[1]);
}
