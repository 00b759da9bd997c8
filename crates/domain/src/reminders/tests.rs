//! Plans by tables: what happens to a task, and what is planned after it.

use serde_json::{Map, Value, json};

use super::*;
use crate::reminder_due::ReminderDue;
use crate::{AccountId, Actor, ActorKind, Event, EventKind, Instant, TaskId};

fn at(text: &str) -> Instant {
    let full = if text.len() < 13 {
        let seconds = if text.len() == 5 { ":00" } else { "" };
        format!("2026-11-23T{text}{seconds}Z")
    } else {
        text.to_owned()
    };
    Instant::parse(&full).unwrap_or_else(|| panic!("{text}"))
}

fn settings(morning: &str, zone: &str) -> Settings {
    serde_json::from_value(json!({ "morning": morning, "time_zone": zone })).unwrap()
}

/// An event at a time of 23 November 2026, of a task with the fields of `task` beside the usual ones.
fn event(seq: u64, kind: EventKind, time: &str, task: &Value) -> Event {
    let mut whole = json!({
        "title": "Pay rent", "status": "open", "priority": "high", "tags": ["home"], "due": null,
        "reminders": [], "recurrence": null,
    });
    for (name, value) in task.as_object().unwrap() {
        whole[name] = value.clone();
    }
    if kind == EventKind::TaskCompleted {
        whole["status"] = "done".into();
    }
    Event {
        id: format!("e-{seq}"),
        kind,
        account: AccountId::parse("ann").unwrap(),
        seq,
        at: at(time),
        actor: Actor::new(ActorKind::Person, "ann"),
        task_id: TaskId::parse("0-90tj1f2kwhvp").unwrap(),
        changes: Map::new(),
        task: whole,
        kept: None,
    }
}

/// A plan and what happens to it.
struct Story {
    plan: Option<Plan>,
    settings: Settings,
    seq: u64,
}

impl Story {
    fn new() -> Self {
        Self {
            plan: None,
            settings: Settings::default(),
            seq: 0,
        }
    }

    fn hears(&mut self, kind: EventKind, time: &str, task: &Value) -> &mut Self {
        self.seq += 1;
        self.hears_again(self.seq, kind, time, task)
    }

    fn hears_again(&mut self, seq: u64, kind: EventKind, time: &str, task: &Value) -> &mut Self {
        let event = event(seq, kind, time, task);
        let state = TaskState::of(&event).unwrap();
        match &mut self.plan {
            Some(plan) => drop(plan.follow(&event, &state, &self.settings)),
            None => self.plan = Some(Plan::begin(&event, &state, &self.settings)),
        }
        self
    }

    fn created(&mut self, time: &str, task: &Value) -> &mut Self {
        self.hears(EventKind::TaskCreated, time, task)
    }

    fn updated(&mut self, time: &str, task: &Value) -> &mut Self {
        self.hears(EventKind::TaskUpdated, time, task)
    }

    fn plan(&mut self) -> &mut Plan {
        self.plan.as_mut().unwrap()
    }

    fn settles(&mut self, morning: &str, zone: &str) -> &mut Self {
        self.settings = settings(morning, zone);
        let settings = self.settings;
        self.plan().settle(&settings);
        self
    }

    /// Fires what is due; gives the reminders.
    fn fires(&mut self, time: &str) -> Vec<String> {
        let due = self.plan().due(at(time));
        self.plan().tried(&due, true);
        let id = |event: &ReminderDue| event.data.reminder_id.clone();
        due.iter().map(id).collect()
    }

    /// Each entry of the ledger: id, time and state.
    fn shows(&mut self, expected: &[&str]) -> &mut Self {
        let plan = self.plan();
        let ledger = plan.ledger();
        let shown: Vec<String> = ledger
            .iter()
            .map(|(entry, _)| {
                let instant = entry.instant.to_string();
                let instant = instant.strip_suffix(":00.000Z").unwrap_or(&instant);
                let instant = instant.strip_prefix("2026-11-23T").unwrap_or(instant);
                format!("{} {instant} {:?}", entry.id, entry.state)
            })
            .collect();
        assert_eq!(shown, expected);
        let stored = serde_json::to_string(plan).unwrap();
        assert_eq!(&serde_json::from_str::<Plan>(&stored).unwrap(), plan);
        self
    }
}

