//! How late reminders are: from when they are due to the record on the topic `reminders`, and to the message by which open
//! clients learn of the entry in the inbox.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use docket_api::notifications::NOTIFICATION_CREATED;
use docket_cli::commands::bench::Options;
use docket_cli::events::From;
use docket_domain::event::TASK_UPDATES;
use docket_domain::reminder_due::REMINDERS;
use docket_tests::reminders::reminding;
use docket_tests::stack::Stack;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::api::Api;
use crate::arrivals::Arrivals;
use crate::report::{Report, Samples};

/// How many reminders are due in a second, each of another account.
const RATE: usize = 10;
/// The pause between two.
const STEP: TimeDelta = TimeDelta::milliseconds(1_000 / RATE as i64);
/// How long after the tasks were made the first is due: all have their jobs by then.
const LEAD: TimeDelta = TimeDelta::seconds(10);

/// Measures so many seconds.
///
/// # Errors
/// A reminder does not come, or comes before its time.
pub async fn measure(
    api: &Api<'_>,
    stack: &Stack,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let seconds = options.reminded_seconds();
    let accounts = api.accounts("reminded", RATE, 0).await?;
    let mut published = Arrivals::follow(stack, REMINDERS, From::Beginning, |event| {
        Some(event.attribute("subject").to_owned())
    });
    let mut delivered = Arrivals::follow(stack, TASK_UPDATES, From::Beginning, |event| {
        let is_one = event.attribute("type") == NOTIFICATION_CREATED;
        is_one.then(|| event.attribute("subject").to_owned())
    });

    // Far more than a second of them takes to make.
    let making = TimeDelta::milliseconds(100) * i32::try_from(seconds)?;
    let clock = Clock::now();
    let first = clock.wall + making + LEAD;
    let mut due = HashMap::new();
    for (number, account) in accounts.iter().enumerate() {
        let times = (0..seconds).map(|second| {
            let steps = i32::try_from(second * RATE + number)?;
            Ok(first + STEP * steps)
        });
        let times: Vec<DateTime<Utc>> = times.collect::<Result<_>>()?;
        let create = |at: &DateTime<Utc>| json!({ "op": "create", "task": reminding("due", *at) });
        let operations: Vec<Value> = times.iter().map(create).collect();
        for (operated, at) in account.batch(&operations).await?.into_iter().zip(times) {
            let task = operated.task.context("a created task")?;
            due.insert(task.id, clock.at(at)?);
        }
    }
    ensure!(due.len() == seconds * RATE, "{} tasks", due.len());
    ensure!(
        Instant::now() + LEAD.to_std()? / 2 < clock.at(first)?,
        "it took too long to make the tasks"
    );

    for (name, arrivals) in [
        ("due to the topic reminders", &mut published),
        ("due to a client's message", &mut delivered),
    ] {
        let mut late = HashMap::new();
        while late.len() < due.len() {
            let (task, came) = arrivals.next().await?;
            let at = due.get(&task).context("a reminder of another task")?;
            let took = came.checked_duration_since(*at).context("too early")?;
            late.entry(task).or_insert(took);
        }
        let samples = Samples {
            took: late.into_values().collect(),
            elapsed: Duration::from_secs(seconds as u64),
            refused: 0,
        };
        report.late(name, &samples);
    }
    Ok(())
}

/// The same moment on both clocks: reminders go by the one, what comes by the other.
struct Clock {
    wall: DateTime<Utc>,
    instant: Instant,
}

impl Clock {
    fn now() -> Self {
        Self {
            wall: Utc::now(),
            instant: Instant::now(),
        }
    }

    fn at(&self, wall: DateTime<Utc>) -> Result<Instant> {
        Ok(self.instant + (wall - self.wall).to_std()?)
    }
}
