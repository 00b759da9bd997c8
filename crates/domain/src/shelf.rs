//! An account's tasks in documents of bounded size: a book, and the segments behind it.
//!
//! The book holds the newest segment inline and a directory of the older, closed ones. A small account is one
//! document. A task's id says which segment it was put into, and the directory where that one's tasks are by now; a change
//! writes the book and at most the segments that it touches, and the book's etag guards them all.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::command::BatchErrors;
use crate::event::{self, Actor, Event, EventKind};
use crate::ids::{Entropy, Purpose, SegmentNumber};
use crate::outbox::Taken;
use crate::task::{Priority, Status, Task};
use crate::{
    AccountId, Command, FieldError, FieldErrorCode, Instant, NewTask, Rejection, TaskId, TaskInput,
    parent,
};

pub use allowance::{Allowance, Quota, Spent};
pub use tags::{MAX_ACCOUNT_TAGS, TagCount, Tags};
pub use undo::Kept;

mod allowance;
mod compaction;
mod occurrences;
mod tags;
mod undo;

/// When the inline segment holds as many bytes as this, it is closed before the next task is created.
pub const SEGMENT_BYTES: usize = 24 * 1024;
/// A segment holds at most as many tasks as this, however small they are: it bounds what it can grow to by patches.
pub const SEGMENT_TASKS: usize = 64;
/// An account holds at most as many tasks as this.
pub const MAX_TASKS: u64 = 200_000;
/// How many transactions the book remembers, so that a writer who got no answer can tell whether its change is in.
const RECENT: usize = 64;

/// The state key of an account's book.
pub fn book_key(account: &AccountId) -> String {
    format!("book:{account}")
}

/// The state key of one of an account's closed segments.
pub fn segment_key(account: &AccountId, number: SegmentNumber) -> String {
    format!("segment:{account}:{number}")
}

/// The document that every change of an account goes through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Book {
    /// The sequence number of the account's last event.
    pub seq: u64,
    /// The directory: what is in each closed segment, by its number; nothing at all in one that was put into another.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        serialize_with = "compaction::write",
        deserialize_with = "compaction::read"
    )]
    pub closed: Vec<Closed>,
    /// The newest segment; its number is the directory's length.
    #[serde(default)]
    pub newest: Segment,
    /// The tags that tasks have, with how many.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Tombstones up to this sequence number may have been dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forgotten: u64,
    /// How often that was done.
    #[serde(default, skip_serializing_if = "is_none_yet")]
    pub forgettings: u32,
    /// The outbox slot that the last change took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<Taken>,
    /// How often it was changed of late.
    #[serde(default, skip_serializing_if = "Spent::is_nothing")]
    pub spent: Spent,
    /// When the account was deleted, if it was: then it has nothing, and gets nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Instant>,
    /// The ids of the last transactions that changed it, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<String>,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn is_none_yet(number: &u32) -> bool {
    *number == 0
}

/// What the directory says of a closed segment: open tasks, done tasks, the highest and the lowest sequence number of
/// the last changes of its tasks and of its tombstones.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct Closed(pub u32, pub u32, pub u64, #[serde(default)] pub u64);

impl Closed {
    /// How many tasks of a status the segment has; `None` means either.
    pub fn count(&self, status: Option<Status>) -> u64 {
        u64::from(match status {
            Some(Status::Open) => self.0,
            Some(Status::Done) => self.1,
            None => self.0 + self.1,
        })
    }
}

/// Some of an account's tasks, in the order of their creation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Segment {
    /// The tasks.
    #[serde(default)]
    pub tasks: Vec<Task>,
    /// The tasks that were deleted, for clients that catch up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<Tombstone>,
    /// The account's sequence number when another segment was put into this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub merged: u64,
}

/// The sequence number of a deletion, and what was deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Tombstone(pub u64, pub TaskId);

