//! The audit log of a healthy stack: all that happened, in order, and nothing else; and who may ask for it.

use anyhow::{Context as _, Result, ensure};
use docket_api::AuditPage;
use docket_cli::events::{self, Query};
use docket_domain::audit::{Entry, treatment};
use docket_domain::event::TASK_EVENTS;
use docket_tests::audit::{BEHIND, agree, events_of, log, until_entries, verified, walk};
use docket_tests::client::{Account, Answer, Task};
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::until;
use docket_tests::workload::{self, Plan, Progress};
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

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
            stack.publish(TASK_EVENTS, &account.id, event).await?;
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
    stack.publish(TASK_EVENTS, &ava.id, &poison).await?;
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
    stack.publish(TASK_EVENTS, &ava.id, &late).await?;
    let found = until_entries(&ava, 3).await?;
    assert_eq!((found.missing.as_slice(), found.late), (&[(3, 3)][..], 0));
    late["id"] = "late-3".into();
    late["data"]["seq"] = 3.into();
    stack.publish(TASK_EVENTS, &ava.id, &late).await?;
    let found = until_entries(&ava, 4).await?;
    assert_eq!((found.missing.as_slice(), found.late), (&[][..], 1));
    Ok(())
}

/// Every type of events that was published until now is in the catalogue.
pub async fn the_audit_catalogue_knows_every_event(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let pat = stack.account("poison-pat").await?;
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
        (Method::GET, "/v1.0/secrets/secrets/jwt-signing"),
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

pub async fn what_was_done_is_undone(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let uri = stack.account("uri").await?;
    let undo = async |id: &str, event: &str| -> Result<Answer> {
        let path = format!("/api/tasks/{id}/undo");
        let body = json!({ "event_id": event });
        Ok(uri.send(Method::POST, &path, Some(&body)).await?)
    };
    // The id of the last event of a task, as its history tells, right after the answer.
    let last = async |task: &Task| -> Result<String> {
        let path = format!("/api/tasks/{}/history?limit=500", task.id);
        until("the history has it", BEHIND, async || {
            let answer = uri.send(Method::GET, &path, None).await?;
            if answer.status == 404 {
                return Ok(None);
            }
            let page: AuditPage = answer.read(200)?;
            let newest = page.entries.into_iter().next_back().map(|e| e.content);
            Ok(newest
                .filter(|entry| entry.seq >= task.version)
                .map(|entry| entry.event_id))
        })
        .await
    };
    let made = uri
        .create(&json!({
            "title": "Rent", "tags": ["home"], "priority": "high", "due": { "date": "2027-01-31" },
            "reminders": [{ "before": "P1D" }], "recurrence": { "rule": "FREQ=MONTHLY;COUNT=4" },
        }))
        .await?;
    let created = last(&made).await?;
    let patch = json!({ "title": "Pay", "due": null, "tags": ["money"] });
    let patched = uri.patch(&made.id, &patch).await?;
    let event = last(&patched).await?;
    let undone: Value = undo(&made.id, &event).await?.read(200)?;
    let back: Task = serde_json::from_value(undone["task"].clone())?;
    assert_eq!(
        (back.title.as_str(), &back.tags, &back.due),
        ("Rent", &made.tags, &made.due)
    );
    assert_eq!(
        (&back.reminders, &back.recurrence),
        (&made.reminders, &made.recurrence)
    );
    uri.patch(&made.id, &json!({ "title": "Rent of May" }))
        .await?;
    let conflict = undo(&made.id, &event).await?.problem(409, "conflict")?;
    assert_eq!(conflict.errors.len(), 1);
    assert_eq!(conflict.errors[0]["pointer"], "/title");

    let before = uri.get(&made.id).await?;
    let all = uri.all("all", 50).await?;
    uri.delete(&made.id).await?;
    let gone = Task {
        version: before.version + 1,
        ..before.clone()
    };
    let event = last(&gone).await?;
    let undone: Value = undo(&made.id, &event).await?.read(200)?;
    let back: Task = serde_json::from_value(undone["task"].clone())?;
    assert_eq!(back.version, before.version + 2);
    let as_it_was = Task {
        version: before.version,
        updated_at: before.updated_at.clone(),
        ..back.clone()
    };
    assert_eq!(as_it_was, before);
    assert_eq!(uri.all("all", 50).await?.len(), all.len());
    // The same again finds it there.
    let again: Value = undo(&made.id, &event).await?.read(200)?;
    assert_eq!(again["task"]["version"], back.version);

    undo(&made.id, &created).await?.problem(409, "conflict")?;
    let other = uri.create(&json!({ "title": "a slip" })).await?;
    undo(&other.id, &created).await?.problem(404, "not_found")?;
    undo(&other.id, "x-1").await?.problem(404, "not_found")?;
    undo(&other.id, "x-99").await?.problem(404, "not_found")?;
    // Undone at once, whether or not the log has it by now.
    stack.settled().await?;
    let events = events_of(stack, &uri).await?;
    let slip = events.last().context("an event")?["id"]
        .as_str()
        .context("an id")?
        .to_owned();
    let undone: Value = undo(&other.id, &slip).await?.read(200)?;
    assert_eq!(undone, json!({ "task": null, "deleted": other.id }));
    let stranger = stack.account("ulf").await?;
    let path = format!("/api/tasks/{}/undo", made.id);
    let body = json!({ "event_id": event });
    let answer = stranger.send(Method::POST, &path, Some(&body)).await?;
    answer.problem(404, "not_found")?;
    agree(stack, &uri).await?;
    Ok(())
}

/// Reads a key of the audit function's store, has it changed, and writes it back; gives what it was.
async fn tamper(stack: &Stack, key: &str, deed: impl FnOnce(&mut Value)) -> Result<Value> {
    let base = format!("{}/v1.0/state/state", stack.sidecar_address("audit")?);
    let token = stack.api_tokens("audit")?.dapr_api_token;
    let get = stack.http().get(format!("{base}/{key}"));
    let was: Value = Answer::of(get.header("dapr-api-token", &token))
        .await?
        .read(200)?;
    let mut now = was.clone();
    deed(&mut now);
    let body = json!([{ "key": key, "value": now }]);
    let post = stack.http().post(&base).header("dapr-api-token", &token);
    Answer::of(post.json(&body)).await?.check(204)?;
    Ok(was)
}

/// A deed, the number of its page, and what has to be said of it.
type Deed = (u32, fn(&mut Vec<Value>), &'static str);

pub async fn tampering_with_the_audit_log_is_found(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ted = stack.account("ted").await?;
    let create = |n| json!({ "op": "create", "task": { "title": format!("task {n}") } });
    ted.batch(&(0..150).map(create).collect::<Vec<_>>()).await?;
    agree(stack, &ted).await?;
    let verify = async |anchor: Option<&str>| -> Result<(bool, String)> {
        let mut words = vec!["audit", "verify", "--email", "ted@example.org"];
        words.extend(anchor.into_iter().flat_map(|hash| ["--anchor", hash]));
        let output = stack.docket(&words).await?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8(said)?))
    };
    let (ok, said) = verify(None).await?;
    ensure!(
        ok && said.contains("150 entries, all as they were written"),
        "{said}"
    );
    let end = said.split_whitespace().last().context("a hash")?.to_owned();
    ensure!(verify(Some(&end)).await?.0);
    let (ok, said) = verify(Some(&"0".repeat(64))).await?;
    ensure!(!ok && said.contains("written anew"), "{said}");

    let deeds: [Deed; 5] = [
        (
            0,
            |page| page[2]["title"] = "forged".into(),
            "broken at entry 3 ",
        ),
        (
            0,
            |page| page[4]["actor"]["id"] = "somebody".into(),
            "broken at entry 5 ",
        ),
        (
            1,
            |page| drop(page.remove(1)),
            "what should stand before it is not there",
        ),
        (1, |page| page.swap(2, 3), "another one should stand there"),
        (0, |page| page.truncate(3), "broken at entry 4 "),
    ];
    for (page, deed, told) in deeds {
        let key = format!("audit:{}:{page}", ted.id);
        let change = |value: &mut Value| {
            if let Value::Array(entries) = value {
                deed(entries);
            }
        };
        let was = tamper(stack, &key, change).await?;
        let (ok, said) = verify(None).await?;
        ensure!(!ok && said.contains(told), "{told}: {said}");
        ensure!(!verified(&ted).await?.ok, "{told}");
        tamper(stack, &key, |value| *value = was).await?;
    }
    // The end is cut off: once clumsily, once with all that the log says of itself.
    let key = format!("audit:{}", ted.id);
    let was = tamper(stack, &key, |log| {
        log["pages"]["open"].as_array_mut().map(Vec::pop);
    })
    .await?;
    let (ok, said) = verify(None).await?;
    ensure!(!ok && said.contains("does not end"), "{said}");
    tamper(stack, &key, |log| {
        let last = log["pages"]["open"]
            .as_array()
            .and_then(|open| open.last().cloned());
        let last = last.unwrap_or_default();
        log["entries"] = 149.into();
        log["hash"] = last["hash"].clone();
        log["sequence"]["last"] = 149.into();
    })
    .await?;
    ensure!(verified(&ted).await?.ok, "by itself it cannot tell");
    let (ok, said) = verify(None).await?;
    ensure!(!ok && said.contains("cut off"), "{said}");
    tamper(stack, &key, |log| *log = was).await?;
    ensure!(verify(None).await?.0);
    Ok(())
}
