//! Telling every function that an account is gone. Who is gone stands in a list that the deletion itself writes, until the
//! broker has the event.

use docket_domain::account_deleted::{ACCOUNTS, AccountDeleted};
use docket_service::serve::log_background;
use docket_service::{Problem, Runtime};
use docket_sidecar::{Document, Error, Message, Operation, Sidecar};

use crate::store::{Failed, Store};

/// The Dapr pub/sub component.
const PUBSUB: &str = "pubsub";
/// The state key of the list.
const LIST: &str = "deletions";
/// How many may wait; more deletions have to.
const MAX_WAITING: usize = 512;

/// The list.
#[derive(Clone)]
pub struct Deletions<R: Runtime> {
    store: Store<R>,
    sidecar: Sidecar<R>,
}

impl<R: Runtime> Deletions<R> {
    pub fn new(store: Store<R>, sidecar: Sidecar<R>) -> Self {
        Self { store, sidecar }
    }

    /// What a transaction that deletes an account writes beside.
    pub async fn note(&self, deleted: AccountDeleted) -> Result<Operation, Failed> {
        let mut list = self.list().await?;
        if list.value.len() >= MAX_WAITING {
            let cause = "too many deletions wait to be published";
            return Err(Problem::unavailable(5, cause).into());
        }
        list.value.push(deleted);
        Ok(list.write()?)
    }

    /// Publishes what waits; gives how much that was. An event may be published again, which changes nothing.
    pub async fn publish(&self) -> Result<usize, Problem> {
        let failed = |error: Error| Problem::unavailable(1, error);
        let waiting = self.list().await.map_err(failed)?.value;
        let messages: Result<Vec<Message>, Error> = waiting
            .iter()
            .map(|one| Message::new(&one.cloud_event(), one.account.to_string()))
            .collect();
        let messages = messages.map_err(failed)?;
        if messages.is_empty() {
            return Ok(0);
        }
        let published = self.sidecar.publish(PUBSUB, ACCOUNTS, &messages).await;
        published.map_err(failed)?;
        let forgotten = self.store.again(|| async {
            let mut list = self.list().await?;
            list.value.retain(|one| !waiting.contains(one));
            self.store.transact(&[list.write()?]).await?;
            Ok::<_, Failed>(())
        });
        forgotten.await?;
        Ok(messages.len())
    }

    /// Publishes what waits after the answer; what fails is left to the sweep.
    pub fn publish_soon(&self) {
        let deletions = self.clone();
        self.store.runtime.spawn(async move {
            if let Err(problem) = deletions.publish().await {
                let cause = problem.cause().unwrap_or("refused").to_owned();
                log_background("warn", &format!("a deletion waits for the sweep: {cause}"));
            }
        });
    }

    async fn list(&self) -> Result<Document<Vec<AccountDeleted>>, Error> {
        self.store.document(LIST.to_owned()).await
    }
}
