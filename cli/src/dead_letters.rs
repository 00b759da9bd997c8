//! Dead letters: messages that a consumer could not take, and their way back.
//!
//! Dapr publishes such a message to `<topic>-dead`: key, value and headers as they were, and in further headers where it
//! lay (`__topic`, `__partition`, `__offset` …). A replay publishes it to its topic again as it was first, without what
//! Dapr added. What was replayed is remembered beside the letters: a note, which is a record without a value whose header
//! names the letter's place. (Committed offsets could not tell one letter from the ones before it.) A crash between the
//! two leaves the letter where it is, and a second replay does no harm: consumers know what they have taken.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use rskafka::client::Client;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::record::Record;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::events::{EventsError, Query, plain, read_records};

/// What a topic's dead letters have behind its name.
pub const SUFFIX: &str = "-dead";
/// The header in which whoever puts a letter there may say why.
pub const REASON: &str = "reason";
/// The header of a note: the place of the letter that was replayed.
const REPLAYED: &str = "docket-replayed";
/// What is added to a message on its way to the dead letters, beside the headers that begin with `__`.
const ADDED: [&str; 3] = ["pubsubName", "rawPayload", REASON];
/// How long the reading of a topic's dead letters may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A message that a consumer could not take.
#[derive(Clone, Debug, PartialEq)]
pub struct Letter {
    /// The topic that it was on.
    pub topic: String,
    /// Where it lies among the topic's dead letters: partition and offset.
    place: (i32, i64),
    record: Record,
}

/// A record as it was found among the dead letters of a topic.
type Found = ((i32, i64), Record);

impl Letter {
    /// What names this letter and no other: topic, partition and offset.
    #[must_use]
    pub fn name(&self) -> String {
        let (partition, offset) = self.place;
        format!("{}:{partition}:{offset}", self.topic)
    }

    /// The message's own id, if it has one. Several letters may have it: one for each consumer that did not take it.
    #[must_use]
    pub fn id(&self) -> Option<String> {
        let id = self.body().get("id")?.as_str()?.to_owned();
        Some(id)
    }

