//! Goes through an account's audit log over the API, and computes its chain anew: nothing that the stack says of it has to be
//! believed.

use std::net::SocketAddr;
use std::time::Duration;

use docket_domain::audit::{Break, Broken, Entry, Hash, Verified, Verifier};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use tokio::time::{Instant, sleep};

use crate::ask::ask;

/// How long the log may be behind the tasks, before its end counts as cut off.
const BEHIND: Duration = Duration::from_secs(10);
/// How often is looked whether it still is.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How many entries one answer has.
const PAGE: usize = 500;

/// Why a log cannot be verified.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The app does not answer.
    #[error("the app does not answer at {address}")]
    Silent {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// It answers something else.
    #[error("the app answers GET {path} with {answer}")]
    Answer {
        /// What was asked for.
        path: String,
        /// What came.
        answer: String,
    },
}

/// What was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Of the chain.
    pub chain: Verified,
    /// Whether the log goes through the hash that somebody kept.
    pub has_anchor: bool,
    /// Whether `tasks` knows of later changes than the log.
    pub is_behind: bool,
}

impl Found {
    /// What is wrong, for a person; none if all is as it should be.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        if let Some(Broken {
            position,
            event_id,
            why,
        }) = &self.chain.broken_at
        {
            let what = match why {
                Break::Changed => "it is not what was written",
                Break::Missing => "what should stand before it is not there",
                Break::Reordered => "another one should stand there, which comes later",
                Break::Repeated => "its event is there a second time",
                Break::CutOff => "the log does not end as it did",
            };
            let event = event_id.as_deref().unwrap_or("none");
            return Some(format!(
                "broken at entry {position} (event {event}): {what}"
            ));
        }
        if !self.has_anchor {
            return Some("the log does not go through that hash: it was written anew".to_owned());
        }
        let end =
            "cut off: the tasks have changed since the last entry, and the log does not say so";
        self.is_behind.then(|| end.to_owned())
    }
}

/// The app, for one account.
#[derive(Clone, Debug)]
pub struct Api {
    /// Where it is.
    pub address: SocketAddr,
    /// The account's access token.
    pub token: String,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Entry>,
    next_cursor: Option<String>,
}

impl Api {
    /// Goes through the account's log. `anchor` is the hash of an entry that it must still have.
    ///
    /// # Errors
    /// The app does not answer as it should.
    pub async fn verify(&self, anchor: Option<Hash>) -> Result<Found, AuditError> {
        let is_behind = self.stays_behind().await?;
        // A log that is too large for the function to go through in one request is gone through all the same.
        let told: Option<Verified> = match self.get("/api/audit/verify").await {
            Err(AuditError::Answer { .. }) => None,
            told => Some(told?),
        };
        let end = told.as_ref().filter(|told| told.entries > 0);
        let end = end.map(|told| told.hash);
        let mut verifier = Verifier::default();
        let mut has_anchor = anchor.is_none();
        let mut has_end = end.is_none();
        let mut cursor = String::new();
        loop {
            let path = format!("/api/audit?order=oldest&limit={PAGE}&cursor={cursor}");
            let page: Page = self.get(&path).await?;
            for entry in &page.entries {
                has_anchor |= anchor == Some(entry.hash);
                has_end |= end == Some(entry.hash);
                verifier.take(entry);
            }
            match page.next_cursor {
                Some(next) => cursor = next,
                None => break,
            }
        }
        if !has_end {
            verifier.cut_off();
        }
        let own = verifier.finish();
        // The function sees its document of the log's end too.
        let chain = match told {
            Some(told) if own.ok && !told.ok => told,
            _ => own,
        };
        Ok(Found {
            chain,
            has_anchor,
            is_behind,
        })
    }

    /// Whether the tasks have changes that the log does not get.
    async fn stays_behind(&self) -> Result<bool, AuditError> {
        let deadline = Instant::now() + BEHIND;
        loop {
            let newest: Page = self.get("/api/audit?limit=1").await?;
            let last = newest.entries.first().map_or(0, |entry| entry.content.seq);
            if !self.has_changes_after(last).await? {
                return Ok(false);
            }
            if Instant::now() >= deadline {
                return Ok(true);
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn has_changes_after(&self, last: u64) -> Result<bool, AuditError> {
        #[derive(Deserialize)]
        struct Feed {
            changes: Vec<IgnoredAny>,
            reset: bool,
        }
        #[derive(Deserialize)]
        struct List {
            tasks: Vec<Task>,
        }
        #[derive(Deserialize)]
        struct Task {
            version: u64,
        }
        let path = format!("/api/changes?since={last}&limit=1");
        let feed: Feed = self.get(&path).await?;
        if !feed.reset {
            return Ok(!feed.changes.is_empty());
        }
        // The feed has forgotten deletions of that time; the tasks that are there tell their last changes.
        let list: List = self
            .get("/api/tasks?status=all&sort=-updated&limit=1")
            .await?;
        Ok(list.tasks.first().is_some_and(|task| task.version > last))
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, AuditError> {
        let address = self.address;
        let bearer = format!("Bearer {}", self.token);
        let answer = ask(address, "GET", path, ("Authorization", &bearer), None).await;
        let answer = answer.map_err(|source| AuditError::Silent { address, source })?;
        let body = Some(&answer.body).filter(|_| answer.status == 200);
        body.and_then(|body| serde_json::from_str(body).ok())
            .ok_or_else(|| AuditError::Answer {
                path: path.to_owned(),
                answer: answer.to_string(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(broken: Option<Break>, has_anchor: bool, is_behind: bool) -> Found {
        let mut chain = Verifier::default().finish();
        chain.ok = broken.is_none();
        chain.broken_at = broken.map(|why| Broken {
            position: 7,
            event_id: Some("x-7".to_owned()),
            why,
        });
        Found {
            chain,
            has_anchor,
            is_behind,
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        assert_eq!(found(None, true, false).wrong(), None);
        for why in [
            Break::Changed,
            Break::Missing,
            Break::Reordered,
            Break::Repeated,
            Break::CutOff,
        ] {
            let wrong = found(Some(why), true, true).wrong().unwrap();
            assert!(
                wrong.starts_with("broken at entry 7 (event x-7): "),
                "{wrong}"
            );
        }
        for (has_anchor, is_behind, said) in [(false, false, "anew"), (true, true, "cut off")] {
            let wrong = found(None, has_anchor, is_behind).wrong().unwrap();
            assert!(wrong.contains(said), "{wrong}");
        }
    }
}