fn absolute(id: &str, time: &str) -> Value {
    json!({ "id": id, "at": at(time) })
}

fn before(id: &str, span: &str) -> Value {
    json!({ "id": id, "before": span })
}

fn due(time: &str) -> Value {
    json!({ "date": "2026-11-23", "time": time, "time_zone": "UTC" })
}

fn with(due: Value, reminders: &[Value]) -> Value {
    json!({ "due": due, "reminders": reminders })
}

#[test]
fn what_a_new_task_has() {
    let both = [before("b", "PT30M"), absolute("a", "09:15")];
    for (task, expected) in [
        (json!({}), &[][..]),
        (with(Value::Null, &both), &["a 09:15 Scheduled"]),
        (
            with(due("10:00"), &both),
            &["a 09:15 Scheduled", "b 09:30 Scheduled"],
        ),
        // Of the past: not a minute ago, and a minute ago.
        (
            with(Value::Null, &[absolute("a", "07:59:01")]),
            &["a 07:59:01.000Z Scheduled"],
        ),
        (
            with(Value::Null, &[absolute("a", "07:59")]),
            &["a 07:59 Past"],
        ),
        (with(due("08:15"), &both[..1]), &["b 07:45 Past"]),
    ] {
        Story::new().created("08:00:00", &task).shows(expected);
    }
}

#[test]
fn what_was_imported_from_long_ago_does_not_fire() {
    let old = json!({ "date": "2019-05-01" });
    let mut story = Story::new();
    story.created("08:00:00", &with(old, &[before("b", "P1D")]));
    assert!(story.fires("08:00:01").is_empty());
    story.shows(&["b 2019-04-30T09:00 Past"]);
    // Done ones too, of the past or not.
    let mut done = with(due("10:00"), &[before("b", "PT30M")]);
    done["status"] = "done".into();
    Story::new()
        .created("08:00:00", &done)
        .shows(&["b 09:30 Cancelled"]);
}

#[test]
fn what_became_due_while_everything_was_down_fires() {
    let mut story = Story::new();
    // The event is taken in hours after the change, and after its reminder's time.
    story.created("08:00:00", &with(due("10:00"), &[before("b", "PT30M")]));
    assert_eq!(story.fires("17:00:00"), ["b"]);
    assert!(story.fires("17:00:00").is_empty());
    story.shows(&["b 09:30 Fired"]);
}

#[test]
fn what_moves_is_set_anew() {
    let mut story = Story::new();
    let task = |time: &str, span: &str| with(due(time), &[before("b", span)]);
    story
        .created("08:00:00", &task("10:00", "PT30M"))
        .updated("08:01:00", &task("11:00", "PT30M"))
        .shows(&["b 10:30 Scheduled"])
        .updated("08:02:00", &task("11:00", "PT1H"))
        .shows(&["b 10:00 Scheduled"])
        // Into the past; and back.
        .updated("08:03:00", &task("08:30", "PT1H"))
        .shows(&["b 07:30 Past"])
        .updated("08:04:00", &task("09:30", "PT1H"))
        .shows(&["b 08:30 Scheduled"]);
    assert_eq!(story.fires("08:30:00"), ["b"]);
    // What fired is remembered, and fires again at another time.
    story
        .updated("08:31:00", &task("10:30", "PT1H"))
        .shows(&["b 08:30 Fired", "b 09:30 Scheduled"]);
    assert_eq!(story.fires("09:30:00"), ["b"]);
    // Neither another title nor the same instant by another way does that.
    story
        .updated("09:31:00", &task("10:30", "PT1H"))
        .updated("09:32:00", &task("10:00", "PT30M"))
        .shows(&["b 08:30 Fired", "b 09:30 Fired"]);
    assert!(story.fires("23:00:00").is_empty());
}