    /// Whether `name` is this letter's or its message's.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name() == name || self.id().as_deref() == Some(name)
    }

    /// The message: JSON, or its text if it is none. What lets somebody in is not shown.
    fn body(&self) -> Value {
        let bytes = self.record.value.as_deref().unwrap_or_default();
        let mut body = serde_json::from_slice(bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(bytes).into_owned()));
        if let Some(token) = body.get_mut("token") {
            *token = json!("…");
        }
        body
    }

    fn header(&self, name: &str) -> Option<String> {
        let value = self.record.headers.get(name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    /// Partition and offset of the message on its topic.
    fn origin(&self) -> Option<(i32, i64)> {
        let partition = self.header("__partition")?.parse().ok()?;
        Some((partition, self.header("__offset")?.parse().ok()?))
    }

    /// The account that it is about.
    fn account(&self) -> Option<String> {
        let body = self.body();
        let named = ["/data/account", "/account"].map(|at| body.pointer(at)?.as_str());
        let key = || Some(String::from_utf8_lossy(self.record.key.as_deref()?).into_owned());
        let named = named.into_iter().flatten().next().map(str::to_owned);
        named.or_else(key)
    }

    /// When it was given up.
    fn at(&self) -> String {
        self.record
            .timestamp
            .to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// All that is known of it; `consumers` are those of its topic.
    #[must_use]
    pub fn describe(&self, consumers: &[Consumer]) -> Value {
        let body = self.body();
        json!({
            "letter": self.name(),
            "topic": self.topic,
            "at": self.at(),
            "id": self.id(),
            "type": body.get("type").and_then(Value::as_str),
            "account": self.account(),
            "reason": self.header(REASON),
            "consumers": self.consumers(consumers),
            "message": body,
        })
    }

    /// The line that people read.
    #[must_use]
    pub fn line(&self, consumers: &[Consumer]) -> String {
        let consumers = self.consumers(consumers);
        let why = match (self.header(REASON), consumers.as_slice()) {
            (Some(reason), _) => reason,
            (None, []) => String::new(),
            (None, [one]) => format!("not taken by {one}"),
            (None, many) => format!("not taken by one of {}", many.join(", ")),
        };
        let kind = self.body();
        let kind = kind.get("type").and_then(Value::as_str).unwrap_or("-");
        let (id, account) = (self.id(), self.account());
        let [id, account] = [&id, &account].map(|text| text.as_deref().unwrap_or("-"));
        let line = format!(
            "{}  {}  {kind:<15}  {id}  {account}  {why}",
            self.name(),
            self.at()
        );
        plain(&line).trim_end().to_owned()
    }

    fn consumers<'a>(&self, consumers: &'a [Consumer]) -> Vec<&'a str> {
        let own = consumers.iter().filter(|c| c.topic == self.topic);
        own.map(|c| c.app.as_str()).collect()
    }

    /// The same letter with another message in it.
    #[must_use]
    pub fn mended(mut self, message: Vec<u8>) -> Self {
        self.record.value = Some(message);
        self
    }

    /// The message as it was before Dapr delivered it.
    fn message(&self, now: DateTime<Utc>) -> Record {
        let mut headers = self.record.headers.clone();
        headers.retain(|name, _| !name.starts_with("__") && !ADDED.contains(&name.as_str()));
        Record {
            key: self.record.key.clone(),
            value: self.record.value.clone(),
            headers,
            timestamp: now,
        }
    }

    fn note(&self, now: DateTime<Utc>) -> Record {
        let (partition, offset) = self.place;
        let place = format!("{partition}/{offset}");
        Record {
            key: None,
            value: None,
            headers: [(REPLAYED.to_owned(), place.into_bytes())].into(),
            timestamp: now,
        }
    }
}

/// An app that takes the messages of a topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Consumer {
    /// The topic.
    pub topic: String,
    /// The app id.
    pub app: String,
}

/// Who consumes what, as the Subscriptions in the folder of the Dapr resources say.
pub fn consumers(components: &Path) -> std::io::Result<Vec<Consumer>> {
    #[derive(Deserialize)]
    struct Subscription {
        spec: Spec,
        #[serde(default)]
        scopes: Vec<String>,
    }
    #[derive(Deserialize)]
    struct Spec {
        topic: String,
    }
    let mut consumers = Vec::new();
    for entry in std::fs::read_dir(components)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        if !text.lines().any(|line| line == "kind: Subscription") {
            continue;
        }
        if let Ok(Subscription { spec, scopes }) = serde_saphyr::from_str(&text) {
            let topic = spec.topic;
            consumers.extend(scopes.into_iter().map(|app| Consumer {
                topic: topic.clone(),
                app,
            }));
        }
    }
    consumers.sort_by(|a, b| (&a.topic, &a.app).cmp(&(&b.topic, &b.app)));
    Ok(consumers)
}

/// The letters that were not replayed, of one topic or of all, those of a partition in their order.
pub async fn pending(client: &Client, topic: Option<&str>) -> Result<Vec<Letter>, EventsError> {
    let topics = match topic {
        Some(topic) => BTreeSet::from([topic.strip_suffix(SUFFIX).unwrap_or(topic).to_owned()]),
        None => {
            let all = client.list_topics().await?.into_iter();
            all.filter_map(|topic| Some(topic.name.strip_suffix(SUFFIX)?.to_owned()))
                .collect()
        }
    };
    let mut letters = Vec::new();
    for topic in topics {
        let mut found = Vec::new();
        let query = Query {
            timeout: None,
            ..Query::all(&format!("{topic}{SUFFIX}"))
        };
        let read = read_records(client, &query, |partition, record| {
            found.push(((partition, record.offset), record.record));
            true
        });
        let read = tokio::time::timeout(PATIENCE, read).await;
        read.map_err(|_| EventsError::Silent { within: PATIENCE })??;
        letters.extend(left(&topic, found));
    }
    Ok(letters)
}

