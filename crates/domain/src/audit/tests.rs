//! What the log promises: each event once, in order, and nothing of it changed unseen.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::{AccountId, ActorKind};

fn ann() -> AccountId {
    AccountId::parse("ann").unwrap()
}

/// The event of a sequence number: of one of five tasks, by one of two doers, a second after the one before.
fn event(seq: u64) -> Event {
    let task_id = TaskId::new(0, seq % 5);
    let kind = EventKind::ALL[(seq % 4) as usize];
    let (kind_of_actor, id) = match seq % 3 {
        0 => (ActorKind::Recurrence, "recurrence"),
        _ => (ActorKind::Person, "ann"),
    };
    Event {
        id: format!("c{seq}-{seq}"),
        kind,
        account: ann(),
        seq,
        at: Instant::from_millis(1_000 * seq as i64).unwrap(),
        actor: Actor::new(kind_of_actor, id),
        task_id,
        changes: json!({ "title": { "from": "a", "to": "b" } })
            .as_object()
            .unwrap()
            .clone(),
        task: json!({ "title": "b", "position": 1.5 }),
        kept: None,
    }
}

/// A log with the pages and directories that were sealed on the way.
#[derive(Clone, Default)]
struct Store {
    log: Log,
    added: Added,
}

impl Store {
    fn of(seqs: impl IntoIterator<Item = u64>) -> Self {
        let mut store = Self::default();
        seqs.into_iter().for_each(|seq| store.add(seq));
        store
    }

    fn add(&mut self, seq: u64) {
        let mut added = Added::default();
        self.log.add(&event(seq), &mut added);
        self.added.entries += added.entries;
        self.added.pages.extend(added.pages);
        self.added.directory.extend(added.directory);
    }

    fn pages(&self) -> Vec<(u32, Vec<Entry>)> {
        let sealed = self.added.pages.clone().into_iter();
        let open = (self.log.pages.sealed, self.log.pages.open.clone());
        sealed.chain([open]).collect()
    }

    fn entries(&self) -> Vec<Entry> {
        self.pages().into_iter().flat_map(|page| page.1).collect()
    }

    fn seqs(&self) -> Vec<u64> {
        self.entries().iter().map(|e| e.content.seq).collect()
    }

    fn verify(&self) -> Verified {
        verify(&self.entries(), &self.log)
    }
}

fn verify(entries: &[Entry], log: &Log) -> Verified {
    let mut verifier = Verifier::default();
    entries.iter().for_each(|entry| verifier.take(entry));
    verifier.finish_at(log)
}

#[test]
fn every_type_of_events_is_audited_or_exempt_with_a_reason() {
    for kind in EventKind::ALL {
        assert_eq!(treatment(kind.as_str()), Some(Treatment::Audited));
        assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
    }
    for exempt in ["reminder-due", "notification-created"] {
        assert!(
            matches!(treatment(exempt), Some(Treatment::Exempt(why)) if !why.is_empty()),
            "{exempt}"
        );
    }
    assert_eq!(treatment("account-created"), None);
}

#[test]
fn json_has_one_spelling() {
    for (value, text) in [
        (
            json!({ "b": [1, "x"], "a": null, "": {} }),
            r#"{"":{},"a":null,"b":[1,"x"]}"#,
        ),
        // By UTF-16 code units, as the standard has it: a surrogate is below U+FB33.
        (
            json!({ "\u{fb33}": 1, "😀": 2, "\r": 3, "1": 4, "ö": 5, "€": 6 }),
            "{\"\\r\":3,\"1\":4,\"ö\":5,\"€\":6,\"😀\":2,\"\u{fb33}\":1}",
        ),
        (
            json!("\u{8}\t\n\u{c}\r\"\\\u{1f}/\u{7f}é"),
            "\"\\b\\t\\n\\f\\r\\\"\\\\\\u001f/\u{7f}é\"",
        ),
        (json!([0, -0.0, 1.0, 1, 2.5]), "[0,0,1,1,2.5]"),
        (
            json!([1e20, 1e21, 1.5e300, 1e-6, 1e-7, -2.5e-9]),
            "[100000000000000000000,1e+21,1.5e+300,0.000001,1e-7,-2.5e-9]",
        ),
        (
            json!([4.5, 2e-3, 333_333_333.333_333_3, 9007199254740991_u64]),
            "[4.5,0.002,333333333.3333333,9007199254740991]",
        ),
    ] {
        assert_eq!(canonical(&value), text);
        // What others write of a number may look different, and is the same.
        let again: Value = serde_json::from_str(text).unwrap();
        assert_eq!(canonical(&again), text);
    }
}

