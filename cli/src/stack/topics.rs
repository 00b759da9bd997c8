//! Makes the topics on brokers that run elsewhere; the embedded broker makes its own.

use std::collections::BTreeMap;

use rskafka::client::error::{Error, ProtocolError};

use crate::events::{self, EventsError};
use crate::layout::Topic;

/// How long a broker may take to make a topic.
const PATIENCE_MS: i32 = 10_000;
/// As many copies as the brokers are set to keep.
const REPLICATION: i16 = -1;

/// Why a topic is not there.
#[derive(Debug, thiserror::Error)]
pub enum TopicsError {
    /// The brokers do not answer.
    #[error(transparent)]
    Brokers(#[from] EventsError),
    /// A topic cannot be made.
    #[error("topic `{topic}` cannot be made: {source}")]
    Refused {
        /// The topic.
        topic: String,
        /// What the broker said.
        source: Error,
    },
}

/// What came of it.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Made {
    /// How many topics were made.
    pub made: usize,
    /// What is not as the project has it, in words. Partitions are never changed: an account's events would move to
    /// others, and lose their order.
    pub notes: Vec<String>,
}

/// Makes the topics that are not there.
///
/// # Errors
/// The brokers do not answer, or refuse.
pub async fn ensure(brokers: &[String], topics: &[Topic]) -> Result<Made, TopicsError> {
    let client = events::connect(brokers).await?;
    let there = client.list_topics().await.map_err(EventsError::from)?;
    let there: BTreeMap<&str, usize> = there
        .iter()
        .map(|topic| (topic.name.as_str(), topic.partitions.len()))
        .collect();
    let controller = client.controller_client().map_err(EventsError::from)?;
    let mut made = Made::default();
    for topic in topics {
        match there.get(topic.name.as_str()) {
            None => {
                let partitions = i32::try_from(topic.partitions).unwrap_or(i32::MAX);
                let name = topic.name.as_str();
                let outcome = controller.create_topic(name, partitions, REPLICATION, PATIENCE_MS);
                match outcome.await {
                    Ok(()) => made.made += 1,
                    // Another machine's `up` was faster.
                    Err(error) if is_there(&error) => {}
                    Err(source) => {
                        let topic = topic.name.clone();
                        return Err(TopicsError::Refused { topic, source });
                    }
                }
            }
            Some(partitions) => made.notes.extend(difference(topic, *partitions)),
        }
    }
    Ok(made)
}

fn is_there(error: &Error) -> bool {
    matches!(
        error,
        Error::ServerError {
            protocol_error: ProtocolError::TopicAlreadyExists,
            ..
        }
    )
}

fn difference(topic: &Topic, partitions: usize) -> Option<String> {
    let is_as_asked = u32::try_from(partitions).is_ok_and(|there| there == topic.partitions);
    (!is_as_asked).then(|| {
        format!(
            "topic {} has {partitions} partitions, not {}: it stays as it is",
            topic.name, topic.partitions
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_partitions_are_told() {
        let topic = Topic {
            name: "task-events".into(),
            partitions: 8,
        };
        assert_eq!(difference(&topic, 8), None);
        let told = difference(&topic, 3).unwrap();
        assert!(told.starts_with("topic task-events has 3 partitions, not 8"));
    }
}
