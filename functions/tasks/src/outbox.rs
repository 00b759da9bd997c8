//! Publishing the events that wait in the outbox ring, in order, and freeing their slots.
//!
//! Whoever stores a change delivers it after the answer. What the requests of an instance have to deliver, one of
//! them delivers together: under load a batch costs hardly more than a single change.
//!
//! If the account's slot before is still taken, its deliverer is at work and will find this one: after freeing a slot
//! it looks at the book for what came after. What nobody delivered, the sweep does. So an event may be published
//! twice, but never before an earlier one of its account.

use docket_domain::event::{TASK_EVENTS, TASK_UPDATES};
use docket_domain::outbox::{SLOTS, Slot, Taken, slot_key};
use docket_domain::shelf::book_key;
use docket_domain::{AccountId, Entropy, Event};
use docket_service::Runtime;
use docket_service::serve::log_background;
use docket_sidecar::{Error, Etag, Item, Message, Operation, Sidecar};
use futures::future::try_join;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::{STATE, describe};

/// The Dapr pub/sub component.
pub const PUBSUB: &str = "pubsub";
/// How long one call to the sidecar may take; nobody waits for it.
const CALL: Duration = Duration::from_secs(5);
/// The sweep leaves a slot to its own deliverer for this long.
const GRACE_MILLIS: i64 = 2_000;
/// How many slots are delivered together.
const BATCH: usize = 64;
/// How many events leave in one call.
const EVENTS: usize = 100;
/// Of how many accounts an instance remembers the last change that it delivered.
const REMEMBERED: usize = 256;

/// A taken slot and what it holds.
type Held = (u16, Slot);

/// Publishes and frees slots.
#[derive(Clone)]
pub struct Outbox<R> {
    runtime: R,
    sidecar: Sidecar<R>,
    queue: Arc<Mutex<Queue>>,
}

/// What the requests of this instance have to deliver.
#[derive(Default)]
struct Queue {
    waiting: Vec<Held>,
    /// Whether a request is at it.
    attended: bool,
    /// The last change that was delivered of an account: what comes right after it need not look for its slot.
    delivered: HashMap<AccountId, String>,
    /// Whether a sweep is under way: while the broker is away, sweeps take longer than they are apart.
    sweeping: bool,
    /// Changes that were found in the book and taken along, before the requests that made them got here themselves.
    taken_along: HashSet<String>,
}

impl<R: Runtime> Outbox<R> {
    pub(crate) fn new(runtime: R, sidecar: Sidecar<R>) -> Self {
        Self {
            runtime,
            sidecar: sidecar.within(CALL),
            queue: Arc::default(),
        }
    }

    /// Delivers the events of a change that was just stored in `slot`, unless another request of this instance is
    /// delivering already and takes it along.
    pub async fn deliver(&self, slot: u16, entry: Slot) {
        {
            let mut queue = self.queue();
            if queue.taken_along.remove(&entry.change) {
                return;
            }
            queue.waiting.push((slot, entry));
            if std::mem::replace(&mut queue.attended, true) {
                return;
            }
        }
        let mut attending = Attending {
            outbox: self,
            over: false,
        };
        while let Some(batch) = attending.next() {
            if let Err(error) = self.deliver_batch(chains(batch)).await {
                // Nothing is lost: the slots stay taken, and the sweep finds them.
                log_background("warn", &format!("left to the sweep: {}", describe(&error)));
            }
        }
    }

    /// Publishes and frees the chains, and what came after them meanwhile. Gives how many slots that were.
    async fn deliver_batch(&self, mut chains: Vec<Vec<Held>>) -> Result<usize, Error> {
        let mut freed = 0;
        while !chains.is_empty() {
            chains = self.ready(chains).await?;
            self.publish(&chains).await?;
            self.free(&chains).await?;
            self.remember(&chains);
            freed += chains.iter().map(Vec::len).sum::<usize>();
            chains = self.after(&chains).await?;
        }
        Ok(freed)
    }

    /// Cuts each chain off where the slot before is still taken by a change that is not in the chain: its deliverer
    /// takes care of the rest.
    async fn ready(&self, chains: Vec<Vec<Held>>) -> Result<Vec<Vec<Held>>, Error> {
        let mut unsure: Vec<Taken> = Vec::new();
        {
            let queue = self.queue();
            for chain in &chains {
                let mut before = chain
                    .first()
                    .and_then(|(_, entry)| queue.delivered.get(&entry.account));
                for (_, entry) in chain {
                    match &entry.after {
                        Some(after) if before != Some(&after.change) => unsure.push(after.clone()),
                        _ => {}
                    }
                    before = Some(&entry.change);
                }
            }
        }
        let taken: Vec<Taken> = self
            .still_taken(&unsure)
            .await?
            .into_iter()
            .map(|(taken, _)| taken)
            .collect();
        let ready = chains.into_iter().map(|chain| {
            let free = |(_, entry): &Held| {
                entry
                    .after
                    .as_ref()
                    .is_none_or(|after| !taken.contains(after))
            };
            chain.into_iter().take_while(free).collect::<Vec<_>>()
        });
        Ok(ready.filter(|chain| !chain.is_empty()).collect())
    }

