//! Sessions: one on each device, each with a refresh token that is good for one use.
//!
//! Every use gives a new token, which follows from the old one by a key. So the same old token within a few seconds (two
//! tabs at once, or an answer that got lost) gets the same new one again. Any later use of an old token means that somebody
//! has a copy, and nobody knows who is who: the session ends. Of tokens the store has digests alone.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;

use super::digest;
use super::key::Key;
use crate::rate::{Meter, Rate};
use crate::{AccountId, Entropy, Instant, base32};

/// How long a session lives after its last use.
pub const IDLE_SECONDS: i64 = 30 * 24 * 3_600;
/// How long a session lives at most.
pub const LONGEST_SECONDS: i64 = 90 * 24 * 3_600;
/// How long after its use an old token gets the same new one again.
pub const GRACE_MILLIS: i64 = 10_000;
/// The longest name of a device, in characters.
pub const MAX_DEVICE: usize = 200;
/// How often a session is refreshed.
const REFRESHES: Rate = Rate::new(60, 60);
/// What of a secret is chance, in bytes; the rest shows that it is ours.
const CHANCE: usize = 24;

/// A session's id.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String")]
pub struct SessionId(String);

impl SessionId {
    /// An id of 64 of the random bits.
    pub fn new(entropy: Entropy) -> Self {
        Self(base32::encode(entropy.0 as u64, 13))
    }

    /// Reads an id; `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 13 && base32::decode(text).is_some()).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The session's state key.
    pub fn key(&self, account: &AccountId) -> String {
        format!("session:{account}:{}", self.0)
    }
}

impl TryFrom<String> for SessionId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("not a session's id")
    }
}

/// A refresh token. Written `<account>.<session>.<secret>`; to clients it is opaque.
#[derive(Clone, Eq, PartialEq)]
pub struct RefreshToken {
    /// Whose.
    pub account: AccountId,
    /// Of which session.
    pub session: SessionId,
    secret: [u8; 32],
}

/// It opens an account: logs do not show it.
impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RefreshToken(…)")
    }
}

impl RefreshToken {
    /// Reads a token; `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let token = Self {
            account: AccountId::parse(parts.next()?)?,
            session: SessionId::parse(parts.next()?)?,
            secret: URL_SAFE_NO_PAD
                .decode(parts.next()?)
                .ok()?
                .try_into()
                .ok()?,
        };
        parts.next().is_none().then_some(token)
    }

    /// The token as clients have it.
    pub fn text(&self) -> String {
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        format!("{}.{}.{secret}", self.account, self.session.as_str())
    }

    /// A session's first token.
    fn first(account: &AccountId, session: &SessionId, key: &Key, chance: [Entropy; 2]) -> Self {
        let mut seed = [0; 32];
        for (half, entropy) in seed.chunks_mut(16).zip(chance) {
            half.copy_from_slice(&entropy.0.to_be_bytes());
        }
        let chance = key.code(&purpose("first", account, session), &seed);
        Self::signed(account, session, key, chance)
    }

    /// The token that follows on this one.
    fn next(&self, key: &Key) -> Self {
        let purpose = purpose("next", &self.account, &self.session);
        let chance = key.code(&purpose, &self.secret);
        Self::signed(&self.account, &self.session, key, chance)
    }

    /// A token of chance, the end of which is replaced by what shows that it is ours.
    fn signed(account: &AccountId, session: &SessionId, key: &Key, chance: [u8; 32]) -> Self {
        let mut secret = chance;
        let (chance, mark) = secret.split_at_mut(CHANCE);
        let ours = key.code(&purpose("ours", account, session), chance);
        mark.iter_mut().zip(ours).for_each(|(to, from)| *to = from);
        Self {
            account: account.clone(),
            session: session.clone(),
            secret,
        }
    }

    /// Whether it was made by this key, at whatever time.
    fn is_ours(&self, key: &Key) -> bool {
        let (chance, mark) = self.secret.split_at(CHANCE);
        let purpose = purpose("ours", &self.account, &self.session);
        key.begins(mark, &purpose, chance)
    }

    fn digest(&self) -> String {
        digest(&self.text())
    }
}

/// What a code is for. (The last line ends with the code's message.)
fn purpose(what: &str, account: &AccountId, session: &SessionId) -> String {
    let session = session.as_str();
    format!("docket-refresh-v1\n{what}\n{account}\n{session}")
}

