//! What commands do to an account's tasks.

use serde_json::json;

use super::*;
use crate::due::Due;
use crate::event::CloudEvent as _;
use crate::recurrence::{Following, Recurrence, Start};
use crate::{ActorKind, FieldErrorCode, Known};

const NOW: &str = "2026-11-23T08:00:00Z";

fn context(n: u128) -> Context {
    Context {
        account: AccountId::parse("ann").unwrap(),
        actor: Actor::new(ActorKind::Person, "ann"),
        now: Instant::parse(NOW).unwrap().plus_millis(n as i64),
        entropy: Entropy(n),
        if_version: None,
        check_rule,
        allowance: Default::default(),
    }
}

/// As little of a planner as these tests need.
fn check_rule(rule: &str) -> Result<String, String> {
    match rule.trim() {
        "FREQ=SOMETIMES" => Err("not a rule".to_owned()),
        rule => Ok(rule.to_owned()),
    }
}

fn input(json: serde_json::Value) -> TaskInput {
    serde_json::from_value(json).unwrap()
}

fn create(shelf: &mut Shelf, n: u128, json: serde_json::Value) -> Task {
    shelf
        .apply(&Command::Create(input(json)), &context(n))
        .unwrap()
        .tasks
        .remove(0)
}

/// A shelf with `count` tasks, every third done.
fn filled(count: u128) -> (Shelf, Vec<TaskId>) {
    let mut shelf = Shelf::default();
    let ids: Vec<TaskId> = (0..count)
        .map(|n| create(&mut shelf, n, json!({ "title": format!("task {n}") })).id)
        .collect();
    for (n, id) in ids.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
        shelf
            .apply(&Command::Complete(*id), &context(n as u128))
            .unwrap();
    }
    (shelf, ids)
}

#[test]
fn a_new_task_has_its_defaults_and_its_event() {
    let mut shelf = Shelf::default();
    let applied = shelf
        .apply(
            &Command::Create(input(json!({ "title": "  Milk " }))),
            &context(1),
        )
        .unwrap();
    let task = &applied.tasks[0];
    assert_eq!(
        (task.title.as_str(), task.priority, task.status()),
        ("Milk", Priority::Medium, Status::Open)
    );
    assert_eq!((task.seq, task.created_seq, shelf.book.seq), (1, 1, 1));
    let event = &applied.events[0];
    assert_eq!(
        (event.kind, event.seq, event.task_id),
        (EventKind::TaskCreated, 1, task.id)
    );
    assert_eq!(event.task["title"], "Milk");
    assert!(event.changes.is_empty());
}

#[test]
fn a_patch_changes_what_it_names_and_says_what_changed() {
    let mut shelf = Shelf::default();
    let due = json!({ "date": "2026-12-01", "time": "09:00", "time_zone": "Europe/Berlin" });
    let task = create(
        &mut shelf,
        1,
        json!({ "title": "Rent", "tags": ["home"], "due": due }),
    );
    for (patch, changed) in [
        (json!({}), vec![]),
        (json!({ "title": "Rent" }), vec![]),
        (json!({ "due": { "time": "10:00" } }), vec!["due"]),
        (
            json!({ "due": { "time": null, "time_zone": null } }),
            vec!["due"],
        ),
        (
            json!({ "due": null, "description": "cash" }),
            vec!["description", "due"],
        ),
        (
            json!({ "tags": null, "priority": "high", "position": 7 }),
            vec!["position", "priority", "tags"],
        ),
        (
            json!({ "reminders": [{ "at": "2026-12-01T00:00:00Z" }] }),
            vec!["reminders"],
        ),
        (
            json!({ "recurrence": { "rule": "monthly" } }),
            vec!["recurrence"],
        ),
        (
            json!({ "recurrence": { "from": "completion" } }),
            vec!["recurrence"],
        ),
    ] {
        let before = shelf.book.seq;
        let applied = shelf
            .apply(&Command::Update(task.id, input(patch.clone())), &context(2))
            .unwrap();
        let names: Vec<&str> = applied
            .events
            .iter()
            .flat_map(|e| e.changes.keys().map(String::as_str))
            .collect();
        assert_eq!(names, changed, "{patch}");
        assert_eq!(
            shelf.book.seq - before,
            u64::from(!changed.is_empty()),
            "{patch}"
        );
    }
    let recurrence = shelf.task(task.id).unwrap().recurrence.clone().unwrap();
    assert_eq!((recurrence.rule.as_str(), recurrence.index), ("monthly", 1));
}

