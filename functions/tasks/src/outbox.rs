//! Publishing the events that wait in the outbox ring, in order, and freeing their slots.
//!
//! Whoever stores a change delivers it after the answer. What the requests of an instance have to deliver, one of
//! them delivers together: the first at once, and what came meanwhile in the next batch, which hardly costs more than a
//! single change.
//!
//! If the account's slot before is still taken, another instance is delivering it: this one looks again until it is
//! free. What nobody delivered, the sweep does. So an event may be published twice, but never before an earlier one of
//! its account.

use docket_domain::event::{TASK_EVENTS, TASK_UPDATES};
use docket_domain::outbox::{SLOTS, Slot, Taken, slot_key};
use docket_domain::{AccountId, Entropy};
use docket_service::Runtime;
use docket_service::serve::log_background;
use docket_sidecar::{Error, Etag, Item, Message, Operation, Sidecar};
use futures::future::try_join;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::store::{STATE, describe};

/// The Dapr pub/sub component.
pub const PUBSUB: &str = "pubsub";
/// How long one call to the sidecar may take; nobody waits for it.
const CALL: Duration = Duration::from_secs(5);
/// The sweep leaves a slot to its own deliverer for this long.
const GRACE_MILLIS: i64 = 2_000;
/// How many slots are delivered together, and how many bytes they hold at most, unless a single one has more.
const BATCH: usize = 64;
const BATCH_BYTES: usize = 4 * 1024 * 1024;
/// How many bytes of the ring a sweep takes on; the next one goes on with the rest.
const SWEEP_BYTES: usize = 32 * 1024 * 1024;
/// How long the next batch gathers: far less than anybody notices, and enough for several changes under load.
const GATHER: Duration = Duration::from_millis(4);
/// The longest time between two looks at a slot that another instance holds.
const LONGEST_PAUSE: Duration = Duration::from_millis(64);
/// How many events leave in one call, and how many bytes they have at most, unless a single one has more.
const EVENTS: usize = 100;
const EVENT_BYTES: usize = 2 * 1024 * 1024;
/// Of how many accounts an instance remembers the last change that it delivered.
const REMEMBERED: usize = 256;

/// A taken slot and what it holds.
#[derive(Clone, Debug)]
pub struct Held {
    /// The slot, below [`SLOTS`].
    pub slot: u16,
    /// What it holds.
    pub entry: Slot,
    /// How many bytes that takes as JSON.
    pub bytes: usize,
}

impl Held {
    fn taken(&self) -> Taken {
        Taken {
            slot: self.slot,
            change: self.entry.change.clone(),
        }
    }
}

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
    waiting: VecDeque<Held>,
    /// What waits for a slot that another instance holds.
    blocked: Blocked,
    /// Whether a request is at it.
    attended: bool,
    /// The last change that was delivered of an account: what comes right after it need not look for its slot.
    delivered: HashMap<AccountId, String>,
    /// Whether a sweep is under way: while the broker is away, sweeps take longer than they are apart.
    sweeping: bool,
    /// Slots that this instance freed: most likely they still are.
    freed: Vec<u16>,
}

#[derive(Default)]
struct Blocked {
    held: Vec<Held>,
    /// When to look again, on the clock that never goes back, and how long that was after the last look.
    at: Duration,
    pause: Duration,
}

impl<R: Runtime> Outbox<R> {
    pub(crate) fn new(runtime: R, sidecar: Sidecar<R>) -> Self {
        Self {
            runtime,
            sidecar: sidecar.within(CALL),
            queue: Arc::default(),
        }
    }

    /// Delivers the events of a change that was just stored, unless another request of this instance is delivering
    /// already and takes them along.
    pub async fn deliver(&self, held: Held) {
        {
            let mut queue = self.queue();
            queue.waiting.push_back(held);
            if std::mem::replace(&mut queue.attended, true) {
                return;
            }
        }
        let mut attending = Attending {
            outbox: self,
            over: false,
        };
        while let Some(batch) = attending.next() {
            match self.deliver_batch(chains(batch)).await {
                Ok(Delivered { freed, blocked }) => self.look_again(freed > 0, blocked),
                // Nothing is lost: the slots stay taken, and the sweep finds them.
                Err(error) => {
                    log_background("warn", &format!("left to the sweep: {}", describe(&error)));
                }
            }
            if let Some(pause) = attending.pause() {
                self.runtime.sleep(pause).await;
            }
        }
    }

