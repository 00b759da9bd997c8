//! Publishing the events that wait in the outbox ring, in order, and freeing their slots.
//!
//! Whoever stores a change delivers it after the answer. If the account's slot before is still taken, its deliverer is
//! at work and will find this one: after freeing a slot it looks at the book for what came after. What nobody
//! delivered, the sweep does. An event may so be published twice, but never before an earlier one of its account.

use docket_domain::event::{TASK_EVENTS, TASK_UPDATES};
use docket_domain::outbox::{SLOTS, Slot, Taken, slot_key};
use docket_domain::shelf::{Book, book_key};
use docket_domain::{AccountId, Entropy, Event, Instant};
use docket_service::Runtime;
use docket_service::serve::log_background;
use docket_sidecar::{Error, Etag, Message, Sidecar};
use futures::future::try_join;
use futures::stream::{self, StreamExt as _};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::store::{STATE, describe};

/// The Dapr pub/sub component.
pub const PUBSUB: &str = "pubsub";
/// How long one call to the sidecar may take; nobody waits for it.
const CALL: Duration = Duration::from_secs(5);
/// The sweep leaves a slot to its own deliverer for this long.
const GRACE_MILLIS: i64 = 2_000;
/// How many accounts the sweep serves at once.
const SWEEPERS: usize = 8;
/// How many events leave in one call.
const BATCH: usize = 100;

/// Publishes and frees slots.
#[derive(Clone)]
pub struct Outbox<R> {
    runtime: R,
    sidecar: Sidecar<R>,
}

impl<R: Runtime> Outbox<R> {
    pub(crate) fn new(runtime: R, sidecar: Sidecar<R>) -> Self {
        Self {
            runtime,
            sidecar: sidecar.within(CALL),
        }
    }

    /// Delivers the events of a change that was just stored in `slot`, and of those that come after it meanwhile.
    pub async fn deliver(&self, slot: u16, entry: Slot) {
        if let Err(error) = self.try_deliver(slot, entry).await {
            // Nothing is lost: the slot stays taken, and the sweep finds it.
            log_background("warn", &format!("left to the sweep: {}", describe(&error)));
        }
    }

    async fn try_deliver(&self, slot: u16, entry: Slot) -> Result<(), Error> {
        if let Some(before) = &entry.after
            && self.taken(before).await?.is_some()
        {
            return Ok(());
        }
        let account = entry.account.clone();
        let mut chain = vec![(slot, entry)];
        while let Some(change) = chain.last().map(|(_, entry)| entry.change.clone()) {
            self.publish(&chain).await?;
            chain = self.since(&account, &change).await?;
        }
        Ok(())
    }

    /// The slots that an account took after the change `last`, oldest first, as far back as they are still taken.
    async fn since(&self, account: &AccountId, last: &str) -> Result<Vec<(u16, Slot)>, Error> {
        let book = self.sidecar.get_state(STATE, &book_key(account)).await?;
        let mut before = match book {
            Some(entry) => read::<Book>(&entry.value)?.tail,
            None => None,
        };
        let mut chain = Vec::new();
        while let Some(taken) = before.filter(|taken| taken.change != last) {
            let Some((entry, _)) = self.taken(&taken).await? else {
                break;
            };
            before = entry.after.clone();
            chain.push((taken.slot, entry));
        }
        chain.reverse();
        Ok(chain)
    }

    /// Publishes the events of consecutive slots of one account, then frees the slots in their order.
    async fn publish(&self, chain: &[(u16, Slot)]) -> Result<(), Error> {
        let events: Vec<&Event> = chain.iter().flat_map(|(_, entry)| &entry.events).collect();
        for events in events.chunks(BATCH) {
            let messages = |event: fn(&Event) -> serde_json::Value| -> Vec<Message> {
                let message = |e: &&Event| Message {
                    event: event(e),
                    key: e.account.to_string(),
                };
                events.iter().map(message).collect()
            };
            let (for_functions, for_clients) =
                (messages(Event::task_event), messages(Event::task_update));
            try_join(
                self.sidecar.publish(PUBSUB, TASK_EVENTS, &for_functions),
                self.sidecar.publish(PUBSUB, TASK_UPDATES, &for_clients),
            )
            .await?;
        }
        for (slot, entry) in chain {
            let taken = Taken {
                slot: *slot,
                change: entry.change.clone(),
            };
            // The etag guards a slot that was freed and taken anew in between.
            if let Some((_, etag)) = self.taken(&taken).await? {
                self.sidecar
                    .delete_state(STATE, &slot_key(*slot), &etag)
                    .await?;
            }
        }
        Ok(())
    }

