//! A reminder is due: the event on the topic `reminders`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::due::Due;
use crate::event::CloudEvent;
use crate::ids::first_64_bits;
use crate::task::Priority;
use crate::{AccountId, Instant, TaskId, base32};

/// Where these events come from, as CloudEvents' `source`.
pub const SOURCE: &str = "/docket/reminders";
/// Their topic.
pub const REMINDERS: &str = "reminders";

/// What the type of a CloudEvent must be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    ReminderDue,
}

/// A reminder is due. Published at least once; each publication has the same [`Self::id`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReminderDue {
    /// What consumers know a second delivery by: see [`event_id`].
    pub id: String,
    /// What is due, and when.
    pub data: Data,
}

/// What consumers are told.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// Whose task.
    pub account: AccountId,
    /// Of which task.
    pub task_id: TaskId,
    /// Which of the task's reminders; for a snoozed notification, an id of its own.
    pub reminder_id: String,
    /// Which occurrence of the series the task is, counted from 1; 1 for a task that does not recur.
    pub occurrence: u32,
    /// When it was to fire.
    pub at: Instant,
    /// When it did.
    pub fired_at: Instant,
    /// The notification that was snoozed until `at`, if it is that which comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed: Option<String>,
    /// The task's title.
    pub title: String,
    /// When the task is due.
    pub due: Option<Due>,
    /// The instant of `due`, when its zone makes it one.
    pub due_at: Option<Instant>,
    /// How much the task matters.
    pub priority: Priority,
    /// The task's tags.
    pub tags: Vec<String>,
}

impl ReminderDue {
    /// The event of what is due.
    pub fn new(data: Data) -> Self {
        Self {
            id: event_id(
                &data.account,
                data.task_id,
                &data.reminder_id,
                data.occurrence,
                data.at,
            ),
            data,
        }
    }

    /// The CloudEvent (1.0, structured JSON).
    pub fn cloud_event(&self) -> Value {
        json!({
            "specversion": "1.0",
            "id": self.id,
            "source": SOURCE,
            "type": Kind::ReminderDue,
            "subject": self.data.task_id,
            "time": self.data.fired_at,
            "datacontenttype": "application/json",
            "partitionkey": self.data.account,
            "data": self.data,
        })
    }
}

/// What [`ReminderDue::cloud_event`] wrote.
impl CloudEvent for ReminderDue {
    fn read(cloud_event: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Envelope {
            id: String,
            #[serde(rename = "type")]
            _kind: Kind,
            data: Data,
        }
        let Envelope { id, data, .. } = serde_json::from_slice(cloud_event)?;
        Ok(Self { id, data })
    }

    fn account(&self) -> &AccountId {
        &self.data.account
    }
}

/// The id of the event of a reminder that is due at `at`: the same whoever fires it and however often.
pub fn event_id(
    account: &AccountId,
    task: TaskId,
    reminder: &str,
    occurrence: u32,
    at: Instant,
) -> String {
    // None of the parts but the last has the separator in it.
    let digest = Sha256::digest(format!(
        "{account}:{task}:{occurrence}:{}:{reminder}",
        at.as_millis()
    ));
    let low = digest.get(8..).unwrap_or_default();
    let digits = |bytes: &[u8]| base32::encode(first_64_bits(bytes), 13);
    format!("due-{}{}", digits(&digest), digits(low))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::due::{parse_date, parse_time, parse_zone};
    use crate::golden;
    use std::collections::BTreeSet;

    fn sample() -> ReminderDue {
        let at = Instant::parse("2026-12-01T08:30:00Z").unwrap();
        let due = Due {
            date: parse_date("2026-12-01").unwrap(),
            time: parse_time("10:00"),
            time_zone: parse_zone("Europe/Berlin"),
        };
        ReminderDue::new(Data {
            account: AccountId::parse("ann").unwrap(),
            task_id: TaskId::parse("0-90tj1f2kwhvp").unwrap(),
            reminder_id: "xh989w25".to_owned(),
            occurrence: 1,
            at,
            fired_at: at.plus_millis(42),
            snoozed: None,
            title: "Pay rent".to_owned(),
            due_at: due.at(),
            due: Some(due),
            priority: Priority::High,
            tags: vec!["home".to_owned()],
        })
    }

    #[test]
    fn the_event_is_as_its_golden_file() {
        golden::compare("reminders/reminder-due.json", &sample().cloud_event());
    }

    #[test]
    fn an_event_is_read_as_it_was_written_whatever_the_broker_adds() {
        let mut snoozed = sample();
        snoozed.data.snoozed = Some("n1".to_owned());
        snoozed.data.due = None;
        for event in [sample(), snoozed] {
            let mut sent = event.cloud_event();
            sent["topic"] = "reminders".into();
            sent["traceid"] = "00-0-0-00".into();
            assert_eq!(
                ReminderDue::read(sent.to_string().as_bytes()).unwrap(),
                event
            );
        }
        let good = sample().cloud_event();
        for (pointer, wrong) in [
            ("/type", json!("task-created")),
            ("/type", Value::Null),
            ("/data/account", json!("a/b")),
            ("/data/at", json!("soon")),
            ("/data/occurrence", json!(-1)),
            ("/data", json!([])),
        ] {
            let mut bad = good.clone();
            *bad.pointer_mut(pointer).unwrap() = wrong;
            assert!(
                ReminderDue::read(bad.to_string().as_bytes()).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_id_tells_apart_all_that_differs_and_nothing_else() {
        let mut later = sample();
        later.data.fired_at = later.data.fired_at.plus_millis(5_000);
        later.data.title = "Pay the rent".to_owned();
        assert_eq!(ReminderDue::new(later.data).id, sample().id);
        let changes: [fn(&mut Data); 5] = [
            |data| data.account = AccountId::parse("bob").unwrap(),
            |data| data.task_id = TaskId::parse("0-90tj1f2kwhvq").unwrap(),
            |data| data.reminder_id = "xh989w26".to_owned(),
            |data| data.occurrence = 2,
            |data| data.at = data.at.plus_millis(1),
        ];
        let ids: BTreeSet<String> = changes
            .into_iter()
            .map(|change| {
                let mut data = sample().data;
                change(&mut data);
                ReminderDue::new(data).id
            })
            .chain([sample().id])
            .collect();
        assert_eq!(ids.len(), 6);
        assert!(ids.iter().all(|id| id.len() == 30));
    }
}