    /// Keeps what is blocked for another look: soon at first, then less and less often. What is kept already waits no
    /// longer for it.
    fn look_again(&self, progress: bool, blocked: Vec<Held>) {
        let now = self.runtime.elapsed();
        let mut queue = self.queue();
        let all = &mut queue.blocked;
        if blocked.is_empty() {
            if all.held.is_empty() {
                all.pause = Duration::ZERO;
            }
            return;
        }
        all.pause = if progress {
            GATHER
        } else {
            (all.pause * 2).clamp(GATHER, LONGEST_PAUSE)
        };
        if all.held.is_empty() {
            all.at = now + all.pause;
        }
        all.held.extend(blocked);
    }

    /// Publishes and frees what of the chains can be.
    async fn deliver_batch(&self, chains: Vec<Vec<Held>>) -> Result<Delivered, Error> {
        let (ready, blocked) = self.ready(chains).await?;
        self.publish(&ready).await?;
        self.free(&ready).await?;
        self.remember(&ready);
        let freed = ready.iter().map(Vec::len).sum();
        // What has waited for so long that a sweep looks at it is the sweep's.
        let late = self.runtime.now().plus_millis(-GRACE_MILLIS);
        let young = |held: &Held| held.entry.at > late;
        let blocked = blocked.into_iter().filter(young).collect();
        Ok(Delivered { freed, blocked })
    }

    /// Cuts each chain off where the slot before is still taken by a change that is not in the chain.
    async fn ready(&self, chains: Vec<Vec<Held>>) -> Result<(Vec<Vec<Held>>, Vec<Held>), Error> {
        let mut unsure: Vec<Taken> = Vec::new();
        {
            let queue = self.queue();
            for chain in &chains {
                let mut before = chain
                    .first()
                    .and_then(|held| queue.delivered.get(&held.entry.account));
                for Held { entry, .. } in chain {
                    match &entry.after {
                        Some(after) if before != Some(&after.change) => unsure.push(after.clone()),
                        _ => {}
                    }
                    before = Some(&entry.change);
                }
            }
        }
        let taken: HashSet<String> = self
            .still_taken(&unsure)
            .await?
            .into_iter()
            .map(|(taken, _)| taken.change)
            .collect();
        let (mut ready, mut blocked) = (Vec::with_capacity(chains.len()), Vec::new());
        for mut chain in chains {
            let is_blocked = |held: &Held| {
                let after = held.entry.after.as_ref();
                after.is_some_and(|after| taken.contains(&after.change))
            };
            let cut = chain.iter().position(is_blocked).unwrap_or(chain.len());
            blocked.extend(chain.drain(cut..));
            if !chain.is_empty() {
                ready.push(chain);
            }
        }
        Ok((ready, blocked))
    }

    /// Publishes the events of the chains, each account's in order.
    async fn publish(&self, chains: &[Vec<Held>]) -> Result<(), Error> {
        let mut calls = Calls::default();
        let events = chains.iter().flatten().flat_map(|held| &held.entry.events);
        for event in events {
            let key = || event.account.to_string();
            let for_functions = Message::new(&event.task_event(), key())?;
            let for_clients = Message::new(&event.task_update(), key())?;
            if !calls.takes(&for_functions) {
                self.send(std::mem::take(&mut calls)).await?;
            }
            calls.add(for_functions, for_clients);
        }
        self.send(calls).await
    }

    async fn send(&self, calls: Calls) -> Result<(), Error> {
        try_join(
            self.sidecar
                .publish(PUBSUB, TASK_EVENTS, &calls.for_functions),
            self.sidecar
                .publish(PUBSUB, TASK_UPDATES, &calls.for_clients),
        )
        .await
        .map(drop)
    }

