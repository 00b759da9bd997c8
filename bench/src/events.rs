//! From a change's answer to its event at a consumer, a Kafka client of its own that reads `task-events`; and the same by
//! the outbox that Dapr has itself.

use anyhow::{Context as _, Result, bail};
use docket_cli::commands::bench::Options;
use docket_cli::events::From;
use docket_domain::event::TASK_EVENTS;
use docket_tests::client::Account;
use docket_tests::stack::Stack;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

use crate::api::{self, Api};
use crate::arrivals::Arrivals;
use crate::dapr_outbox::{self, DaprOutbox};
use crate::figures::round;
use crate::report::{Report, Samples};

/// The pause between two changes on an idle machine.
const PAUSE: Duration = Duration::from_millis(20);

/// Measures one change at a time, then as many as the clients can make, then one at a time by Dapr's outbox.
///
/// # Errors
/// A change is refused, or an event does not come.
pub async fn measure(
    api: &Api<'_>,
    stack: &Stack,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let clients = options.clients().into_iter().max().unwrap_or(1);
    let accounts = api.accounts("events", clients, 0).await?;
    let first = accounts.first().context("no account")?;
    let mut arrivals = listen(stack, first).await?;

    let mut idle = Samples::default();
    for _ in 0..options.repetitions() {
        let id = api::create(first).await?;
        let answered = Instant::now();
        let came = arrivals.of(&id).await?;
        idle.took.push(came.saturating_duration_since(answered));
        tokio::time::sleep(PAUSE).await;
        idle.elapsed += answered.elapsed();
    }
    report.event("one change at a time", &idle);

    let answered = Mutex::new(HashMap::new());
    let made = round(clients, options.round(), async |client| {
        let id = api::create(accounts.get(client).context("no account")?).await?;
        let mut answered = answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.insert(id, Instant::now());
        Ok(())
    })
    .await?;
    let mut answered = answered
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let mut loaded = Samples {
        elapsed: made.elapsed,
        refused: made.refused,
        ..Samples::default()
    };
    while !answered.is_empty() {
        let (id, came) = arrivals.next().await?;
        if let Some(at) = answered.remove(&id) {
            loaded.took.push(came.saturating_duration_since(at));
        }
    }
    report.event(&format!("{clients} clients at once"), &loaded);

    // It starts the stack again: what is measured before it is of a stack that is warm.
    report.event("Dapr's own outbox", &by_dapr(stack, options).await?);
    Ok(())
}

/// One transaction at a time. They take long: a few tell.
async fn by_dapr(stack: &Stack, options: &Options) -> Result<Samples> {
    let outbox = DaprOutbox::open(stack).await?;
    let mut arrivals = Arrivals::follow(stack, dapr_outbox::TOPIC, From::Beginning, |event| {
        Some(event.body.pointer("/data/key")?.as_str()?.to_owned())
    });
    let mut samples = Samples::default();
    // The first shows that the consumers are there.
    for n in 0..=options.repetitions().min(10) {
        let key = format!("change-{n}");
        outbox.change(&key).await?;
        let answered = Instant::now();
        let came = arrivals.of(&key).await?;
        if n > 0 {
            samples.took.push(came.saturating_duration_since(answered));
            samples.elapsed += answered.elapsed();
        }
    }
    Ok(samples)
}

/// Starts a consumer, and waits until it has what happens.
async fn listen(stack: &Stack, account: &Account) -> Result<Arrivals> {
    let mut arrivals = Arrivals::follow(stack, TASK_EVENTS, From::End, |event| {
        Some(event.attribute("subject").to_owned())
    });
    // It begins with what comes after it is there, and does not tell when that is.
    let deadline = Instant::now() + Arrivals::PATIENCE;
    while Instant::now() < deadline {
        let id = api::create(account).await?;
        let wanted = arrivals.of(&id);
        if let Ok(Ok(_)) = timeout(Duration::from_millis(500), wanted).await {
            return Ok(arrivals);
        }
    }
    bail!("the consumer gets no events")
}
