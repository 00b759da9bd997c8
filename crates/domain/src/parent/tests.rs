//! What may be whose parent.

use serde_json::{Value, json};

use super::*;
use crate::shelf::Applied;
use crate::task::Status;
use crate::{
    AccountId, Actor, ActorKind, Command, Context, Entropy, FieldErrorCode, Instant, Rejection,
    Shelf, TaskInput,
};

fn context(n: u128) -> Context {
    Context {
        account: AccountId::parse("ann").unwrap(),
        actor: Actor::new(ActorKind::Person, "ann"),
        now: Instant::parse("2026-11-23T08:00:00Z").unwrap(),
        entropy: Entropy(n),
        if_version: None,
        check_rule: |rule| Ok(rule.to_owned()),
        allowance: Default::default(),
    }
}

fn input(fields: Value) -> TaskInput {
    serde_json::from_value(fields).unwrap()
}

fn below(parent: TaskId) -> Value {
    json!({ "title": "t", "parent_id": parent })
}

/// A command that sets a parent, or takes it away.
fn moving(id: TaskId, parent: impl serde::Serialize) -> Command {
    Command::Update(id, input(json!({ "parent_id": parent })))
}

fn apply(shelf: &mut Shelf, command: &Command) -> Applied {
    let entropy = 1_000 + u128::from(shelf.book.seq);
    shelf.apply(command, &context(entropy)).unwrap()
}

fn create(shelf: &mut Shelf, fields: Value) -> TaskId {
    apply(shelf, &Command::Create(input(fields))).tasks[0].id
}

/// So many tasks, each but the first below the one before, each `apart` tasks from the next.
fn chain_of(shelf: &mut Shelf, length: usize, apart: usize) -> Vec<TaskId> {
    let mut ids: Vec<TaskId> = Vec::new();
    for _ in 0..length {
        let fields = ids.last().map_or(json!({ "title": "t" }), |id| below(*id));
        ids.push(create(shelf, fields));
        for _ in 0..apart {
            create(shelf, json!({ "title": "between" }));
        }
    }
    ids
}

/// What is wrong with the only field that is.
fn refusal(shelf: &Shelf, command: &Command) -> String {
    let rejection = shelf.clone().apply(command, &context(1)).unwrap_err();
    let Rejection::Invalid(errors) = rejection else {
        panic!("{rejection:?}")
    };
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!(
        (errors[0].pointer.as_str(), errors[0].code),
        ("/parent_id", FieldErrorCode::Invalid)
    );
    errors[0].detail.clone()
}

#[test]
fn rules() {
    const ITSELF: &str = "a task is not its own parent";
    const BELOW: &str = "the parent is below this task";
    let shelf = &mut Shelf::default();
    let above = chain_of(shelf, 3, 0);
    let [a, b, c] = above[..] else { panic!() };
    let alone = create(shelf, json!({ "title": "alone" }));
    let gone = create(shelf, json!({ "title": "gone" }));
    let orphan = create(shelf, below(gone));
    apply(shelf, &Command::Delete(gone));
    for (name, id, parent, expected) in [
        ("set", alone, json!(a), Ok(1)),
        ("set deep", alone, json!(c), Ok(1)),
        ("another", c, json!(a), Ok(1)),
        ("below another, with its own below", a, json!(alone), Ok(1)),
        ("away", b, Value::Null, Ok(1)),
        ("none away", a, Value::Null, Ok(0)),
        ("the same", b, json!(a), Ok(0)),
        ("itself", a, json!(a), Err(ITSELF)),
        ("a circle of two", a, json!(b), Err(BELOW)),
        ("a circle of three", a, json!(c), Err(BELOW)),
        ("unknown", alone, json!("0-000000000001"), Err(UNKNOWN)),
        ("no segment", alone, json!("zzz-000000000001"), Err(UNKNOWN)),
        ("no id", alone, json!("buy milk"), Err(UNKNOWN)),
        ("empty", alone, json!(""), Err(UNKNOWN)),
        ("deleted", alone, json!(gone), Err(UNKNOWN)),
        ("deleted since", orphan, json!(gone), Ok(0)),
        ("away from a deleted one", orphan, Value::Null, Ok(1)),
        (
            "below one whose parent is gone",
            alone,
            json!(orphan),
            Ok(1),
        ),
    ] {
        let command = moving(id, &parent);
        match expected {
            Err(words) => assert_eq!(refusal(shelf, &command), words, "{name}"),
            Ok(events) => {
                let applied = apply(&mut shelf.clone(), &command);
                assert_eq!(json!(applied.tasks[0].parent_id), parent, "{name}");
                assert_eq!(applied.events.len(), events, "{name}");
            }
        }
        if !parent.is_null()
            && expected != Ok(0)
            && expected != Err(ITSELF)
            && expected != Err(BELOW)
        {
            // A new task may be where one that is alone may move.
            let command = Command::Create(input(json!({ "title": "t", "parent_id": parent })));
            match expected {
                Err(words) => assert_eq!(refusal(shelf, &command), words, "{name}"),
                Ok(_) => assert_eq!(
                    json!(apply(&mut shelf.clone(), &command).tasks[0].parent_id),
                    parent,
                    "{name}"
                ),
            }
        }
    }
    let applied = apply(shelf, &moving(c, a));
    assert_eq!(
        json!(applied.events[0].changes),
        json!({ "parent_id": { "from": b, "to": a } })
    );
    let both = Command::Update(c, input(json!({ "title": " ", "parent_id": c })));
    let rejection = shelf.apply(&both, &context(1)).unwrap_err();
    assert!(matches!(rejection, Rejection::Invalid(errors) if errors.len() == 2));
}

