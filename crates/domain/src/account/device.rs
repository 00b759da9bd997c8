//! Devices that somebody has signed in on: each keeps a mark for the address that it was done with. Who comes with one is
//! counted for himself when he gives a password; so strangers who guess at an account keep its owner out of nothing, and may
//! be let through as seldom as they deserve. (The scheme is OWASP's of "device cookies".)
//!
//! A mark opens nothing. It outlives sessions, and nothing of it is stored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::fmt;

use super::address::Address;
use super::digest;
use super::key::Key;
use crate::Entropy;

/// How long a device is known after somebody has signed in on it.
pub const KNOWN_SECONDS: u32 = 365 * 24 * 3_600;
/// How many addresses a device has marks for: those that were used last.
pub const MOST: usize = 4;
/// What of a mark is chance, in bytes; as much more shows that it is ours.
const CHANCE: usize = 16;

/// What a device shows that somebody has signed in on it with an address.
#[derive(Clone, Copy, Eq, PartialEq)]
pub struct Mark([u8; 2 * CHANCE]);

impl Mark {
    /// A new mark.
    fn new(address: &Address, key: &Key, chance: Entropy) -> Self {
        let chance = chance.0.to_be_bytes();
        let code = key.code(&purpose(address), &chance);
        let mut mark = [0; 2 * CHANCE];
        let all = chance.into_iter().chain(code);
        mark.iter_mut().zip(all).for_each(|(to, from)| *to = from);
        Self(mark)
    }

    /// Whether it was made for this address, by this key.
    fn is_of(&self, address: &Address, key: &Key) -> bool {
        let (chance, code) = self.0.split_at(CHANCE);
        key.begins(code, &purpose(address), chance)
    }

    /// What its device is counted by.
    pub fn digest(&self) -> String {
        digest(&self.text())
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }
}

/// Logs show none: whoever has it is counted as its device.
impl fmt::Debug for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mark(…)")
    }
}

fn purpose(address: &Address) -> String {
    format!("docket-device-v1\n{}", address.digest())
}

/// The marks of a device, that of the last sign-in first. Written with dots between.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Marks(Vec<Mark>);

impl Marks {
    /// Reads what a device shows; what is no mark is left out, and of marks what is too much.
    pub fn parse(text: &str) -> Self {
        let marks = text.split('.').filter_map(Mark::parse);
        Self(marks.take(MOST).collect())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The mark for an address, if the device has one.
    pub fn of(&self, address: &Address, key: &Key) -> Option<&Mark> {
        self.0.iter().find(|mark| mark.is_of(address, key))
    }

    /// The marks of the device after a sign-in with `address`: the one that it has for it, or a new one, comes first.
    #[must_use]
    pub fn after(&self, address: &Address, key: &Key, chance: Entropy) -> Self {
        let known = self.of(address, key).copied();
        let first = known.unwrap_or_else(|| Mark::new(address, key, chance));
        let others = self.0.iter().copied().filter(|mark| *mark != first);
        Self(std::iter::once(first).chain(others).take(MOST).collect())
    }

    /// The marks as the device keeps them.
    pub fn text(&self) -> String {
        let marks: Vec<String> = self.0.iter().map(Mark::text).collect();
        marks.join(".")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(letter: &str) -> Key {
        Key::parse(&letter.repeat(43)).unwrap()
    }

    fn address(name: &str) -> Address {
        Address::parse(&format!("{name}@example.org")).unwrap()
    }

    #[test]
    fn a_mark_is_known_by_its_address_and_key_alone() {
        let marks = Marks::default().after(&address("ann"), &key("A"), Entropy(7));
        let read = Marks::parse(&marks.text());
        assert_eq!(read, marks);
        for (name, letter, known) in [
            ("ann", "A", true),
            ("ANN", "A", true),
            ("ben", "A", false),
            ("ann", "E", false),
        ] {
            let mark = read.of(&address(name), &key(letter));
            assert_eq!(mark.is_some(), known, "{name} {letter}");
        }
        assert!(!format!("{marks:?}").contains(&marks.text()));
    }

    #[test]
    fn a_device_is_the_same_at_the_next_sign_in_and_knows_some_others() {
        let key = key("A");
        let mut marks = Marks::default();
        for n in 0..=MOST {
            marks = marks.after(&address(&format!("a{n}")), &key, Entropy(n as u128));
        }
        assert!(marks.of(&address("a0"), &key).is_none(), "the oldest goes");
        let second = *marks.of(&address("a2"), &key).unwrap();
        let again = marks.after(&address("a2"), &key, Entropy(99));
        assert_eq!(again.0.first(), Some(&second));
        assert_eq!(again.0.len(), MOST);
        for n in 1..=MOST {
            let other = address(&format!("a{n}"));
            assert_eq!(again.of(&other, &key), marks.of(&other, &key));
        }
    }

    #[test]
    fn what_is_no_mark_hides_none() {
        let ann = address("ann");
        let good = Marks::default().after(&ann, &key("A"), Entropy(7)).text();
        for (text, found) in [
            (format!("x.{good}"), true),
            (format!("{}.{good}", "A".repeat(43)), true),
            (format!("..{good}."), true),
            (format!("{good}A"), false),
            (good.chars().skip(1).collect(), false),
            (String::new(), false),
        ] {
            let marks = Marks::parse(&text);
            assert_eq!(marks.of(&ann, &key("A")).is_some(), found, "{text}");
        }
        assert!(Marks::parse("..x").is_empty());
    }
}
