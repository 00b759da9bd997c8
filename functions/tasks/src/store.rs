//! Reading and changing an account's shelf in Dapr state.

use docket_domain::changes;
use docket_domain::find::{Page, Query, Segments};
use docket_domain::idempotency::{KEPT_SECONDS, Once};
use docket_domain::ids::SegmentNumber;
use docket_domain::outbox::{Slot, Taken, slot_key};
use docket_domain::shelf::{Applied, Book, Segment, book_key, segment_key};
use docket_domain::task::Status;
use docket_domain::{
    AccountId, Command, Context, Entropy, Instant, Rejection, Shelf, Task, TaskId,
};
use docket_service::{Caller, Code, Problem, Runtime};
use docket_sidecar::{Entry, Error, Etag, Operation, Sidecar};
use futures::future::{Either, join, select};
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::outbox::{Held, Outbox};
use crate::planner;
use crate::routes::once::Answered;
use cache::Cache;
use turns::Turns;

mod cache;
mod turns;

/// The Dapr state store.
pub const STATE: &str = "state";
/// How long a change is tried before the answer is 503. With the reading of the keys before it, a client waits less than
/// three seconds.
const DEADLINE: Duration = Duration::from_millis(2_000);
/// How long one call to the sidecar may take.
const CALL: Duration = Duration::from_millis(1_000);
/// How long a change waits for others of its account in the same instance, before it takes its chance.
const TURN: Duration = Duration::from_millis(500);
/// The largest transaction, in bytes; `cargo docket up` has daprd take 16 MiB.
const MAX_TRANSACTION: usize = 12 * 1024 * 1024;
/// The largest outbox slot, in bytes: its events are published in calls that Dapr and the broker have to take.
const MAX_SLOT: usize = 4 * 1024 * 1024;
/// How many segments are read ahead of an export's reader.
const EXPORT_READERS: usize = 4;
/// After so many taken slots in a row, one that is free is looked for in the whole ring.
const COLLISIONS: u32 = 3;
/// How many segments are read at once.
const READERS: usize = 16;
/// How often a page's segments are read again because others wrote meanwhile.
const SNAPSHOTS: u32 = 4;

/// An account's shelf as it was read, with what guards the writing of it.
struct Loaded {
    shelf: Shelf,
    etags: Etags,
}

#[derive(Default)]
struct Etags {
    book: Option<Etag>,
    segments: BTreeMap<SegmentNumber, Etag>,
}

/// Reads and changes shelves.
#[derive(Clone)]
pub struct Store<R: Runtime> {
    runtime: R,
    sidecar: Sidecar<R>,
    outbox: Outbox<R>,
    turns: Turns<R>,
    cache: Cache,
}

/// One try of a change, as far as it came.
struct Attempt {
    applied: Applied,
    held: Held,
    book: Option<Etag>,
    /// How often in a row the slot was taken.
    collisions: u32,
}

impl<R: Runtime> Store<R> {
    pub(crate) fn new(runtime: R, sidecar: Sidecar<R>, outbox: Outbox<R>) -> Self {
        Self {
            turns: Turns::new(runtime.clone()),
            cache: Cache::default(),
            runtime,
            sidecar: sidecar.within(CALL),
            outbox,
        }
    }

    /// Reads a task.
    ///
    /// # Errors
    /// `not_found`, `unavailable`.
    pub async fn task(&self, account: &AccountId, id: TaskId) -> Result<Task, Problem> {
        let read = Command::Complete(id);
        let mut loaded = self
            .load_for(account, Some(id))
            .await
            .map_err(unavailable)?;
        let mut round = 1;
        let shelf = loop {
            let completed = self.complete(account, loaded, &read).await;
            let shelf = completed.map_err(unavailable)?.shelf;
            if shelf.missing(&read).is_empty() || round == SNAPSHOTS {
                break shelf;
            }
            // Others have put its segment into another one since the book was read.
            loaded = self.load(account).await.map_err(unavailable)?;
            round += 1;
        };
        shelf
            .task(id)
            .cloned()
            .ok_or_else(|| Rejection::NotFound.into())
    }

