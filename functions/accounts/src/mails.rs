//! Links that go out by mail, and what comes back of them. The store has a digest of each, for as long as it is good; the
//! mails are sent by `notifications`.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_api::notifications::{ADDRESSES, APP, AccountMail, MAILS, NewAddress, Taken};
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
    /// To have the account found by another address.
    Change,
}

impl Purpose {
    /// How long it is good, in seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::Verify => 7 * 24 * 3_600,
            Self::Reset => 3_600,
            Self::Change => 24 * 3_600,
        }
    }

    fn letter(self, public_url: &str, token: &str) -> Letter {
        match self {
            Self::Verify => letter::verification(public_url, token),
            Self::Reset => letter::reset(public_url, token),
            Self::Change => letter::change_of_address(public_url, token),
        }
    }
}

/// What is known of a link.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Mailed {
    purpose: Purpose,
    /// Whose.
    pub account: AccountId,
    /// The address that the account has.
    email: Address,
    /// The one that it is to have, if it is to have another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<Address>,
    passwords_set: u32,
}

impl Mailed {
    /// Whether it still means this account: nobody has set a password since, and the address is the same.
    pub fn means(&self, account: &Account) -> bool {
        self.email == account.email
            && (self.purpose == Purpose::Verify || self.passwords_set == account.passwords_set)
    }

    /// The link when the account has the new address: who follows it again is answered as at first, as long as it has.
    pub fn followed(&self) -> Self {
        Self {
            email: self.new.clone().unwrap_or_else(|| self.email.clone()),
            ..self.clone()
        }
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
        let (_, sent) = self.link(account, purpose, None).await?;
        Ok(sent)
    }

    /// Has a link sent to the address that an account is to have, and the address that it has told, if that is its owner's.
    pub async fn send_to_new(&self, account: &Account, new: &Address) -> Result<bool, Problem> {
        let (token, sent) = self.link(account, Purpose::Change, Some(new)).await?;
        if sent && account.email_verified {
            let id = digest(&format!("notice of {token}"));
            let letter = letter::notice_of_change();
            self.post(account, &account.email, id, letter, Purpose::Change)
                .await?;
        }
        Ok(sent)
    }

    async fn link(
        &self,
        account: &Account,
        purpose: Purpose,
        new: Option<&Address>,
    ) -> Result<(String, bool), Problem> {
        let runtime = &self.store.runtime;
        let chance = [runtime.entropy(), runtime.entropy()].map(|half| half.0.to_be_bytes());
        let token = URL_SAFE_NO_PAD.encode(chance.concat());
        let mailed = Mailed {
            purpose,
            account: account.id.clone(),
            email: account.email.clone(),
            new: new.cloned(),
            passwords_set: account.passwords_set,
        };
        let unavailable = |error| Problem::unavailable(1, error);
        let write = creation(key(&token), &mailed).map_err(unavailable)?;
        let write = [write.expiring(purpose.seconds())];
        self.store.transact(&write).await.map_err(unavailable)?;
        let letter = purpose.letter(&self.place.public_url, &token);
        let to = new.unwrap_or(&account.email);
        let sent = self.post(account, to, digest(&token), letter, purpose);
        let sent = sent.await?;
        Ok((token, sent))
    }

    async fn post(
        &self,
        account: &Account,
        to: &Address,
        id: String,
        letter: Letter,
        purpose: Purpose,
    ) -> Result<bool, Problem> {
        let good_for = i64::from(purpose.seconds()) * 1_000;
        let mail = AccountMail {
            account: account.id.clone(),
            id,
            to: to.as_str().to_owned(),
            subject: letter.subject.to_owned(),
            paragraphs: letter.paragraphs.map(str::to_owned).to_vec(),
            link: letter.link,
            until: self.store.runtime.now().plus_millis(good_for),
        };
        let taken = self.others.invoke::<Taken>(APP, MAILS, &mail).await;
        let taken = taken.map_err(|error| Problem::unavailable(1, error))?;
        Ok(taken.taken)
    }

    /// Has the mails of an account go to its new address.
    pub async fn tell_address(&self, account: &AccountId, email: &Address) -> Result<(), Problem> {
        let new = NewAddress {
            account: account.clone(),
            email: email.as_str().to_owned(),
        };
        let told = self.others.invoke::<Taken>(APP, ADDRESSES, &new).await;
        told.map(drop)
            .map_err(|error| Problem::unavailable(1, error))
    }

    /// What is known of a link that somebody followed.
    pub async fn find(
        &self,
        token: &str,
        purposes: &[Purpose],
    ) -> Result<(Document<Option<Mailed>>, Mailed), Problem> {
        let document: Document<Option<Mailed>> = self
            .store
            .document(key(token))
            .await
            .map_err(|error| Problem::unavailable(1, error))?;
        match document.value.clone() {
            Some(mailed) if purposes.contains(&mailed.purpose) => Ok((document, mailed)),
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
