//! An account is gone: the event on the topic `accounts`, which every function obeys that keeps something of people.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::event::CloudEvent;
use crate::{AccountId, Instant};

/// Where these events come from, as CloudEvents' `source`.
pub const SOURCE: &str = "/docket/accounts";
/// Their topic.
pub const ACCOUNTS: &str = "accounts";

/// What the type of a CloudEvent must be.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    AccountDeleted,
}

/// An account is gone, and what is kept of it has to go as well. Ids are never given anew, so whoever has obeyed may meet
/// the event again, and keeps a note that nothing of the account is to be taken in any more.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AccountDeleted {
    /// Whose account it was.
    pub account: AccountId,
    /// When it was deleted.
    pub at: Instant,
}

impl AccountDeleted {
    /// The CloudEvent (1.0, structured JSON).
    pub fn cloud_event(&self) -> Value {
        json!({
            "specversion": "1.0",
            "id": format!("account-deleted-{}", self.account),
            "source": SOURCE,
            "type": Kind::AccountDeleted,
            "subject": self.account,
            "time": self.at,
            "datacontenttype": "application/json",
            "partitionkey": self.account,
            "data": self,
        })
    }
}

/// What [`AccountDeleted::cloud_event`] wrote.
impl CloudEvent for AccountDeleted {
    fn read(cloud_event: &[u8]) -> Result<Self, serde_json::Error> {
        #[derive(Deserialize)]
        struct Envelope {
            #[serde(rename = "type")]
            _kind: Kind,
            data: AccountDeleted,
        }
        serde_json::from_slice(cloud_event).map(|Envelope { data, .. }| data)
    }

    fn account(&self) -> &AccountId {
        &self.account
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    fn sample() -> AccountDeleted {
        AccountDeleted {
            account: AccountId::parse("ann").unwrap(),
            at: Instant::parse("2026-12-01T08:30:00Z").unwrap(),
        }
    }

    #[test]
    fn the_event_is_as_its_golden_file() {
        golden::compare("accounts/account-deleted.json", &sample().cloud_event());
    }

    #[test]
    fn an_event_is_read_as_it_was_written_whatever_the_broker_adds() {
        let mut sent = sample().cloud_event();
        sent["topic"] = "accounts".into();
        let read = |event: &Value| AccountDeleted::read(event.to_string().as_bytes());
        assert_eq!(read(&sent).unwrap(), sample());
        for (pointer, wrong) in [
            ("/type", json!("task-created")),
            ("/data/account", json!("a/b")),
            ("/data/at", json!("soon")),
            ("/data", json!([])),
        ] {
            let mut bad = sent.clone();
            *bad.pointer_mut(pointer).unwrap() = wrong;
            assert!(read(&bad).is_err(), "{bad}");
        }
    }
}
