//! Storing changes: read, apply, write, all that wait in an instance in one transaction.
//!
//! A change alone costs two calls before its answer. Under load, many wait while one is stored; together they cost little
//! more than one. Those of one account are applied one after the other to the same book and share an outbox slot. A
//! transaction that is refused is tried account by account; then whoever was overtaken waits for the next one.

use docket_domain::idempotency::Once;
use docket_domain::outbox::{Slot, Taken, slot_key};
use docket_domain::rate::Rate;
use docket_domain::shelf::{Allowance, Applied, Book, Quota, Segment, book_key, segment_key};
use docket_domain::{AccountId, ActorKind, Command, Context, Event, Shelf};
use docket_service::auth::Grant;
use docket_service::{Caller, Code, Problem, Runtime};
use docket_sidecar::{Entry, Error, Etag, Operation};
use futures::future::{Either, join_all, select};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Etags, Loaded, STATE, Store, describe, read, unavailable};
use crate::outbox::Held;
use crate::planner;
use crate::routes::once::Answered;

/// How long a change is tried before the answer is 503. With the reading of the keys before it, a client waits less than
/// four seconds.
const DEADLINE: Duration = Duration::from_millis(2_000);
/// How often an account may be changed: what no person and hardly a program needs, and one machine still bears of many
/// accounts at once.
const CHANGES: Rate = Rate::new(6_000, 60);
/// How long one may be at storing what waits; less, down to a quarter of it, if its own time is nearly over.
const LEADING: Duration = Duration::from_millis(1_000);
/// How often a leader tries at once what another instance was faster with. Whoever was faster begins anew at once, too: with a
/// pause in between, the same one would be faster ever again.
const TRIES: usize = 4;
/// How many changes are stored together at most.
const GROUP: usize = 32;
/// How many bytes a transaction of several accounts has at most.
const GROUP_BYTES: usize = 1024 * 1024;
/// The largest transaction, in bytes; `cargo docket up` has daprd take 16 MiB.
const MAX_TRANSACTION: usize = 12 * 1024 * 1024;
/// The largest outbox slot, in bytes: its events are published in calls that Dapr and the broker have to take.
const MAX_SLOT: usize = 4 * 1024 * 1024;
/// After so many taken slots in a row, one that is free is looked for in the whole ring.
const COLLISIONS: u32 = 3;
/// How many keys are read by a GET each, before one call in bulk is the quicker way.
const GETS: usize = 3;

/// What came of a command.
#[derive(Clone)]
pub(super) enum Done {
    /// It was carried out.
    Now(Applied),
    /// The same request was answered so before.
    Before(Answered),
}

/// Makes the answer of what came of a command.
pub(super) type Show = dyn Fn(&Applied) -> Result<Answered, Problem> + Send + Sync;

/// That an answer is to be kept, and how it comes about.
pub(super) struct Keeping {
    pub once: Once,
    pub show: Arc<Show>,
}

/// An answer that was kept.
#[derive(Deserialize, Serialize)]
struct Kept {
    fingerprint: String,
    answer: Answered,
}

/// A change that is to be stored, and how far that has come.
pub(super) struct Change {
    context: Context,
    command: Command,
    keeping: Option<Keeping>,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    /// What its request is to be told.
    settled: Option<Result<Done, Problem>>,
    /// The transactions that it was in and that may have been stored.
    tried: Vec<Attempt>,
    /// The book at the last try that was refused.
    refused_on: Option<Option<Etag>>,
    /// How often in a row the slot was taken.
    collisions: u32,
    /// Why it was not stored so far; `None` if it only waits for others.
    reason: Option<String>,
}

/// What came of a change's turn.
enum Outcome {
    Settled(Result<Done, Problem>),
    /// It has to be tried again.
    Failed(String),
    /// It was not its turn yet.
    Waits,
}

/// A change's part in a transaction whose fate is not known.
struct Attempt {
    /// What the book remembers the transaction by.
    change: String,
    applied: Applied,
    /// What is to be delivered, by the first one who finds that it was stored.
    held: Arc<Mutex<Option<Held>>>,
}

