//! Reads a topic of a stack's broker: the events as their consumers see them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rskafka::BackoffConfig;
use rskafka::client::partition::{OffsetAt, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client, ClientBuilder};
use rskafka::record::RecordAndOffset;
use rskafka::topic::Topic;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How long the broker may hold a fetch when there is nothing new.
const LONGEST_FETCH_MS: i32 = 500;
/// How much one fetch may bring.
const FETCH_BYTES: std::ops::Range<i32> = 1..4 * 1024 * 1024;
/// How long a broker that hangs is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// Nothing listens where a broker should be.
    #[error("no broker answers at {brokers}: is the stack up? (`cargo docket status`)")]
    Unreachable {
        /// The brokers' addresses.
        brokers: String,
    },
    /// The broker has no such topic.
    #[error("there is no topic `{topic}`; there are: {known}")]
    UnknownTopic {
        /// What was asked for.
        topic: String,
        /// What there is.
        known: String,
    },
    /// The broker's answer was an error, or none came.
    #[error("the broker does not answer as it should: {0}")]
    Broker(#[from] rskafka::client::error::Error),
    /// The broker was reached, and then said nothing.
    #[error("the broker did not answer within {} s", .within.as_secs_f64())]
    Silent {
        /// How long it was waited for.
        within: Duration,
    },
    /// Fewer events than asked for came in time.
    #[error("{seen} of {wanted} events came within {} s", .within.as_secs_f64())]
    TooFew {
        /// How many came.
        seen: usize,
        /// How many were asked for.
        wanted: usize,
        /// How long they were waited for.
        within: Duration,
    },
}

impl EventsError {
    pub(crate) fn unknown_topic(topic: &str, topics: &[Topic]) -> Self {
        let known: BTreeSet<&str> = topics.iter().map(|topic| topic.name.as_str()).collect();
        Self::UnknownTopic {
            topic: topic.to_owned(),
            known: known.into_iter().collect::<Vec<_>>().join(", "),
        }
    }
}

/// Where reading begins.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum From {
    /// With the oldest event that is kept
    #[default]
    Beginning,
    /// With what comes from now on
    End,
}

/// What to read.
#[derive(Clone, Debug)]
pub struct Query {
    /// The topic.
    pub topic: String,
    /// Where to begin.
    pub from: From,
    /// Only this account's events.
    pub account: Option<String>,
    /// Stop after that many; wait for them if there are fewer.
    pub count: Option<usize>,
    /// Go on when all that was there has been read.
    pub follow: bool,
    /// The longest that reading may take; what came until then counts, unless `count` was given.
    pub timeout: Option<Duration>,
}

impl Query {
    /// All of a topic's events that are there.
    #[must_use]
    pub fn all(topic: &str) -> Self {
        Self {
            topic: topic.to_owned(),
            from: From::Beginning,
            account: None,
            count: None,
            follow: false,
            timeout: Some(Duration::from_secs(10)),
        }
    }

    /// Whether reading goes on beyond what is there when it begins.
    fn waits(&self) -> bool {
        self.follow || self.count.is_some() || self.from == From::End
    }
}

/// An event as it lies in the topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The partition.
    pub partition: i32,
    /// Its place in the partition.
    pub offset: i64,
    /// The record's key: the account, since events of one account keep their order.
    pub key: Option<String>,
    /// The CloudEvent; a string if the record is no JSON.
    pub body: Value,
}

impl Event {
    fn new(partition: i32, record: RecordAndOffset) -> Self {
        let bytes = record.record.value.unwrap_or_default();
        let body = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()));
        Self {
            partition,
            offset: record.offset,
            key: record
                .record
                .key
                .map(|key| String::from_utf8_lossy(&key).into_owned()),
            body,
        }
    }

    /// An attribute of the CloudEvent, `-` if it has none.
    #[must_use]
    pub fn attribute(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or("-")
    }

    /// The account that it is about.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.body
            .pointer("/data/account")
            .and_then(Value::as_str)
            .or(self.key.as_deref())
    }

    /// The line that people read: time, type, subject, title.
    #[must_use]
    pub fn line(&self) -> String {
        let title = self
            .body
            .pointer("/data/task/title")
            .and_then(Value::as_str)
            .unwrap_or("");
        let line = format!(
            "{}  {:<15}  {}  {}",
            self.attribute("time"),
            self.attribute("type"),
            self.attribute("subject"),
            title
        );
        plain(&line).trim_end().to_owned()
    }
}