/// Of a topic's dead letters those without a note.
fn left(topic: &str, found: Vec<Found>) -> Vec<Letter> {
    let (notes, letters): (Vec<Found>, Vec<Found>) = found
        .into_iter()
        .partition(|(_, record)| record.headers.contains_key(REPLAYED));
    let replayed: BTreeSet<Vec<u8>> = notes
        .into_iter()
        .flat_map(|(_, record)| record.headers.into_values())
        .collect();
    let mut letters: Vec<Letter> = letters
        .into_iter()
        .filter(|((partition, offset), _)| {
            !replayed.contains(format!("{partition}/{offset}").as_bytes())
        })
        .map(|(place, record)| Letter {
            topic: topic.to_owned(),
            place,
            record,
        })
        .collect();
    letters.sort_by_key(|letter| (letter.origin(), letter.place));
    letters
}

/// Publishes each message to its topic again, once even if several consumers did not take it, and notes that. `each` is
/// told of every letter that is done.
pub async fn replay(
    client: &Client,
    letters: &[Letter],
    mut each: impl FnMut(&Letter),
) -> Result<(), EventsError> {
    let topics = client.list_topics().await?;
    let mut sent = BTreeSet::new();
    for letter in letters {
        let now = DateTime::<Utc>::from(SystemTime::now());
        let message = letter.message(now);
        if sent.insert((&letter.topic, message.key.clone(), message.value.clone())) {
            let topic = topics.iter().find(|topic| topic.name == letter.topic);
            let Some(topic) = topic else {
                return Err(EventsError::unknown_topic(&letter.topic, &topics));
            };
            let origin = letter.origin().map(|(partition, _)| partition);
            let partition = origin
                .filter(|partition| topic.partitions.contains(partition))
                .unwrap_or_else(|| partition_of(message.key.as_deref(), topic.partitions.len()));
            produce(client, &letter.topic, partition, message).await?;
        }
        let dead = format!("{}{SUFFIX}", letter.topic);
        produce(client, &dead, letter.place.0, letter.note(now)).await?;
        each(letter);
    }
    Ok(())
}

/// Appends a record to a partition; when it returns, the broker has it.
pub async fn produce(
    client: &Client,
    topic: &str,
    partition: i32,
    record: Record,
) -> Result<(), EventsError> {
    let partition = client
        .partition_client(topic, partition, UnknownTopicHandling::Error)
        .await?;
    partition
        .produce(vec![record], Compression::NoCompression)
        .await?;
    Ok(())
}