#[test]
fn a_series_remembers_where_it_began_until_it_begins_anew() {
    let start = || Start {
        index: 1,
        due: serde_json::from_value(json!({ "date": "2026-10-31" })).unwrap(),
    };
    let mut shelf = Shelf::default();
    let fields = json!({ "title": "Rent", "due": { "date": "2026-11-30" }, "recurrence": { "rule": "monthly" } });
    let id = create(&mut shelf, 1, fields).id;
    for (patch, remembered) in [
        (json!({ "title": "The rent" }), true),
        (json!({ "recurrence": { "from": "completion" } }), true),
        (
            json!({ "recurrence": { "rule": "monthly" }, "due": { "date": "2026-11-30" } }),
            true,
        ),
        (json!({ "recurrence": { "rule": "weekly" } }), false),
        (json!({ "due": { "time": "10:00" } }), false),
        (json!({ "due": null }), false),
    ] {
        shelf.book.newest.tasks[0]
            .recurrence
            .as_mut()
            .unwrap()
            .start = Some(start());
        let applied = shelf
            .apply(&Command::Update(id, input(patch.clone())), &context(2))
            .unwrap();
        let recurrence = applied.tasks[0].recurrence.clone().unwrap();
        assert_eq!(recurrence.start, remembered.then(start), "{patch}");
        assert_eq!(recurrence.index, 1);
    }
}

#[test]
fn every_field_that_breaks_a_rule_is_named() {
    let many: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let long = "x".repeat(501);
    for (body, pointer, code) in [
        (json!({}), "/title", FieldErrorCode::Required),
        (json!({ "title": null }), "/title", FieldErrorCode::Required),
        (
            json!({ "title": " \t " }),
            "/title",
            FieldErrorCode::Required,
        ),
        (json!({ "title": long }), "/title", FieldErrorCode::TooLong),
        (
            json!({ "title": "a\nb" }),
            "/title",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "description": "\0" }),
            "/description",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "description": "x".repeat(8_001) }),
            "/description",
            FieldErrorCode::TooLong,
        ),
        (
            json!({ "title": "a", "priority": "urgent" }),
            "/priority",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "tags": many }),
            "/tags",
            FieldErrorCode::TooMany,
        ),
        (
            json!({ "title": "a", "tags": ["ok", "not ok"] }),
            "/tags/1",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "tags": [""] }),
            "/tags/0",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "due": {} }),
            "/due/date",
            FieldErrorCode::Required,
        ),
        (
            json!({ "title": "a", "due": { "date": "2026-13-01" } }),
            "/due/date",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "due": { "date": "10000-01-01" } }),
            "/due/date",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "due": { "date": "2026-12-01", "time": "25:00" } }),
            "/due/time",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "due": { "date": "2026-12-01", "time": "09:00", "time_zone": "Mars/Olympus" } }),
            "/due/time_zone",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "due": { "date": "2026-12-01", "time_zone": "UTC" } }),
            "/due/time",
            FieldErrorCode::Required,
        ),
        (
            json!({ "title": "a", "reminders": [{}] }),
            "/reminders/0",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "reminders": [{ "at": "soon" }] }),
            "/reminders/0/at",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "reminders": [{ "before": "P9Y" }] }),
            "/reminders/0/before",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "reminders": [{ "id": "z", "before": "PT1M" }] }),
            "/reminders/0/id",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "recurrence": {} }),
            "/recurrence/rule",
            FieldErrorCode::Required,
        ),
        (
            json!({ "title": "a", "recurrence": { "rule": "FREQ=SOMETIMES" } }),
            "/recurrence/rule",
            FieldErrorCode::Invalid,
        ),
        (
            json!({ "title": "a", "recurrence": { "rule": "daily", "from": "now" } }),
            "/recurrence/from",
            FieldErrorCode::Invalid,
        ),
    ] {
        let mut shelf = Shelf::default();
        let rejection = shelf
            .apply(&Command::Create(input(body.clone())), &context(1))
            .unwrap_err();
        let Rejection::Invalid(errors) = rejection else {
            panic!("{body}: {rejection:?}")
        };
        assert_eq!(errors.len(), 1, "{body}: {errors:?}");
        assert_eq!(
            (errors[0].pointer.as_str(), errors[0].code),
            (pointer, code),
            "{body}"
        );
    }
    let two = input(json!({ "priority": "urgent" }));
    let rejection = Shelf::default()
        .apply(&Command::Create(two), &context(1))
        .unwrap_err();
    assert!(matches!(rejection, Rejection::Invalid(errors) if errors.len() == 2));
}