/// Text of others, such as a title, so that it cannot command the terminal.
#[must_use]
pub fn plain(text: &str) -> String {
    let harmless = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(harmless).collect()
}

/// Reads a topic over all its partitions; gives each event to `each` as it comes, and back how many
/// there were. Events of one account come in their order.
pub async fn read_topic(
    brokers: &[String],
    query: &Query,
    mut each: impl FnMut(Event),
) -> Result<usize, EventsError> {
    let client = connect(brokers).await?;
    read_records(&client, query, |partition, record| {
        let event = Event::new(partition, record);
        let counts = query
            .account
            .as_deref()
            .is_none_or(|account| event.account() == Some(account));
        if counts {
            each(event);
        }
        counts
    })
    .await
}

/// As `read_topic`, but record by record as they are in their partitions; `each` tells which count.
pub async fn read_records(
    client: &Client,
    query: &Query,
    mut each: impl FnMut(i32, RecordAndOffset) -> bool,
) -> Result<usize, EventsError> {
    let tails = tails(client, query).await?;
    let (sender, mut records) = mpsc::channel(256);
    // Dropping the set at the end stops what still reads.
    let mut readers = JoinSet::new();
    for tail in tails {
        readers.spawn(tail.read(sender.clone()));
    }
    drop(sender);

    let deadline = query.timeout.map(|timeout| Instant::now() + timeout);
    let mut seen = 0;
    while query.count.is_none_or(|count| seen < count) {
        let record = tokio::select! {
            record = records.recv() => record,
            () = passed(deadline) => None,
        };
        let Some(record) = record else { break };
        let (partition, record) = record?;
        if each(partition, record) {
            seen += 1;
        }
    }
    match (query.count, query.timeout) {
        (Some(wanted), Some(within)) if seen < wanted => Err(EventsError::TooFew {
            seen,
            wanted,
            within,
        }),
        _ => Ok(seen),
    }
}

/// As `read_topic`, all at once and in the order of their times.
pub async fn collect(brokers: &[String], query: &Query) -> Result<Vec<Event>, EventsError> {
    let mut events = Vec::new();
    read_topic(brokers, query, |event| events.push(event)).await?;
    sort(&mut events);
    Ok(events)
}

/// By time; what has the same time keeps its order within a partition.
pub fn sort(events: &mut [Event]) {
    events.sort_by(|a, b| {
        (a.attribute("time"), a.partition, a.offset).cmp(&(
            b.attribute("time"),
            b.partition,
            b.offset,
        ))
    });
}

async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// A client of the first broker that can be reached; `brokers` are `host:port` each.
pub async fn connect(brokers: &[String]) -> Result<Client, EventsError> {
    // The client would retry for long; a refused connection is clear at once.
    let mut reached = false;
    for broker in brokers {
        let connected = tokio::time::timeout(PATIENCE, TcpStream::connect(broker)).await;
        reached |= matches!(connected, Ok(Ok(_)));
    }
    if !reached {
        return Err(EventsError::Unreachable {
            brokers: brokers.join(", "),
        });
    }
    let backoff = BackoffConfig {
        deadline: Some(PATIENCE),
        ..BackoffConfig::default()
    };
    Ok(ClientBuilder::new(brokers.to_vec())
        .client_id("docket-events")
        .backoff_config(backoff)
        .build()
        .await?)
}

/// One partition's reader.
struct Tail {
    client: Arc<PartitionClient>,
    next: i64,
    /// Where to stop; `None` to go on.
    end: Option<i64>,
}

