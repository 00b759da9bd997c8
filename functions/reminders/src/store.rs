//! Reading and changing plans in Dapr state, and with them the agenda; publishing what is due.

use docket_domain::agenda::{self, Bucket, Change, Place, WATERMARK_KEY, Watermark};
use docket_domain::reminder_due::{REMINDERS, ReminderDue};
use docket_domain::reminders::{Plan, Settings, plan_key};
use docket_domain::{AccountId, Instant, TaskId};
use docket_service::Runtime;
use docket_sidecar::{Document, Error, Message, Operation, Sidecar};
use futures::future::try_join;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::jobs::Wanted;
use crate::settings::index_key;

/// The Dapr state store.
pub const STATE: &str = "state";
/// The Dapr pub/sub component.
pub const PUBSUB: &str = "pubsub";
/// How often a change is tried when others write the same documents.
const TRIES: u32 = 8;
/// How long the first pause between two tries is at most; each is longer than the one before.
const PAUSE: Duration = Duration::from_millis(8);
/// For how long the plan of a deleted task is kept, in seconds: it knows its late events by it, and tells what fired.
const DELETED_KEPT: u32 = 90 * 24 * 3_600;

/// What `reminders:<account>` holds: the account's settings.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Account {
    /// What counts.
    #[serde(flatten)]
    pub settings: Settings,
    /// From which shard of the index on the plans have yet to be brought to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pending: Option<u8>,
    /// When the account was deleted, if it was: nothing is planned any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Instant>,
}

/// The state key of an account's settings.
pub fn account_key(account: &AccountId) -> String {
    format!("reminders:{account}")
}

/// The account whose settings have this key.
pub fn account_of(key: &str) -> Option<AccountId> {
    AccountId::parse(key.strip_prefix("reminders:")?)
}

/// What a change came to.
pub struct Changed {
    /// The plan as it now is.
    pub plan: Plan,
    /// The jobs that it should have had before.
    pub jobs_before: Wanted,
    /// Whether others wrote meanwhile, or an answer was lost: which jobs there are is then uncertain.
    pub was_disturbed: bool,
}

/// Reads and changes plans.
#[derive(Clone)]
pub struct Store<R: Runtime> {
    pub(crate) runtime: R,
    pub(crate) sidecar: Sidecar<R>,
    /// Whether the watermark is known to exist.
    has_begun: Arc<AtomicBool>,
}

impl<R: Runtime> Store<R> {
    pub(crate) fn new(runtime: R, sidecar: Sidecar<R>) -> Self {
        Self {
            runtime,
            sidecar,
            has_begun: Arc::default(),
        }
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn plan(&self, key: String) -> Result<Document<Option<Plan>>, Error> {
        self.sidecar.document(STATE, key).await
    }

    /// Reads an account's settings.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn account(&self, account: &AccountId) -> Result<Document<Account>, Error> {
        self.sidecar.document(STATE, account_key(account)).await
    }

    /// Changes a task's plan and, in the same transaction, the agenda and the account's index of plans.
    /// `change` is given the settings that count; if they change meanwhile, it is called again with the new ones. Gives
    /// nothing for a task that has no plan and gets none, and for an account that was deleted.
    ///
    /// # Errors
    /// The sidecar's; the change may be stored all the same, so it must do no harm twice.
    pub async fn change(
        &self,
        account: &AccountId,
        task: TaskId,
        mut change: impl FnMut(&mut Option<Plan>, &Settings),
    ) -> Result<Option<Changed>, Error> {
        let key = plan_key(account, task);
        let (mut tries, mut was_disturbed) = (0, false);
        let mut jobs_before = None;
        loop {
            tries += 1;
            let (mut document, account_now) =
                try_join(self.plan(key.clone()), self.account(account)).await?;
            let settings = account_now.value.settings;
            if account_now.value.gone.is_some() {
                return Ok(None);
            }
            let before = document.value.clone();
            jobs_before.get_or_insert_with(|| before.as_ref().map(Plan::jobs).unwrap_or_default());
            change(&mut document.value, &settings);
            let Some(plan) = document.value.clone() else {
                return Ok(None);
            };
            if before.as_ref() != Some(&plan) {
                let operations = self.operations(&document, before.as_ref(), &plan).await?;
                if let Err(error) = self.sidecar.transact(STATE, &operations).await {
                    if tries >= TRIES {
                        return Err(error);
                    }
                    // Somebody else has written one of the documents, or the answer was lost: what is there now tells.
                    was_disturbed = true;
                    self.pause(tries).await;
                    continue;
                }
            }
            // Whoever changes the settings looks at the plans that the index has after that. This one may have come after
            // that look, by the settings of before.
            let is_settled = !plan.depends_on_settings()
                || self.account(account).await?.value.settings == settings;
            if is_settled || tries >= TRIES {
                return Ok(Some(Changed {
                    plan,
                    jobs_before: jobs_before.unwrap_or_default(),
                    was_disturbed,
                }));
            }
        }
    }

