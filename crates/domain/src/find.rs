//! Finding an account's tasks: which of them, in what order, a page at a time.
//!
//! A [`Query`] says which closed segments it needs ([`Query::plan`]) and makes the page of them ([`Query::page`]). In
//! the order of creation, without any filter but the status, the book's directory tells which few segments hold the
//! page; any other query looks at every segment that has a task of the status.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::SegmentNumber;
use crate::shelf::{Book, Segment};
use crate::task::Task;
use crate::{AccountId, Instant};

mod cursor;
mod filter;
#[cfg(test)]
mod fuzz;
mod order;
mod search;

pub use cursor::Cursor;
pub use filter::Filter;
pub use order::{Order, Place, SortBy};
pub use search::{MAX_SEARCH, MAX_WORDS, Search, SearchError, fold};

/// The largest page.
pub const MAX_LIMIT: usize = 200;
/// The page's size when the client names none.
pub const DEFAULT_LIMIT: usize = 50;

/// Closed segments that were read, by their numbers.
pub type Segments = BTreeMap<SegmentNumber, Arc<Segment>>;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Which tasks.
    pub filter: Filter,
    /// In what order.
    pub order: Order,
    /// The page's size, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

impl Default for Query {
    /// The open tasks, newest first.
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            order: Order::default(),
            limit: DEFAULT_LIMIT,
            cursor: None,
        }
    }
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<'a> {
    /// The tasks.
    pub tasks: Vec<&'a Task>,
    /// Where the next page begins, as the text that [`Query::resume`] reads; `None` after the last.
    pub next: Option<String>,
    /// How many tasks there are on all pages together.
    pub total: u64,
}

impl Query {
    /// The closed segments that must be read for the page.
    pub fn plan(&self, book: &Book) -> Vec<SegmentNumber> {
        let closed = |number: SegmentNumber| book.closed.get(number as usize);
        let walk = self.walk(book);
        if !self.follows_directory() {
            return walk.filter(|number| closed(*number).is_some()).collect();
        }
        let start = self.start(book);
        // One more than the page, to know whether there is another.
        let mut wanted = self.limit as u64 + 1;
        let mut plan = Vec::new();
        for number in walk {
            if wanted == 0 {
                break;
            }
            let Some(closed) = closed(number) else {
                wanted = wanted.saturating_sub(self.rest(&book.newest).len() as u64);
                continue;
            };
            plan.push(number);
            // What of the cursor's own segment is still to come is known only when it is read.
            if start != Some(number) {
                wanted = wanted.saturating_sub(closed.count(self.filter.status));
            }
        }
        plan
    }

    /// The page at the time `now`, of the segments of [`Self::plan`]; the book and they are the account's.
    pub fn page<'a>(
        &self,
        account: &AccountId,
        now: Instant,
        book: &'a Book,
        segments: &'a Segments,
    ) -> Page<'a> {
        let at = |number| match segments.get(&number) {
            Some(segment) => Some(segment.as_ref()),
            None => (number == book.newest_number()).then_some(&book.newest),
        };
        if self.follows_directory() {
            let mut tasks = Vec::with_capacity(self.limit + 1);
            // A segment that should be there but is not (others wrote meanwhile) ends the page early.
            let mut cut = None;
            for number in self.walk(book) {
                let Some(segment) = at(number) else {
                    cut = Some(number);
                    break;
                };
                tasks.extend(self.rest(segment));
                if tasks.len() > self.limit {
                    break;
                }
            }
            return self.cut(account, tasks, cut, book.total(self.filter.status));
        }
        let mut total = 0;
        let mut places = Vec::new();
        for task in self.walk(book).filter_map(at).flat_map(|s| &s.tasks) {
            if self.filter.matches(task, now) {
                total += 1;
                let place = self.order.place(task, self.filter.time_zone);
                if self.is_ahead(&place) {
                    places.push((place, task));
                }
            }
        }
        let compare = |a: &(Place, _), b: &(Place, _)| self.order.compare(&a.0, &b.0);
        if places.len() > self.limit + 1 {
            places.select_nth_unstable_by(self.limit, compare);
            places.truncate(self.limit + 1);
        }
        places.sort_unstable_by(compare);
        let tasks = places.into_iter().map(|(_, task)| task).collect();
        self.cut(account, tasks, None, total)
    }

    /// The page of tasks that are in order; with one more than the page holds, or a segment where they go on, there is
    /// a next one.
    fn cut<'a>(
        &self,
        account: &AccountId,
        mut tasks: Vec<&'a Task>,
        goes_on_in: Option<SegmentNumber>,
        total: u64,
    ) -> Page<'a> {
        let more = tasks.len() > self.limit;
        tasks.truncate(self.limit);
        let next = match (tasks.last(), goes_on_in) {
            (Some(task), cut) if more || cut.is_some() => Some(Cursor {
                place: self.order.place(task, self.filter.time_zone),
                segment: if more {
                    task.id.segment
                } else {
                    cut.unwrap_or_default()
                },
            }),
            (None, Some(segment)) => Some(Cursor {
                place: self
                    .cursor
                    .as_ref()
                    .map_or_else(|| self.order.start(), |cursor| cursor.place.clone()),
                segment,
            }),
            _ => None,
        };
        Page {
            tasks,
            next: next.map(|cursor| self.text_of(account, &cursor)),
            total,
        }
    }

    /// Whether the directory alone tells where the page is.
    fn follows_directory(&self) -> bool {
        self.order.by == SortBy::Created && self.filter.is_by_status_only()
    }

    /// The segments that may have tasks of the page, in the order of creation that is asked for.
    fn walk(&self, book: &Book) -> impl Iterator<Item = SegmentNumber> + use<'_> {
        let newest = book.newest_number();
        let range = match self.start(book).filter(|_| self.follows_directory()) {
            None => 0..=newest,
            Some(start) if self.order.descending => 0..=start,
            Some(start) => start..=newest,
        };
        let status = self.filter.implied_status();
        let mut numbers: Vec<_> = range
            .filter(|number| {
                let closed = book.closed.get(*number as usize);
                closed.is_none_or(|closed| closed.count(status) > 0)
            })
            .collect();
        if self.order.descending {
            numbers.reverse();
        }
        numbers.into_iter()
    }

    /// The segment where the cursor's task is or was; if that one has nothing any more, the next lower one that has, for
    /// the tasks of a segment may have moved there. Tasks created before the cursor's are not above it, later ones not
    /// below.
    fn start(&self, book: &Book) -> Option<SegmentNumber> {
        let hint = self.cursor.as_ref()?.segment.min(book.newest_number());
        let is_live = |number: &SegmentNumber| {
            let closed = book.closed.get(*number as usize);
            closed.is_none_or(|closed| closed.count(None) > 0)
        };
        Some((0..=hint).rev().find(is_live).unwrap_or(0))
    }

    /// The tasks of a segment that come after the cursor, in the order of creation that is asked for.
    fn rest<'a>(&self, segment: &'a Segment) -> Vec<&'a Task> {
        let status = self.filter.status;
        let mut tasks: Vec<&Task> = segment
            .tasks
            .iter()
            .filter(|task| status.is_none_or(|status| status == task.status()))
            .filter(|task| self.is_ahead(&self.order.place(task, self.filter.time_zone)))
            .collect();
        if self.order.descending {
            tasks.reverse();
        }
        tasks
    }

    fn is_ahead(&self, place: &Place) -> bool {
        self.cursor
            .as_ref()
            .is_none_or(|cursor| self.order.compare(place, &cursor.place) == Ordering::Greater)
    }
}

#[cfg(test)]
mod tests;
