//! Taking a change back: what an event of a task did is undone, where nothing newer has touched it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Applied, Context, MAX_TASKS, Shelf, Tombstone};
use crate::audit::Content;
use crate::due::Due;
use crate::event::{EventKind, changes_of, is_same, to_value};
use crate::recurrence::{self, Recurrence, Rule, Start};
use crate::task::{Priority, Reminder, Task};
use crate::{FieldError, FieldErrorCode, Instant, Rejection, TaskId, parent};

/// What it takes to bring a deleted task back, beyond what clients see of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Its place in the order of creation.
    pub created_seq: u64,
    /// What its rule of recurrence began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Start>,
    /// The occurrence after it, if that was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<TaskId>,
}

impl Kept {
    /// Of a task.
    pub fn of(task: &Task) -> Self {
        let recurrence = task.recurrence.as_ref();
        Self {
            created_seq: task.created_seq,
            start: recurrence.and_then(|r| r.start.clone()),
            next: recurrence.and_then(|r| r.next),
        }
    }
}

/// A task as clients see it, read back.
#[derive(Deserialize)]
struct Seen {
    title: String,
    description: String,
    priority: Priority,
    tags: Vec<String>,
    due: Option<Due>,
    reminders: Vec<Reminder>,
    recurrence: Option<SeenRecurrence>,
    parent_id: Option<TaskId>,
    position: f64,
    created_at: Instant,
    completed_at: Option<Instant>,
}

#[derive(Deserialize)]
struct SeenRecurrence {
    rule: String,
    from: recurrence::From,
    series_id: String,
    index: u32,
}

impl Seen {
    /// The task of this id that clients saw so; `None` if it cannot have been one.
    fn task(seen: Value, id: TaskId, kept: Kept) -> Option<Task> {
        let seen: Self = serde_json::from_value(seen).ok()?;
        let recurrence = seen.recurrence.map(|recurrence| Recurrence {
            rule: Rule::checked(recurrence.rule),
            from: recurrence.from,
            series_id: recurrence.series_id,
            index: recurrence.index,
            start: kept.start,
            next: kept.next,
        });
        let by_hand = seen.position != kept.created_seq as f64;
        Some(Task {
            id,
            title: seen.title,
            description: seen.description,
            priority: seen.priority,
            tags: seen.tags,
            due: seen.due,
            reminders: seen.reminders,
            recurrence,
            parent_id: seen.parent_id,
            position: by_hand.then_some(seen.position),
            created_seq: kept.created_seq,
            seq: 0,
            created_at: seen.created_at,
            updated_at: seen.created_at,
            completed_at: seen.completed_at,
        })
    }
}

impl Shelf {
    /// See [`crate::Command::Undo`]. The answer has the task, unless it is gone with what is undone.
    pub(super) fn undo(
        &mut self,
        event: &Content,
        context: &Context,
    ) -> Result<Applied, Rejection> {
        match event.kind {
            EventKind::TaskCreated => self.undo_creation(event, context),
            EventKind::TaskDeleted => self.restore(event, context),
            EventKind::TaskUpdated | EventKind::TaskCompleted | EventKind::TaskReopened => {
                self.revert(event, context)
            }
        }
    }

    /// Deletes a task that is as it was created.
    fn undo_creation(&mut self, event: &Content, context: &Context) -> Result<Applied, Rejection> {
        let Some(task) = self.task(event.task_id) else {
            return Ok(Applied::default());
        };
        if task.seq != event.seq {
            let created = event.task.as_ref().ok_or(Rejection::NotFound)?;
            let changed = changes_of(created, &to_value(&task.view()));
            if !changed.is_empty() {
                return Err(touched(changed.keys().map(String::as_str)));
            }
        }
        Ok(Applied {
            tasks: Vec::new(),
            ..self.delete(event.task_id, context)?
        })
    }

