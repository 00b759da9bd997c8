//! Publishing the events that wait in the outbox ring, in order, and freeing their slots.
//!
//! Whoever stores a change delivers it after the answer. What the requests of an instance have to deliver, one of
//! them delivers together: the first at once, and what came meanwhile in the next batch, which hardly costs more than a
//! single change.
//!
//! If the account's slot before is still taken, another instance is delivering it: this one looks again until it is
//! free. What nobody delivered, the sweep does. So an event may be published twice, but never before an earlier one of
//! its account. For the same reason a call has one event of an account at most: see [`Outbox::publish`].
//!
//! A slot may have thousands of events, and each waits for the one before. So a batch takes a turn, which ends as soon as
//! another account waits, and leaves the rest to the next one; a slot that takes longer is shortened in the state by what is
//! published; and nobody goes on for so long that the host would end him: the next request takes over, or the sweep.

use docket_domain::event::{TASK_EVENTS, TASK_UPDATES};
use docket_domain::outbox::{SLOTS, Slot, Taken, slot_key};
use docket_domain::{AccountId, Entropy, Event, Instant};
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
/// How many bytes the events of one call have at most, unless a single one has more.
const EVENT_BYTES: usize = 2 * 1024 * 1024;
/// How long a batch publishes at most, whoever waits.
const TURN: Duration = Duration::from_millis(100);
/// How old the first slot of an account that somebody delivers may become before he shortens or renews it: less than
/// the grace time, so that the sweep leaves the account to him.
const RENEWAL_MILLIS: i64 = 1_000;
/// How long a request delivers for its instance before another one takes over, and how long at most if none comes. Hosts
/// end what goes on for too long after its answer; ours after a minute.
const SHIFT: Duration = Duration::from_secs(15);
const LONGEST_SHIFT: Duration = Duration::from_secs(30);
/// How long a sweep goes on: hosts end requests too, ours after half a minute.
const SWEEP: Duration = Duration::from_secs(15);
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
    /// The number of the request that is at it, or was last, and until when that is for it to do.
    shift: u64,
    shift_ends: Duration,
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
        let began = self.runtime.elapsed();
        let attending = {
            let mut queue = self.queue();
            queue.waiting.push_back(held);
            if began < queue.shift_ends {
                return;
            }
            queue.shift += 1;
            queue.shift_ends = began + SHIFT;
            Attending {
                outbox: self,
                shift: queue.shift,
            }
        };
        while let Some(batch) = attending.next() {
            let others_wait = |accounts: &HashSet<&AccountId>| self.others_wait(accounts);
            match self.deliver_batch(chains(batch), others_wait).await {
                Ok(delivered) => self.look_again(delivered),
                // Nothing is lost: the slots stay taken, and the sweep finds them.
                Err(error) => {
                    log_background("warn", &format!("left to the sweep: {}", describe(&error)));
                }
            }
            if self.runtime.elapsed() >= began + LONGEST_SHIFT {
                return attending.hand_over();
            }
            if let Some(pause) = attending.pause() {
                self.runtime.sleep(pause).await;
            }
        }
    }

    /// Keeps what is left for the next batch, and what is blocked for another look: soon at first, then less and less
    /// often. What is kept already waits no longer for it.
    fn look_again(&self, delivered: Delivered) {
        let Delivered {
            freed,
            left,
            blocked,
        } = delivered;
        let now = self.runtime.elapsed();
        let mut queue = self.queue();
        put_back(&mut queue.waiting, left);
        let all = &mut queue.blocked;
        if blocked.is_empty() {
            if all.held.is_empty() {
                all.pause = Duration::ZERO;
            }
            return;
        }
        all.pause = if freed > 0 {
            GATHER
        } else {
            (all.pause * 2).clamp(GATHER, LONGEST_PAUSE)
        };
        if all.held.is_empty() {
            all.at = now + all.pause;
        }
        all.held.extend(blocked);
    }

    /// Whether somebody waits whose account is not among these.
    fn others_wait(&self, accounts: &HashSet<&AccountId>) -> bool {
        let queue = self.queue();
        let mut waiting = queue.waiting.iter();
        waiting.any(|held| !accounts.contains(&held.entry.account))
    }

    /// Publishes and frees what of the chains can be within a turn; `others_wait` tells whether somebody else than these
    /// accounts waits for the next one.
    async fn deliver_batch(
        &self,
        chains: Vec<Vec<Held>>,
        others_wait: impl Fn(&HashSet<&AccountId>) -> bool,
    ) -> Result<Delivered, Error> {
        let (ready, blocked) = self.ready(chains).await?;
        let published = self.publish(&ready, others_wait).await?;
        let (done, left): (Vec<_>, Vec<_>) = ready
            .into_iter()
            .map(|chain| split(chain, published))
            .unzip();
        let left = self.free(&done, left).await?;
        self.remember(&done);
        // What has waited for so long that a sweep looks at it is the sweep's.
        let late = self.runtime.now().plus_millis(-GRACE_MILLIS);
        let young = |held: &Held| held.entry.at > late;
        Ok(Delivered {
            freed: done.iter().map(Vec::len).sum(),
            left,
            blocked: blocked.into_iter().filter(young).collect(),
        })
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
        let slots = unsure.iter().map(|taken| taken.slot).collect();
        let holders = self.holders(slots).await?;
        let (mut ready, mut blocked) = (Vec::with_capacity(chains.len()), Vec::new());
        for mut chain in chains {
            let is_blocked = |held: &Held| {
                let after = held.entry.after.as_ref();
                after.is_some_and(|after| {
                    let holder = holders.get(&after.slot);
                    holder.is_some_and(|holder| holder.change == after.change)
                })
            };
            let cut = chain.iter().position(is_blocked).unwrap_or(chain.len());
            blocked.extend(chain.drain(cut..));
            if !chain.is_empty() {
                ready.push(chain);
            }
        }
        Ok((ready, blocked))
    }

    /// Publishes events of the chains, each account's in order, for a turn; gives how many of each chain at most.
    ///
    /// A call has one event of an account, and the next leaves when that call was answered. Dapr's producer has several
    /// requests under way: when a broker dies, it may put down messages of one after those of a later one.
    async fn publish(
        &self,
        chains: &[Vec<Held>],
        others_wait: impl Fn(&HashSet<&AccountId>) -> bool,
    ) -> Result<usize, Error> {
        let began = self.runtime.elapsed();
        let firsts = chains.iter().filter_map(|chain| chain.first());
        let accounts = firsts.map(|held| &held.entry.account).collect();
        let mut chains: Vec<_> = chains
            .iter()
            .map(|chain| chain.iter().flat_map(|held| &held.entry.events))
            .collect();
        let mut published = 0;
        loop {
            let round: Vec<&Event> = chains.iter_mut().filter_map(Iterator::next).collect();
            if round.is_empty() {
                return Ok(published);
            }
            self.publish_together(&round).await?;
            published += 1;
            if self.runtime.elapsed() >= began + TURN || others_wait(&accounts) {
                return Ok(published);
            }
        }
    }

    /// Publishes events of different accounts.
    async fn publish_together(&self, events: &[&Event]) -> Result<(), Error> {
        let mut calls = Calls::default();
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

    /// Frees the slots of the chains that are done, each account's in order, and renews an account's first that is left
    /// if it is old: then the state has only what is left of it. Gives what is left, without the accounts with which
    /// somebody else was faster.
    async fn free(&self, done: &[Vec<Held>], mut left: Vec<Vec<Held>>) -> Result<Vec<Held>, Error> {
        let done = || done.iter().flatten();
        let now = self.runtime.now();
        let is_old = |held: &&mut Held| held.entry.at <= now.plus_millis(-RENEWAL_MILLIS);
        let firsts = left.iter_mut().filter_map(|chain| chain.first_mut());
        let old: Vec<&mut Held> = firsts.filter(is_old).collect();
        let slots = done().chain(old.iter().map(|held| &**held));
        let holders = self.holders(slots.map(|held| held.slot).collect()).await?;
        // The etags guard slots that somebody else freed, and another change took, since.
        let holder = |held: &Held| {
            let holder = holders.get(&held.slot);
            holder.filter(|holder| holder.change == held.entry.change)
        };
        let freed: Vec<(String, &Etag)> = done()
            .filter_map(|held| Some((slot_key(held.slot), &holder(held)?.etag)))
            .collect();
        let (mut renewals, mut renewed, mut lost) = (Vec::new(), Vec::new(), HashSet::new());
        for held in old {
            let account = held.entry.account.clone();
            match holder(held) {
                Some(holder) if holder.at == held.entry.at => {
                    held.entry.at = now;
                    renewed.push(account);
                    let (key, etag) = (slot_key(held.slot), holder.etag.clone());
                    let renewal = Operation::guarded(key, &held.entry, Some(etag));
                    renewals.push(renewal.map_err(|e| malformed("state transaction", &e))?);
                }
                _ => {
                    lost.insert(account);
                }
            }
        }
        let together = freed.len() + renewals.len() > 1 || freed.is_empty();
        let delete =
            |(key, etag): &(String, &Etag)| Operation::delete(key.clone(), (*etag).clone());
        let all: Vec<Operation> = freed.iter().map(delete).chain(renewals).collect();
        let is_written =
            together && (all.is_empty() || self.sidecar.transact(STATE, &all).await.is_ok());
        if !is_written {
            // A single one is freed more quickly so; of many, somebody changed one in between.
            for (key, etag) in &freed {
                self.sidecar.delete_state(STATE, key, etag).await?;
            }
            lost.extend(renewed);
        }
        let left = left.into_iter().flatten();
        Ok(left
            .filter(|held| !lost.contains(&held.entry.account))
            .collect())
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

    /// Who holds the slots that are taken.
    async fn holders(&self, slots: Vec<u16>) -> Result<HashMap<u16, Holder>, Error> {
        #[derive(serde::Deserialize)]
        struct Stored {
            change: String,
            at: Instant,
        }
        let keys: Vec<String> = slots.into_iter().map(slot_key).collect();
        let mut holders = HashMap::new();
        self.read(&keys, |Item { key, data, etag }| {
            if let (Some(slot), Some(data), Some(etag)) = (slot_of(&key), data, etag) {
                let Stored { change, at } = parse(data.get().as_bytes())?;
                holders.insert(slot, Holder { change, at, etag });
            }
            Ok(true)
        })
        .await?;
        Ok(holders)
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

    /// Publishes what waits in the ring since before the grace time, unless a sweep of this instance does so already. What
    /// it has no time for, the next one goes on with. Gives how many slots it freed.
    ///
    /// # Errors
    /// The ring cannot be read, or events cannot be published; those of other batches were tried all the same.
    pub async fn sweep(&self) -> Result<usize, Error> {
        if std::mem::replace(&mut self.queue().sweeping, true) {
            return Ok(0);
        }
        let _sweeping = Sweeping(self);
        let began = self.runtime.elapsed();
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
        let mut waiting: VecDeque<Held> = chains.into_iter().flatten().collect();
        let (mut freed, mut failed) = (0, None);
        while self.runtime.elapsed() < began + SWEEP {
            let batch = batch(&mut waiting);
            if batch.is_empty() {
                break;
            }
            // Who waits otherwise is served by another request, at the same time.
            match self.deliver_batch(self::chains(batch), |_| false).await {
                Ok(delivered) => {
                    freed += delivered.freed;
                    put_back(&mut waiting, delivered.left);
                }
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(freed), Err)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Who holds a slot.
struct Holder {
    change: String,
    /// When the slot was taken or renewed: with the change, the version of what it holds.
    at: Instant,
    etag: Etag,
}

/// What came of a batch.
struct Delivered {
    /// How many slots were freed.
    freed: usize,
    /// What there was no time for.
    left: Vec<Held>,
    /// What has to wait for a slot that another instance holds.
    blocked: Vec<Held>,
}

/// That a request delivers for its instance; when it is cut off, the next one does.
struct Attending<'a, R: Runtime> {
    outbox: &'a Outbox<R>,
    shift: u64,
}

impl<R: Runtime> Attending<'_, R> {
    /// What is to be delivered next, none if something is only to be waited for. With nothing left at all, whoever has
    /// something new attends to it himself; and so does who came after the shift has ended.
    fn next(&self) -> Option<Vec<Held>> {
        let now = self.outbox.runtime.elapsed();
        let mut queue = self.outbox.queue();
        if queue.shift != self.shift {
            return None;
        }
        if queue.blocked.at <= now {
            let held = std::mem::take(&mut queue.blocked.held);
            queue.waiting.extend(held);
        }
        let batch = batch(&mut queue.waiting);
        if batch.is_empty() && queue.blocked.held.is_empty() {
            queue.shift_ends = Duration::ZERO;
            return None;
        }
        Some(batch)
    }

    /// How long to wait for the next batch; `None` if there is nothing to wait for. Never longer than a batch gathers:
    /// what comes meanwhile is not to wait for what is blocked.
    fn pause(&self) -> Option<Duration> {
        let queue = self.outbox.queue();
        let is_over = queue.waiting.is_empty() && queue.blocked.held.is_empty();
        (!is_over).then_some(GATHER)
    }

    /// Leaves everything to the sweep.
    fn hand_over(&self) {
        let mut queue = self.outbox.queue();
        if queue.shift == self.shift {
            let count = queue.waiting.len() + queue.blocked.held.len();
            queue.waiting.clear();
            queue.blocked.held.clear();
            log_background("warn", &format!("{count} slots are left to the sweep"));
        }
    }
}

impl<R: Runtime> Drop for Attending<'_, R> {
    fn drop(&mut self) {
        let mut queue = self.outbox.queue();
        if queue.shift == self.shift {
            queue.shift_ends = Duration::ZERO;
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
        self.for_functions.is_empty() || self.bytes + event.size() <= EVENT_BYTES
    }

    fn add(&mut self, for_functions: Message, for_clients: Message) {
        self.bytes += for_functions.size();
        self.for_functions.push(for_functions);
        self.for_clients.push(for_clients);
    }
}

/// Takes off the slots of the next batch: the first of each account, then the second of each, and so on.
fn batch(waiting: &mut VecDeque<Held>) -> Vec<Held> {
    let mut counts: HashMap<AccountId, usize> = HashMap::new();
    let place = |held: Held| {
        let count = counts.entry(held.entry.account.clone()).or_default();
        *count += 1;
        (*count, held)
    };
    let mut places: Vec<(usize, Held)> = waiting.drain(..).map(place).collect();
    places.sort_by_key(|(place, _)| *place);
    waiting.extend(places.into_iter().map(|(_, held)| held));
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

/// Puts slots before those that wait.
fn put_back(waiting: &mut VecDeque<Held>, mut left: Vec<Held>) {
    left.extend(waiting.drain(..));
    waiting.extend(left);
}

/// Splits a chain after so many events: what is done, and what is left.
fn split(chain: Vec<Held>, mut published: usize) -> (Vec<Held>, Vec<Held>) {
    let (mut done, mut left) = (Vec::with_capacity(chain.len()), Vec::new());
    for mut held in chain {
        let events = &mut held.entry.events;
        if published >= events.len() {
            published -= events.len();
            done.push(held);
        } else {
            events.drain(..std::mem::take(&mut published));
            left.push(held);
        }
    }
    (done, left)
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
    serde_json::from_slice(value).map_err(|e| malformed("state get", &e))
}

fn malformed(call: &'static str, error: &serde_json::Error) -> Error {
    let detail = error.to_string();
    Error::Malformed { call, detail }
}