#[test]
fn completing_and_reopening_twice_is_completing_and_reopening_once() {
    let mut shelf = Shelf::default();
    let id = create(&mut shelf, 1, json!({ "title": "a" })).id;
    for (command, events, done) in [
        (Command::Reopen(id), 0, false),
        (Command::Complete(id), 1, true),
        (Command::Complete(id), 0, true),
        (Command::Reopen(id), 1, false),
    ] {
        let applied = shelf.apply(&command, &context(9)).unwrap();
        assert_eq!(
            (
                applied.events.len(),
                applied.tasks[0].completed_at.is_some()
            ),
            (events, done),
            "{command:?}"
        );
    }
}

#[test]
fn a_stale_version_or_an_unknown_task_changes_nothing() {
    let mut shelf = Shelf::default();
    let id = create(&mut shelf, 1, json!({ "title": "a" })).id;
    let stale = Context {
        if_version: Some(7),
        ..context(2)
    };
    assert_eq!(
        shelf.apply(&Command::Delete(id), &stale),
        Err(Rejection::Stale { current: 1 })
    );
    let unknown = TaskId::new(0, 42);
    assert_eq!(
        shelf.apply(&Command::Delete(unknown), &context(2)),
        Err(Rejection::NotFound)
    );
    assert_eq!(
        shelf.apply(&Command::Complete(TaskId::new(9, 1)), &context(2)),
        Err(Rejection::NotFound)
    );
    assert_eq!(shelf.book.seq, 1);
}

#[test]
fn a_deleted_task_leaves_a_tombstone() {
    let mut shelf = Shelf::default();
    let id = create(&mut shelf, 1, json!({ "title": "a" })).id;
    let applied = shelf.apply(&Command::Delete(id), &context(2)).unwrap();
    assert_eq!(
        (applied.events[0].kind, applied.events[0].seq),
        (EventKind::TaskDeleted, 2)
    );
    assert_eq!(applied.events[0].task["title"], "a");
    assert_eq!(shelf.book.newest.deleted, [Tombstone(2, id)]);
    assert_eq!(shelf.book.total(None), 0);
    assert_eq!(
        shelf.apply(&Command::Delete(id), &context(3)),
        Err(Rejection::NotFound)
    );
}

#[test]
fn segments_close_when_full_and_the_directory_tells_the_truth() {
    let (mut shelf, ids) = filled(200);
    assert_eq!(shelf.book.newest_number(), 3);
    assert_eq!(shelf.book.total(Some(Status::Done)), 67);
    assert_eq!(shelf.book.total(Some(Status::Open)), 133);
    assert_eq!(shelf.changed, BTreeSet::from([0, 1, 2]));
    for (number, closed) in shelf.book.closed.iter().enumerate() {
        assert_eq!(*closed, shelf.segments[&(number as u32)].summary());
    }
    let first = ids[0];
    shelf.changed.clear();
    shelf.apply(&Command::Reopen(first), &context(500)).unwrap();
    assert_eq!(shelf.changed, BTreeSet::from([0]));
    assert_eq!(shelf.book.total(Some(Status::Open)), 134);
    // A shelf without the segment says which one it misses.
    let fresh = Shelf::new(shelf.book.clone());
    assert_eq!(fresh.missing(&Command::Delete(first)), [0]);
    assert!(fresh.missing(&Command::Delete(ids[199])).is_empty());
    assert!(
        fresh
            .missing(&Command::Delete(TaskId::new(u32::MAX, 1)))
            .is_empty()
    );
    assert_eq!(
        fresh.missing(&Command::Import {
            tasks: Vec::new(),
            scanned: 1
        }),
        [1, 2]
    );
    assert!(
        fresh
            .missing(&Command::Create(TaskInput::default()))
            .is_empty()
    );
    assert!(shelf.missing(&Command::Delete(first)).is_empty());
}