    /// Puts a deleted task back to where it was.
    fn restore(&mut self, event: &Content, context: &Context) -> Result<Applied, Rejection> {
        let id = event.task_id;
        if let Some(task) = self.task(id) {
            return Ok(Applied {
                tasks: vec![task.clone()],
                ..Applied::default()
            });
        }
        let (Some(seen), Some(kept)) = (event.task.clone(), event.kept.clone()) else {
            return Err(Rejection::NotFound);
        };
        let mut task = Seen::task(seen, id, kept).ok_or(Rejection::NotFound)?;
        if self.book.total(None) >= MAX_TASKS {
            return Err(Rejection::Full { max: MAX_TASKS });
        }
        // A parent that is gone stays named, as with any other task of that parent.
        if task
            .parent_id
            .is_some_and(|parent| self.task(parent).is_some())
        {
            self.check_parent(&task)?;
        }
        let before = self.book.tags.len();
        self.book.tags.add(&task);
        self.check_tags(before)?;
        self.book.seq += 1;
        task.seq = self.book.seq;
        task.updated_at = context.now;
        let place = self.place(id);
        if let Some(segment) = self.segment_mut(place) {
            segment
                .deleted
                .retain(|Tombstone(_, deleted)| *deleted != id);
            let tasks = &mut segment.tasks;
            let at = tasks.partition_point(|other| other.created_seq < task.created_seq);
            tasks.insert(at, task.clone());
        }
        self.touched(place);
        self.part(place);
        let event = self.event(EventKind::TaskCreated, &task, None, context);
        Ok(Applied {
            tasks: vec![task],
            events: vec![event],
            ..Applied::default()
        })
    }

    /// Gives the fields that an event changed their values before it. One that has that value again stays as it is.
    fn revert(&mut self, event: &Content, context: &Context) -> Result<Applied, Rejection> {
        let old = self.checked(event.task_id, context)?;
        let mut seen = to_value(&old.view());
        let mut conflicts = Vec::new();
        for (name, change) in &event.changes {
            let (Some(now), Some(from), Some(to)) =
                (seen.get_mut(name), change.get("from"), change.get("to"))
            else {
                continue;
            };
            if is_same(now, to) {
                now.clone_from(from);
            } else if !is_same(now, from) {
                conflicts.push(name.as_str());
            }
        }
        if !conflicts.is_empty() {
            return Err(touched(conflicts));
        }
        let mut new = Seen::task(seen, old.id, Kept::of(&old)).ok_or(Rejection::NotFound)?;
        new.seq = old.seq;
        new.updated_at = old.updated_at;
        if let Some(recurrence) = &mut new.recurrence {
            let was = old.recurrence.as_ref();
            // What the store knew is known of the same series, and as long as the date and the rule are the same.
            recurrence.next = recurrence
                .next
                .filter(|_| was.is_some_and(|was| was.series_id == recurrence.series_id));
            if new.due != old.due || was.map(|was| &was.rule) != Some(&recurrence.rule) {
                recurrence.start = None;
            }
        }
        if new.parent_id != old.parent_id {
            self.check_parent(&new)?;
        }
        let kind = match (old.completed_at, new.completed_at) {
            (None, Some(_)) => EventKind::TaskCompleted,
            (Some(_), None) => EventKind::TaskReopened,
            _ => EventKind::TaskUpdated,
        };
        let before = self.book.tags.len();
        let applied = self.replace(&old, new, kind, context);
        self.check_tags(before)?;
        Ok(applied)
    }

    /// Looks whether the task may be part of its parent, which things newer than the change may have made impossible.
    fn check_parent(&self, task: &Task) -> Result<(), Rejection> {
        let Some(parent) = task.parent_id else {
            return Ok(());
        };
        parent::check(parent, task.id, |id| self.task(id)).map_err(|detail| {
            Rejection::Conflict(vec![FieldError {
                pointer: "/parent_id".to_owned(),
                code: FieldErrorCode::Changed,
                detail,
            }])
        })
    }
}

fn touched<'a>(fields: impl IntoIterator<Item = &'a str>) -> Rejection {
    let error = |name: &str| FieldError {
        pointer: format!("/{name}"),
        code: FieldErrorCode::Changed,
        detail: "something newer has changed it".to_owned(),
    };
    Rejection::Conflict(fields.into_iter().map(error).collect())
}
