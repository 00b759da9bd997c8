//! An account's settings: what they are, and moving everything to where they say. And the end of an account.
//!
//! An account's plans, but for those of deleted tasks, are in an index of [`SHARDS`] documents. A change of the settings is
//! stored first, with how far the plans have been brought to it; if there are very many, the sweep goes on with them.

use docket_domain::agenda::{Bucket, shard_of};
use docket_domain::reminders::{Plan, Settings};
use docket_domain::{AccountId, Instant, TaskId};
use docket_service::Runtime;
use docket_sidecar::Error;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::time::Duration;

use crate::App;
use crate::store::{Account, STATE, account_key};

/// How many documents an account's index has, so that ten thousand tasks are not one document.
const SHARDS: u8 = 64;
/// How many plans are moved at once.
const AT_ONCE: usize = 8;
/// How often the writing of the settings is tried.
const TRIES: u32 = 8;

/// The state key of the part of the index that a plan is in.
pub fn index_key(account: &AccountId, plan: &str) -> String {
    shard_key(account, shard_of(plan, SHARDS))
}

fn shard_key(account: &AccountId, shard: u8) -> String {
    format!("reminders:{account}:plans:{shard}")
}

impl<R: Runtime> App<R> {
    /// Stores settings. They count from now on; [`Self::settle`] has yet to move what was planned before.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn set(&self, account: &AccountId, settings: Settings) -> Result<(), Error> {
        let key = account_key(account);
        let mut tries = 0;
        loop {
            tries += 1;
            let mut document = self.store.account(account).await?;
            let is_there = document.exists() && document.value.settings == settings;
            if is_there || document.value.gone.is_some() {
                return Ok(());
            }
            document.value.settings = settings;
            document.value.pending = Some(0);
            let mut operations = vec![document.write()?];
            operations.extend(self.store.soon(&key).await?);
            match self.store.sidecar.transact(STATE, &operations).await {
                Ok(()) => return Ok(()),
                Err(_) if tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Moves plans to where the account's settings say, until `deadline` by [`Runtime::elapsed`]; whether some are left. If
    /// it `resumes` what somebody else has begun, it does not believe that the first plans have the jobs that they need.
    ///
    /// # Errors
    /// The sidecar's; what is done is done, and the rest is still pending.
    pub async fn settle(
        &self,
        account: &AccountId,
        deadline: Duration,
        mut resumes: bool,
    ) -> Result<bool, Error> {
        loop {
            let mut document = self.store.account(account).await?;
            let Some(shard) = document.value.pending else {
                return Ok(false);
            };
            if self.runtime.elapsed() >= deadline {
                return Ok(true);
            }
            let index = shard_key(account, shard);
            let index = self.store.sidecar.document::<Bucket>(STATE, index).await?;
            let keys: Vec<String> = index.value.documents().map(str::to_owned).collect();
            stream::iter(keys)
                .map(|key| self.settle_plan(account, key, resumes))
                .buffer_unordered(AT_ONCE)
                .try_collect::<()>()
                .await?;
            resumes = false;
            document.value.pending = Some(shard + 1).filter(|next| *next < SHARDS);
            // A refusal means that there are newer settings, or that somebody else is further.
            let progress = [document.write()?];
            if let Err(error @ Error::Transport { .. }) =
                self.store.sidecar.transact(STATE, &progress).await
            {
                return Err(error);
            }
        }
    }

    /// Forgets an account that was deleted, with its plans and their jobs, until `deadline` by [`Runtime::elapsed`]; whether
    /// nothing is left of it but the note that it is gone. It can be begun anew wherever it was cut off.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn forget(
        &self,
        account: &AccountId,
        at: Instant,
        deadline: Duration,
    ) -> Result<bool, Error> {
        let sidecar = &self.store.sidecar;
        let mut document = self.store.account(account).await?;
        if document.value.gone.is_none() {
            document.value = Account {
                gone: Some(at),
                ..Account::default()
            };
            sidecar.transact(STATE, &[document.write()?]).await?;
        }
        for shard in 0..SHARDS {
            let index = shard_key(account, shard);
            let index = sidecar.document::<Bucket>(STATE, index).await?;
            let keys: Vec<String> = index.value.documents().map(str::to_owned).collect();
            for keys in keys.chunks(AT_ONCE) {
                if self.runtime.elapsed() >= deadline {
                    return Ok(false);
                }
                let plans = sidecar.documents::<Option<Plan>>(STATE, keys).await?;
                let plans = plans.iter().filter_map(|plan| plan.value.as_ref());
                try_join_all(plans.map(|plan| self.jobs.take_back(plan))).await?;
                sidecar.remove(STATE, keys).await?;
            }
            if let Some(removal) = index.removal() {
                sidecar.transact(STATE, &[removal]).await?;
            }
        }
        Ok(true)
    }

    async fn settle_plan(
        &self,
        account: &AccountId,
        key: String,
        resumes: bool,
    ) -> Result<(), Error> {
        let task = key.rsplit(':').next().and_then(TaskId::parse);
        let Some(task) = task else {
            return Ok(());
        };
        let changed = self
            .store
            .change(account, task, |plan, settings| {
                if let Some(plan) = plan {
                    plan.settle(settings);
                }
            })
            .await?;
        match changed {
            Some(changed) => self.follow_up(changed, resumes).await,
            None => Ok(()),
        }
    }
}