#[test]
fn large_tasks_close_a_segment_by_its_bytes() {
    let mut shelf = Shelf::default();
    for n in 0..8 {
        create(
            &mut shelf,
            n,
            json!({ "title": "big", "description": "x".repeat(8_000) }),
        );
    }
    assert_eq!(shelf.book.newest_number(), 2);
    let book = serde_json::to_vec(&shelf.book).unwrap();
    assert!(book.len() < 2 * SEGMENT_BYTES, "{}", book.len());
}

#[test]
fn stored_documents_survive_the_round_trip() {
    let (mut shelf, _) = filled(70);
    create(
        &mut shelf,
        900,
        json!({
            "title": "all", "description": "d", "priority": "low", "tags": ["a", "b"], "position": 1.5,
            "due": { "date": "2026-12-01", "time": "09:00", "time_zone": "Asia/Karachi" },
            "reminders": [{ "before": "PT30M" }, { "at": "2026-12-01T00:00:00Z" }],
            "recurrence": { "rule": "FREQ=WEEKLY;BYDAY=MO", "from": "completion" },
        }),
    );
    shelf.seal(Taken {
        slot: 3,
        change: "c".to_owned(),
    });
    let book: Book = serde_json::from_slice(&serde_json::to_vec(&shelf.book).unwrap()).unwrap();
    assert_eq!(book, shelf.book);
    let segment: Segment =
        serde_json::from_slice(&serde_json::to_vec(&shelf.segments[&0]).unwrap()).unwrap();
    assert_eq!(segment, shelf.segments[&0]);
}

#[test]
fn the_book_remembers_the_last_changes_and_the_last_slot() {
    let mut shelf = Shelf::default();
    let taken = |n: u16| Taken {
        slot: n,
        change: n.to_string(),
    };
    assert_eq!(shelf.seal(taken(0)), None);
    for n in 1..100 {
        assert_eq!(shelf.seal(taken(n)), Some(taken(n - 1)));
    }
    assert_eq!(shelf.book.recent.len(), RECENT);
    assert_eq!(shelf.book.recent.last().map(String::as_str), Some("99"));
}

#[test]
fn an_import_adds_nothing_twice() {
    let mut shelf = Shelf::default();
    let new = |token, title: &str| NewTask {
        input: input(json!({ "title": title })),
        token,
        ..NewTask::default()
    };
    let import = |tasks| Command::Import { tasks, scanned: 0 };
    let command = import((0..100).map(|n| new(n, "t")).collect());
    assert_eq!(shelf.apply(&command, &context(1)).unwrap().tasks.len(), 100);
    let again = shelf.apply(&command, &context(2)).unwrap();
    assert_eq!(
        (again.tasks.len(), again.events.len(), again.skipped),
        (0, 0, 100)
    );
    let twice = import(vec![new(500, "t"), new(500, "t")]);
    assert_eq!(shelf.apply(&twice, &context(3)).unwrap().skipped, 1);
}

