//! The routes, next to a sidecar in memory.

use axum::body::Body;
use docket_domain::account_deleted::AccountDeleted;
use docket_domain::{AccountId, Instant, TaskId};
use docket_fake::{APP_TOKEN, Fake, Fault, NOW, config, task_event, together, verdicts};
use docket_service::Runtime as _;
use futures::executor::block_on;
use futures::future::join_all;
use http::Request;
use serde_json::{Value, json};
use std::collections::BTreeSet;

use crate::{App, router};

const EVENTS: &str = "/internal/reminders/task-events";
const SWEEP: &str = "/internal/reminders/reminder-sweep";
const SNOOZE: &str = "/internal/reminders/snooze";
const SETTINGS: &str = "/internal/reminders/settings";
const LEDGER: &str = "/internal/reminders/ledger";

/// An instance of the function on a platform.
struct Instance {
    fake: Fake,
    router: axum::Router,
}

impl Instance {
    fn on(fake: &Fake) -> Self {
        let router = router(App::new(fake.clone(), &config()).unwrap());
        let fake = fake.clone();
        Self { fake, router }
    }

    fn new() -> Self {
        Self::on(&Fake::default())
    }

    async fn send(&self, path: &str, token: &str, body: impl Into<Body>) -> (u16, Value) {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .header("dapr-api-token", token)
            .body(body.into())
            .unwrap();
        docket_fake::send(&self.fake, &self.router, request).await
    }

    fn ask(&self, path: &str, body: &Value) -> (u16, Value) {
        block_on(self.send(path, APP_TOKEN, body.to_string()))
    }

    /// Delivers an event; gives the verdict.
    fn hears(&self, event: &Value) -> String {
        let events = std::slice::from_ref(event);
        let (status, answer) = self.ask(EVENTS, &together(events));
        assert_eq!(status, 200, "{answer}");
        verdicts(&answer, 1).remove(0)
    }

