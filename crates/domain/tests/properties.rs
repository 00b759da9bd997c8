//! What holds for any input and any sequence of commands.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use docket_domain::audit::Content;
use docket_domain::changes;
use docket_domain::find::{Filter, Query, Search};
use docket_domain::shelf::{Closed, TagCount};
use docket_domain::task::{Before, MAX_DEPTH, Status};
use docket_domain::{
    AccountId, Actor, ActorKind, Command, Context, Entropy, Event, EventKind, Instant, NewTask,
    Shelf, Task, TaskId, TaskInput, due,
};
use proptest::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A step of a life: what to do, and to which of the tasks so far.
#[derive(Clone, Debug)]
enum Step {
    Create {
        bytes: usize,
    },
    Import {
        tasks: u8,
    },
    Update(usize),
    /// Gives a task a parent, or takes it away.
    Move(usize, Option<usize>),
    Complete(usize),
    Reopen(usize),
    Delete(usize),
    /// Takes back one of the events so far; counted from the last one, if the flag is set and it is a deletion.
    Undo(usize, bool),
    Batch(Vec<Step>),
    Retag {
        tag: u8,
        to: Option<u8>,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => single(),
        1 => prop::collection::vec(single(), 1..30).prop_map(Step::Batch),
        1 => (0_u8..5, prop::option::of(0_u8..9)).prop_map(|(tag, to)| Step::Retag { tag, to }),
    ]
}

fn single() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_usize..7_000).prop_map(|bytes| Step::Create { bytes }),
        1 => (1_u8..40).prop_map(|tasks| Step::Import { tasks }),
        2 => any::<usize>().prop_map(Step::Update),
        4 => (any::<usize>(), prop::option::weighted(0.9, any::<usize>())).prop_map(|(at, to)| Step::Move(at, to)),
        2 => any::<usize>().prop_map(Step::Complete),
        1 => any::<usize>().prop_map(Step::Reopen),
        4 => any::<usize>().prop_map(Step::Delete),
        4 => any::<(usize, bool)>().prop_map(|(at, deleted)| Step::Undo(at, deleted)),
        3 => (0_usize..200).prop_map(|bytes| Step::Create { bytes }),
    ]
}

fn context(n: u128) -> Context {
    Context {
        account: AccountId::parse("ann").unwrap(),
        actor: Actor::new(ActorKind::Person, "ann"),
        now: Instant::from_millis(1_790_000_000_000 + n as i64).unwrap(),
        entropy: Entropy(n),
        if_version: None,
        check_rule: |rule| Ok(rule.to_owned()),
        allowance: Default::default(),
    }
}

fn input(json: serde_json::Value) -> TaskInput {
    serde_json::from_value(json).unwrap()
}

fn command(step: &Step, n: u128, ids: &[TaskId], events: &[Event]) -> Option<Command> {
    let pick = |at: usize| ids.get(at % ids.len().max(1)).copied();
    Some(match step {
        Step::Create { bytes } => Command::Create(input(json!({
            "title": "t", "description": "x".repeat(*bytes), "tags": [format!("t{}", n % 5), format!("u{}", n % 7)],
        }))),
        Step::Import { tasks } => Command::Import {
            tasks: (0..*tasks)
                .map(|i| NewTask {
                    input: input(json!({ "title": "imported" })),
                    token: u64::from(i),
                    ..NewTask::default()
                })
                .collect(),
            scanned: 0,
        },
        Step::Update(at) => Command::Update(
            pick(*at)?,
            input(json!({ "title": format!("updated {n}"), "tags": [format!("t{}", n % 3)] })),
        ),
        Step::Move(at, to) => {
            Command::Update(pick(*at)?, input(json!({ "parent_id": to.and_then(pick) })))
        }
        Step::Complete(at) => Command::Complete(pick(*at)?),
        Step::Reopen(at) => Command::Reopen(pick(*at)?),
        Step::Delete(at) => Command::Delete(pick(*at)?),
        Step::Undo(at, deleted) => {
            let fits = |event: &&Event| !deleted || event.kind == EventKind::TaskDeleted;
            let chosen: Vec<&Event> = events.iter().filter(fits).collect();
            let event = chosen.get(at % chosen.len().max(1))?;
            Command::Undo(Box::new(Content::of(event)))
        }
        Step::Retag { tag, to } => Command::Retag {
            tag: format!("t{tag}"),
            to: to.map(|to| format!("t{to}")),
            from: 0,
        },
        Step::Batch(steps) => {
            let single = |step: &&Step| !matches!(step, Step::Import { .. });
            Command::Batch(
                steps
                    .iter()
                    .filter(single)
                    .filter_map(|step| command(step, n, ids, events))
                    .collect(),
            )
        }
    })
}