#[test]
fn a_batch_does_its_operations_in_order() {
    let (mut shelf, ids) = filled(130);
    shelf.changed.clear();
    let before = shelf.book.seq;
    let new = |n| Command::Create(input(json!({ "title": format!("new {n}") })));
    let mut commands = vec![
        Command::Update(ids[1], input(json!({ "title": "once" }))),
        Command::Update(ids[1], input(json!({ "title": "twice" }))),
        Command::Complete(ids[1]),
        Command::Complete(ids[1]),
        Command::Delete(ids[70]),
    ];
    // The inline segment gets full in the middle.
    commands.extend((0..70).map(new));
    commands.push(Command::Reopen(ids[1]));
    let batch = Command::Batch(commands);
    assert_eq!(Shelf::new(shelf.book.clone()).missing(&batch), [0, 1]);
    let applied = shelf.apply(&batch, &context(5_000)).unwrap();
    assert_eq!((applied.tasks.len(), applied.events.len()), (76, 75));
    let seqs: Vec<u64> = applied.events.iter().map(|event| event.seq).collect();
    assert_eq!(seqs, (before + 1..=before + 75).collect::<Vec<_>>());
    let titles: Vec<&str> = applied
        .tasks
        .iter()
        .take(3)
        .map(|task| task.title.as_str())
        .collect();
    assert_eq!(titles, ["once", "twice", "twice"]);
    assert_eq!(shelf.task(ids[1]).unwrap().status(), Status::Open);
    assert_eq!(shelf.task(ids[70]), None);
    assert_eq!(
        (shelf.book.newest_number(), shelf.book.total(None)),
        (3, 199)
    );
    assert_eq!(shelf.changed, BTreeSet::from([0, 1, 2]));
    let mut different: Vec<&str> = applied
        .events
        .iter()
        .map(|event| event.id.as_str())
        .collect();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 75);
    let made: HashSet<TaskId> = applied.tasks[5..75].iter().map(|task| task.id).collect();
    assert_eq!(made.len(), 70);
}

#[test]
fn a_batch_tells_what_is_wrong_with_each_operation() {
    let mut shelf = Shelf::default();
    let id = create(&mut shelf, 1, json!({ "title": "a" })).id;
    let batch = Command::Batch(vec![
        Command::Create(input(json!({ "title": "good" }))),
        Command::Create(input(json!({ "title": "a\nb", "tags": ["x y"] }))),
        Command::Complete(TaskId::new(0, 42)),
        Command::Delete(id),
        Command::Update(id, input(json!({ "title": "gone by now" }))),
    ]);
    let Err(Rejection::Invalid(errors)) = shelf.apply(&batch, &context(2)) else {
        panic!()
    };
    let told: Vec<(&str, FieldErrorCode)> = errors
        .iter()
        .map(|error| (error.pointer.as_str(), error.code))
        .collect();
    assert_eq!(
        told,
        [
            ("/operations/1/task/title", FieldErrorCode::Invalid),
            ("/operations/1/task/tags/0", FieldErrorCode::Invalid),
            ("/operations/2/id", FieldErrorCode::NotFound),
            ("/operations/4/id", FieldErrorCode::NotFound),
        ]
    );
    let many = vec![Command::Create(TaskInput::default()); 200];
    let Err(Rejection::Invalid(errors)) =
        Shelf::default().apply(&Command::Batch(many), &context(3))
    else {
        panic!()
    };
    assert_eq!(errors.len(), 100);
    shelf.book.closed = vec![Closed(MAX_TASKS as u32, 0, 9, 1)];
    let full = Command::Batch(vec![Command::Create(input(json!({ "title": "a" })))]);
    assert_eq!(
        shelf.apply(&full, &context(4)),
        Err(Rejection::Full { max: MAX_TASKS })
    );
}

#[test]
fn an_account_has_its_limit() {
    let mut shelf = Shelf::default();
    shelf.book.closed = vec![Closed(MAX_TASKS as u32, 0, 9, 1)];
    let rejection = shelf
        .apply(
            &Command::Create(input(json!({ "title": "a" }))),
            &context(1),
        )
        .unwrap_err();
    assert_eq!(rejection, Rejection::Full { max: MAX_TASKS });
}

