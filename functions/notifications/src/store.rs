//! Inboxes and preferences in Dapr state.

use docket_domain::deliveries::{Deliveries, Delivery, deliveries_key};
use docket_domain::inbox::{
    Content, Inbox, Notification, NotificationId, Page, Place, inbox_key, page_key,
};
use docket_domain::mail::{AccountLetter, Mail, MailId, Subject};
use docket_domain::preferences::{Post, Preferences, preferences_key};
use docket_domain::reminder_due::{Data, ReminderDue};
use docket_domain::{AccountId, Instant, TaskId};
use docket_service::Runtime;
use docket_sidecar::{Document, Error, Operation, Sidecar};
use futures::future::try_join3;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::agenda::Agenda;

/// The Dapr state store.
pub const STATE: &str = "state";
/// How often a change is tried again because others wrote meanwhile.
const TRIES: u32 = 12;
/// How many tasks' deliveries are forgotten together.
const FORGOTTEN_TOGETHER: usize = 64;
/// The longest pause between two tries, at the first one.
const PAUSE: Duration = Duration::from_millis(8);

/// Reads and changes inboxes and preferences.
#[derive(Clone)]
pub struct Store<R: Runtime> {
    runtime: R,
    sidecar: Sidecar<R>,
    agenda: Agenda<R>,
}

/// What came of an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TakenIn {
    /// The notification, as it came into the inbox at the first delivery of the event.
    pub notification: Notification,
    /// The state key of the mail that tells of it.
    pub mail: Option<String>,
}

/// An inbox with the sealed pages that were asked for.
pub struct Loaded {
    /// The head.
    pub inbox: Inbox,
    /// The pages.
    pub pages: Vec<Page>,
}

impl<R: Runtime> Store<R> {
    pub fn new(runtime: R, sidecar: Sidecar<R>, agenda: Agenda<R>) -> Self {
        Self {
            runtime,
            sidecar,
            agenda,
        }
    }

    /// Reads a document.
    pub async fn document<V: DeserializeOwned + Default>(
        &self,
        key: String,
    ) -> Result<Document<V>, Error> {
        self.sidecar.document(STATE, key).await
    }

    /// Carries out all operations, or none.
    pub async fn transact(&self, operations: &[Operation]) -> Result<(), Error> {
        self.sidecar.transact(STATE, operations).await
    }

    /// Puts what an event tells into its account's inbox, unless a delivery of the same event has done so. The inbox, what
    /// is known of deliveries, and the mail with its place in the agenda are written in one transaction. `None` if the
    /// account was deleted.
    pub async fn take_in(&self, event: &ReminderDue) -> Result<Option<TakenIn>, Error> {
        let mut round = 0;
        loop {
            match self.try_take_in(event).await {
                Err(error) if self.goes_on(&error, round).await => round += 1,
                done => return done,
            }
        }
    }

    async fn try_take_in(&self, event: &ReminderDue) -> Result<Option<TakenIn>, Error> {
        let now = self.runtime.now();
        let account = &event.data.account;
        let (mut deliveries, mut inbox, preferences) = try_join3(
            self.document::<Deliveries>(deliveries_key(account, event.data.task_id)),
            self.document::<Inbox>(inbox_key(account)),
            self.document::<Preferences>(preferences_key(account)),
        )
        .await?;
        if inbox.value.is_closed() {
            return Ok(None);
        }
        let told = |id, created_at| Notification {
            id,
            created_at,
            content: content(&event.data),
        };
        if let Some(known) = deliveries.value.of(&event.id) {
            return Ok(Some(TakenIn {
                notification: told(known.notification, known.at),
                mail: known.mail.clone(),
            }));
        }
        let (id, sealed) = inbox.value.append(&event.id, content(&event.data), now);
        let notification = told(id, now);
        let mut operations = Vec::new();
        if let Some((number, page)) = sealed.page {
            let mut document = self.document::<Page>(page_key(account, number)).await?;
            document.value = page;
            operations.push(document.write()?);
        }
        if let Some(number) = sealed.forgotten {
            let document = self.document::<Page>(page_key(account, number)).await?;
            operations.extend(document.removal());
        }
        let mail = match preferences.value.post(now) {
            Post::None => None,
            Post::Own(at) => {
                let subject = Subject::Notification(notification.clone());
                Some((MailId::Own(id), subject, at))
            }
            Post::Digest(day, at) => Some((MailId::Digest(day), Subject::Digest, at)),
        };
        let mail = match mail {
            None => None,
            Some((id, subject, at)) => {
                let key = id.key(account);
                let mut document = self.document::<Option<Mail>>(key.clone()).await?;
                // The digest of a day is written by the first that it tells of.
                if document.value.is_none() {
                    document.value = Some(Mail::new(account.clone(), subject, at));
                    operations.push(document.write()?);
                    operations.extend(self.agenda.schedule(&key, at, now).await?);
                }
                Some(key)
            }
        };
        deliveries.value.add(Delivery {
            event: event.id.clone(),
            reminder: event.data.reminder_id.clone(),
            occurrence: event.data.occurrence,
            scheduled_at: event.data.at,
            fired_at: event.data.fired_at,
            notification: id,
            at: now,
            mail: mail.clone(),
        });
        operations.push(deliveries.write()?);
        operations.push(inbox.write()?);
        self.transact(&operations).await?;
        Ok(Some(TakenIn { notification, mail }))
    }

