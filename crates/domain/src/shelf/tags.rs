//! An account's tags, each with how many open and how many done tasks have it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Applied, Context, Shelf};
use crate::event::EventKind;
use crate::ids::SegmentNumber;
use crate::task::{Status, Task};

/// The most different tags of an account.
pub const MAX_ACCOUNT_TAGS: usize = 500;
/// So many closed segments are looked through in one transaction.
const SEGMENTS: SegmentNumber = 64;
/// About so many tasks get another tag in one transaction, and so many bytes are written: a segment more at most.
const TASKS: usize = 136;
const BYTES: usize = 2 * 1024 * 1024;

/// The tags that tasks have, by name, as they are written: `Home` and `home` are two.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tags(BTreeMap<String, TagCount>);

/// How many open tasks have a tag, and how many done ones.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub struct TagCount(pub u32, pub u32);

impl Tags {
    /// The tags in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, TagCount)> {
        self.0.iter().map(|(name, count)| (name.as_str(), *count))
    }

    /// How many different tags there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether no task has a tag.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a task has this tag.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Counts a task in.
    pub(super) fn add(&mut self, task: &Task) {
        for tag in &task.tags {
            match self.0.get_mut(tag) {
                Some(count) => *count.of(task) += 1,
                None => *self.0.entry(tag.clone()).or_default().of(task) += 1,
            }
        }
    }

    /// Counts a task out. A tag that no task has is forgotten.
    pub(super) fn remove(&mut self, task: &Task) {
        for tag in &task.tags {
            if let Some(count) = self.0.get_mut(tag) {
                let of = count.of(task);
                *of = of.saturating_sub(1);
                if *count == TagCount::default() {
                    self.0.remove(tag);
                }
            }
        }
    }
}

impl TagCount {
    fn of(&mut self, task: &Task) -> &mut u32 {
        match task.status() {
            Status::Open => &mut self.0,
            Status::Done => &mut self.1,
        }
    }
}

impl Shelf {
    /// The closed segments from `from` on that are looked through for a tag.
    pub(super) fn with_tag(
        &self,
        tag: &str,
        from: SegmentNumber,
    ) -> impl Iterator<Item = SegmentNumber> {
        let end = if self.book.tags.contains(tag) {
            self.book.newest_number().min(from.saturating_add(SEGMENTS))
        } else {
            from
        };
        from..end
    }

    /// Puts `to` in the place of a tag.
    pub(super) fn retag(
        &mut self,
        tag: &str,
        to: Option<&str>,
        from: SegmentNumber,
        context: &Context,
    ) -> Applied {
        let (mut applied, mut bytes) = (Applied::default(), 0);
        if !self.book.tags.contains(tag) || to == Some(tag) {
            return applied;
        }
        let newest = self.book.newest_number();
        let end = newest.min(from.saturating_add(SEGMENTS));
        for number in from..=newest {
            if applied.events.len() > TASKS || bytes > BYTES || (number == end && end < newest) {
                applied.rest = Some(number);
                break;
            }
            let tagged: Vec<Task> = self
                .segment(number)
                .into_iter()
                .flat_map(|segment| &segment.tasks)
                .filter(|task| task.tags.iter().any(|other| other == tag))
                .cloned()
                .collect();
            if let (Some(segment), false) = (self.segment(number), tagged.is_empty()) {
                bytes += segment.tasks.iter().map(Task::stored_size).sum::<usize>();
            }
            for old in tagged {
                let mut new = old.clone();
                let has_it = to.is_some_and(|to| new.tags.iter().any(|other| other == to));
                match to {
                    Some(to) if !has_it => {
                        for name in new.tags.iter_mut().filter(|name| *name == tag) {
                            to.clone_into(name);
                        }
                    }
                    _ => new.tags.retain(|name| name != tag),
                }
                let one = self.replace(&old, new, EventKind::TaskUpdated, context);
                bytes += old.stored_size();
                applied.events.extend(one.events);
                applied.tasks.extend(one.tasks);
            }
        }
        applied
    }
}
