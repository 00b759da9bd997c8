//! Reminders on the whole system, with real jobs.

use anyhow::{Context as _, Result, ensure};
use chrono::{TimeDelta, Utc};
use docket_api::reminders::{SETTINGS, SNOOZE};
use docket_cli::events::{self, Query};
use docket_domain::event::TASK_EVENTS;
use docket_domain::reminders::State;
use docket_tests::client::{Account, Task};
use docket_tests::reminders::{APP, Fired, ask, in_millis, ledger, reminding};
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::until;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// How long something may take that is asked of an event's consumer.
const SOON: Duration = Duration::from_secs(20);

pub async fn reminders_fire_at_their_time_once(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let rob = stack.account("rob").await?;
    let mut tasks = Vec::new();
    for n in 0..10 {
        let task = reminding(&format!("task {n}"), in_millis(3_000 + 150 * n));
        tasks.push(rob.create(&task).await?.id);
    }
    let due = in_millis(4_000);
    let before = json!({
        "title": "before", "reminders": [{ "before": "PT10M" }],
        "due": {
            "date": (due + TimeDelta::minutes(10)).format("%Y-%m-%d").to_string(),
            "time": (due + TimeDelta::minutes(10)).format("%H:%M:%S").to_string(),
            "time_zone": "UTC",
        },
    });
    tasks.push(rob.create(&before).await?.id);
    let fired = Fired::wait(stack, &rob, tasks.len(), SOON).await?;
    tasks.sort_unstable();
    assert_eq!(fired.tasks(), tasks);
    let late = fired.lateness();
    eprintln!("[reminders] {late:?} ms late, {} repeated", fired.repeated);
    let half = late.get(late.len() / 2).copied().unwrap_or_default();
    ensure!(half < 500, "half of them are more than {half} ms late");
    for task in &tasks {
        let entries = until("the ledger says so", SOON, async || {
            let entries = ledger(stack, &rob, task).await?.entries;
            let fired = entries.iter().all(|entry| entry.state == State::Fired);
            Ok(fired.then_some(entries))
        })
        .await?;
        let [entry] = entries.as_slice() else {
            anyhow::bail!("{entries:?}");
        };
        ensure!(
            fired.events.contains_key(&entry.event_id) && entry.attempts >= 1,
            "{entry:?}"
        );
    }
    Ok(())
}

/// Waits until the function has followed a task this far.
async fn planned(stack: &Stack, account: &Account, task: &Task, states: &[State]) -> Result<()> {
    until("the function follows", SOON, async || {
        let entries = ledger(stack, account, &task.id).await?.entries;
        let shown: Vec<State> = entries.iter().map(|entry| entry.state).collect();
        Ok((shown == states).then_some(()))
    })
    .await
}

/// Whether the scheduler has the job of a task's only reminder.
async fn has_job(stack: &Stack, account: &Account, task: &Task) -> Result<bool> {
    let answer = job(stack, account, task, Method::GET).await?;
    Ok(answer.status().is_success())
}

async fn job(
    stack: &Stack,
    account: &Account,
    task: &Task,
    method: Method,
) -> Result<reqwest::Response> {
    let reminder = task.reminders.first().context("a reminder")?;
    let reminder = reminder["id"].as_str().context("an id")?;
    let name = format!("{}.{}.{reminder}", account.id, task.id);
    let url = format!("{}/v1.0/jobs/{name}", stack.sidecar_address(APP)?);
    let token = stack.api_tokens(APP)?.dapr_api_token;
    let request = stack.http().request(method, url);
    Ok(request.header("dapr-api-token", token).send().await?)
}

pub async fn reminders_follow_their_task(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let fay = stack.account("reminded-fay").await?;
    let soon = in_millis(6_000);
    let create = async |title: &str| fay.create(&reminding(title, soon)).await;
    let moved = create("moved").await?;
    let done = create("done").await?;
    let reopened = create("reopened").await?;
    let deleted = create("deleted").await?;
    let stripped = create("stripped").await?;
    let quick = create("quick").await?;
    planned(stack, &fay, &quick, &[State::Scheduled]).await?;
    ensure!(has_job(stack, &fay, &done).await?, "a job");

    let reminder = |at: chrono::DateTime<Utc>, task: &Task| json!({ "reminders": [{ "id": task.reminders[0]["id"], "at": at.to_rfc3339() }] });
    fay.patch(&moved.id, &reminder(in_millis(9_000), &moved))
        .await?;
    fay.act(&done.id, "complete").await?;
    fay.act(&reopened.id, "complete").await?;
    fay.act(&reopened.id, "reopen").await?;
    fay.delete(&deleted.id).await?;
    fay.patch(&stripped.id, &json!({ "reminders": [] })).await?;
    for n in 0..40 {
        fay.patch(&quick.id, &reminder(in_millis(8_000 + n), &quick))
            .await?;
    }
    planned(stack, &fay, &done, &[State::Cancelled]).await?;
    planned(stack, &fay, &deleted, &[State::Cancelled]).await?;
    planned(stack, &fay, &stripped, &[]).await?;
    for gone in [&done, &deleted, &stripped] {
        until("its job is gone", SOON, async || {
            Ok((!has_job(stack, &fay, gone).await?).then_some(()))
        })
        .await?;
    }
    // When the last of all has fired, the sweep has been by as well.
    let last = fay.create(&reminding("last", in_millis(14_000))).await?;
    let fired = until("the last one fires", SOON * 2, async || {
        let fired = Fired::read(stack, &fay).await?;
        Ok(fired.tasks().contains(&last.id).then_some(fired))
    })
    .await?;
    let mut expected = [moved.id, reopened.id, quick.id, last.id];
    expected.sort_unstable();
    assert_eq!(fired.tasks(), expected);
    Ok(())
}

