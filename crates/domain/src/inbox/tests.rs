//! Inboxes, beside plain lists.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn content(n: u64) -> Content {
    Content {
        task_id: TaskId::new(0, n),
        reminder_id: "r".to_owned(),
        occurrence: 1,
        at: at(n),
        fired_at: at(n),
        title: format!("task {n}"),
        due: None,
        due_at: None,
        priority: Priority::Medium,
    }
}

fn at(n: u64) -> Instant {
    Instant::from_millis(1_000 * n as i64).unwrap()
}

/// An inbox with the pages that were sealed, as a store would have them.
#[derive(Default)]
struct Kept {
    inbox: Inbox,
    pages: BTreeMap<u64, Page>,
}

impl Kept {
    fn with(count: u64) -> Self {
        let mut kept = Self::default();
        for _ in 0..count {
            kept.append();
        }
        kept
    }

    fn append(&mut self) -> NotificationId {
        let n = self.inbox.next;
        let (id, sealed) = self.inbox.append(&format!("event {n}"), content(n), at(n));
        if let Some((number, page)) = sealed.page {
            assert_eq!(page.notifications.len() as u64, PAGE);
            assert!(self.pages.insert(number, page).is_none(), "sealed once");
        }
        if let Some(number) = sealed.forgotten {
            assert!(self.pages.remove(&number).is_some(), "forgotten once");
        }
        id
    }

    fn list(&self, query: &Query) -> (Vec<NotificationId>, Option<u64>) {
        let listing = self.inbox.list(query);
        let pages = self.inbox.pages_of(&listing.numbers);
        let pages: Vec<Page> = pages.iter().map(|n| self.pages[n].clone()).collect();
        let found = self.inbox.gather(&listing.numbers, &pages);
        assert_eq!(
            found.len(),
            listing.numbers.len(),
            "all that is listed is there"
        );
        (found.iter().map(|one| one.id).collect(), listing.next)
    }

    /// Every page of a list.
    fn all(&self, unread: bool, limit: usize) -> Vec<u64> {
        let mut query = Query {
            unread,
            limit,
            before: None,
        };
        let mut all = Vec::new();
        loop {
            let (ids, next) = self.list(&query);
            all.extend(ids.iter().map(|id| id.number));
            match next {
                Some(next) => query.before = Some(next),
                None => return all,
            }
        }
    }
}

