//! An account's inbox: its notifications in the order in which they came, which of them were read, and the pages that
//! people leaf through.
//!
//! A notification has a number, from 0 on and without gaps, and its id names it. The head holds the newest ones and what
//! is known of all; every [`PAGE`] of them are sealed into a page that never changes again: what was read is in the head
//! alone. So the number tells where a notification is, and every change but the sealing writes one document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::fmt;

use crate::due::Due;
use crate::ids::first_64_bits;
use crate::task::{MAX_TITLE, Priority};
use crate::{AccountId, Instant, TaskId, base32};

/// How many notifications an inbox shows; older ones are forgotten.
pub const MAX_KEPT: u64 = 2_000;
/// How many notifications a sealed page has.
pub const PAGE: u64 = 64;
/// The size of a list's page, unless another is asked for.
pub const DEFAULT_LIMIT: usize = 50;
/// The largest size of a list's page.
pub const MAX_LIMIT: usize = 200;
/// How many digits the unique part of an id has.
const TOKEN_DIGITS: usize = 13;

/// The state key of an account's inbox.
pub fn inbox_key(account: &AccountId) -> String {
    format!("inbox:{account}")
}

/// The state key of a sealed page.
pub fn page_key(account: &AccountId, page: u64) -> String {
    format!("inbox:{account}:{page}")
}

/// A notification's id: its number in the inbox, and 64 bits that follow from the event that it tells of. Written
/// `<number>-<token>` in base 32.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct NotificationId {
    /// Its place in the inbox, counted from 0.
    pub number: u64,
    /// The unique part.
    token: u64,
}

impl NotificationId {
    /// The id of the `number`-th notification, which tells of the event with the id `event`.
    pub fn new(number: u64, event: &str) -> Self {
        Self {
            number,
            token: first_64_bits(&Sha256::digest(event)),
        }
    }

    /// Reads an id as [`fmt::Display`] writes it; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, token) = text.split_once('-')?;
        let id = Self {
            number: base32::decode(number)?,
            token: base32::decode(token)?,
        };
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for NotificationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}",
            base32::encode(self.number, 1),
            base32::encode(self.token, TOKEN_DIGITS)
        )
    }
}

impl Serialize for NotificationId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NotificationId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a notification id"))
    }
}

/// What a notification tells: a task's reminder was due.
#[derive(Clone, Debug, Eq, JsonSchema, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// The task.
    pub task_id: TaskId,
    /// The reminder, unique within the task.
    pub reminder_id: String,
    /// Which occurrence of the task's series it was for, counted from 1; 1 for a task that does not recur.
    pub occurrence: u32,
    /// When the reminder was due.
    pub at: Instant,
    /// When it fired.
    pub fired_at: Instant,
    /// The task's title when the reminder fired.
    #[schemars(length(max = MAX_TITLE))]
    pub title: String,
    /// When the task was due.
    pub due: Option<Due>,
    /// The instant of `due`, for its owner.
    pub due_at: Option<Instant>,
    /// How much the task matters.
    pub priority: Priority,
}

/// One entry of an inbox. Whether it was read is the [`Inbox`]'s to say.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// When it came into the inbox.
    pub created_at: Instant,
    /// What it tells.
    #[serde(flatten)]
    pub content: Content,
}

/// A full page of notifications, oldest first. It is written once.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// [`PAGE`] notifications.
    pub notifications: Vec<Notification>,
}

impl Page {
    /// The notification with this id, if the page has it.
    pub fn find(&self, id: NotificationId) -> Option<&Notification> {
        self.notifications.iter().find(|one| one.id == id)
    }
}

/// The head of an inbox.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Inbox {
    /// The number of the next notification: as many there have been.
    next: u64,
    /// Those that are in no sealed page yet, oldest first.
    newest: Vec<Notification>,
    /// The numbers of those that were read.
    #[serde(default, skip_serializing_if = "Numbers::is_empty")]
    read: Numbers,
    /// When its account was deleted, if it was: nothing comes in any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gone: Option<Instant>,
}

/// What has to be written and removed beside the head when a notification came in.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Sealed {
    /// The page that became full, with its number.
    pub page: Option<(u64, Page)>,
    /// The number of the page of which nothing is shown any more.
    pub forgotten: Option<u64>,
}

/// Where a notification is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Place<'a> {
    /// In the head.
    Head(&'a Notification),
    /// In the sealed page of this number, if anywhere.
    Page(u64),
    /// Nowhere: there never was such a notification, or it is forgotten.
    Nowhere,
}

/// Which notifications of a list are wanted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// Only those that were not read.
    pub unread: bool,
    /// How many, at most.
    pub limit: usize,
    /// Only those with a lower number: where the page before ended.
    pub before: Option<u64>,
}

/// A page of a list before it is filled: numbers, newest first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Listing {
    /// The numbers of the notifications.
    pub numbers: Vec<u64>,
    /// Where the next page begins, if there is one.
    pub next: Option<u64>,
}

impl Inbox {
    /// Takes in what an event tells, as the newest and unread notification. Whoever calls sees to it that no event comes
    /// in twice.
    pub fn append(
        &mut self,
        event: &str,
        content: Content,
        now: Instant,
    ) -> (NotificationId, Sealed) {
        let id = NotificationId::new(self.next, event);
        self.newest.push(Notification {
            id,
            created_at: now,
            content,
        });
        self.next += 1;
        self.read.forget_below(self.first());
        let mut sealed = Sealed::default();
        if self.next.is_multiple_of(PAGE) {
            let notifications = std::mem::take(&mut self.newest);
            sealed.page = Some((self.next / PAGE - 1, Page { notifications }));
            sealed.forgotten = (self.first() / PAGE).checked_sub(1);
        }
        (id, sealed)
    }

