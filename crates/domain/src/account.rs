//! Accounts: who somebody is, how he proves it, and for how long that counts. Times, random bits and keys are arguments; a
//! password's hash is made elsewhere and only kept here.

pub mod address;
pub mod agent;
pub mod device;
#[cfg(test)]
mod fuzz;
pub mod key;
pub mod password;
pub mod profile;
pub mod session;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{AccountId, Entropy, Instant};
use address::Address;
use agent::AgentToken;
use profile::Profile;
use session::SessionId;

/// The most sessions of an account: with one more, the oldest ends.
pub const MAX_SESSIONS: usize = 50;

/// An account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Where its mails go, and what its owner signs in with.
    pub email: Address,
    /// Whether its owner has shown that he reads the mails that go there.
    pub email_verified: bool,
    /// What its owner says of himself.
    #[serde(flatten)]
    pub profile: Profile,
    /// The password's hash as a PHC string; none if nobody has set one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// How often the password was set: a link to set it anew counts until it is.
    #[serde(default)]
    pub passwords_set: u32,
    /// When it was made.
    pub created_at: Instant,
    /// Its sessions, the oldest first; some may have ended.
    #[serde(default)]
    pub sessions: Vec<SessionId>,
    /// What its agents hold.
    #[serde(default)]
    pub tokens: Vec<AgentToken>,
}

impl Account {
    /// A new account.
    pub fn new(id: AccountId, email: Address, profile: Profile, now: Instant) -> Self {
        Self {
            id,
            email,
            email_verified: false,
            profile,
            password: None,
            passwords_set: 0,
            created_at: now,
            sessions: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Adds a session; gives the sessions that have to end for it.
    pub fn add_session(&mut self, id: SessionId) -> Vec<SessionId> {
        self.sessions.push(id);
        let over = self.sessions.len().saturating_sub(MAX_SESSIONS);
        self.sessions.drain(..over).collect()
    }

    /// Sets the password's hash: every link that was mailed to set it counts no more.
    pub fn set_password(&mut self, hash: String) {
        self.password = Some(hash);
        self.passwords_set = self.passwords_set.saturating_add(1);
    }
}

/// A new account's id: 96 of the random bits, so it says nothing of its owner, and who signs up again is somebody new.
pub fn new_id(entropy: Entropy) -> Option<AccountId> {
    AccountId::parse(&format!("a{:024x}", entropy.0 >> 32))
}

/// The state key of an account.
pub fn account_key(id: &AccountId) -> String {
    format!("account:{id}")
}

/// SHA-256 in hexadecimal digits: by it things are found and compared that the store must not know.
pub fn digest(text: &str) -> String {
    format!("{:x}", Sha256::digest(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> Account {
        let now = Instant::parse("2026-11-23T08:00:00Z").unwrap();
        let email = Address::parse("ann@example.org").unwrap();
        Account::new(new_id(Entropy(7)).unwrap(), email, Profile::default(), now)
    }

    #[test]
    fn with_one_session_too_many_the_oldest_ends() {
        let mut account = account();
        let id = |n: usize| SessionId::new(Entropy(n as u128));
        for n in 0..MAX_SESSIONS {
            assert!(account.add_session(id(n)).is_empty());
        }
        assert_eq!(account.add_session(id(MAX_SESSIONS)), [id(0)]);
        assert_eq!(account.sessions.len(), MAX_SESSIONS);
        assert_eq!(account.sessions.first(), Some(&id(1)));
    }

    #[test]
    fn ids_are_of_one_length() {
        for entropy in [0, 1, u128::MAX] {
            assert_eq!(new_id(Entropy(entropy)).unwrap().as_str().len(), 25);
        }
    }
}
