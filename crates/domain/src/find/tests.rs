//! What lists show, and that no page skips or repeats a task while others write.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::shelf::Closed;
use crate::task::Status;
use crate::{Actor, ActorKind, Command, Context, Entropy, Shelf, TaskId};
use chrono_tz::Tz;
use std::collections::BTreeSet;

const NOW: &str = "2026-11-23T08:00:00Z";

fn ann() -> AccountId {
    AccountId::parse("ann").unwrap()
}

fn at(text: &str) -> Instant {
    Instant::parse(text).unwrap()
}

fn apply(shelf: &mut Shelf, n: u128, command: &Command) -> TaskId {
    let context = Context {
        account: ann(),
        actor: Actor::new(ActorKind::Person, "ann"),
        now: at(NOW).plus_millis(n as i64),
        entropy: Entropy(n),
        if_version: None,
        check_rule: |rule| Ok(rule.to_owned()),
        allowance: Default::default(),
    };
    shelf.apply(command, &context).unwrap().tasks[0].id
}

fn create(shelf: &mut Shelf, n: u128, task: Value) -> TaskId {
    apply(
        shelf,
        n,
        &Command::Create(serde_json::from_value(task).unwrap()),
    )
}

/// A shelf with `count` tasks, every third done.
fn filled(count: u128) -> (Shelf, Vec<TaskId>) {
    let mut shelf = Shelf::default();
    let ids: Vec<TaskId> = (0..count)
        .map(|n| create(&mut shelf, n, json!({ "title": format!("task {n}") })))
        .collect();
    for (n, id) in ids.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
        apply(&mut shelf, n as u128, &Command::Complete(*id));
    }
    (shelf, ids)
}

/// The segments of a plan, as a server would read them.
fn read(shelf: &Shelf, plan: Vec<SegmentNumber>) -> Segments {
    let segment = |number| Some((number, Arc::new(shelf.segments.get(&number)?.clone())));
    plan.into_iter().filter_map(segment).collect()
}

/// Reads one page with only the planned segments at hand.
fn page(shelf: &Shelf, query: &Query) -> (Vec<TaskId>, Option<Cursor>, u64) {
    let segments = read(shelf, query.plan(&shelf.book));
    let page = query.page(&ann(), at(NOW), &shelf.book, &segments);
    let next = page
        .next
        .map(|text| query.resume(&ann(), &text).expect("its own cursor"));
    (page.tasks.iter().map(|t| t.id).collect(), next, page.total)
}

/// All pages, with something going on before each but the first.
fn pages(shelf: &mut Shelf, query: &Query, mut meanwhile: impl FnMut(&mut Shelf)) -> Vec<TaskId> {
    let mut query = query.clone();
    let mut seen = Vec::new();
    loop {
        let (ids, next, _) = page(shelf, &query);
        assert!(ids.len() <= query.limit);
        seen.extend(ids);
        if next.is_none() {
            return seen;
        }
        query.cursor = next;
        meanwhile(shelf);
    }
}

fn query(status: Option<Status>, sort: &str, limit: usize) -> Query {
    Query {
        filter: Filter {
            status,
            ..Filter::default()
        },
        order: Order::parse(sort).unwrap(),
        limit,
        cursor: None,
    }
}

/// Puts a segment into the next lower one, as a compaction does.
fn compact(shelf: &mut Shelf, number: SegmentNumber) {
    let lower = shelf.segments.range(..number).next_back();
    let Some(into) = lower.map(|(number, _)| *number) else {
        return;
    };
    let Some(moved) = shelf.segments.remove(&number) else {
        return;
    };
    let target = shelf.segments.get_mut(&into).unwrap();
    target.tasks.extend(moved.tasks);
    target.deleted.extend(moved.deleted);
    let count = |status| {
        let tasks = target.tasks.iter();
        tasks.filter(|task| task.status() == status).count() as u32
    };
    let (open, done) = (count(Status::Open), count(Status::Done));
    shelf.book.closed[into as usize] = Closed(open, done, shelf.book.seq, 1);
    shelf.book.closed[number as usize] = Closed::default();
}

#[test]
fn every_task_comes_once_in_the_order_of_creation() {
    for count in [0, 1, 63, 64, 65, 200, 300] {
        let (mut shelf, ids) = filled(count);
        for (limit, sort) in [
            (1, "created"),
            (7, "-created"),
            (64, "created"),
            (200, "-created"),
        ] {
            for status in [None, Some(Status::Open), Some(Status::Done)] {
                let done = |n: usize| n.is_multiple_of(3);
                let shown = |n| status.is_none_or(|s| (s == Status::Done) == done(n));
                let shown = ids.iter().enumerate().filter(|(n, _)| shown(*n));
                let mut expected: Vec<TaskId> = shown.map(|(_, id)| *id).collect();
                if sort.starts_with('-') {
                    expected.reverse();
                }
                let query = query(status, sort, limit);
                assert_eq!(page(&shelf, &query).2, expected.len() as u64);
                let seen = pages(&mut shelf, &query, |_| ());
                assert_eq!(seen, expected, "{count} {sort} {limit} {status:?}");
            }
        }
    }
}