impl Segment {
    /// The task of this id.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.tasks.iter().find(|task| task.id == id)
    }

    /// The sequence number of the last change that it shows.
    pub fn last(&self) -> u64 {
        self.seqs().max().unwrap_or(0).max(self.merged)
    }

    fn seqs(&self) -> impl Iterator<Item = u64> {
        let changed = self.tasks.iter().map(|t| t.seq);
        changed.chain(self.deleted.iter().map(|t| t.0))
    }

    fn summary(&self) -> Closed {
        let open = self
            .tasks
            .iter()
            .filter(|t| t.status() == Status::Open)
            .count();
        Closed(
            open as u32,
            (self.tasks.len() - open) as u32,
            self.last(),
            self.seqs().min().unwrap_or(0),
        )
    }

    fn is_full(&self) -> bool {
        self.tasks.len() + self.deleted.len() >= SEGMENT_TASKS
            || self.tasks.iter().map(Task::stored_size).sum::<usize>() >= SEGMENT_BYTES
    }
}

impl Book {
    /// The number of the inline segment.
    pub fn newest_number(&self) -> SegmentNumber {
        self.closed.len() as SegmentNumber
    }

    /// How many tasks of a status the account has; `None` means either.
    pub fn total(&self, status: Option<Status>) -> u64 {
        self.closed.iter().map(|c| c.count(status)).sum::<u64>()
            + self.newest.summary().count(status)
    }
}

/// An account's book and those of its closed segments that were loaded, with a note of which have changed.
#[derive(Clone, Debug, Default)]
pub struct Shelf {
    /// The book.
    pub book: Book,
    /// Closed segments that were loaded or closed just now, by number.
    pub segments: BTreeMap<SegmentNumber, Segment>,
    /// Which of the segments must be written.
    pub changed: BTreeSet<SegmentNumber>,
    /// Which were put into others, and must be removed.
    pub removed: BTreeSet<SegmentNumber>,
    /// Closed segments that have less than before.
    shrunk: BTreeSet<SegmentNumber>,
}

/// What the rules are told about the world.
#[derive(Clone, Debug)]
pub struct Context {
    /// Whose tasks.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// The time.
    pub now: Instant,
    /// Random bits, fresh for each change.
    pub entropy: Entropy,
    /// The version that the client demands of the task (If-Match).
    pub if_version: Option<u64>,
    /// Knows recurrence rules: gives the canonical spelling of one, or says what is wrong with it, in words for the person
    /// who wrote it.
    pub check_rule: CheckRule,
    /// How often who asks may change something.
    pub allowance: Allowance,
}

/// See [`Context::check_rule`].
pub type CheckRule = fn(&str) -> Result<String, String>;

impl Context {
    /// The context of one of several changes at once: each draws ids of its own.
    fn nth(&self, n: usize) -> Self {
        let own = self.entropy.derive(Purpose::Task, n as u64);
        Self {
            entropy: Entropy(self.entropy.0 ^ u128::from(own)),
            ..self.clone()
        }
    }
}

/// What came of a command that was accepted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Applied {
    /// The tasks that the command was about, as they now are; a deleted one as it last was. Of a batch one for each
    /// operation, as that left it.
    pub tasks: Vec<Task>,
    /// The events, in order; none when nothing changed.
    pub events: Vec<Event>,
    /// How many tasks of an import were there already.
    pub skipped: usize,
    /// Where to go on, if a command that goes through all segments has not come to the end.
    pub rest: Option<SegmentNumber>,
}

impl Book {
    /// What is left of the book of an account that was deleted when its segments are gone.
    pub fn tombstone(&self) -> Self {
        Self {
            seq: self.seq,
            gone: self.gone,
            ..Self::default()
        }
    }
}

impl Shelf {
    /// A shelf with nothing but a book on it.
    pub fn new(book: Book) -> Self {
        Self {
            book,
            ..Self::default()
        }
    }