    /// Reads a page, to be shown by `show`.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn page<V>(
        &self,
        account: &AccountId,
        query: &Query,
        show: impl FnOnce(Page<'_>) -> V,
    ) -> Result<V, Problem> {
        let (book, segments) = self
            .snapshot(account, |book| query.plan(book))
            .await
            .map_err(unavailable)?;
        Ok(show(query.page(
            account,
            self.runtime.now(),
            &book,
            &segments,
        )))
    }

    /// Reads a page of the change feed, to be shown by `show`.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn changes<V>(
        &self,
        account: &AccountId,
        mut query: changes::Query,
        show: impl FnOnce(changes::Page<'_>) -> V,
    ) -> Result<V, Problem> {
        loop {
            let (book, segments) = self
                .snapshot(account, |book| query.plan(book))
                .await
                .map_err(unavailable)?;
            if query
                .plan(&book)
                .iter()
                .any(|number| !segments.contains_key(number))
            {
                return Err(Problem::unavailable(1, "others write faster than it reads"));
            }
            let page = query.page(&book, &segments);
            // An empty page would mean that the client is up to date.
            if !page.changes.is_empty() || page.is_last || page.reset {
                return Ok(show(page));
            }
            query.since = page.next;
        }
    }

    /// Reads the book.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn book(&self, account: &AccountId) -> Result<Book, Problem> {
        let loaded = self.load(account).await.map_err(unavailable)?;
        Ok(loaded.shelf.book)
    }

    /// Puts another tag in the place of one on every task, or takes it away. Gives how many tasks were changed.
    ///
    /// # Errors
    /// See [`Self::change`]; some tasks may be changed already, and a repetition changes the others.
    pub async fn retag(
        &self,
        caller: &Caller,
        tag: &str,
        to: Option<&str>,
    ) -> Result<usize, Problem> {
        let (mut changed, mut from) = (0, Some(0));
        while let Some(segment) = from {
            let command = Command::Retag {
                tag: tag.to_owned(),
                to: to.map(str::to_owned),
                from: segment,
            };
            let applied = self.change(caller, None, &command).await?;
            changed += applied.events.len();
            from = applied.rest;
        }
        Ok(changed)
    }

    /// Reads the book and the closed segments that `plan` wants, all as they were at one moment, unless others write
    /// faster than it can be read.
    async fn snapshot(
        &self,
        account: &AccountId,
        plan: impl Fn(&Book) -> Vec<SegmentNumber>,
    ) -> Result<(Book, Segments), Error> {
        let mut round = 0;
        loop {
            round += 1;
            let book = self.load(account).await?.shelf.book;
            let numbers = plan(&book);
            let wanted = numbers.len();
            let read = stream::iter(numbers).map(|number| self.cached(account, &book, number));
            let read: Vec<_> = read.buffer_unordered(READERS).try_collect().await?;
            let segments: Segments = read.into_iter().flatten().collect();
            let is_whole = segments.len() == wanted
                && segments.values().all(|segment| segment.last() <= book.seq);
            if is_whole || round == SNAPSHOTS {
                return Ok((book, segments));
            }
        }
    }

    /// Reads a closed segment, unless the cache has it as the book tells of it.
    async fn cached(
        &self,
        account: &AccountId,
        book: &Book,
        number: SegmentNumber,
    ) -> Result<Option<(SegmentNumber, Arc<Segment>)>, Error> {
        let Some(directory) = book.closed.get(number as usize) else {
            return Ok(None);
        };
        if let Some(segment) = self.cache.get(account, number, *directory) {
            return Ok(Some((number, segment)));
        }
        let key = segment_key(account, number);
        let Some(entry) = self.sidecar.get_state(STATE, &key).await? else {
            return Ok(None);
        };
        let bytes = entry.value.len();
        let segment = Arc::new(read::<Segment>(entry)?.0);
        // One that was written after the book was read is kept when the book tells of it.
        if segment.last() <= book.seq {
            let kept = segment.clone();
            self.cache.put(account, number, *directory, kept, bytes);
        }
        Ok(Some((number, segment)))
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.runtime.now()
    }

    /// An account's tasks, oldest first, in pieces that are each read about when they are taken; segments without a task of
    /// the status (`None` means either) at the beginning are left out. The newest ones are as they were at the beginning.
    /// Each task comes once, wherever compaction puts it meanwhile.
    ///
    /// # Errors
    /// `unavailable`: now, or for a piece; then the ones before it are not all.
    pub async fn pieces(
        &self,
        account: &AccountId,
        status: Option<Status>,
    ) -> Result<impl Stream<Item = Result<Vec<Task>, Problem>> + Send + 'static, Problem> {
        let book = self.load(account).await.map_err(unavailable)?.shelf.book;
        let numbers: Vec<SegmentNumber> = (0..)
            .zip(&book.closed)
            .filter(|(_, closed)| closed.count(status) > 0)
            .map(|(number, _)| number)
            .collect();
        let ends = numbers
            .iter()
            .copied()
            .skip(1)
            .chain([book.newest_number()]);
        let spans: Vec<_> = numbers.iter().copied().zip(ends).collect();
        let (store, account) = (self.clone(), account.clone());
        let read = move |(first, end): (SegmentNumber, SegmentNumber)| {
            let (store, account) = (store.clone(), account.clone());
            async move {
                let mut tasks = store.home(&account, first).await?.tasks;
                // What was put into the segment since is a piece of its own, by the segments that ids name.
                tasks.retain(|task| (first..end).contains(&task.id.segment));
                Ok(tasks)
            }
        };
        let closed = stream::iter(spans).map(read).buffered(EXPORT_READERS);
        Ok(closed.chain(stream::once(async { Ok(book.newest.tasks) })))
    }

    /// The closed segment of this number, or the one that it went into.
    async fn home(&self, account: &AccountId, number: SegmentNumber) -> Result<Segment, Problem> {
        let mut home = number;
        for _ in 0..SNAPSHOTS {
            let segment = self.segment(account, home).await.map_err(unavailable)?;
            if let Some((segment, _)) = segment {
                return Ok(segment);
            }
            let book = self.load(account).await.map_err(unavailable)?.shelf.book;
            home = book.home(number);
        }
        Err(Problem::unavailable(1, format!("no segment {number}")))
    }

    /// The tokens of all tasks in the closed segments from `scanned` on, and the number of the newest segment.
    ///
    /// # Errors
    /// `unavailable`.
    pub async fn tokens(
        &self,
        account: &AccountId,
        scanned: SegmentNumber,
    ) -> Result<(Vec<u64>, SegmentNumber), Problem> {
        for _ in 0..SNAPSHOTS {
            let shelf = self.load(account).await.map_err(unavailable)?.shelf;
            let book = &shelf.book;
            // What was in a segment that has gone into another one is looked for there.
            let numbers = book.home(scanned)..book.newest_number();
            let closed = numbers.filter(|number| shelf.is_closed(*number));
            // Of each segment only the tokens are kept: all tasks of a large account would not fit into an instance.
            let read = stream::iter(closed).map(async |number| {
                let segment = self.segment(account, number).await?;
                Ok::<_, Error>(segment.map(|(segment, _)| tokens_of(&segment)))
            });
            let read = read.buffer_unordered(READERS).try_collect::<Vec<_>>();
            let read = read.await.map_err(unavailable)?;
            // One that has gone meanwhile may have gone into one that was read before.
            if let Some(read) = read.into_iter().collect::<Option<Vec<_>>>() {
                let mut tokens = read.concat();
                tokens.extend(tokens_of(&book.newest));
                return Ok((tokens, book.newest_number()));
            }
        }
        Err(Problem::unavailable(1, "others write faster than it reads"))
    }

    /// Carries out a command. When it returns, the change is stored with its events, and they are on their way.
    ///
    /// # Errors
    /// What the rules say ([`Rejection`]), and `unavailable`: then the change may be stored all the same, unless it is
    /// told apart by an If-Match or an import's tokens.
    pub async fn change(
        &self,
        caller: &Caller,
        if_version: Option<u64>,
        command: &Command,
    ) -> Result<Applied, Problem> {
        match self.carry_out(caller, if_version, command, None).await? {
            Done::Now(applied) => Ok(applied),
            Done::Before(_) => Err(Problem::internal("an answer that was not asked for")),
        }
    }

    /// Carries out a command as [`Self::change`] does, and `show`s what came of it. If the request is to count once, the
    /// answer is stored with the change; when the request comes again, it is that answer which it gets.
    ///
    /// # Errors
    /// Those of [`Self::change`], and `idempotency_key_reused`. With a key it is safe to try again after any of them.
    pub async fn change_once(
        &self,
        caller: &Caller,
        once: Option<Once>,
        command: &Command,
        show: &Show<'_>,
    ) -> Result<Answered, Problem> {
        let keeping = once.map(|once| Keeping { once, show });
        match self
            .carry_out(caller, None, command, keeping.as_ref())
            .await?
        {
            Done::Now(applied) => show(&applied),
            Done::Before(answered) => Ok(answered),
        }
    }

    async fn carry_out(
        &self,
        caller: &Caller,
        if_version: Option<u64>,
        command: &Command,
        keeping: Option<&Keeping<'_>>,
    ) -> Result<Done, Problem> {
        let context = Context {
            account: caller.account.clone(),
            actor: caller.actor.clone(),
            now: self.runtime.now(),
            entropy: self.runtime.entropy(),
            if_version,
            check_rule: planner::check,
        };
        let reason = Mutex::new(String::from("no answer yet"));
        let trying = self.try_on(&context, command, keeping, &reason);
        match select(pin!(trying), pin!(self.runtime.sleep(DEADLINE))).await {
            Either::Left((done, _)) => done,
            Either::Right(_) => {
                let reason = reason.lock().unwrap_or_else(PoisonError::into_inner);
                Err(Problem::unavailable(
                    1,
                    format!("not within {DEADLINE:?}: {reason}"),
                ))
            }
        }
    }

    /// Tries until it works or is refused; notes why it did not work so far.
    async fn try_on(
        &self,
        context: &Context,
        command: &Command,
        keeping: Option<&Keeping<'_>>,
        reason: &Mutex<String>,
    ) -> Result<Done, Problem> {
        // Changes of one account are guarded by the book's etag; taking turns only saves them from racing in vain.
        let turn = self.turns.take(&context.account);
        let _turn = match select(pin!(turn), pin!(self.runtime.sleep(TURN))).await {
            Either::Left((turn, _)) => Some(turn),
            Either::Right(_) => None,
        };
        let mut last: Option<Attempt> = None;
        let mut round = 0;
        loop {
            let failure = match self
                .attempt(context, command, keeping, &mut last, round)
                .await
            {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => "others were faster".to_owned(),
                Err(Failure::Rejected(rejection)) => return Err(rejection.into()),
                Err(Failure::Refused(problem)) => return Err(problem),
                Err(Failure::RingFull) => {
                    return Err(Problem::unavailable(
                        5,
                        "the outbox ring is full: is the broker away?",
                    ));
                }
                Err(Failure::Sidecar(error)) => describe(&error),
            };
            *reason.lock().unwrap_or_else(PoisonError::into_inner) = failure;
            round += 1;
            self.runtime.sleep(pause(round, context.entropy)).await;
        }
    }

    /// Reads, applies, writes; `None` when it must be tried again.
    async fn attempt(
        &self,
        context: &Context,
        command: &Command,
        keeping: Option<&Keeping<'_>>,
        last: &mut Option<Attempt>,
        round: u32,
    ) -> Result<Option<Done>, Failure> {
        let account = &context.account;
        let loading = self.load_for(account, command.task());
        let (loaded, kept) = join(loading, self.kept(keeping)).await;
        let (loaded, kept) = (loaded?, kept?);
        let change = context.entropy.change_id();
        let mut collisions = 0;
        if let Some(before) = last.take() {
            if loaded.shelf.book.recent.contains(&change) {
                // The try before was stored, though its answer got lost.
                self.deliver(before.held);
                return Ok(Some(Done::Now(before.applied)));
            }
            if loaded.etags.book == before.book {
                // The book is as it was, so what was refused is the slot: somebody has it.
                collisions = before.collisions + 1;
            }
        }
        if let (Some(kept), Some(Keeping { once, .. })) = (kept, keeping) {
            if kept.fingerprint == once.fingerprint {
                return Ok(Some(Done::Before(kept.answer)));
            }
            let detail = "this Idempotency-Key was used for another request in the last 24 hours";
            return Err(Failure::Refused(Problem::new(
                Code::IdempotencyKeyReused,
                detail,
            )));
        }
        let mut loaded = self.complete(account, loaded, command).await?;
        if !loaded.shelf.missing(command).is_empty() {
            // Others have put a segment into another one since the book was read.
            return Ok(None);
        }
        let applied = loaded
            .shelf
            .apply(command, context)
            .map_err(Failure::Rejected)?;
        let keep = keeping
            .map(|keeping| keeping.operation(&applied))
            .transpose()?;
        if applied.events.is_empty() {
            if let Some(keep) = keep {
                self.sidecar.transact(STATE, &[keep]).await?;
            }
            return Ok(Some(Done::Now(applied)));
        }
        let slot = if collisions < COLLISIONS {
            self.outbox
                .likely_free(slot_entropy(context.entropy, round))
        } else {
            let free = self.outbox.free_slot(context.entropy).await?;
            free.ok_or(Failure::RingFull)?
        };
        let after = loaded.shelf.seal(Taken {
            slot,
            change: change.clone(),
        });
        let entry = Slot {
            change,
            account: account.clone(),
            after,
            at: context.now,
            events: applied.events.clone(),
        };
        let mut operations = operations(account, &loaded, slot, &entry)?;
        let slot_size = operations.last().map_or(0, Operation::size);
        operations.extend(keep);
        if slot_size > MAX_SLOT
            || operations.iter().map(Operation::size).sum::<usize>() > MAX_TRANSACTION
        {
            let detail =
                "these changes are too large for one transaction: send them in smaller parts";
            return Err(Failure::Refused(Problem::new(Code::TooLarge, detail)));
        }
        let attempt = Attempt {
            applied,
            held: Held {
                slot,
                entry,
                bytes: slot_size,
            },
            book: loaded.etags.book,
            collisions,
        };
        match self.sidecar.transact(STATE, &operations).await {
            Ok(()) => {
                self.deliver(attempt.held);
                Ok(Some(Done::Now(attempt.applied)))
            }
            Err(error) => {
                *last = Some(attempt);
                match error {
                    Error::Refused { .. } => Ok(None),
                    other => Err(other.into()),
                }
            }
        }
    }

    /// What was answered to the request before.
    async fn kept(&self, keeping: Option<&Keeping<'_>>) -> Result<Option<Kept>, Error> {
        let Some(Keeping { once, .. }) = keeping else {
            return Ok(None);
        };
        let entry = self.sidecar.get_state(STATE, &once.state_key).await?;
        Ok(entry.map(read::<Kept>).transpose()?.map(|(kept, _)| kept))
    }

    fn deliver(&self, held: Held) {
        let outbox = self.outbox.clone();
        self.runtime
            .spawn(async move { outbox.deliver(held).await });
    }

    /// Reads the book, and beside it the segment where a task must be unless the book has it inline.
    async fn load_for(&self, account: &AccountId, id: Option<TaskId>) -> Result<Loaded, Error> {
        // In a young account everything is inline: a second read would be in vain.
        let Some(number) = id.map(|id| id.segment).filter(|number| *number > 0) else {
            return self.load(account).await;
        };
        let (loaded, segment) = join(self.load(account), self.segment(account, number)).await;
        let (mut loaded, segment) = (loaded?, segment?);
        if let Some((segment, etag)) = segment.filter(|_| loaded.shelf.is_closed(number)) {
            loaded.shelf.segments.insert(number, segment);
            loaded.etags.segments.insert(number, etag);
        }
        Ok(loaded)
    }

    async fn load(&self, account: &AccountId) -> Result<Loaded, Error> {
        let book = self
            .sidecar
            .get_state(STATE, &book_key(account))
            .await?
            .map(read::<Book>)
            .transpose()?;
        let (book, etag) = book.map_or_else(Default::default, |(book, etag)| (book, Some(etag)));
        Ok(Loaded {
            shelf: Shelf::new(book),
            etags: Etags {
                book: etag,
                ..Etags::default()
            },
        })
    }

    /// Reads the segments that the command needs and that are not there yet. Most commands need one round; one that sets
    /// a parent may need one more for each task above it, and those are few.
    async fn complete(
        &self,
        account: &AccountId,
        mut loaded: Loaded,
        command: &Command,
    ) -> Result<Loaded, Error> {
        loop {
            let missing = loaded.shelf.missing(command);
            if missing.is_empty() || !self.fill(account, &mut loaded, missing).await? {
                return Ok(loaded);
            }
        }
    }

    /// Reads segments; tells whether all of them were there.
    async fn fill(
        &self,
        account: &AccountId,
        loaded: &mut Loaded,
        numbers: Vec<SegmentNumber>,
    ) -> Result<bool, Error> {
        let wanted = numbers.len();
        let read: Vec<_> =
            stream::iter(numbers)
                .map(|number| async move {
                    Ok::<_, Error>((number, self.segment(account, number).await?))
                })
                .buffer_unordered(READERS)
                .try_collect()
                .await?;
        let mut found = 0;
        for (number, segment) in read {
            if let Some((segment, etag)) = segment {
                loaded.shelf.segments.insert(number, segment);
                loaded.etags.segments.insert(number, etag);
                found += 1;
            }
        }
        Ok(found == wanted)
    }

    async fn segment(
        &self,
        account: &AccountId,
        number: SegmentNumber,
    ) -> Result<Option<(Segment, Etag)>, Error> {
        self.sidecar
            .get_state(STATE, &segment_key(account, number))
            .await?
            .map(read)
            .transpose()
    }
}

