//! Changes of one account in one instance take turns, first in, first out.

use async_lock::{Mutex, MutexGuardArc};
use docket_domain::AccountId;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

/// How many accounts are remembered before those that nobody waits for are forgotten.
const REMEMBERED: usize = 256;

/// A lock for each account.
#[derive(Clone, Default)]
pub struct Turns(Arc<std::sync::Mutex<HashMap<AccountId, Arc<Mutex<()>>>>>);

impl Turns {
    /// Waits until it is this change's turn; the turn lasts until the guard is dropped.
    pub async fn take(&self, account: &AccountId) -> MutexGuardArc<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if locks.len() >= REMEMBERED {
                locks.retain(|_, lock| Arc::strong_count(lock) > 1);
            }
            locks.entry(account.clone()).or_default().clone()
        };
        lock.lock_arc().await
    }
}