#[test]
fn an_account_has_at_most_so_many_tags() {
    let mut shelf = Shelf::default();
    let mut ids = Vec::new();
    for n in 0..MAX_ACCOUNT_TAGS / 10 {
        let tags: Vec<String> = (0..10).map(|i| format!("t{n}.{i}")).collect();
        ids.push(create(&mut shelf, n as u128, json!({ "title": "a", "tags": tags })).id);
    }
    assert_eq!(shelf.book.tags.len(), MAX_ACCOUNT_TAGS);
    for command in [
        Command::Create(input(json!({ "title": "a", "tags": ["one-more"] }))),
        Command::Update(
            ids[0],
            input(
                json!({ "tags": ["t0.0", "t0.1", "t0.2", "t0.3", "t0.4", "t0.5", "t0.6", "t0.7", "t0.8", "t0.9", "one-more"] }),
            ),
        ),
    ] {
        let rejection = shelf.clone().apply(&command, &context(900)).unwrap_err();
        let Rejection::Invalid(errors) = rejection else {
            panic!("{rejection:?}")
        };
        assert_eq!(
            (errors[0].pointer.as_str(), errors[0].code),
            ("/tags", FieldErrorCode::TooMany)
        );
    }
    // One that is there already, and one in the place of others, are welcome.
    create(&mut shelf, 901, json!({ "title": "a", "tags": ["t1.1"] }));
    let instead = Command::Update(ids[0], input(json!({ "tags": ["one-more"] })));
    shelf.apply(&instead, &context(902)).unwrap();
    assert_eq!(shelf.book.tags.len(), MAX_ACCOUNT_TAGS - 9);
    assert!(shelf.book.tags.contains("one-more") && !shelf.book.tags.contains("t0.0"));
}

#[test]
fn books_from_before_the_lowest_sequence_number_and_the_tags_still_read() {
    let book: Book = serde_json::from_value(json!({ "seq": 9, "closed": [[3, 1, 7]] })).unwrap();
    assert_eq!(book.closed, [Closed(3, 1, 7, 0)]);
    assert!(book.tags.is_empty());
}

#[test]
fn a_copy_keeps_its_reminders_and_its_series_as_far_as_its_fields_agree() {
    let mut shelf = Shelf::default();
    let fields = json!({
        "title": "Rent", "due": { "date": "2027-02-28" }, "reminders": [{ "before": "P1D" }],
        "recurrence": { "rule": "monthly" },
    });
    let mut original = create(&mut shelf, 1, fields);
    let start = Start {
        index: 1,
        due: serde_json::from_value(json!({ "date": "2027-01-31" })).unwrap(),
    };
    if let Some(recurrence) = &mut original.recurrence {
        recurrence.index = 2;
        recurrence.start = Some(start);
    }
    let id = original.reminders[0].id.clone();
    for (due, keeps_its_start) in [("2027-02-28", true), ("2027-03-01", false)] {
        let copy = NewTask {
            input: input(json!({
                "title": "Rent", "due": { "date": due }, "reminders": [{ "id": id, "before": "P1D" }],
                "recurrence": { "rule": "monthly" },
            })),
            known: Known {
                due: original.due.clone(),
                reminders: original.reminders.clone(),
                recurrence: original.recurrence.clone(),
            },
            updated_at: Some(Instant::MIN),
            ..NewTask::default()
        };
        let tasks = vec![copy];
        let import = Command::Import { tasks, scanned: 0 };
        let applied = Shelf::default().apply(&import, &context(2)).unwrap();
        let task = &applied.tasks[0];
        let expected = if keeps_its_start {
            original.recurrence.clone()
        } else {
            original.recurrence.clone().map(|recurrence| Recurrence {
                start: None,
                ..recurrence
            })
        };
        assert_eq!(task.reminders, original.reminders);
        assert_eq!(task.recurrence, expected);
        assert_eq!(task.updated_at, Instant::MIN);
    }
}

/// As little of a planner as these tests need: a week later, three times.
fn next_week(asked: &Following<'_>) -> Result<Option<Due>, String> {
    if asked.rule.as_str() == "broken" {
        return Err("not a rule".to_owned());
    }
    let date = asked.after.date + chrono::Days::new(7);
    let due = Due {
        date,
        ..asked.start.clone()
    };
    Ok((asked.index <= 3).then_some(due))
}

fn recur(shelf: &mut Shelf, n: u128, task: TaskId) -> Result<Applied, Rejection> {
    let next = next_week;
    shelf.apply(&Command::Recur { task, next }, &context(n))
}

