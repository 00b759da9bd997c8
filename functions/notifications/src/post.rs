//! Sends mails, by Dapr's output binding `smtp`.
//!
//! All mails are sent one after the other, by whoever holds the lease (`post/lease.rs`): Dapr's SMTP binding (1.18)
//! keeps the recipient and the subject of a request in a place that all requests share, so two at once could change
//! recipients. (Our own daprd gives each request a place of its own; a stock one is just as safe with the lease.)
//!
//! A mail is claimed before it is sent and finished after it (`docket_domain::mail`). It comes twice when the server took
//! it and nobody could say so: the sender or the store died at that moment, or the server took longer than [`SEND`].

mod lease;

use docket_domain::agenda::Watermark;
use docket_domain::inbox::{Inbox, Query};
use docket_domain::mail::{Mail, Outcome, Subject};
use docket_domain::preferences::Preferences;
use docket_domain::{Instant, base32};
use docket_service::Runtime;
use docket_service::serve::log_background;
use docket_sidecar::{Document, Error, Sidecar};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::agenda::Agenda;
use crate::letter::{self, Letter};
use crate::store::{Loaded, Store};
use lease::Lease;

/// The output binding. It is there if `cargo docket up` was given a mail server.
pub const SMTP: &str = "smtp";
/// How long a mail server may take for one mail, with connecting to it.
pub(crate) const SEND: Duration = Duration::from_secs(10);
/// How long a sender goes on with one mail after the other, so that it ends before the host ends it; what is left is for the
/// next sweep.
const SENDING: Duration = Duration::from_secs(10);
/// How many unread notifications a digest lists.
const LISTED: usize = 50;

/// The post of one instance.
#[derive(Clone)]
pub struct Post<R: Runtime> {
    runtime: R,
    sidecar: Sidecar<R>,
    store: Store<R>,
    agenda: Agenda<R>,
    ready: Arc<Mutex<Ready>>,
}

/// Mails that can be sent now, and whether somebody is at it.
#[derive(Default)]
struct Ready {
    mails: VecDeque<String>,
    at_work: bool,
}

/// What becomes of a mail that is due, before it is tried.
enum Next {
    /// It is sent.
    Send(Letter, String),
    /// It waits for the end of the quiet hours.
    Wait(Instant),
    /// Nobody wants it any more.
    Drop,
}

impl<R: Runtime> Post<R> {
    pub fn new(runtime: R, sidecar: Sidecar<R>, store: Store<R>, agenda: Agenda<R>) -> Self {
        Self {
            runtime,
            sidecar,
            store,
            agenda,
            ready: Arc::default(),
        }
    }

    /// Sends a mail after the answer, if it is due. What goes wrong is left to the sweep.
    pub fn send_soon(&self, mail: String) {
        let mut ready = self.ready();
        ready.mails.push_back(mail);
        if !std::mem::replace(&mut ready.at_work, true) {
            let post = self.clone();
            self.runtime.spawn(async move { post.send_ready().await });
        }
    }

    async fn send_ready(&self) {
        let mut at_work = AtWork(Some(&self.ready));
        let end = self.runtime.elapsed() + SENDING;
        let mut lease = self.lease();
        while self.runtime.elapsed() < end {
            let Some(mail) = self.next_ready() else {
                at_work.0 = None;
                break;
            };
            if let Err(error) = self.deliver(&mail, &mut lease).await {
                log_background("error", &format!("{mail} is left to the sweep: {error}"));
            }
        }
        lease.give_back().await;
    }

    /// The next mail; without one the sender is not at work any more, and whoever has another starts a new one.
    fn next_ready(&self) -> Option<String> {
        let mut ready = self.ready();
        let next = ready.mails.pop_front();
        ready.at_work = next.is_some();
        next
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A lease for one sender.
    fn lease(&self) -> Lease<R> {
        let holder = base32::encode(self.runtime.entropy().0 as u64, 13);
        Lease::new(self.runtime.clone(), self.store.clone(), holder)
    }

    /// Sends what is due, and clears the agenda of what is over. Gives how many mails were looked at.
    pub async fn sweep(&self) -> Result<usize, Error> {
        let end = self.runtime.elapsed() + SENDING;
        let now = self.runtime.now();
        let mut watermark = self.agenda.watermark().await?;
        let Some(reached) = watermark.value else {
            // Nothing was ever put into the agenda.
            return Ok(0);
        };
        let mut lease = self.lease();
        let (mut looked_at, mut undone) = (0, None);
        'buckets: for (place, bucket) in self.agenda.buckets(reached, now).await? {
            let mut cleared = place.is_over(now);
            for mail in bucket.value.documents() {
                if self.runtime.elapsed() > end {
                    undone = undone.or(Some(place));
                    break 'buckets;
                }
                looked_at += 1;
                let done = self.deliver(mail, &mut lease).await;
                if let Err(error) = &done {
                    log_background(
                        "error",
                        &format!("{mail} is left to the next sweep: {error}"),
                    );
                }
                if !done.is_ok_and(|done| done) {
                    undone = undone.or(Some(place));
                    cleared = false;
                }
            }
            // A bucket that has got more in the meantime stays.
            if let Some(removal) = bucket.removal().filter(|_| cleared)
                && let Err(error) = self.store.transact(&[removal]).await
            {
                undone = undone.or(Some(place));
                if !error.is_conflict() {
                    return Err(error);
                }
            }
        }
        lease.give_back().await;
        let after = match undone {
            Some(place) => Watermark::reached(place, now),
            None => Watermark::at(now),
        };
        if after != reached {
            watermark.value = Some(after);
            match self.store.write(&watermark).await {
                Err(error) if !error.is_conflict() => return Err(error),
                _another_sweep_was_faster => {}
            }
        }
        Ok(looked_at)
    }

