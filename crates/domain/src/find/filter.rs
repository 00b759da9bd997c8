//! Which tasks a list shows.

use chrono_tz::Tz;

use super::search::Search;
use crate::task::{Priority, Status, Task};
use crate::{Instant, TaskId};

/// What a task has to be to be shown: all of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    /// Of this status; `None` means either.
    pub status: Option<Status>,
    /// What it has to say.
    pub search: Search,
    /// Of one of these priorities; none means any.
    pub priorities: Vec<Priority>,
    /// With all of these tags.
    pub tags: Vec<String>,
    /// Due at this instant or later.
    pub due_after: Option<Instant>,
    /// Due before this instant.
    pub due_before: Option<Instant>,
    /// Whether it is open and should have been done by now.
    pub overdue: Option<bool>,
    /// Whether it comes back.
    pub recurring: Option<bool>,
    /// Directly below this task, whether it is there or not.
    pub parent: Option<TaskId>,
    /// Where whoever asks is: it says when days and wall-clock times without a zone are.
    pub time_zone: Tz,
}

impl Default for Filter {
    /// The open tasks.
    fn default() -> Self {
        Self {
            status: Some(Status::Open),
            search: Search::default(),
            priorities: Vec::new(),
            tags: Vec::new(),
            due_after: None,
            due_before: None,
            overdue: None,
            recurring: None,
            parent: None,
            time_zone: Tz::UTC,
        }
    }
}

impl Filter {
    /// Whether the task is to be shown at the time `now`.
    pub fn matches(&self, task: &Task, now: Instant) -> bool {
        let fits = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
        self.status.is_none_or(|status| status == task.status())
            && (self.priorities.is_empty() || self.priorities.contains(&task.priority))
            && self.tags.iter().all(|tag| task.tags.contains(tag))
            && fits(self.recurring, task.recurrence.is_some())
            && (self.parent.is_none() || self.parent == task.parent_id)
            && self.is_due(task)
            && (self.overdue.is_none() || fits(self.overdue, self.is_overdue(task, now)))
            && self.search.finds(task)
    }

    /// Whether nothing but the status counts.
    pub(super) fn is_by_status_only(&self) -> bool {
        *self
            == Self {
                status: self.status,
                time_zone: self.time_zone,
                ..Self::default()
            }
    }

    /// The status that every task has that is shown: only open tasks are overdue.
    pub(super) fn implied_status(&self) -> Option<Status> {
        let open = (self.overdue == Some(true)).then_some(Status::Open);
        self.status.or(open)
    }

    fn is_due(&self, task: &Task) -> bool {
        if self.due_after.is_none() && self.due_before.is_none() {
            return true;
        }
        task.due.as_ref().is_some_and(|due| {
            let at = due.at_in(self.time_zone);
            self.due_after.is_none_or(|after| at >= after)
                && self.due_before.is_none_or(|before| at < before)
        })
    }

    fn is_overdue(&self, task: &Task, now: Instant) -> bool {
        let due = task.due.as_ref().filter(|_| task.status() == Status::Open);
        due.is_some_and(|due| due.last_in(self.time_zone) < now)
    }
}