impl Change {
    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn outcome(&self) -> Outcome {
        let mut progress = self.progress();
        match (progress.settled.take(), progress.reason.take()) {
            (Some(result), _) => Outcome::Settled(result),
            (None, Some(reason)) => Outcome::Failed(reason),
            (None, None) => Outcome::Waits,
        }
    }

    fn settle(&self, result: Result<Done, Problem>) {
        self.progress().settled = Some(result);
    }

    fn failed(&self, reason: String) {
        self.progress().reason = Some(reason);
    }

    /// Whether it may be as large as a transaction, and is stored without others.
    fn is_large(&self) -> bool {
        matches!(
            self.command,
            Command::Batch(_) | Command::Import { .. } | Command::Retag { .. }
        )
    }

    /// How often in a row its slot was taken, now that the book is this one: if it is as it was when the transaction was
    /// refused, what was refused is the slot.
    fn collisions_on(&self, book: &Option<Etag>) -> u32 {
        let mut progress = self.progress();
        let same = progress.refused_on.take().is_some_and(|old| old == *book);
        progress.collisions = if same { progress.collisions + 1 } else { 0 };
        progress.collisions
    }

    /// Whether its transaction was refused, which says that another instance was faster, or has the slot.
    fn was_overtaken(&self) -> bool {
        let progress = self.progress();
        progress.settled.is_none() && progress.refused_on.is_some()
    }

    fn kept_key(&self) -> Option<&String> {
        self.keeping.as_ref().map(|keeping| &keeping.once.state_key)
    }

    /// The writing of its answer, unless one is there.
    fn keep(&self, applied: &Applied) -> Result<Option<Operation>, Problem> {
        let Some(Keeping { once, show }) = &self.keeping else {
            return Ok(None);
        };
        keep(once, show(applied)?).map(Some)
    }
}

/// How often who calls may change something. What follows from a change, as the next occurrence does, is not held back.
fn allowance(caller: &Caller) -> Allowance {
    if caller.actor.kind == ActorKind::Recurrence {
        return Allowance::default();
    }
    let quota = |grant: &Arc<Grant>| {
        Some(Quota {
            token: caller.actor.id.clone(),
            changes_per_hour: grant.changes_per_hour?,
        })
    };
    Allowance {
        rate: Some(CHANGES),
        quota: caller.grant.as_ref().and_then(quota),
    }
}

/// The writing of an answer, unless one is there.
fn keep(once: &Once, answer: Answered) -> Result<Operation, Problem> {
    let kept = Kept {
        fingerprint: once.fingerprint.clone(),
        answer,
    };
    let operation = Operation::guarded(once.state_key.clone(), &kept, None);
    let operation = operation.map_err(Problem::internal)?;
    Ok(operation.expiring(once.kept_seconds))
}

/// Changes of one account, applied and ready to be written.
struct Prepared {
    changes: Vec<(Arc<Change>, Applied)>,
    operations: Vec<Operation>,
    bytes: usize,
    book: Option<Etag>,
    held: Arc<Mutex<Option<Held>>>,
}

impl<R: Runtime> Store<R> {
    /// Stores a change; when it returns without an error, that is done, and its events are on their way.
    pub(super) async fn carry_out(
        &self,
        caller: &Caller,
        if_version: Option<u64>,
        command: Command,
        keeping: Option<Keeping>,
    ) -> Result<Done, Problem> {
        for scope in command.scopes() {
            caller.demand(scope)?;
        }
        let change = Arc::new(Change {
            context: Context {
                account: caller.account.clone(),
                actor: caller.actor.clone(),
                now: self.runtime.now(),
                entropy: self.runtime.entropy(),
                if_version,
                check_rule: planner::check,
                allowance: allowance(caller),
            },
            command,
            keeping,
            progress: Mutex::default(),
        });
        let until = self.runtime.elapsed() + DEADLINE;
        let mut reason = "others are stored".to_owned();
        for round in 1.. {
            if self.runtime.elapsed() >= until {
                break;
            }
            self.take_part(&change, until).await;
            match change.outcome() {
                Outcome::Settled(result) => return result,
                Outcome::Waits => {}
                Outcome::Failed(why) => {
                    reason = why;
                    self.runtime.pause(longest_pause(round)).await;
                }
            }
        }
        Err(Problem::unavailable(
            1,
            format!("not within {DEADLINE:?}: {reason}"),
        ))
    }