#[test]
fn the_order_of_creation_reads_no_more_than_it_shows() {
    let (shelf, ids) = filled(1_000);
    for (sort, limit, status, most) in [
        ("-created", 50, Some(Status::Open), 1),
        ("created", 50, Some(Status::Open), 2),
        ("-created", 200, Some(Status::Done), 10),
        ("created", 200, None, 4),
    ] {
        let mut query = query(status, sort, limit);
        assert!(query.plan(&shelf.book).len() <= most, "{sort} {limit}");
        // From the middle on it begins and ends within a segment.
        query.cursor = Some(Cursor {
            place: Place::clone(&query.order.place(shelf.task(ids[500]).unwrap(), Tz::UTC)),
            segment: ids[500].segment,
        });
        assert!(query.plan(&shelf.book).len() <= most + 2, "{sort} {limit}");
    }
}

#[test]
fn segments_without_a_task_of_the_status_are_not_read() {
    let (mut shelf, ids) = filled(300);
    for id in ids.iter().filter(|id| id.segment == 1) {
        apply(&mut shelf, 5, &Command::Complete(*id));
    }
    let mut overdue = query(None, "title", 10);
    overdue.filter.overdue = Some(true);
    for query in [query(Some(Status::Open), "title", 10), overdue] {
        assert_eq!(query.plan(&shelf.book), [0, 2, 3]);
    }
    assert_eq!(query(None, "due", 10).plan(&shelf.book), [0, 1, 2, 3]);
}

#[test]
fn a_segment_that_is_not_there_gives_a_short_page_not_a_wrong_one() {
    let (shelf, ids) = filled(200);
    for sort in ["created", "-created"] {
        let query = query(None, sort, 100);
        let plan = query.plan(&shelf.book);
        for missing in &plan {
            let mut segments = read(&shelf, plan.clone());
            segments.remove(missing);
            let short = query.page(&ann(), at(NOW), &shelf.book, &segments);
            let mut seen: Vec<TaskId> = short.tasks.iter().map(|task| task.id).collect();
            let mut rest = query.clone();
            rest.cursor = query.resume(&ann(), &short.next.unwrap());
            rest.limit = 200;
            seen.extend(page(&shelf, &rest).0);
            let mut expected = ids.clone();
            if sort.starts_with('-') {
                expected.reverse();
            }
            assert_eq!(seen, expected, "{sort} without {missing}");
        }
    }
}

#[test]
fn a_cursor_fits_its_account_and_its_question_alone() {
    let (shelf, _) = filled(10);
    let bob = AccountId::parse("bob").unwrap();
    let ask = query(None, "title", 3);
    let segments = Segments::new();
    let text = ask
        .page(&ann(), at(NOW), &shelf.book, &segments)
        .next
        .unwrap();
    assert!(ask.resume(&ann(), &text).is_some());
    assert!(query(None, "title", 7).resume(&ann(), &text).is_some());
    assert_eq!(ask.resume(&bob, &text), None);
    let others: [fn(&mut Query); 11] = [
        |q| q.filter.status = Some(Status::Open),
        |q| q.filter.search = Search::parse("task").unwrap(),
        |q| q.filter.priorities = vec![crate::task::Priority::Low],
        |q| q.filter.tags = vec!["a".to_owned()],
        |q| q.filter.due_after = Some(Instant::MIN),
        |q| q.filter.due_before = Some(Instant::MIN),
        |q| q.filter.overdue = Some(false),
        |q| q.filter.recurring = Some(false),
        |q| q.filter.parent = Some(TaskId::new(0, 1)),
        |q| q.filter.time_zone = Tz::Asia__Karachi,
        |q| q.order.descending = true,
    ];
    for (n, change) in others.iter().enumerate() {
        let mut other = ask.clone();
        change(&mut other);
        assert_eq!(other.resume(&ann(), &text), None, "{n}");
    }
    // Cut, lengthened, changed in any one place.
    for end in 0..text.len() {
        assert_eq!(ask.resume(&ann(), text.get(..end).unwrap()), None, "{end}");
    }
    for place in 0..text.len() {
        let mut forged = text.clone().into_bytes();
        forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_eq!(ask.resume(&ann(), &forged), None, "{forged}");
    }
    for wrong in [
        "",
        "x",
        "e30",
        "éé",
        &"A".repeat(3_000),
        &format!("{text}A"),
    ] {
        assert_eq!(ask.resume(&ann(), wrong), None, "{wrong}");
    }
}

