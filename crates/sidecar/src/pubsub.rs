//! Dapr's publish API: <https://docs.dapr.io/reference/api/pubsub_api/>.

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

use crate::{Error, Sidecar, Transport, encode, escape, parse};

const CLOUD_EVENT: &str = "application/cloudevents+json";

/// A CloudEvent to publish.
#[derive(Clone, Debug)]
pub struct Message {
    event: Box<RawValue>,
    key: String,
}

impl Message {
    /// A message of the whole `event`, in the structured JSON form of CloudEvents 1.0. Messages of one key stay in
    /// order: they go to one partition.
    ///
    /// # Errors
    /// The event is not JSON: a map with keys that are no strings.
    pub fn new(event: &impl Serialize, key: String) -> Result<Self, Error> {
        let event = to_raw_value(event).map_err(|e| Error::Malformed {
            call: "publish",
            detail: e.to_string(),
        })?;
        Ok(Self { event, key })
    }

    /// How many bytes the event has.
    pub fn size(&self) -> usize {
        self.event.get().len()
    }
}

impl<T: Transport> Sidecar<T> {
    /// Publishes messages. When it returns without an error, the broker has all of them, in their order unless it was down
    /// meanwhile: Dapr's producer has several requests under way, and repeats one after later ones.
    ///
    /// # Errors
    /// See [`Error`]; any of the messages may have been published.
    pub async fn publish(
        &self,
        pubsub: &str,
        topic: &str,
        messages: &[Message],
    ) -> Result<(), Error> {
        match messages {
            [] => Ok(()),
            [message] => self.publish_one(pubsub, topic, message).await,
            many => self.publish_bulk(pubsub, topic, many).await,
        }
    }

    async fn publish_one(&self, pubsub: &str, topic: &str, message: &Message) -> Result<(), Error> {
        const CALL: &str = "publish";
        let path = format!(
            "/v1.0/publish/{}/{}?metadata.partitionKey={}",
            escape(pubsub),
            escape(topic),
            escape(&message.key)
        );
        let body = encode(CALL, &message.event)?;
        let headers = [(CONTENT_TYPE, HeaderValue::from_static(CLOUD_EVENT))];
        crate::checked(
            CALL,
            self.send(CALL, Method::POST, &path, &headers, body).await?,
        )
        .map(drop)
    }

    /// Publishes bytes as they are, not as a CloudEvent. What `metadata` has beside Dapr's own `partitionKey` goes with
    /// them as headers.
    ///
    /// # Errors
    /// See [`Error`]; the bytes may have been published.
    pub async fn publish_raw(
        &self,
        pubsub: &str,
        topic: &str,
        metadata: &BTreeMap<&str, &str>,
        bytes: Bytes,
    ) -> Result<(), Error> {
        const CALL: &str = "raw publish";
        let mut path = format!(
            "/v1.0/publish/{}/{}?metadata.rawPayload=true",
            escape(pubsub),
            escape(topic)
        );
        for (name, value) in metadata {
            path.push_str(&format!("&metadata.{}={}", escape(name), escape(value)));
        }
        let headers = [(
            CONTENT_TYPE,
            HeaderValue::from_static("application/octet-stream"),
        )];
        let sent = self
            .send(CALL, Method::POST, &path, &headers, bytes)
            .await?;
        crate::checked(CALL, sent).map(drop)
    }

    async fn publish_bulk(
        &self,
        pubsub: &str,
        topic: &str,
        messages: &[Message],
    ) -> Result<(), Error> {
        #[derive(Serialize)]
        struct Entry<'a> {
            #[serde(rename = "entryId")]
            id: String,
            event: &'a RawValue,
            #[serde(rename = "contentType")]
            content_type: &'static str,
            metadata: BTreeMap<&'static str, &'a str>,
        }
        #[derive(Default, Deserialize)]
        struct Answer {
            #[serde(default, rename = "failedEntries")]
            failed: Vec<Failed>,
        }
        #[derive(Deserialize)]
        struct Failed {
            #[serde(default)]
            error: String,
        }
        const CALL: &str = "bulk publish";
        let entries: Vec<Entry<'_>> = messages
            .iter()
            .enumerate()
            .map(|(i, message)| Entry {
                id: i.to_string(),
                event: &message.event,
                content_type: CLOUD_EVENT,
                metadata: BTreeMap::from([("partitionKey", message.key.as_str())]),
            })
            .collect();
        let body: Bytes = encode(CALL, &entries)?;
        let path = format!(
            "/v1.0-alpha1/publish/bulk/{}/{}",
            escape(pubsub),
            escape(topic)
        );
        let response = self.post_json(CALL, &path, body).await?;
        let answer: Answer = if response.body().is_empty() {
            Answer::default()
        } else {
            parse(CALL, response.body())?
        };
        match answer.failed.into_iter().next() {
            None => Ok(()),
            Some(failed) => Err(Error::Malformed {
                call: CALL,
                detail: failed.error,
            }),
        }
    }
}