#[test]
fn what_is_taken_away_does_not_fire() {
    let mut story = Story::new();
    let two = [absolute("a", "09:00"), absolute("b", "10:00")];
    story.created("08:00:00", &with(Value::Null, &two));
    assert_eq!(story.fires("09:00:00"), ["a"]);
    story
        .updated("09:30:00", &with(Value::Null, &[]))
        .shows(&["a 09:00 Fired"]);
    assert!(story.fires("10:00:00").is_empty());
    // A due date that goes takes what was before it along.
    Story::new()
        .created("08:00:00", &with(due("10:00"), &[before("b", "PT30M")]))
        .updated("08:01:00", &with(Value::Null, &[before("b", "PT30M")]))
        .shows(&[])
        .updated("08:02:00", &with(due("10:00"), &[before("b", "PT30M")]))
        .shows(&["b 09:30 Scheduled"]);
}

#[test]
fn done_reopened_deleted_and_restored() {
    let task = with(
        Value::Null,
        &[absolute("a", "09:00"), absolute("b", "10:00")],
    );
    let mut story = Story::new();
    story.created("08:00:00", &task);
    assert_eq!(story.fires("09:00:00"), ["a"]);
    story
        .hears(EventKind::TaskCompleted, "09:30:00", &task)
        .shows(&["a 09:00 Fired", "b 10:00 Cancelled"]);
    assert!(story.fires("10:00:00").is_empty());
    // Opened again in time, deleted, restored in time: as if set then. What has fired does not fire again.
    story
        .hears(EventKind::TaskReopened, "09:45:00", &task)
        .shows(&["a 09:00 Fired", "b 10:00 Scheduled"])
        .hears(EventKind::TaskDeleted, "09:50:00", &task)
        .shows(&["a 09:00 Fired", "b 10:00 Cancelled"])
        .created("09:55:00", &task)
        .shows(&["a 09:00 Fired", "b 10:00 Scheduled"])
        // Too late.
        .hears(EventKind::TaskCompleted, "09:59:00", &task)
        .hears(EventKind::TaskReopened, "10:30:00", &task)
        .shows(&["a 09:00 Fired", "b 10:00 Past"]);
    assert!(story.fires("23:00:00").is_empty());
}

#[test]
fn events_again_and_out_of_order_change_nothing() {
    let first = with(Value::Null, &[absolute("a", "09:00")]);
    let second = with(Value::Null, &[absolute("a", "10:00")]);
    let mut story = Story::new();
    story
        .hears_again(2, EventKind::TaskUpdated, "08:01:00", &second)
        .hears_again(1, EventKind::TaskCreated, "08:00:00", &first)
        .hears_again(2, EventKind::TaskUpdated, "08:01:00", &second)
        .shows(&["a 10:00 Scheduled"]);
    assert_eq!(story.fires("10:00:00"), ["a"]);
    story
        .hears_again(2, EventKind::TaskUpdated, "08:01:00", &second)
        .shows(&["a 10:00 Fired"]);
    let event = |seq, task| event(seq, EventKind::TaskUpdated, "08:00:00", task);
    let follow = |story: &mut Story, event: Event| {
        let state = TaskState::of(&event).unwrap();
        let settings = story.settings;
        story.plan().follow(&event, &state, &settings)
    };
    assert_eq!(follow(&mut story, event(1, &first)), Followed::Stale);
    assert_eq!(follow(&mut story, event(2, &second)), Followed::Again);
    assert_eq!(follow(&mut story, event(3, &second)), Followed::New);
    // What was deleted stays so, whatever comes late.
    story
        .hears_again(4, EventKind::TaskDeleted, "08:02:00", &second)
        .hears_again(3, EventKind::TaskUpdated, "08:01:00", &first)
        .shows(&["a 10:00 Fired"]);
}

