//! From a change's answer to its event at a consumer: a Kafka client of its own that reads `task-events`.

use anyhow::{Context as _, Result, bail};
use docket_cli::commands::bench::Options;
use docket_cli::events::{self, From, Query};
use docket_domain::event::TASK_EVENTS;
use docket_tests::client::Account;
use docket_tests::stack::Stack;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::api::{self, Api};
use crate::figures::round;
use crate::report::{Report, Samples};

/// How long an event is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The pause between two changes on an idle machine.
const PAUSE: Duration = Duration::from_millis(20);

/// The events as they come: which task, and when.
type Arrivals = mpsc::UnboundedReceiver<(String, Instant)>;

/// Measures one change at a time, then as many as the clients can make.
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
    let mut arrivals = listen(stack.brokers(), first).await?;

    let mut idle = Samples::default();
    for _ in 0..options.repetitions() {
        let id = api::create(first).await?;
        let answered = Instant::now();
        let came = arrival(&mut arrivals, &id).await?;
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
        let (id, came) = next(&mut arrivals).await?;
        if let Some(at) = answered.remove(&id) {
            loaded.took.push(came.saturating_duration_since(at));
        }
    }
    report.event(&format!("{clients} clients at once"), &loaded);
    Ok(())
}

/// Starts a consumer, and waits until it has what happens.
async fn listen(brokers: Vec<String>, account: &Account) -> Result<Arrivals> {
    let (sender, mut arrivals) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let query = Query {
            from: From::End,
            follow: true,
            timeout: None,
            ..Query::all(TASK_EVENTS)
        };
        let each = |event: events::Event| {
            // Nobody listens any more when all is measured.
            let _ = sender.send((event.attribute("subject").to_owned(), Instant::now()));
        };
        if let Err(error) = events::read_topic(&brokers, &query, each).await {
            eprintln!("error: the consumer: {error}");
        }
    });
    // It begins with what comes after it is there, and does not tell when that is.
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let id = api::create(account).await?;
        let wanted = arrival(&mut arrivals, &id);
        if let Ok(Ok(_)) = timeout(Duration::from_millis(500), wanted).await {
            return Ok(arrivals);
        }
    }
    bail!("the consumer gets no events")
}

/// When a task's event came.
async fn arrival(arrivals: &mut Arrivals, id: &str) -> Result<Instant> {
    loop {
        let (subject, came) = next(arrivals).await?;
        if subject == id {
            return Ok(came);
        }
    }
}

async fn next(arrivals: &mut Arrivals) -> Result<(String, Instant)> {
    let next = timeout(PATIENCE, arrivals.recv()).await;
    next.context("an event does not come")?
        .context("the consumer has ended")
}
