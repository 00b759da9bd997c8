//! Accounts and their sessions in Dapr state.

use docket_domain::account::address::Address;
use docket_domain::account::session::{Session, SessionId};
use docket_domain::account::{Account, account_key};
use docket_domain::{AccountId, Instant};
use docket_service::{Code, Problem, Runtime};
use docket_sidecar::{Document, Error, Operation, Sidecar};
use serde::de::DeserializeOwned;
use std::future::Future;
use std::time::Duration;

/// The Dapr state store.
const STATE: &str = "state";
/// How often something is tried again because others wrote meanwhile.
const TRIES: u32 = 12;
/// The longest pause between two tries, at the first one.
const PAUSE: Duration = Duration::from_millis(8);

/// Reads and changes accounts.
#[derive(Clone)]
pub struct Store<R: Runtime> {
    pub(crate) runtime: R,
    sidecar: Sidecar<R>,
}

/// Why something was not done.
#[derive(Debug)]
pub enum Failed {
    /// It may not be.
    Refused(Problem),
    /// The sidecar did not do it.
    Sidecar(Error),
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Sidecar(error)
    }
}

impl From<Failed> for Problem {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Refused(problem) => problem,
            Failed::Sidecar(error) => Self::unavailable(1, error),
        }
    }
}

/// What a change of an account comes to, beside the account itself.
pub struct Change<T> {
    /// What its caller wants to know.
    pub answer: T,
    /// The sessions that end with it.
    pub ends: Vec<SessionId>,
    /// What else is written, or not if the account cannot be.
    pub with: Vec<Operation>,
}

impl<T> Change<T> {
    /// A change of the account alone.
    pub fn alone(answer: T) -> Self {
        Self {
            answer,
            ends: Vec::new(),
            with: Vec::new(),
        }
    }
}

impl<R: Runtime> Store<R> {
    pub fn new(runtime: R, sidecar: Sidecar<R>) -> Self {
        Self { runtime, sidecar }
    }

    /// Reads a document.
    pub async fn document<V: DeserializeOwned + Default>(
        &self,
        key: String,
    ) -> Result<Document<V>, Error> {
        self.sidecar.document(STATE, key).await
    }

    /// Reads many documents, in the order of their keys.
    pub async fn documents<V: DeserializeOwned + Default>(
        &self,
        keys: &[String],
    ) -> Result<Vec<Document<V>>, Error> {
        match keys {
            [] => Ok(Vec::new()),
            [key] => Ok(vec![self.document(key.clone()).await?]),
            keys => self.sidecar.documents(STATE, keys).await,
        }
    }

    /// Carries out all operations, or none.
    pub async fn transact(&self, operations: &[Operation]) -> Result<(), Error> {
        self.sidecar.transact(STATE, operations).await
    }

    /// Tries something again as long as others write the same documents meanwhile.
    pub async fn again<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        let mut round = 0;
        loop {
            match attempt().await {
                Err(Failed::Sidecar(error)) if error.is_conflict() && round < TRIES => round += 1,
                done => return Ok(done?),
            }
            self.runtime.pause(PAUSE * round).await;
        }
    }

    /// Reads an account.
    pub async fn account(&self, id: &AccountId) -> Result<Document<Option<Account>>, Error> {
        self.document(account_key(id)).await
    }

    /// The account that an address belongs to. Where there is none, a second document is read all the same: it takes as
    /// long.
    pub async fn owner(&self, address: &Address) -> Result<Option<Account>, Error> {
        let id: Document<Option<AccountId>> = self.document(address.key()).await?;
        let key = id
            .value
            .as_ref()
            .map_or_else(|| "account:".to_owned(), account_key);
        let account: Document<Option<Account>> = self.document(key).await?;
        Ok(account.value)
    }

    /// Changes an account that is there.
    ///
    /// # Errors
    /// `not_found` if it is not; what `change` refuses; the sidecar's.
    pub async fn change<T>(
        &self,
        id: &AccountId,
        change: impl Fn(&mut Account) -> Result<Change<T>, Problem>,
    ) -> Result<T, Problem> {
        self.again(|| async {
            let mut document = self.account(id).await?;
            let before = document.value.clone();
            let account = document.value.as_mut().ok_or_else(unknown)?;
            let change = change(account)?;
            account
                .sessions
                .retain(|session| !change.ends.contains(session));
            let mut operations = change.with;
            if document.value != before {
                operations.push(document.write()?);
            }
            operations.extend(self.ending(id, &change.ends).await?);
            if !operations.is_empty() {
                self.transact(&operations).await?;
            }
            Ok(change.answer)
        })
        .await
    }

    /// What ends sessions. One that is used meanwhile stops it.
    pub async fn ending(
        &self,
        account: &AccountId,
        sessions: &[SessionId],
    ) -> Result<Vec<Operation>, Error> {
        let keys: Vec<String> = sessions.iter().map(|id| id.key(account)).collect();
        let documents: Vec<Document<Option<Session>>> = self.documents(&keys).await?;
        Ok(documents.iter().filter_map(Document::removal).collect())
    }

    /// An account's sessions that have not ended.
    pub async fn sessions(
        &self,
        account: &Account,
        now: Instant,
    ) -> Result<Vec<(SessionId, Session)>, Error> {
        let keys: Vec<String> = account
            .sessions
            .iter()
            .map(|id| id.key(&account.id))
            .collect();
        let documents: Vec<Document<Option<Session>>> = self.documents(&keys).await?;
        let found = account.sessions.iter().zip(documents);
        let found = found.filter_map(|(id, document)| Some((id.clone(), document.value?)));
        Ok(found
            .filter(|(_, session)| now < session.ends_at())
            .collect())
    }
}

/// The writing of a session, which goes away when it has ended.
pub fn writing(document: &Document<Option<Session>>, now: Instant) -> Result<Operation, Error> {
    let left = document
        .value
        .as_ref()
        .map_or(1, |session| session.seconds_left(now));
    Ok(document.write()?.expiring(left))
}

pub fn unknown() -> Problem {
    Problem::new(Code::NotFound, "there is no such account")
}
