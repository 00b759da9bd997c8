//! Events as they come to a consumer: a Kafka client of its own that follows a topic.

use anyhow::{Context as _, Result};
use docket_cli::events::{self, Event, From, Query};
use docket_tests::stack::Stack;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// What each event is about, and when it came. Reading ends with this.
pub struct Arrivals(mpsc::UnboundedReceiver<(String, Instant)>);

impl Arrivals {
    /// How long an event is waited for.
    pub const PATIENCE: Duration = Duration::from_secs(30);

    /// Begins to follow a topic; `about` names what an event is about, nothing for those that are left out.
    pub fn follow(
        stack: &Stack,
        topic: &'static str,
        from: From,
        about: fn(&Event) -> Option<String>,
    ) -> Self {
        let brokers = stack.brokers();
        let (sender, arrivals) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let query = Query {
                from,
                follow: true,
                timeout: None,
                ..Query::all(topic)
            };
            let each = |event: Event| {
                let came = Instant::now();
                if let Some(about) = about(&event) {
                    // Nobody listens any more when all is measured.
                    let _ = sender.send((about, came));
                }
            };
            tokio::select! {
                () = sender.closed() => {}
                read = events::read_topic(&brokers, &query, each) => {
                    if let Err(error) = read {
                        eprintln!("error: the consumer of {topic}: {error}");
                    }
                }
            }
        });
        Self(arrivals)
    }

    /// The next one.
    ///
    /// # Errors
    /// None comes in time.
    pub async fn next(&mut self) -> Result<(String, Instant)> {
        let next = timeout(Self::PATIENCE, self.0.recv()).await;
        next.context("an event does not come")?
            .context("the consumer has ended")
    }

    /// When the one about this came; those before it are passed over.
    ///
    /// # Errors
    /// It does not come in time.
    pub async fn of(&mut self, wanted: &str) -> Result<Instant> {
        loop {
            let (about, came) = self.next().await?;
            if about == wanted {
                return Ok(came);
            }
        }
    }
}