#[test]
fn a_cursor_of_the_longest_title_fits_its_bound() {
    let mut shelf = Shelf::default();
    for n in 0..3 {
        create(&mut shelf, n, json!({ "title": "\u{1F12B}ﷺ".repeat(250) }));
    }
    let query = query(None, "title", 1);
    assert_eq!(pages(&mut shelf, &query, |_| ()).len(), 3);
}

/// What the tables below list, in the order of creation.
fn examples() -> Shelf {
    let mut shelf = Shelf::default();
    let tasks = json!([
        { "title": "Überprüfung der Heizung", "tags": ["haus"], "due": { "date": "2026-12-01" } },
        { "title": "بجلی کا بل ادا کریں", "tags": ["گھر"], "due": { "date": "2026-11-28" }, "priority": "high" },
        { "title": "買い物に行く", "tags": ["家", "店"] },
        { "title": "Pay rent", "due": { "date": "2026-11-22" }, "recurrence": { "rule": "monthly" } },
        { "title": "Call Ann", "due": { "date": "2026-11-23", "time": "09:00" }, "priority": "low" },
        { "title": "Stand-up", "due": { "date": "2026-11-23", "time": "09:00", "time_zone": "Asia/Karachi" }, "position": -1.5 },
        { "title": "äpfel", "description": "für den Kuchen, 2 kg", "tags": ["haus", "店"], "position": 2.5 },
        { "title": "Café bill", "due": { "date": "2026-11-23" }, "priority": "high" },
        { "title": "done", "due": { "date": "2026-01-01" } },
    ]);
    for (n, task) in tasks.as_array().unwrap().iter().enumerate() {
        let mut fields = task.clone();
        if [6, 8].contains(&n) {
            fields["parent_id"] = json!(shelf.book.newest.tasks[0].id);
        }
        let id = create(&mut shelf, n as u128, fields);
        if task["title"] == "done" {
            apply(&mut shelf, 20, &Command::Complete(id));
        }
    }
    shelf
}

/// The examples that a query shows, each by its place in the order of creation.
fn shown(query: &Query) -> Vec<u64> {
    let shelf = examples();
    let segments = read(&shelf, query.plan(&shelf.book));
    let page = query.page(&ann(), at(NOW), &shelf.book, &segments);
    assert_eq!(page.total, page.tasks.len() as u64);
    page.tasks.iter().map(|t| t.created_seq - 1).collect()
}