    /// What the slot holds, if the same change still has it.
    async fn taken(&self, taken: &Taken) -> Result<Option<(Slot, Etag)>, Error> {
        let Some(entry) = self.sidecar.get_state(STATE, &slot_key(taken.slot)).await? else {
            return Ok(None);
        };
        let slot: Slot = read(&entry.value)?;
        Ok((slot.change == taken.change).then_some((slot, entry.etag)))
    }

    /// A slot that nobody has, chosen by chance among all such; `None` when the ring is full.
    ///
    /// # Errors
    /// The ring cannot be read.
    pub async fn free_slot(&self, entropy: Entropy) -> Result<Option<u16>, Error> {
        let ring = self.sidecar.get_states(STATE, &keys()).await?;
        let free: Vec<u16> = ring
            .iter()
            .filter(|item| item.data.is_none())
            .filter_map(|item| slot_of(&item.key))
            .collect();
        let pick = (entropy.0 % free.len().max(1) as u128) as usize;
        Ok(free.get(pick).copied())
    }

    /// Publishes what waits in the ring since before the grace time. Gives how many slots it freed.
    ///
    /// # Errors
    /// The ring cannot be read, or an account's events cannot be published; those of others were tried all the same.
    pub async fn sweep(&self, now: Instant) -> Result<usize, Error> {
        let ring = self.sidecar.get_states(STATE, &keys()).await?;
        let mut accounts: BTreeMap<AccountId, Vec<(u16, Slot)>> = BTreeMap::new();
        for item in ring {
            if let (Some(data), Some(slot)) = (item.data, slot_of(&item.key)) {
                let entry: Slot = read(data.get().as_bytes())?;
                accounts
                    .entry(entry.account.clone())
                    .or_default()
                    .push((slot, entry));
            }
        }
        let settled = now.plus_millis(-GRACE_MILLIS);
        let swept: Vec<Result<usize, Error>> = stream::iter(accounts.into_values())
            .map(|mut chain| async move {
                chain.sort_by_key(|(_, entry)| entry.seq());
                match chain.first() {
                    Some((_, first)) if first.at <= settled => self.sweep_account(chain).await,
                    _ => Ok(0),
                }
            })
            .buffer_unordered(SWEEPERS)
            .collect()
            .await;
        swept.into_iter().sum()
    }

    /// Publishes an account's slots, oldest first, unless an older one turned up since the ring was read.
    async fn sweep_account(&self, chain: Vec<(u16, Slot)>) -> Result<usize, Error> {
        let mut before = None;
        let mut ready = Vec::with_capacity(chain.len());
        for (slot, entry) in chain {
            if let Some(after) = &entry.after
                && before.as_ref() != Some(after)
                && self.taken(after).await?.is_some()
            {
                break;
            }
            before = Some(Taken {
                slot,
                change: entry.change.clone(),
            });
            ready.push((slot, entry));
        }
        self.publish(&ready).await?;
        Ok(ready.len())
    }

    /// The time, for the sweep.
    pub fn now(&self) -> Instant {
        self.runtime.now()
    }
}

fn keys() -> Vec<String> {
    (0..SLOTS).map(slot_key).collect()
}

fn slot_of(key: &str) -> Option<u16> {
    key.rsplit_once(':')?.1.parse().ok()
}

fn read<V: DeserializeOwned>(value: &[u8]) -> Result<V, Error> {
    serde_json::from_slice(value).map_err(|e| Error::Malformed {
        call: "state get",
        detail: e.to_string(),
    })
}
