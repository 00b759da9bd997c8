//! The key that what people are known by follows from: a secret of the secret store that no other function may read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// A key.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl Key {
    /// Reads a key: 32 bytes in base64url without padding.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// The code of a message (HMAC-SHA256, RFC 2104), which nobody makes without the key. `what` says what it is for, so that
    /// a code for one thing is none for another, and ends where `of` begins.
    pub(super) fn code(&self, what: &str, of: &[u8]) -> [u8; 32] {
        self.mac(what, of)
            .map_or([0; 32], |mac| mac.finalize().into_bytes().into())
    }

    /// Whether `shown` is how the code of a message begins. It is told in the same time, however much of it is right.
    pub(super) fn begins(&self, shown: &[u8], what: &str, of: &[u8]) -> bool {
        let mac = self.mac(what, of);
        mac.is_some_and(|mac| mac.verify_truncated_left(shown).is_ok())
    }

    /// (HMAC takes a key of any length, so there always is one.)
    fn mac(&self, what: &str, of: &[u8]) -> Option<Hmac<Sha256>> {
        let mut mac = Hmac::new_from_slice(&self.0).ok()?;
        mac.update(what.as_bytes());
        mac.update(b"\n");
        mac.update(of);
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_of_one_key_and_one_message() {
        let (key, other) = (Key([1; 32]), Key([2; 32]));
        let code = key.code("a", b"b");
        for (key, what, of, same) in [
            (&key, "a", "b", true),
            (&other, "a", "b", false),
            (&key, "ab", "", false),
            (&key, "a", "b\n", false),
            (&key, "a\nb", "", false),
        ] {
            assert_eq!(key.code(what, of.as_bytes()) == code, same, "{what} {of}");
            for shown in [&code[..], &code[..16]] {
                assert_eq!(key.begins(shown, what, of.as_bytes()), same, "{what} {of}");
            }
        }
        assert!(!key.begins(&[], "a", b"b"), "nothing proves nothing");
    }

    #[test]
    fn a_key_is_32_bytes() {
        assert!(Key::parse(&"A".repeat(43)).is_some());
        for wrong in ["", "A", &"A".repeat(42), &"A".repeat(44), &"=".repeat(43)] {
            assert!(Key::parse(wrong).is_none(), "{wrong}");
        }
    }
}