#[test]
fn filters() {
    let all = Filter::default();
    let day = |text: &str| {
        let date = crate::due::parse_date(text).unwrap();
        Some(crate::due::start_of(date, Tz::Asia__Karachi))
    };
    let karachi = Filter {
        time_zone: Tz::Asia__Karachi,
        ..all.clone()
    };
    let tags = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect();
    let first = examples().book.newest.tasks.first().map(|task| task.id);
    use crate::task::Priority::{High, Low, Medium};
    let table: Vec<(Filter, &[u64])> = vec![
        (all.clone(), &[0, 1, 2, 3, 4, 5, 6, 7]),
        (
            Filter {
                status: None,
                ..all.clone()
            },
            &[0, 1, 2, 3, 4, 5, 6, 7, 8],
        ),
        (
            Filter {
                status: Some(Status::Done),
                ..all.clone()
            },
            &[8],
        ),
        (
            Filter {
                priorities: vec![High],
                ..all.clone()
            },
            &[1, 7],
        ),
        (
            Filter {
                priorities: vec![High, Low],
                ..all.clone()
            },
            &[1, 4, 7],
        ),
        (
            Filter {
                priorities: vec![Medium],
                tags: tags(&["haus"]),
                ..all.clone()
            },
            &[0, 6],
        ),
        (
            Filter {
                tags: tags(&["店", "haus"]),
                ..all.clone()
            },
            &[6],
        ),
        (
            Filter {
                tags: tags(&["Haus"]),
                ..all.clone()
            },
            &[],
        ),
        (
            Filter {
                recurring: Some(true),
                ..all.clone()
            },
            &[3],
        ),
        (
            Filter {
                recurring: Some(false),
                status: None,
                ..all.clone()
            },
            &[0, 1, 2, 4, 5, 6, 7, 8],
        ),
        (
            Filter {
                parent: first,
                ..all.clone()
            },
            &[6],
        ),
        (
            Filter {
                parent: first,
                status: None,
                ..all.clone()
            },
            &[6, 8],
        ),
        (
            Filter {
                parent: Some(TaskId::new(7, 7)),
                status: None,
                ..all.clone()
            },
            &[],
        ),
        // It is 08:00 in UTC, 13:00 in Karachi: "09:00" without a zone is over only there.
        (
            Filter {
                overdue: Some(true),
                ..all.clone()
            },
            &[3, 5],
        ),
        (
            Filter {
                overdue: Some(true),
                ..karachi.clone()
            },
            &[3, 4, 5],
        ),
        (
            Filter {
                overdue: Some(true),
                status: None,
                ..karachi.clone()
            },
            &[3, 4, 5],
        ),
        (
            Filter {
                overdue: Some(true),
                status: Some(Status::Done),
                ..karachi.clone()
            },
            &[],
        ),
        (
            Filter {
                overdue: Some(false),
                status: None,
                ..karachi.clone()
            },
            &[0, 1, 2, 6, 7, 8],
        ),
        // From the first instant on, and before the second one.
        (
            Filter {
                due_after: day("2026-11-28"),
                ..karachi.clone()
            },
            &[0, 1],
        ),
        (
            Filter {
                due_before: day("2026-11-28"),
                ..karachi.clone()
            },
            &[3, 4, 5, 7],
        ),
        (
            Filter {
                due_after: day("2026-11-23"),
                due_before: day("2026-11-24"),
                ..karachi.clone()
            },
            &[4, 5, 7],
        ),
        (
            Filter {
                due_after: Some(at("2026-11-23T04:00:00Z")),
                due_before: Some(at("2026-11-23T04:00:00.001Z")),
                ..karachi.clone()
            },
            &[4, 5],
        ),
        (
            Filter {
                due_after: day("2026-11-28"),
                due_before: day("2026-11-01"),
                ..karachi.clone()
            },
            &[],
        ),
    ];
    for (filter, expected) in table {
        let words = format!("{filter:?}");
        let query = Query {
            filter,
            order: Order::parse("created").unwrap(),
            ..Query::default()
        };
        assert_eq!(shown(&query), expected, "{words}");
    }
}

#[test]
fn searches() {
    let table: &[(&str, &[u64])] = &[
        ("", &[0, 1, 2, 3, 4, 5, 6, 7]),
        ("uberprufung", &[0]),
        ("ÜBERPRÜFUNG heiz", &[0]),
        ("heiz überprüfung", &[]),
        ("prüfung", &[]),
        ("بجلی", &[1]),
        ("بجلي كا", &[1]),
        ("گھر", &[1]),
        ("買い物", &[2]),
        ("物 買", &[2]),
        ("店", &[2, 6]),
        ("買 家 店", &[2]),
        ("cafe BILL", &[7]),
        ("bill cafe", &[7]),
        ("bil", &[7]),
        ("apfel kuchen haus", &[6]),
        ("2 k", &[6]),
        ("pay", &[3]),
        ("ay", &[]),
        ("stand-up", &[5]),
        ("up", &[5]),
        ("nothing", &[]),
        ("-", &[5]),
    ];
    for (typed, expected) in table {
        let mut query = query(Some(Status::Open), "created", 50);
        query.filter.search = Search::parse(typed).unwrap();
        assert_eq!(shown(&query), *expected, "{typed}");
    }
}

#[test]
fn orders() {
    for (sort, zone, expected) in [
        ("created", Tz::UTC, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("-created", Tz::UTC, [7, 6, 5, 4, 3, 2, 1, 0]),
        ("updated", Tz::UTC, [0, 1, 2, 3, 4, 5, 6, 7]),
        ("-updated", Tz::UTC, [7, 6, 5, 4, 3, 2, 1, 0]),
        // The day of the 23rd begins before 09:00; "09:00" in UTC is later than in Karachi.
        ("due", Tz::UTC, [3, 7, 5, 4, 1, 0, 2, 6]),
        ("due", Tz::Asia__Karachi, [3, 7, 4, 5, 1, 0, 2, 6]),
        ("-due", Tz::UTC, [0, 1, 4, 5, 7, 3, 6, 2]),
        ("priority", Tz::UTC, [4, 0, 2, 3, 5, 6, 1, 7]),
        ("-priority", Tz::UTC, [7, 1, 6, 5, 3, 2, 0, 4]),
        ("title", Tz::UTC, [6, 7, 4, 3, 5, 0, 1, 2]),
        ("-title", Tz::UTC, [2, 1, 0, 5, 3, 4, 7, 6]),
        // Who has no place of his own stands where he was created: 1, 2, 3 …
        ("position", Tz::UTC, [5, 0, 1, 6, 2, 3, 4, 7]),
        ("-position", Tz::UTC, [7, 4, 3, 2, 6, 1, 0, 5]),
    ] {
        let mut query = query(Some(Status::Open), sort, 50);
        query.filter.time_zone = zone;
        assert_eq!(shown(&query), expected, "{sort} {zone}");
    }
}

#[derive(Clone, Debug)]
enum Write {
    Create(u8),
    Update(usize, u8),
    Toggle(usize),
    Delete(usize),
    Compact(u32),
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => any::<u8>().prop_map(Write::Create),
        3 => (any::<usize>(), any::<u8>()).prop_map(|(at, n)| Write::Update(at, n)),
        2 => any::<usize>().prop_map(Write::Toggle),
        2 => any::<usize>().prop_map(Write::Delete),
        1 => any::<u32>().prop_map(Write::Compact),
    ]
}

