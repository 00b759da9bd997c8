//! The routes of the planner.

use super::*;

async fn preview(instance: &Instance, body: Value) -> Answer {
    let path = "/api/planner/preview";
    instance.json("ann", "POST", path, body).await
}

async fn parse(instance: &Instance, body: Value) -> Answer {
    instance
        .json("ann", "POST", "/api/planner/parse", body)
        .await
}

/// What a problem points at: pointers with their codes.
fn pointed(answer: &Answer) -> Vec<(&str, &str)> {
    let errors = answer.body["errors"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    errors
        .iter()
        .map(|error| {
            (
                error["pointer"].as_str().unwrap(),
                error["code"].as_str().unwrap(),
            )
        })
        .collect()
}

#[test]
fn a_preview_tells_the_next_dates_and_why() {
    block_on(async {
        let instance = instance();
        for (body, dates) in [
            (
                json!({ "recurrence": { "rule": "monthly" }, "due": { "date": "2026-01-31" }, "count": 2 }),
                json!([
                    { "at": "2026-02-28", "due": { "date": "2026-02-28" }, "why": ["31st, clamped to the 28th"] },
                    { "at": "2026-03-31", "due": { "date": "2026-03-31" }, "why": [] },
                ]),
            ),
            (
                json!({
                    "recurrence": { "rule": "rrule:freq=weekly", "from": "completion" },
                    "due": { "date": "2026-11-23", "time": "09:05:00" }, "count": 1,
                }),
                json!([{ "at": "2026-11-30T09:05", "due": { "date": "2026-11-30", "time": "09:05" }, "why": [] }]),
            ),
            (
                json!({
                    "recurrence": { "rule": "daily" }, "count": 1,
                    "due": { "date": "2026-11-23", "time": "09:00", "time_zone": "Asia/Karachi" },
                }),
                json!([{
                    "at": "2026-11-24T04:00:00.000Z", "why": [],
                    "due": { "date": "2026-11-24", "time": "09:00", "time_zone": "Asia/Karachi" },
                }]),
            ),
            (
                json!({ "recurrence": { "rule": "FREQ=DAILY;COUNT=1" }, "due": { "date": "2026-11-23" } }),
                json!([]),
            ),
        ] {
            let answer = preview(&instance, body.clone()).await;
            assert_eq!(
                (answer.status.as_u16(), &answer.body["dates"]),
                (200, &dates),
                "{body}"
            );
        }
        let body = json!({ "recurrence": { "rule": "cron:0 9 * * 1-5" }, "due": { "date": "2026-11-23" } });
        let answer = preview(&instance, body).await;
        assert_eq!(answer.body["dates"].as_array().unwrap().len(), 10);
        assert!(instance.fake.keys("").is_empty(), "nothing is stored");
    });
}

#[test]
fn what_cannot_be_previewed_is_pointed_at() {
    block_on(async {
        let instance = instance();
        let of =
            |rule: &str| json!({ "recurrence": { "rule": rule }, "due": { "date": "2026-11-23" } });
        let due = |due: Value| json!({ "recurrence": { "rule": "daily" }, "due": due });
        let count = |count: &str| {
            let body = format!(
                r#"{{"recurrence":{{"rule":"daily"}},"due":{{"date":"2026-11-23"}},"count":{count}}}"#
            );
            serde_json::from_str::<Value>(&body).unwrap()
        };
        let rule = ("/recurrence/rule", "invalid");
        for (body, expected) in [
            (of("FREQ=SECONDLY;INTERVAL=1;COUNT=1000000000"), vec![rule]),
            (of("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"), vec![rule]),
            (of("BYMONTH=2;BYMONTHDAY=30"), vec![rule]),
            (of(&"FREQ=DAILY;".repeat(9_000)), vec![rule]),
            (of(&"9".repeat(100_000)), vec![rule]),
            (of("FREQ=DAILY;COUNT=9223372036854775808"), vec![rule]),
            (of("cron:0 0 30 2 *"), vec![rule]),
            (
                due(json!({ "date": "10000-01-01" })),
                vec![("/due/date", "invalid")],
            ),
            (
                due(json!({ "date": "2026-13-01" })),
                vec![("/due/date", "invalid")],
            ),
            (
                due(json!({ "time": "09:00" })),
                vec![("/due/date", "required")],
            ),
            (
                due(json!({ "date": "2026-11-23", "time": "09:00", "time_zone": "Mars/Olympus" })),
                vec![("/due/time_zone", "invalid")],
            ),
            (count("0"), vec![("/count", "invalid")]),
            (count("101"), vec![("/count", "invalid")]),
            (count("9223372036854775808"), vec![("/count", "invalid")]),
            (count("-1"), vec![("/count", "invalid")]),
            (count("1.5"), vec![("/count", "invalid")]),
            (
                json!({}),
                vec![("/recurrence", "required"), ("/due", "required")],
            ),
            (
                json!({ "recurrence": { "rule": "often" }, "due": { "date": "soon" } }),
                vec![("/due/date", "invalid"), rule],
            ),
            (
                json!({ "recurrence": { "rule": "daily", "index": 3 }, "due": { "date": "2026-11-23" } }),
                vec![("/recurrence/index", "unknown_field")],
            ),
        ] {
            let answer = preview(&instance, body.clone()).await;
            assert_eq!(answer.status, 422, "{}", answer.body);
            assert_eq!(pointed(&answer), expected, "{}", answer.body);
        }
        let huge = of(&"x".repeat(300_000));
        assert_eq!(preview(&instance, huge).await.status, 413);
    });
}

#[test]
fn a_rule_has_to_be_one_wherever_it_is_given() {
    block_on(async {
        let instance = instance();
        let body = json!({ "title": "a", "recurrence": { "rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30" } });
        let answer = instance.json("ann", "POST", "/api/tasks", body).await;
        assert_eq!(pointed(&answer), [("/recurrence/rule", "invalid")]);
        let body = json!({ "title": "a", "recurrence": { "rule": " rrule:freq=daily " } });
        let answer = instance.json("ann", "POST", "/api/tasks", body).await;
        assert_eq!(answer.body["recurrence"]["rule"], "FREQ=DAILY");
    });
}

#[test]
fn a_line_becomes_a_body_that_makes_the_task() {
    block_on(async {
        let instance = instance();
        let text = "گھر 😀 call #home !high tomorrow";
        let answer = parse(
            &instance,
            json!({ "text": text, "time_zone": "Asia/Karachi" }),
        )
        .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        // The fake's clock stands at 13:00 in Karachi, on the 23rd.
        assert_eq!(
            answer.body["task"],
            json!({
                "title": "گھر 😀 call", "priority": "high", "tags": ["home"], "due": { "date": "2026-11-24" },
            })
        );
        let units: Vec<u16> = text.encode_utf16().collect();
        let pieces: Vec<String> = answer.body["spans"]
            .as_array()
            .unwrap()
            .iter()
            .map(|span| {
                let place = |name: &str| span[name].as_u64().unwrap() as usize;
                assert!(!span["means"].as_str().unwrap().is_empty());
                String::from_utf16(&units[place("start")..place("end")]).unwrap()
            })
            .collect();
        assert_eq!(pieces, ["#home", "!high", "tomorrow"]);

        let made = instance
            .json("ann", "POST", "/api/tasks", answer.body["task"].clone())
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(made.body["title"], "گھر 😀 call");

        // Whoever sends it says when it was typed.
        let body = json!({ "text": "pay tomorrow", "now": "2026-12-31T23:30:00Z", "time_zone": "Europe/Berlin", "locale": "de-DE" });
        let answer = parse(&instance, body).await;
        assert_eq!(answer.body["task"]["due"], json!({ "date": "2027-01-02" }));
    });
}

#[test]
fn what_cannot_be_parsed_is_pointed_at() {
    block_on(async {
        let instance = instance();
        for (body, expected) in [
            (json!({}), ("/text", "required")),
            (json!({ "text": null }), ("/text", "required")),
            (json!({ "text": "x".repeat(2_001) }), ("/text", "too_long")),
            (
                json!({ "text": "a", "now": "2026-11-23" }),
                ("/now", "invalid"),
            ),
            (
                json!({ "text": "a", "now": "10000-01-01T00:00:00Z" }),
                ("/now", "invalid"),
            ),
            (
                json!({ "text": "a", "time_zone": "Mars/Olympus" }),
                ("/time_zone", "invalid"),
            ),
            (json!({ "text": "a", "locale": "" }), ("/locale", "invalid")),
            (
                json!({ "text": "a", "locale": "en-".repeat(20) }),
                ("/locale", "invalid"),
            ),
            (
                json!({ "text": "a", "zone": "UTC" }),
                ("/zone", "unknown_field"),
            ),
        ] {
            let answer = parse(&instance, body.clone()).await;
            assert_eq!(answer.status, 422, "{body}: {}", answer.body);
            assert_eq!(pointed(&answer), [expected], "{body}");
        }
    });
}

#[test]
fn only_people_may_ask_the_planner() {
    block_on(async {
        let instance = instance();
        for path in ["/api/planner/preview", "/api/planner/parse"] {
            let request = Request::post(path).body(Body::from("{}")).unwrap();
            assert_eq!(instance.send(request).await.status, 401);
            assert_eq!(instance.ask("ann", "GET", path, "").await.status, 405);
        }
    });
}
