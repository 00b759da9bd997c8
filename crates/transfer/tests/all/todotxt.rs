//! todo.txt read and written.

use docket_transfer::Format::TodoTxt;
use serde_json::{Value, json};

use crate::{check_none, check_one, import, tokens, views};

fn check(line: &str, fields: Value) {
    check_one(TodoTxt, line, fields, &[]);
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
        let task = &views(import(TodoTxt, &format!("Rent rec:{rec} due:2026-11-30")))[0];
        assert_eq!(task["recurrence"]["rule"], rule);
        assert_eq!(task["recurrence"]["from"], from);
    }
}

#[test]
fn a_backslash_keeps_a_word_in_the_title() {
    for (line, title) in [
        (r"\+1 for this", "+1 for this"),
        (r"mail \@home", "mail @home"),
        (
            r"\due:2026-12-01 \rec:1d \pri:A",
            "due:2026-12-01 rec:1d pri:A",
        ),
        (r"\\+1", r"\+1"),
        (r"C:\temp \n \", r"C:\temp \n \"),
    ] {
        check(
            line,
            json!({ "title": title, "tags": [], "due": null, "recurrence": null }),
        );
    }
}

#[test]
fn odd_lines_are_told_and_nothing_is_lost() {
    for (line, problem) in [
        ("x", "without a text"),
        ("x ", "without a text"),
        ("+a @b due:2026-12-01", "no text"),
        (&"y".repeat(501), "at most 500"),
    ] {
        check_none(TodoTxt, line, &[(1, problem)]);
    }
    for (line, problem) in [
        ("due:2026-13-45 this", "not a date"),
        ("two due:2026-12-02", "second due date"),
        ("walk rec:sometimes", "not a recurrence"),
        ("walk rec:2b", "not a recurrence"),
        ("walk rec:\u{e9}", "not a recurrence"),
        ("walk rec:1000d", "not a recurrence"),
    ] {
        let file = format!("\n{line} due:2026-12-01");
        let fields = match problem {
            "second due date" => {
                json!({ "title": "two due:2026-12-01", "due": { "date": "2026-12-02" } })
            }
            _ => json!({ "title": line, "due": { "date": "2026-12-01" }, "recurrence": null }),
        };
        check_one(TodoTxt, &file, fields, &[(2, problem)]);
    }
}

#[test]
fn the_same_line_twice_means_two_tasks_and_the_same_file_twice_the_same_ones() {
    let both = tokens(TodoTxt, "milk\nmilk\n");
    assert_ne!(both[0], both[1]);
    assert_eq!(both, tokens(TodoTxt, "milk\r\n\r\nmilk"));
}
