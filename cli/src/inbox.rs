//! Messages to the task inbox: made as another system makes them, and their results read back.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use docket_api::InboxMessage;
use docket_api::inbox::{DEAD, RESULTS, TOPIC};
use docket_domain::AccountId;
use docket_domain::task_inbox::{Key, Signed};
use rskafka::client::Client;
use rskafka::record::{Record, RecordAndOffset};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::dead_letters::{REASON, partition_of, produce};
use crate::events::{EventsError, From, Query, read_records};

/// How the sender shows that it may send.
#[derive(Clone)]
pub enum Proof {
    /// By the key that it shares with Docket.
    Key(Key),
    /// By an access token of the account.
    Token(String),
}

/// What came of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Its result.
    Result(Value),
    /// It is among the dead letters; why.
    Dead(String),
}

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
pub enum InboxError {
    /// The broker cannot be written to, or read from.
    #[error(transparent)]
    Broker(#[from] EventsError),
    /// The message cannot be put together.
    #[error("the operation is no JSON")]
    Operation(#[from] serde_json::Error),
}

/// Makes a message: JSON on one line.
pub fn message(
    account: &AccountId,
    id: &str,
    at: DateTime<Utc>,
    operation: &str,
    proof: &Proof,
) -> Result<String, InboxError> {
    // The text of the operation is what is signed, so it stays as it is.
    let operation = RawValue::from_string(operation.trim().to_owned())?;
    let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut message = InboxMessage {
        id: id.to_owned(),
        ..InboxMessage::default()
    };
    match proof {
        Proof::Key(key) => {
            let signed = Signed {
                id,
                at: &at,
                account,
                operation: operation.get(),
            };
            message.signature = Some(signed.sign(key));
            message.account = Some(account.to_string());
        }
        Proof::Token(token) => message.token = Some(token.clone()),
    }
    message.at = at;
    message.operation = Some(operation);
    Ok(serde_json::to_string(&message)?)
}

/// Sends a message of an account: all of an account stay in order.
pub async fn send(
    client: &Client,
    account: &AccountId,
    message: String,
    now: DateTime<Utc>,
) -> Result<(), EventsError> {
    let topics = client.list_topics().await?;
    let topic = topics.iter().find(|topic| topic.name == TOPIC);
    let Some(topic) = topic else {
        return Err(EventsError::unknown_topic(TOPIC, &topics));
    };
    let key = account.as_str().as_bytes().to_vec();
    let partition = partition_of(Some(&key), topic.partitions.len());
    let record = Record {
        key: Some(key),
        value: Some(message.into_bytes()),
        headers: BTreeMap::new(),
        timestamp: now,
    };
    produce(client, TOPIC, partition, record).await
}

/// Waits for what comes of a message that was sent at `since`. What came before is of another one with its id.
pub async fn outcome(
    client: &Client,
    account: &AccountId,
    id: &str,
    since: DateTime<Utc>,
    timeout: Duration,
) -> Result<Outcome, EventsError> {
    let query = |topic| Query {
        count: Some(1),
        timeout: Some(timeout),
        from: From::Beginning,
        ..Query::all(topic)
    };
    let (results, dead) = (query(RESULTS), query(DEAD));
    let (mut result, mut reason) = (None, None);
    let results = read_records(client, &results, |_, record| {
        let found = body(&record, since).filter(|body| is_of(body, id, Some(account)));
        result = found;
        result.is_some()
    });
    let dead = read_records(client, &dead, |_, record| {
        let found = body(&record, since).filter(|body| is_of(body, id, None));
        reason = found.map(|_| {
            let reason = record.record.headers.get(REASON).cloned();
            String::from_utf8_lossy(&reason.unwrap_or_default()).into_owned()
        });
        reason.is_some()
    });
    tokio::select! {
        read = results => read?,
        read = dead => read?,
    };
    Ok(match result {
        Some(result) => Outcome::Result(result),
        None => Outcome::Dead(reason.unwrap_or_default()),
    })
}

fn body(record: &RecordAndOffset, since: DateTime<Utc>) -> Option<Value> {
    let record = &record.record;
    let value = record
        .value
        .as_deref()
        .filter(|_| record.timestamp >= since)?;
    serde_json::from_slice(value).ok()
}

fn is_of(body: &Value, id: &str, account: Option<&AccountId>) -> bool {
    let has = |name: &str, value: &str| body.get(name).and_then(Value::as_str) == Some(value);
    has("id", id) && account.is_none_or(|account| has("account", account.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_operation_as_it_was_and_one_proof() {
        let account = AccountId::parse("ann").unwrap();
        let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let operation = r#"{ "op":"complete",  "id":"0-1" }"#;
        let key = [7; 32];
        let text = message(
            &account,
            "m-1",
            at,
            &format!(" {operation}\n"),
            &Proof::Key(key),
        );
        let text = text.unwrap();
        assert!(
            text.contains(operation) && !text.contains("token"),
            "{text}"
        );
        let read: Value = serde_json::from_str(&text).unwrap();
        let signed = Signed {
            id: "m-1",
            at: read["at"].as_str().unwrap(),
            account: &account,
            operation,
        };
        assert!(signed.is_signed(&key, read["signature"].as_str().unwrap()));
        let token = Proof::Token("eyJ".to_owned());
        let text = message(&account, "m-1", at, operation, &token).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["token"], "eyJ");
        assert!(read.get("account").is_none() && read.get("signature").is_none());
        assert!(message(&account, "m-1", at, "{", &token).is_err());
    }
}
