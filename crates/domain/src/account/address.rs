//! E-mail addresses that accounts are found by.

use serde::{Deserialize, Serialize};
use std::fmt;

use super::digest;
use crate::preferences::is_address;

/// One plain e-mail address, as its owner writes it. Two that differ in upper and lower case alone are the same.
#[derive(Clone, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address(String);

impl Address {
    /// Reads an address; what is around it does not count. `None` if it is none that mails can go to.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        is_address(text).then(|| Self(text.to_owned()))
    }

    /// The address as its owner writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for the address in state keys: the store tells who has an account only to those who know the address.
    pub fn digest(&self) -> String {
        digest(&self.0.to_ascii_lowercase())
    }

    /// The state key of the account's id.
    pub fn key(&self) -> String {
        format!("email:{}", self.digest())
    }
}

impl PartialEq for Address {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Address {}

/// It is a person's: logs do not show it.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Address(…)")
    }
}

impl TryFrom<String> for Address {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not an e-mail address")
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_however_it_is_written() {
        let key = |text: &str| Address::parse(text).map(|address| address.key());
        let ann = key("ann@example.org").unwrap();
        assert!(ann.starts_with("email:") && ann.len() == 6 + 64, "{ann}");
        for same in [" ann@example.org\n", "Ann@Example.ORG"] {
            assert_eq!(key(same).as_ref(), Some(&ann), "{same}");
        }
        assert_ne!(key("ann+x@example.org"), Some(ann));
        for wrong in [
            "",
            "ann",
            "a b@c.de",
            "a@b.c, d@e.f",
            "ann@localhost",
            "a@b.c\r\nBcc: d@e.f",
        ] {
            assert_eq!(key(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_log_shows_it() {
        let address = Address::parse("ann@example.org").unwrap();
        assert!(!format!("{address:?}").contains("ann"));
    }
}
