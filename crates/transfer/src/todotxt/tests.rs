//! todo.txt read and written.

use serde_json::{Value, json};

use crate::tests::{imported_from, options};
use crate::{Format, Import};

fn read(text: &str) -> Import {
    crate::read(Format::TodoTxt, text.as_bytes(), &options()).unwrap()
}

fn imported(text: &str) -> Vec<Value> {
    imported_from(read(text))
}

/// Checks one line against the fields that matter for it.
fn check(line: &str, expected: Value) {
    let tasks = imported(line);
    assert_eq!(tasks.len(), 1, "{line}");
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(tasks[0][field], *value, "{line}: {field}");
    }
}

#[test]
fn lines() {
    check(
        "(A) 2026-10-02 Renew passport +travel @city due:2026-12-15",
        json!({
            "title": "Renew passport", "priority": "high", "tags": ["travel", "@city"],
            "due": { "date": "2026-12-15" }, "created_at": "2026-10-02T00:00:00.000Z", "status": "open",
        }),
    );
    check("(B) Call", json!({ "title": "Call", "priority": "medium" }));
    check(
        "(D) Juggle",
        json!({ "title": "Juggle", "priority": "low" }),
    );
    check(
        " (A) leading space",
        json!({ "title": "(A) leading space", "priority": "medium" }),
    );
    check(
        "(a) lower",
        json!({ "title": "(a) lower", "priority": "medium" }),
    );
    check(
        "x 2026-11-20 2026-11-14 Buy card +family",
        json!({
            "title": "Buy card", "status": "done", "completed_at": "2026-11-20T00:00:00.000Z",
            "created_at": "2026-11-14T00:00:00.000Z",
        }),
    );
    check(
        "x 2026-11-19 (A) Send pri:A",
        json!({ "title": "Send", "priority": "high", "status": "done" }),
    );
    check(
        "x Return books",
        json!({ "status": "done", "completed_at": "2026-11-23T08:00:00.000Z" }),
    );
    check(
        "xylophone lesson",
        json!({ "title": "xylophone lesson", "status": "open" }),
    );
    check(
        "Email bob@example.com 1+1 + @",
        json!({ "title": "Email bob@example.com 1+1 + @", "tags": [] }),
    );
    check(
        "Ship +work:core key:value:x",
        json!({ "title": "Ship key:value:x", "tags": ["work:core"] }),
    );
    check("a\tb  c +odd", json!({ "title": "a\tb  c" }));
    check("Pay t:2026-11-27", json!({ "title": "Pay t:2026-11-27" }));
    check(
        "بجلی کا بل +گھر due:2026-11-28",
        json!({ "title": "بجلی کا بل", "tags": ["گھر"] }),
    );
    for (rec, rule, from) in [
        ("1m", "FREQ=MONTHLY", "completion"),
        ("+3d", "FREQ=DAILY;INTERVAL=3", "due"),
        ("+1b", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "due"),
    ] {
        let task = &imported(&format!("Rent rec:{rec} due:2026-11-30"))[0];
        assert_eq!(
            (
                task["recurrence"]["rule"].as_str(),
                task["recurrence"]["from"].as_str()
            ),
            (Some(rule), Some(from))
        );
    }
}

#[test]
fn odd_lines_are_told_and_nothing_is_lost() {
    for (line, tasks, problem) in [
        ("x", 0, "without a text"),
        ("x ", 0, "without a text"),
        ("+a @b due:2026-12-01", 0, "no text"),
        ("due:2026-13-45 this", 1, "not a date"),
        ("two due:2026-12-01 due:2026-12-02", 1, "second due date"),
        ("walk rec:sometimes", 1, "not a recurrence"),
        ("walk rec:2b", 1, "not a recurrence"),
        ("walk rec:é", 1, "not a recurrence"),
        (&"y".repeat(501), 0, "at most 500"),
    ] {
        let import = read(line);
        assert_eq!(import.tasks.len(), tasks, "{line}");
        assert_eq!(
            import.problems().len(),
            1,
            "{line}: {:?}",
            import.problems()
        );
        assert!(
            import.problems()[0].detail.contains(problem),
            "{line}: {:?}",
            import.problems()
        );
    }
    assert_eq!(
        imported("due:2026-13-45 this")[0]["title"],
        "due:2026-13-45 this"
    );
}

#[test]
fn the_same_line_twice_means_two_tasks_and_the_same_file_twice_the_same_ones() {
    let tokens = |text| {
        read(text)
            .tasks
            .into_iter()
            .map(|(_, t)| t.token)
            .collect::<Vec<_>>()
    };
    let both = tokens("milk\nmilk\n");
    assert_ne!(both[0], both[1]);
    assert_eq!(both, tokens("milk\r\n\r\nmilk"));
}

#[test]
fn a_file_as_people_have_it() {
    let import = read(include_str!("../../../../tests/data/todo.txt"));
    assert_eq!(import.tasks.len(), 28);
    let lines: Vec<usize> = import.problems().iter().map(|p| p.line).collect();
    assert_eq!(lines, [22, 28], "{:?}", import.problems());
}