    fn sweeps(&self) -> Value {
        let (status, answer) = self.ask(SWEEP, &json!({}));
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// The scheduler delivers every job that is due, and has done with those that were taken.
    fn scheduler_runs(&self) {
        let now = self.fake.now();
        let jobs = self.fake.world().jobs.clone();
        for (name, job) in jobs {
            if Instant::parse(job["dueTime"].as_str().unwrap()).unwrap() <= now {
                let (status, _) = self.ask(&format!("/job/{name}"), &job["data"]);
                if status == 200 {
                    self.fake.world().jobs.remove(&name);
                }
            }
        }
    }

    fn ledger(&self, task: &str) -> Vec<Value> {
        let ask = json!({ "account": "ann", "task_id": task });
        let (status, answer) = self.ask(LEDGER, &ask);
        assert_eq!(status, 200, "{answer}");
        answer["entries"].as_array().unwrap().clone()
    }

    /// Sets the clock to so many seconds after [`NOW`], 08:00.
    fn clock(&self, seconds: i64) {
        self.fake.world().micros = seconds * 1_000_000;
    }

    /// What was published: how often, and the different ids.
    fn published(&self) -> (usize, BTreeSet<String>) {
        let world = self.fake.world();
        assert!(
            world
                .published
                .iter()
                .all(|(topic, _)| topic == "reminders")
        );
        let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
        let ids = world.published.iter().map(|(_, event)| id(event));
        (world.published.len(), ids.collect())
    }

    fn jobs(&self) -> Vec<(String, String)> {
        let world = self.fake.world();
        let due = |job: &Value| job["dueTime"].as_str().unwrap().to_owned();
        let jobs = world.jobs.iter();
        jobs.map(|(name, job)| (name.clone(), due(job))).collect()
    }
}

const HOUR: i64 = 3_600;
const TASK: &str = "0-90tj1f2kwhvp";

/// An event of `tasks`, as its golden files have it, with what Dapr adds on the way, and with reminders.
fn event(kind: &str, seq: u64, reminders: &Value) -> Value {
    let mut event = task_event(kind);
    event["data"]["seq"] = seq.into();
    event["data"]["task"]["reminders"] = reminders.clone();
    event
}

/// A reminder at a time of the day of [`NOW`].
fn absolute(time: &str) -> Value {
    json!([{ "id": "r1", "at": format!("2026-11-23T{time}:00Z") }])
}

fn task_of(event: &mut Value, number: u64) -> String {
    let id = TaskId::new(0, number).to_string();
    event["subject"] = id.clone().into();
    event["data"]["task"]["id"] = id.clone().into();
    id
}

/// A day on which something is due in the morning, with a reminder then.
fn all_day(seq: u64, number: u64) -> Value {
    let mut event = event(
        "task-created",
        seq,
        &json!([{ "id": "r1", "before": "PT0S" }]),
    );
    task_of(&mut event, number);
    event["data"]["task"]["due"] = json!({ "date": "2026-11-23" });
    event
}

#[test]
fn a_reminder_fires_once_at_its_time() {
    let docket = Instance::new();
    assert_eq!(
        docket.hears(&event("task-created", 1, &absolute("09:00"))),
        "SUCCESS"
    );
    let name = format!("ann.{TASK}.r1");
    assert_eq!(
        docket.fake.world().jobs[&name],
        json!({
            "dueTime": "2026-11-23T09:00:00.000Z",
            "data": { "account": "ann", "task_id": TASK },
            "overwrite": true,
            "failurePolicy": { "constant": { "interval": "1s", "maxRetries": 3 } },
        })
    );
    assert_eq!(docket.fake.keys("agenda:").len(), 1);
    docket.clock(HOUR - 60);
    docket.scheduler_runs();
    assert_eq!(docket.published().0, 0);
    docket.clock(HOUR);
    docket.scheduler_runs();
    // The job once more, and the sweep.
    let wake = json!({ "account": "ann", "task_id": TASK });
    for seconds in [HOUR, HOUR + 10, HOUR + 90] {
        docket.clock(seconds);
        let (status, answer) = docket.ask(&format!("/job/{name}"), &wake);
        assert_eq!((status, answer), (200, json!({ "fired": 0 })));
        assert_eq!(docket.sweeps()["fired"], 0);
    }
    let published = docket.fake.world().published.clone();
    let (topic, event) = &published[0];
    assert_eq!((topic.as_str(), published.len()), ("reminders", 1));
    assert_eq!(event["type"], "reminder-due");
    assert_eq!(event["data"]["title"], "Pay rent");
    assert_eq!(event["time"], "2026-11-23T09:00:00.000Z");
    let ledger = docket.ledger(TASK);
    assert_eq!(ledger[0]["state"], "fired");
    assert_eq!(ledger[0]["event_id"], event["id"]);
    assert_eq!(ledger[0]["attempts"], 1);
    // The sweep has cleared the agenda; only its watermark is left.
    assert_eq!(docket.fake.keys("agenda:"), [""; 0]);
}

#[test]
fn what_is_no_event_is_dropped() {
    let docket = Instance::new();
    let mut no_task = event("task-created", 1, &absolute("09:00"));
    no_task["data"]["task"] = json!({ "title": 7 });
    let mut odd = event("task-created", 1, &absolute("09:00"));
    odd["data"]["account"] = "a/b".into();
    for event in [Value::Null, json!([]), json!("{"), no_task, odd] {
        assert_eq!(docket.hears(&event), "DROP", "{event}");
    }
    assert!(docket.fake.world().state.is_empty());
}

#[test]
fn a_second_delivery_changes_nothing() {
    let docket = Instance::new();
    let first = event("task-created", 1, &absolute("09:00"));
    let second = event("task-updated", 2, &absolute("10:00"));
    docket.hears(&first);
    docket.hears(&second);
    let all = || {
        let state = docket.fake.world().state.clone();
        (state, docket.jobs())
    };
    let before = all();
    for event in [&first, &second, &first] {
        assert_eq!(docket.hears(event), "SUCCESS");
        assert_eq!(all(), before);
    }
    docket.clock(2 * HOUR);
    docket.scheduler_runs();
    for event in [&first, &second] {
        docket.hears(event);
        docket.sweeps();
    }
    assert_eq!(docket.published().0, 1);
}

#[test]
fn jobs_and_agenda_follow_the_task() {
    let docket = Instance::new();
    docket.hears(&event("task-created", 1, &absolute("09:00")));
    let name = format!("ann.{TASK}.r1");
    let first = docket.fake.keys("agenda:");
    docket.hears(&event("task-updated", 2, &absolute("10:00")));
    assert_eq!(
        docket.jobs(),
        [(name.clone(), "2026-11-23T10:00:00.000Z".to_owned())]
    );
    let second = docket.fake.keys("agenda:");
    assert!(
        first.len() == 1 && second.len() == 1 && first != second,
        "{first:?} {second:?}"
    );
    let nothing = (Vec::new(), Vec::new());
    let now = || (docket.jobs(), docket.fake.keys("agenda:"));
    docket.hears(&event("task-completed", 3, &absolute("10:00")));
    assert_eq!(now(), nothing);
    docket.hears(&event("task-reopened", 4, &absolute("10:00")));
    assert_eq!(
        (docket.jobs().len(), docket.fake.keys("agenda:")),
        (1, second)
    );
    docket.hears(&event("task-deleted", 5, &absolute("10:00")));
    assert_eq!(now(), nothing);
    // What is left of it goes away too, some time.
    assert!(
        docket
            .fake
            .world()
            .expiry
            .contains_key(&format!("reminders:ann:{TASK}"))
    );
    docket.clock(3 * HOUR);
    docket.sweeps();
    assert_eq!(docket.published().0, 0);
}

#[test]
fn a_task_without_reminders_costs_nothing() {
    let docket = Instance::new();
    docket.hears(&event("task-created", 1, &json!([])));
    let mut update = event("task-updated", 2, &json!([]));
    update["data"]["changes"] = json!({});
    docket.hears(&update);
    assert_eq!(docket.fake.world().reads, 0);
    docket.hears(&event("task-completed", 3, &json!([])));
    docket.hears(&event("task-deleted", 4, &json!([])));
    assert!(docket.fake.world().state.is_empty());
    // One that says that reminders were taken away does, since what gave them may come late.
    update["data"]["changes"] = json!({ "reminders": { "from": absolute("09:00"), "to": [] } });
    docket.hears(&update);
    docket.hears(&event("task-created", 1, &absolute("09:00")));
    docket.clock(2 * HOUR);
    docket.sweeps();
    assert!(docket.jobs().is_empty() && docket.published().0 == 0);
}

#[test]
fn the_sweep_fires_what_a_job_missed() {
    let docket = Instance::new();
    docket.hears(&event("task-created", 1, &absolute("09:00")));
    docket.fake.world().jobs.clear();
    // Its job comes first.
    docket.clock(HOUR + 1);
    assert_eq!(docket.sweeps()["fired"], 0);
    docket.clock(HOUR + 3);
    assert_eq!(docket.sweeps(), json!({ "fired": 1, "cleared": 0 }));
    docket.clock(HOUR + 61);
    assert_eq!(docket.sweeps(), json!({ "fired": 0, "cleared": 1 }));
    assert_eq!(docket.published().0, 1);
    assert_eq!(
        docket.ledger(TASK)[0]["fired_at"],
        "2026-11-23T09:00:03.000Z"
    );
}

#[test]
fn after_a_week_of_downtime_everything_fires_once() {
    let docket = Instance::new();
    const TASKS: u64 = 250;
    let mut tasks = Vec::new();
    for number in 1..=TASKS {
        let hours = 7 + number as i64 * 160 / TASKS as i64;
        let at = Instant::parse(NOW)
            .unwrap()
            .plus_millis(hours * HOUR * 1_000);
        let mut event = event("task-created", number, &json!([{ "id": "r1", "at": at }]));
        tasks.push(task_of(&mut event, number));
        docket.hears(&event);
    }
    // Jobs and all are gone; a new instance.
    docket.fake.world().jobs.clear();
    let docket = Instance::on(&docket.fake);
    docket.clock(7 * 24 * HOUR);
    let mut sweeps = 0;
    while docket.published().0 < TASKS as usize {
        docket.sweeps();
        sweeps += 1;
        assert!(sweeps < 10);
    }
    assert_eq!(docket.sweeps(), json!({ "fired": 0, "cleared": 0 }));
    let (count, ids) = docket.published();
    assert_eq!((count, ids.len()), (TASKS as usize, TASKS as usize));
    assert_eq!(docket.fake.keys("agenda:"), [""; 0]);
    for task in tasks {
        assert_eq!(docket.ledger(&task)[0]["state"], "fired");
    }
}

#[test]
fn a_clock_set_back_neither_loses_nor_repeats() {
    let docket = Instance::new();
    docket.hears(&event("task-created", 1, &absolute("09:00")));
    docket.clock(HOUR);
    docket.scheduler_runs();
    docket.clock(HOUR + 120);
    docket.sweeps();
    // Back by two hours: what is set now for before the watermark fires.
    docket.clock(-HOUR);
    docket.sweeps();
    let mut other = event("task-created", 2, &absolute("08:30"));
    task_of(&mut other, 7);
    other["time"] = "2026-11-23T07:00:00Z".into();
    docket.hears(&other);
    docket.fake.world().jobs.clear();
    docket.clock(HOUR / 2 + 3);
    assert_eq!(docket.sweeps()["fired"], 1);
    docket.clock(2 * HOUR);
    docket.sweeps();
    assert_eq!(docket.published().0, 2);
}

#[test]
fn without_a_scheduler_events_go_on_and_nothing_is_lost() {
    let docket = Instance::new();
    docket.fake.world().schedulings.push_back(Fault::Away);
    assert_eq!(
        docket.hears(&event("task-created", 1, &absolute("09:00"))),
        "SUCCESS"
    );
    // It is left alone for a while.
    let mut other = event("task-created", 2, &absolute("10:00"));
    let other_task = task_of(&mut other, 7);
    assert_eq!(docket.hears(&other), "SUCCESS");
    assert!(docket.jobs().is_empty());
    // It stays away for minutes: what is owed moves on with the clock.
    for minute in [1, 2, 3, 20] {
        docket.clock(minute * 60);
        docket.fake.world().schedulings.push_back(Fault::Away);
        docket.sweeps();
        assert!(docket.jobs().is_empty());
        docket.fake.world().schedulings.clear();
    }
    docket.clock(22 * 60);
    docket.sweeps();
    assert_eq!(docket.jobs().len(), 2);
    docket.clock(24 * 60);
    docket.sweeps();
    assert_eq!(
        docket.fake.keys("agenda:").len(),
        2,
        "those of the reminders"
    );
    docket.clock(HOUR);
    docket.scheduler_runs();
    assert_eq!(docket.ledger(TASK)[0]["state"], "fired");
    assert_eq!(docket.ledger(&other_task)[0]["state"], "scheduled");
    // If it does not come back at all, the sweep fires.
    docket.fake.world().jobs.clear();
    docket.clock(2 * HOUR + 5);
    docket.sweeps();
    assert_eq!(docket.ledger(&other_task)[0]["state"], "fired");
}

#[test]
fn without_a_broker_each_try_is_counted() {
    let docket = Instance::new();
    docket.hears(&event("task-created", 1, &absolute("09:00")));
    docket.clock(HOUR);
    docket
        .fake
        .world()
        .publishings
        .extend([Fault::Away, Fault::AnswerLost]);
    let wake = json!({ "account": "ann", "task_id": TASK });
    let (status, problem) = docket.ask("/job/x", &wake);
    assert_eq!((status, &problem["code"]), (503, &json!("unavailable")));
    docket.clock(HOUR + 5);
    let (status, _) = docket.ask(SWEEP, &json!({}));
    assert_eq!(status, 503);
    let ledger = docket.ledger(TASK);
    assert_eq!(
        (&ledger[0]["state"], &ledger[0]["attempts"]),
        (&json!("scheduled"), &json!(2))
    );
    docket.sweeps();
    let ledger = docket.ledger(TASK);
    assert_eq!(
        (&ledger[0]["state"], &ledger[0]["attempts"]),
        (&json!("fired"), &json!(3))
    );
    // The one whose answer was lost came twice, by one id.
    let (count, ids) = docket.published();
    assert_eq!((count, ids.len()), (2, 1));
}

#[test]
fn without_state_an_event_comes_again() {
    let docket = Instance::new();
    docket.fake.world().away = true;
    assert_eq!(
        docket.hears(&event("task-created", 1, &absolute("09:00"))),
        "RETRY"
    );
    docket.fake.world().away = false;
    assert_eq!(
        docket.hears(&event("task-created", 1, &absolute("09:00"))),
        "SUCCESS"
    );
    assert_eq!(docket.jobs().len(), 1);
}

/// A fault of each kind at each place of the way from an event to the firing, and whatever is asked again then, is.
#[test]
fn whatever_fails_on_the_way_each_reminder_fires_by_one_id() {
    for place in 0..6 {
        for fault in [Fault::Away, Fault::AnswerLost] {
            for what in 0..3 {
                let docket = Instance::new();
                let faults = (0..place).map(|_| Fault::None).chain([fault]);
                {
                    let mut world = docket.fake.world();
                    let world = &mut *world;
                    let kinds = [
                        &mut world.transactions,
                        &mut world.publishings,
                        &mut world.schedulings,
                    ];
                    kinds.into_iter().nth(what).unwrap().extend(faults);
                }
                for (seq, time) in [(1, "09:00"), (2, "10:00")] {
                    let kind = ["task-created", "task-updated"][seq as usize - 1];
                    while docket.hears(&event(kind, seq, &absolute(time))) != "SUCCESS" {}
                }
                for seconds in [HOUR, 2 * HOUR, 2 * HOUR + 5, 2 * HOUR + 10, 2 * HOUR + 70] {
                    docket.clock(seconds);
                    docket.scheduler_runs();
                    docket.ask(SWEEP, &json!({}));
                }
                docket.clock(2 * HOUR + 75);
                docket.sweeps();
                let told = format!("{what} {place} {fault:?}");
                assert_eq!(docket.published().1.len(), 1, "{told}");
                assert_eq!(docket.ledger(TASK)[0]["state"], "fired", "{told}");
                assert_eq!(docket.fake.keys("agenda:"), [""; 0], "{told}");
            }
        }
    }
}

#[test]
fn many_events_at_once_are_all_stored() {
    let docket = Instance::new();
    let events: Vec<Value> = (1..=40).map(|n| all_day(n, n)).collect();
    let answers = block_on(join_all(events.iter().map(|event| {
        let events = std::slice::from_ref(event);
        docket.send(EVENTS, APP_TOKEN, together(events).to_string())
    })));
    let again = answers
        .iter()
        .filter(|(_, answer)| verdicts(answer, 1) == ["RETRY"]);
    assert!(again.count() < 5);
    for event in &events {
        while docket.hears(event) != "SUCCESS" {}
    }
    assert_eq!(docket.jobs().len(), 40);
    docket.fake.world().jobs.clear();
    docket.clock(HOUR + 5);
    docket.sweeps();
    assert_eq!(docket.published().1.len(), 40);
}

#[test]
fn a_job_that_comes_a_little_early_waits() {
    let docket = Instance::new();
    docket.hears(&event("task-created", 1, &absolute("09:00")));
    docket.clock(HOUR);
    docket.fake.world().micros -= 300_000;
    let wake = json!({ "account": "ann", "task_id": TASK });
    assert_eq!(docket.ask("/job/x", &wake), (200, json!({ "fired": 1 })));
    let fired = docket.ledger(TASK)[0]["fired_at"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(fired.starts_with("2026-11-23T09:00:00.00"), "{fired}");
    for odd in [
        json!({}),
        json!({ "account": "a/b", "task_id": TASK }),
        json!(7),
    ] {
        assert!((400..500).contains(&docket.ask("/job/x", &odd).0), "{odd}");
    }
    let unknown = json!({ "account": "bob", "task_id": TASK });
    assert_eq!(docket.ask("/job/x", &unknown), (200, json!({ "fired": 0 })));
}

#[test]
fn settings_move_what_is_planned() {
    let docket = Instance::new();
    const TASKS: u64 = 100;
    for number in 1..=TASKS {
        docket.hears(&all_day(number, number));
    }
    docket.hears(&event("task-created", TASKS + 1, &absolute("09:00")));
    let set = |morning: &str, zone: &str| {
        let settings = json!({ "account": "ann", "morning": morning, "time_zone": zone });
        let (status, answer) = docket.ask(SETTINGS, &settings);
        assert_eq!(status, 200, "{answer}");
        answer["pending"].as_bool().unwrap()
    };
    let at = |due: &str| {
        docket
            .jobs()
            .iter()
            .filter(|(_, at)| at.contains(due))
            .count()
    };
    assert_eq!(at("T09:00:00"), TASKS as usize + 1);
    assert!(!set("07:30", "America/New_York"));
    assert_eq!((at("T12:30:00"), at("T09:00:00")), (TASKS as usize, 1));
    // Settings that are none.
    for (morning, zone) in [("24:00", "UTC"), ("09:00", "Moon")] {
        let settings = json!({ "account": "ann", "morning": morning, "time_zone": zone });
        assert!((400..500).contains(&docket.ask(SETTINGS, &settings).0));
    }
    // The state store goes away in the middle: the sweep goes on with the rest.
    let halfway: Vec<Fault> = (0..30)
        .map(|_| Fault::None)
        .chain([Fault::Away; 200])
        .collect();
    docket.fake.world().transactions.extend(halfway);
    assert!(set("07:30", "Europe/Berlin"));
    docket.fake.world().transactions.clear();
    assert!(at("T12:30:00") > 0);
    docket.clock(10);
    docket.sweeps();
    assert_eq!((at("T06:30:00"), at("T12:30:00")), (TASKS as usize, 0));
    // It is past that: all fire, once.
    docket.scheduler_runs();
    docket.clock(20);
    docket.sweeps();
    assert_eq!(docket.published().0, TASKS as usize);
    // New tasks follow the new settings from the beginning.
    let mut later = all_day(TASKS + 2, TASKS + 2);
    later["data"]["task"]["due"] = json!({ "date": "2026-11-24" });
    docket.hears(&later);
    assert_eq!(at("2026-11-24T06:30:00"), 1);
}

#[test]
fn a_notification_is_snoozed() {
    let docket = Instance::new();
    docket.hears(&event("task-created", 1, &absolute("09:00")));
    docket.clock(HOUR);
    docket.scheduler_runs();
    let snooze = |id: &str, time: &str| {
        let at = format!("2026-11-23T{time}:00Z");
        json!({ "account": "ann", "task_id": TASK, "notification_id": id, "at": at })
    };
    let taken = (200, json!({ "scheduled": true }));
    for time in ["09:10", "09:10", "09:20"] {
        assert_eq!(docket.ask(SNOOZE, &snooze("n1", time)), taken);
    }
    let name = format!("ann.{TASK}.snooze-n1");
    assert_eq!(
        docket.jobs(),
        [(name, "2026-11-23T09:20:00.000Z".to_owned())]
    );
    docket.clock(HOUR + 20 * 60);
    docket.scheduler_runs();
    assert_eq!(docket.ask(SNOOZE, &snooze("n1", "09:20")), taken);
    docket.scheduler_runs();
    let published = docket.fake.world().published.clone();
    assert_eq!(published.len(), 2);
    assert_eq!(published[1].1["data"]["snoozed"], "n1");
    // It ends with its task, though that has no reminder any more.
    docket.ask(SNOOZE, &snooze("n1", "10:00"));
    docket.hears(&event("task-completed", 2, &json!([])));
    assert!(docket.jobs().is_empty());
    let refused = (200, json!({ "scheduled": false }));
    assert_eq!(docket.ask(SNOOZE, &snooze("n2", "10:00")), refused);
    let mut unknown = snooze("n2", "10:00");
    unknown["account"] = "bob".into();
    assert_eq!(docket.ask(SNOOZE, &unknown), refused);
    for id in ["", "a/b", &"x".repeat(65)] {
        let (status, problem) = docket.ask(SNOOZE, &snooze(id, "10:00"));
        assert_eq!(
            (status, &problem["errors"][0]["pointer"]),
            (422, &json!("/notification_id"))
        );
    }
}

#[test]
fn a_task_that_moves_quickly_keeps_one_job_a_reminder() {
    let docket = Instance::new();
    for seq in 1..=100 {
        let reminders: Vec<Value> = (0..16)
            .map(|n| json!({ "id": format!("r{n}"), "at": format!("2026-11-23T{:02}:{:02}:00Z", 9 + n % 8, seq % 60) }))
            .collect();
        docket.hears(&event("task-updated", seq, &reminders.into()));
    }
    assert_eq!(docket.jobs().len(), 16);
    // Two reminders of one minute are one entry.
    assert_eq!(docket.fake.keys("agenda:").len(), 8);
}

#[test]
fn only_the_sidecar_asks() {
    let docket = Instance::new();
    let body = event("task-created", 1, &absolute("09:00")).to_string();
    for path in [EVENTS, SWEEP, SNOOZE, SETTINGS, LEDGER, "/job/x"] {
        for wrong in ["", "wrong", "to-the-sidecar"] {
            let (status, problem) = block_on(docket.send(path, wrong, body.clone()));
            assert_eq!(
                (status, &problem["code"]),
                (401, &json!("unauthorized")),
                "{path}"
            );
        }
    }
    assert!(docket.fake.world().state.is_empty());
}

fn deleted(account: &str) -> Value {
    let account = AccountId::parse(account).unwrap();
    let at = Instant::parse(NOW).unwrap();
    AccountDeleted { account, at }.cloud_event()
}

#[test]
fn a_deleted_account_is_forgotten_with_its_jobs_and_stays_so() {
    let instance = Instance::new();
    let fake = &instance.fake;
    let hears = |account: &str, number: u64, seq: u64| {
        let mut event = event("task-created", seq, &absolute("12:00"));
        event["data"]["account"] = account.into();
        task_of(&mut event, number);
        assert_eq!(instance.hears(&event), "SUCCESS");
    };
    for account in ["ann", "ben"] {
        (1..=20).for_each(|n| hears(account, n, n));
    }
    assert_eq!(instance.jobs().len(), 40);
    let forget = || {
        let (status, verdict) = instance.ask("/internal/reminders/accounts", &deleted("ann"));
        assert_eq!(status, 200);
        verdict["status"].as_str().unwrap().to_owned()
    };
    // The scheduler is away in the midst of it.
    fake.world()
        .schedulings
        .extend([Fault::None, Fault::None, Fault::Away]);
    assert_eq!(forget(), "RETRY");
    for _ in 0..2 {
        assert_eq!(forget(), "SUCCESS");
        assert_eq!(fake.keys("reminders:ann"), ["reminders:ann"]);
    }
    assert_eq!(instance.jobs().len(), 20);
    assert!(fake.keys("reminders:ben").len() > 20);

    // What was still under way plans nothing any more.
    hears("ann", 21, 21);
    let settings = json!({ "account": "ann", "morning": "07:00", "time_zone": "UTC" });
    assert_eq!(instance.ask(SETTINGS, &settings).0, 200);
    assert_eq!(fake.keys("reminders:ann"), ["reminders:ann"]);
    instance.clock(5 * HOUR);
    instance.scheduler_runs();
    instance.sweeps();
    let (published, _) = instance.published();
    assert_eq!(published, 20);
}
