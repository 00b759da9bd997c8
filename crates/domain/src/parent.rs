//! The task that another one is part of.
//!
//! A parent is a weak reference. The rules are looked at where it is set, and only upwards from there; whatever happens
//! to the parent afterwards leaves its children as they are. A task that moves takes its own children along, so chains
//! may become longer than [`MAX_DEPTH`] below it. What is above a task is a chain with an end all the same: each link was
//! found not to close a circle when it was made, and ids are never another task's.

use std::iter::successors;

use crate::TaskId;
use crate::task::{MAX_DEPTH, Task};

/// The tasks from `first` upwards, as far as `find` knows them, and the first one that it does not know; at most one
/// more than may be above a task.
pub(crate) fn chain<'a>(
    first: TaskId,
    find: impl Fn(TaskId) -> Option<&'a Task>,
) -> impl Iterator<Item = (TaskId, Option<&'a Task>)> {
    let begin = (first, find(first));
    successors(Some(begin), move |(_, task)| {
        let above = (*task)?.parent_id?;
        Some((above, find(above)))
    })
    .take(MAX_DEPTH + 1)
}

/// Checks that `parent` may be the parent of `child`.
///
/// # Errors
/// Why not, in words.
pub(crate) fn check<'a>(
    parent: TaskId,
    child: TaskId,
    find: impl Fn(TaskId) -> Option<&'a Task>,
) -> Result<(), String> {
    if parent == child {
        return Err("a task is not its own parent".to_owned());
    }
    for (above, (id, task)) in chain(parent, find).enumerate() {
        if id == child {
            return Err("the parent is below this task".to_owned());
        }
        match task {
            None if above == 0 => return Err(UNKNOWN.to_owned()),
            Some(_) if above == MAX_DEPTH => {
                return Err(format!("a task has at most {MAX_DEPTH} tasks above it"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Of an id that no task of the account has; whether another account has it, or none can, makes no difference.
pub(crate) const UNKNOWN: &str = "there is no such task";

#[cfg(test)]
mod tests;