    /// How many notifications are unread, of those that are shown.
    pub fn unread(&self) -> u64 {
        self.next - self.first() - self.read.count_from(self.first())
    }

    /// Whether a notification was read.
    pub fn is_read(&self, id: NotificationId) -> bool {
        self.read.has(id.number)
    }

    /// Marks a notification, which is there, as read; whether it was unread.
    pub fn mark_read(&mut self, id: NotificationId) -> bool {
        let unread = !self.is_read(id);
        self.read.add(id.number, id.number + 1);
        unread
    }

    /// Marks all as read; how many were unread.
    pub fn mark_all_read(&mut self) -> u64 {
        let unread = self.unread();
        self.read.add(self.first(), self.next);
        unread
    }

    /// Where the notification of an id is.
    pub fn place(&self, id: NotificationId) -> Place<'_> {
        let number = id.number;
        if !(self.first()..self.next).contains(&number) {
            return Place::Nowhere;
        }
        if number < self.first_in_head() {
            return Place::Page(number / PAGE);
        }
        match self.newest.iter().find(|one| one.id == id) {
            Some(notification) => Place::Head(notification),
            None => Place::Nowhere,
        }
    }

    /// Notes that the account was deleted. What there is stays until [`Self::clear`], so that it can be found.
    pub fn close(&mut self, at: Instant) {
        self.gone.get_or_insert(at);
    }

    /// Whether the account was deleted.
    pub fn is_closed(&self) -> bool {
        self.gone.is_some()
    }

    /// The numbers of all that is kept.
    pub fn numbers(&self) -> Vec<u64> {
        (self.first()..self.next).collect()
    }

    /// Forgets everything but that the account was deleted.
    pub fn clear(&mut self) {
        *self = Self {
            gone: self.gone,
            ..Self::default()
        };
    }

    /// Which notifications a list's page has.
    pub fn list(&self, query: &Query) -> Listing {
        let end = query.before.unwrap_or(self.next).min(self.next);
        let mut wanted = (self.first()..end)
            .rev()
            .filter(|number| !query.unread || !self.read.has(*number));
        let numbers: Vec<u64> = wanted.by_ref().take(query.limit).collect();
        let more = wanted.next().is_some();
        Listing {
            next: numbers.last().copied().filter(|_| more),
            numbers,
        }
    }

    /// The sealed pages that hold some of these numbers.
    pub fn pages_of(&self, numbers: &[u64]) -> BTreeSet<u64> {
        let sealed = |number: &&u64| **number < self.first_in_head();
        numbers
            .iter()
            .filter(sealed)
            .map(|number| number / PAGE)
            .collect()
    }

    /// The notifications of these numbers, in their order, out of the head and the sealed pages given. One that is in
    /// neither is left out.
    pub fn gather<'a>(&'a self, numbers: &[u64], pages: &'a [Page]) -> Vec<&'a Notification> {
        let all = || {
            let sealed = pages.iter().flat_map(|page| &page.notifications);
            sealed.chain(&self.newest)
        };
        numbers
            .iter()
            .filter_map(|number| all().find(|one| one.id.number == *number))
            .collect()
    }

    /// The lowest number that is shown.
    fn first(&self) -> u64 {
        self.next.saturating_sub(MAX_KEPT)
    }

    /// The lowest number that is in the head, or will be.
    fn first_in_head(&self) -> u64 {
        self.next / PAGE * PAGE
    }
}

impl Listing {
    /// The cursor of the next page, an opaque text. It carries a checksum over itself, the account and the question, so
    /// that a text that was cut or is for another list is known; it is no secret.
    pub fn cursor(&self, account: &AccountId, query: &Query) -> Option<String> {
        Some(text_of(account, query.unread, self.next?))
    }
}

/// Reads a cursor that was made for the same account and question; `None` for any other text.
pub fn resume(account: &AccountId, unread: bool, text: &str) -> Option<u64> {
    let number = base32::decode(text.split_once('-')?.0)?;
    (text_of(account, unread, number) == text).then_some(number)
}

pub(crate) fn text_of(account: &AccountId, unread: bool, number: u64) -> String {
    let digest = Sha256::digest(format!("{account} {unread} {number}"));
    let check = base32::encode(first_64_bits(&digest), TOKEN_DIGITS);
    format!("{}-{check}", base32::encode(number, 1))
}

/// A set of numbers as spans `[from, to)`, in order and with gaps between them.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Numbers(Vec<(u64, u64)>);

impl Numbers {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, number: u64) -> bool {
        self.0
            .iter()
            .any(|(from, to)| (*from..*to).contains(&number))
    }

    /// How many there are from `start` on.
    fn count_from(&self, start: u64) -> u64 {
        let spans = self.0.iter();
        spans
            .map(|(from, to)| to.saturating_sub((*from).max(start)))
            .sum()
    }

    fn add(&mut self, mut from: u64, mut to: u64) {
        if from >= to {
            return;
        }
        self.0.retain(|span| {
            let apart = span.1 < from || to < span.0;
            if !apart {
                from = from.min(span.0);
                to = to.max(span.1);
            }
            apart
        });
        let place = self.0.partition_point(|span| span.0 < from);
        self.0.insert(place, (from, to));
    }

    /// Drops the spans that are below `start`.
    fn forget_below(&mut self, start: u64) {
        self.0.retain(|(_, to)| *to > start);
    }
}

#[cfg(test)]
mod tests;