fn tokens_of(segment: &Segment) -> Vec<u64> {
    segment.tasks.iter().map(|task| task.id.token).collect()
}

/// What came of a command.
enum Done {
    /// It was carried out.
    Now(Applied),
    /// The same request was answered so before.
    Before(Answered),
}

/// Makes the answer of what came of a command.
pub type Show<'a> = dyn Fn(&Applied) -> Result<Answered, Problem> + Sync + 'a;

/// That an answer is to be kept, and how it comes about.
struct Keeping<'a> {
    once: Once,
    show: &'a Show<'a>,
}

/// An answer that was kept.
#[derive(Deserialize, Serialize)]
struct Kept {
    fingerprint: String,
    answer: Answered,
}

impl Keeping<'_> {
    /// Writes the answer, unless one is there.
    fn operation(&self, applied: &Applied) -> Result<Operation, Failure> {
        let kept = Kept {
            fingerprint: self.once.fingerprint.clone(),
            answer: (self.show)(applied).map_err(Failure::Refused)?,
        };
        let key = self.once.state_key.clone();
        let operation = Operation::guarded(key, &kept, None)
            .map_err(|error| Failure::Refused(Problem::internal(error)))?;
        Ok(operation.expiring(KEPT_SECONDS))
    }
}

/// Why an attempt failed.
enum Failure {
    Rejected(Rejection),
    RingFull,
    Refused(Problem),
    Sidecar(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sidecar(error)
    }
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

fn read<V: DeserializeOwned>(entry: Entry) -> Result<(V, Etag), Error> {
    let value = serde_json::from_slice(&entry.value).map_err(|e| Error::Malformed {
        call: "state get",
        detail: e.to_string(),
    })?;
    Ok((value, entry.etag))
}

/// Other bits for each round of a change.
fn slot_entropy(entropy: Entropy, round: u32) -> u64 {
    (entropy.0 >> 64) as u64 ^ u64::from(round).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// How long to wait before the next round: at most 1, 2, 4 … 32 ms, different for each change.
fn pause(round: u32, entropy: Entropy) -> Duration {
    let ceiling = 1_000_u64 << round.saturating_sub(1).min(5);
    let bits = (entropy.0 as u64).rotate_left(round.wrapping_mul(7));
    Duration::from_micros(bits % ceiling)
}

pub(crate) fn unavailable(error: Error) -> Problem {
    Problem::unavailable(1, describe(&error))
}

/// The error and what caused it, for the log.
pub(crate) fn describe(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
