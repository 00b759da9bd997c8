//! The audit log of a healthy stack: all that happened, in order, and nothing else; and who may ask for it.

use anyhow::{Context as _, Result, ensure};
use docket_api::AuditPage;
use docket_cli::events::{self, Query};
use docket_domain::audit::{Entry, Verified, treatment};
use docket_domain::event::TASK_EVENTS;
use docket_tests::client::{Account, Answer};
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::until;
use docket_tests::workload::{self, Plan, Progress};
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long the log may be behind.
const BEHIND: Duration = Duration::from_secs(60);

/// All entries from a path on, page by page.
async fn walk(account: &Account, path: &str) -> Result<Vec<Entry>> {
    let (mut entries, mut cursor) = (Vec::new(), String::new());
    loop {
        let answer = account
            .send(Method::GET, &format!("{path}&cursor={cursor}"), None)
            .await?;
        let page: AuditPage = answer.read(200)?;
        entries.extend(page.entries);
        match page.next_cursor {
            Some(next) => cursor = next,
            None => return Ok(entries),
        }
    }
}

/// The whole log, oldest first.
async fn log(account: &Account) -> Result<Vec<Entry>> {
    let mut entries = walk(account, "/api/audit?limit=500").await?;
    entries.reverse();
    Ok(entries)
}

async fn verified(account: &Account) -> Result<Verified> {
    account
        .send(Method::GET, "/api/audit/verify", None)
        .await?
        .read(200)
}

/// Waits until the log has so many entries; gives what was found of it.
async fn until_entries(account: &Account, count: usize) -> Result<Verified> {
    until("the log has every event", BEHIND, async || {
        let found = verified(account).await?;
        ensure!(found.ok, "{found:?}");
        Ok((found.entries >= count as u64).then_some(found))
    })
    .await
}

/// The events of an account in the broker, each once, by their sequence numbers.
async fn events_of(stack: &Stack, account: &Account) -> Result<Vec<Value>> {
    let query = Query {
        account: Some(account.id.clone()),
        ..Query::all(TASK_EVENTS)
    };
    let mut events = BTreeMap::new();
    for event in events::collect(&stack.brokers(), &query).await? {
        let seq = event.body["data"]["seq"].as_u64().context("no number")?;
        events.insert(seq, event.body);
    }
    Ok(events.into_values().collect())
}

/// Holds the log against the events: each has its entry, in order, and there is no other.
async fn agree(stack: &Stack, account: &Account) -> Result<Vec<Value>> {
    stack.settled().await?;
    let events = events_of(stack, account).await?;
    let found = until_entries(account, events.len()).await?;
    assert_eq!(found.entries, events.len() as u64);
    assert_eq!(
        (&found.missing[..], found.late, found.redacted),
        (&[][..], 0, 0)
    );
    let entries = log(account).await?;
    assert_eq!(entries.len(), events.len());
    for (entry, event) in entries.iter().zip(&events) {
        let entry = serde_json::to_value(entry)?;
        let data = &event["data"];
        let is_told = entry["event_id"] == event["id"]
            && entry["type"] == event["type"]
            && entry["task_id"] == event["subject"]
            && entry["at"] == event["time"]
            && entry["seq"] == data["seq"]
            && entry["actor"] == data["actor"]
            && entry["changes"] == data["changes"]
            && entry["title"] == data["task"]["title"];
        ensure!(is_told, "{entry} of {event}");
        let kept = entry.get("task");
        ensure!(
            kept == (event["type"] == "task-deleted").then_some(&data["task"]),
            "{entry}"
        );
    }
    Ok(events)
}

/// Publishes a record as it is, as if the broker had delivered it again.
async fn publish(stack: &Stack, account: &Account, event: &Value) -> Result<()> {
    let url = format!(
        "{}/v1.0/publish/pubsub/{TASK_EVENTS}?metadata.partitionKey={}",
        stack.sidecar_address("tasks")?,
        account.id
    );
    let request = stack
        .http()
        .post(url)
        .header("dapr-api-token", stack.api_tokens("tasks")?.dapr_api_token)
        .header("content-type", "application/cloudevents+json");
    Answer::of(request.body(event.to_string()))
        .await?
        .check(204)
}