#[test]
fn the_hash_of_an_entry_is_this_one_for_good() {
    let entry = Entry::after(Hash::default(), Content::of(&event(1)));
    let text = canonical(&serde_json::to_value(&entry.content).unwrap());
    let expected = r#"{"actor":{"id":"ann","kind":"person"},"at":"1970-01-01T00:00:01.000Z","changes":{"title":{"from":"a","to":"b"}},"event_id":"c1-1","seq":1,"task_id":"0-000000000001","title":"b","type":"task-updated"}"#;
    assert_eq!(text, expected);
    // Whoever changes one of these breaks every log that there is.
    assert_eq!(
        (entry.content_hash.to_string(), entry.hash.to_string()),
        (CONTENT_HASH.to_owned(), HASH.to_owned())
    );
    let stored = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<Entry>(&stored).unwrap(), entry);
    let digits = entry.hash.to_string();
    assert_eq!(Hash::parse(&digits), Some(entry.hash));
    for wrong in ["", "00", &digits.to_uppercase(), &"g".repeat(64)] {
        assert_eq!(Hash::parse(wrong), None, "{wrong}");
    }
}

const CONTENT_HASH: &str = "7057cd123d97a1991919188bb9d84888b5642bd1a3c12b162c008cec7a95cd2c";
const HASH: &str = "cb91453b093a1630191b4e1354f2d46d6483839c3a647cb163f77b7c32cbe39f";

#[test]
fn new_and_deleted_tasks_are_kept_whole() {
    for kind in EventKind::ALL {
        let content = Content::of(&Event { kind, ..event(1) });
        let whole = [EventKind::TaskCreated, EventKind::TaskDeleted].contains(&kind);
        assert_eq!(content.task.is_some(), whole);
    }
}

#[test]
fn an_event_is_there_once_and_what_is_late_is_told_from_what_is_missing() {
    let whole = Store::of(1..=200);
    assert_eq!(whole.seqs(), (1..=200).collect::<Vec<_>>());
    let again = Store::of((1..=200).chain([200, 7, 1, 0]).chain(1..=200));
    assert_eq!(again.log, whole.log);

    let gaps = Store::of([3, 4, 9, 10]);
    assert_eq!(gaps.log.sequence.missing, [(1, 2), (5, 8)]);
    assert!(!gaps.log.has(6) && gaps.log.has(9) && !gaps.log.has(11));
    let verified = gaps.verify();
    assert!(verified.ok && verified.late == 0);
    assert_eq!(verified.missing, [(1, 2), (5, 8)]);

    let late = Store::of([3, 4, 9, 10, 6, 6, 5, 2, 9]);
    assert_eq!(late.seqs(), [3, 4, 9, 10, 6, 5, 2]);
    let verified = late.verify();
    assert!(verified.ok && verified.late == 3);
    assert_eq!(verified.missing, [(1, 1), (7, 8)]);
}

#[test]
fn pages_are_bounded_and_a_task_is_found_in_them() {
    let store = Store::of(1..=10_000);
    for (number, page) in &store.added.pages {
        let bytes: usize = page.iter().map(Entry::stored_size).sum();
        assert!(
            page.len() <= PAGE_ENTRIES && bytes < PAGE_BYTES + 1_000,
            "{number}"
        );
        // The estimate is one: the page itself is about as large.
        let text = serde_json::to_string(page).unwrap().len();
        assert!(text.abs_diff(bytes) < bytes / 5, "{text} of {bytes}");
    }
    let numbers: Vec<u32> = store.added.pages.keys().copied().collect();
    assert_eq!(numbers, (0..store.log.pages.sealed).collect::<Vec<_>>());
    let told = store.added.directory.values().map(Vec::len).sum::<usize>();
    assert_eq!(told + store.log.spans.open.len(), numbers.len());
    assert!(store.log.spans.open.len() <= SPANS);

    let mut index = Pages::<u32>::default();
    let tasks = store.added.tasks();
    let pages = &tasks[&TaskId::new(0, 3)];
    let sealed: Vec<(u32, Vec<u32>)> = pages.iter().filter_map(|page| index.note(*page)).collect();
    let mut noted: Vec<u32> = sealed.into_iter().flat_map(|page| page.1).collect();
    noted.extend(&index.open);
    assert_eq!(&noted, pages);
    for (number, page) in &store.added.pages {
        let has = page.iter().any(|e| e.content.task_id == TaskId::new(0, 3));
        assert_eq!(pages.contains(number), has);
    }
}