    /// The closed segments that must be loaded before the command can be applied. Which are needed of what is above a
    /// parent shows only when the parent is there: so this is to be asked again, until it gives none.
    pub fn missing(&self, command: &Command) -> Vec<SegmentNumber> {
        let closed = 0..self.book.newest_number();
        let wanted: BTreeSet<SegmentNumber> = match command {
            // What was in a segment that was not looked through may have gone into one that was.
            Command::Import { scanned, .. } => (self.book.home(*scanned)..closed.end).collect(),
            Command::Batch(commands) => commands
                .iter()
                .filter_map(Command::task)
                .map(|id| self.place(id))
                .collect(),
            Command::Retag { tag, from, .. } => self.with_tag(tag, *from).collect(),
            one => one.task().map(|id| self.place(id)).into_iter().collect(),
        };
        let above = command.parents().into_iter().flat_map(|parent| {
            let chain = parent::chain(parent, |id| self.task(id));
            chain.map(|(id, _)| self.place(id))
        });
        let mut wanted: Vec<SegmentNumber> = wanted
            .into_iter()
            .chain(above)
            .chain(self.neighbours(command))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        wanted.retain(|n| self.is_closed(*n) && !self.segments.contains_key(n));
        wanted
    }

    /// Whether a closed segment of this number is there.
    pub fn is_closed(&self, number: SegmentNumber) -> bool {
        number < self.book.newest_number() && self.book.home(number) == number
    }

    /// The task of this id, if its segment is loaded and has it.
    pub fn task(&self, id: TaskId) -> Option<&Task> {
        self.segment(self.place(id))?.task(id)
    }

    /// The inline segment or a loaded one.
    pub fn segment(&self, number: SegmentNumber) -> Option<&Segment> {
        if number == self.book.newest_number() {
            Some(&self.book.newest)
        } else {
            self.segments.get(&number)
        }
    }

    /// Carries out a command of which nothing is [missing](Self::missing).
    ///
    /// # Errors
    /// A [`Rejection`]; the shelf may then be half changed, and is to be thrown away.
    pub fn apply(&mut self, command: &Command, context: &Context) -> Result<Applied, Rejection> {
        match command {
            _ if self.book.gone.is_none() => {}
            Command::Recur { .. } => return Ok(Applied::default()),
            _ => return Err(Rejection::Gone),
        }
        let applied = self.carry_out(command, context)?;
        let changes = u32::try_from(applied.events.len()).unwrap_or(u32::MAX);
        if changes > 0 {
            self.book
                .spent
                .take(&context.allowance, changes, context.now)?;
        }
        self.compact();
        Ok(applied)
    }

    fn carry_out(&mut self, command: &Command, context: &Context) -> Result<Applied, Rejection> {
        let applied = match command {
            Command::Create(input) => {
                let new = NewTask {
                    input: input.clone(),
                    token: context.entropy.derive(Purpose::Task, 0),
                    ..NewTask::default()
                };
                let (task, event) = self.create(&new, context)?;
                Applied {
                    tasks: vec![task],
                    events: vec![event],
                    ..Applied::default()
                }
            }
            Command::Import { tasks, .. } => self.import(tasks, context)?,
            Command::Update(id, input) => self.update(*id, input, context)?,
            Command::Complete(id) => self.set_done(*id, Some(context.now), context)?,
            Command::Reopen(id) => self.set_done(*id, None, context)?,
            Command::Delete(id) => self.delete(*id, context)?,
            Command::Recur { task, next } => self.recur(*task, *next, context)?,
            Command::Undo(event) => self.undo(event, context)?,
            Command::Retag { tag, to, from } => self.retag(tag, to.as_deref(), *from, context),
            Command::Batch(commands) => self.batch(commands, context)?,
        };
        Ok(applied)
    }

    /// Notes in the book that a change was made and which outbox slot holds its events; gives the slot before it.
    pub fn seal(&mut self, taken: Taken) -> Option<Taken> {
        let recent = &mut self.book.recent;
        recent.push(taken.change.clone());
        let surplus = recent.len().saturating_sub(RECENT);
        recent.drain(..surplus);
        self.book.tail.replace(taken)
    }

