//! Todoist's CSV read and written.

use docket_transfer::Format::TodoistCsv;
use serde_json::{Value, json};

use crate::{check_none, check_one, check_refused, import, tokens, views};

const COLUMNS: &str = "TYPE,CONTENT,DESCRIPTION,PRIORITY,INDENT,AUTHOR,RESPONSIBLE,DATE,DATE_LANG,TIMEZONE,DURATION,DURATION_UNIT,DEADLINE,DEADLINE_LANG";

/// Checks rows below the usual columns: the first of them is line 2.
fn check(rows: &str, fields: Value, problems: &[(usize, &str)]) {
    check_one(
        TodoistCsv,
        &format!("{COLUMNS}\r\n{rows}\r\n"),
        fields,
        problems,
    );
}

/// The row of a task with this date.
fn dated(date: &str, language: &str, zone: &str) -> String {
    format!("task,Call,,4,1,,,{date},{language},{zone},,,,")
}

#[test]
fn rows() {
    check(
        r#"task,"Say ""hi"", @home and mail a@b.org @@x","One,
two",1,1,,,,,,,,,"#,
        json!({
            "title": "Say \"hi\", and mail a@b.org", "description": "One,\ntwo", "priority": "high",
            "tags": ["home", "@x"], "due": null, "status": "open",
        }),
        &[],
    );
    check(
        r"task,\@home is a word,,,,,,,,,,,,",
        json!({ "title": "@home is a word", "tags": [] }),
        &[],
    );
    for (priority, word) in [
        ("1", "high"),
        ("2", "medium"),
        ("3", "low"),
        ("4", "medium"),
        ("", "medium"),
    ] {
        check(
            &format!("task,Call,,{priority},,,,,,,,,,"),
            json!({ "priority": word }),
            &[],
        );
    }
}

#[test]
fn columns_are_found_by_their_names() {
    let file = "\u{feff}content,Priority,TYPE\nCall,3,task\nMail,,TASK\n";
    let tasks = views(import(TodoistCsv, file));
    assert_eq!(tasks[0]["title"], "Call");
    assert_eq!(tasks[0]["priority"], "low");
    assert_eq!(tasks[1]["title"], "Mail");
}

#[test]
fn dates() {
    for (date, zone, due) in [
        (
            "2026-12-03",
            "Europe/Berlin",
            json!({ "date": "2026-12-03" }),
        ),
        (
            "2026-12-03 at 14:15",
            "Europe/Berlin",
            json!({ "date": "2026-12-03", "time": "14:15", "time_zone": "Europe/Berlin" }),
        ),
        (
            "2026-12-03T14:15:30",
            "",
            json!({ "date": "2026-12-03", "time": "14:15:30" }),
        ),
        ("tomorrow or so", "", Value::Null),
        (
            "tomorrow at 09:30",
            "",
            json!({ "date": "2026-11-24", "time": "09:30" }),
        ),
        // At 08:00 in London it is already tomorrow on Kiritimati.
        (
            "tomorrow at 09:30",
            "Pacific/Kiritimati",
            json!({ "date": "2026-11-24", "time": "09:30", "time_zone": "Pacific/Kiritimati" }),
        ),
    ] {
        let problems: &[(usize, &str)] = match due {
            Value::Null => &[(2, "is not a date; taken without the date")],
            _ => &[],
        };
        check(&dated(date, "en", zone), json!({ "due": due }), problems);
    }
    check(
        &dated("every! 3 months starting 2026-12-15", "en", ""),
        json!({ "due": { "date": "2026-12-15" } }),
        &[],
    );
    let file = format!("{COLUMNS}\n{}\n", dated("every! 3 months", "", ""));
    let recurrence = &views(import(TodoistCsv, &file))[0]["recurrence"];
    assert_eq!(recurrence["rule"], "FREQ=MONTHLY;INTERVAL=3");
    assert_eq!(recurrence["from"], "completion");
}

#[test]
fn what_is_not_kept_is_told() {
    check(
        "task,Call,,9,2,Sam,Kim,every blue moon,en,Mars/Olympus,15,minute,2026-11-30,en",
        json!({ "title": "Call", "priority": "medium", "due": null }),
        &[
            (2, "\"9\" is not a priority"),
            (2, "\"Mars/Olympus\" is not an IANA time zone"),
            (
                2,
                "\"every blue moon\" is not a date; taken without the date",
            ),
            (
                2,
                "its place below another task, its duration \"15 minute\", its deadline \"2026-11-30\", who is responsible",
            ),
        ],
    );
    check(
        &dated("jeden Freitag", "de", ""),
        json!({ "due": null }),
        &[(
            2,
            "in the language \"de\", which is not read; taken without the date",
        )],
    );
}

#[test]
fn rows_that_are_no_tasks() {
    check(
        "note,Nobody's,,,,,,,,,,,,\nsection,Home,,,,,,,,,,,,\nmeta,view_style=list,,,,,,,,,,,,\n,,,,,,,,,,,,,\n\ntask,Call,About it,4,1,,,,,,,,,\nnote,\"Ask\nKim\",,,,,,,,,,,,\nevent,Party,,,,,,,,,,,,",
        json!({ "title": "Call", "description": "About it\n\nAsk\nKim" }),
        &[
            (2, "without a task before it"),
            (3, "\"Home\" is not kept"),
            (10, "of the type \"event\""),
        ],
    );
    let file = format!("{COLUMNS}\ntask,@home,,4,,,,,,,,,,\n");
    check_none(TodoistCsv, &file, &[(2, "without a text")]);
}

#[test]
fn a_row_has_the_number_of_its_first_line() {
    for end in ["\n", "\r\n"] {
        let file = [
            "TYPE,CONTENT,DESCRIPTION",
            "task,one,\"a",
            "b",
            "c\"",
            "",
            "",
            "task,,",
            "task,two,d",
            "task,,",
        ]
        .join(end);
        let import = import(TodoistCsv, &file);
        let lines: Vec<usize> = import.tasks.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 8]);
        let problems: Vec<usize> = import
            .problems()
            .iter()
            .map(|problem| problem.line)
            .collect();
        assert_eq!(problems, [7, 9]);
    }
}

#[test]
fn what_is_no_todoist_csv_is_refused() {
    for (file, line, words) in [
        ("", 1, "begins with its columns"),
        ("BEGIN:VCALENDAR", 1, "begins with its columns"),
        ("TYPE,NAME\ntask,a\n", 1, "begins with its columns"),
        (
            "TYPE,CONTENT\ntask,one\ntask,\"two\ntask,three\n",
            3,
            "does not end",
        ),
        ("TYPE,CONTENT\ntask,\"one \"\"\n", 2, "does not end"),
        ("\"", 1, "does not end"),
    ] {
        check_refused(TodoistCsv, file, line, words);
    }
    for fine in [
        "task,\"one\"",
        "task,a \"b\"\"\" c",
        "task,\"\"\"one\"\"\"",
        "task,\"one\"two",
    ] {
        assert_eq!(
            tokens(TodoistCsv, &format!("TYPE,CONTENT\n{fine}")).len(),
            1,
            "{fine}"
        );
    }
}

#[test]
fn the_same_row_twice_means_two_tasks_and_the_same_file_twice_the_same_ones() {
    let file = "TYPE,CONTENT\ntask,milk\ntask,milk\n";
    let both = tokens(TodoistCsv, file);
    assert_ne!(both[0], both[1]);
    assert_eq!(both, tokens(TodoistCsv, file));
}
