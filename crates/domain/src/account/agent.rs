//! Agent tokens: what a person gives to a program, so that it may do some things in his account.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;

use super::digest;
use crate::{AccountId, Entropy, Instant, Scopes, base32};

/// The most tokens of an account.
pub const MAX_TOKENS: usize = 50;
/// The longest name of a token, in characters.
pub const MAX_NAME: usize = 100;
/// The longest life of a token that ends, in seconds: ten years.
pub const MAX_LIFE: u32 = 10 * 366 * 24 * 3_600;
/// How long a token may be in use before that is written down again.
const USE_NOTED_MILLIS: i64 = 10 * 60 * 1_000;
/// What every token begins with, so that it is known for one wherever it turns up.
const PREFIX: &str = "dkt_";
/// How many characters a secret has.
const SECRET: usize = 43;
const ID: usize = 13;

/// What an account knows of a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AgentToken {
    /// Its id within the account.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// How many changes it allows within an hour, if its owner said so.
    pub changes_per_hour: Option<u32>,
    /// When it was made.
    pub created_at: Instant,
    /// When it ends, if it does by itself.
    pub expires_at: Option<Instant>,
    /// When it was last used, to some ten minutes.
    pub last_used_at: Option<Instant>,
    /// The digest of what its holder shows.
    digest: String,
}

/// A token as its holder shows it. Written `dkt_<account>_<id>_<secret>`.
#[derive(Clone, Eq, PartialEq)]
pub struct Shown {
    /// Whose account it is for.
    pub account: AccountId,
    /// Its id.
    pub id: String,
    secret: [u8; 32],
}

/// It opens an account: logs do not show it.
impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown(…)")
    }
}

impl Shown {
    /// A new token's text. Its id and its secret are chance.
    pub fn new(account: AccountId, id: Entropy, secret: [Entropy; 2]) -> Self {
        let mut bytes = [0; 32];
        for (half, entropy) in bytes.chunks_mut(16).zip(secret) {
            half.copy_from_slice(&entropy.0.to_be_bytes());
        }
        Self {
            account,
            id: base32::encode(id.0 as u64, ID),
            secret: bytes,
        }
    }

    /// Reads a token; `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.strip_prefix(PREFIX)?;
        // Underscores may stand in the account and in the secret, which has one length.
        let (rest, secret) = text.split_at_checked(text.len().checked_sub(SECRET)?)?;
        let (account, id) = rest.strip_suffix('_')?.rsplit_once('_')?;
        let is_id = id.len() == ID && base32::decode(id).is_some();
        Some(Self {
            account: AccountId::parse(account)?,
            id: is_id.then(|| id.to_owned())?,
            secret: URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?,
        })
    }

    /// The token as its holder has it.
    pub fn text(&self) -> String {
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        format!("{PREFIX}{}_{}_{secret}", self.account, self.id)
    }
}

impl AgentToken {
    /// What an account keeps of a new token.
    pub fn new(shown: &Shown, name: String, scopes: Scopes, now: Instant) -> Self {
        Self {
            id: shown.id.clone(),
            name,
            scopes,
            changes_per_hour: None,
            created_at: now,
            expires_at: None,
            last_used_at: None,
            digest: digest(&shown.text()),
        }
    }

    /// Whether what is shown is this token, and it has not ended. (Digests are compared: how long that takes tells nothing
    /// about a secret.)
    pub fn is(&self, shown: &Shown, now: Instant) -> bool {
        self.id == shown.id
            && self.digest == digest(&shown.text())
            && self.expires_at.is_none_or(|end| now < end)
    }

    /// Notes that it is used now, if that is news.
    pub fn note_use(&mut self, now: Instant) -> bool {
        let is_news = self
            .last_used_at
            .is_none_or(|at| now.as_millis() - at.as_millis() >= USE_NOTED_MILLIS);
        if is_news {
            self.last_used_at = Some(now);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scope;

    fn shown(account: &str) -> Shown {
        let account = AccountId::parse(account).unwrap();
        Shown::new(account, Entropy(7), [Entropy(u128::MAX), Entropy(3)])
    }

    #[test]
    fn a_token_has_one_spelling() {
        for account in ["ann", "a_b", "_", "a-b"] {
            let shown = shown(account);
            let text = shown.text();
            assert!(text.starts_with("dkt_"), "{text}");
            assert_eq!(Shown::parse(&text), Some(shown));
        }
        let text = shown("ann").text();
        for wrong in [
            "",
            "dkt_",
            &text.replace("dkt_", "dkt"),
            text.strip_suffix(|_| true).unwrap(),
            &format!("{text}A"),
            &text.replace("_ann_", "__"),
            &text.replace("ann", "a/n"),
            &format!("dkt_{}", "ä".repeat(40)),
        ] {
            assert_eq!(Shown::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_token_counts_until_it_ends() {
        let now = Instant::parse("2026-11-23T08:00:00Z").unwrap();
        let shown = shown("ann");
        let mut token = AgentToken::new(&shown, "bot".into(), Scopes::from([Scope::Chat]), now);
        assert!(token.is(&shown, now));
        let other = Shown {
            secret: [1; 32],
            ..shown.clone()
        };
        assert!(!token.is(&other, now));
        token.expires_at = Some(now.plus_millis(1_000));
        assert!(token.is(&shown, now.plus_millis(999)));
        assert!(!token.is(&shown, now.plus_millis(1_000)));
    }

    #[test]
    fn its_use_is_noted_every_ten_minutes() {
        let now = Instant::parse("2026-11-23T08:00:00Z").unwrap();
        let mut token = AgentToken::new(&shown("ann"), "bot".into(), Scopes::new(), now);
        let noted = [0, 1, 599_999, 600_000, 600_001].map(|ms| token.note_use(now.plus_millis(ms)));
        assert_eq!(noted, [true, false, false, true, false]);
    }

    #[test]
    fn neither_the_store_nor_a_log_has_the_secret() {
        let shown = shown("ann");
        let now = Instant::parse("2026-11-23T08:00:00Z").unwrap();
        let token = AgentToken::new(&shown, "bot".into(), Scopes::new(), now);
        let secret = &URL_SAFE_NO_PAD.encode(shown.secret);
        assert!(!serde_json::to_string(&token).unwrap().contains(secret));
        assert!(!format!("{shown:?}").contains(secret));
    }
}
