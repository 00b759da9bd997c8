//! Reading and changing an account's shelf in Dapr state.

use docket_domain::changes;
use docket_domain::find::{Page, Query, Segments};
use docket_domain::idempotency::Once;
use docket_domain::ids::SegmentNumber;
use docket_domain::shelf::{Applied, Book, Segment, book_key, segment_key};
use docket_domain::task::Status;
use docket_domain::{AccountId, Command, Instant, Rejection, Shelf, Task, TaskId};
use docket_service::{Caller, Problem, Runtime};
use docket_sidecar::{Document, Entry, Error, Etag, Sidecar};
use futures::future::join;
use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::outbox::Outbox;
use crate::routes::once::Answered;
use cache::Cache;
use commit::{Change, Done, Keeping, Show};
use line::Line;

mod cache;
mod commit;
mod line;

/// The Dapr state store.
pub const STATE: &str = "state";
/// How long one call to the sidecar may take.
const CALL: Duration = Duration::from_millis(1_000);
/// How many segments are read ahead of an export's reader.
const EXPORT_READERS: usize = 4;
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
    line: Line<R, Change>,
    cache: Cache,
}

impl<R: Runtime> Store<R> {
    pub(crate) fn new(runtime: R, sidecar: Sidecar<R>, outbox: Outbox<R>) -> Self {
        Self {
            line: Line::new(runtime.clone()),
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
            let applied = self.change(caller, None, command).await?;
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
        let segment = Arc::new(read::<Segment>(&entry)?.0);
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
        command: Command,
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
        command: Command,
        show: impl Fn(&Applied) -> Result<Answered, Problem> + Send + Sync + 'static,
    ) -> Result<Answered, Problem> {
        let show: Arc<Show> = Arc::new(show);
        let keeping = once.map(|once| Keeping {
            once,
            show: show.clone(),
        });
        match self.carry_out(caller, None, command, keeping).await? {
            Done::Now(applied) => show(&applied),
            Done::Before(answered) => Ok(answered),
        }
    }

    /// Forgets an account that was deleted; nothing of it is stored any more. It can be begun anew wherever it was cut off:
    /// the book has the directory until the segments are gone.
    ///
    /// # Errors
    /// The sidecar's; a refusal if something was changed meanwhile.
    pub async fn forget(&self, account: &AccountId, at: Instant) -> Result<(), Error> {
        let key = || book_key(account);
        let mut book: Document<Book> = self.sidecar.document(STATE, key()).await?;
        if book.value.gone.is_none() {
            book.value.gone = Some(at);
            self.sidecar.transact(STATE, &[book.write()?]).await?;
            book = self.sidecar.document(STATE, key()).await?;
        }
        let segments: Vec<String> = (0..book.value.newest_number())
            .map(|number| segment_key(account, number))
            .collect();
        self.sidecar.remove(STATE, &segments).await?;
        let tombstone = book.value.tombstone();
        if book.value == tombstone {
            return Ok(());
        }
        book.value = tombstone;
        self.sidecar.transact(STATE, &[book.write()?]).await
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
            .as_ref()
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
            .as_ref()
            .map(read)
            .transpose()
    }
}

fn tokens_of(segment: &Segment) -> Vec<u64> {
    segment.tasks.iter().map(|task| task.id.token).collect()
}

fn read<V: DeserializeOwned>(entry: &Entry) -> Result<(V, Etag), Error> {
    let value = serde_json::from_slice(&entry.value).map_err(|e| Error::Malformed {
        call: "state get",
        detail: e.to_string(),
    })?;
    Ok((value, entry.etag.clone()))
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