    /// Frees the slots of the chains, each account's in order.
    async fn free(&self, chains: &[Vec<Held>]) -> Result<(), Error> {
        let slots: Vec<Taken> = chains.iter().flatten().map(Held::taken).collect();
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
        queue
            .freed
            .extend(chains.iter().flatten().map(|held| held.slot));
        let surplus = queue.freed.len().saturating_sub(BATCH);
        queue.freed.drain(..surplus);
        if queue.delivered.len() + chains.len() > REMEMBERED {
            queue.delivered.clear();
        }
        for Held { entry, .. } in chains.iter().filter_map(|chain| chain.last()) {
            queue
                .delivered
                .insert(entry.account.clone(), entry.change.clone());
        }
    }

    /// Which of the slots the same changes still have, in the order asked, with their etags.
    async fn still_taken(&self, slots: &[Taken]) -> Result<Vec<(Taken, Etag)>, Error> {
        #[derive(serde::Deserialize)]
        struct Holder {
            change: String,
        }
        let keys: Vec<String> = slots.iter().map(|taken| slot_key(taken.slot)).collect();
        let mut holders = HashMap::new();
        self.read(&keys, |Item { key, data, etag }| {
            if let (Some(data), Some(etag)) = (data, etag) {
                holders.insert(key, (parse::<Holder>(data.get().as_bytes())?.change, etag));
            }
            Ok(true)
        })
        .await?;
        let still = |taken: &Taken| match holders.get(&slot_key(taken.slot)) {
            Some((change, etag)) if *change == taken.change => Some((taken.clone(), etag.clone())),
            _ => None,
        };
        Ok(slots.iter().filter_map(still).collect())
    }