    fn create(&mut self, new: &NewTask, context: &Context) -> Result<(Task, Event), Rejection> {
        let mut task = Task {
            due: new.known.due.clone(),
            reminders: new.known.reminders.clone(),
            recurrence: new.known.recurrence.clone(),
            ..self.blank(new.token, context)?
        };
        task.created_at = new.created_at.unwrap_or(context.now);
        task.updated_at = new.updated_at.unwrap_or(context.now);
        task.completed_at = new.done.then(|| new.completed_at.unwrap_or(context.now));
        new.input.apply_to(&mut task, context, |id| self.task(id))?;
        self.add(task, context)
    }

    /// A task with nothing in it yet, but with its place and its number.
    fn blank(&mut self, token: u64, context: &Context) -> Result<Task, Rejection> {
        if self.book.total(None) >= MAX_TASKS {
            return Err(Rejection::Full { max: MAX_TASKS });
        }
        if self.book.newest.is_full() {
            self.close();
        }
        self.book.seq += 1;
        let seq = self.book.seq;
        Ok(Task {
            id: TaskId::new(self.book.newest_number(), token),
            title: String::new(),
            description: String::new(),
            priority: Priority::default(),
            tags: Vec::new(),
            due: None,
            reminders: Vec::new(),
            recurrence: None,
            parent_id: None,
            position: None,
            created_seq: seq,
            seq,
            created_at: context.now,
            updated_at: context.now,
            completed_at: None,
        })
    }

    /// Puts a task that was [`Self::blank`] into the inline segment.
    fn add(&mut self, task: Task, context: &Context) -> Result<(Task, Event), Rejection> {
        let before = self.book.tags.len();
        self.book.tags.add(&task);
        self.check_tags(before)?;
        self.book.newest.tasks.push(task.clone());
        let event = self.event(EventKind::TaskCreated, &task, None, context);
        Ok((task, event))
    }

    fn import(&mut self, tasks: &[NewTask], context: &Context) -> Result<Applied, Rejection> {
        let mut tokens: HashSet<u64> = std::iter::once(&self.book.newest)
            .chain(self.segments.values())
            .flat_map(|segment| segment.tasks.iter().map(|task| task.id.token))
            .collect();
        let mut applied = Applied::default();
        for (i, new) in tasks.iter().enumerate() {
            if !tokens.insert(TaskId::new(0, new.token).token) {
                applied.skipped += 1;
                continue;
            }
            let (task, event) = self.create(new, &context.nth(i))?;
            applied.tasks.push(task);
            applied.events.push(event);
        }
        Ok(applied)
    }

    fn batch(&mut self, commands: &[Command], context: &Context) -> Result<Applied, Rejection> {
        let (mut all, mut errors) = (Applied::default(), BatchErrors::default());
        for (i, command) in commands.iter().enumerate() {
            match self.carry_out(command, &context.nth(i)) {
                Ok(applied) => {
                    all.tasks.extend(applied.tasks);
                    all.events.extend(applied.events);
                }
                // The others are looked at all the same, for what is wrong with them.
                Err(rejection) => errors.add(i, rejection)?,
            }
        }
        errors.none().map(|()| all)
    }

    /// Puts the inline segment into the directory and begins a new one.
    fn close(&mut self) {
        let number = self.book.newest_number();
        let segment = std::mem::take(&mut self.book.newest);
        self.book.closed.push(segment.summary());
        self.segments.insert(number, segment);
        self.changed.insert(number);
        self.shrunk.insert(number);
    }

    fn update(
        &mut self,
        id: TaskId,
        input: &TaskInput,
        context: &Context,
    ) -> Result<Applied, Rejection> {
        let old = self.checked(id, context)?;
        let mut new = old.clone();
        input.apply_to(&mut new, context, |id| self.task(id))?;
        let before = self.book.tags.len();
        let applied = self.replace(&old, new, EventKind::TaskUpdated, context);
        self.check_tags(before)?;
        Ok(applied)
    }

    fn set_done(
        &mut self,
        id: TaskId,
        at: Option<Instant>,
        context: &Context,
    ) -> Result<Applied, Rejection> {
        let old = self.checked(id, context)?;
        let mut new = old.clone();
        // A second completion keeps the time of the first.
        if old.completed_at.is_some() != at.is_some() {
            new.completed_at = at;
        }
        let kind = if at.is_some() {
            EventKind::TaskCompleted
        } else {
            EventKind::TaskReopened
        };
        Ok(self.replace(&old, new, kind, context))
    }