/// Every task of a status, read page by page with only the planned segments at hand.
fn listed(shelf: &Shelf, status: Option<Status>, limit: usize) -> Vec<TaskId> {
    let account = AccountId::parse("ann").unwrap();
    let (mut ids, mut cursor) = (Vec::new(), None);
    loop {
        let mut query = Query {
            filter: Filter {
                status,
                ..Filter::default()
            },
            limit,
            ..Query::default()
        };
        query.cursor = cursor.and_then(|text: String| query.resume(&account, &text));
        let plan = query.plan(&shelf.book).into_iter();
        let segments = plan
            .map(|number| (number, Arc::new(shelf.segments[&number].clone())))
            .collect();
        let page = query.page(&account, Instant::MIN, &shelf.book, &segments);
        ids.extend(page.tasks.iter().map(|task| task.id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => return ids,
        }
    }
}

/// The tags of all tasks, counted anew.
fn counted(shelf: &Shelf) -> BTreeMap<String, TagCount> {
    let mut tags: BTreeMap<String, TagCount> = BTreeMap::new();
    for task in shelf
        .segments
        .values()
        .chain([&shelf.book.newest])
        .flat_map(|segment| &segment.tasks)
    {
        for tag in &task.tags {
            let TagCount(open, done) = tags.entry(tag.clone()).or_default();
            *if task.completed_at.is_some() {
                done
            } else {
                open
            } += 1;
        }
    }
    tags
}

/// The directory, counted anew: every segment that it tells of is there, and no other.
fn assert_directory(shelf: &Shelf) {
    let book = &shelf.book;
    let told: Vec<u32> = (0..book.newest_number())
        .filter(|n| book.home(*n) == *n)
        .collect();
    assert_eq!(told, shelf.segments.keys().copied().collect::<Vec<_>>());
    for (number, segment) in &shelf.segments {
        let Closed(open, done, last, first) = book.closed[*number as usize];
        let count = |done: bool| {
            let tasks = segment.tasks.iter();
            tasks
                .filter(|task| task.completed_at.is_some() == done)
                .count() as u32
        };
        assert_eq!((open, done), (count(false), count(true)), "{number}");
        let deleted = segment.deleted.iter().map(|tombstone| tombstone.0);
        let seqs: Vec<u64> = segment
            .tasks
            .iter()
            .map(|task| task.seq)
            .chain(deleted)
            .collect();
        assert!(
            seqs.iter().all(|seq| (first..=last).contains(seq)),
            "{number}"
        );
        assert!(
            segment.tasks.is_sorted_by_key(|task| task.created_seq),
            "{number}"
        );
        assert!(segment.deleted.len() <= 512, "{number}");
    }
    let stored = serde_json::to_vec(book).unwrap();
    assert_eq!(
        *book,
        serde_json::from_slice::<docket_domain::Book>(&stored).unwrap()
    );
}

/// 100,000 tasks, of which nearly all go again, while others follow the changes.
#[test]
fn an_account_grows_to_100_000_tasks_and_shrinks_again() {
    let import = |from: u64| {
        Command::Import {
        tasks: (from..from + 1_000)
            .map(|n| NewTask {
                input: input(json!({ "title": format!("task number {n}"), "tags": [format!("t{}", n % 50)] })),
                token: n,
                ..NewTask::default()
            })
            .collect(),
        // Nothing of it is there: the test need not look.
        scanned: u32::MAX,
    }
    };
    let size = |shelf: &Shelf| serde_json::to_vec(&shelf.book).unwrap().len();
    let mut shelf = Shelf::default();
    let mut ids = Vec::new();
    for thousand in 0..100 {
        let applied = shelf
            .apply(&import(thousand * 1_000), &context(thousand.into()))
            .unwrap();
        ids.extend(applied.tasks.iter().map(|task| task.id));
    }
    let (full, segments) = (size(&shelf), shelf.segments.len());
    assert_eq!((ids.len(), segments), (100_000, 1_562));
    assert!(full < 72 * 1024, "{full}");
    let mut following = Copy::default();
    while following.turn(&shelf, 1_000) {}
    let mut away = Copy {
        since: following.since,
        tasks: following.tasks.clone(),
    };

    let mut beginning = Copy::default();
    let gone: Vec<TaskId> = ids
        .iter()
        .copied()
        .enumerate()
        .filter(|(n, _)| n % 20 != 7)
        .map(|(_, id)| id)
        .collect();
    // Not in the order of creation: every segment loses a few at a time.
    let mut batches = 0;
    for offset in 0..19 {
        let some: Vec<TaskId> = gone.iter().copied().skip(offset).step_by(19).collect();
        for chunk in some.chunks(200) {
            let batch = Command::Batch(chunk.iter().map(|id| Command::Delete(*id)).collect());
            let wanted = Shelf::new(shelf.book.clone()).missing(&batch).len();
            assert!(wanted <= 600, "{wanted}");
            shelf.apply(&batch, &context(1_000 + batches)).unwrap();
            batches += 1;
            following.turn(&shelf, 1_000);
            beginning.turn(&shelf, 700);
        }
    }
    assert_directory(&shelf);
    assert_eq!(shelf.book.total(None), 5_000);
    let (left, segments) = (size(&shelf), shelf.segments.len());
    eprintln!(
        "book of 100,000 tasks: {full} bytes; of the 5,000 left: {left} bytes, {segments} segments"
    );
    assert!(
        segments < 220 && left < 24 * 1024,
        "{segments} segments, {left} bytes"
    );
    assert!(shelf.book.forgotten > 0);
    assert_eq!(
        counted(&shelf),
        shelf
            .book
            .tags
            .iter()
            .map(|(name, count)| (name.to_owned(), count))
            .collect()
    );

    let every: BTreeMap<TaskId, u64> = shelf
        .segments
        .values()
        .chain([&shelf.book.newest])
        .flat_map(|segment| segment.tasks.iter().map(|task| (task.id, task.seq)))
        .collect();
    for copy in [&mut following, &mut away, &mut beginning] {
        while copy.turn(&shelf, 1_000) {}
        assert_eq!(copy.tasks, every);
    }
    // Ids go on working wherever their tasks are by now.
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(shelf.task(*id).is_some(), n % 20 == 7, "{n}");
    }
    let update = Command::Update(ids[7], input(json!({ "title": "still here" })));
    assert_eq!(
        shelf.apply(&update, &context(9_999)).unwrap().tasks[0].id,
        ids[7]
    );
}