pub async fn all_day_reminders_follow_the_settings(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ada = stack.account("ada").await?;
    // A morning that is tomorrow for whom lives at the western end of the day, and soon at the eastern one.
    let east = TimeDelta::hours(14);
    let wall = in_millis(9_000) + east;
    let set = async |zone: &str| -> Result<Value> {
        let morning = wall.format("%H:%M:%S").to_string();
        let settings = json!({ "account": ada.id, "morning": morning, "time_zone": zone });
        ask(stack, &ada, SETTINGS, &settings).await
    };
    set("Pacific/Pago_Pago").await?;
    let all_day = |days: i64, before: &str| {
        let date = (wall + TimeDelta::days(days))
            .format("%Y-%m-%d")
            .to_string();
        json!({ "title": before, "due": { "date": date }, "reminders": [{ "before": before }] })
    };
    let today = ada.create(&all_day(0, "PT0S")).await?;
    let ahead = ada.create(&all_day(1, "P1D")).await?;
    let later = ada.create(&all_day(30, "PT0S")).await?;
    for task in [&today, &ahead, &later] {
        planned(stack, &ada, task, &[State::Scheduled]).await?;
    }
    set("Pacific/Kiritimati").await?;
    let entries = ledger(stack, &ada, &later.id).await?.entries;
    let expected = wall + TimeDelta::days(30) - east;
    assert_eq!(
        entries[0].scheduled_at.as_millis() / 1_000,
        expected.timestamp()
    );
    let fired = Fired::wait(stack, &ada, 2, SOON).await?;
    let mut expected = [today.id, ahead.id];
    expected.sort_unstable();
    assert_eq!(fired.tasks(), expected);
    eprintln!("[settings] {:?} ms late", fired.lateness());
    Ok(())
}

pub async fn the_sweep_fires_what_a_job_missed(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let sue = stack.account("reminded-sue").await?;
    let task = sue.create(&reminding("swept", in_millis(4_000))).await?;
    until("it has a job", SOON, async || {
        Ok(has_job(stack, &sue, &task).await?.then_some(()))
    })
    .await?;
    let answer = job(stack, &sue, &task, Method::DELETE).await?;
    ensure!(answer.status().is_success(), "{answer:?}");
    let fired = Fired::wait(stack, &sue, 1, SOON).await?;
    eprintln!("[sweep] {:?} ms late", fired.lateness());
    assert_eq!(fired.repeated, 0);
    Ok(())
}

pub async fn events_and_jobs_again_change_nothing(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ian = stack.account("ian").await?;
    let task = ian.create(&reminding("first", in_millis(2_000))).await?;
    Fired::wait(stack, &ian, 1, SOON).await?;
    planned(stack, &ian, &task, &[State::Fired]).await?;
    let at = in_millis(3_000).to_rfc3339();
    let snooze = json!({
        "account": ian.id, "task_id": task.id, "notification_id": "n1", "at": at,
    });
    for _ in 0..3 {
        let answer: Value = ask(stack, &ian, SNOOZE, &snooze).await?;
        assert_eq!(answer, json!({ "scheduled": true }));
    }
    let fired = Fired::wait(stack, &ian, 2, SOON).await?;
    planned(stack, &ian, &task, &[State::Fired, State::Fired]).await?;
    let snoozed = fired
        .events
        .values()
        .filter_map(|event| event.data.snoozed.as_deref());
    assert_eq!(snoozed.collect::<Vec<_>>(), ["n1"]);

    let query = Query {
        account: Some(ian.id.clone()),
        ..Query::all(TASK_EVENTS)
    };
    let records = events::collect(&stack.brokers(), &query).await?;
    let path = "/internal/reminders/task-events";
    for record in records.iter().chain(records.iter().rev()) {
        let together = json!({ "entries": [{ "entryId": "0", "event": record.body }] });
        let answer: Value = ask(stack, &ian, path, &together).await?;
        let taken = json!({ "statuses": [{ "entryId": "0", "status": "SUCCESS" }] });
        assert_eq!(answer, taken);
    }
    let wake = json!({ "account": ian.id, "task_id": task.id });
    for _ in 0..3 {
        let answer: Value = ask(stack, &ian, "/job/again", &wake).await?;
        assert_eq!(answer, json!({ "fired": 0 }));
        ask::<Value>(
            stack,
            &ian,
            "/internal/reminders/reminder-sweep",
            &json!({}),
        )
        .await?;
        ask::<Value>(stack, &ian, SNOOZE, &snooze).await?;
    }
    let again = Fired::read(stack, &ian).await?;
    assert_eq!((again.events.len(), again.repeated), (2, fired.repeated));
    Ok(())
}