    /// Publishes the events of the chains, each account's in order.
    async fn publish(&self, chains: &[Vec<Held>]) -> Result<(), Error> {
        let events: Vec<&Event> = chains
            .iter()
            .flatten()
            .flat_map(|(_, entry)| &entry.events)
            .collect();
        for events in events.chunks(EVENTS) {
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
        Ok(())
    }

    /// Frees the slots of the chains, each account's in order.
    async fn free(&self, chains: &[Vec<Held>]) -> Result<(), Error> {
        let held = |(slot, entry): &Held| Taken {
            slot: *slot,
            change: entry.change.clone(),
        };
        let slots: Vec<Taken> = chains.iter().flatten().map(held).collect();
        // The etags guard slots that somebody else freed, and another change took, since.
        let taken = self.still_taken(&slots).await?;
        if let [(taken, etag)] = taken.as_slice() {
            return self
                .sidecar
                .delete_state(STATE, &slot_key(taken.slot), etag)
                .await
                .map(drop);
        }
        if taken.is_empty() {
            return Ok(());
        }
        let all: Vec<Operation> = taken
            .iter()
            .map(|(t, etag)| Operation::delete(slot_key(t.slot), etag.clone()))
            .collect();
        if self.sidecar.transact(STATE, &all).await.is_err() {
            // One of them was freed in between: the others one by one, in order.
            for (taken, etag) in &taken {
                self.sidecar
                    .delete_state(STATE, &slot_key(taken.slot), etag)
                    .await?;
            }
        }
        Ok(())
    }

    fn remember(&self, chains: &[Vec<Held>]) {
        let mut queue = self.queue();
        if queue.delivered.len() + chains.len() > REMEMBERED {
            queue.delivered.clear();
        }
        for (_, entry) in chains.iter().filter_map(|chain| chain.last()) {
            queue
                .delivered
                .insert(entry.account.clone(), entry.change.clone());
        }
    }

    /// What the chains' accounts have stored after them, and nobody has delivered yet.
    async fn after(&self, chains: &[Vec<Held>]) -> Result<Vec<Vec<Held>>, Error> {
        let last: Vec<(String, &str)> = chains
            .iter()
            .filter_map(|chain| chain.last())
            .map(|(_, entry)| (book_key(&entry.account), entry.change.as_str()))
            .collect();
        let keys: Vec<String> = last.iter().map(|(key, _)| key.clone()).collect();
        let mut found = Vec::new();
        for item in self.read(&keys).await? {
            let Some(data) = item.data else { continue };
            let Some((_, last)) = last.iter().find(|(key, _)| *key == item.key) else {
                continue;
            };
            let chain = self
                .back_to(parse::<Tail>(data.get().as_bytes())?.tail, last)
                .await?;
            if !chain.is_empty() {
                found.push(chain);
            }
        }
        Ok(found)
    }

    /// The slots from `tail` back to the change `last`, as far as they are still taken, oldest first.
    async fn back_to(&self, tail: Option<Taken>, last: &str) -> Result<Vec<Held>, Error> {
        let mut chain = Vec::new();
        let mut next = tail;
        while let Some(taken) = next.filter(|taken| taken.change != last) {
            // What waits in this instance's queue is on its way already.
            if self
                .queue()
                .waiting
                .iter()
                .any(|(_, entry)| entry.change == taken.change)
            {
                break;
            }
            let Some(item) = self.read(&[slot_key(taken.slot)]).await?.into_iter().next() else {
                break;
            };
            let Some(data) = item.data else { break };
            let entry: Slot = parse(data.get().as_bytes())?;
            if entry.change != taken.change {
                break;
            }
            next = entry.after.clone();
            chain.push((taken.slot, entry));
        }
        let mut queue = self.queue();
        if queue.taken_along.len() + chain.len() > REMEMBERED {
            // Those of other instances never get here.
            queue.taken_along.clear();
        }
        queue
            .taken_along
            .extend(chain.iter().map(|(_, entry)| entry.change.clone()));
        drop(queue);
        chain.reverse();
        Ok(chain)
    }

    /// Which of the slots the same changes still have, in the order asked, with their etags.
    async fn still_taken(&self, slots: &[Taken]) -> Result<Vec<(Taken, Etag)>, Error> {
        #[derive(serde::Deserialize)]
        struct Holder {
            change: String,
        }
        let keys: Vec<String> = slots.iter().map(|taken| slot_key(taken.slot)).collect();
        let mut holders = HashMap::new();
        for Item { key, data, etag } in self.read(&keys).await? {
            if let (Some(data), Some(etag)) = (data, etag) {
                holders.insert(key, (parse::<Holder>(data.get().as_bytes())?.change, etag));
            }
        }
        let still = |taken: &Taken| match holders.get(&slot_key(taken.slot)) {
            Some((change, etag)) if *change == taken.change => Some((taken.clone(), etag.clone())),
            _ => None,
        };
        Ok(slots.iter().filter_map(still).collect())
    }

    /// Reads keys: one by a GET, which is quicker, more of them in bulk.
    async fn read(&self, keys: &[String]) -> Result<Vec<Item>, Error> {
        match keys {
            [] => Ok(Vec::new()),
            [key] => Ok(vec![self.sidecar.get_item(STATE, key).await?]),
            keys => self.sidecar.get_states(STATE, keys).await,
        }
    }

    /// A slot that nobody has, chosen by chance among all such; `None` when the ring is full.
    ///
    /// # Errors
    /// The ring cannot be read.
    pub async fn free_slot(&self, entropy: Entropy) -> Result<Option<u16>, Error> {
        let ring = self.read(&ring()).await?;
        let free: Vec<u16> = ring
            .iter()
            .filter(|item| item.data.is_none())
            .filter_map(|item| slot_of(&item.key))
            .collect();
        let pick = (entropy.0 % free.len().max(1) as u128) as usize;
        Ok(free.get(pick).copied())
    }

    /// Publishes what waits in the ring since before the grace time, unless a sweep of this instance does so already.
    /// Gives how many slots it freed.
    ///
    /// # Errors
    /// The ring cannot be read, or events cannot be published; those of other batches were tried all the same.
    pub async fn sweep(&self) -> Result<usize, Error> {
        if std::mem::replace(&mut self.queue().sweeping, true) {
            return Ok(0);
        }
        let _sweeping = Sweeping(self);
        let mut held: Vec<Held> = Vec::new();
        for Item { key, data, .. } in self.read(&ring()).await? {
            let (Some(slot), Some(data)) = (slot_of(&key), data) else {
                continue;
            };
            match parse(data.get().as_bytes()) {
                Ok(entry) => held.push((slot, entry)),
                // One slot that nobody understands must not hold up all the others.
                Err(error) => log_background("error", &format!("{key}: {}", describe(&error))),
            }
        }
        let now = self.runtime.now();
        let fresh = now.plus_millis(-GRACE_MILLIS)..=now;
        let mut chains = chains(held);
        // A change from the future was made before the clock was set back.
        chains.retain(|chain| {
            chain
                .first()
                .is_some_and(|(_, entry)| !fresh.contains(&entry.at))
        });
        let mut swept = Ok(0);
        for batch in chains.chunks(BATCH) {
            match (self.deliver_batch(batch.to_vec()).await, &mut swept) {
                (Ok(freed), Ok(total)) => *total += freed,
                (Ok(_), Err(_)) => {}
                (Err(error), _) => swept = Err(error),
            }
        }
        swept
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of a book that says what came last.
#[derive(serde::Deserialize)]
struct Tail {
    tail: Option<Taken>,
}

/// That a request delivers for its instance; when it is cut off, the next one does.
struct Attending<'a, R: Runtime> {
    outbox: &'a Outbox<R>,
    over: bool,
}

impl<R: Runtime> Attending<'_, R> {
    /// What is to be delivered next; with nothing left, whoever has something new attends to it himself.
    fn next(&mut self) -> Option<Vec<Held>> {
        let mut queue = self.outbox.queue();
        let some = queue.waiting.len().min(BATCH);
        queue.attended = some > 0;
        self.over = some == 0;
        (some > 0).then(|| queue.waiting.drain(..some).collect())
    }
}

impl<R: Runtime> Drop for Attending<'_, R> {
    fn drop(&mut self) {
        if !self.over {
            self.outbox.queue().attended = false;
        }
    }
}