#[test]
fn an_occurrence_follows_by_its_series_and_only_once() {
    let due = json!({ "date": "2026-12-01" });
    let recurrence = json!({ "rule": "weekly" });
    let mut shelf = Shelf::default();
    let task = json!({ "title": "a", "due": due, "recurrence": recurrence, "tags": ["x"] });
    let mut id = create(&mut shelf, 1, task).id;
    let mut ids = vec![id];
    for index in 2..=4 {
        assert!(recur(&mut shelf, 2, id).unwrap().events.is_empty(), "open");
        shelf.apply(&Command::Complete(id), &context(3)).unwrap();
        let (seq, done) = (shelf.book.seq, shelf.task(id).unwrap().clone());
        let mut other = shelf.clone();
        let applied = recur(&mut shelf, 4, id).unwrap();
        // Whoever asks, and whenever: the id is the same.
        assert_eq!(recur(&mut other, 5, id).unwrap().tasks, applied.tasks);
        let event = &applied.events[0];
        assert_eq!((event.kind, event.seq), (EventKind::TaskCreated, seq + 1));
        let linked = shelf.task(id).unwrap();
        assert_eq!((linked.seq, linked.updated_at), (done.seq, done.updated_at));
        assert_eq!(
            event::to_value(&linked.view()),
            event::to_value(&done.view())
        );
        let next = linked.recurrence.as_ref().unwrap().next.unwrap();
        assert_eq!(next, event.task_id);
        let again = recur(&mut shelf, 6, id).unwrap();
        assert_eq!((again.events.len(), &again.tasks), (0, &applied.tasks));
        let task = shelf.task(next).unwrap();
        let recurrence = task.recurrence.as_ref().unwrap();
        assert_eq!((recurrence.index, recurrence.next), (index, None));
        assert_eq!(recurrence.start.as_ref().unwrap().index, 1);
        id = next;
        ids.push(id);
    }
    shelf.apply(&Command::Complete(id), &context(7)).unwrap();
    assert!(recur(&mut shelf, 8, id).unwrap().events.is_empty(), "over");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), shelf.book.total(Some(Status::Open))), (4, 0));
    let tags: Vec<_> = shelf.book.tags.iter().collect();
    assert_eq!(tags, [("x", TagCount(0, 4))]);
}

#[test]
fn a_link_reaches_into_a_closed_segment() {
    let (mut shelf, _) = filled(0);
    let task = json!({ "title": "a", "due": { "date": "2026-12-01" }, "recurrence": { "rule": "weekly" } });
    let id = create(&mut shelf, 1, task).id;
    shelf.apply(&Command::Complete(id), &context(2)).unwrap();
    for n in 0..SEGMENT_TASKS as u128 {
        create(&mut shelf, n, json!({ "title": "b" }));
    }
    shelf.changed.clear();
    let directory = shelf.book.closed[0];
    assert_eq!(recur(&mut shelf, 3, id).unwrap().events.len(), 1);
    assert!(shelf.changed.contains(&0), "it is written");
    assert_eq!(
        shelf.book.closed[0], directory,
        "nobody has to read it anew"
    );
    // Where it is not loaded, it is asked for.
    let fresh = Shelf::new(shelf.book.clone());
    let next = next_week;
    assert_eq!(fresh.missing(&Command::Recur { task: id, next }), [0]);
}

#[test]
fn a_rule_that_is_none_is_told() {
    let mut shelf = Shelf::default();
    let task = json!({ "title": "a", "recurrence": { "rule": "broken" } });
    let id = create(&mut shelf, 1, task).id;
    shelf.apply(&Command::Complete(id), &context(2)).unwrap();
    let rejection = recur(&mut shelf, 3, id).unwrap_err();
    assert!(matches!(rejection, Rejection::Invalid(errors) if errors[0].detail == "not a rule"));
}

#[test]
fn an_event_is_read_as_it_was_written() {
    let mut shelf = Shelf::default();
    let task = json!({ "title": "ü", "position": 2.5, "due": { "date": "2026-12-01" }, "recurrence": { "rule": "weekly" } });
    let id = create(&mut shelf, 1, task).id;
    let events = [
        Command::Complete(id),
        Command::Reopen(id),
        Command::Delete(id),
    ]
    .map(|command| shelf.apply(&command, &context(2)).unwrap().events.remove(0));
    for event in events {
        let mut sent = event.task_event();
        sent["traceid"] = "added on the way".into();
        assert_eq!(Event::read(sent.to_string().as_bytes()).unwrap(), event);
        sent["type"] = "task-sung".into();
        assert!(Event::read(sent.to_string().as_bytes()).is_err());
    }
    assert!(Event::read(b"{}").is_err());
}
