//! Segments of which most is gone are put together, so that the cost of an account follows what it has, not what it had.
//!
//! A closed segment goes into the next lower one that is there: the order of creation holds, and so nothing has to be
//! written down of it. What was in a segment that is gone is in the next lower one that is not.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{SerializeSeq as _, Serializer};
use std::collections::BTreeMap;
use std::fmt;

use super::{Book, Closed, SEGMENT_BYTES, SEGMENT_TASKS, Segment, Shelf};
use crate::ids::SegmentNumber;
use crate::task::Task;
use crate::{Command, EventKind, TaskId};

/// Two segments become one when they have no more tasks than this together.
const ROOM: usize = SEGMENT_TASKS * 3 / 4;
/// A segment that has more tombstones than this forgets the older half.
const TOMBSTONES: usize = 512;

impl Book {
    /// Whether there is a segment of this number. The first one never goes.
    fn is_there(&self, number: SegmentNumber) -> bool {
        let closed = self.closed.get(number as usize);
        number == 0 || closed.is_none_or(|closed| *closed != Closed::default())
    }

    /// The segment where everything is that was ever put into the segment `number`.
    pub fn home(&self, number: SegmentNumber) -> SegmentNumber {
        let mut lower = (0..=number).rev();
        lower.find(|number| self.is_there(*number)).unwrap_or(0)
    }

    /// The next closed segment below one.
    fn below(&self, number: SegmentNumber) -> Option<SegmentNumber> {
        Some(self.home(number.checked_sub(1)?))
    }

    /// The next closed segment above one.
    fn above(&self, number: SegmentNumber) -> Option<SegmentNumber> {
        (number.saturating_add(1)..self.newest_number()).find(|number| self.is_there(*number))
    }

    /// How many tasks a segment has.
    fn tasks_in(&self, number: SegmentNumber) -> usize {
        match self.closed.get(number as usize) {
            Some(closed) => closed.count(None) as usize,
            None => self.newest.tasks.len(),
        }
    }

    /// Drops the older half of too many tombstones.
    pub(super) fn forget(&mut self, segment: &mut Segment) {
        if segment.deleted.len() <= TOMBSTONES {
            return;
        }
        segment
            .deleted
            .sort_unstable_by_key(|tombstone| tombstone.0);
        let surplus = segment.deleted.len() - TOMBSTONES / 2;
        let dropped = segment.deleted.drain(..surplus);
        let last = dropped.map(|tombstone| tombstone.0).max().unwrap_or(0);
        self.forgotten = self.forgotten.max(last);
        self.forgettings = self.forgettings.wrapping_add(1);
    }
}

impl Shelf {
    /// The segments that will perhaps be put together after the command.
    pub(super) fn neighbours(&self, command: &Command) -> Vec<SegmentNumber> {
        let commands = match command {
            Command::Batch(commands) => commands.as_slice(),
            one => std::slice::from_ref(one),
        };
        let newest = self.book.newest_number();
        let (mut made, mut gone) = (0, BTreeMap::<SegmentNumber, usize>::new());
        for command in commands {
            match command {
                Command::Create(_) | Command::Recur { .. } => made += 1,
                Command::Import { tasks, .. } => made += tasks.len(),
                Command::Undo(event) if event.kind == EventKind::TaskCreated => {
                    *gone
                        .entry(self.book.home(event.task_id.segment))
                        .or_default() += 1;
                }
                Command::Delete(id) => *gone.entry(self.book.home(id.segment)).or_default() += 1,
                _ => {}
            }
        }
        let inline = self.book.newest.tasks.len() + self.book.newest.deleted.len() + made;
        if made > 0 && inline >= SEGMENT_TASKS {
            gone.entry(newest).or_default();
        }
        let left = |number| {
            let gone = gone.get(&number).copied().unwrap_or(0);
            self.book.tasks_in(number).saturating_sub(gone)
        };
        let mut wanted = Vec::new();
        for number in gone.keys().copied() {
            let (below, above) = (self.book.below(number), self.book.above(number));
            let is_closing = number == newest && made > 0 && inline >= SEGMENT_TASKS;
            if let Some(below) = below.filter(|_| number < newest || is_closing)
                && (left(number) == 0 || left(number) + left(below) <= ROOM)
            {
                wanted.push(below);
            }
            if let Some(above) = above.filter(|_| number < newest)
                && (left(above) == 0 || left(number) + left(above) <= ROOM)
            {
                wanted.push(above);
            }
        }
        wanted
    }