#[test]
fn an_id_has_one_spelling() {
    let id = NotificationId::new(37, "an event");
    let text = id.to_string();
    assert!(text.starts_with("15-"), "{text}");
    assert_eq!(NotificationId::parse(&text), Some(id));
    assert_ne!(NotificationId::new(37, "another"), id);
    for wrong in [
        "",
        "-",
        "15",
        &text.to_uppercase(),
        &format!("0{text}"),
        &format!("{text} "),
    ] {
        assert_eq!(NotificationId::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn the_newest_come_first_whether_sealed_or_not() {
    for count in [0, 1, 63, 64, 65, 200] {
        let kept = Kept::with(count);
        let expected: Vec<u64> = (0..count).rev().collect();
        for limit in [1, 50, 200] {
            assert_eq!(kept.all(false, limit), expected, "{count} by {limit}");
        }
        assert_eq!(kept.inbox.unread(), count);
    }
}

#[test]
fn the_newest_two_thousand_are_kept() {
    let mut kept = Kept::with(5_000);
    let expected: Vec<u64> = (3_000..5_000).rev().collect();
    assert_eq!(kept.all(false, 200), expected);
    assert_eq!(kept.inbox.unread(), 2_000);
    assert!(kept.pages.len() <= 33, "{} pages", kept.pages.len());
    // What was read and is forgotten counts no more.
    for number in [2_999, 3_000] {
        let id = NotificationId::new(number, &format!("event {number}"));
        let there = kept.inbox.place(id) != Place::Nowhere;
        assert_eq!(there, number == 3_000);
    }
    let oldest = NotificationId::new(3_000, "event 3000");
    assert!(kept.inbox.mark_read(oldest));
    assert_eq!(kept.inbox.unread(), 1_999);
    kept.append();
    assert_eq!(kept.inbox.unread(), 2_000);
}

#[test]
fn a_notification_is_found_by_its_whole_id() {
    let kept = Kept::with(100);
    let id = |number: u64| NotificationId::new(number, &format!("event {number}"));
    assert_eq!(kept.inbox.place(id(3)), Place::Page(0));
    assert!(kept.pages[&0].find(id(3)).is_some());
    assert!(
        kept.pages[&0]
            .find(NotificationId::new(3, "another"))
            .is_none()
    );
    assert!(matches!(kept.inbox.place(id(64)), Place::Head(one) if one.content == content(64)));
    for nowhere in [id(100), NotificationId::new(64, "another")] {
        assert_eq!(kept.inbox.place(nowhere), Place::Nowhere);
    }
}

#[test]
fn what_was_read_is_counted_once() {
    let mut kept = Kept::with(70);
    let id = |number: u64| NotificationId::new(number, &format!("event {number}"));
    assert!(kept.inbox.mark_read(id(5)));
    assert!(!kept.inbox.mark_read(id(5)));
    assert!(kept.inbox.mark_read(id(66)));
    assert_eq!(kept.inbox.unread(), 68);
    assert!(!kept.all(true, 50).contains(&66));
    assert_eq!(kept.inbox.mark_all_read(), 68);
    assert_eq!(kept.inbox.mark_all_read(), 0);
    assert_eq!(kept.all(true, 50), Vec::<u64>::new());
    kept.append();
    assert_eq!(kept.all(true, 50), [70]);
    assert_eq!(kept.all(false, 50).len(), 71);
    assert_eq!(kept.inbox.read.0.len(), 1, "neighbours are one span");
}

#[test]
fn a_cursor_fits_its_own_list_alone() {
    let ann = AccountId::parse("ann").unwrap();
    let ben = AccountId::parse("ben").unwrap();
    let kept = Kept::with(10);
    let query = Query {
        unread: true,
        limit: 4,
        before: None,
    };
    let listing = kept.inbox.list(&query);
    let cursor = listing.cursor(&ann, &query).unwrap();
    assert_eq!(resume(&ann, true, &cursor), Some(6));
    for (account, unread, text) in [
        (&ben, true, cursor.as_str()),
        (&ann, false, &cursor),
        (&ann, true, &cursor.replacen("6", "5", 1)),
        (&ann, true, ""),
        (&ann, true, "-"),
    ] {
        assert_eq!(resume(account, unread, text), None, "{text}");
    }
    let last = Query {
        before: Some(4),
        ..query
    };
    assert_eq!(kept.inbox.list(&last).cursor(&ann, &last), None);
}

#[test]
fn an_inbox_survives_its_json() {
    let mut kept = Kept::with(70);
    kept.inbox.mark_read(NotificationId::new(69, "event 69"));
    let text = serde_json::to_string(&kept.inbox).unwrap();
    assert_eq!(serde_json::from_str::<Inbox>(&text).unwrap(), kept.inbox);
}

proptest! {
    /// Beside a plain list of what there is and what was read.
    #[test]
    fn an_inbox_is_a_list_with_marks(steps in prop::collection::vec((0_u8..8, 0_u64..300), 1..400)) {
        let mut kept = Kept::default();
        let mut unread: BTreeSet<u64> = BTreeSet::new();
        for (step, pick) in steps {
            match step {
                0 => { kept.inbox.mark_all_read(); unread.clear(); }
                1 | 2 if kept.inbox.next > 0 => {
                    let number = pick % kept.inbox.next;
                    let id = NotificationId::new(number, &format!("event {number}"));
                    prop_assert_eq!(kept.inbox.mark_read(id), unread.remove(&number));
                }
                _ => { unread.insert(kept.append().number); }
            }
            prop_assert_eq!(kept.inbox.unread(), unread.len() as u64);
        }
        let expected: Vec<u64> = unread.iter().rev().copied().collect();
        prop_assert_eq!(kept.all(true, 7), expected);
    }
}