async fn tails(client: &Client, query: &Query) -> Result<Vec<Tail>, EventsError> {
    let topics = client.list_topics().await?;
    let Some(topic) = topics.iter().find(|topic| topic.name == query.topic) else {
        return Err(EventsError::unknown_topic(&query.topic, &topics));
    };
    let mut tails = Vec::new();
    for partition in &topic.partitions {
        let client = client
            .partition_client(&topic.name, *partition, UnknownTopicHandling::Error)
            .await?;
        let latest = client.get_offset(OffsetAt::Latest).await?;
        let next = match query.from {
            From::Beginning => client.get_offset(OffsetAt::Earliest).await?,
            From::End => latest,
        };
        tails.push(Tail {
            client: Arc::new(client),
            next,
            end: (!query.waits()).then_some(latest),
        });
    }
    Ok(tails)
}

impl Tail {
    async fn read(mut self, to: mpsc::Sender<Result<(i32, RecordAndOffset), EventsError>>) {
        while self.end.is_none_or(|end| self.next < end) {
            let fetched = self
                .client
                .fetch_records(self.next, FETCH_BYTES, LONGEST_FETCH_MS)
                .await;
            let records = match fetched {
                Ok((records, _)) => records,
                Err(error) => {
                    // Who does not listen any more needs no error either.
                    let _ = to.send(Err(error.into())).await;
                    return;
                }
            };
            for record in records {
                self.next = record.offset + 1;
                if self.end.is_some_and(|end| record.offset >= end) {
                    return;
                }
                let found = (self.client.partition(), record);
                if to.send(Ok(found)).await.is_err() {
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(partition: i32, offset: i64, body: Value) -> Event {
        Event {
            partition,
            offset,
            key: Some("key-account".into()),
            body,
        }
    }

    #[test]
    fn a_line_says_time_type_subject_and_title() {
        let body = json!({
            "time": "2026-11-20T10:00:00Z", "type": "task-created", "subject": "t1",
            "data": {"account": "a1", "task": {"title": "Buy milk"}}
        });
        let event = event(0, 0, body);
        assert_eq!(
            event.line(),
            "2026-11-20T10:00:00Z  task-created     t1  Buy milk"
        );
        assert_eq!(event.account(), Some("a1"));
    }

    #[test]
    fn a_title_cannot_command_the_terminal() {
        let body = json!({"data": {"task": {"title": "a\u{1b}[2Jb\nc"}}});
        let line = event(0, 0, body).line();
        assert!(!line.chars().any(char::is_control), "{line:?}");
    }

    #[test]
    fn what_is_no_event_is_shown_all_the_same() {
        let event = event(0, 0, Value::String("not json".into()));
        assert_eq!(event.attribute("type"), "-");
        assert_eq!(event.account(), Some("key-account"));
    }

    #[test]
    fn events_are_sorted_by_time_then_by_place() {
        let at = |partition, offset, time: &str| event(partition, offset, json!({"time": time}));
        let mut events = [
            at(1, 5, "2026-01-02"),
            at(0, 9, "2026-01-02"),
            at(1, 6, "2026-01-01"),
        ];
        sort(&mut events);
        let places: Vec<_> = events.iter().map(|e| (e.partition, e.offset)).collect();
        assert_eq!(places, [(1, 6), (0, 9), (1, 5)]);
    }

    #[test]
    fn only_a_plain_read_ends_with_what_is_there() {
        let plain = Query::all("task-events");
        assert!(!plain.waits());
        assert!(
            Query {
                follow: true,
                ..plain.clone()
            }
            .waits()
        );
        assert!(
            Query {
                count: Some(1),
                ..plain.clone()
            }
            .waits()
        );
        assert!(
            Query {
                from: From::End,
                ..plain
            }
            .waits()
        );
    }

    #[tokio::test]
    async fn without_a_broker_the_error_says_what_to_look_at() {
        // A port that was free a moment ago.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let broker = listener.local_addr().unwrap().to_string();
        drop(listener);
        let query = Query::all("task-events");
        let error = collect(&[broker], &query).await.unwrap_err();
        assert!(error.to_string().contains("cargo docket status"), "{error}");
    }
}
