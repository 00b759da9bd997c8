//! Which entries are asked for, and in which pages they can be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::Entry;
use crate::ids::first_64_bits;
use crate::{AccountId, EventKind, Instant, TaskId, base32};

/// The largest page of an answer.
pub const MAX_LIMIT: usize = 500;
/// The longest text that is read as a cursor, in bytes.
const MAX_CURSOR: usize = 256;

/// Which entries. Every part that is there has to fit.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Filter {
    /// Of this task.
    pub task: Option<TaskId>,
    /// Of one of these kinds, unless there are none.
    pub kinds: Vec<EventKind>,
    /// Then or later.
    pub from: Option<Instant>,
    /// Before then.
    pub to: Option<Instant>,
    /// Of this kind of doers, or of the one with this id.
    pub actor: Option<String>,
}

impl Filter {
    /// Whether an entry is asked for.
    pub fn matches(&self, entry: &Entry) -> bool {
        let content = &entry.content;
        self.task.is_none_or(|task| task == content.task_id)
            && (self.kinds.is_empty() || self.kinds.contains(&content.kind))
            && self.from.is_none_or(|from| content.at >= from)
            && self.to.is_none_or(|to| content.at < to)
            && self.actor.as_ref().is_none_or(|actor| {
                *actor == content.actor.id || *actor == content.actor.kind.as_str()
            })
    }
}

/// In which order entries are told.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub enum Order {
    /// What came last is first.
    NewestFirst,
    /// What came first is first.
    OldestFirst,
}

/// Where an entry stands: the number of its page, and its place in that. It never changes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Place(pub u32, pub u32);

/// What is asked.
#[derive(Clone, Debug)]
pub struct Query {
    /// Which entries.
    pub filter: Filter,
    /// In which order.
    pub order: Order,
    /// The most entries of a page, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// The last place that was looked at before.
    pub cursor: Option<Place>,
}

impl Query {
    /// Whether a place comes after the cursor.
    fn is_ahead(&self, place: Place) -> bool {
        self.cursor.is_none_or(|cursor| match self.order {
            Order::NewestFirst => place < cursor,
            Order::OldestFirst => place > cursor,
        })
    }

    /// Puts the numbers of pages in the order in which they are to be looked through, without those that were.
    pub fn ahead(&self, mut pages: Vec<u32>) -> Vec<u32> {
        pages.retain(|page| {
            self.cursor.is_none_or(|cursor| match self.order {
                Order::NewestFirst => *page <= cursor.0,
                Order::OldestFirst => *page >= cursor.0,
            })
        });
        pages.sort_unstable();
        pages.dedup();
        if self.order == Order::NewestFirst {
            pages.reverse();
        }
        pages
    }

    /// The entries of a page that are asked for, each with its place, in the order that is asked for.
    pub fn of_page<'a>(&self, page: u32, entries: &'a [Entry]) -> Vec<(Place, &'a Entry)> {
        let mut found: Vec<(Place, &Entry)> = (0..)
            .map(|n| Place(page, n))
            .zip(entries)
            .filter(|(place, entry)| self.is_ahead(*place) && self.filter.matches(entry))
            .collect();
        if self.order == Order::NewestFirst {
            found.reverse();
        }
        found
    }

    /// The last place of a page in the order that is asked for: whoever goes on from there has looked through the page.
    pub fn end_of(&self, page: u32) -> Place {
        match self.order {
            Order::NewestFirst => Place(page, 0),
            Order::OldestFirst => Place(page, u32::MAX),
        }
    }

    /// The cursor of a place as an opaque text, with a checksum over itself, the account and the question.
    pub fn text_of(&self, account: &AccountId, place: Place) -> String {
        let Place(page, entry) = place;
        let check = self.check(account, place);
        URL_SAFE_NO_PAD.encode(format!("{check}.{page}.{entry}"))
    }

    /// Reads a cursor that was made for the same account and the same question (the page's size may differ); `None` for
    /// any other text.
    pub fn resume(&self, account: &AccountId, text: &str) -> Option<Place> {
        if text.len() > MAX_CURSOR {
            return None;
        }
        let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = decoded.split('.').skip(1);
        let place = Place(parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (self.text_of(account, place) == text).then_some(place)
    }

    fn check(&self, account: &AccountId, place: Place) -> String {
        let checked = (account, &self.filter, self.order, place);
        let bytes = serde_json::to_vec(&checked).unwrap_or_default();
        base32::encode(first_64_bits(&Sha256::digest(bytes)), 13)
    }
}