/// The partition of a key, as the sidecars choose it: by FNV-1a of 32 bits. Without a key, the first.
#[must_use]
pub fn partition_of(key: Option<&[u8]>, partitions: usize) -> i32 {
    let Some(key) = key else { return 0 };
    let hash = key.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    let partitions = i32::try_from(partitions).unwrap_or(i32::MAX).max(1);
    (hash.cast_signed() % partitions).abs()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn record(value: &str, headers: &[(&str, &str)]) -> Record {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
        Record {
            key: Some(b"ann".to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: headers.collect::<BTreeMap<_, _>>(),
            timestamp: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        }
    }

    fn from(offset: &str) -> Vec<(&str, &str)> {
        vec![
            ("__topic", "task-events"),
            ("__partition", "3"),
            ("__offset", offset),
            ("__key", "ann"),
            ("__timestamp", "1"),
            ("pubsubName", "pubsub"),
            ("partitionKey", "ann"),
        ]
    }

    const EVENT: &str = r#"{"id":"e1","type":"task-created","data":{"account":"ann"}}"#;

    #[test]
    fn what_has_a_note_is_not_left_and_the_order_is_that_of_the_topic() {
        let found = vec![
            ((0, 0), record(EVENT, &from("9"))),
            ((0, 1), record(EVENT, &from("7"))),
            ((0, 2), record(EVENT, &from("8"))),
        ];
        let names = |letters: &[Letter]| letters.iter().map(Letter::name).collect::<Vec<_>>();
        let letters = left("task-events", found.clone());
        assert_eq!(
            names(&letters),
            ["task-events:0:1", "task-events:0:2", "task-events:0:0"]
        );
        let mut noted = found;
        let note = letters[1].note(DateTime::UNIX_EPOCH);
        noted.push(((0, 3), note));
        assert_eq!(
            names(&left("task-events", noted)),
            ["task-events:0:1", "task-events:0:0"]
        );
    }

    #[test]
    fn a_message_goes_back_as_it_was() {
        let mut headers = from("7");
        headers.push((REASON, "no signature"));
        headers.push(("own", "header"));
        let found = vec![((0, 4), record("not \u{0} json", &headers))];
        let letter = &left("task-events", found)[0];
        let message = letter.message(DateTime::UNIX_EPOCH);
        assert_eq!(message.key.as_deref(), Some(&b"ann"[..]));
        assert_eq!(message.value.as_deref(), Some(&b"not \0 json"[..]));
        let names: Vec<&str> = message.headers.keys().map(String::as_str).collect();
        assert_eq!(names, ["own", "partitionKey"]);
        assert_eq!(letter.origin(), Some((3, 7)));
    }

    #[test]
    fn a_letter_is_known_by_its_own_name_and_by_its_messages() {
        let found = vec![((0, 4), record(EVENT, &from("7")))];
        let letter = &left("task-events", found)[0];
        assert!(letter.is("e1") && letter.is("task-events:0:4"));
        assert!(!letter.is("task-events:0:5"));
        let consumer = |topic: &str, app: &str| Consumer {
            topic: topic.to_owned(),
            app: app.to_owned(),
        };
        let mut all = vec![consumer("task-events", "recurrence")];
        assert_eq!(
            letter.line(&all),
            "task-events:0:4  2027-01-15T08:00:00.000Z  task-created     e1  ann  not taken by recurrence"
        );
        all.extend([consumer("reminders", "x"), consumer("task-events", "audit")]);
        assert!(
            letter
                .line(&all)
                .ends_with("not taken by one of recurrence, audit")
        );
        let told = letter.describe(&all);
        assert_eq!(told["account"], "ann");
        assert_eq!(told["message"]["data"]["account"], "ann");
    }

    #[test]
    fn what_is_odd_is_shown_without_commanding_the_terminal_and_without_tokens() {
        let headers = [(REASON, "a\u{1b}[2Jb")];
        let odd = left(
            "t",
            vec![((0, 0), record("{\"id\":7,\"token\":\"eyJ\"}", &headers))],
        );
        assert!(!odd[0].line(&[]).chars().any(char::is_control));
        assert_eq!(odd[0].id(), None);
        assert!(!odd[0].describe(&[]).to_string().contains("eyJ"));
    }

    #[test]
    fn keys_are_spread_as_sarama_spreads_them() {
        // FNV-1a of "a" is 0xe40c292c, a negative number as sarama takes it.
        assert_eq!(partition_of(Some(b"a"), 8), 4);
        assert_eq!(partition_of(Some(b"foobar"), 8), 0);
        assert_eq!(partition_of(Some(b"a"), 1), 0);
        assert_eq!(partition_of(None, 8), 0);
    }

    #[test]
    fn consumers_are_those_of_the_subscriptions() {
        let components = Path::new(env!("CARGO_MANIFEST_DIR")).join("../components");
        let recurrence = Consumer {
            topic: "task-events".to_owned(),
            app: "recurrence".to_owned(),
        };
        assert!(consumers(&components).unwrap().contains(&recurrence));
    }
}