/// A session.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Session {
    /// What its device calls itself.
    pub device: String,
    /// When somebody signed in.
    pub created_at: Instant,
    /// When it was last used.
    pub last_used_at: Instant,
    /// The digest of the token that is good.
    current: String,
    /// The digest of the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    #[serde(default)]
    refreshes: Meter,
}

/// What a token comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refreshed {
    /// It was good. The session has changed, and this is the next token.
    Next(RefreshToken),
    /// It was good a moment ago. This is the token that it was given for; nothing has changed.
    Again(RefreshToken),
    /// It was good once: somebody has a copy. The session has to end.
    Reused,
    /// It is none of ours.
    Unknown,
    /// The session's time is over.
    Over,
    /// Too many came; in so many seconds the next may.
    TooMany(u32),
}

impl Session {
    /// A new session and its first token. Of the device's name what is no character, or too much, is left out.
    pub fn begin(
        account: &AccountId,
        id: &SessionId,
        device: &str,
        key: &Key,
        chance: [Entropy; 2],
        now: Instant,
    ) -> (Self, RefreshToken) {
        let token = RefreshToken::first(account, id, key, chance);
        let device = device.chars().filter(|c| !c.is_control());
        let session = Self {
            device: device.take(MAX_DEVICE).collect(),
            created_at: now,
            last_used_at: now,
            current: token.digest(),
            previous: None,
            refreshes: Meter::default(),
        };
        (session, token)
    }

    /// Uses a token of this session.
    pub fn refresh(&mut self, token: &RefreshToken, key: &Key, now: Instant) -> Refreshed {
        if !token.is_ours(key) {
            return Refreshed::Unknown;
        }
        if now >= self.ends_at() {
            return Refreshed::Over;
        }
        let digest = token.digest();
        if digest == self.current {
            if let Err(seconds) = self.refreshes.take(REFRESHES, 1, now) {
                return Refreshed::TooMany(seconds);
            }
            let next = token.next(key);
            self.previous = Some(std::mem::replace(&mut self.current, next.digest()));
            self.last_used_at = now;
            return Refreshed::Next(next);
        }
        let is_fresh = now.as_millis() - self.last_used_at.as_millis() < GRACE_MILLIS;
        if is_fresh && self.previous.as_ref() == Some(&digest) {
            return Refreshed::Again(token.next(key));
        }
        Refreshed::Reused
    }

    /// Whether somebody who holds `token` may end the session: with any that was ever good.
    pub fn may_end(token: &RefreshToken, key: &Key) -> bool {
        token.is_ours(key)
    }

    /// When the session ends if it is not used.
    pub fn ends_at(&self) -> Instant {
        let idle = self.last_used_at.plus_millis(IDLE_SECONDS * 1_000);
        let longest = self.created_at.plus_millis(LONGEST_SECONDS * 1_000);
        idle.min(longest)
    }

