//! Reminders while processes are killed, and while nothing runs at all.

use anyhow::{Result, ensure};
use docket_domain::reminders::State;
use docket_tests::client::{Account, Task};
use docket_tests::reminders::{Fired, SIDECAR, in_millis, ledger, reminding};
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::until;
use futures::future::try_join_all;
use std::time::{Duration, Instant};

/// How long after the end of all faults the last one may fire.
const SETTLED: Duration = Duration::from_secs(90);

/// Tasks with a reminder each, `pace` milliseconds apart, the first so many from now.
async fn remind(account: &Account, count: i64, first: i64, pace: i64) -> Result<Vec<Task>> {
    let begun = in_millis(first);
    let create = async |n: i64| {
        let at = begun + chrono::TimeDelta::milliseconds(n * pace);
        account
            .create(&reminding(&format!("reminder {n}"), at))
            .await
    };
    let mut tasks = Vec::new();
    for n in 0..count {
        tasks.push(create(n).await?);
    }
    Ok(tasks)
}

/// Waits until the function has planned all of them.
async fn planned(stack: &Stack, account: &Account, tasks: &[Task]) -> Result<()> {
    for task in tasks {
        until("it is planned", SETTLED, async || {
            let entries = ledger(stack, account, &task.id).await?.entries;
            Ok((!entries.is_empty()).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// That every task was reminded of once, by one id, and that the ledger says so.
async fn each_once(stack: &Stack, account: &Account, tasks: &[Task]) -> Result<Fired> {
    let fired = Fired::wait(stack, account, tasks.len(), SETTLED).await?;
    let mut expected: Vec<String> = tasks.iter().map(|task| task.id.clone()).collect();
    expected.sort_unstable();
    ensure!(
        fired.tasks() == expected,
        "{} events for {} tasks",
        fired.events.len(),
        tasks.len()
    );
    for task in tasks {
        until("the ledger says so", SETTLED, async || {
            // A function that was just killed does not answer yet.
            let Ok(ledger) = ledger(stack, account, &task.id).await else {
                return Ok(None);
            };
            let [entry] = ledger.entries.as_slice() else {
                anyhow::bail!("{ledger:?}");
            };
            Ok((entry.state == State::Fired).then_some(()))
        })
        .await?;
    }
    Ok(fired)
}

pub async fn reminders_due_while_everything_was_down(_: &Suite) -> Result<()> {
    let stack = Stack::start("reminders-down").await?;
    let account = stack.account("sleeper").await?;
    let tasks = remind(&account, 60, 8_000, 50).await?;
    planned(&stack, &account, &tasks).await?;
    stack.down().await?;
    let last = in_millis(0).timestamp_millis() + 12_000;
    until("all of them are due", SETTLED, async || {
        Ok((in_millis(0).timestamp_millis() > last).then_some(()))
    })
    .await?;
    stack.up().await?;
    let began = Instant::now();
    let fired = each_once(&stack, &account, &tasks).await?;
    let took = began.elapsed();
    eprintln!(
        "[down] {} reminders fired within {:.1} s of the restart; repeated {}",
        fired.events.len(),
        took.as_secs_f64(),
        fired.repeated
    );
    ensure!(took < Duration::from_secs(30), "{took:?}");
    stack.finish().await
}

pub async fn parts_are_killed_while_reminders_fire(suite: &Suite) -> Result<()> {
    const FAULTS: [&str; 6] = [SIDECAR, "scheduler", "host", "broker", SIDECAR, "host"];
    let stack = suite.stack().await?;
    let accounts = ["fires-kim", "fires-lea", "fires-max"].map(|name| stack.account(name));
    let accounts = try_join_all(accounts).await?;
    let planning = accounts.iter().map(async |account| {
        let tasks = remind(account, 80, 10_000, 500).await?;
        anyhow::Ok((account, tasks))
    });
    let planned = try_join_all(planning).await?;
    for (part, (account, _)) in FAULTS.iter().zip(planned.iter().cycle()) {
        // The next fault hits while reminders fire.
        let before = Fired::read(stack, account)
            .await
            .map_or(0, |fired| fired.events.len());
        Fired::wait(stack, account, (before + 5).min(80), SETTLED).await?;
        stack.kill_and_wait(part).await?;
    }
    stack.healthy().await?;
    let (mut count, mut repeated, mut late) = (0, 0, Vec::new());
    for (account, tasks) in &planned {
        let fired = each_once(stack, account, tasks).await?;
        count += fired.events.len();
        repeated += fired.repeated;
        late.extend(fired.lateness());
    }
    late.sort_unstable();
    let at = |percent: usize| {
        late.get(late.len() * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    eprintln!(
        "[fires] kill -9 of {}: {count} reminders, lost 0, repeated {repeated}; late p50 {} ms, p90 {} ms, most {} ms",
        FAULTS.join(", "),
        at(50),
        at(90),
        late.last().copied().unwrap_or_default()
    );
    Ok(())
}