#[test]
fn only_so_many_are_above_a_task_that_gets_a_parent() {
    let shelf = &mut Shelf::default();
    let ids = chain_of(shelf, MAX_DEPTH + 1, 0);
    let (last, before) = (ids[MAX_DEPTH], ids[MAX_DEPTH - 1]);
    let deep = Command::Create(input(below(last)));
    assert_eq!(refusal(shelf, &deep), "a task has at most 8 tasks above it");
    let branch = chain_of(shelf, 3, 0);
    assert_eq!(
        refusal(shelf, &moving(branch[0], last)),
        "a task has at most 8 tasks above it"
    );
    // What moves along is not counted, but nothing more goes below it.
    apply(shelf, &moving(branch[0], before));
    let deepest = Command::Create(input(below(branch[2])));
    assert_eq!(
        refusal(shelf, &deepest),
        "a task has at most 8 tasks above it"
    );
    // Not even a circle that long is taken for anything else.
    assert_eq!(
        refusal(shelf, &moving(ids[0], branch[2])),
        "a task has at most 8 tasks above it"
    );
    // Where a task is gone the chain ends.
    apply(shelf, &Command::Delete(ids[4]));
    apply(shelf, &deep);
    apply(shelf, &deepest);
}

#[test]
fn a_parent_that_is_done_or_deleted_leaves_its_children() {
    let shelf = &mut Shelf::default();
    let ids = chain_of(shelf, 2, 0);
    let child = shelf.task(ids[1]).unwrap().clone();
    for command in [Command::Complete(ids[0]), Command::Delete(ids[0])] {
        assert_eq!(apply(shelf, &command).events.len(), 1, "{command:?}");
        assert_eq!(shelf.task(ids[1]), Some(&child), "{command:?}");
    }
    let done = apply(shelf, &Command::Complete(ids[1]));
    assert_eq!(done.tasks[0].status(), Status::Done);
    assert_eq!(done.tasks[0].parent_id, Some(ids[0]));
}

#[test]
fn what_is_above_is_loaded_step_by_step() {
    let shelf = &mut Shelf::default();
    let ids = chain_of(shelf, 8, 70);
    let last = ids[7];
    let fresh = || Shelf::new(shelf.book.clone());
    assert!(shelf.book.newest_number() >= 8);
    // Without a parent nothing more is read.
    let plain = input(json!({ "title": "t", "parent_id": null }));
    assert!(fresh().missing(&Command::Create(plain.clone())).is_empty());
    assert_eq!(
        fresh().missing(&Command::Update(last, plain)),
        [last.segment]
    );
    for (command, all, refused) in [
        (Command::Create(input(below(last))), 8, false),
        (moving(ids[0], last), 8, true),
        (moving(last, ids[0]), 2, false),
        (
            Command::Batch(vec![moving(last, ids[1]), moving(ids[1], last)]),
            8,
            true,
        ),
    ] {
        let mut partial = fresh();
        let mut rounds = 0;
        loop {
            let missing = partial.missing(&command);
            if missing.is_empty() {
                break;
            }
            rounds += 1;
            for number in missing {
                let segment = shelf.segments[&number].clone();
                partial.segments.insert(number, segment);
            }
        }
        assert!(rounds <= MAX_DEPTH, "{command:?}: {rounds}");
        assert_eq!(partial.segments.len(), all, "{command:?}");
        let outcome = partial.apply(&command, &context(7));
        assert_eq!(outcome.is_err(), refused, "{command:?}: {outcome:?}");
        assert_eq!(outcome, shelf.clone().apply(&command, &context(7)));
    }
}

#[test]
fn a_batch_sees_the_parents_that_it_set_itself() {
    let shelf = &mut Shelf::default();
    let ids: Vec<TaskId> = (0..3)
        .map(|_| create(shelf, json!({ "title": "t" })))
        .collect();
    let batch = Command::Batch(vec![
        moving(ids[1], ids[0]),
        moving(ids[2], ids[1]),
        moving(ids[0], ids[2]),
        Command::Delete(ids[1]),
        moving(ids[0], ids[1]),
        moving(ids[0], ids[2]),
    ]);
    let Err(Rejection::Invalid(errors)) = shelf.clone().apply(&batch, &context(1)) else {
        panic!()
    };
    let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(
        pointers,
        [
            "/operations/2/task/parent_id",
            "/operations/4/task/parent_id"
        ]
    );
}

#[test]
fn a_parent_is_stored_when_there_is_one() {
    let shelf = &mut Shelf::default();
    let first = create(shelf, json!({ "title": "t" }));
    let stored = serde_json::to_string(&shelf.book).unwrap();
    assert!(!stored.contains("parent"), "{stored}");
    let size = stored.len();
    create(shelf, below(first));
    let stored = serde_json::to_string(&shelf.book).unwrap();
    assert!(
        stored.contains(&format!("\"parent_id\":\"{first}\"")),
        "{stored}"
    );
    assert_eq!(
        serde_json::from_str::<crate::Book>(&stored).unwrap(),
        shelf.book
    );
    assert!(stored.len() - size <= shelf.book.newest.tasks[1].stored_size());
}