    /// What is to be written so that a plan is where it was changed to.
    async fn operations(
        &self,
        document: &Document<Option<Plan>>,
        before: Option<&Plan>,
        plan: &Plan,
    ) -> Result<Vec<Operation>, Error> {
        let (key, now) = (document.key.as_str(), self.runtime.now());
        let write = document.write()?;
        let mut operations = vec![if plan.is_deleted() {
            write.expiring(DELETED_KEPT)
        } else {
            write
        }];
        let instants = before.into_iter().flat_map(Plan::instants);
        let owed = plan.owes_jobs.then_some(now);
        let places = agenda::changes(key, instants, plan.instants().chain(owed), now);
        let mut changes: BTreeMap<String, Change> = places
            .into_iter()
            .map(|(place, change)| (place.key(), change))
            .collect();
        let was_listed = before.is_some_and(|plan| !plan.is_deleted());
        match (was_listed, !plan.is_deleted()) {
            (false, true) => drop(changes.insert(index_key(plan.account(), key), Change::Add)),
            (true, false) => drop(changes.insert(index_key(plan.account(), key), Change::Remove)),
            _ => {}
        }
        operations.extend(self.note(key, &changes).await?);
        Ok(operations)
    }

    /// The writing of changes to sets of keys. If the agenda has not begun yet, it does.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn note(
        &self,
        key: &str,
        changes: &BTreeMap<String, Change>,
    ) -> Result<Vec<Operation>, Error> {
        if changes.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = changes.keys().cloned().collect();
        let buckets = self.sidecar.documents::<Bucket>(STATE, &keys).await?;
        let mut operations = Vec::new();
        for (mut bucket, change) in buckets.into_iter().zip(changes.values()) {
            if bucket.value.apply(key, *change) {
                operations.extend(written(&bucket)?);
            }
        }
        if !self.has_begun.load(Ordering::Relaxed) {
            let mut watermark = self.watermark().await?;
            if watermark.exists() {
                self.has_begun.store(true, Ordering::Relaxed);
            } else {
                watermark.value = Some(Watermark::at(self.runtime.now()));
                operations.push(watermark.write()?);
            }
        }
        Ok(operations)
    }

    /// Reads how far the agenda has been worked off.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn watermark(&self) -> Result<Document<Option<Watermark>>, Error> {
        let key = WATERMARK_KEY.to_owned();
        self.sidecar.document(STATE, key).await
    }

    /// The writing of a document into the bucket of the current minute.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn soon(&self, key: &str) -> Result<Vec<Operation>, Error> {
        let place = Place::of(key, self.runtime.now());
        let changes = BTreeMap::from([(place.key(), Change::Add)]);
        self.note(key, &changes).await
    }

    /// Publishes what of a task is due, and notes that. Gives how many reminders.
    ///
    /// # Errors
    /// The sidecar's: what is due stays so, and will be published, maybe again, by the same ids.
    pub async fn fire(&self, key: String) -> Result<usize, Error> {
        let document = self.plan(key).await?;
        let due = |plan: &Plan| plan.due(self.runtime.now());
        let events = document.value.as_ref().map(due).unwrap_or_default();
        if events.is_empty() {
            return Ok(0);
        }
        let published = self.publish(&events).await;
        let noted = self.mark(document, &events, published.is_ok()).await;
        published.and(noted).map(|()| events.len())
    }

    /// Publishes events, which have ids of their own for those that come twice.
    ///
    /// # Errors
    /// The sidecar's; any of them may have been published.
    pub async fn publish(&self, events: &[ReminderDue]) -> Result<(), Error> {
        let message = |event: &ReminderDue| {
            Message::new(&event.cloud_event(), event.data.account.to_string())
        };
        let messages: Vec<Message> = events.iter().map(message).collect::<Result<_, _>>()?;
        self.sidecar.publish(PUBSUB, REMINDERS, &messages).await
    }

    /// Notes in a plan that events were to be published, and whether they were. The agenda is the sweep's.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn mark(
        &self,
        mut document: Document<Option<Plan>>,
        events: &[ReminderDue],
        published: bool,
    ) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            tries += 1;
            let Some(plan) = &mut document.value else {
                return Ok(());
            };
            let before = plan.clone();
            plan.tried(events, published);
            if *plan == before {
                return Ok(());
            }
            match self.sidecar.transact(STATE, &[document.write()?]).await {
                Ok(()) => return Ok(()),
                Err(_) if tries < TRIES => self.pause(tries).await,
                Err(error) => return Err(error),
            }
            document = self.plan(document.key).await?;
        }
    }

    async fn pause(&self, tries: u32) {
        self.runtime.pause(PAUSE * (1 << tries)).await;
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.runtime.now()
    }
}

/// The writing of a set of keys; an empty one need not be there.
pub fn written(bucket: &Document<Bucket>) -> Result<Option<Operation>, Error> {
    if bucket.value.is_empty() {
        Ok(bucket.removal())
    } else {
        bucket.write().map(Some)
    }
}
