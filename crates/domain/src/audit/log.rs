//! How an account's log grows: one document that is written at each event, and pages that are written once.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Content, Entry, Hash, Sequence};
use crate::{AccountId, Event, Instant, TaskId};

/// A page has at most as many entries as this.
pub const PAGE_ENTRIES: usize = 64;
/// When the entries of a page take as many bytes as this, it is sealed before the next one is added.
pub const PAGE_BYTES: usize = 24 * 1024;
/// A page of the directory tells of as many pages.
pub const SPANS: usize = 128;
/// A page of a task's index has as many numbers of pages.
const PAGES_OF_A_TASK: usize = 512;

/// The state key of an account's log.
pub fn log_key(account: &AccountId) -> String {
    format!("audit:{account}")
}

/// The state key of a sealed page of entries.
pub fn page_key(account: &AccountId, number: u32) -> String {
    format!("audit:{account}:{number}")
}

/// The state key of a sealed page of the directory.
pub fn directory_key(account: &AccountId, number: u32) -> String {
    format!("audit:{account}:directory:{number}")
}

/// The state key of the index of a task: in which sealed pages it has entries.
pub fn task_key(account: &AccountId, task: TaskId) -> String {
    format!("audit:{account}:task:{task}")
}

/// The state key of a sealed page of the index of a task.
pub fn task_pages_key(account: &AccountId, task: TaskId, number: u32) -> String {
    format!("audit:{account}:task:{task}:{number}")
}

/// A list that only grows, in documents of bounded size: what is full is sealed under a number and never changes again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pages<T> {
    /// How many pages were sealed; they are numbered from 0.
    pub sealed: u32,
    /// The page that grows.
    pub open: Vec<T>,
}

impl<T> Default for Pages<T> {
    fn default() -> Self {
        Self {
            sealed: 0,
            open: Vec::new(),
        }
    }
}

impl<T> Pages<T> {
    /// Adds an item; if the open page is full, that one is sealed before, and given with its number.
    fn push(&mut self, item: T, is_full: bool) -> Option<(u32, Vec<T>)> {
        let full = is_full.then(|| {
            let number = self.sealed;
            self.sealed = number.saturating_add(1);
            (number, std::mem::take(&mut self.open))
        });
        self.open.push(item);
        full
    }
}

impl Pages<u32> {
    /// Notes in the index of a task that it has entries in a page; gives the page of the index that became full.
    pub fn note(&mut self, page: u32) -> Option<(u32, Vec<u32>)> {
        self.push(page, self.open.len() >= PAGES_OF_A_TASK)
    }
}

/// From when to when the events of a page's entries were, both included.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Span(i64, i64);

impl Span {
    /// Of a page.
    pub fn of(entries: &[Entry]) -> Self {
        let at = || entries.iter().map(|entry| entry.content.at.as_millis());
        Self(at().min().unwrap_or(0), at().max().unwrap_or(0))
    }

    /// Whether something of it may be at `from` or later, and before `to`.
    pub fn meets(self, from: Option<Instant>, to: Option<Instant>) -> bool {
        from.is_none_or(|from| self.1 >= from.as_millis())
            && to.is_none_or(|to| self.0 < to.as_millis())
    }
}

/// The document that every event of an account goes through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Log {
    /// How many entries there are.
    pub entries: u64,
    /// The hash of the last one.
    pub hash: Hash,
    /// Which sequence numbers have come.
    pub sequence: Sequence,
    /// The entries, in the order of their arrival.
    pub pages: Pages<Entry>,
    /// The directory: the span of each sealed page.
    pub spans: Pages<Span>,
    /// When the account was deleted, if it was: nothing is added any more, and what the entries told is taken out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Instant>,
}

/// What is to be written beside the log after events were added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Added {
    /// How many events were new.
    pub entries: usize,
    /// The pages that were sealed.
    pub pages: BTreeMap<u32, Vec<Entry>>,
    /// The pages of the directory that were sealed.
    pub directory: BTreeMap<u32, Vec<Span>>,
}

impl Added {
    /// The tasks with entries in pages that were sealed, each with the numbers of these, in order: what their indexes do
    /// not have yet.
    pub fn tasks(&self) -> BTreeMap<TaskId, Vec<u32>> {
        let mut tasks: BTreeMap<TaskId, Vec<u32>> = BTreeMap::new();
        for (number, entries) in &self.pages {
            for entry in entries {
                let pages = tasks.entry(entry.content.task_id).or_default();
                if pages.last() != Some(number) {
                    pages.push(*number);
                }
            }
        }
        tasks
    }
}

impl Log {
    /// Ends the log of an account that was deleted, and redacts the open page; the sealed ones are left to do.
    pub fn end(&mut self, at: Instant) {
        self.gone.get_or_insert(at);
        self.pages.open.iter_mut().for_each(Entry::redact);
    }

    /// Adds an event, unless it is there already, which follows from its sequence number, or the account is gone.
    pub fn add(&mut self, event: &Event, added: &mut Added) {
        if self.gone.is_some() || !self.sequence.take(event.seq) {
            return;
        }
        let entry = Entry::after(self.hash, Content::of(event));
        self.hash = entry.hash;
        self.entries += 1;
        added.entries += 1;
        let open = &self.pages.open;
        let is_full = open.len() >= PAGE_ENTRIES
            || open.iter().map(Entry::stored_size).sum::<usize>() >= PAGE_BYTES;
        if let Some((number, page)) = self.pages.push(entry, is_full) {
            let is_full = self.spans.open.len() >= SPANS;
            let full = self.spans.push(Span::of(&page), is_full);
            added.directory.extend(full);
            added.pages.insert(number, page);
        }
    }

    /// Whether the event of a sequence number has come.
    pub fn has(&self, seq: u64) -> bool {
        self.sequence.has(seq)
    }
}
