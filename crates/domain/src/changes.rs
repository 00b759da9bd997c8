//! The change feed: what happened to an account's tasks since a client last asked, a page at a time.
//!
//! A page is about a span of sequence numbers: it shows every task whose last change is in it, and every deletion. The
//! directory tells which closed segments can have some, and the span ends early where more of it would mean to read many.
//! Whatever is changed after a page was made has a higher number, and comes in a later page.

use crate::find::Segments;
use crate::ids::SegmentNumber;
use crate::shelf::{Book, Closed, Tombstone};
use crate::task::Task;

/// The largest page.
pub const MAX_LIMIT: usize = 1_000;
/// The page's size when the client names none.
pub const DEFAULT_LIMIT: usize = 500;
/// So many closed segments are read for a page, beyond those that straddle its beginning: of these nothing tells what they
/// have.
const SEGMENTS: usize = 64;
/// `since` is a sequence number in its low bits, and above them which load it belongs to; 53 bits in all, which every
/// client's numbers hold exactly.
const SEQ_BITS: u32 = 33;
/// The largest `since`.
pub const MAX_SINCE: u64 = (1 << 53) - 1;
const LOADS: u64 = (1 << (53 - SEQ_BITS)) - 1;

/// How far a client has come: a number that a page gave it, or 0.
///
/// It is a sequence number, but for one case: while a client that began with nothing is at numbers whose tombstones were
/// dropped, it also says how often that had happened. Then nothing that it misses was dropped since, unlike with a client
/// that has been away.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Since {
    seq: u64,
    load: u64,
}

impl Since {
    /// Reads the number; `None` if no page ever gives it.
    pub fn parse(number: u64) -> Option<Self> {
        (number <= MAX_SINCE).then_some(Self {
            seq: number & ((1 << SEQ_BITS) - 1),
            load: number >> SEQ_BITS,
        })
    }

    /// The number.
    pub fn number(self) -> u64 {
        self.load << SEQ_BITS | self.seq
    }

    /// How far a client is that has everything up to `seq`.
    fn at(seq: u64, book: &Book) -> Self {
        let load = if seq < book.forgotten { load(book) } else { 0 };
        Self { seq, load }
    }

    /// Whether what the client has cannot be brought up to date.
    fn is_lost(self, book: &Book) -> bool {
        if self.load > 0 {
            return self.seq > book.seq || self.load != load(book);
        }
        self.seq > book.seq || (1..book.forgotten).contains(&self.seq)
    }
}

/// Which load a client that begins now does; never 0.
fn load(book: &Book) -> u64 {
    1 + u64::from(book.forgettings) % LOADS
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Query {
    /// How far the client has come.
    pub since: Since,
    /// The most changes of a page, 1 to [`MAX_LIMIT`].
    pub limit: usize,
}

/// A task as it now is, or a deletion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Change<'a> {
    /// The task is new or has changed.
    Task(&'a Task),
    /// The task is gone.
    Deleted(Tombstone),
}

impl Change<'_> {
    /// The sequence number.
    pub fn seq(&self) -> u64 {
        match self {
            Self::Task(task) => task.seq,
            Self::Deleted(tombstone) => tombstone.0,
        }
    }
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<'a> {
    /// The changes in the order of their numbers, each task once.
    pub changes: Vec<Change<'a>>,
    /// What to ask next.
    pub next: Since,
    /// Whether the client has to throw away what it has and begin with nothing: too much was forgotten.
    pub reset: bool,
    /// Whether the account has nothing beyond this page.
    pub is_last: bool,
}

impl Query {
    /// The closed segments that must be read for the page.
    pub fn plan(&self, book: &Book) -> Vec<SegmentNumber> {
        if self.since.is_lost(book) {
            return Vec::new();
        }
        self.span(book).0
    }

    /// The page, from the segments of [`Self::plan`].
    pub fn page<'a>(&self, book: &'a Book, segments: &'a Segments) -> Page<'a> {
        if self.since.is_lost(book) {
            return Page {
                changes: Vec::new(),
                next: Since { seq: 0, load: 0 },
                reset: true,
                is_last: false,
            };
        }
        let (numbers, mut until) = self.span(book);
        let read = numbers.iter().filter_map(|number| segments.get(number));
        let mut changes: Vec<Change<'a>> = read
            .map(AsRef::as_ref)
            .chain([&book.newest])
            .flat_map(|segment| {
                let deleted = segment.deleted.iter().copied().map(Change::Deleted);
                segment.tasks.iter().map(Change::Task).chain(deleted)
            })
            .filter(|change| self.since.seq < change.seq() && change.seq() <= until)
            .collect();
        changes.sort_unstable_by_key(Change::seq);
        if let Some(last) = changes.get(self.limit.saturating_sub(1)) {
            until = last.seq();
            changes.truncate(self.limit);
        }
        Page {
            changes,
            next: Since::at(until, book),
            reset: false,
            is_last: until == book.seq,
        }
    }

    /// The segments with changes from `since` up to a number, and that number.
    fn span(&self, book: &Book) -> (Vec<SegmentNumber>, u64) {
        let since = self.since.seq;
        let mut wanted: Vec<(u64, SegmentNumber, Closed)> = (0..)
            .zip(&book.closed)
            .filter(|(_, closed)| closed.2 > since)
            .map(|(number, closed)| (closed.3.max(since + 1), number, *closed))
            .collect();
        wanted.sort_unstable_by_key(|(start, number, _)| (*start, *number));
        let mut further = 0;
        for (i, (start, ..)) in wanted.iter().enumerate() {
            let (before, until) = (wanted.get(..i).unwrap_or_default(), start - 1);
            if until > since && (further == SEGMENTS || self.is_filled_by(before, until)) {
                let numbers = before.iter().map(|(_, number, _)| *number);
                return (numbers.collect(), until);
            }
            if until > since {
                further += 1;
            }
        }
        let numbers = wanted.iter().map(|(_, number, _)| *number);
        (numbers.collect(), book.seq)
    }

    /// Whether segments have enough tasks for the page, as far as the directory tells.
    fn is_filled_by(&self, segments: &[(u64, SegmentNumber, Closed)], until: u64) -> bool {
        let whole = |closed: &&Closed| closed.3 > self.since.seq && closed.2 <= until;
        let closed = segments.iter().map(|(_, _, closed)| closed);
        closed.filter(whole).map(|c| c.count(None)).sum::<u64>() >= self.limit as u64
    }
}