#[test]
fn what_somebody_did_to_the_store_is_found_where_he_did_it() {
    type Deed = fn(&mut Vec<Entry>);
    fn forge(entry: &mut Entry) {
        entry.content.title = "forged".to_owned();
        *entry = Entry::after(entry.previous_hash, entry.content.clone());
    }
    let store = Store::of(1..=150);
    let deeds: [(&str, Deed, u64, Break); 14] = [
        (
            "title",
            |e| e[9].content.title.push('x'),
            10,
            Break::Changed,
        ),
        (
            "actor",
            |e| e[0].content.actor.id.clear(),
            1,
            Break::Changed,
        ),
        (
            "field",
            |e| e[149].content.changes.clear(),
            150,
            Break::Changed,
        ),
        (
            "content hash",
            |e| e[70].content_hash = Hash::default(),
            71,
            Break::Changed,
        ),
        ("hash", |e| e[70].hash = Hash::default(), 71, Break::Changed),
        (
            "link",
            |e| e[70].previous_hash = Hash::default(),
            71,
            Break::Changed,
        ),
        (
            "forged with its hashes",
            |e| forge(&mut e[70]),
            72,
            Break::Missing,
        ),
        ("first one gone", |e| drop(e.remove(0)), 1, Break::Missing),
        ("one gone", |e| drop(e.remove(99)), 100, Break::Missing),
        ("some gone", |e| drop(e.drain(10..90)), 11, Break::Missing),
        (
            "two changed places",
            |e| e.swap(20, 21),
            21,
            Break::Reordered,
        ),
        (
            "moved to the end",
            |e| {
                let one = e.remove(5);
                e.push(one);
            },
            6,
            Break::Reordered,
        ),
        (
            "one twice",
            |e| e.insert(31, e[30].clone()),
            32,
            Break::Reordered,
        ),
        ("tail cut off", |e| e.truncate(140), 141, Break::CutOff),
    ];
    for (what, deed, position, why) in deeds {
        let mut entries = store.entries();
        deed(&mut entries);
        let found = verify(&entries, &store.log);
        let broken = found.broken_at.unwrap();
        assert!(!found.ok, "{what}");
        assert_eq!((broken.position, broken.why), (position, why), "{what}");
    }
    // The head alone.
    type Head = fn(&mut Log);
    let heads: [(&str, Head); 4] = [
        ("count", |log| log.entries -= 1),
        ("hash", |log| log.hash = Hash::default()),
        ("number", |log| log.sequence.last += 1),
        ("missing", |log| log.sequence.missing.push((3, 4))),
    ];
    for (what, deed) in heads {
        let mut log = store.log.clone();
        deed(&mut log);
        let found = verify(&store.entries(), &log);
        assert_eq!(found.broken_at.unwrap().why, Break::CutOff, "{what}");
    }
}

#[test]
fn what_is_redacted_tells_nothing_and_breaks_nothing() {
    let store = Store::of(1..=20);
    let mut entries = store.entries();
    entries.iter_mut().for_each(Entry::redact);
    let found = verify(&entries, &store.log);
    assert!(found.ok);
    assert_eq!(found.redacted, 20);
    let text = serde_json::to_string(&entries).unwrap();
    assert!(!text.contains("\"b\"") && !text.contains("ann"), "{text}");
    // Redacting is no way to move something.
    entries.swap(3, 4);
    assert!(!verify(&entries, &store.log).ok);
}

#[test]
fn filters() {
    let all = Store::of(1..=12).entries();
    let matching = |filter: Filter| -> Vec<u64> {
        let found = all.iter().filter(|entry| filter.matches(entry));
        found.map(|entry| entry.content.seq).collect()
    };
    let at = |second: i64| Instant::from_millis(second * 1_000);
    let none = Filter::default;
    for (filter, expected) in [
        (none(), (1..=12).collect()),
        (
            Filter {
                task: Some(TaskId::new(0, 2)),
                ..none()
            },
            vec![2, 7, 12],
        ),
        (
            Filter {
                kinds: vec![EventKind::TaskCreated],
                ..none()
            },
            vec![4, 8, 12],
        ),
        (
            Filter {
                kinds: vec![EventKind::TaskDeleted],
                ..none()
            },
            vec![],
        ),
        (
            Filter {
                from: at(11),
                ..none()
            },
            vec![11, 12],
        ),
        (
            Filter {
                to: at(3),
                ..none()
            },
            vec![1, 2],
        ),
        (
            Filter {
                from: at(3),
                to: at(3),
                ..none()
            },
            vec![],
        ),
        (
            Filter {
                actor: Some("recurrence".into()),
                ..none()
            },
            vec![3, 6, 9, 12],
        ),
        (
            Filter {
                actor: Some("ann".into()),
                to: at(4),
                ..none()
            },
            vec![1, 2],
        ),
        (
            Filter {
                actor: Some("person".into()),
                from: at(10),
                ..none()
            },
            vec![10, 11],
        ),
    ] {
        assert_eq!(matching(filter.clone()), expected, "{filter:?}");
    }
    let span = Span::of(&all[2..=4]);
    for (from, to, meets) in [
        (None, None, true),
        (at(5), None, true),
        (at(6), None, false),
        (None, at(3), false),
        (None, at(4), true),
        (at(1), at(9), true),
    ] {
        assert_eq!(span.meets(from, to), meets, "{from:?} {to:?}");
    }
}

