//! The route by which the function `recurrence` creates the next occurrence of a task.

use docket_domain::Instant;
use docket_service::Runtime as _;

use super::*;

impl Instance {
    /// What `recurrence` asks after a task was done; gives the id of the next one.
    async fn recur(&self, account: &str, task: &str) -> Option<String> {
        let answer = self
            .occur(json!({ "account": account, "task_id": task }))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["next"].as_str().map(str::to_owned)
    }

    async fn occur(&self, body: Value) -> Answer {
        let request =
            Request::post("/internal/tasks/occurrences").header("dapr-api-token", APP_TOKEN);
        self.send(request.body(body.to_string().into()).unwrap())
            .await
    }

    async fn task(&self, account: &str, id: &str) -> Value {
        let path = format!("/api/tasks/{id}");
        let answer = self.ask(account, "GET", &path, "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    async fn act(&self, account: &str, id: &str, action: &str) {
        let path = format!("/api/tasks/{id}/{action}");
        let answer = self.ask(account, "POST", &path, "").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    async fn recurring(&self, account: &str, due: Value, rule: Value) -> String {
        let task = json!({ "title": "Again", "due": due, "recurrence": rule });
        let answer = self.json(account, "POST", "/api/tasks", task).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body["id"].as_str().unwrap().to_owned()
    }

    /// How many tasks are open.
    async fn open(&self, account: &str) -> u64 {
        let answer = self.ask(account, "GET", "/api/tasks", "").await;
        answer.body["total"].as_u64().unwrap()
    }

    /// Completes a task at a time; gives the id of the next one.
    async fn complete(&self, account: &str, id: &str, at: &str) -> Option<String> {
        let at = Instant::parse(at).unwrap().as_millis();
        let now = self.fake.now().as_millis();
        self.fake.world().micros += (at - now) * 1_000;
        self.act(account, id, "complete").await;
        self.recur(account, id).await
    }
}

/// Due, rule, and for each completion when it was and the date that follows: `date`, `date time` or nothing.
type Series = (Value, Value, &'static [(&'static str, &'static str)]);

#[test]
fn each_completion_brings_the_next_date() {
    let day = |date: &str| json!({ "date": date });
    let wall = |date: &str, time: &str| json!({ "date": date, "time": time });
    let zoned = |date: &str, time: &str, zone: &str| json!({ "date": date, "time": time, "time_zone": zone });
    let rule = |rule: &str| json!({ "rule": rule });
    let anew = |rule: &str| json!({ "rule": rule, "from": "completion" });
    let series: Vec<Series> = vec![
        // From the due date, done in time or before it.
        (
            day("2026-12-01"),
            rule("weekly"),
            &[
                ("2026-11-30T10:00:00Z", "2026-12-08"),
                ("2026-11-30T11:00:00Z", "2026-12-15"),
            ],
        ),
        // The end of the month is remembered.
        (
            day("2027-01-31"),
            rule("monthly"),
            &[
                ("2027-01-31T10:00:00Z", "2027-02-28"),
                ("2027-02-28T10:00:00Z", "2027-03-31"),
                ("2027-03-31T10:00:00Z", "2027-04-30"),
                ("2027-04-29T10:00:00Z", "2027-05-31"),
            ],
        ),
        // A leap day, too.
        (
            day("2028-02-29"),
            rule("yearly"),
            &[
                ("2028-02-29T10:00:00Z", "2029-02-28"),
                ("2029-02-28T10:00:00Z", "2030-02-28"),
                ("2030-02-28T10:00:00Z", "2031-02-28"),
                ("2031-02-28T10:00:00Z", "2032-02-29"),
            ],
        ),
        // The wall clock holds across daylight saving, and a gap is left behind again.
        (
            zoned("2027-03-27", "02:30", "Europe/Berlin"),
            rule("daily"),
            &[
                ("2027-03-27T01:00:00Z", "2027-03-28 02:30"),
                ("2027-03-28T00:00:00Z", "2027-03-29 02:30"),
            ],
        ),
        // Missed many: one follows, the first after it was done, on the clock of its zone.
        (
            zoned("2026-11-24", "09:00", "Asia/Karachi"),
            rule("daily"),
            &[
                // 8:59 and 9:00 there.
                ("2026-12-24T03:59:59Z", "2026-12-24 09:00"),
                ("2026-12-25T04:00:00Z", "2026-12-26 09:00"),
            ],
        ),
        (
            day("2026-11-24"),
            rule("FREQ=WEEKLY;BYDAY=TU,FR"),
            &[("2027-02-04T12:00:00Z", "2027-02-05")],
        ),
        (
            wall("2026-11-24", "08:00"),
            rule("cron:0 8,20 * * *"),
            &[("2026-12-24T12:00:00Z", "2026-12-24 20:00")],
        ),
        // A day without a zone is over when it is over everywhere: in the west it still is the 24th.
        (
            day("2026-11-24"),
            rule("daily"),
            &[
                ("2026-11-25T11:59:59Z", "2026-11-25"),
                ("2026-11-26T12:00:00Z", "2026-11-27"),
            ],
        ),
        // From completion.
        (
            day("2026-11-24"),
            anew("FREQ=DAILY;INTERVAL=3"),
            &[
                ("2026-11-30T10:00:00Z", "2026-12-03"),
                ("2026-12-01T10:00:00Z", "2026-12-04"),
            ],
        ),
        (
            zoned("2026-11-24", "09:00", "America/Los_Angeles"),
            anew("weekly"),
            // The 30th there.
            &[("2026-12-01T07:00:00Z", "2026-12-07 09:00")],
        ),
        (
            wall("2026-11-24", "09:00"),
            anew("cron:*/20 * * * *"),
            &[("2026-11-24T10:01:30Z", "2026-11-24 10:20")],
        ),
        // COUNT and UNTIL end the series. What was missed does not count.
        (
            day("2026-12-01"),
            rule("FREQ=DAILY;COUNT=3"),
            &[
                ("2026-12-01T10:00:00Z", "2026-12-02"),
                ("2026-12-09T10:00:00Z", "2026-12-10"),
                ("2026-12-10T10:00:00Z", ""),
            ],
        ),
        (
            day("2026-12-01"),
            rule("FREQ=DAILY;UNTIL=20261203"),
            &[
                ("2026-12-01T10:00:00Z", "2026-12-02"),
                ("2026-12-02T10:00:00Z", "2026-12-03"),
                ("2026-12-03T10:00:00Z", ""),
            ],
        ),
        (
            day("2026-12-01"),
            rule("FREQ=DAILY;UNTIL=20261203"),
            &[("2026-12-08T10:00:00Z", "")],
        ),
        // Without a date it is counted from the day on which it was done.
        (
            Value::Null,
            rule("weekly"),
            &[
                ("2026-11-24T10:00:00Z", "2026-12-01"),
                ("2026-11-25T10:00:00Z", "2026-12-08"),
            ],
        ),
        // The calendar ends.
        (
            day("9999-12-31"),
            rule("daily"),
            &[("2026-11-24T10:00:00Z", "")],
        ),
    ];
    block_on(async {
        for (due, rule, completions) in series {
            let instance = instance();
            let mut id = instance.recurring("ann", due.clone(), rule.clone()).await;
            for (index, (at, expected)) in (2..).zip(completions) {
                let next = instance.complete("ann", &id, at).await;
                assert_eq!(
                    next.is_none(),
                    expected.is_empty(),
                    "{due} {rule}, done {at}"
                );
                let Some(next) = next else { break };
                let task = instance.task("ann", &next).await;
                let text = |field: &str| task["due"][field].as_str().unwrap_or_default().to_owned();
                let shown = format!("{} {}", text("date"), text("time"));
                assert_eq!(shown.trim(), *expected, "{due} {rule}, done {at}");
                assert_eq!(task["due"]["time_zone"], due["time_zone"]);
                assert_eq!(task["recurrence"]["index"], index);
                id = next;
            }
        }
    });
}

#[test]
fn the_next_one_takes_everything_along() {
    block_on(async {
        let instance = instance();
        let full = json!({
            "title": "Pay rent", "description": "cash", "priority": "high", "tags": ["home"], "position": 2.5,
            "due": { "date": "2027-03-01", "time": "09:00", "time_zone": "Europe/Berlin" },
            "reminders": [{ "before": "PT30M" }, { "at": "2027-02-28T08:00:00Z" }],
            "recurrence": { "rule": "monthly" },
        });
        let made = instance.json("ann", "POST", "/api/tasks", full).await.body;
        let id = made["id"].as_str().unwrap();
        let next = instance.complete("ann", id, "2027-03-01T07:00:00Z").await;
        let done = instance.task("ann", id).await;
        let task = instance.task("ann", &next.unwrap()).await;
        for field in ["title", "description", "priority", "tags", "position"] {
            assert_eq!(task[field], made[field], "{field}");
        }
        assert_eq!(
            (&task["status"], &task["completed_at"]),
            (&json!("open"), &Value::Null)
        );
        assert_eq!(task["due"]["date"], "2027-04-01");
        assert_eq!(
            task["recurrence"]["series_id"],
            made["recurrence"]["series_id"]
        );
        // As far before the date as it was, which came an hour earlier: summer time.
        assert_eq!(task["reminders"][0], made["reminders"][0]);
        assert_eq!(task["reminders"][1]["at"], "2027-03-31T07:00:00.000Z");
        assert_eq!(task["reminders"][1]["id"], made["reminders"][1]["id"]);

        // One event, and for those who watch the done task nothing has happened.
        instance.fake.settle().await;
        let events = instance.fake.events("task-events");
        assert_eq!(events.len(), 3);
        assert_eq!(events[2]["type"], "task-created");
        assert_eq!(events[2]["data"]["task"], task);
        assert_eq!(
            events[2]["data"]["actor"],
            json!({ "kind": "recurrence", "id": "recurrence" })
        );
        assert_eq!((&done["version"], &task["version"]), (&json!(2), &json!(3)));
        let changes = instance.ask("ann", "GET", "/api/changes?since=2", "").await;
        assert_eq!(changes.body["changes"], json!([{ "seq": 3, "task": task }]));
    });
}

#[test]
fn there_is_one_next_occurrence_however_often_it_is_asked_for() {
    block_on(async {
        let instance = instance();
        let due = json!({ "date": "2026-12-01" });
        let id = instance
            .recurring("ann", due, json!({ "rule": "daily" }))
            .await;
        assert_eq!(instance.recur("ann", &id).await, None, "it is open");
        let at = "2026-12-01T10:00:00Z";
        let next = instance.complete("ann", &id, at).await;
        assert!(next.is_some());
        // Redelivered, at once and later; by another instance; done again; with its own next one done and deleted.
        let others = Instance::new(&instance.fake);
        let again = join_all([instance.recur("ann", &id), others.recur("ann", &id)]).await;
        assert_eq!(again, [next.clone(), next.clone()]);
        instance.act("ann", &id, "reopen").await;
        assert_eq!(instance.recur("ann", &id).await, next);
        assert_eq!(instance.complete("ann", &id, at).await, next);
        let path = format!("/api/tasks/{}", next.clone().unwrap());
        assert_eq!(instance.ask("ann", "DELETE", &path, "").await.status, 204);
        assert_eq!(instance.recur("ann", &id).await, next);
        assert_eq!(instance.open("ann").await, 0);
    });
}

#[test]
fn an_answer_that_got_lost_makes_no_second_one() {
    block_on(async {
        for fault in [Fault::Away, Fault::AnswerLost] {
            let instance = instance();
            let due = json!({ "date": "2026-12-01" });
            let id = instance
                .recurring("ann", due, json!({ "rule": "daily" }))
                .await;
            instance.act("ann", &id, "complete").await;
            instance.fake.world().transactions.push_back(fault);
            let next = instance.recur("ann", &id).await;
            assert!(next.is_some());
            assert_eq!(instance.recur("ann", &id).await, next);
            assert_eq!(instance.open("ann").await, 1);
        }
    });
}

#[test]
fn nothing_comes_after_what_is_gone_or_comes_once() {
    block_on(async {
        let instance = instance();
        let once = instance.create("ann", "Once").await["id"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            instance
                .complete("ann", &once, "2026-12-01T10:00:00Z")
                .await,
            None
        );
        let due = json!({ "date": "2026-12-01" });
        let daily = json!({ "rule": "daily" });
        let gone = instance.recurring("ann", due.clone(), daily.clone()).await;
        instance.act("ann", &gone, "complete").await;
        let path = format!("/api/tasks/{gone}");
        assert_eq!(instance.ask("ann", "DELETE", &path, "").await.status, 204);
        assert_eq!(instance.recur("ann", &gone).await, None);
        // Another account's task is none of this one's.
        let others = instance.recurring("bob", due, daily).await;
        instance.act("bob", &others, "complete").await;
        assert_eq!(instance.recur("ann", &others).await, None);
        assert_eq!(instance.open("bob").await, 0);
    });
}

#[test]
fn a_new_rule_is_for_what_comes() {
    block_on(async {
        let instance = instance();
        let due = json!({ "date": "2027-01-31" });
        let first = instance
            .recurring("ann", due, json!({ "rule": "monthly" }))
            .await;
        let second = instance
            .complete("ann", &first, "2027-01-31T10:00:00Z")
            .await
            .unwrap();
        let path = format!("/api/tasks/{second}");
        // From 28 February on: its own day, and its own count.
        let patch = json!({ "recurrence": { "rule": "FREQ=MONTHLY;COUNT=2" } });
        let patched = instance.json("ann", "PATCH", &path, patch).await;
        assert_eq!(patched.body["recurrence"]["index"], 2);
        let third = instance
            .complete("ann", &second, "2027-02-28T10:00:00Z")
            .await
            .unwrap();
        let task = instance.task("ann", &third).await;
        assert_eq!(task["due"]["date"], "2027-03-28");
        assert_eq!(task["recurrence"]["index"], 3);
        assert_eq!(
            instance
                .complete("ann", &third, "2027-03-28T10:00:00Z")
                .await,
            None
        );
    });
}

#[test]
fn old_series_go_on_in_an_account_with_many_tasks() {
    block_on(async {
        let instance = instance();
        let due = json!({ "date": "2026-12-01" });
        let daily = json!({ "rule": "daily" });
        let old = instance.recurring("ann", due, daily).await;
        // The next one is created in another segment, and closes one.
        for n in 0..127 {
            instance.create("ann", &format!("task {n}")).await;
        }
        let next = instance
            .complete("ann", &old, "2026-12-01T10:00:00Z")
            .await
            .unwrap();
        assert!(
            old.starts_with("0-") && next.starts_with("2-"),
            "{old} {next}"
        );
        assert_eq!(
            instance.recur("ann", &old).await.as_deref(),
            Some(next.as_str())
        );
        let again = Instance::new(&instance.fake);
        assert_eq!(
            again.recur("ann", &old).await.as_deref(),
            Some(next.as_str())
        );
        assert!(
            again
                .complete("ann", &next, "2026-12-02T10:00:00Z")
                .await
                .is_some()
        );
    });
}

#[test]
fn occurrences_are_for_the_sidecar_alone_and_for_whoever_knows_how_to_ask() {
    block_on(async {
        let instance = instance();
        let body = json!({ "account": "ann", "task_id": "0-000000000000" });
        for wrong in ["", "to-the-sidecar"] {
            let request =
                Request::post("/internal/tasks/occurrences").header("dapr-api-token", wrong);
            let answer = instance.send(request.body(body.to_string().into()).unwrap());
            assert_eq!(answer.await.status, 401);
        }
        assert_eq!(instance.occur(body).await.body, json!({ "next": null }));
        for odd in [
            json!({}),
            json!({ "account": "a/b", "task_id": "0-000000000000" }),
            json!({ "account": "ann", "task_id": "1" }),
            json!({ "account": "ann", "task_id": "0-000000000000", "more": 1 }),
        ] {
            assert_eq!(instance.occur(odd.clone()).await.status, 422, "{odd}");
        }
    });
}