/// Few values for each field, so that many tasks are alike in it.
fn some_task(n: u8) -> Value {
    let due = match n % 5 {
        0 => Value::Null,
        1 => json!({ "date": format!("2026-12-0{}", n % 9 + 1) }),
        2 => json!({ "date": "2026-12-03", "time": "09:00" }),
        _ => json!({ "date": "2026-12-03", "time": "09:00", "time_zone": "Asia/Karachi" }),
    };
    let name = ["Émile", "emil", "Zoë"][usize::from(n % 3)];
    let priority = ["low", "medium", "high"][usize::from(n / 3 % 3)];
    json!({
        "title": format!("{name} {}", n % 4),
        "priority": priority,
        "due": due,
        "position": f64::from(n % 7) - 2.5,
        "description": "x".repeat(usize::from(n) * 30),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_others_do_between_two_pages_neither_hides_nor_repeats_a_task(
        start in prop::collection::vec(any::<u8>(), 1..150),
        writes in prop::collection::vec(prop::collection::vec(write(), 0..12), 1..12),
        limit in 1_usize..40,
    ) {
        for by in ["due", "priority", "created", "updated", "title", "position"] {
            for (sort, status) in [(by.to_owned(), None), (format!("-{by}"), None), (by.to_owned(), Some(Status::Open)), (format!("-{by}"), Some(Status::Open))] {
                let mut shelf = Shelf::default();
                let mut ids: Vec<TaskId> = start
                    .iter()
                    .enumerate()
                    .map(|(n, task)| create(&mut shelf, n as u128, some_task(*task)))
                    .collect();
                let mut touched = BTreeSet::new();
                let mut n = 1_000;
                let mut rounds = writes.iter();
                let before = ids.clone();
                let seen = pages(&mut shelf, &query(status, &sort, limit), |shelf| {
                    for write in rounds.next().into_iter().flatten() {
                        n += 1;
                        let pick = |at: &usize| ids[at % ids.len()];
                        let id = match write {
                            Write::Create(task) => {
                                let id = create(shelf, n, some_task(*task));
                                ids.push(id);
                                id
                            }
                            Write::Update(at, _) | Write::Toggle(at) | Write::Delete(at) => pick(at),
                            Write::Compact(number) => {
                                if let Some(closed) = (shelf.book.newest_number()).checked_sub(1) {
                                    compact(shelf, number % (closed + 1));
                                }
                                continue;
                            }
                        };
                        touched.insert(id);
                        // Its segment may be another by now; here only lists are of interest.
                        let Some(task) = shelf.task(id).cloned() else { continue };
                        let command = match write {
                            Write::Create(_) | Write::Compact(_) => continue,
                            Write::Update(_, task) => Command::Update(id, serde_json::from_value(some_task(*task)).unwrap()),
                            Write::Toggle(_) if task.completed_at.is_some() => Command::Reopen(id),
                            Write::Toggle(_) => Command::Complete(id),
                            Write::Delete(_) => Command::Delete(id),
                        };
                        apply(shelf, n, &command);
                    }
                });
                let unchanged = |ids: &[TaskId]| -> Vec<TaskId> {
                    ids.iter().filter(|id| !touched.contains(id)).copied().collect()
                };
                // In the order in which they stand at the end, which is theirs all along.
                let whole = pages(&mut shelf, &query(status, &sort, 200), |_| ());
                let seen = unchanged(&seen);
                prop_assert_eq!(&seen, &unchanged(&whole), "{} {:?}", sort, status);
                prop_assert_eq!(seen.len(), unchanged(&before).len());
            }
        }
    }
}
