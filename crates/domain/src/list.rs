//! Pages of an account's tasks, newest first, by a cursor that stays right while others write.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ids::{SegmentNumber, first_64_bits};
use crate::shelf::{Book, Shelf};
use crate::task::{Status, Task};
use crate::{AccountId, base32};

/// The largest page.
pub const MAX_LIMIT: usize = 200;
/// The page's size when the client names none.
pub const DEFAULT_LIMIT: usize = 50;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Only tasks of this status; `None` means either.
    pub status: Option<Status>,
    /// The page's size, 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<Cursor>,
}

/// The place after which the next page begins.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// In this segment …
    s: SegmentNumber,
    /// … tasks created before this sequence number, and all of the older segments.
    b: u64,
    /// The status that was asked for: a cursor does not fit another question.
    q: Option<Status>,
    /// Whose cursor it is, as a hash.
    a: String,
}

/// A page.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<'a> {
    /// The tasks.
    pub tasks: Vec<&'a Task>,
    /// Where the next page begins, if there is one.
    pub next: Option<Cursor>,
}

impl Cursor {
    /// The cursor as an opaque text.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads a cursor that was made for the same account and status; `None` for any other text.
    pub fn decode(text: &str, account: &AccountId, status: Option<Status>) -> Option<Self> {
        if text.len() > 512 {
            return None;
        }
        let cursor: Self = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (cursor.q == status && cursor.a == owner(account)).then_some(cursor)
    }
}

fn owner(account: &AccountId) -> String {
    base32::encode(first_64_bits(&Sha256::digest(account.as_str())) >> 34, 6)
}

impl Query {
    /// The closed segments that must be loaded for the page, newest first.
    pub fn plan(&self, book: &Book) -> Vec<SegmentNumber> {
        let from = self.cursor.as_ref().map_or(book.newest_number(), |c| c.s);
        let inline = if from >= book.newest_number() {
            self.matches(book.newest_number(), &book.newest.tasks)
                .count()
        } else {
            0
        };
        // One more than the page, to know whether there is another.
        let mut wanted = (self.limit + 1).saturating_sub(inline);
        let mut segments = Vec::new();
        for (number, closed) in numbered(book) {
            if wanted == 0 {
                break;
            }
            if number > from || closed.count(self.status) == 0 {
                continue;
            }
            segments.push(number);
            // What of the cursor's own segment is still to come is known only when it is read.
            if self.cursor.as_ref().is_none_or(|c| c.s != number) {
                wanted = wanted.saturating_sub(closed.count(self.status) as usize);
            }
        }
        segments
    }

    /// The page, from a shelf that has the segments of [`Self::plan`].
    pub fn page<'a>(&self, shelf: &'a Shelf, account: &AccountId) -> Page<'a> {
        let book = &shelf.book;
        let newest = std::iter::once((book.newest_number(), Some(&book.newest)));
        let closed = numbered(book)
            .filter(|(_, closed)| closed.count(self.status) > 0)
            .map(|(number, _)| (number, shelf.segments.get(&number)));
        let from = self.cursor.as_ref().map_or(SegmentNumber::MAX, |c| c.s);
        let cursor = |s, b| Cursor {
            s,
            b,
            q: self.status,
            a: owner(account),
        };

        let mut tasks: Vec<&Task> = Vec::with_capacity(self.limit);
        let mut last = None;
        for (number, segment) in newest.chain(closed).filter(|(number, _)| *number <= from) {
            let Some(segment) = segment else {
                // Others deleted or completed tasks since the plan: a short page, and the rest in the next.
                return Page {
                    tasks,
                    next: Some(cursor(number, u64::MAX)),
                };
            };
            for task in self.matches(number, &segment.tasks) {
                if tasks.len() == self.limit {
                    return Page { tasks, next: last };
                }
                last = Some(cursor(number, task.created_seq));
                tasks.push(task);
            }
        }
        Page { tasks, next: None }
    }

    /// The tasks of a segment that the page may show, newest first.
    fn matches<'a>(
        &self,
        number: SegmentNumber,
        tasks: &'a [Task],
    ) -> impl Iterator<Item = &'a Task> + use<'a> {
        let before = match &self.cursor {
            Some(cursor) if cursor.s == number => cursor.b,
            _ => u64::MAX,
        };
        let status = self.status;
        tasks.iter().rev().filter(move |task| {
            task.created_seq < before && status.is_none_or(|s| s == task.status())
        })
    }
}

fn numbered(book: &Book) -> impl Iterator<Item = (SegmentNumber, crate::shelf::Closed)> {
    book.closed
        .iter()
        .enumerate()
        .rev()
        .map(|(number, closed)| (number as SegmentNumber, *closed))
}