/// Somebody with a copy of the tasks, as far as the change feed told of them: the last number of each.
#[derive(Default)]
struct Copy {
    since: u64,
    tasks: BTreeMap<TaskId, u64>,
}

impl Copy {
    /// Asks for a page, from a server that reads only the planned segments. Gives whether there may be more.
    fn turn(&mut self, shelf: &Shelf, limit: usize) -> bool {
        let since = changes::Since::parse(self.since).unwrap();
        let query = changes::Query { since, limit };
        let planned = query.plan(&shelf.book).into_iter();
        let segments = planned
            .map(|number| (number, Arc::new(shelf.segments[&number].clone())))
            .collect();
        let page = query.page(&shelf.book, &segments);
        let seqs: Vec<u64> = page.changes.iter().map(changes::Change::seq).collect();
        assert!(seqs.is_sorted_by(|a, b| a < b) && seqs.len() <= limit);
        self.since = page.next.number();
        if page.reset {
            assert!(seqs.is_empty() && self.since == 0);
            self.tasks.clear();
            return true;
        }
        for change in page.changes {
            match change {
                changes::Change::Task(task) => {
                    self.tasks.insert(task.id, task.seq);
                }
                changes::Change::Deleted(tombstone) => {
                    self.tasks.remove(&tombstone.1);
                }
            }
        }
        !page.is_last
    }
}