    /// Sends a mail, if it is due and nobody else is at it. `false` when it is still due, since another sender keeps the
    /// lease.
    async fn deliver(&self, key: &str, lease: &mut Lease<R>) -> Result<bool, Error> {
        let mut round = 0;
        loop {
            match self.try_deliver(key, lease).await {
                Err(error) if self.store.goes_on(&error, round).await => round += 1,
                done => return done,
            }
        }
    }

    async fn try_deliver(&self, key: &str, lease: &mut Lease<R>) -> Result<bool, Error> {
        let now = self.runtime.now();
        let mut document: Document<Option<Mail>> = self.store.document(key.to_owned()).await?;
        let Some(mail) = document.value.as_mut().filter(|mail| mail.is_due(now)) else {
            return Ok(true);
        };
        let (letter, address) = match self.next(mail, now).await? {
            Next::Send(letter, address) => (letter, address),
            Next::Wait(until) => {
                mail.due_at = until;
                return self.put_off(&document, until, now).await.map(|()| true);
            }
            Next::Drop => {
                mail.finish(Outcome::Unwanted(now));
                return self.store.write(&document).await.map(|()| true);
            }
        };
        if !lease.hold().await? {
            return Ok(false);
        }
        let now = self.runtime.now();
        if !mail.claim(now) {
            return self.store.write(&document).await.map(|()| true);
        }
        let due_at = mail.due_at;
        // If it fails, another has claimed it, or another mail was put into the same bucket: a second look tells.
        self.put_off(&document, due_at, now).await?;
        let metadata = BTreeMap::from([
            ("emailTo", address.as_str()),
            ("subject", letter.subject.as_str()),
        ]);
        let sent = self
            .sidecar
            .within(SEND)
            .bind(SMTP, "create", &letter.html, &metadata)
            .await;
        if let Err(error) = &sent {
            log_background("warning", &format!("{key} was not sent: {error}"));
        }
        self.finish(key, due_at, sent.is_ok()).await?;
        Ok(true)
    }

    /// What is to be done with a mail that is due.
    async fn next(&self, mail: &Mail, now: Instant) -> Result<Next, Error> {
        if let Some(Subject::Account(letter)) = &mail.subject {
            return Ok(if now < letter.until {
                Next::Send(letter::of_account(letter), letter.to.clone())
            } else {
                Next::Drop
            });
        }
        let preferences: Document<Preferences> = self.store.preferences(&mail.account).await?;
        let preferences = preferences.value;
        let address = preferences.email.address.clone();
        let Some(address) = address.filter(|_| preferences.email.enabled) else {
            return Ok(Next::Drop);
        };
        let until = preferences.held_until(now);
        if until > now {
            return Ok(Next::Wait(until));
        }
        let letter = match &mail.subject {
            Some(Subject::Notification(notification)) => Some(letter::of_one(notification)),
            Some(Subject::Digest) => self.digest(mail).await?,
            Some(Subject::Account(_)) | None => None,
        };
        Ok(letter.map_or(Next::Drop, |letter| Next::Send(letter, address)))
    }

    /// The digest of what is unread, if anything is.
    async fn digest(&self, mail: &Mail) -> Result<Option<Letter>, Error> {
        let query = Query {
            unread: true,
            limit: LISTED,
            before: None,
        };
        let numbers = |inbox: &Inbox| inbox.list(&query).numbers;
        let Loaded { inbox, pages } = self.store.load(&mail.account, numbers).await?;
        let unread = inbox.gather(&numbers(&inbox), &pages);
        Ok((!unread.is_empty()).then(|| letter::of_many(&unread, inbox.unread())))
    }

    /// Stores a mail that is to be looked at again at `at`.
    async fn put_off(
        &self,
        document: &Document<Option<Mail>>,
        at: Instant,
        now: Instant,
    ) -> Result<(), Error> {
        let mut operations = self.agenda.schedule(&document.key, at, now).await?;
        operations.push(document.write()?);
        self.store.transact(&operations).await
    }

    /// Stores what came of a try, unless another one has begun since.
    async fn finish(&self, key: &str, due_at: Instant, sent: bool) -> Result<(), Error> {
        let mut round = 0;
        loop {
            let mut document: Document<Option<Mail>> = self.store.document(key.to_owned()).await?;
            let now = self.runtime.now();
            let Some(mail) = document.value.as_mut() else {
                return Ok(());
            };
            if mail.outcome.is_some() || (mail.due_at != due_at && !sent) {
                return Ok(());
            }
            if sent {
                mail.finish(Outcome::Sent(now));
            } else {
                mail.fail(now);
            }
            match self.store.write(&document).await {
                Err(error) if self.store.goes_on(&error, round).await => round += 1,
                done => return done,
            }
        }
    }
}

/// A sender at work. If it is cut off, or ends before all is sent, what waits is left to the sweep.
struct AtWork<'a>(Option<&'a Mutex<Ready>>);

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        if let Some(ready) = self.0 {
            *ready.lock().unwrap_or_else(PoisonError::into_inner) = Ready::default();
        }
    }
}