    /// An account's inbox, with the pages that hold the numbers that `wanted` names.
    pub async fn load(
        &self,
        account: &AccountId,
        wanted: impl FnOnce(&Inbox) -> Vec<u64>,
    ) -> Result<Loaded, Error> {
        let inbox: Document<Inbox> = self.document(inbox_key(account)).await?;
        let inbox = inbox.value;
        let pages = inbox.pages_of(&wanted(&inbox));
        let keys: Vec<String> = pages.iter().map(|n| page_key(account, *n)).collect();
        let pages = if keys.is_empty() {
            Vec::new()
        } else {
            self.sidecar.documents(STATE, &keys).await?
        };
        let pages = pages.into_iter().map(|page| page.value).collect();
        Ok(Loaded { inbox, pages })
    }

    /// A notification of an account's inbox, if it is there.
    pub async fn notification(
        &self,
        account: &AccountId,
        id: NotificationId,
    ) -> Result<Option<Notification>, Error> {
        let loaded = self.load(account, |_| vec![id.number]).await?;
        let found = match loaded.inbox.place(id) {
            Place::Nowhere => None,
            Place::Head(notification) => Some(notification),
            Place::Page(_) => loaded.pages.iter().find_map(|page| page.find(id)),
        };
        Ok(found.cloned())
    }