/// What came of an undo is what was before the event that is undone.
fn is_undone(undone: &Content, event: &Event) -> Result<(), TestCaseError> {
    prop_assert_eq!(undone.task_id, event.task_id);
    match undone.kind {
        EventKind::TaskCreated => prop_assert_eq!(event.kind, EventKind::TaskDeleted),
        EventKind::TaskDeleted => {
            prop_assert_eq!(event.kind, EventKind::TaskCreated);
            let was = undone.task.clone().unwrap();
            for (name, value) in was.as_object().unwrap() {
                if !["updated_at", "version"].contains(&name.as_str()) {
                    prop_assert_eq!(value, &event.task[name], "{}", name);
                }
            }
        }
        _ => {
            for (name, change) in &undone.changes {
                prop_assert_eq!(&change["from"], &event.task[name], "{}", name);
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_shelf_keeps_its_promises(steps in prop::collection::vec(step(), 1..150), limit in 1_usize..60) {
        let mut shelf = Shelf::default();
        // The same life in the simplest form.
        let mut model: BTreeMap<TaskId, bool> = BTreeMap::new();
        let (mut ids, mut events, mut seq) = (Vec::new(), Vec::new(), 0);
        for (n, step) in steps.iter().enumerate() {
            let Some(command) = command(step, n as u128, &ids, &events) else { continue };
            // With no more at hand than it asked for, the same comes of it.
            let mut partial = Shelf::new(shelf.book.clone());
            for _ in 0..=MAX_DEPTH + 1 {
                for number in partial.missing(&command) {
                    partial.segments.insert(number, shelf.segments[&number].clone());
                }
            }
            prop_assert!(partial.missing(&command).is_empty());
            let alone = partial.apply(&command, &context(n as u128));
            let before = shelf.clone();
            let together = shelf.apply(&command, &context(n as u128));
            prop_assert_eq!(alone.as_ref().map(|a| &a.events), together.as_ref().map(|a| &a.events));
            match together {
                Ok(applied) => {
                    if let (Command::Undo(undone), Some(event)) = (&command, applied.events.first()) {
                        is_undone(undone, event)?;
                    }
                    events.extend(applied.events.clone());
                    for event in &applied.events {
                        seq += 1;
                        prop_assert_eq!(event.seq, seq, "no gap, no repetition");
                        match event.kind {
                            EventKind::TaskDeleted => {
                                model.remove(&event.task_id);
                            }
                            _ => {
                                model.insert(event.task_id, event.task["status"] == "done");
                            }
                        }
                        if event.kind == EventKind::TaskCreated && !ids.contains(&event.task_id) {
                            ids.push(event.task_id);
                        }
                    }
                }
                Err(_) => shelf = before,
            }
            prop_assert_eq!(shelf.book.seq, seq);
            prop_assert_eq!(counted(&shelf), shelf.book.tags.iter().map(|(name, count)| (name.to_owned(), count)).collect());
        }
        for (status, wanted) in [(None, None), (Some(Status::Open), Some(false)), (Some(Status::Done), Some(true))] {
            let mut expected: Vec<TaskId> = model
                .iter()
                .filter(|(_, done)| wanted.is_none_or(|wanted| **done == wanted))
                .map(|(id, _)| *id)
                .collect();
            prop_assert_eq!(shelf.book.total(status), expected.len() as u64);
            let mut seen = listed(&shelf, status, limit);
            let order: Vec<u64> = seen.iter().map(|id| shelf.task(*id).unwrap().created_seq).collect();
            prop_assert!(order.is_sorted_by(|a, b| a > b), "newest first");
            seen.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(seen, expected);
        }
        assert_directory(&shelf);
        for id in model.keys() {
            let above = |task: &Task| task.parent_id.and_then(|id| shelf.task(id));
            let chain = std::iter::successors(shelf.task(*id), |task| above(task));
            prop_assert!(chain.take(model.len() + 1).count() <= model.len(), "a circle");
        }
        for segment in shelf.segments.values().chain([&shelf.book.newest]) {
            prop_assert!(serde_json::to_vec(segment).unwrap().len() < 64 * 1024);
        }
    }

    #[test]
    fn whoever_follows_the_changes_has_every_task(
        steps in prop::collection::vec(step(), 1..150),
        turns in prop::collection::vec(0_usize..8, 1..20),
        limit in 1_usize..90,
    ) {
        let mut shelf = Shelf::default();
        let (mut ids, mut events) = (Vec::new(), Vec::new());
        // One for each way to begin and to fall behind: how often it asks differs.
        let mut copies: Vec<Copy> = (0..4).map(|_| Copy::default()).collect();
        for (n, step) in steps.iter().enumerate() {
            let Some(command) = command(step, n as u128, &ids, &events) else { continue };
            let before = shelf.clone();
            match shelf.apply(&command, &context(n as u128)) {
                Ok(applied) => {
                    let made = applied.events.iter().filter(|e| e.kind == EventKind::TaskCreated);
                    ids.extend(made.map(|e| e.task_id));
                    events.extend(applied.events);
                }
                Err(_) => shelf = before,
            }
            let asks = turns[n % turns.len()];
            if let Some(copy) = copies.get_mut(asks) {
                copy.turn(&shelf, limit);
            }
        }
        let mut every: BTreeMap<TaskId, u64> = BTreeMap::new();
        for segment in shelf.segments.values().chain([&shelf.book.newest]) {
            every.extend(segment.tasks.iter().map(|task| (task.id, task.seq)));
        }
        for copy in &mut copies {
            while copy.turn(&shelf, limit) {}
            prop_assert_eq!(&copy.tasks, &every);
            prop_assert_eq!(copy.since, shelf.book.seq);
        }
    }

    #[test]
    fn no_text_makes_a_reader_panic(text in "\\PC{0,200}|[-A-Z0-9=;,:T]{0,80}|[x()+@:A-Z0-9 -]{0,80}") {
        let account = AccountId::parse("ann").unwrap();
        let _ = Query::default().resume(&account, &text);
        let _ = Search::parse(&text);
        let _ = Before::parse(&format!("P{text}"));
        let _ = due::parse_date(&text);
        let _ = due::parse_time(&text);
        if let Some(id) = TaskId::parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    #[test]
    fn ids_survive_the_round_trip(segment: u32, token: u64) {
        let id = TaskId::new(segment, token);
        prop_assert_eq!(TaskId::parse(&id.to_string()), Some(id));
    }

    #[test]
    fn any_wall_clock_time_of_any_zone_has_one_instant(
        zone in prop::sample::select(chrono_tz::TZ_VARIANTS.to_vec()),
        minutes in 0_i64..(60 * 24 * 365 * 20),
    ) {
        let start = due::parse_date("2024-01-01").unwrap().and_time(chrono::NaiveTime::MIN);
        let wall = start + chrono::TimeDelta::minutes(minutes);
        let at = due::resolve(wall, zone).unwrap();
        let back = at.to_datetime().with_timezone(&zone).naive_local();
        let moved = back - wall;
        prop_assert!(moved >= chrono::TimeDelta::zero() && moved <= chrono::TimeDelta::hours(2), "{wall} {zone}: {back}");
    }
}
