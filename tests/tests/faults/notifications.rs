//! Reminders that are due while the processes that take them in are killed.

use anyhow::{Context as _, Result, ensure};
use chrono::Utc;
use docket_domain::reminder_due::{Data, REMINDERS, ReminderDue};
use docket_domain::task::Priority;
use docket_domain::{AccountId, Instant as Moment, TaskId};
use docket_tests::client::Account;
use docket_tests::stack::{NOTIFICATIONS, Stack};
use docket_tests::suite::Suite;
use docket_tests::until;
use futures::future::{try_join, try_join_all};
use reqwest::Method;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const EACH: usize = 150;

/// The `n`-th reminder of an account that fires.
fn reminder(account: &Account, n: usize) -> Result<ReminderDue> {
    let now = Moment::from_datetime(&Utc::now()).context("now")?;
    Ok(ReminderDue::new(Data {
        account: AccountId::parse(&account.id).context("an account")?,
        // Of a few tasks each.
        task_id: TaskId::new(0, n as u64 % 7),
        reminder_id: format!("r{n}"),
        occurrence: 1,
        at: now,
        fired_at: now,
        snoozed: None,
        title: format!("number {n}"),
        due: None,
        due_at: None,
        priority: Priority::Medium,
        tags: Vec::new(),
    }))
}

/// Publishes an event in the stead of `reminders`, until the broker has it.
async fn publish(stack: &Stack, event: &ReminderDue) -> Result<()> {
    let (account, body) = (event.data.account.as_str(), event.cloud_event());
    until("it is published", Duration::from_secs(60), async || {
        let published = stack.publish(REMINDERS, account, &body);
        let published = tokio::time::timeout(Duration::from_secs(5), published).await;
        Ok(published.is_ok_and(|sent| sent.is_ok()).then_some(()))
    })
    .await
}

/// The titles in an inbox, each with how often it is there.
async fn titles(account: &Account) -> Result<BTreeMap<String, usize>> {
    let page: Value = account
        .send(Method::GET, "/api/notifications?limit=200", None)
        .await?
        .read(200)?;
    let mut titles = BTreeMap::new();
    let list = page.get("notifications").and_then(Value::as_array);
    for one in list.context("a list")? {
        let title = one.get("title").and_then(Value::as_str);
        let title = title.context("a title")?;
        *titles.entry(title.to_owned()).or_default() += 1;
    }
    let unread: usize = titles.values().sum();
    ensure!(page.get("unread") == Some(&unread.into()), "{page}");
    Ok(titles)
}

pub async fn every_reminder_is_in_the_inbox_once(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let accounts = try_join_all((0..4).map(async |n| stack.account(&format!("told{n}")).await));
    let accounts = accounts.await?;
    let published = AtomicUsize::new(0);
    let publishing = try_join_all(accounts.iter().map(async |account| {
        for n in 0..EACH {
            let event = reminder(account, n)?;
            publish(stack, &event).await?;
            // Some are published twice, as `reminders` may.
            if n % 5 == 0 {
                publish(stack, &event).await?;
            }
            published.fetch_add(1, Ordering::Relaxed);
        }
        anyhow::Ok(())
    }));
    let faults = [NOTIFICATIONS, "host", NOTIFICATIONS, "broker", "host"];
    let killer = async {
        for (n, part) in faults.iter().enumerate() {
            until("publishing goes on", Duration::from_secs(120), async || {
                Ok((published.load(Ordering::Relaxed) > n * 80).then_some(()))
            })
            .await?;
            stack.kill_and_wait(part).await?;
        }
        anyhow::Ok(())
    };
    try_join(publishing, killer).await?;
    stack.healthy().await?;
    let began = Instant::now();
    let expected: BTreeMap<String, usize> = (0..EACH).map(|n| (format!("number {n}"), 1)).collect();
    for account in &accounts {
        let found = until(
            "all are in the inbox",
            Duration::from_secs(120),
            async || {
                let found = titles(account).await?;
                Ok((found.len() >= EACH).then_some(found))
            },
        )
        .await?;
        ensure!(found == expected, "{}: {found:?}", account.id);
    }
    eprintln!(
        "[told] kill -9 of {}; {} reminders of {} accounts, a fifth published twice: all in the inboxes {:.1} s after the \
         last; lost 0, twice 0",
        faults.join(", "),
        accounts.len() * EACH,
        accounts.len(),
        began.elapsed().as_secs_f64(),
    );
    Ok(())
}
