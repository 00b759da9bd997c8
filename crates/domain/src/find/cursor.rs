//! Where a page ended.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Place, Query};
use crate::ids::{SegmentNumber, first_64_bits};
use crate::{AccountId, base32};

/// The longest text that is read as a cursor, in bytes.
const MAX_CURSOR: usize = 2_048;

/// The place after which the next page begins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cursor {
    /// The place of the last task of the page before, whether or not it is there still.
    pub(super) place: Place,
    /// The segment in which that task was created: a hint where to go on.
    pub(super) segment: SegmentNumber,
}

impl Query {
    /// The cursor as an opaque text. It carries a checksum over itself, the account and the question, so that a text
    /// that was cut or is for another list is known; it is no secret, for it gives nobody more than the list does.
    pub(super) fn text_of(&self, account: &AccountId, cursor: &Cursor) -> String {
        let check = self.check(account, cursor);
        let parts = (check, cursor.segment, &cursor.place);
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&parts).unwrap_or_default())
    }

    /// Reads a cursor that was made for the same account and the same question (the page's size may differ); `None` for
    /// any other text.
    pub fn resume(&self, account: &AccountId, text: &str) -> Option<Cursor> {
        if text.len() > MAX_CURSOR {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (_, segment, place): (String, _, _) = serde_json::from_slice(&bytes).ok()?;
        let cursor = Cursor { place, segment };
        (self.text_of(account, &cursor) == text).then_some(cursor)
    }

    fn check(&self, account: &AccountId, cursor: &Cursor) -> String {
        #[derive(Serialize)]
        struct Checked<'a, F> {
            account: &'a AccountId,
            filter: F,
            order: super::Order,
            segment: SegmentNumber,
            place: &'a Place,
        }
        let filter = &self.filter;
        let checked = Checked {
            account,
            filter: (
                filter.status,
                filter.search.words(),
                &filter.priorities,
                &filter.tags,
                (filter.due_after, filter.due_before),
                (filter.overdue, filter.recurring),
                filter.parent,
                filter.time_zone.name(),
            ),
            order: self.order,
            segment: cursor.segment,
            place: &cursor.place,
        };
        let bytes = serde_json::to_vec(&checked).unwrap_or_default();
        base32::encode(first_64_bits(&Sha256::digest(bytes)), 13)
    }
}