    /// Puts together what fits, where something went away; only segments that are loaded.
    pub(super) fn compact(&mut self) {
        for number in std::mem::take(&mut self.shrunk).into_iter().rev() {
            let number = self.book.home(number);
            if let Some(above) = self.book.above(number) {
                self.merge(above, number);
            }
            if let Some(below) = self.book.below(number) {
                self.merge(number, below);
            }
        }
    }

    /// Puts a closed segment into the next lower one, if they fit.
    fn merge(&mut self, from: SegmentNumber, into: SegmentNumber) {
        let (Some(upper), Some(lower)) = (self.segments.get(&from), self.segments.get(&into))
        else {
            return;
        };
        let bytes = |segment: &Segment| segment.tasks.iter().map(Task::stored_size).sum::<usize>();
        let fits = upper.tasks.is_empty()
            || (upper.tasks.len() + lower.tasks.len() <= ROOM
                && bytes(upper) + bytes(lower) <= SEGMENT_BYTES);
        if !fits || from >= self.book.newest_number() {
            return;
        }
        let (Some(upper), Some(mut lower)) =
            (self.segments.remove(&from), self.segments.remove(&into))
        else {
            return;
        };
        lower.tasks.extend(upper.tasks);
        lower.deleted.extend(upper.deleted);
        lower.merged = self.book.seq;
        self.book.forget(&mut lower);
        self.segments.insert(into, lower);
        if let Some(closed) = self.book.closed.get_mut(from as usize) {
            *closed = Closed::default();
        }
        self.changed.remove(&from);
        self.removed.insert(from);
        self.touched(into);
    }

    /// Takes a closed segment apart that has more than fits since a task came back to it: what was put into the upper half
    /// of the segments that it is home to gets its own one back.
    pub(super) fn part(&mut self, number: SegmentNumber) {
        let seq = self.book.seq;
        let Some(lower) = self.segments.get_mut(&number) else {
            return;
        };
        let bytes: usize = lower.tasks.iter().map(Task::stored_size).sum();
        if lower.tasks.len() <= SEGMENT_TASKS && bytes <= SEGMENT_BYTES {
            return;
        }
        let middle = lower
            .tasks
            .get(lower.tasks.len() / 2..)
            .into_iter()
            .flatten();
        let mut numbers = middle.map(|task| task.id.segment);
        let Some(at) = numbers.find(|middle| *middle > number) else {
            return;
        };
        let first = lower.tasks.partition_point(|task| task.id.segment < at);
        let (deleted, kept) = std::mem::take(&mut lower.deleted)
            .into_iter()
            .partition(|tombstone| tombstone.1.segment >= at);
        lower.deleted = kept;
        lower.merged = seq;
        let upper = Segment {
            tasks: lower.tasks.split_off(first),
            deleted,
            merged: seq,
        };
        self.removed.remove(&at);
        self.segments.insert(at, upper);
        self.touched(at);
        self.touched(number);
    }

    /// The segment that has a task, if there is one.
    pub(super) fn place(&self, id: TaskId) -> SegmentNumber {
        self.book.home(id.segment)
    }
}

/// Writes the directory, with a number for so many segments on end that are gone.
pub(super) fn write<S: Serializer>(closed: &[Closed], serializer: S) -> Result<S::Ok, S::Error> {
    let mut written = serializer.serialize_seq(None)?;
    for run in closed.chunk_by(|a, b| (*a == Closed::default()) == (*b == Closed::default())) {
        if run.first() == Some(&Closed::default()) {
            written.serialize_element(&run.len())?;
        } else {
            for closed in run {
                written.serialize_element(closed)?;
            }
        }
    }
    written.end()
}

/// Reads what [`write`] wrote.
pub(super) fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Closed>, D::Error> {
    Ok(Directory::deserialize(deserializer)?.0)
}

struct Directory(Vec<Closed>);

impl<'de> Deserialize<'de> for Directory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Directory;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a directory of segments")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Directory, A::Error> {
                let mut closed = Vec::new();
                while let Some(entry) = entries.next_element()? {
                    match entry {
                        Entry::There(one) => closed.push(one),
                        Entry::Gone(many) => closed.extend((0..many).map(|_| Closed::default())),
                    }
                }
                Ok(Directory(closed))
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}

enum Entry {
    There(Closed),
    Gone(u32),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a segment's entry, or how many segments are gone")
            }

            fn visit_u64<E: serde::de::Error>(self, many: u64) -> Result<Entry, E> {
                u32::try_from(many).map(Entry::Gone).map_err(E::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, fields: A) -> Result<Entry, A::Error> {
                let fields = serde::de::value::SeqAccessDeserializer::new(fields);
                Closed::deserialize(fields).map(Entry::There)
            }
        }
        deserializer.deserialize_any(Either)
    }
}
