//! Makes access tokens for local use, signed with the stack's own key.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use ed25519_dalek::SigningKey;
use jwt_compact::alg::Ed25519;
use jwt_compact::{AlgorithmExt as _, Claims, Header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Who issues tokens and whom they are for.
const DOCKET: &str = "docket";
/// A token that lives longer is a password.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why a token cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// What was given as an e-mail address is none.
    #[error("`{email}` is no e-mail address")]
    Email {
        /// What was given.
        email: String,
    },
    /// The time to live makes no sense.
    #[error("`{text}` is no time to live: give a number and s, m, h or d, such as 90s or 1h")]
    Duration {
        /// What was given.
        text: String,
    },
    /// The time to live is out of bounds.
    #[error("a token lives for one second at least and 30 days at most")]
    Lifetime,
    /// The token could not be put together.
    #[error("the token cannot be made: {reason}")]
    Encode {
        /// What the library said.
        reason: String,
    },
}

/// What a token says besides its times.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Who {
    /// The issuer.
    pub iss: String,
    /// The audience.
    pub aud: String,
    /// The account.
    pub sub: String,
    /// The account's e-mail address.
    pub email: String,
    /// The token's own id.
    pub jti: String,
}

/// The account of an e-mail address on a local stack: derived, so that no account has to be made
/// first.
#[must_use]
pub fn account_of(email: &str) -> String {
    let digest = Sha256::digest(normal(email).as_bytes());
    let hex: String = crate::build::hex(&digest).chars().take(24).collect();
    format!("a{hex}")
}

fn normal(email: &str) -> String {
    email.trim().to_lowercase()
}

/// Checks an e-mail address for what a slip of the pen would break, no more.
pub fn check_email(email: &str) -> Result<String, TokenError> {
    let normal = normal(email);
    let plausible = normal.len() <= 254
        && !normal.chars().any(|c| c.is_whitespace() || c.is_control())
        && normal.split_once('@').is_some_and(|(local, domain)| {
            !local.is_empty()
                && !domain.contains('@')
                && domain.split('.').all(|label| !label.is_empty())
        });
    if plausible {
        Ok(normal)
    } else {
        Err(TokenError::Email {
            email: email.to_owned(),
        })
    }
}

/// Reads a time such as `90s`, `15m`, `1h` or `7d`.
pub fn read_duration(text: &str) -> Result<Duration, TokenError> {
    let wrong = || TokenError::Duration {
        text: text.to_owned(),
    };
    let (number, factor) = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)]
        .into_iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .ok_or_else(wrong)?;
    if !number.chars().all(|c| c.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(factor)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

/// Makes a token. `now` and the token's own id come from outside, so that it is the same each time.
pub fn mint(
    kid: &str,
    seed: &[u8; 32],
    email: &str,
    now: DateTime<Utc>,
    lifetime: Duration,
    jti: String,
) -> Result<String, TokenError> {
    let email = check_email(email)?;
    if lifetime < Duration::from_secs(1) || lifetime > LONGEST {
        return Err(TokenError::Lifetime);
    }
    let lifetime = TimeDelta::from_std(lifetime).map_err(|_| TokenError::Lifetime)?;
    let mut claims = Claims::new(Who {
        iss: DOCKET.to_owned(),
        aud: DOCKET.to_owned(),
        sub: account_of(&email),
        email,
        jti,
    });
    claims.issued_at = Some(now);
    claims.expiration = Some(now + lifetime);
    let header = Header::empty().with_key_id(kid).with_token_type("JWT");
    Ed25519
        .token(&header, &claims, &SigningKey::from_bytes(seed))
        .map_err(|error| TokenError::Encode {
            reason: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use jwt_compact::{TimeOptions, Token, UntrustedToken};

    use super::*;

    const SEED: [u8; 32] = [7; 32];

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn minted(lifetime: u64) -> Result<String, TokenError> {
        let lifetime = Duration::from_secs(lifetime);
        mint(
            "k1",
            &SEED,
            " Ada@Example.com ",
            now(),
            lifetime,
            "j1".into(),
        )
    }

    fn verified(token: &str, seed: [u8; 32]) -> Option<Token<Who>> {
        let key = SigningKey::from_bytes(&seed).verifying_key();
        Ed25519
            .validator::<Who>(&key)
            .validate(&UntrustedToken::new(token).unwrap())
            .ok()
    }

    #[test]
    fn a_token_verifies_with_the_public_key_and_says_who_it_is_for() {
        let text = minted(3_600).unwrap();
        let token = verified(&text, SEED).expect("the signature is good");
        let who = &token.claims().custom;
        assert_eq!(who.email, "ada@example.com");
        assert_eq!(who.sub, account_of("ada@example.com"));
        assert_eq!((who.iss.as_str(), who.aud.as_str()), ("docket", "docket"));
        assert_eq!(who.jti, "j1");
        assert_eq!(token.claims().issued_at, Some(now()));
        assert_eq!(token.header().key_id.as_deref(), Some("k1"));
        assert_eq!(token.header().token_type.as_deref(), Some("JWT"));
        assert_eq!(UntrustedToken::new(&text).unwrap().algorithm(), "EdDSA");

        let at = |seconds| {
            TimeOptions::new(TimeDelta::zero(), move || {
                now() + TimeDelta::seconds(seconds)
            })
        };
        assert!(token.claims().validate_expiration(&at(3_599)).is_ok());
        assert!(token.claims().validate_expiration(&at(3_601)).is_err());
    }

    #[test]
    fn another_keys_holder_cannot_verify_it() {
        assert!(verified(&minted(60).unwrap(), [8; 32]).is_none());
    }

    #[test]
    fn a_token_lives_for_thirty_days_at_most() {
        assert!(minted(30 * 86_400).is_ok());
        assert!(matches!(minted(30 * 86_400 + 1), Err(TokenError::Lifetime)));
        assert!(matches!(minted(0), Err(TokenError::Lifetime)));
    }

    #[test]
    fn the_account_is_the_same_however_the_address_is_written() {
        let account = account_of("ada@example.com");
        assert_eq!(account_of(" ADA@example.com\n"), account);
        assert_ne!(account_of("bob@example.com"), account);
        assert_eq!(account.len(), 25);
        assert!(account.starts_with('a'));
        assert!(account.chars().all(|c| c.is_ascii_hexdigit()));
    }

    #[test]
    fn addresses_are_checked_for_slips() {
        for good in ["a@b", "ada.l+x@mail.example.com", "زید@example.com"] {
            assert!(check_email(good).is_ok(), "{good}");
        }
        for bad in ["", "ada", "@b", "a@", "a@b@c", "a b@c", "a@b..c", "a@.b"] {
            assert!(check_email(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn times_to_live_have_a_unit() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3_600), ("7d", 604_800)] {
            assert_eq!(read_duration(text).unwrap().as_secs(), seconds, "{text}");
        }
        for bad in [
            "",
            "1",
            "h",
            "-1h",
            "+1h",
            "1.5h",
            "1w",
            "99999999999999999999d",
        ] {
            assert!(read_duration(bad).is_err(), "{bad}");
        }
    }
}
