//! The jobs of a plan: one for each reminder that is to come.

use docket_domain::reminders::Plan;
use docket_domain::{AccountId, Instant, TaskId};
use docket_service::Runtime;
use docket_service::serve::log_background;
use docket_sidecar::{Error, Job, Sidecar};
use futures::future::{join_all, try_join_all};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long one call of the jobs API may take. Without a scheduler Dapr would wait for half a minute.
const CALL: Duration = Duration::from_secs(1);
/// For how long the scheduler is left alone after it did not answer: events must not queue up behind it.
const REST: Duration = Duration::from_secs(5);
/// How often a job that we could not take is tried again, and how long after. What fails for longer is the sweep's.
const RETRIES: u32 = 3;
const RETRY_EVERY: Duration = Duration::from_secs(1);

/// What a job carries: which plan to look at.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Wake {
    pub account: AccountId,
    pub task_id: TaskId,
}

/// Which jobs a plan has to have: their names and instants.
pub type Wanted = BTreeMap<String, Instant>;

/// Schedules jobs and takes them back.
#[derive(Clone)]
pub struct Jobs<R: Runtime> {
    runtime: R,
    sidecar: Sidecar<R>,
    /// Until when, by [`Runtime::elapsed`], the scheduler counts as away.
    away_until: Arc<Mutex<Duration>>,
}

impl<R: Runtime> Jobs<R> {
    pub(crate) fn new(runtime: R, sidecar: &Sidecar<R>) -> Self {
        Self {
            runtime,
            sidecar: sidecar.within(CALL),
            away_until: Arc::default(),
        }
    }

    /// Brings a plan's jobs from what they should have been before to what the plan says; in doubt about what they were, it
    /// schedules all of them. Whether all that there have to be are scheduled: a job too many does no harm.
    pub async fn follow(&self, plan: &Plan, before: &Wanted, doubts: bool) -> bool {
        let wanted = plan.jobs();
        let known = |name: &String, at: &Instant| !doubts && before.get(name) == Some(at);
        let new: Vec<_> = wanted
            .iter()
            .filter(|(name, at)| !known(name, at))
            .collect();
        let gone: Vec<_> = before
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .collect();
        if new.is_empty() && gone.is_empty() {
            return true;
        }
        if self.is_away() {
            return new.is_empty();
        }
        let wake = Wake {
            account: plan.account().clone(),
            task_id: plan.task_id(),
        };
        let scheduled = try_join_all(
            new.iter()
                .map(|(name, at)| self.schedule(name, **at, &wake)),
        );
        if let Err(error) = scheduled.await {
            log_background("warn", &format!("no jobs for {}: {error}", wake.task_id));
            let mut away_until = self
                .away_until
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *away_until = self.runtime.elapsed() + REST;
            return false;
        }
        let deleted = join_all(gone.iter().map(|name| self.sidecar.delete_job(name))).await;
        if let Some(error) = deleted.into_iter().find_map(Result::err) {
            log_background(
                "warn",
                &format!("a job stays that has nothing to do: {error}"),
            );
        }
        true
    }

    /// Takes back all jobs of a plan.
    ///
    /// # Errors
    /// The sidecar's: the scheduler is away, say.
    pub async fn take_back(&self, plan: &Plan) -> Result<(), Error> {
        let names = plan.jobs();
        let deleted = names.keys().map(|name| self.sidecar.delete_job(name));
        try_join_all(deleted).await.map(drop)
    }

    async fn schedule(&self, name: &str, at: Instant, wake: &Wake) -> Result<(), Error> {
        let job = Job {
            name,
            due: at.to_string(),
            data: wake,
            retry_every: RETRY_EVERY,
            retries: RETRIES,
        };
        self.sidecar.schedule_job(&job).await
    }

    fn is_away(&self) -> bool {
        let away_until = self
            .away_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.runtime.elapsed() < *away_until
    }
}
