//! An account's tags, each with how many open and how many done tasks have it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use crate::task::{Status, Task};

/// The most different tags of an account.
pub const MAX_ACCOUNT_TAGS: usize = 500;

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
