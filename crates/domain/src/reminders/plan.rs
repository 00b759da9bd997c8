//! The plan for one task.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

use super::Settings;
use super::settings::is_open;
use crate::due::Due;
use crate::ids::first_64_bits;
use crate::reminder_due::{Data, ReminderDue, event_id};
use crate::task::{Priority, Reminder, Status, When};
use crate::{AccountId, Event, EventKind, Instant, TaskId, base32};

/// How long before the change that set it a reminder may lie and still fire, in milliseconds: who asks for one at 09:00 when
/// it is 09:00:20 means now.
const GRACE: i64 = 60_000;
/// How many entries are kept of reminders that fired and were then moved or taken away.
const MAX_HISTORY: usize = 32;
/// How many notifications of a task may be snoozed at once.
const MAX_SNOOZED: usize = 16;
/// How long an id may be that stands in a job's name as it is.
const MAX_NAME: usize = 64;

/// The state key of a task's plan.
pub fn plan_key(account: &AccountId, task: TaskId) -> String {
    format!("reminders:{account}:{task}")
}

/// What is to be known of a task, out of its event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskState {
    title: String,
    status: Status,
    priority: Priority,
    tags: Vec<String>,
    due: Option<Due>,
    reminders: Vec<Reminder>,
    recurrence: Option<Occurrence>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Occurrence {
    index: u32,
}

impl TaskState {
    /// What an event says of its task; of a deleted one, how it last was.
    ///
    /// # Errors
    /// It is no task.
    pub fn of(event: &Event) -> Result<Self, serde_json::Error> {
        Self::deserialize(&event.task)
    }

    /// Whether the event, which has this state, may change a plan. That of a task without reminders, now and before, need not
    /// be looked at, unless it ends the task: a notification may be snoozed after its reminder was taken away.
    pub fn matters(&self, event: &Event) -> bool {
        let ends = matches!(
            event.kind,
            EventKind::TaskCompleted | EventKind::TaskDeleted
        );
        ends || self.begins_plan(event)
    }

    /// Whether there is a plan from this event on, if there was none. One that only says that reminders were taken away
    /// keeps an earlier event that comes late from bringing them back.
    pub fn begins_plan(&self, event: &Event) -> bool {
        !self.reminders.is_empty() || event.changes.contains_key("reminders")
    }
}

/// How far a reminder is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is to come.
    Scheduled,
    /// It was published.
    Fired,
    /// Its instant was in the past already when it was set: it does not fire.
    Past,
    /// Its task was done, or deleted, before.
    Cancelled,
}

/// A reminder that has an instant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Which of the task's reminders; for a snoozed notification, an id of its own.
    pub id: String,
    /// The notification that was snoozed, if it is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed: Option<String>,
    /// As the task has it.
    #[serde(flatten)]
    pub when: When,
    /// The instant that follows.
    pub instant: Instant,
    /// How far it is.
    pub state: State,
    /// How often firing was tried.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub attempts: u32,
    /// When it fired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fired_at: Option<Instant>,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What is planned for a task's reminders, and what became of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    account: AccountId,
    task_id: TaskId,
    /// The account's sequence number of the last event that was followed.
    seq: u64,
    title: String,
    priority: Priority,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    due: Option<Due>,
    occurrence: u32,
    is_open: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_deleted: bool,
    entries: Vec<Entry>,
    /// What fired and was then moved or taken away, the newest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    history: Vec<Entry>,
    /// Whether jobs are still to be scheduled: the scheduler was away.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub owes_jobs: bool,
}

impl Plan {
    /// The plan of a task that nothing is known of but this event, with its state and by these settings.
    pub fn begin(event: &Event, task: &TaskState, settings: &Settings) -> Self {
        let mut plan = Self {
            account: event.account.clone(),
            task_id: event.task_id,
            seq: 0,
            title: String::new(),
            priority: Priority::default(),
            tags: Vec::new(),
            due: None,
            occurrence: 1,
            is_open: true,
            is_deleted: false,
            entries: Vec::new(),
            history: Vec::new(),
            owes_jobs: false,
        };
        plan.follow(event, task, settings);
        plan
    }

