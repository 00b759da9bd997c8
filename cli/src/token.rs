//! Makes access tokens for local use, signed with the stack's own key.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use docket_domain::AccountId;
use ed25519_dalek::SigningKey;
use jwt_compact::alg::Ed25519;
use jwt_compact::{AlgorithmExt as _, Claims, Header};
use serde::{Deserialize, Serialize};

/// Who issues tokens and whom they are for.
const DOCKET: &str = "docket";
/// A token that lives longer is a password.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Why a token cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
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
    /// The token's own id.
    pub jti: String,
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
    account: &AccountId,
    now: DateTime<Utc>,
    lifetime: Duration,
    jti: String,
) -> Result<String, TokenError> {
    if lifetime < Duration::from_secs(1) || lifetime > LONGEST {
        return Err(TokenError::Lifetime);
    }
    let lifetime = TimeDelta::from_std(lifetime).map_err(|_| TokenError::Lifetime)?;
    let mut claims = Claims::new(Who {
        iss: DOCKET.to_owned(),
        aud: DOCKET.to_owned(),
        sub: account.to_string(),
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
            &AccountId::parse("ada").unwrap(),
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
        assert_eq!(who.sub, "ada");
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