    /// Keeps an answer that changed nothing, so that a request that is to count once is answered alike when it comes
    /// again. Gives what it is answered: what was kept before counts.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn keep(&self, once: Once, answer: Answered) -> Result<Answered, Problem> {
        let operation = keep(&once, answer.clone())?;
        let refused = match self.sidecar.transact(STATE, &[operation]).await {
            Ok(()) => return Ok(answer),
            Err(refused @ Error::Refused { .. }) => refused,
            Err(error) => return Err(unavailable(error)),
        };
        let entry = self.sidecar.get_state(STATE, &once.state_key).await;
        match entry.map_err(unavailable)?.as_ref().map(read::<Kept>) {
            Some(Ok((kept, _))) if kept.fingerprint == once.fingerprint => Ok(kept.answer),
            // It is another request that has the key.
            Some(Ok(_)) => Ok(answer),
            Some(Err(unreadable)) => Err(unavailable(unreadable)),
            None => Err(unavailable(refused)),
        }
    }

    /// Waits in line, at most `until` then, until the change was dealt with: by others, or by leading.
    async fn take_part(&self, change: &Arc<Change>, until: Duration) {
        let left = || until.saturating_sub(self.runtime.elapsed());
        let (place, woken) = self.line.join(change.clone());
        if let Some(woken) = woken {
            let _late = select(pin!(woken), pin!(self.runtime.sleep(left()))).await;
        }
        let Some(group) = place.lead(GROUP) else {
            return;
        };
        let mut changes = group.changes();
        let storing = async {
            for _ in 0..TRIES {
                self.store_together(changes.clone()).await;
                changes.retain(|change| change.was_overtaken());
                if changes.is_empty() {
                    break;
                }
            }
        };
        let limit = left().clamp(LEADING / 4, LEADING);
        let over = self.runtime.sleep(limit);
        if let Either::Right(_) = select(pin!(storing), pin!(over)).await {
            for change in group.changes() {
                change.failed(format!("not stored within {limit:?}"));
            }
        }
    }

    /// Stores what can be of the changes, and notes at each what came of it.
    async fn store_together(&self, changes: Vec<Arc<Change>>) {
        let mut accounts: Vec<Vec<Arc<Change>>> = Vec::new();
        for change in changes {
            let same = |other: &&mut Vec<Arc<Change>>| {
                other.first().map(|c| &c.context.account) == Some(&change.context.account)
            };
            match accounts.iter_mut().find(same) {
                Some(account) if change.is_large() || account.iter().any(|c| c.is_large()) => {}
                Some(account) => account.push(change),
                None => accounts.push(vec![change]),
            }
        }
        let found = match self.read_for(accounts.iter().flatten()).await {
            Ok(found) => found,
            Err(error) => {
                for change in accounts.iter().flatten() {
                    change.failed(describe(&error));
                }
                return;
            }
        };
        let slots = Mutex::default();
        let prepared = accounts.iter().map(async |changes| {
            match self.prepare(changes, &found, &slots).await {
                Ok(prepared) => prepared,
                Err(error) => {
                    for change in changes {
                        change.failed(describe(&error));
                    }
                    None
                }
            }
        });
        let (mut together, mut bytes) = (Vec::new(), 0);
        for prepared in join_all(prepared).await.into_iter().flatten() {
            if bytes + prepared.bytes > GROUP_BYTES && !together.is_empty() {
                self.write(std::mem::take(&mut together)).await;
                bytes = 0;
            }
            bytes += prepared.bytes;
            together.push(prepared);
        }
        self.write(together).await;
    }

    /// Reads what the changes most likely need: books, segments, answers that were kept.
    async fn read_for(
        &self,
        changes: impl Iterator<Item = &Arc<Change>>,
    ) -> Result<HashMap<String, Entry>, Error> {
        let mut keys: Vec<String> = Vec::new();
        for change in changes {
            let account = &change.context.account;
            // In a young account everything is inline: to ask for a segment would be in vain.
            let segment = change.command.task().map(|id| id.segment);
            let segment = segment.filter(|number| *number > 0);
            keys.push(book_key(account));
            keys.extend(segment.map(|number| segment_key(account, number)));
            keys.extend(change.kept_key().cloned());
        }
        keys.sort_unstable();
        keys.dedup();
        if keys.len() > GETS {
            let items = self.sidecar.get_states(STATE, &keys).await?;
            return Ok(items
                .into_iter()
                .filter_map(|item| {
                    let value = String::from(Box::<str>::from(item.data?)).into();
                    let etag = item.etag?;
                    Some((item.key, Entry { value, etag }))
                })
                .collect());
        }
        let gets = keys.into_iter().map(async |key| {
            let entry = self.sidecar.get_state(STATE, &key).await?;
            Ok(entry.map(|entry| (key, entry)))
        });
        let found: Result<Vec<_>, Error> = join_all(gets).await.into_iter().collect();
        Ok(found?.into_iter().flatten().collect())
    }

    /// Applies changes of one account, as many as go together; the others wait for the next time.
    async fn prepare(
        &self,
        changes: &[Arc<Change>],
        found: &HashMap<String, Entry>,
        slots: &Mutex<HashSet<u16>>,
    ) -> Result<Option<Prepared>, Error> {
        let Some(account) = changes.first().map(|change| &change.context.account) else {
            return Ok(None);
        };
        let mut loaded = loaded(account, changes, found)?;
        let mut prepared = Prepared {
            changes: Vec::with_capacity(changes.len()),
            operations: Vec::new(),
            bytes: 0,
            book: loaded.etags.book.clone(),
            held: Arc::default(),
        };
        let mut collisions = 0;
        for change in changes {
            if self.was_stored(change, &loaded.shelf.book) {
                continue;
            }
            if let Some(result) = kept(change, found)? {
                change.settle(result);
                continue;
            }
            // An answer can be kept once in a transaction.
            let twice = |(other, _): &(Arc<Change>, _)| other.kept_key() == change.kept_key();
            if change.keeping.is_some() && prepared.changes.iter().any(twice) {
                break;
            }
            loaded = self.complete(account, loaded, &change.command).await?;
            if !loaded.shelf.missing(&change.command).is_empty() {
                change.failed("others put segments together".to_owned());
                break;
            }
            let before = (changes.len() > 1).then(|| loaded.shelf.clone());
            let applied = loaded.shelf.apply(&change.command, &change.context);
            let accepted = applied.map_err(Problem::from).and_then(|applied| {
                let keep = change.keep(&applied)?;
                Ok((applied, keep))
            });
            match accepted {
                Ok((applied, keep)) => {
                    collisions = collisions.max(change.collisions_on(&prepared.book));
                    prepared.operations.extend(keep);
                    prepared.changes.push((change.clone(), applied));
                }
                // What was refused after others that are not stored yet may not be when they were not.
                Err(_) if !prepared.changes.is_empty() => {
                    loaded.shelf = before.unwrap_or_default();
                    break;
                }
                Err(problem) => {
                    change.settle(Err(problem));
                    loaded.shelf = before.unwrap_or_default();
                }
            }
        }
        self.seal(account, loaded, prepared, collisions, slots)
            .await
    }

    /// Makes the writings of what was applied; `None` if there is nothing to write.
    async fn seal(
        &self,
        account: &AccountId,
        mut loaded: Loaded,
        mut prepared: Prepared,
        collisions: u32,
        slots: &Mutex<HashSet<u16>>,
    ) -> Result<Option<Prepared>, Error> {
        let applied = prepared.changes.iter().map(|(_, applied)| applied);
        let events: Vec<Event> = applied.flat_map(|a| a.events.iter().cloned()).collect();
        if events.is_empty() {
            if prepared.operations.is_empty() {
                prepared.settle();
                return Ok(None);
            }
            return Ok(Some(prepared));
        }
        let Some(slot) = self.slot(collisions, slots).await? else {
            let full = "the outbox ring is full: is the broker away?";
            prepared.refuse(&Problem::unavailable(5, full));
            return Ok(None);
        };
        // A transaction has an id of its own: one that may have been stored is known by it, whatever was tried since.
        let change = self.runtime.entropy().change_id();
        let after = loaded.shelf.seal(Taken {
            slot,
            change: change.clone(),
        });
        let entry = Slot {
            change: change.clone(),
            account: account.clone(),
            after,
            at: self.runtime.now(),
            events,
        };
        let writes = operations(account, &loaded, slot, &entry)?;
        let slot_bytes = writes.last().map_or(0, Operation::size);
        prepared.operations.extend(writes);
        prepared.bytes = prepared.operations.iter().map(Operation::size).sum();
        if slot_bytes > MAX_SLOT || prepared.bytes > MAX_TRANSACTION {
            let detail =
                "these changes are too large for one transaction: send them in smaller parts";
            prepared.refuse(&Problem::new(Code::TooLarge, detail));
            return Ok(None);
        }
        let held = Held {
            slot,
            entry,
            bytes: slot_bytes,
        };
        prepared.held = Arc::new(Mutex::new(Some(held)));
        for (one, applied) in &prepared.changes {
            one.progress().tried.push(Attempt {
                change: change.clone(),
                applied: applied.clone(),
                held: prepared.held.clone(),
            });
        }
        Ok(Some(prepared))
    }

    /// A slot that is most likely free and that no other account of the same transaction takes; `None` when the ring is
    /// full.
    async fn slot(
        &self,
        collisions: u32,
        slots: &Mutex<HashSet<u16>>,
    ) -> Result<Option<u16>, Error> {
        let is_new = |slot: &u16| {
            let mut slots = slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.insert(*slot)
        };
        if collisions < COLLISIONS {
            let likely = || self.outbox.likely_free(self.runtime.entropy().0 as u64);
            if let Some(slot) = std::iter::repeat_with(likely).take(GROUP).find(is_new) {
                return Ok(Some(slot));
            }
        }
        self.outbox.free_slot(self.runtime.entropy()).await
    }

    /// Whether an earlier try was stored after all, though its answer got lost.
    fn was_stored(&self, change: &Change, book: &Book) -> bool {
        let mut progress = change.progress();
        let stored = |attempt: &&Attempt| book.recent.contains(&attempt.change);
        let Some(attempt) = progress.tried.iter().find(stored) else {
            return false;
        };
        self.deliver(&attempt.held);
        progress.settled = Some(Ok(Done::Now(attempt.applied.clone())));
        true
    }

    /// Writes all in one transaction; if that is refused, each account by itself.
    async fn write(&self, all: Vec<Prepared>) {
        let operations = all.iter().flat_map(|prepared| &prepared.operations);
        match (
            self.sidecar.transact(STATE, operations).await,
            all.as_slice(),
        ) {
            (Ok(()), _) => all.iter().for_each(|prepared| self.written(prepared)),
            (Err(Error::Refused { .. }), [_, _, ..]) => {
                let each = all.iter().map(async |prepared| {
                    match self.sidecar.transact(STATE, &prepared.operations).await {
                        Ok(()) => self.written(prepared),
                        Err(error) => prepared.failed(&error),
                    }
                });
                join_all(each).await;
            }
            (Err(error), _) => all.iter().for_each(|prepared| prepared.failed(&error)),
        }
    }

    fn written(&self, prepared: &Prepared) {
        self.deliver(&prepared.held);
        prepared.settle();
    }

    fn deliver(&self, held: &Mutex<Option<Held>>) {
        let held = held.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(held) = held {
            let outbox = self.outbox.clone();
            self.runtime
                .spawn(async move { outbox.deliver(held).await });
        }
    }
}

