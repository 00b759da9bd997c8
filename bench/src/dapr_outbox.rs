//! Dapr's own transactional outbox, on the sidecar of `tasks` and in the same run: a state store that publishes what is
//! written to it (docs.dapr.io, "transactional outbox").
//!
//! Dapr publishes to a topic of its own before it commits, waits a second, looks whether the transaction was committed, and
//! publishes to the topic that consumers read.

use anyhow::Result;
use docket_cli::events;
use docket_tests::stack::Stack;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

use crate::raw::Raw;

/// The topic to which Dapr's outbox publishes.
pub const TOPIC: &str = "bench-outbox";
/// The topic that it has for itself: namespace, app id, topic.
const INTERNAL_TOPIC: &str = "defaulttasksbench-outboxoutbox";
const APP: &str = "tasks";
const STORE: &str = "bench-outbox";
const PUBSUB: &str = "bench-outbox-pubsub";
/// How long a topic may take to be made.
const PATIENCE: Duration = Duration::from_secs(10);

/// The store.
pub struct DaprOutbox(Raw);

impl DaprOutbox {
    /// Makes the topics and the components, and starts the stack again, so that the sidecar finds them.
    ///
    /// # Errors
    /// The broker refuses, or the stack does not come back.
    pub async fn open(stack: &Stack) -> Result<Self> {
        let client = events::connect(&stack.brokers()).await?;
        let controller = client.controller_client()?;
        for topic in [TOPIC, INTERNAL_TOPIC] {
            let patience = PATIENCE.as_millis() as i32;
            controller.create_topic(topic, 1, 1, patience).await?;
        }
        let folder = stack.data().components();
        std::fs::create_dir_all(&folder)?;
        for (name, kind, metadata) in components(stack.data().root()) {
            // JSON is YAML too.
            let component = json!({
                "apiVersion": "dapr.io/v1alpha1", "kind": "Component", "metadata": { "name": name },
                "spec": { "type": kind, "version": "v1", "metadata": metadata },
                "scopes": [APP],
            });
            std::fs::write(folder.join(format!("{name}.yaml")), component.to_string())?;
        }
        stack.down().await?;
        stack.up().await?;
        Ok(Self(Raw::new(stack)?))
    }

    /// Writes a key in a transaction, of which Dapr makes an event.
    ///
    /// # Errors
    /// It is refused.
    pub async fn change(&self, key: &str) -> Result<()> {
        // By the content type, the event has the value as it is.
        let metadata = json!({ "contentType": "application/json" });
        let request = json!({ "key": key, "value": { "key": key }, "metadata": metadata });
        self.0.upsert(STORE, &[request]).await
    }
}

/// The store beside the stack's own, and a component of its own for the broker: names, types, metadata.
fn components(folder: &Path) -> [(&'static str, &'static str, Value); 2] {
    let database = folder.join("bench-outbox.db");
    let store = json!([
        { "name": "connectionString", "value": format!("file:{}", database.display()) },
        { "name": "outboxPublishPubsub", "value": PUBSUB },
        { "name": "outboxPublishTopic", "value": TOPIC },
    ]);
    let broker = json!([
        { "name": "brokers", "envRef": "DOCKET_BROKERS" },
        { "name": "authType", "value": "none" },
        { "name": "consumerGroup", "value": STORE },
        { "name": "initialOffset", "value": "oldest" },
    ]);
    [
        (STORE, "state.sqlite", store),
        (PUBSUB, "pubsub.kafka", broker),
    ]
}