    /// Reads keys: one by a GET, which is quicker, more of them in bulk, in parts if they are too large for one answer.
    /// Goes on as long as `each` says so.
    async fn read(
        &self,
        keys: &[String],
        mut each: impl FnMut(Item) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let mut parts = vec![keys];
        while let Some(part) = parts.pop() {
            let items = match part {
                [] => continue,
                [key] => vec![self.sidecar.get_item(STATE, key).await?],
                many => match self.sidecar.get_states(STATE, many).await {
                    Err(error) if error.is_too_large() => {
                        let (first, second) = many.split_at(many.len() / 2);
                        parts.extend([second, first]);
                        continue;
                    }
                    items => items?,
                },
            };
            for item in items {
                if !each(item)? {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// A slot that is most likely free: one that this instance freed, or any.
    pub fn likely_free(&self, entropy: u64) -> u16 {
        let freed = self.queue().freed.pop();
        freed.unwrap_or((entropy % u64::from(SLOTS)) as u16)
    }

    /// A slot that nobody has, chosen by chance among all such; `None` when the ring is full.
    ///
    /// # Errors
    /// The ring cannot be read.
    pub async fn free_slot(&self, entropy: Entropy) -> Result<Option<u16>, Error> {
        let mut free: Vec<u16> = Vec::new();
        self.read(&ring(0), |item| {
            free.extend(slot_of(&item.key).filter(|_| item.data.is_none()));
            Ok(true)
        })
        .await?;
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
        let (mut held, mut bytes) = (Vec::new(), 0);
        // Anywhere in the ring, so that of one too large for a sweep all parts have their turn.
        let start = self.runtime.entropy().0 as u16 % SLOTS;
        self.read(&ring(start), |Item { key, data, .. }| {
            if let (Some(slot), Some(data)) = (slot_of(&key), data) {
                match parse(data.get().as_bytes()) {
                    Ok(entry) => {
                        let size = data.get().len();
                        held.push(Held {
                            slot,
                            entry,
                            bytes: size,
                        });
                        bytes += size;
                    }
                    // One slot that nobody understands must not hold up all the others.
                    Err(error) => log_background("error", &format!("{key}: {}", describe(&error))),
                }
            }
            Ok(bytes < SWEEP_BYTES)
        })
        .await?;
        let now = self.runtime.now();
        let fresh = now.plus_millis(-GRACE_MILLIS)..=now;
        let mut chains = chains(held);
        // A change from the future was made before the clock was set back.
        chains.retain(|chain| {
            chain
                .first()
                .is_some_and(|held| !fresh.contains(&held.entry.at))
        });
        let mut held: VecDeque<Held> = chains.into_iter().flatten().collect();
        let mut swept = Ok(0);
        loop {
            let batch = batch(&mut held);
            if batch.is_empty() {
                return swept;
            }
            match (self.deliver_batch(self::chains(batch)).await, &mut swept) {
                (Ok(delivered), Ok(total)) => *total += delivered.freed,
                (Ok(_), Err(_)) => {}
                (Err(error), _) => swept = Err(error),
            }
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of a batch.
struct Delivered {
    /// How many slots were freed.
    freed: usize,
    /// What has to wait for a slot that another instance holds.
    blocked: Vec<Held>,
}

/// That a request delivers for its instance; when it is cut off, the next one does.
struct Attending<'a, R: Runtime> {
    outbox: &'a Outbox<R>,
    over: bool,
}

impl<R: Runtime> Attending<'_, R> {
    /// What is to be delivered next, none if something is only to be waited for. With nothing left at all, whoever has
    /// something new attends to it himself.
    fn next(&mut self) -> Option<Vec<Held>> {
        let now = self.outbox.runtime.elapsed();
        let mut queue = self.outbox.queue();
        if queue.blocked.at <= now {
            let held = std::mem::take(&mut queue.blocked.held);
            queue.waiting.extend(held);
        }
        let batch = batch(&mut queue.waiting);
        queue.attended = !batch.is_empty() || !queue.blocked.held.is_empty();
        self.over = !queue.attended;
        queue.attended.then_some(batch)
    }

    /// How long to wait for the next batch; `None` if there is nothing to wait for. Never longer than a batch gathers:
    /// what comes meanwhile is not to wait for what is blocked.
    fn pause(&self) -> Option<Duration> {
        let queue = self.outbox.queue();
        let is_over = queue.waiting.is_empty() && queue.blocked.held.is_empty();
        (!is_over).then_some(GATHER)
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

/// The events of one call to each topic.
#[derive(Default)]
struct Calls {
    for_functions: Vec<Message>,
    for_clients: Vec<Message>,
    bytes: usize,
}

impl Calls {
    /// Whether there is room for another event. (What clients get of it is never larger.)
    fn takes(&self, event: &Message) -> bool {
        let fits = self.bytes + event.size() <= EVENT_BYTES;
        self.for_functions.is_empty() || (self.for_functions.len() < EVENTS && fits)
    }

    fn add(&mut self, for_functions: Message, for_clients: Message) {
        self.bytes += for_functions.size();
        self.for_functions.push(for_functions);
        self.for_clients.push(for_clients);
    }
}

/// Takes the slots of the next batch off the front.
fn batch(waiting: &mut VecDeque<Held>) -> Vec<Held> {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    while let Some(held) = waiting.pop_front_if(|held| {
        let fits = batch.len() < BATCH && bytes + held.bytes <= BATCH_BYTES;
        batch.is_empty() || fits
    }) {
        bytes += held.bytes;
        batch.push(held);
    }
    batch
}

/// Slots by account, each account's in the order of its changes.
fn chains(all: Vec<Held>) -> Vec<Vec<Held>> {
    let mut accounts: BTreeMap<AccountId, Vec<Held>> = BTreeMap::new();
    for held in all {
        let account = held.entry.account.clone();
        accounts.entry(account).or_default().push(held);
    }
    let mut chains: Vec<Vec<Held>> = accounts.into_values().collect();
    for chain in &mut chains {
        chain.sort_by_key(|held| held.entry.seq());
    }
    chains
}

/// The keys of the whole ring, from one slot on.
fn ring(start: u16) -> Vec<String> {
    (start..SLOTS).chain(0..start).map(slot_key).collect()
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
