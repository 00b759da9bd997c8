//! Which passwords are taken.

use unicode_normalization::UnicodeNormalization as _;

use super::address::Address;
use crate::FieldErrorCode;

/// The fewest characters of a password.
pub const MIN_CHARACTERS: usize = 10;
/// The most characters of a password.
pub const MAX_CHARACTERS: usize = 256;
/// The most bytes of a password, in UTF-8.
pub const MAX_BYTES: usize = 1_024;

/// A password as it is hashed: in the normal form C, so that it is the same on every keyboard (RFC 8265).
pub fn normal(password: &str) -> String {
    password.nfc().collect()
}

/// Whether somebody may take a password that is in its normal form.
///
/// # Errors
/// The rule that it breaks.
pub fn check(
    password: &str,
    address: &Address,
    name: &str,
) -> Result<(), (FieldErrorCode, String)> {
    let characters = password.chars().count();
    if characters < MIN_CHARACTERS {
        let detail = format!("a password has at least {MIN_CHARACTERS} characters");
        return Err((FieldErrorCode::Invalid, detail));
    }
    if characters > MAX_CHARACTERS || password.len() > MAX_BYTES {
        let detail =
            format!("a password has at most {MAX_CHARACTERS} characters and {MAX_BYTES} bytes");
        return Err((FieldErrorCode::TooLong, detail));
    }
    let is = |other: &str| password.trim().to_lowercase() == other.trim().to_lowercase();
    if is(address.as_str()) || is(name) {
        let detail = "a password is not what everybody knows: the name, the address".to_owned();
        return Err((FieldErrorCode::Invalid, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_bounds_and_are_not_what_everybody_knows() {
        let ann = Address::parse("ann@example.org").unwrap();
        for (password, taken) in [
            ("correct horse", true),
            ("پاس ورڈ پاس ورڈ", true),
            ("123456789", false),
            ("1234567890", true),
            ("          ", true),
            ("", false),
            ("Ann@Example.org", false),
            ("ann petersen", false),
            (" Ann Petersen ", false),
            (&"x".repeat(256), true),
            (&"x".repeat(257), false),
            (&"🔑".repeat(256), true),
            (&"👩‍🔧".repeat(100), false),
        ] {
            let outcome = check(password, &ann, "Ann Petersen");
            assert_eq!(outcome.is_ok(), taken, "{password}: {outcome:?}");
        }
    }

    #[test]
    fn the_same_letters_are_the_same_password() {
        assert_eq!(normal("u\u{308}ber"), normal("über"));
        assert_ne!(normal("Über"), normal("über"));
    }
}
