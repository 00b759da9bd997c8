//! Logs in Dapr state.

use docket_domain::audit::{
    Added, Entry, Log, Pages, Place, Query, SPANS, Span, Verified, Verifier, directory_key,
    log_key, page_key, task_key, task_pages_key,
};
use docket_domain::{AccountId, Event, Instant, TaskId};
use docket_service::Runtime;
use docket_sidecar::{Document, Error, Operation, Sidecar, creation};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use std::collections::BTreeMap;
use std::time::Duration;

/// The Dapr state store.
const STATE: &str = "state";
/// How long one call to the sidecar may take.
const CALL: Duration = Duration::from_secs(4);
/// How often events are added anew because another instance was faster, before they are delivered again.
const ROUNDS: u32 = 5;
/// Half of the longest pause before the first of these; each is longer than the one before.
const PAUSE: Duration = Duration::from_millis(1);
/// How many pages one call reads.
const TOGETHER: usize = 16;
/// How many pages a list looks at in one call: it often needs one or two.
const A_FEW: usize = 4;
/// How many pages a list looks through; whoever wants more goes on with its cursor.
const MOST: usize = 64;

/// Reads and extends logs.
#[derive(Clone)]
pub struct Store<R> {
    runtime: R,
    sidecar: Sidecar<R>,
}

/// A part of a log.
pub struct Part {
    /// The entries.
    pub entries: Vec<Entry>,
    /// Where to go on, unless all was looked through.
    pub next: Option<Place>,
}

impl<R: Runtime> Store<R> {
    pub(crate) fn new(runtime: R, sidecar: Sidecar<R>) -> Self {
        Self {
            runtime,
            sidecar: sidecar.within(CALL),
        }
    }

    /// Adds events to an account's log, in one transaction; what is there already is left out.
    ///
    /// # Errors
    /// The sidecar's; the events may be there all the same.
    pub async fn add(&self, account: &AccountId, events: &[&Event]) -> Result<(), Error> {
        let mut round = 0;
        loop {
            round += 1;
            match self.try_to_add(account, events).await {
                Err(Error::Refused { .. }) if round < ROUNDS => {
                    self.runtime.pause(PAUSE * (1 << round)).await;
                }
                done => return done,
            }
        }
    }

    async fn try_to_add(&self, account: &AccountId, events: &[&Event]) -> Result<(), Error> {
        let mut log = self.log(account).await?;
        let mut added = Added::default();
        for event in events {
            log.value.add(event, &mut added);
        }
        if added.entries == 0 {
            return Ok(());
        }
        let mut operations = vec![log.write()?];
        for (number, entries) in &added.pages {
            operations.push(creation(page_key(account, *number), entries)?);
        }
        for (number, spans) in &added.directory {
            operations.push(creation(directory_key(account, *number), spans)?);
        }
        operations.extend(self.index(account, &added).await?);
        self.sidecar.transact(STATE, &operations).await
    }

    /// The writing of what the tasks' indexes have not yet.
    async fn index(&self, account: &AccountId, added: &Added) -> Result<Vec<Operation>, Error> {
        let tasks = added.tasks();
        if tasks.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<String> = tasks.keys().map(|task| task_key(account, *task)).collect();
        let indexes = self.sidecar.documents::<Pages<u32>>(STATE, &keys).await?;
        let mut operations = Vec::with_capacity(keys.len());
        for ((task, pages), mut index) in tasks.into_iter().zip(indexes) {
            for page in pages {
                if let Some((number, full)) = index.value.note(page) {
                    operations.push(creation(task_pages_key(account, task, number), &full)?);
                }
            }
            operations.push(index.write()?);
        }
        Ok(operations)
    }