/// That a sweep is under way.
struct Sweeping<'a, R: Runtime>(&'a Outbox<R>);

impl<R: Runtime> Drop for Sweeping<'_, R> {
    fn drop(&mut self) {
        self.0.queue().sweeping = false;
    }
}

/// Slots by account, each account's in the order of its changes.
fn chains(held: Vec<Held>) -> Vec<Vec<Held>> {
    let mut accounts: BTreeMap<AccountId, Vec<Held>> = BTreeMap::new();
    for (slot, entry) in held {
        accounts
            .entry(entry.account.clone())
            .or_default()
            .push((slot, entry));
    }
    let mut chains: Vec<Vec<Held>> = accounts.into_values().collect();
    for chain in &mut chains {
        chain.sort_by_key(|(_, entry)| entry.seq());
    }
    chains
}

/// The keys of the whole ring.
fn ring() -> Vec<String> {
    (0..SLOTS).map(slot_key).collect()
}

fn slot_of(key: &str) -> Option<u16> {
    key.rsplit_once(':')?.1.parse().ok()
}

fn parse<V: DeserializeOwned>(value: &[u8]) -> Result<V, Error> {
    serde_json::from_slice(value).map_err(|e| Error::Malformed {
        call: "state get",
        detail: e.to_string(),
    })
}
