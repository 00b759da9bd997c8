//! Operations of the API beside the calls of the sidecar that each needs.

use anyhow::{Result, bail, ensure};
use docket_cli::commands::bench::{Figure, Options};
use docket_tests::client::Account;
use futures::future::join_all;
use std::time::{Duration, Instant};

use crate::api::{self, Api};
use crate::raw::Raw;
use crate::report::{Report, Samples};

/// How many open tasks an account has that is listed or searched.
const LISTED: usize = 1_000;
/// How many tasks a batch creates.
const BATCH: usize = 50;
/// How many closed segments [`LISTED`] tasks fill, and how many of them a page of 200 tasks reads.
const SEGMENTS: usize = LISTED / 64;
const SEGMENTS_OF_A_PAGE: usize = 4;

/// Clients that do one thing after the other, all at once, until `time` is over.
///
/// # Errors
/// The first thing of a client already fails; later failures are counted.
pub async fn round(
    clients: usize,
    time: Duration,
    operation: impl AsyncFn(usize) -> Result<()>,
) -> Result<Samples> {
    let began = Instant::now();
    let one = async |client: usize| {
        let mut samples = Samples::default();
        while samples.took.is_empty() || began.elapsed() < time {
            let start = Instant::now();
            match operation(client).await {
                Ok(()) => samples.took.push(start.elapsed()),
                Err(error) if samples.took.is_empty() => return Err(error),
                Err(_) => samples.refused += 1,
            }
        }
        Ok(samples)
    };
    let mut all = Samples::default();
    for samples in join_all((0..clients).map(one)).await {
        all.add(samples?);
    }
    all.elapsed = began.elapsed();
    Ok(all)
}

/// Rounds of both, in turns; the first of each warms up and does not count.
async fn compare(
    options: &Options,
    clients: usize,
    api: impl AsyncFn(usize) -> Result<()>,
    raw: impl AsyncFn(usize) -> Result<()>,
) -> Result<(Samples, Samples)> {
    let (mut of_api, mut of_raw) = (Samples::default(), Samples::default());
    for number in 0..=options.rounds() {
        let sidecar = round(clients, options.round(), &raw).await?;
        let app = round(clients, options.round(), &api).await?;
        if number > 0 || options.quick {
            of_api.add(app);
            of_raw.add(sidecar);
        }
    }
    Ok((of_api, of_raw))
}

/// Measures one operation with one client and with sixteen, each with an account of its own.
///
/// # Errors
/// An operation does not work at all.
pub async fn measure(
    figure: Figure,
    api: &Api<'_>,
    raw: &Raw,
    options: &Options,
    report: &mut Report,
) -> Result<()> {
    let most = options.clients().into_iter().max().unwrap_or(1);
    let tasks = match figure {
        Figure::List | Figure::Search => LISTED,
        Figure::Get => 50,
        _ => 0,
    };
    let accounts = api.accounts(&figure.to_string(), most, tasks).await?;
    let mut ids = Vec::new();
    if figure == Figure::Get {
        for account in &accounts {
            ids.push(api::page(account, "limit=1").await?.0.concat());
        }
    }
    let keys: Vec<Vec<String>> = (0..most)
        .map(|client| {
            let key = |n| format!("bench:{figure}:{client}:{n}");
            (0..=SEGMENTS).map(key).collect()
        })
        .collect();
    for keys in &keys {
        raw.seed(keys).await?;
    }
    let keys = |client: usize| -> Result<&[String]> {
        let keys = keys.get(client).map(Vec::as_slice);
        keys.ok_or_else(|| anyhow::anyhow!("no such client"))
    };
    let book = |client| Ok::<_, anyhow::Error>(keys(client)?.first().map_or("", String::as_str));
    let account = |client: usize| -> Result<&Account> {
        let account = accounts.get(client);
        account.ok_or_else(|| anyhow::anyhow!("no such client"))
    };

    for clients in options.clients() {
        match figure {
            Figure::Create => {
                let create = async |client| api::create(account(client)?).await.map(drop);
                let change = async |client| raw.change(book(client)?).await;
                let (of_api, of_raw) = compare(options, clients, create, change).await?;
                report.compare("create", clients, &of_api, &of_raw);
                if clients > 1 {
                    // The same account for all: they take turns, and none may be refused.
                    let create = async |_| api::create(account(0)?).await.map(drop);
                    let shared = async |client| raw.change(book(client)?).await;
                    let (of_api, of_raw) = compare(options, clients, create, shared).await?;
                    report.compare("create, one account", clients, &of_api, &of_raw);
                }
            }
            Figure::Get => {
                let get = async |client: usize| {
                    let id = ids.get(client).map_or("", String::as_str);
                    api::get(account(client)?, id).await
                };
                let read = async |client| raw.get(book(client)?).await.map(drop);
                let (of_api, of_raw) = compare(options, clients, get, read).await?;
                report.compare("get", clients, &of_api, &of_raw);
            }
            Figure::List => {
                let page = async |client| {
                    let (ids, _) = api::page(account(client)?, "limit=50").await?;
                    ensure!(ids.len() == 50, "{} tasks", ids.len());
                    Ok(())
                };
                let read = async |client: usize| {
                    raw.get(book(client)?).await?;
                    raw.bulk(keys(client)?.get(1..2).unwrap_or_default()).await
                };
                let (of_api, of_raw) = compare(options, clients, page, read).await?;
                report.compare("list 50 of 1,000", clients, &of_api, &of_raw);
                let all = async |client| api::list_all(account(client)?, LISTED).await;
                let read = async |client: usize| {
                    for _ in 0..LISTED.div_ceil(200) {
                        raw.get(book(client)?).await?;
                        let segments = keys(client)?.get(1..=SEGMENTS_OF_A_PAGE);
                        raw.bulk(segments.unwrap_or_default()).await?;
                    }
                    Ok(())
                };
                let (of_api, of_raw) = compare(options, clients, all, read).await?;
                report.compare("list all 1,000", clients, &of_api, &of_raw);
            }
            Figure::Search => {
                let search = async |client| {
                    let (ids, _) = api::page(account(client)?, "q=passp&limit=50").await?;
                    ensure!(ids.len() == 50, "{} tasks", ids.len());
                    Ok(())
                };
                let read = async |client: usize| {
                    raw.get(book(client)?).await?;
                    raw.bulk(keys(client)?.get(1..).unwrap_or_default()).await
                };
                let (of_api, of_raw) = compare(options, clients, search, read).await?;
                report.compare("search 1,000", clients, &of_api, &of_raw);
            }
            Figure::Batch => {
                let batch = async |client| api::batch(account(client)?, BATCH).await;
                let change = async |client| raw.change(book(client)?).await;
                let (of_api, of_raw) = compare(options, clients, batch, change).await?;
                report.compare("batch of 50", clients, &of_api, &of_raw);
            }
            Figure::Events | Figure::Reminders | Figure::Cost | Figure::All => {
                bail!("{figure} is measured elsewhere")
            }
        }
    }
    Ok(())
}