impl Prepared {
    fn settle(&self) {
        for (change, applied) in &self.changes {
            change.settle(Ok(Done::Now(applied.clone())));
        }
    }

    fn refuse(&self, problem: &Problem) {
        for (change, _) in &self.changes {
            change.settle(Err(problem.clone()));
        }
    }

    fn failed(&self, error: &Error) {
        for (change, _) in &self.changes {
            if let Error::Refused { .. } = error {
                change.progress().refused_on = Some(self.book.clone());
            }
            change.failed(describe(error));
        }
    }
}

/// What was read of an account.
fn loaded(
    account: &AccountId,
    changes: &[Arc<Change>],
    found: &HashMap<String, Entry>,
) -> Result<Loaded, Error> {
    let book = found
        .get(&book_key(account))
        .map(read::<Book>)
        .transpose()?;
    let (book, etag) = book.map_or_else(Default::default, |(book, etag)| (book, Some(etag)));
    let mut loaded = Loaded {
        shelf: Shelf::new(book),
        etags: Etags {
            book: etag,
            ..Etags::default()
        },
    };
    for id in changes.iter().filter_map(|change| change.command.task()) {
        let number = id.segment;
        if !loaded.shelf.is_closed(number) || loaded.shelf.segments.contains_key(&number) {
            continue;
        }
        if let Some(entry) = found.get(&segment_key(account, number)) {
            let (segment, etag) = read::<Segment>(entry)?;
            loaded.shelf.segments.insert(number, segment);
            loaded.etags.segments.insert(number, etag);
        }
    }
    Ok(loaded)
}