#[test]
fn settings_move_what_they_are_asked_for() {
    let day = json!({ "date": "2026-11-23" });
    let floating = json!({ "date": "2026-11-23", "time": "12:00" });
    let mut story = Story::new();
    story
        .created("08:00:00", &with(day.clone(), &[before("b", "PT0S")]))
        .settles("10:00", "UTC")
        .shows(&["b 10:00 Scheduled"])
        .settles("10:00", "America/New_York")
        .shows(&["b 15:00 Scheduled"])
        // To where it is past: nobody was reminded, so it fires now.
        .settles("07:00", "Europe/Berlin")
        .shows(&["b 06:00 Scheduled"]);
    assert_eq!(story.fires("08:03:00"), ["b"]);
    // What fired stays so, though the title changes too.
    story
        .settles("20:00", "UTC")
        .updated("08:05:00", &with(day.clone(), &[before("b", "PT0S")]))
        .shows(&["b 06:00 Fired"]);
    assert!(!story.plan().depends_on_settings());
    // What was past when it was set waits for the next change of its task.
    Story::new()
        .created("12:00:00", &with(day.clone(), &[before("b", "PT0S")]))
        .settles("18:00", "UTC")
        .shows(&["b 09:00 Past"])
        .updated("12:02:00", &with(day.clone(), &[before("b", "PT0S")]))
        .shows(&["b 18:00 Scheduled"]);
    // The settings have moved an earlier reminder into the past, and an event comes before it is settled.
    let mut story = Story::new();
    story.created("08:00:00", &with(day.clone(), &[before("b", "PT0S")]));
    story.settings = settings("07:00", "UTC");
    story
        .updated("08:30:00", &with(day, &[before("b", "PT0S")]))
        .shows(&["b 07:00 Scheduled"]);
    // Only what is open moves: a zone of its own keeps a time, a time of its own its morning.
    let mut story = Story::new();
    let reminders = [before("b", "PT1H"), absolute("a", "09:00")];
    story
        .created("08:00:00", &with(floating, &reminders))
        .settles("06:00", "America/New_York")
        .shows(&["a 09:00 Scheduled", "b 16:00 Scheduled"]);
    assert!(story.plan().depends_on_settings());
    story
        .updated("08:02:00", &with(due("12:00"), &reminders))
        .settles("06:00", "Asia/Tokyo")
        .shows(&["a 09:00 Scheduled", "b 11:00 Scheduled"]);
    assert!(!story.plan().depends_on_settings());
}

#[test]
fn a_clock_set_back_fires_nothing_twice() {
    let mut story = Story::new();
    story.created("08:00:00", &with(Value::Null, &[absolute("a", "09:00")]));
    assert_eq!(story.fires("09:00:00"), ["a"]);
    assert!(story.fires("08:00:00").is_empty());
    assert!(story.fires("09:00:00").is_empty());
}

#[test]
fn snoozed_notifications_come_again() {
    let task = with(Value::Null, &[absolute("a", "09:00")]);
    let mut story = Story::new();
    story.created("08:00:00", &task);
    assert_eq!(story.fires("09:00:00"), ["a"]);
    assert!(story.plan().snooze("n1", at("09:10")));
    // The same again, another time, and the one before again.
    assert!(story.plan().snooze("n1", at("09:10")));
    assert!(story.plan().snooze("n1", at("09:20")));
    assert!(story.plan().snooze("n2", at("09:30")));
    story.shows(&[
        "a 09:00 Fired",
        "snooze-n1 09:20 Scheduled",
        "snooze-n2 09:30 Scheduled",
    ]);
    let fired = story.plan().due(at("09:20"));
    assert_eq!(fired[0].data.snoozed.as_deref(), Some("n1"));
    assert_eq!(story.fires("09:20:00"), ["snooze-n1"]);
    // A change of the task leaves them; what has fired is not asked for again.
    assert!(
        story
            .updated("09:21:00", &task)
            .plan()
            .snooze("n1", at("09:20"))
    );
    assert!(story.plan().snooze("n1", at("09:25")));
    assert!(story.plan().snooze("n1", at("09:20")));
    story
        .hears(EventKind::TaskCompleted, "09:22:00", &task)
        .shows(&[
            "a 09:00 Fired",
            "snooze-n1 09:20 Fired",
            "snooze-n1 09:25 Cancelled",
            "snooze-n2 09:30 Cancelled",
        ]);
    assert!(!story.plan().snooze("n3", at("09:40")));
    assert!(story.plan().snooze("n1", at("09:20")), "it was, before");
    story.hears(EventKind::TaskReopened, "09:23:00", &task);
    assert!(story.fires("23:00:00").is_empty());
    let taken = (0..20).filter(|n| story.plan().snooze(&format!("m{n}"), at("23:30")));
    assert_eq!(taken.count(), 16);
}