    /// Follows an event, with its state. One that came before changes nothing; the last one once more brings everything to
    /// where it is by these settings.
    ///
    /// A reminder is set when the task gets it, when its instant moves, and when a task is opened again. What was set for an
    /// instant of the past does not fire ([`State::Past`]): the past of the change, so that a reminder which became due
    /// while everything was down does fire. What has fired stays so until its task, not the settings, moves it.
    pub fn follow(&mut self, event: &Event, task: &TaskState, settings: &Settings) -> Followed {
        if event.seq < self.seq {
            return Followed::Stale;
        }
        self.settle(settings);
        if event.seq == self.seq {
            return Followed::Again;
        }
        let moved = self.due != task.due;
        self.seq = event.seq;
        self.title.clone_from(&task.title);
        self.priority = task.priority;
        self.tags.clone_from(&task.tags);
        self.due.clone_from(&task.due);
        self.occurrence = task.recurrence.as_ref().map_or(1, |r| r.index);
        self.is_deleted = event.kind == EventKind::TaskDeleted;
        self.is_open = task.status == Status::Open && !self.is_deleted;

        let old = std::mem::take(&mut self.entries);
        let (snoozed, mut old): (Vec<_>, Vec<_>) =
            old.into_iter().partition(|entry| entry.snoozed.is_some());
        for reminder in &task.reminders {
            let before = old.iter().position(|entry| entry.id == reminder.id);
            let before = before.map(|at| old.swap_remove(at));
            let Some(instant) = settings.instant(reminder.when, self.due.as_ref()) else {
                self.remember(before);
                continue;
            };
            let is_same = |entry: &Entry| {
                let same_rule =
                    entry.when == reminder.when && (!moved || matches!(reminder.when, When::At(_)));
                entry.instant == instant || (entry.state == State::Fired && same_rule)
            };
            let entry = match before {
                Some(mut entry) if entry.state != State::Cancelled && is_same(&entry) => {
                    entry.when = reminder.when;
                    entry
                }
                before => {
                    self.remember(before);
                    Entry {
                        id: reminder.id.clone(),
                        snoozed: None,
                        when: reminder.when,
                        instant,
                        state: if instant > event.at.plus_millis(-GRACE) {
                            State::Scheduled
                        } else {
                            State::Past
                        },
                        attempts: 0,
                        fired_at: None,
                    }
                }
            };
            self.entries.push(entry);
        }
        for gone in old {
            self.remember(Some(gone));
        }
        self.entries.extend(snoozed);
        if !self.is_open {
            for entry in &mut self.entries {
                if entry.state == State::Scheduled {
                    entry.state = State::Cancelled;
                }
            }
        }
        Followed::New
    }

    /// Moves what is to come to where these settings say. That may lie in the past: then it fires at once, since it was set
    /// for a future and nobody was reminded. What has fired does not fire again.
    pub fn settle(&mut self, settings: &Settings) {
        for entry in &mut self.entries {
            if entry.state == State::Scheduled
                && let Some(instant) = settings.instant(entry.when, self.due.as_ref())
            {
                entry.instant = instant;
            }
        }
    }

