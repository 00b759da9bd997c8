//! The sweep: what a job missed, what was due while everything was down, and what could not be finished.

use docket_domain::agenda::{Bucket, Place, Watermark};
use docket_domain::reminder_due::ReminderDue;
use docket_domain::reminders::Plan;
use docket_service::Runtime;
use docket_service::serve::log_background;
use docket_sidecar::{Document, Error};
use serde::Serialize;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::App;
use crate::jobs::Wanted;
use crate::store::{STATE, account_of, written};

/// How long a sweep may take; the binding calls again every five seconds.
const LIMIT: Duration = Duration::from_secs(4);
/// How long a sweep spends on the settings of one account.
const SETTLING: Duration = Duration::from_secs(1);
/// How late a reminder is before the sweep takes it, in milliseconds: its job comes first.
const LATE: i64 = 2_000;
/// How many buckets are read in one call.
const BUCKETS: usize = 512;
/// How many plans are read, fired and written in one go.
const PLANS: usize = 100;

/// What a sweep did.
#[derive(Debug, Default, Serialize)]
pub struct Swept {
    /// How many reminders it fired.
    pub fired: usize,
    /// How many buckets it has done with.
    pub cleared: usize,
}

impl<R: Runtime> App<R> {
    /// Works off the agenda, from the watermark on.
    ///
    /// # Errors
    /// The sidecar's: the broker is away, say. The next sweep goes on where this one came to.
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let deadline = self.runtime.elapsed() + LIMIT;
        let mut swept = Swept::default();
        let mut document = self.store.watermark().await?;
        let now = self.store.now();
        let watermark = document.value.unwrap_or(Watermark::at(now));
        let mut reached = Watermark::at(now);
        let places: Vec<Place> = watermark.places(now).collect();
        let mut failed = Ok(());
        for places in places.chunks(BUCKETS) {
            let begun = places.first().copied();
            let done = self.sweep_places(places, deadline, &mut swept).await;
            if !matches!(done, Ok(true)) {
                reached = begun.map_or(watermark, |place| Watermark::reached(place, now));
                failed = done.map(drop);
                break;
            }
        }
        if document.value != Some(reached) {
            document.value = Some(reached);
            // Refused, somebody else sweeps too, and what is done is done.
            if let Err(error) = self
                .store
                .sidecar
                .transact(STATE, &[document.write()?])
                .await
            {
                log_background("warn", &format!("the watermark stays: {error}"));
            }
        }
        failed.map(|()| swept)
    }

    /// Works off some buckets; whether there was time for all of them.
    async fn sweep_places(
        &self,
        places: &[Place],
        deadline: Duration,
        swept: &mut Swept,
    ) -> Result<bool, Error> {
        if self.runtime.elapsed() >= deadline {
            return Ok(false);
        }
        let keys: Vec<String> = places.iter().map(|place| place.key()).collect();
        let buckets = self.store.sidecar.documents::<Bucket>(STATE, &keys).await?;
        for (place, bucket) in places.iter().zip(buckets) {
            if !bucket.exists() {
                continue;
            }
            if self.runtime.elapsed() >= deadline {
                return Ok(false);
            }
            self.sweep_bucket(*place, bucket, deadline, swept).await?;
        }
        Ok(true)
    }

    async fn sweep_bucket(
        &self,
        place: Place,
        bucket: Document<Bucket>,
        deadline: Duration,
        swept: &mut Swept,
    ) -> Result<(), Error> {
        let mut left = Left::default();
        let keys: Vec<String> = bucket.value.documents().map(str::to_owned).collect();
        let (accounts, plans): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| account_of(key).is_some());
        for key in accounts {
            let until = deadline.min(self.runtime.elapsed() + SETTLING);
            if let Some(account) = account_of(&key)
                && self.settle(&account, until, true).await?
            {
                left.postponed.insert(key);
            }
        }
        for keys in plans.chunks(PLANS) {
            swept.fired += self.sweep_plans(keys, &mut left).await?;
        }
        let now = self.store.now();
        if left.is_due || !place.is_over(now) {
            return Ok(());
        }
        swept.cleared += 1;
        self.clear(bucket, place, &left.postponed).await
    }

    /// Fires what is due of some plans, and gives those their jobs that have none.
    async fn sweep_plans(&self, keys: &[String], left: &mut Left) -> Result<usize, Error> {
        let documents = self
            .store
            .sidecar
            .documents::<Option<Plan>>(STATE, keys)
            .await?;
        let now = self.store.now();
        let late = now.plus_millis(-LATE);
        let mut fired: Vec<(Document<Option<Plan>>, Vec<ReminderDue>)> = Vec::new();
        for document in documents {
            let Some(plan) = &document.value else {
                continue;
            };
            if plan.owes_jobs {
                self.pay(document.key.clone(), plan, left).await?;
            }
            let mut events = plan.due(late);
            for event in &mut events {
                event.data.fired_at = now;
            }
            left.is_due |= plan.due(now).len() > events.len();
            if !events.is_empty() {
                fired.push((document, events));
            }
        }
        let events: Vec<ReminderDue> = fired
            .iter()
            .flat_map(|(_, events)| events.iter().cloned())
            .collect();
        if events.is_empty() {
            return Ok(0);
        }
        let published = self.store.publish(&events).await;
        self.mark_all(fired, published.is_ok()).await?;
        published.map(|()| events.len())
    }

    /// Notes in many plans what was to be published: in one transaction, unless somebody else writes one of them.
    async fn mark_all(
        &self,
        fired: Vec<(Document<Option<Plan>>, Vec<ReminderDue>)>,
        published: bool,
    ) -> Result<(), Error> {
        let mut operations = Vec::with_capacity(fired.len());
        for (document, events) in &fired {
            let mut marked = document.clone();
            if let Some(plan) = &mut marked.value {
                plan.tried(events, published);
            }
            operations.push(marked.write()?);
        }
        if self
            .store
            .sidecar
            .transact(STATE, &operations)
            .await
            .is_ok()
        {
            return Ok(());
        }
        for (document, events) in fired {
            let document = self.store.plan(document.key).await?;
            self.store.mark(document, &events, published).await?;
        }
        Ok(())
    }

    /// Gives a plan the jobs that it should have had before.
    async fn pay(&self, key: String, plan: &Plan, left: &mut Left) -> Result<(), Error> {
        if !self.jobs.follow(plan, &Wanted::new(), true).await {
            left.postponed.insert(key);
            return Ok(());
        }
        let (account, task) = (plan.account(), plan.task_id());
        let paid = self.store.change(account, task, |current, _| {
            // Of one that has changed meanwhile others owe the jobs, and pay them.
            if let Some(current) = current.as_mut().filter(|current| *current == plan) {
                current.owes_jobs = false;
            }
        });
        paid.await.map(drop)
    }

    /// Takes a bucket away; what could not be done goes into the one of now.
    async fn clear(
        &self,
        bucket: Document<Bucket>,
        place: Place,
        postponed: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let mut operations: Vec<_> = bucket.removal().into_iter().collect();
        if !postponed.is_empty() {
            let key = place.postponed(self.store.now()).key();
            let mut now = self.store.sidecar.document::<Bucket>(STATE, key).await?;
            for document in postponed {
                now.value.add(document);
            }
            operations.extend(written(&now)?);
        }
        // Refused, somebody has added to one of them: the next sweep looks again.
        match self.store.sidecar.transact(STATE, &operations).await {
            Err(error @ Error::Transport { .. }) => Err(error),
            _ => Ok(()),
        }
    }
}

/// What of a bucket is not done.
#[derive(Default)]
struct Left {
    /// Whether something is due that its job may still fire.
    is_due: bool,
    /// What was tried in vain, to be tried again soon.
    postponed: BTreeSet<String>,
}
