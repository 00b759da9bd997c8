//! Which passwords are taken.

mod obvious;

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
    let before_at = address.as_str().split('@').next().unwrap_or_default();
    if obvious::is_obvious(password, &[name, address.as_str(), before_at]) {
        let detail = "a password is not what everybody would try first: keys in a row, a well-known word, the name, the address";
        return Err((FieldErrorCode::Invalid, detail.to_owned()));
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
            ("1234567890", false),
            ("password123", false),
            ("          ", false),
            ("", false),
            ("Ann@Example.org", false),
            ("ann petersen", false),
            (" Ann Petersen ", false),
            (&format!("correct{}", "x".repeat(249)), true),
            (&format!("correct{}", "x".repeat(250)), false),
            (&format!("🔑🚪🏠🪟{}", "🔑".repeat(252)), true),
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