    /// In how many seconds that is, at least one.
    pub fn seconds_left(&self, now: Instant) -> u32 {
        let left = (self.ends_at().as_millis() - now.as_millis()) / 1_000;
        u32::try_from(left.max(1)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3_600 * 1_000;

    fn key(n: u8) -> Key {
        Key::parse(&URL_SAFE_NO_PAD.encode([n; 32])).unwrap()
    }

    fn start() -> Instant {
        Instant::parse("2026-11-23T08:00:00Z").unwrap()
    }

    fn begun() -> (Session, RefreshToken) {
        let account = AccountId::parse("ann").unwrap();
        let id = SessionId::new(Entropy(7));
        let chance = [Entropy(1), Entropy(2)];
        Session::begin(
            &account,
            &id,
            "Firefox\n on Linux",
            &key(1),
            chance,
            start(),
        )
    }

    fn kind(refreshed: &Refreshed) -> &'static str {
        match refreshed {
            Refreshed::Next(_) => "next",
            Refreshed::Again(_) => "again",
            Refreshed::Reused => "reused",
            Refreshed::Unknown => "unknown",
            Refreshed::Over => "over",
            Refreshed::TooMany(_) => "too many",
        }
    }

    #[test]
    fn a_token_is_good_for_one_use() {
        // Each step: when (in milliseconds), which token (by the number of its making), and what it comes to.
        let cases: [&[(i64, usize, &str)]; 9] = [
            &[(0, 0, "next"), (600_000, 1, "next"), (1_200_000, 2, "next")],
            // Two tabs, or an answer that got lost.
            &[(0, 0, "next"), (9_999, 0, "again"), (20_000, 1, "next")],
            &[(0, 0, "next"), (10_000, 0, "reused")],
            // The one before the previous was stolen, however fresh all this is.
            &[(0, 0, "next"), (1, 1, "next"), (2, 0, "reused")],
            &[
                (0, 0, "next"),
                (1, 1, "next"),
                (2, 1, "again"),
                (3, 2, "next"),
            ],
            &[(0, 0, "next"), (30 * DAY - 1, 1, "next")],
            &[(0, 0, "next"), (30 * DAY, 1, "over")],
            &[
                (29 * DAY, 0, "next"),
                (58 * DAY, 1, "next"),
                (87 * DAY, 2, "next"),
                (90 * DAY - 1, 3, "next"),
            ],
            &[
                (29 * DAY, 0, "next"),
                (58 * DAY, 1, "next"),
                (87 * DAY, 2, "next"),
                (90 * DAY, 3, "over"),
            ],
        ];
        for steps in cases {
            let (mut session, first) = begun();
            let mut tokens = vec![first];
            for (at, which, expected) in steps {
                let before = session.clone();
                let refreshed = session.refresh(&tokens[*which], &key(1), start().plus_millis(*at));
                assert_eq!(kind(&refreshed), *expected, "{steps:?} at {at}");
                match refreshed {
                    Refreshed::Next(next) => tokens.push(next),
                    Refreshed::Again(again) => {
                        assert_eq!(tokens.get(which + 1), Some(&again));
                        assert_eq!(session, before);
                    }
                    _ => assert_eq!(session, before),
                }
            }
        }
    }

    #[test]
    fn what_others_make_up_changes_nothing() {
        let (mut session, token) = begun();
        let other = SessionId::new(Entropy(8));
        let mut forged = token.clone();
        forged.secret[0] ^= 1;
        let elsewhere = RefreshToken {
            session: other,
            ..token.clone()
        };
        for (token, key) in [(&forged, key(1)), (&elsewhere, key(1)), (&token, key(2))] {
            assert_eq!(session.refresh(token, &key, start()), Refreshed::Unknown);
            assert!(!Session::may_end(token, &key));
        }
        assert!(matches!(
            session.refresh(&token, &key(1), start()),
            Refreshed::Next(_)
        ));
        assert!(Session::may_end(&token, &key(1)));
    }

    #[test]
    fn sixty_refreshes_come_at_once() {
        let (mut session, mut token) = begun();
        for _ in 0..60 {
            let Refreshed::Next(next) = session.refresh(&token, &key(1), start()) else {
                panic!("refused");
            };
            token = next;
        }
        assert_eq!(
            session.refresh(&token, &key(1), start()),
            Refreshed::TooMany(1)
        );
        let later = start().plus_millis(1_000);
        assert!(matches!(
            session.refresh(&token, &key(1), later),
            Refreshed::Next(_)
        ));
    }

    #[test]
    fn the_store_has_no_token_and_the_log_none() {
        let (mut session, token) = begun();
        let Refreshed::Next(next) = session.refresh(&token, &key(1), start()) else {
            panic!("refused");
        };
        let stored = serde_json::to_string(&session).unwrap();
        for token in [token, next] {
            let secret = token.text().rsplit('.').next().unwrap().to_owned();
            assert_eq!(secret.len(), 43);
            assert!(!stored.contains(&secret) && !format!("{token:?}").contains(&secret));
        }
        assert_eq!(session.device, "Firefox on Linux");
        assert_eq!(serde_json::from_str::<Session>(&stored).unwrap(), session);
    }

    #[test]
    fn a_token_has_one_spelling() {
        let (_, token) = begun();
        let text = token.text();
        assert_eq!(RefreshToken::parse(&text), Some(token));
        for wrong in [
            "",
            "..",
            "ann",
            &format!("{text}."),
            &format!("{text}.x"),
            text.strip_suffix(|_| true).unwrap(),
        ] {
            assert_eq!(RefreshToken::parse(wrong), None, "{wrong}");
        }
    }
}
