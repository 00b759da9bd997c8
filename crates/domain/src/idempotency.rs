//! Requests that are sent again: known by the key that the client gave them.

use sha2::{Digest as _, Sha256};

use crate::ids::first_64_bits;
use crate::{AccountId, base32, task_inbox};

/// The longest key, in characters.
pub const MAX_KEY: usize = 255;
/// For how many seconds an answer is kept.
pub const KEPT_SECONDS: u32 = 24 * 60 * 60;

/// A request that counts once, however often it is sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Once {
    /// The state key of what was answered.
    pub state_key: String,
    /// What tells this request from another one with the same key.
    pub fingerprint: String,
    /// For how many seconds it is known.
    pub kept_seconds: u32,
}

impl Once {
    /// The request of an account with a key of 1 to [`MAX_KEY`] visible ASCII characters; `None` for another key.
    pub fn new(
        account: &AccountId,
        key: &[u8],
        method: &str,
        path: &str,
        body: &[u8],
    ) -> Option<Self> {
        let sane = (1..=MAX_KEY).contains(&key.len()) && key.iter().all(u8::is_ascii_graphic);
        sane.then(|| Self {
            state_key: format!("idempotency:{account}:{}", hash(&[key])),
            fingerprint: hash(&[method.as_bytes(), path.as_bytes(), body]),
            kept_seconds: KEPT_SECONDS,
        })
    }

    /// The message of another system to an account; `None` for an id that no message can have. Messages and requests do
    /// not know each other's keys.
    pub fn message(account: &AccountId, id: &str, operation: &str) -> Option<Self> {
        task_inbox::is_id(id).then(|| Self {
            state_key: format!("inbox:{account}:{}", hash(&[id.as_bytes()])),
            fingerprint: hash(&[operation.as_bytes()]),
            kept_seconds: task_inbox::KEPT_SECONDS,
        })
    }
}

/// 128 bits of the parts' hash.
fn hash(parts: &[&[u8]]) -> String {
    let mut sha = Sha256::new();
    for part in parts {
        sha.update((part.len() as u64).to_be_bytes());
        sha.update(part);
    }
    let digest = sha.finalize();
    let half = |at: usize| base32::encode(first_64_bits(digest.get(at..).unwrap_or_default()), 13);
    half(0) + &half(8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_account_and_its_key() {
        let account = |name| AccountId::parse(name).unwrap();
        let once = |name, key: &str, path, body: &str| {
            Once::new(
                &account(name),
                key.as_bytes(),
                "POST",
                path,
                body.as_bytes(),
            )
        };
        let first = once("ann", "k-1", "/a", "{}").unwrap();
        assert_eq!(once("ann", "k-1", "/a", "{}"), Some(first.clone()));
        for (name, key) in [("bob", "k-1"), ("ann", "k-2")] {
            assert_ne!(
                once(name, key, "/a", "{}").unwrap().state_key,
                first.state_key
            );
        }
        for (path, body) in [("/b", "{}"), ("/a", "{} "), ("/a{", "}")] {
            let other = once("ann", "k-1", path, body).unwrap();
            assert_eq!(other.state_key, first.state_key);
            assert_ne!(other.fingerprint, first.fingerprint);
        }
        assert!(once("ann", &"~".repeat(255), "/a", "").is_some());
        for wrong in ["", "a b", "ä", "a\n", &"k".repeat(256)] {
            assert_eq!(once("ann", wrong, "/a", ""), None, "{wrong}");
        }
    }
}