pub async fn the_audit_log_has_every_change_once(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let accounts = try_join_all(["aud", "amy"].map(|name| stack.account(name))).await?;
    let plan = Plan {
        seed: 7,
        writers_each: 4,
        changes_each: 60,
        batches: true,
        pace: Duration::ZERO,
    };
    workload::write(&accounts, &plan, &Progress::stopped()).await?;
    for account in &accounts {
        let events = agree(stack, account).await?;
        ensure!(events.len() >= 240, "{} events", events.len());

        // Everything is delivered again, and then something that is new.
        for event in &events {
            publish(stack, account, event).await?;
        }
        let last = account
            .create(&json!({ "title": "after all that" }))
            .await?;
        assert_eq!(agree(stack, account).await?.len(), events.len() + 1);

        let entries = log(account).await?;
        let task = entries
            .iter()
            .rev()
            .find(|entry| entry.content.task.is_some())
            .context("nothing was deleted")?
            .content
            .task_id;
        let of_task: Vec<Entry> = entries
            .iter()
            .filter(|entry| entry.content.task_id == task)
            .cloned()
            .collect();
        // Its history is there, though the task is gone.
        let history = format!("/api/tasks/{task}/history?limit=1");
        assert_eq!(walk(account, &history).await?, of_task);
        let mut filtered = walk(account, &format!("/api/audit?task={task}")).await?;
        filtered.reverse();
        assert_eq!(filtered, of_task);
        let day = last.created_at.split('T').next().context("a day")?;
        let today = walk(account, &format!("/api/audit?from={day}&limit=100")).await?;
        assert_eq!(today.len(), entries.len());
        assert!(
            walk(account, &format!("/api/audit?to={day}&limit=9"))
                .await?
                .is_empty()
        );
        let created = walk(account, "/api/audit?type=task-created&actor=person").await?;
        let is_created = |e: &&Entry| e.content.kind.as_str() == "task-created";
        assert_eq!(created.len(), entries.iter().filter(is_created).count());

        let other = accounts.iter().find(|other| other.id != account.id);
        let other = other.context("another")?;
        let answer = other.send(Method::GET, &history, None).await?;
        answer.problem(404, "not_found")?;
        let page: AuditPage = account
            .send(Method::GET, "/api/audit?limit=1", None)
            .await?
            .read(200)?;
        let cursor = page.next_cursor.context("more")?;
        let path = format!("/api/audit?limit=1&cursor={cursor}");
        let answer = other.send(Method::GET, &path, None).await?;
        answer.problem(422, "invalid")?;
    }
    Ok(())
}

pub async fn the_audit_log_keeps_up(suite: &Suite) -> Result<()> {
    const EACH: usize = 600;
    let stack = suite.stack().await?;
    let one = stack.account("asa").await?;
    let mut took = Vec::new();
    for n in 0..50 {
        let task = one.create(&json!({ "title": format!("{n}") })).await?;
        let answered = Instant::now();
        while log_ends(&one).await? < task.version {}
        took.push(answered.elapsed());
    }
    took.sort_unstable();
    let many = try_join_all((0..8).map(async |n| stack.account(&format!("keep{n}")).await)).await?;
    let began = Instant::now();
    try_join_all(many.iter().map(async |account| {
        let create = |n| json!({ "op": "create", "task": { "title": format!("task {n}") } });
        for some in (0..EACH).map(create).collect::<Vec<_>>().chunks(150) {
            account.batch(some).await?;
        }
        anyhow::Ok(())
    }))
    .await?;
    let written = began.elapsed();
    for account in &many {
        until("the log keeps up", BEHIND, async || {
            Ok((log_ends(account).await? >= EACH as u64).then_some(()))
        })
        .await?;
    }
    let whole = began.elapsed();
    for account in &many {
        assert!(until_entries(account, EACH).await?.ok);
    }
    let events = many.len() * EACH;
    eprintln!(
        "[audit] an entry is there {:?} (p50), {:?} (p99) after the answer; {events} events written in {:.1} s were in \
         the logs after {:.1} s: {:.0}/s",
        took[took.len() / 2],
        took[took.len() - 1],
        written.as_secs_f64(),
        whole.as_secs_f64(),
        events as f64 / whole.as_secs_f64(),
    );
    Ok(())
}

/// The sequence number of the last entry.
async fn log_ends(account: &Account) -> Result<u64> {
    let answer = account
        .send(Method::GET, "/api/audit?limit=1", None)
        .await?;
    let page: AuditPage = answer.read(200)?;
    Ok(page.entries.first().map_or(0, |entry| entry.content.seq))
}

