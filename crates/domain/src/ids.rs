//! Ids. Clients see opaque strings; the server reads its own out of them.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;

use crate::base32;

/// Whose tasks these are: the `sub` of the access token. At most 64 letters, digits, `-` and `_`, so that it can
/// stand in a state key.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct AccountId(String);

impl TryFrom<String> for AccountId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not an account id")
    }
}

impl AccountId {
    /// Takes an id from a verified token; `None` when it is not of the form above.
    pub fn parse(text: &str) -> Option<Self> {
        let sane = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        sane.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number of a segment within its account, counted from 0.
pub type SegmentNumber = u32;

/// A task's id: the segment that holds the task, and 60 bits that make it unique. Written `<segment>-<token>` in
/// base 32, so a task is found without an index.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TaskId {
    /// The segment that holds the task as long as it lives.
    pub segment: SegmentNumber,
    /// The unique part, below 2^60.
    pub token: u64,
}

const TOKEN_BITS: u32 = 60;
const TOKEN_DIGITS: usize = 12;

impl TaskId {
    /// An id in `segment` with the low 60 bits of `token`.
    pub fn new(segment: SegmentNumber, token: u64) -> Self {
        Self {
            segment,
            token: token & ((1 << TOKEN_BITS) - 1),
        }
    }

    /// Reads an id as [`fmt::Display`] writes it; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (segment, token) = text.split_once('-')?;
        if token.len() != TOKEN_DIGITS {
            return None;
        }
        let id = Self {
            segment: base32::decode(segment)?.try_into().ok()?,
            token: base32::decode(token)?,
        };
        // One spelling each: "00-…" is not another name of "0-…".
        (id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}-{}",
            base32::encode(u64::from(self.segment), 1),
            base32::encode(self.token, TOKEN_DIGITS)
        )
    }
}

impl Serialize for TaskId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TaskId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a task id"))
    }
}

/// 128 random bits that the caller draws for one change; every id that the change needs comes out of them, so the
/// rules stay pure and a retry of the same change makes the same ids.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entropy(pub u128);

/// What the derived bits are for; the same place and purpose always give the same bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    /// The change as a whole.
    Change,
    /// The n-th new task of the change.
    Task,
    /// The n-th new reminder of the change.
    Reminder,
    /// The n-th new series of the change.
    Series,
}

impl Entropy {
    /// 64 bits for the `index`-th thing of a `purpose`.
    pub fn derive(self, purpose: Purpose, index: u64) -> u64 {
        let digest = Sha256::new()
            .chain_update(self.0.to_be_bytes())
            .chain_update([purpose as u8])
            .chain_update(index.to_be_bytes())
            .finalize();
        first_64_bits(&digest)
    }

    /// The change's own id: 13 base-32 digits.
    pub fn change_id(self) -> String {
        base32::encode(self.derive(Purpose::Change, 0), 13)
    }
}

/// The first eight bytes of a digest as a number.
pub fn first_64_bits(digest: &[u8]) -> u64 {
    digest
        .iter()
        .take(8)
        .fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_has_one_spelling() {
        let id = TaskId::new(37, 0x0123_4567_89ab_cdef);
        let text = id.to_string();
        assert!(text.starts_with("15-"), "{text}");
        assert_eq!(TaskId::parse(&text), Some(id));
        for wrong in [
            "",
            "-",
            "1",
            "0-",
            "-000000000001",
            "00-000000000001",
            "0-00000000001",
            "0-A00000000001",
            "zzzzzzzz-000000000001",
            "0-000000000001 ",
        ] {
            assert_eq!(TaskId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn an_account_id_can_stand_in_a_key() {
        assert!(AccountId::parse("a1b2-C_3").is_some());
        for wrong in ["", "a||b", "a b", "a/b", "ä", &"x".repeat(65)] {
            assert_eq!(AccountId::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn entropy_gives_different_bits_for_different_things() {
        let entropy = Entropy(7);
        let mut seen: Vec<u64> = [
            Purpose::Change,
            Purpose::Task,
            Purpose::Reminder,
            Purpose::Series,
        ]
        .into_iter()
        .flat_map(|p| (0..8).map(move |i| entropy.derive(p, i)))
        .collect();
        assert_eq!(
            entropy.derive(Purpose::Task, 3),
            Entropy(7).derive(Purpose::Task, 3)
        );
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 32);
    }
}