    /// Changes an account's inbox, unless `change` says that there is nothing to change; gives it as it is then.
    pub async fn change_inbox(
        &self,
        account: &AccountId,
        change: impl Fn(&mut Inbox) -> bool + Send,
    ) -> Result<Inbox, Error> {
        let mut round = 0;
        loop {
            let mut inbox: Document<Inbox> = self.document(inbox_key(account)).await?;
            if !change(&mut inbox.value) {
                return Ok(inbox.value);
            }
            match self.write(&inbox).await {
                Ok(()) => return Ok(inbox.value),
                Err(error) if self.goes_on(&error, round).await => round += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Whether an account was deleted.
    pub async fn is_gone(&self, account: &AccountId) -> Result<bool, Error> {
        let inbox: Document<Inbox> = self.document(inbox_key(account)).await?;
        Ok(inbox.value.is_closed())
    }

    /// An account's preferences.
    pub async fn preferences(&self, account: &AccountId) -> Result<Document<Preferences>, Error> {
        self.document(preferences_key(account)).await
    }

    /// Changes an account's preferences, whoever else does at the same time.
    pub async fn set(
        &self,
        account: &AccountId,
        change: impl Fn(&mut Preferences),
    ) -> Result<(), Error> {
        let mut round = 0;
        loop {
            let mut preferences = self.preferences(account).await?;
            let before = preferences.value.clone();
            change(&mut preferences.value);
            if preferences.value == before {
                return Ok(());
            }
            match self.write(&preferences).await {
                Err(error) if self.goes_on(&error, round).await => round += 1,
                done => return done,
            }
        }
    }

    /// What was delivered of a task's reminders, each with the mail that tells of it.
    pub async fn deliveries(
        &self,
        account: &AccountId,
        task: TaskId,
    ) -> Result<Vec<(Delivery, Option<Mail>)>, Error> {
        let deliveries: Document<Deliveries> = self.document(deliveries_key(account, task)).await?;
        let deliveries = deliveries.value.entries();
        let mut keys: Vec<String> = deliveries.iter().filter_map(|d| d.mail.clone()).collect();
        keys.dedup();
        let mails: Vec<Document<Option<Mail>>> = if keys.is_empty() {
            Vec::new()
        } else {
            self.sidecar.documents(STATE, &keys).await?
        };
        let mail = |key: &String| mails.iter().find(|mail| mail.key == *key)?.value.clone();
        Ok(deliveries
            .iter()
            .map(|delivery| (delivery.clone(), delivery.mail.as_ref().and_then(mail)))
            .collect())
    }

    /// Notes a mail about an account, with its place in the agenda, unless it is noted; gives its key.
    pub async fn note_mail(
        &self,
        account: &AccountId,
        id: &str,
        letter: &AccountLetter,
    ) -> Result<String, Error> {
        let key = MailId::Account(id).key(account);
        let mut round = 0;
        loop {
            let now = self.runtime.now();
            let mut document = self.document::<Option<Mail>>(key.clone()).await?;
            if document.exists() {
                return Ok(key);
            }
            let subject = Subject::Account(letter.clone());
            document.value = Some(Mail::new(account.clone(), subject, now));
            let mut operations = self.agenda.schedule(&key, now, now).await?;
            operations.push(document.write()?);
            match self.transact(&operations).await {
                Err(error) if self.goes_on(&error, round).await => round += 1,
                done => return done.map(|()| key),
            }
        }
    }

    /// Forgets an account that was deleted, and takes nothing in of it any more. What it is found by goes last, so that it
    /// can be begun anew wherever it was cut off.
    pub async fn forget(&self, account: &AccountId, at: Instant) -> Result<(), Error> {
        let close = |inbox: &mut Inbox| {
            !inbox.is_closed() && {
                inbox.close(at);
                true
            }
        };
        self.change_inbox(account, close).await?;
        let Loaded { inbox, pages } = self.load(account, Inbox::numbers).await?;
        let tasks: BTreeSet<TaskId> = inbox
            .gather(&inbox.numbers(), &pages)
            .into_iter()
            .map(|notification| notification.content.task_id)
            .collect();
        let deliveries: Vec<String> = tasks
            .iter()
            .map(|task| deliveries_key(account, *task))
            .collect();
        for keys in deliveries.chunks(FORGOTTEN_TOGETHER) {
            let documents = self.sidecar.documents::<Deliveries>(STATE, keys).await?;
            let entries = documents.iter().flat_map(|one| one.value.entries());
            let mails: BTreeSet<String> = entries.filter_map(|entry| entry.mail.clone()).collect();
            let mails: Vec<String> = mails.into_iter().collect();
            self.sidecar.remove(STATE, &mails).await?;
            self.sidecar.remove(STATE, keys).await?;
        }
        let pages = inbox.pages_of(&inbox.numbers());
        let mut rest: Vec<String> = pages.iter().map(|n| page_key(account, *n)).collect();
        rest.push(preferences_key(account));
        self.sidecar.remove(STATE, &rest).await?;
        let clear = |inbox: &mut Inbox| {
            !inbox.numbers().is_empty() && {
                inbox.clear();
                true
            }
        };
        self.change_inbox(account, clear).await.map(drop)
    }

    /// Writes one document.
    pub async fn write<V: Serialize>(&self, document: &Document<V>) -> Result<(), Error> {
        self.transact(&[document.write()?]).await
    }

    /// Whether a change that failed is to be tried again; if so, after a pause.
    pub async fn goes_on(&self, error: &Error, round: u32) -> bool {
        let goes_on = error.is_conflict() && round < TRIES;
        if goes_on {
            self.runtime.pause(PAUSE * (round + 1)).await;
        }
        goes_on
    }
}

fn content(data: &Data) -> Content {
    Content {
        task_id: data.task_id,
        reminder_id: data.reminder_id.clone(),
        occurrence: data.occurrence,
        at: data.at,
        fired_at: data.fired_at,
        title: data.title.clone(),
        due: data.due.clone(),
        due_at: data.due_at,
        priority: data.priority,
    }
}