fn query(order: Order, limit: usize, cursor: Option<Place>) -> Query {
    Query {
        filter: Filter::default(),
        order,
        limit,
        cursor,
    }
}

#[test]
fn a_cursor_is_for_its_account_and_its_question() {
    let asked = query(Order::NewestFirst, 10, None);
    let place = Place(3, 17);
    let text = asked.text_of(&ann(), place);
    assert_eq!(asked.resume(&ann(), &text), Some(place));
    let larger = query(Order::NewestFirst, 99, None);
    assert_eq!(larger.resume(&ann(), &text), Some(place));
    let other = query(Order::OldestFirst, 10, None);
    assert_eq!(other.resume(&ann(), &text), None);
    let bob = AccountId::parse("bob").unwrap();
    assert_eq!(asked.resume(&bob, &text), None);
    let narrower = Query {
        filter: Filter {
            task: Some(TaskId::new(0, 1)),
            ..Filter::default()
        },
        ..asked.clone()
    };
    assert_eq!(narrower.resume(&ann(), &text), None);
    for wrong in [
        "",
        "!",
        text.get(1..).unwrap(),
        text.get(..text.len() - 1).unwrap(),
        &"x".repeat(10_000),
    ] {
        assert_eq!(asked.resume(&ann(), wrong), None, "{wrong}");
    }
}

/// Goes through a store by cursors, as the function does.
fn walk(store: &Store, order: Order, limit: usize) -> Vec<u64> {
    let pages: BTreeMap<u32, Vec<Entry>> = store.pages().into_iter().collect();
    let (mut seqs, mut cursor) = (Vec::new(), None);
    loop {
        let asked = query(order, limit, cursor);
        let mut found = Vec::new();
        for number in asked.ahead(pages.keys().copied().collect()) {
            found.extend(asked.of_page(number, &pages[&number]));
        }
        found.truncate(limit);
        seqs.extend(found.iter().map(|(_, entry)| entry.content.seq));
        match found.last() {
            Some((place, _)) => cursor = Some(*place),
            None => return seqs,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever comes, in whatever order and however often: each event has one entry, the chain holds, what has not come is
    /// missing, and cursors go through everything once.
    #[test]
    fn any_delivery_gives_a_whole_log(
        seqs in prop::collection::vec(1_u64..120, 0..400), limit in 1_usize..40,
    ) {
        let store = Store::of(seqs.iter().copied());
        let mut first: Vec<u64> = Vec::new();
        for seq in &seqs {
            if !first.contains(seq) {
                first.push(*seq);
            }
        }
        prop_assert_eq!(&store.seqs(), &first);
        let verified = store.verify();
        prop_assert!(verified.ok);
        prop_assert_eq!(verified.entries, first.len() as u64);
        let last = first.iter().max().copied().unwrap_or(0);
        let missing: Vec<u64> = (1..last).filter(|seq| !first.contains(seq)).collect();
        let told: Vec<u64> = verified.missing.iter().flat_map(|(from, to)| *from..=*to).collect();
        prop_assert_eq!(told, missing);
        prop_assert_eq!(&walk(&store, Order::OldestFirst, limit), &first);
        first.reverse();
        prop_assert_eq!(&walk(&store, Order::NewestFirst, limit), &first);
    }

    /// Whatever single entry is changed, removed or moved: it is found.
    #[test]
    fn any_deed_is_found(place in 0_usize..150, to in 0_usize..149, deed in 0..3) {
        let store = Store::of(1..=150);
        let mut entries = store.entries();
        match deed {
            0 => entries[place].content.seq += 1,
            1 => drop(entries.remove(place)),
            _ => {
                let entry = entries.remove(place);
                entries.insert(to, entry);
            }
        }
        let is_same = entries == store.entries();
        prop_assert_eq!(verify(&entries, &store.log).ok, is_same);
    }
}
