//! Whatever is in a query or a body is read or refused, soon.

use docket_domain::TaskInput;
use docket_fuzz::{run, texts};

use crate::{Code, Origins, Parameters, body};

const QUERY_WORDS: &[&str] = &[
    "limit=",
    "cursor=",
    "q=",
    "tag=",
    "status=",
    "&",
    "&&",
    "=",
    "%",
    "%00",
    "%ff",
    "%F0%9F%98%80",
    "+",
    "true",
    "200",
    ";",
];
const QUERIES: &[&str] = &[
    "limit=10&cursor=abc&tag=a&tag=b",
    "q=milk+and%20bread&overdue=true",
];
const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"title\"",
    "\"tags\"",
    "\"due\"",
    "\"date\"",
    "\"recurrence\"",
    "\"rule\"",
    "null",
    "1e999",
    "-0",
    "\"\\u0000\"",
    "\"\\ud83d\"",
    "\"a\"",
    "true",
    "\"title\":\"a\",",
    "\"before\":\"PT30M\"",
    "\u{feff}",
    "[[[[[[[[",
];
const JSON: &[&str] = &[
    r#"{"title":"a","description":"b","priority":"high","tags":["c"],"due":{"date":"2027-03-28","time":"02:30","time_zone":"Europe/Berlin"}}"#,
    r#"{"title":"a","reminders":[{"before":"PT30M"},{"at":"2026-12-01T09:00:00Z"}],"recurrence":{"rule":"daily","from":"due"},"position":1.5}"#,
];

#[test]
fn queries() {
    run("query parameters", texts(QUERY_WORDS, QUERIES), |text| {
        let Ok(mut given) = Parameters::parse(Some(&text)) else {
            return;
        };
        let limit = given.limit(200);
        assert!(limit.is_none_or(|limit| (1..=200).contains(&limit)));
        let _ = given.flag("overdue");
        let _ = given.cursor(|text| text.parse::<u64>().ok());
        let _ = given.many("tag", |tag| Ok(tag.to_owned()));
        if let Err(problem) = given.finish() {
            assert_eq!(problem.code(), Code::Invalid);
        }
    });
}

#[test]
fn json_bodies() {
    run("JSON bodies", texts(JSON_WORDS, JSON), |text| {
        if let Err(problem) = body::parse::<TaskInput>(text.as_bytes()) {
            assert!(
                [Code::Malformed, Code::Invalid].contains(&problem.code()),
                "{text}"
            );
        }
    });
}

#[test]
fn deep_bodies() {
    let inputs = (
        0_usize..100_000,
        proptest::sample::select(vec!["[", "{\"title\":", "{\"due\":{"]),
    );
    run("deep JSON", inputs, |(depth, opening)| {
        let text = opening.repeat(depth);
        assert!(body::parse::<TaskInput>(text.as_bytes()).is_err());
    });
}

#[test]
fn origins() {
    const WORDS: &[&str] = &[
        "https://",
        "http://",
        "a.example",
        ":",
        "443",
        ",",
        "*",
        "null",
        "@",
        "[::1]",
        "/",
        " ",
    ];
    run(
        "origins",
        texts(WORDS, &["https://a.example:443,http://[::1]"]),
        |text| {
            let _ = Origins::parse(&text);
        },
    );
}