    /// The entries that are asked for.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn part(&self, account: &AccountId, query: &Query) -> Result<Part, Error> {
        let log = self.log(account).await?.value;
        let mut part = Part {
            entries: Vec::new(),
            next: None,
        };
        let numbers = query.ahead(self.candidates(account, &log, query).await?);
        let mut left = numbers.len();
        for few in numbers.chunks(A_FEW) {
            for (number, entries) in self.pages(account, &log, few).await? {
                left -= 1;
                let mut found = query.of_page(number, &entries).into_iter().peekable();
                while let Some((place, entry)) = found.next() {
                    part.entries.push(entry.clone());
                    if part.entries.len() >= query.limit {
                        let is_over = found.peek().is_none() && left == 0;
                        part.next = (!is_over).then_some(place);
                        return Ok(part);
                    }
                }
                if numbers.len() - left >= MOST && left > 0 {
                    part.next = Some(query.end_of(number));
                    return Ok(part);
                }
            }
        }
        Ok(part)
    }

    /// The numbers of the pages in which there may be what is asked for, that of the open one included.
    async fn candidates(
        &self,
        account: &AccountId,
        log: &Log,
        query: &Query,
    ) -> Result<Vec<u32>, Error> {
        let sealed = log.pages.sealed;
        let filter = &query.filter;
        let mut numbers: Vec<u32> = match filter.task {
            Some(task) => self.pages_of(account, task).await?,
            None => (0..sealed).collect(),
        };
        // The index was read after the log, and may know of later pages.
        numbers.retain(|number| *number < sealed);
        if filter.from.is_some() || filter.to.is_some() {
            let spans = self.spans(account, log, &numbers).await?;
            numbers.retain(|number| {
                let span = spans.get(number);
                span.is_none_or(|span| span.meets(filter.from, filter.to))
            });
        }
        numbers.push(sealed);
        Ok(numbers)
    }

    /// The sealed pages with entries of a task, in order.
    async fn pages_of(&self, account: &AccountId, task: TaskId) -> Result<Vec<u32>, Error> {
        let index: Document<Pages<u32>> = self
            .sidecar
            .document(STATE, task_key(account, task))
            .await?;
        let keys = (0..index.value.sealed).map(|n| task_pages_key(account, task, n));
        let mut numbers = Vec::new();
        for keys in keys.collect::<Vec<_>>().chunks(TOGETHER) {
            let full = self.sidecar.documents::<Vec<u32>>(STATE, keys).await?;
            numbers.extend(full.into_iter().flat_map(|page| page.value));
        }
        numbers.extend(index.value.open);
        Ok(numbers)
    }

    /// The spans of sealed pages.
    async fn spans(
        &self,
        account: &AccountId,
        log: &Log,
        numbers: &[u32],
    ) -> Result<BTreeMap<u32, Span>, Error> {
        let size = SPANS as u32;
        let mut wanted: Vec<u32> = numbers.iter().map(|number| number / size).collect();
        wanted.dedup();
        wanted.retain(|directory| *directory < log.spans.sealed);
        let mut spans = BTreeMap::new();
        for wanted in wanted.chunks(TOGETHER) {
            let keys: Vec<String> = wanted.iter().map(|n| directory_key(account, *n)).collect();
            let read = self.sidecar.documents::<Vec<Span>>(STATE, &keys).await?;
            for (directory, full) in wanted.iter().zip(read) {
                spans.extend((directory * size..).zip(full.value));
            }
        }
        spans.extend((log.spans.sealed * size..).zip(log.spans.open.iter().copied()));
        Ok(spans)
    }

    /// Pages by their numbers, in that order; one that is gone has no entries.
    async fn pages(
        &self,
        account: &AccountId,
        log: &Log,
        numbers: &[u32],
    ) -> Result<Vec<(u32, Vec<Entry>)>, Error> {
        let sealed = |number: &&u32| **number < log.pages.sealed;
        let keys: Vec<String> = numbers
            .iter()
            .filter(sealed)
            .map(|number| page_key(account, *number))
            .collect();
        let mut read = match keys.as_slice() {
            [] => Vec::new(),
            keys => self.sidecar.documents::<Vec<Entry>>(STATE, keys).await?,
        }
        .into_iter();
        let entries = |number: &u32| {
            let entries = match *number < log.pages.sealed {
                true => read.next().map(|page| page.value).unwrap_or_default(),
                false => log.pages.open.clone(),
            };
            (*number, entries)
        };
        Ok(numbers.iter().map(entries).collect())
    }

    /// Whether the account's log is as it was written. It is read page by page.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn verify(&self, account: &AccountId) -> Result<Verified, Error> {
        let log = self.log(account).await?.value;
        let numbers: Vec<u32> = (0..=log.pages.sealed).collect();
        let mut verifier = Verifier::default();
        let parts: Vec<Vec<u32>> = numbers.chunks(TOGETHER).map(<[u32]>::to_vec).collect();
        let read = async |numbers: Vec<u32>| self.pages(account, &log, &numbers).await;
        let mut pages = stream::iter(parts).map(read).buffered(2);
        while let Some(pages) = pages.try_next().await? {
            let entries = pages.iter().flat_map(|(_, entries)| entries);
            entries.for_each(|entry| verifier.take(entry));
        }
        if self.goes_on(account, &log).await? {
            verifier.cut_off();
        }
        Ok(verifier.finish_at(&log))
    }

    /// Whether there is a page that the log does not know of: then the log is an older one, put back.
    async fn goes_on(&self, account: &AccountId, log: &Log) -> Result<bool, Error> {
        let next = page_key(account, log.pages.sealed);
        if self.sidecar.get_state(STATE, &next).await?.is_none() {
            return Ok(false);
        }
        // Most likely it was sealed since the log was read.
        let now = self.log(account).await?.value;
        Ok(now.pages.sealed == log.pages.sealed)
    }

    /// The entry of an event of a task, and whether the event of that sequence number has come.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn entry(
        &self,
        account: &AccountId,
        task: TaskId,
        event_id: &str,
        seq: u64,
    ) -> Result<(Option<Entry>, bool), Error> {
        let log = self.log(account).await?.value;
        if !log.has(seq) {
            return Ok((None, false));
        }
        let is_it =
            |entry: &&Entry| entry.content.event_id == event_id && entry.content.task_id == task;
        if let Some(entry) = log.pages.open.iter().find(is_it) {
            return Ok((Some(entry.clone()), true));
        }
        let mut numbers = self.pages_of(account, task).await?;
        numbers.retain(|number| *number < log.pages.sealed);
        numbers.reverse();
        for numbers in numbers.chunks(TOGETHER) {
            for (_, entries) in self.pages(account, &log, numbers).await? {
                if let Some(entry) = entries.iter().find(is_it) {
                    return Ok((Some(entry.clone()), true));
                }
            }
        }
        Ok((None, true))
    }

    /// Takes out of the log of an account that was deleted what it told, and ends it. The chain of hashes stays, and holds.
    /// It can be begun anew wherever it was cut off.
    ///
    /// # Errors
    /// The sidecar's.
    pub async fn forget(&self, account: &AccountId, at: Instant) -> Result<(), Error> {
        let mut log = self.log(account).await?;
        if log.value.gone.is_none() {
            log.value.end(at);
            self.sidecar.transact(STATE, &[log.write()?]).await?;
        }
        let keys: Vec<String> = (0..log.value.pages.sealed)
            .map(|number| page_key(account, number))
            .collect();
        for keys in keys.chunks(TOGETHER) {
            let mut pages = self.sidecar.documents::<Vec<Entry>>(STATE, keys).await?;
            pages.retain(|page| page.value.iter().any(|entry| !entry.redacted));
            let redacted: Vec<Operation> = pages
                .iter_mut()
                .map(|page| {
                    page.value.iter_mut().for_each(Entry::redact);
                    page.write()
                })
                .collect::<Result<_, _>>()?;
            if !redacted.is_empty() {
                self.sidecar.transact(STATE, &redacted).await?;
            }
        }
        Ok(())
    }

    async fn log(&self, account: &AccountId) -> Result<Document<Log>, Error> {
        self.sidecar.document(STATE, log_key(account)).await
    }
}
