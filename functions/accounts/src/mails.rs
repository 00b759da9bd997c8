//! Links that go out by mail, and what comes back of them. The store has a digest of each, for as long as it is good; the
//! mails are sent by `notifications`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_api::notifications::{APP, AccountMail, MAILS, Taken};
use docket_domain::account::address::Address;
use docket_domain::account::{Account, digest};
use docket_domain::{AccountId, FieldErrorCode};
use docket_service::{Problem, Runtime};
use docket_sidecar::{Document, Sidecar, creation};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::app::Place;
use crate::letter::{self, Letter};
use crate::store::Store;

/// What a link is good for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// To show that its reader has the address.
    Verify,
    /// To set a password anew.
    Reset,
}

impl Purpose {
    /// How long it is good, in seconds.
    fn seconds(self) -> u32 {
        match self {
            Self::Verify => 7 * 24 * 3_600,
            Self::Reset => 3_600,
        }
    }

    fn letter(self, public_url: &str, token: &str) -> Letter {
        match self {
            Self::Verify => letter::verification(public_url, token),
            Self::Reset => letter::reset(public_url, token),
        }
    }
}

/// What is known of a link.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mailed {
    purpose: Purpose,
    /// Whose.
    pub account: AccountId,
    email: Address,
    passwords_set: u32,
}

impl Mailed {
    /// Whether it still means this account: nobody has set a password since, and the address is the same.
    pub fn means(&self, account: &Account) -> bool {
        self.email == account.email
            && (self.purpose == Purpose::Verify || self.passwords_set == account.passwords_set)
    }
}

/// Sends links, and knows them again.
#[derive(Clone)]
pub struct Mails<R: Runtime> {
    store: Store<R>,
    others: Sidecar<R>,
    place: Arc<Place>,
}

impl<R: Runtime> Mails<R> {
    pub fn new(store: Store<R>, others: Sidecar<R>, place: Arc<Place>) -> Self {
        Self {
            store,
            others,
            place,
        }
    }

    /// Has a link sent to an account's address; gives whether mails can be sent here at all.
    pub async fn send(&self, account: &Account, purpose: Purpose) -> Result<bool, Problem> {
        let runtime = &self.store.runtime;
        let chance = [runtime.entropy(), runtime.entropy()].map(|half| half.0.to_be_bytes());
        let token = URL_SAFE_NO_PAD.encode(chance.concat());
        let mailed = Mailed {
            purpose,
            account: account.id.clone(),
            email: account.email.clone(),
            passwords_set: account.passwords_set,
        };
        let unavailable = |error| Problem::unavailable(1, error);
        let write = creation(key(&token), &mailed).map_err(unavailable)?;
        let write = [write.expiring(purpose.seconds())];
        self.store.transact(&write).await.map_err(unavailable)?;
        let letter = purpose.letter(&self.place.public_url, &token);
        let mail = AccountMail {
            account: account.id.clone(),
            id: digest(&token),
            to: account.email.as_str().to_owned(),
            subject: letter.subject.to_owned(),
            paragraphs: letter.paragraphs.map(str::to_owned).to_vec(),
            link: Some(letter.link),
            until: runtime
                .now()
                .plus_millis(i64::from(purpose.seconds()) * 1_000),
        };
        let taken = self.others.invoke::<Taken>(APP, MAILS, &mail).await;
        Ok(taken.map_err(unavailable)?.taken)
    }

    /// What is known of a link that somebody followed.
    pub async fn find(
        &self,
        token: &str,
        purpose: Purpose,
    ) -> Result<(Document<Option<Mailed>>, Mailed), Problem> {
        let document: Document<Option<Mailed>> = self
            .store
            .document(key(token))
            .await
            .map_err(|error| Problem::unavailable(1, error))?;
        match document.value.clone() {
            Some(mailed) if mailed.purpose == purpose => Ok((document, mailed)),
            _ => Err(no_good()),
        }
    }
}

/// A link that does not count, or counts no more.
pub fn no_good() -> Problem {
    let detail = "the link is not good any more: ask for another";
    Problem::field("/token", FieldErrorCode::Invalid, detail)
}

fn key(token: &str) -> String {
    format!("mailed:{}", digest(token))
}