/// What was answered to the request before, if it was.
fn kept(
    change: &Change,
    found: &HashMap<String, Entry>,
) -> Result<Option<Result<Done, Problem>>, Error> {
    let Some(Keeping { once, .. }) = &change.keeping else {
        return Ok(None);
    };
    let Some(entry) = found.get(&once.state_key) else {
        return Ok(None);
    };
    let (kept, _) = read::<Kept>(entry)?;
    Ok(Some(if kept.fingerprint == once.fingerprint {
        Ok(Done::Before(kept.answer))
    } else {
        let detail = "this Idempotency-Key was used for another request in the last 24 hours";
        Err(Problem::new(Code::IdempotencyKeyReused, detail))
    }))
}

/// The transaction: the book, the segments that changed and the outbox slot, each under its guard.
fn operations(
    account: &AccountId,
    loaded: &Loaded,
    slot: u16,
    entry: &Slot,
) -> Result<Vec<Operation>, Error> {
    let unreadable = |e: serde_json::Error| Error::Malformed {
        call: "state transaction",
        detail: e.to_string(),
    };
    let Loaded { shelf, etags } = loaded;
    let mut operations = vec![
        Operation::guarded(book_key(account), &shelf.book, etags.book.clone())
            .map_err(unreadable)?,
    ];
    for number in &shelf.changed {
        if let Some(segment) = shelf.segments.get(number) {
            let etag = etags.segments.get(number).cloned();
            let key = segment_key(account, *number);
            operations.push(Operation::guarded(key, segment, etag).map_err(unreadable)?);
        }
    }
    // One that was closed by this very change was never stored.
    for (number, etag) in shelf
        .removed
        .iter()
        .filter_map(|n| Some((n, etags.segments.get(n)?)))
    {
        operations.push(Operation::delete(
            segment_key(account, *number),
            etag.clone(),
        ));
    }
    operations.push(Operation::guarded(slot_key(slot), entry, None).map_err(unreadable)?);
    Ok(operations)
}

/// How long the pause before the next round is at most: 1, 2, then 4 ms. Longer ones would let those who were overtaken fall
/// ever further behind those who are not.
fn longest_pause(round: u32) -> Duration {
    Duration::from_millis(1 << round.saturating_sub(1).min(2))
}
