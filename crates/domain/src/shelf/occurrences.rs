//! The next occurrence of a recurring task that is done.
//!
//! It is created at most once: in the same transaction the done task gets a link to it ([`Recurrence::next`]), which stays
//! when the task is opened and done again. A date that was missed does not come: however late a task is done, one
//! occurrence follows, and COUNT counts those that were there.

use chrono::{NaiveDateTime, Timelike as _};
use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};

use super::{Applied, Context, Shelf};
use crate::due::Due;
use crate::ids::first_64_bits;
use crate::recurrence::{Following, From, NextDate, Recurrence, Start};
use crate::task::{Reminder, Task, When};
use crate::{FieldError, FieldErrorCode, Instant, Rejection, TaskId};

/// Where on earth a day ends last.
const WESTERNMOST: Tz = Tz::Etc__GMTPlus12;

impl Shelf {
    /// See [`crate::Command::Recur`]. The answer has the done task, if it is there.
    pub(super) fn recur(
        &mut self,
        id: TaskId,
        next: NextDate,
        context: &Context,
    ) -> Result<Applied, Rejection> {
        let Some(done) = self.task(id).cloned() else {
            return Ok(Applied::default());
        };
        let Some((due, recurrence, reminders)) = following(&done, next)? else {
            return Ok(Applied {
                tasks: vec![done],
                ..Applied::default()
            });
        };
        let blank = self.blank(token(id, &recurrence), context)?;
        let next = Task {
            title: done.title,
            description: done.description,
            priority: done.priority,
            tags: done.tags,
            due: Some(due),
            reminders,
            recurrence: Some(recurrence),
            parent_id: done.parent_id,
            position: done.position,
            ..blank
        };
        let (next, event) = self.add(next, context)?;
        Ok(Applied {
            tasks: self.link(id, next.id).into_iter().collect(),
            events: vec![event],
            ..Applied::default()
        })
    }

    /// Notes on a task which one comes after it.
    fn link(&mut self, id: TaskId, next: TaskId) -> Option<Task> {
        let place = self.place(id);
        let segment = self.segment_mut(place)?;
        let task = segment.tasks.iter_mut().find(|task| task.id == id)?;
        task.recurrence.as_mut()?.next = Some(next);
        let task = task.clone();
        self.touched(place);
        Some(task)
    }
}

/// What is new about the occurrence after a task, if one is due: its date, its place in the series, its reminders.
fn following(
    task: &Task,
    next: NextDate,
) -> Result<Option<(Due, Recurrence, Vec<Reminder>)>, Rejection> {
    let (Some(recurrence), Some(at)) = (&task.recurrence, task.completed_at) else {
        return Ok(None);
    };
    if recurrence.next.is_some() {
        return Ok(None);
    }
    let zone = task.due.as_ref().and_then(|due| due.time_zone);
    let zone = zone.unwrap_or(Tz::UTC);
    let wall = wall(at, zone);
    // What has no date is counted from the day on which it was done.
    let due = task.due.clone().unwrap_or(Due {
        date: wall.date(),
        time: None,
        time_zone: None,
    });
    let start = recurrence.start.clone().unwrap_or_else(|| Start {
        index: recurrence.index,
        due: due.clone(),
    });
    let after = if recurrence.from == From::Due && at > due.last_in(WESTERNMOST) {
        Due {
            date: wall.date(),
            time: due.time.map(|_| wall.time()),
            ..due
        }
    } else {
        due.clone()
    };
    let date = next(&Following {
        rule: &recurrence.rule,
        start: &start.due,
        index: recurrence
            .index
            .saturating_sub(start.index)
            .saturating_add(1),
        after: &after,
        done: (recurrence.from == From::Completion).then_some(wall),
    })
    .map_err(not_a_rule)?;
    let Some(date) = date else {
        return Ok(None);
    };
    let later = date.at_in(zone).as_millis() - due.at_in(zone).as_millis();
    let reminders = task.reminders.iter().cloned().map(|reminder| Reminder {
        when: match reminder.when {
            When::At(at) => When::At(at.plus_millis(later)),
            before @ When::Before(_) => before,
        },
        ..reminder
    });
    let recurrence = Recurrence {
        index: recurrence.index.saturating_add(1),
        start: Some(start),
        ..recurrence.clone()
    };
    Ok(Some((date, recurrence, reminders.collect())))
}

/// The moment on the wall clock of a zone, to the second as due dates are.
fn wall(at: Instant, zone: Tz) -> NaiveDateTime {
    let wall = at.to_datetime().with_timezone(&zone).naive_local();
    wall.with_nanosecond(0).unwrap_or(wall)
}

/// The unique part of an occurrence's id follows from its series, its number in it, and the one before: of a task that was
/// exported and imported again there are two in a series.
fn token(before: TaskId, recurrence: &Recurrence) -> u64 {
    let digest = Sha256::new()
        .chain_update("occurrence:")
        .chain_update(&recurrence.series_id)
        .chain_update(recurrence.index.to_be_bytes())
        .chain_update(before.to_string())
        .finalize();
    first_64_bits(&digest)
}

fn not_a_rule(detail: String) -> Rejection {
    Rejection::Invalid(vec![FieldError {
        pointer: "/recurrence/rule".to_owned(),
        code: FieldErrorCode::Invalid,
        detail,
    }])
}