    /// Puts `new` in the place of `old`, unless they are the same.
    fn replace(
        &mut self,
        old: &Task,
        mut new: Task,
        kind: EventKind,
        context: &Context,
    ) -> Applied {
        if new == *old {
            return Applied {
                tasks: vec![new],
                ..Applied::default()
            };
        }
        self.book.tags.remove(old);
        self.book.tags.add(&new);
        self.book.seq += 1;
        new.seq = self.book.seq;
        new.updated_at = context.now;
        let place = self.place(new.id);
        if let Some(segment) = self.segment_mut(place)
            && let Some(old) = segment.tasks.iter_mut().find(|task| task.id == new.id)
        {
            old.clone_from(&new);
        }
        self.touched(place);
        let event = self.event(kind, &new, Some(old), context);
        Applied {
            tasks: vec![new],
            events: vec![event],
            ..Applied::default()
        }
    }

    /// Refuses more tags than an account may have, if there were fewer before.
    fn check_tags(&self, before: usize) -> Result<(), Rejection> {
        if self.book.tags.len() > MAX_ACCOUNT_TAGS.max(before) {
            return Err(Rejection::Invalid(vec![FieldError {
                pointer: "/tags".to_owned(),
                code: FieldErrorCode::TooMany,
                detail: format!("an account has at most {MAX_ACCOUNT_TAGS} different tags"),
            }]));
        }
        Ok(())
    }

    fn delete(&mut self, id: TaskId, context: &Context) -> Result<Applied, Rejection> {
        let old = self.checked(id, context)?;
        self.book.tags.remove(&old);
        self.book.seq += 1;
        let seq = self.book.seq;
        let place = self.place(id);
        if let Some(segment) = self.segment_mut(place) {
            segment.tasks.retain(|task| task.id != id);
            segment.deleted.push(Tombstone(seq, id));
        }
        if let Some(segment) = self.segments.get_mut(&place) {
            self.book.forget(segment);
            self.shrunk.insert(place);
        }
        self.touched(place);
        let event = self.event(EventKind::TaskDeleted, &old, None, context);
        Ok(Applied {
            tasks: vec![old],
            events: vec![event],
            ..Applied::default()
        })
    }

    /// The task as it is, if there is one and it is at the version that the client demands.
    fn checked(&self, id: TaskId, context: &Context) -> Result<Task, Rejection> {
        let task = self.task(id).ok_or(Rejection::NotFound)?;
        match context.if_version {
            Some(version) if version != task.seq => Err(Rejection::Stale { current: task.seq }),
            _ => Ok(task.clone()),
        }
    }

    fn segment_mut(&mut self, number: SegmentNumber) -> Option<&mut Segment> {
        if number == self.book.newest_number() {
            Some(&mut self.book.newest)
        } else {
            self.segments.get_mut(&number)
        }
    }

    /// Brings the directory up to date after a change to a segment's tasks.
    fn touched(&mut self, number: SegmentNumber) {
        if let (Some(segment), Some(closed)) = (
            self.segments.get(&number),
            self.book.closed.get_mut(number as usize),
        ) {
            *closed = segment.summary();
            self.changed.insert(number);
        }
    }

    fn event(&self, kind: EventKind, task: &Task, old: Option<&Task>, context: &Context) -> Event {
        Event {
            id: format!("{}-{}", context.entropy.change_id(), self.book.seq),
            kind,
            account: context.account.clone(),
            seq: self.book.seq,
            at: context.now,
            actor: context.actor.clone(),
            task_id: task.id,
            changes: old.map(|old| event::changes(old, task)).unwrap_or_default(),
            task: event::to_value(&task.view()),
            kept: (kind == EventKind::TaskDeleted).then(|| Kept::of(task)),
        }
    }
}

#[cfg(test)]
mod tests;
