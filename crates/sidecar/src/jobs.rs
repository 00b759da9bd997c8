//! Dapr's jobs API: <https://docs.dapr.io/reference/api/jobs_api/>.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;
use std::time::Duration;

use crate::{Error, Sidecar, Transport, encode, escape};

/// A call at a certain time: our sidecar then sends `POST /job/<name>` with the data to the app.
#[derive(Clone, Debug)]
pub struct Job<'a, D> {
    /// Its name. A second job of one name takes the place of the first.
    pub name: &'a str,
    /// When, as RFC 3339 in UTC; what lies in the past is due at once.
    pub due: String,
    /// What it carries.
    pub data: &'a D,
    /// How long it waits between two tries while the app does not answer with 2xx.
    pub retry_every: Duration,
    /// How often it is tried again before the scheduler gives it up.
    pub retries: u32,
}

impl<T: Transport> Sidecar<T> {
    /// Schedules a job. It is delivered at least once.
    ///
    /// # Errors
    /// See [`Error`]; after [`Error::Transport`] it may be scheduled.
    pub async fn schedule_job<D: Serialize>(&self, job: &Job<'_, D>) -> Result<(), Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Body<'a, D> {
            due_time: &'a str,
            data: &'a D,
            overwrite: bool,
            failure_policy: FailurePolicy,
        }
        #[derive(Serialize)]
        struct FailurePolicy {
            constant: Constant,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Constant {
            interval: String,
            max_retries: u32,
        }
        const CALL: &str = "job schedule";
        let body = Body {
            due_time: &job.due,
            data: job.data,
            overwrite: true,
            failure_policy: FailurePolicy {
                constant: Constant {
                    interval: format!("{}s", job.retry_every.as_secs_f64()),
                    max_retries: job.retries,
                },
            },
        };
        self.post_json(CALL, &path(job.name), encode(CALL, &body)?)
            .await
            .map(drop)
    }

    /// Takes a job back. That there is none is fine too: it was delivered, or taken back before.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn delete_job(&self, name: &str) -> Result<(), Error> {
        const CALL: &str = "job delete";
        let answer = self
            .send(CALL, Method::DELETE, &path(name), &[], Bytes::new())
            .await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(()),
            _ => crate::checked(CALL, answer).map(drop),
        }
    }
}

fn path(name: &str) -> String {
    format!("/v1.0/jobs/{}", escape(name))
}