#[test]
fn a_plan_stays_small() {
    let mut story = Story::new();
    let task = |minute: usize| {
        let reminders: Vec<Value> = (0..16)
            .map(|n| absolute(&format!("r{n}"), &format!("09:{:02}:{n:02}", minute % 60)))
            .collect();
        with(Value::Null, &reminders)
    };
    story.created("08:00:00", &task(0));
    for minute in 1..100 {
        if minute % 10 == 0 {
            let fired = story.fires("10:00:00").len();
            assert_eq!(fired, 16);
        }
        story.updated("08:00:01", &task(minute));
    }
    let plan = story.plan();
    assert_eq!((plan.ledger().len(), plan.jobs().len()), (16 + 32, 16));
    assert!(serde_json::to_string(plan).unwrap().len() < 8_000);
}

#[test]
fn the_event_says_what_the_task_is() {
    let mut task = with(due("10:00"), &[before("b", "PT30M")]);
    task["recurrence"] = json!({ "rule": "daily", "from": "due", "series_id": "s", "index": 3 });
    let mut story = Story::new();
    story.created("08:00:00", &task);
    let events = story.plan().due(at("09:30:00.040"));
    let event = events[0].cloud_event();
    assert_eq!(
        event["data"],
        json!({
            "account": "ann", "task_id": "0-90tj1f2kwhvp", "reminder_id": "b", "occurrence": 3,
            "at": "2026-11-23T09:30:00.000Z", "fired_at": "2026-11-23T09:30:00.040Z",
            "title": "Pay rent", "due": due("10:00"), "due_at": "2026-11-23T10:00:00.000Z",
            "priority": "high", "tags": ["home"],
        })
    );
    // A try that failed, and one that did not.
    let plan = story.plan();
    plan.tried(&events, false);
    assert_eq!(plan.due(at("09:31:00"))[0].id, events[0].id);
    plan.tried(&events, true);
    let ledger = plan.ledger();
    let (entry, id) = ledger[0].clone();
    assert_eq!(
        (entry.attempts, entry.fired_at),
        (2, Some(at("09:30:00.040")))
    );
    assert_eq!(id, events[0].id);
}

#[test]
fn jobs_have_names_that_urls_can_have() {
    let long = "x".repeat(65);
    for (id, name) in [
        ("xh989w25", "ann.0-90tj1f2kwhvp.xh989w25"),
        ("../x?#", "ann.0-90tj1f2kwhvp.~6abwfjjsbxbaw"),
        ("", "ann.0-90tj1f2kwhvp.~e7c648acfr70m"),
        (long.as_str(), "ann.0-90tj1f2kwhvp.~9ady5zqrj0j1f"),
    ] {
        let task = with(Value::Null, &[absolute(id, "09:00")]);
        let mut story = Story::new();
        let jobs = story.created("08:00:00", &task).plan().jobs();
        assert_eq!(
            jobs.into_iter().collect::<Vec<_>>(),
            [(name.to_owned(), at("09:00"))]
        );
    }
}

#[test]
fn only_what_can_matter_is_looked_at() {
    let some = with(Value::Null, &[absolute("a", "09:00")]);
    let none = json!({});
    use EventKind::{TaskCompleted, TaskCreated, TaskDeleted, TaskReopened, TaskUpdated};
    for (kind, task, changed, matters) in [
        (TaskCreated, &some, false, true),
        (TaskCreated, &none, false, false),
        (TaskUpdated, &none, false, false),
        (TaskUpdated, &none, true, true),
        (TaskUpdated, &some, false, true),
        (TaskReopened, &none, false, false),
        (TaskCompleted, &none, false, true),
        (TaskDeleted, &none, false, true),
    ] {
        let mut event = event(1, kind, "08:00:00", task);
        if changed {
            let change = json!({ "from": [absolute("a", "09:00")], "to": [] });
            event.changes.insert("reminders".to_owned(), change);
        }
        let state = TaskState::of(&event).unwrap();
        assert_eq!(state.matters(&event), matters, "{kind:?} {task} {changed}");
    }
    for wrong in [json!({}), json!([]), Value::Null, json!({ "title": 7 })] {
        let mut event = event(1, TaskCreated, "08:00:00", &none);
        event.task = wrong;
        assert!(TaskState::of(&event).is_err());
    }
}
