//! The lease of the post: who holds it may send mails, and nobody else.

use docket_domain::Instant;
use docket_service::Runtime;
use docket_sidecar::{Document, Error};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use crate::store::Store;

/// The state key.
const KEY: &str = "mail-lease";
/// For how long it is held, in milliseconds. It ends by itself when its holder dies.
const TERM: i64 = 30_000;
/// It is held anew when less than this is left, in milliseconds: a mail takes at most ten seconds, and its claim three calls.
const MARGIN: i64 = 16_000;
/// How long another holder is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What is stored.
#[derive(Debug, Deserialize, Serialize)]
struct Held {
    holder: String,
    until: Instant,
}

/// One sender's hold on the lease.
pub struct Lease<R: Runtime> {
    runtime: R,
    store: Store<R>,
    holder: String,
    until: Instant,
}

impl<R: Runtime> Lease<R> {
    /// Nothing is held yet. `holder` is the sender's own name.
    pub fn new(runtime: R, store: Store<R>, holder: String) -> Self {
        Self {
            runtime,
            store,
            holder,
            until: Instant::MIN,
        }
    }

    /// Takes the lease, or holds it for longer: long enough for one mail. `false` when another keeps it.
    pub async fn hold(&mut self) -> Result<bool, Error> {
        let end = self.runtime.elapsed() + PATIENCE;
        loop {
            let now = self.runtime.now();
            if self.until > now.plus_millis(MARGIN) {
                return Ok(true);
            }
            let mut document = self.read().await?;
            let free = |held: &Held| held.until <= now || held.holder == self.holder;
            if document.value.as_ref().is_none_or(free) {
                let until = now.plus_millis(TERM);
                document.value = Some(Held {
                    holder: self.holder.clone(),
                    until,
                });
                match self.store.write(&document).await {
                    Ok(()) => self.until = until,
                    Err(error) if error.is_conflict() => {}
                    Err(error) => return Err(error),
                }
                continue;
            }
            if self.runtime.elapsed() >= end {
                return Ok(false);
            }
            self.runtime.sleep(LOOK_EVERY).await;
        }
    }

    /// Lets others have it. If that fails, they have it when the term is over.
    pub async fn give_back(self) {
        if self.until == Instant::MIN {
            return;
        }
        if let Ok(document) = self.read().await
            && let Some(held) = &document.value
            && held.holder == self.holder
            && let Some(removal) = document.removal()
        {
            let _ended_later = self.store.transact(&[removal]).await;
        }
    }

    async fn read(&self) -> Result<Document<Option<Held>>, Error> {
        self.store.document(KEY.to_owned()).await
    }
}
