//! What was delivered of a task's reminders. The entry of an event is also what a second delivery of it is known by.

use serde::{Deserialize, Serialize};

use crate::inbox::NotificationId;
use crate::{AccountId, Instant, TaskId};

/// So many of a task are kept, the newest. An event that came before is not told from a new one; a task would have to be
/// snoozed as often before the broker delivers it again.
pub const MAX_KEPT: usize = 256;

/// The state key of what was delivered of a task's reminders.
pub fn deliveries_key(account: &AccountId, task: TaskId) -> String {
    format!("deliveries:{account}:{task}")
}

/// What was delivered of one task's reminders, in the order in which they fired.
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Deliveries {
    entries: Vec<Delivery>,
}

/// What was delivered of one event.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// The event's id.
    pub event: String,
    /// The reminder.
    pub reminder: String,
    /// Which occurrence of its series the task is.
    pub occurrence: u32,
    /// When the reminder was to fire.
    pub scheduled_at: Instant,
    /// When it did.
    pub fired_at: Instant,
    /// The notification in the inbox.
    pub notification: NotificationId,
    /// When it came there.
    pub at: Instant,
    /// The state key of the mail that tells of it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail: Option<String>,
}

impl Deliveries {
    /// What was delivered of an event, if anything was.
    pub fn of(&self, event: &str) -> Option<&Delivery> {
        self.entries.iter().rev().find(|one| one.event == event)
    }

    /// Every entry.
    pub fn entries(&self) -> &[Delivery] {
        &self.entries
    }

    /// Takes in what was delivered of an event that is new.
    pub fn add(&mut self, delivery: Delivery) {
        self.entries.push(delivery);
        let surplus = self.entries.len().saturating_sub(MAX_KEPT);
        self.entries.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        let mut deliveries = Deliveries::default();
        for n in 0..=MAX_KEPT as u64 {
            let event = format!("event {n}");
            deliveries.add(Delivery {
                notification: NotificationId::new(n, &event),
                event,
                reminder: "r".to_owned(),
                occurrence: 1,
                scheduled_at: Instant::MIN,
                fired_at: Instant::MIN,
                at: Instant::MIN,
                mail: None,
            });
        }
        assert_eq!(deliveries.entries().len(), MAX_KEPT);
        assert!(deliveries.of("event 0").is_none());
        assert!(deliveries.of("event 1").is_some());
    }
}