    /// Has a notification come again at `at`, instead of when it was to before; whether it will. The same asked again
    /// changes nothing, even when it has fired since.
    pub fn snooze(&mut self, notification: &str, at: Instant) -> bool {
        let is_it = |entry: &Entry| entry.snoozed.as_deref() == Some(notification);
        let fired = |entry: &Entry| entry.state == State::Fired && entry.instant == at;
        let mut all = self.entries.iter().chain(&self.history);
        if all.any(|entry| is_it(entry) && fired(entry)) {
            return true;
        }
        if !self.is_open {
            return false;
        }
        // Of the ones that are over, only what fired is worth keeping.
        let (kept, over): (Vec<_>, Vec<_>) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|entry| {
                entry.snoozed.is_none() || (entry.state == State::Scheduled && !is_it(entry))
            });
        self.entries = kept;
        for entry in over {
            self.remember(Some(entry));
        }
        let waiting = self.entries.iter().filter(|entry| entry.snoozed.is_some());
        if waiting.count() >= MAX_SNOOZED {
            return false;
        }
        self.entries.push(Entry {
            id: format!("snooze-{notification}"),
            snoozed: Some(notification.to_owned()),
            when: When::At(at),
            instant: at,
            state: State::Scheduled,
            attempts: 0,
            fired_at: None,
        });
        true
    }

    fn remember(&mut self, entry: Option<Entry>) {
        let Some(entry) = entry.filter(|entry| entry.state == State::Fired) else {
            return;
        };
        if self.history.len() >= MAX_HISTORY {
            self.history.remove(0);
        }
        self.history.push(entry);
    }

    /// The events of what is due.
    pub fn due(&self, now: Instant) -> Vec<ReminderDue> {
        self.scheduled()
            .filter(|entry| entry.instant <= now)
            .map(|entry| {
                ReminderDue::new(Data {
                    account: self.account.clone(),
                    task_id: self.task_id,
                    reminder_id: entry.id.clone(),
                    occurrence: self.occurrence,
                    at: entry.instant,
                    fired_at: now,
                    snoozed: entry.snoozed.clone(),
                    title: self.title.clone(),
                    due_at: self.due.as_ref().and_then(Due::at),
                    due: self.due.clone(),
                    priority: self.priority,
                    tags: self.tags.clone(),
                })
            })
            .collect()
    }

    /// Notes that events of [`Self::due`] were to be published, and whether they were.
    pub fn tried(&mut self, events: &[ReminderDue], published: bool) {
        for event in events.iter().map(|event| &event.data) {
            let entry = self.entries.iter_mut().find(|entry| {
                entry.state == State::Scheduled
                    && entry.id == event.reminder_id
                    && entry.instant == event.at
            });
            if let Some(entry) = entry {
                entry.attempts = entry.attempts.saturating_add(1);
                if published {
                    entry.state = State::Fired;
                    entry.fired_at = Some(event.fired_at);
                }
            }
        }
    }

    fn scheduled(&self) -> impl Iterator<Item = &Entry> {
        let scheduled = |entry: &&Entry| entry.state == State::Scheduled;
        self.entries.iter().filter(scheduled)
    }

    /// The instants at which something is to fire.
    pub fn instants(&self) -> impl Iterator<Item = Instant> {
        self.scheduled().map(|entry| entry.instant)
    }

    /// The jobs that there have to be: name and instant.
    pub fn jobs(&self) -> BTreeMap<String, Instant> {
        self.scheduled()
            .map(|entry| (self.job_name(&entry.id), entry.instant))
            .collect()
    }

    /// Account, task and reminder by their names. An imported reminder may have any id; what cannot stand in a URL is told by
    /// a digest.
    fn job_name(&self, id: &str) -> String {
        let is_sane = |id: &str| {
            let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
            (1..=MAX_NAME).contains(&id.len()) && id.bytes().all(allowed)
        };
        let (account, task) = (&self.account, self.task_id);
        if is_sane(id) {
            format!("{account}.{task}.{id}")
        } else {
            let digest = first_64_bits(&Sha256::digest(id));
            format!("{account}.{task}.~{}", base32::encode(digest, 13))
        }
    }

    /// Whether something that is to come depends on the account's settings.
    pub fn depends_on_settings(&self) -> bool {
        self.scheduled()
            .any(|entry| is_open(entry.when, self.due.as_ref()))
    }

    /// Whether the task is gone.
    pub fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// Whose task this is.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Which task this is.
    pub fn task_id(&self) -> TaskId {
        self.task_id
    }

    /// Which occurrence of its series the task is.
    pub fn occurrence(&self) -> u32 {
        self.occurrence
    }

    /// What became of every reminder, and what is to come, the earliest first; each with the id of its event.
    pub fn ledger(&self) -> Vec<(&Entry, String)> {
        let mut entries: Vec<&Entry> = self.history.iter().chain(&self.entries).collect();
        entries.sort_by_key(|entry| entry.instant);
        let id = |entry: &Entry| {
            event_id(
                &self.account,
                self.task_id,
                &entry.id,
                self.occurrence,
                entry.instant,
            )
        };
        entries
            .into_iter()
            .map(|entry| (entry, id(entry)))
            .collect()
    }
}

/// What following an event came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Followed {
    /// The plan is at the event now.
    New,
    /// It was there before: nothing changed but what the settings did. Whether all that was to follow did is unknown.
    Again,
    /// It is beyond the event.
    Stale,
}
