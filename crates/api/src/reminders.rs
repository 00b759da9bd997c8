//! What `notifications` asks of `reminders`, by service invocation. It is no part of the public API.

use docket_domain::reminders::Settings;
pub use docket_domain::reminders::State as ReminderState;
use docket_domain::{AccountId, Instant, TaskId};
use serde::{Deserialize, Serialize};

/// The app that is asked.
pub const APP: &str = "reminders";
/// Where a [`Snooze`] goes; answered with [`Snoozed`].
pub const SNOOZE: &str = "/internal/reminders/snooze";
/// Where [`NewSettings`] go; answered with [`SettingsTaken`].
pub const SETTINGS: &str = "/internal/reminders/settings";
/// Where an [`AskLedger`] goes; answered with a [`Ledger`].
pub const LEDGER: &str = "/internal/reminders/ledger";

/// A notification is to come again later. The same snooze may be asked for again; another instant for the same notification
/// takes the place of the one before, until that has fired.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Snooze {
    /// Whose notification.
    pub account: AccountId,
    /// The task that it is about.
    pub task_id: TaskId,
    /// Which notification: at most 64 letters, digits, `-` and `_`.
    pub notification_id: String,
    /// When it is to come again.
    pub at: Instant,
}

/// The answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Snoozed {
    /// Whether it will come: not if the task is done, or is gone, or has too many snoozed notifications already.
    pub scheduled: bool,
}

/// What an account says about the times that its tasks leave open.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct NewSettings {
    /// Whose.
    pub account: AccountId,
    /// What counts from now on, for the tasks that are there as well.
    #[serde(flatten)]
    pub settings: Settings,
}

/// The answer.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SettingsTaken {
    /// Whether there were so many reminders that some are moved only in the next seconds.
    pub pending: bool,
}

/// Asks for what became of a task's reminders.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AskLedger {
    /// Whose task.
    pub account: AccountId,
    /// Which.
    pub task_id: TaskId,
}

/// The answer: nothing for a task that is unknown, or has no reminders.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ledger {
    /// The earliest first.
    pub entries: Vec<LedgerEntry>,
}

/// What became of a reminder at one instant.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LedgerEntry {
    /// Which reminder; for a snoozed notification, an id of its own.
    pub reminder_id: String,
    /// The notification that was snoozed, if it is one of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed: Option<String>,
    /// Which occurrence of its series the task is, counted from 1.
    pub occurrence: u32,
    /// How far it is.
    pub state: ReminderState,
    /// When it is to fire.
    pub scheduled_at: Instant,
    /// When it did.
    pub fired_at: Option<Instant>,
    /// How often that was tried.
    pub attempts: u32,
    /// The id of its event, which tells what was delivered of it.
    pub event_id: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};
    use std::fmt::Debug;

    /// That a type is written as this JSON, and read from it.
    fn same<T: Debug + DeserializeOwned + PartialEq + Serialize>(value: &T, wire: Value) {
        assert_eq!(serde_json::to_value(value).unwrap(), wire);
        assert_eq!(&serde_json::from_value::<T>(wire).unwrap(), value);
    }

    #[test]
    fn on_the_wire() {
        let account = AccountId::parse("ann").unwrap();
        let task_id = TaskId::parse("0-90tj1f2kwhvp").unwrap();
        let at = Instant::parse("2026-12-01T08:30:00Z").unwrap();
        same(
            &Snooze {
                account: account.clone(),
                task_id,
                notification_id: "n1".to_owned(),
                at,
            },
            json!({
                "account": "ann",
                "task_id": "0-90tj1f2kwhvp",
                "notification_id": "n1",
                "at": "2026-12-01T08:30:00.000Z",
            }),
        );
        same(&Snoozed { scheduled: true }, json!({ "scheduled": true }));
        same(
            &NewSettings {
                account: account.clone(),
                settings: Settings::default(),
            },
            json!({ "account": "ann", "morning": "09:00", "time_zone": "UTC" }),
        );
        same(
            &SettingsTaken { pending: false },
            json!({ "pending": false }),
        );
        same(
            &AskLedger { account, task_id },
            json!({ "account": "ann", "task_id": "0-90tj1f2kwhvp" }),
        );
        let entry = LedgerEntry {
            reminder_id: "xh989w25".to_owned(),
            snoozed: None,
            occurrence: 1,
            state: ReminderState::Fired,
            scheduled_at: at,
            fired_at: Some(at.plus_millis(42)),
            attempts: 1,
            event_id: "due-1".to_owned(),
        };
        same(
            &Ledger {
                entries: vec![entry],
            },
            json!({ "entries": [{
                "reminder_id": "xh989w25",
                "occurrence": 1,
                "state": "fired",
                "scheduled_at": "2026-12-01T08:30:00.000Z",
                "fired_at": "2026-12-01T08:30:00.042Z",
                "attempts": 1,
                "event_id": "due-1",
            }] }),
        );
    }
}