pub async fn poison_holds_up_no_audit_log(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ava = stack.account("ava").await?;
    ava.create(&json!({ "title": "before" })).await?;
    stack.settled().await?;
    let mut poison = events_of(stack, &ava).await?.pop().context("an event")?;
    poison["id"] = "audit-poison".into();
    poison["data"]["seq"] = "none".into();
    let mut late = events_of(stack, &ava).await?.pop().context("an event")?;
    late["id"] = "late-4".into();
    late["data"]["seq"] = 4.into();
    publish(stack, &ava, &poison).await?;
    ava.create(&json!({ "title": "after" })).await?;
    stack.settled().await?;
    let began = Instant::now();
    until_entries(&ava, 2).await?;
    ensure!(
        began.elapsed() < Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    until("it is among the dead letters", BEHIND, async || {
        let query = Query::all("task-events-dead");
        let dead = events::collect(&stack.brokers(), &query).await?;
        Ok(dead
            .iter()
            .any(|one| one.body["id"] == "audit-poison")
            .then_some(()))
    })
    .await?;

    // What comes too early is taken, and what was missing when it comes.
    publish(stack, &ava, &late).await?;
    let found = until_entries(&ava, 3).await?;
    assert_eq!((found.missing.as_slice(), found.late), (&[(3, 3)][..], 0));
    late["id"] = "late-3".into();
    late["data"]["seq"] = 3.into();
    publish(stack, &ava, &late).await?;
    let found = until_entries(&ava, 4).await?;
    assert_eq!((found.missing.as_slice(), found.late), (&[][..], 1));
    Ok(())
}

/// Every type of events that was published until now is in the catalogue.
pub async fn the_audit_catalogue_knows_every_event(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let pat = stack.account("pat").await?;
    pat.create(&json!({ "title": "one event at least" }))
        .await?;
    stack.settled().await?;
    let mut seen = 0;
    for topic in stack.project().topics()? {
        if topic.name.ends_with("-dead") {
            continue;
        }
        for event in events::collect(&stack.brokers(), &Query::all(&topic.name)).await? {
            if event.attribute("source").starts_with("/docket/") {
                let kind = event.attribute("type");
                ensure!(
                    treatment(kind).is_some(),
                    "nobody has thought about {kind} of {}",
                    topic.name
                );
                seen += 1;
            }
        }
    }
    ensure!(seen > 1, "no events");
    Ok(())
}

pub async fn tasks_alone_may_ask_for_audit_entries(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let abe = stack.account("abe").await?;
    let task = abe.create(&json!({ "title": "asked for" })).await?;
    stack.settled().await?;
    until_entries(&abe, 1).await?;
    let event = events_of(stack, &abe).await?.remove(0);
    let call =
        |from: &str, method: Method, path: &str| -> Result<reqwest::RequestBuilder> {
            let request = stack
                .http()
                .request(method, format!("{}{path}", stack.sidecar_address(from)?))
                .header("dapr-api-token", stack.api_tokens(from)?.dapr_api_token);
            Ok(request
                .json(&json!({ "account": abe.id, "task_id": task.id, "event_id": event["id"] })))
        };
    const ENTRY: &str = "/v1.0/invoke/audit/method/internal/audit/entry";
    let found: Value = Answer::of(call("tasks", Method::POST, ENTRY)?)
        .await?
        .read(200)?;
    assert_eq!(found["entry"]["event_id"], event["id"]);
    for (from, method, path) in [
        ("recurrence", Method::POST, ENTRY),
        ("tasks", Method::GET, ENTRY),
        (
            "tasks",
            Method::POST,
            "/v1.0/invoke/audit/method/internal/audit/task-events",
        ),
        ("tasks", Method::GET, "/v1.0/invoke/audit/method/api/audit"),
        (
            "audit",
            Method::POST,
            "/v1.0/invoke/tasks/method/internal/tasks/occurrences",
        ),
        ("audit", Method::GET, "/v1.0/invoke/tasks/method/api/tasks"),
    ] {
        let answer = Answer::of(call(from, method.clone(), path)?).await?;
        answer
            .check(403)
            .with_context(|| format!("{from}: {method} {path}"))?;
    }
    // It publishes no events, and signs no tokens.
    for (method, path) in [
        (Method::POST, "/v1.0/publish/pubsub/task-events"),
        (Method::GET, "/v1.0/secrets/secrets/jwt-signing-key"),
    ] {
        let answer = Answer::of(call("audit", method, path)?).await?;
        ensure!(
            answer.status >= 400 && answer.status != 401,
            "{path}: {answer}"
        );
    }
    // Nobody from outside asks, whatever he shows.
    for token in ["", "wrong", &stack.api_tokens("audit")?.dapr_api_token] {
        let request = abe
            .request(Method::POST, "/internal/audit/entry")
            .header("dapr-api-token", token)
            .json(&json!({}));
        Answer::of(request).await?.problem(401, "unauthorized")?;
    }
    Ok(())
}
