//! Messages with which other systems change tasks: how one is signed, how old it may be, and how long it is remembered.

use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use std::fmt::Write as _;

use crate::{AccountId, Instant};

/// The longest id of a message, in characters.
pub const MAX_ID: usize = 128;
/// A message that is older is not carried out: what Kafka keeps by default, it has had time to bring.
pub const OLDEST_MILLIS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// How far ahead of ours a sender's clock may be.
pub const AHEAD_MILLIS: i64 = 5 * 60 * 1_000;
/// For how many seconds a message is known: longer than it is young enough, by clocks that differ in either direction.
pub const KEPT_SECONDS: u32 = 8 * 24 * 60 * 60;
/// What a signature begins with: the version of its making.
const VERSION: &str = "v1=";

/// The key that a trusted system shares with Docket.
pub type Key = [u8; 32];

/// What a signature covers, each part as it stands in the message.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The message's id, which [`is_id`].
    pub id: &'a str,
    /// When it was made, as RFC 3339 has it.
    pub at: &'a str,
    /// Whose tasks it changes.
    pub account: &'a AccountId,
    /// The text of the operation: JSON.
    pub operation: &'a str,
}

impl Signed<'_> {
    /// The text that is signed: five lines, of which none but the last can hold a line break.
    pub fn text(&self) -> String {
        let Self {
            id,
            at,
            account,
            operation,
        } = self;
        format!("docket-inbox-v1\n{id}\n{at}\n{account}\n{operation}")
    }

    /// The signature: `v1=` and the HMAC-SHA256 (RFC 2104) of [`Self::text`], in hexadecimal digits.
    pub fn sign(&self, key: &Key) -> String {
        let digits = self.mac(key).finalize().into_bytes();
        digits.iter().fold(VERSION.to_owned(), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// Whether the signature was made with this key. How long that takes tells nothing about the right one.
    pub fn is_signed(&self, key: &Key, signature: &str) -> bool {
        let bytes = signature.strip_prefix(VERSION).and_then(from_hex);
        bytes.is_some_and(|bytes| self.mac(key).verify_slice(&bytes).is_ok())
    }

    fn mac(&self, key: &Key) -> Hmac<Sha256> {
        // HMAC fills a key up to a block with zeros.
        let mut block = [0; 64];
        for (to, from) in block.iter_mut().zip(key) {
            *to = *from;
        }
        <Hmac<Sha256> as hmac::digest::KeyInit>::new(&block.into())
            .chain_update(self.text().as_bytes())
    }
}

/// Lower-case hexadecimal digits, two a byte.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| match pair {
            [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
            _ => None,
        })
        .collect()
}

/// Whether a message can have this id: 1 to [`MAX_ID`] visible ASCII characters.
pub fn is_id(id: &str) -> bool {
    (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// Why the time of a message does not count.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Untimely {
    /// It is no instant.
    #[error("`at` is not an RFC 3339 instant")]
    Unreadable,
    /// It was made long ago; whoever sends it now may not be the one who made it.
    #[error("it was made more than {} days ago", OLDEST_MILLIS / 86_400_000)]
    Old,
    /// It was made in the future.
    #[error("it was made more than {} minutes in the future", AHEAD_MILLIS / 60_000)]
    Early,
}

/// Checks when a message was made.
///
/// # Errors
/// See [`Untimely`].
pub fn check_time(at: &str, now: Instant) -> Result<(), Untimely> {
    let at = Instant::parse(at).ok_or(Untimely::Unreadable)?;
    if at.plus_millis(OLDEST_MILLIS) < now {
        Err(Untimely::Old)
    } else if at > now.plus_millis(AHEAD_MILLIS) {
        Err(Untimely::Early)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann() -> AccountId {
        AccountId::parse("ann").unwrap()
    }

    const OPERATION: &str = r#"{"op":"create","task":{"title":"Water the plants"}}"#;

    fn signed(account: &AccountId) -> Signed<'_> {
        Signed {
            id: "m-1",
            at: "2026-11-23T08:00:00Z",
            account,
            operation: OPERATION,
        }
    }

    /// The key of the test vector in docs/task-inbox.md: 0x00, 0x01 … 0x1f.
    fn key() -> Key {
        std::array::from_fn(|i| i as u8)
    }

    #[test]
    fn the_signature_is_that_of_the_documented_vector() {
        let ann = ann();
        let signature = signed(&ann).sign(&key());
        let documents = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/task-inbox.md");
        let documents = std::fs::read_to_string(documents).unwrap();
        assert!(documents.contains(&signature), "{signature}");
        assert!(documents.contains(OPERATION));
    }

    #[test]
    fn only_the_same_message_has_the_same_signature() {
        let (ann, bob) = (ann(), AccountId::parse("bob").unwrap());
        let message = signed(&ann);
        let signature = message.sign(&key());
        assert!(message.is_signed(&key(), &signature));
        let others = [
            Signed {
                id: "m-2",
                ..message
            },
            Signed {
                at: "2026-11-23T08:00:01Z",
                ..message
            },
            Signed {
                account: &bob,
                ..message
            },
            Signed {
                operation: "{}",
                ..message
            },
        ];
        for other in others {
            assert!(!other.is_signed(&key(), &signature), "{other:?}");
        }
        assert!(!message.is_signed(&[1; 32], &signature));
        let digits = signature.strip_prefix("v1=").unwrap();
        for wrong in [
            "",
            "v1=",
            digits,
            &format!("v2={digits}"),
            &format!("v1={}", digits.to_uppercase()),
            &format!("v1={digits}0"),
            &format!("v1={digits}00"),
            signature.get(..signature.len() - 2).unwrap(),
            &format!("v1={}", "é".repeat(32)),
        ] {
            assert!(!message.is_signed(&key(), wrong), "{wrong}");
        }
    }

    #[test]
    fn a_message_counts_for_a_week() {
        let now = Instant::parse("2026-11-23T08:00:00Z").unwrap();
        for (at, expected) in [
            ("2026-11-23T08:00:00Z", Ok(())),
            ("2026-11-23T09:04:59+01:00", Ok(())),
            ("2026-11-16T08:00:00Z", Ok(())),
            ("2026-11-16T07:59:59Z", Err(Untimely::Old)),
            ("2026-11-23T08:05:00Z", Ok(())),
            ("2026-11-23T08:05:01Z", Err(Untimely::Early)),
            ("9999-12-31T23:59:59Z", Err(Untimely::Early)),
            ("0001-01-01T00:00:00Z", Err(Untimely::Old)),
            ("2026-11-23", Err(Untimely::Unreadable)),
            ("2026-11-23T08:00:00Z\n", Err(Untimely::Unreadable)),
            ("", Err(Untimely::Unreadable)),
        ] {
            assert_eq!(check_time(at, now), expected, "{at}");
        }
        let known = i64::from(KEPT_SECONDS) * 1_000;
        assert!(known > OLDEST_MILLIS + 2 * AHEAD_MILLIS);
    }

    #[test]
    fn an_id_is_visible_and_short() {
        assert!(is_id("order/4711#1") && is_id(&"~".repeat(MAX_ID)));
        for wrong in ["", "a b", "a\n", "ä", &"x".repeat(MAX_ID + 1)] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
