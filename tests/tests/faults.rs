//! The suite `faults`: processes are killed and stopped while people work. What was accepted is kept, and its events
//! come, each in its order.

use anyhow::{Context as _, Result, ensure};
use docket_cli::dead_letters;
use docket_cli::events::{self, Query};
use docket_cli::inbox::{self, Proof};
use docket_cli::stack::process::Identity;
use docket_cli::stack::secrets;
use docket_domain::AccountId;
use docket_domain::event::TASK_EVENTS;
use docket_domain::outbox::SLOTS;
use docket_tests::audit;
use docket_tests::client::{Account, Answer, Task};
use docket_tests::events::History;
use docket_tests::stack::{AUDIT, RECURRENCE, SIDECAR, Stack};
use docket_tests::suite::{self, Suite};
use docket_tests::workload::{self, Dice, Figures, Plan, Progress, Work};
use docket_tests::{tests, until};
use futures::future::{try_join, try_join_all};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[path = "faults/accounts.rs"]
mod accounts;
#[path = "faults/notifications.rs"]
mod notifications;
#[path = "faults/reminders.rs"]
mod reminders;

use accounts::who_signs_up_has_an_account_or_none;
use notifications::every_reminder_is_in_the_inbox_once;
use reminders::{parts_are_killed_while_reminders_fire, reminders_due_while_everything_was_down};

fn main() -> ExitCode {
    suite::main(tests![
        any_process_is_killed_while_eight_write,
        every_series_goes_on_once,
        events_come_again_in_any_order,
        the_audit_log_has_all_whatever_is_killed,
        every_reminder_is_in_the_inbox_once,
        who_signs_up_has_an_account_or_none,
        everything_is_killed_between_a_change_and_its_event,
        parts_are_killed_while_reminders_fire,
        reminders_due_while_everything_was_down,
        messages_are_carried_out_once,
        the_broker_hangs_for_ten_seconds,
        the_ring_fills_while_the_broker_hangs,
        the_sidecar_hangs,
        the_supervisor_is_killed,
    ])
}

const SEED: u64 = 20_261_123;

async fn accounts_of(stack: &Stack, name: &str, count: usize) -> Result<Vec<Account>> {
    try_join_all((0..count).map(async |n| stack.account(&format!("{name}{n}")).await)).await
}

/// Waits until every event is out, holds all against what was accepted, and says what was done.
async fn settle(
    stack: &Stack,
    name: &str,
    faults: &str,
    work: &Work,
    progress: &Progress,
) -> Result<Figures> {
    stack.healthy().await?;
    let settled = stack.settled().await?;
    let figures = work.check(stack).await?;
    assert_eq!(figures.accepted, progress.accepted());
    assert_eq!(figures.events, figures.accepted + figures.happened);
    eprintln!(
        "[{name}] seed {SEED}; faults: {faults}; changes accepted {}, refused with 503 {}, unanswered {} (of those creates \
         that happened {}); settled {:.1} s later; events {}, lost 0, repeated {}",
        figures.accepted,
        progress.refused(),
        progress.unanswered.load(Ordering::Relaxed),
        figures.happened,
        settled.as_secs_f64(),
        figures.events,
        figures.duplicates,
    );
    Ok(figures)
}

/// Waits until so many more changes were accepted: the next fault is to hit people at work.
async fn more(progress: &Progress, count: usize) -> Result<()> {
    let goal = progress.accepted() + count;
    until("writing goes on", Duration::from_secs(60), async || {
        Ok((progress.accepted() >= goal).then_some(()))
    })
    .await
}

/// Kills one part after the other while eight write to four accounts of this name; gives the accounts and what came of it.
async fn killed_while_eight_write(
    stack: &Stack,
    name: &str,
    faults: &[&str],
) -> Result<(Vec<Account>, Figures)> {
    let accounts = accounts_of(stack, name, 4).await?;
    let plan = Plan {
        seed: SEED,
        writers_each: 2,
        changes_each: 75,
        batches: true,
        pace: Duration::from_millis(5),
    };
    let progress = Progress::default();
    let killer = async {
        for part in faults {
            more(&progress, 40).await?;
            stack.kill_and_wait(part).await?;
        }
        more(&progress, 40).await?;
        progress.stop();
        anyhow::Ok(())
    };
    let (work, ()) = try_join(workload::write(&accounts, &plan, &progress), killer).await?;
    let said = format!("kill -9 of {}", faults.join(", "));
    let figures = settle(stack, name, &said, &work, &progress).await?;
    Ok((accounts, figures))
}

async fn any_process_is_killed_while_eight_write(suite: &Suite) -> Result<()> {
    let mut faults = vec![
        "host",
        SIDECAR,
        "broker",
        "scheduler",
        SIDECAR,
        "host",
        "broker",
        "sentry",
    ];
    let stack = suite.stack().await?;
    if stack.servers().is_some() {
        faults.extend(["postgres", "host", "postgres"]);
    }
    killed_while_eight_write(stack, "killed", &faults).await?;
    Ok(())
}

async fn the_audit_log_has_all_whatever_is_killed(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let faults = [AUDIT, "host", AUDIT, "broker", AUDIT, "host"];
    let (accounts, figures) = killed_while_eight_write(stack, "audited", &faults).await?;
    let began = Instant::now();
    let mut entries = 0;
    for account in &accounts {
        entries += audit::agree(stack, account).await?.len();
    }
    assert_eq!(entries, figures.events);
    eprintln!(
        "[audited] {entries} entries {:.1} s later, lost 0, twice 0",
        began.elapsed().as_secs_f64(),
    );
    Ok(())
}

async fn every_series_goes_on_once(suite: &Suite) -> Result<()> {
    const SERIES: usize = 40;
    let stack = suite.stack().await?;
    let accounts = accounts_of(stack, "series", 4).await?;
    let began = Instant::now();
    let done = AtomicUsize::new(0);
    let work = try_join_all(accounts.iter().map(async |account| {
        let mut series = Vec::new();
        for n in 0..SERIES {
            let task = json!({
                "title": format!("series {n}"), "due": { "date": "2027-01-31" }, "recurrence": { "rule": "monthly" },
            });
            series.push(persist(|| account.create(&task)).await?);
        }
        for task in &series {
            persist(|| account.act(&task.id, "complete")).await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        anyhow::Ok(())
    }));
    let mut faults = vec![RECURRENCE, "host", SIDECAR, RECURRENCE, "broker", "host"];
    if stack.servers().is_some() {
        faults.push("postgres");
    }
    let killer = async {
        for (n, part) in faults.iter().enumerate() {
            until("completions go on", Duration::from_secs(120), async || {
                Ok((done.load(Ordering::Relaxed) > n * 20).then_some(()))
            })
            .await?;
            stack.kill_and_wait(part).await?;
        }
        anyhow::Ok(())
    };
    try_join(work, killer).await?;
    stack.healthy().await?;
    let writing = began.elapsed();
    for account in &accounts {
        until(
            "every series has its next occurrence",
            Duration::from_secs(120),
            async || {
                let open = account.all("open", 200).await?;
                // A creation without an answer was repeated; what came of the first one is still open.
                Ok((open.iter().filter(|task| is_second(task)).count() >= SERIES).then_some(()))
            },
        )
        .await?;
    }
    stack.settled().await?;
    let whole = began.elapsed();
    let mut repeated = 0;
    for account in &accounts {
        let history = History::read(stack, account).await?;
        history.matches_the_api(account).await?;
        repeated += history.duplicates;
        let mut occurrences: BTreeMap<String, usize> = BTreeMap::new();
        let open = account.all("open", 200).await?;
        for task in open.iter().filter(|task| is_second(task)) {
            let due = json!({ "date": "2027-02-28" });
            ensure!(task.due.as_ref() == Some(&due), "{:?}", task.due);
            let series = task.recurrence.as_ref().and_then(|r| r.get("series_id"));
            let series = series.context("a series")?.to_string();
            *occurrences.entry(series).or_default() += 1;
        }
        ensure!(
            occurrences.len() == SERIES && occurrences.values().all(|count| *count == 1),
            "{}: {occurrences:?}",
            account.id
        );
    }
    eprintln!(
        "[series] kill -9 of {}; {} series done within {:.1} s, each with one next occurrence {:.1} s later; lost 0, \
         twice 0; events repeated {repeated}",
        faults.join(", "),
        accounts.len() * SERIES,
        writing.as_secs_f64(),
        (whole - writing).as_secs_f64(),
    );
    Ok(())
}

/// A broker may deliver again what it delivered, and whoever replays a topic may do so in any order.
async fn events_come_again_in_any_order(suite: &Suite) -> Result<()> {
    const TIMES: usize = 2;
    let stack = suite.stack().await?;
    let accounts = accounts_of(stack, "again", 3).await?;
    let plan = Plan {
        seed: SEED,
        writers_each: 2,
        changes_each: 40,
        batches: true,
        pace: Duration::ZERO,
    };
    let progress = Progress::stopped();
    let work = workload::write(&accounts, &plan, &progress).await?;
    settle(stack, "again", "none yet", &work, &progress).await?;
    let series: Vec<Task> = try_join_all(accounts.iter().map(async |account| {
        let task = account.create(&every_month("before")).await?;
        account.act(&task.id, "complete").await
    }))
    .await?;
    for (account, done) in accounts.iter().zip(&series) {
        next_of(account, done).await?;
    }
    stack.settled().await?;

    let mut records = Vec::new();
    for account in &accounts {
        let query = Query {
            account: Some(account.id.clone()),
            ..Query::all(TASK_EVENTS)
        };
        records.extend(events::collect(&stack.brokers(), &query).await?);
    }
    let mut dice = Dice(SEED);
    let mut again: Vec<&events::Event> =
        records.iter().cycle().take(records.len() * TIMES).collect();
    for place in (1..again.len()).rev() {
        again.swap(place, dice.roll(place + 1));
    }
    for event in &again {
        let key = event.key.as_deref().unwrap_or_default();
        stack.publish(TASK_EVENTS, key, &event.body).await?;
    }

    // What comes after all that, in the same partitions, shows that it was taken in.
    for account in &accounts {
        let task = account.create(&every_month("after")).await?;
        let done = account.act(&task.id, "complete").await?;
        next_of(account, &done).await?;
    }
    stack.settled().await?;
    for (account, done) in accounts.iter().zip(&series) {
        let history = History::read(stack, account).await?;
        ensure!(history.duplicates >= again.len() / accounts.len() / 2);
        history.matches_the_api(account).await?;
        audit::agree(stack, account).await?;
        let all = account.all("all", 200).await?;
        let series = all.iter().filter(|task| task.title == done.title).count();
        assert_eq!(series, 2, "the done one and the next");
    }
    eprintln!(
        "[again] seed {SEED}; {} events delivered {TIMES} times more, in any order; tasks, occurrences and audit log as \
         before: lost 0, twice 0",
        records.len()
    );
    Ok(())
}

/// Another system sends messages, every tenth of them twice, while what takes them in is killed.
async fn messages_are_carried_out_once(suite: &Suite) -> Result<()> {
    const MESSAGES: usize = 100;
    let stack = suite.stack().await?;
    let accounts = accounts_of(stack, "inbox", 4).await?;
    let key = Proof::Key(secrets::inbox_key(stack.data())?);
    let client = events::connect(&stack.brokers()).await?;
    let began = Instant::now();
    let sent = AtomicUsize::new(0);
    let send = try_join_all(accounts.iter().map(async |account| {
        let id = AccountId::parse(&account.id).context("an id")?;
        for n in 0..MESSAGES {
            let operation = json!({ "op": "create", "task": { "title": format!("message {n}") } });
            for _ in 0..if n % 10 == 0 { 2 } else { 1 } {
                let (operation, now) = (operation.to_string(), chrono::Utc::now());
                let message = inbox::message(&id, &format!("m{n}"), now, &operation, &key)?;
                inbox::send(&client, &id, message, now).await?;
            }
            sent.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    }));
    let faults = [SIDECAR, "host", SIDECAR, "host"];
    let killer = async {
        for (n, part) in faults.iter().enumerate() {
            until("sending goes on", Duration::from_secs(60), async || {
                Ok((sent.load(Ordering::Relaxed) > (n + 1) * 60).then_some(()))
            })
            .await?;
            stack.kill_and_wait(part).await?;
        }
        anyhow::Ok(())
    };
    try_join(send, killer).await?;
    let results = until("each has its result", Duration::from_secs(60), async || {
        let mut results: BTreeMap<(String, String), Vec<Value>> = BTreeMap::new();
        let query = Query::all(docket_api::inbox::RESULTS);
        for record in events::collect(&stack.brokers(), &query).await? {
            let text = |name| {
                record
                    .body
                    .get(name)
                    .and_then(Value::as_str)
                    .map(str::to_owned)
            };
            let name = text("account").zip(text("id")).context("a result's name")?;
            if accounts.iter().any(|account| account.id == name.0) {
                results.entry(name).or_default().push(record.body);
            }
        }
        Ok((results.len() == MESSAGES * accounts.len()).then_some(results))
    })
    .await?;
    stack.healthy().await?;
    let settled = stack.settled().await?;
    let mut repeated = 0;
    for (name, results) in &results {
        let first = results.first().context("a result")?;
        ensure!(first.get("status") == Some(&json!(201)), "{first}");
        ensure!(
            results.iter().all(|result| result == first),
            "{name:?}: {results:?}"
        );
        repeated += results.len() - 1;
    }
    for account in &accounts {
        let history = History::read(stack, account).await?;
        history.matches_the_api(account).await?;
        ensure!(
            history.changes.len() == MESSAGES,
            "{} changes",
            history.changes.len()
        );
        // Of an account they are carried out in the order in which they were sent.
        for (n, change) in history.changes.iter().enumerate() {
            ensure!(
                change.task.title == format!("message {n}"),
                "{}",
                change.task.title
            );
        }
    }
    let dead = dead_letters::pending(&client, Some("task-inbox")).await?;
    ensure!(dead.is_empty(), "{dead:?}");
    eprintln!(
        "[inbox] kill -9 of {}; {} messages, {} of them sent twice, within {:.1} s: each carried out once, in order, and \
         answered, {repeated} results repeated; settled {:.1} s later",
        faults.join(", "),
        MESSAGES * accounts.len(),
        MESSAGES / 10 * accounts.len(),
        began.elapsed().as_secs_f64(),
        settled.as_secs_f64(),
    );
    Ok(())
}

fn every_month(title: &str) -> Value {
    json!({ "title": title, "due": { "date": "2027-01-31" }, "recurrence": { "rule": "monthly" } })
}

/// Waits for the occurrence after the one that is done.
async fn next_of(account: &Account, done: &Task) -> Result<Task> {
    until("the next occurrence", Duration::from_secs(60), async || {
        let open = account.all("open", 200).await?;
        let next = |task: &Task| task.title == done.title && is_second(task);
        Ok(open.into_iter().find(next))
    })
    .await
}

/// Whether it is the second occurrence of its series.
fn is_second(task: &Task) -> bool {
    let recurrence = task.recurrence.as_ref();
    recurrence.and_then(|r| r.get("index")) == Some(&json!(2))
}

/// Tries until it works.
async fn persist<T>(attempt: impl AsyncFn() -> Result<T>) -> Result<T> {
    until("it works at last", Duration::from_secs(60), async || {
        Ok(attempt().await.ok())
    })
    .await
}

async fn everything_is_killed_between_a_change_and_its_event(_: &Suite) -> Result<()> {
    // Of its own: the shared one has had parts killed so often of late that they would be given up.
    let fresh = Stack::start("between").await?;
    let stack = &fresh;
    let accounts = accounts_of(stack, "between", 4).await?;
    for round in 0..2_u64 {
        // A broker that hangs takes no event, so each of these changes is without its event when all are killed.
        let broker = stack.freeze("broker").await?;
        let plan = Plan {
            seed: SEED + round,
            writers_each: 1,
            changes_each: 10,
            batches: true,
            pace: Duration::ZERO,
        };
        let progress = Progress::stopped();
        let own = accounts.get(..2).context("accounts")?;
        let own = if round == 0 {
            own
        } else {
            accounts.get(2..).context("accounts")?
        };
        let work = workload::write(own, &plan, &progress).await?;
        assert_eq!(progress.refused(), 0);
        assert_eq!(stack.waiting_slots().await?, 20);
        let before = stack.part("host").await?.restarts;
        // Once the host first, once the sidecar: a change must survive either.
        let mut order = if round == 0 {
            vec!["host", SIDECAR]
        } else {
            vec![SIDECAR, "host"]
        };
        if stack.servers().is_some() {
            order.push("postgres");
        }
        for part in &order {
            stack.kill(part).await?;
        }
        stack.kill("broker").await?;
        drop(broker);
        until("the host is back", Duration::from_secs(30), async || {
            Ok((stack.part("host").await?.restarts > before).then_some(()))
        })
        .await?;
        let said = format!(
            "SIGSTOP broker, then kill -9 of {}, broker",
            order.join(", ")
        );
        settle(stack, "between", &said, &work, &progress).await?;
    }
    fresh.finish().await
}

async fn the_broker_hangs_for_ten_seconds(suite: &Suite) -> Result<()> {
    const AWAY: Duration = Duration::from_secs(10);
    let stack = suite.stack().await?;
    let accounts = accounts_of(stack, "away", 4).await?;
    let plan = Plan {
        seed: SEED,
        writers_each: 2,
        changes_each: 20,
        batches: true,
        // The ring has room for all that eight writers of this pace do in ten seconds.
        pace: Duration::from_millis(100),
    };
    let progress = Progress::default();
    let fault = async {
        more(&progress, 20).await?;
        let broker = stack.freeze("broker").await?;
        let began = Instant::now();
        let mut slowest = Duration::ZERO;
        while began.elapsed() < AWAY {
            let asked = Instant::now();
            more(&progress, 8).await?;
            slowest = slowest.max(asked.elapsed());
        }
        drop(broker);
        more(&progress, 20).await?;
        progress.stop();
        anyhow::Ok(slowest)
    };
    let (work, slowest) = try_join(workload::write(&accounts, &plan, &progress), fault).await?;
    assert_eq!(progress.refused(), 0, "writing went on");
    let said = format!(
        "SIGSTOP broker for 10 s (eight changes took {:.2} s at most)",
        slowest.as_secs_f64()
    );
    settle(stack, "away", &said, &work, &progress).await?;
    Ok(())
}

/// How soon a change is answered, whatever hangs, on a machine that does much else.
const ANSWERED: Duration = Duration::from_secs(10);

async fn the_ring_fills_while_the_broker_hangs(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let accounts = accounts_of(stack, "full", 16).await?;
    stack.settled().await?;
    let plan = Plan {
        seed: SEED,
        writers_each: 1,
        changes_each: 20,
        batches: false,
        pace: Duration::ZERO,
    };
    let progress = Progress::default();
    let broker = stack.freeze("broker").await?;
    let began = Instant::now();
    let fault = async {
        until("the ring is full", Duration::from_secs(90), async || {
            let waiting = stack.waiting_slots().await?;
            Ok((waiting == usize::from(SLOTS)).then_some(()))
        })
        .await?;
        let full = began.elapsed();
        let refused = progress.refused();
        until("a change is refused", ANSWERED, async || {
            Ok((progress.refused() > refused).then_some(()))
        })
        .await?;
        // Whoever took the last slot may be answered later than one who found none, and one who was refused before (for
        // another reason) may have taken one all the same.
        let answered = async || {
            let accepted = progress.accepted();
            Ok((accepted + refused >= usize::from(SLOTS)).then_some(accepted))
        };
        let accepted = until("every slot's change is answered", ANSWERED, answered).await?;
        drop(broker);
        // Writes work again, and so much that slots must have been freed.
        more(&progress, 200).await?;
        progress.stop();
        anyhow::Ok((accepted, refused, full))
    };
    let (work, (accepted, refused, full)) =
        try_join(workload::write(&accounts, &plan, &progress), fault).await?;
    let slots = usize::from(SLOTS);
    let all = slots.saturating_sub(refused)..=slots;
    ensure!(
        all.contains(&accepted),
        "each change took a slot: {accepted}, and {refused} were refused before"
    );
    let said = format!(
        "SIGSTOP broker until the ring was full, after {accepted} changes in {:.1} s",
        full.as_secs_f64()
    );
    settle(stack, "full", &said, &work, &progress).await?;
    Ok(())
}

async fn the_sidecar_hangs(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let accounts = accounts_of(stack, "hang", 2).await?;
    let account = accounts.first().context("an account")?;
    let task = account.create(&json!({ "title": "before" })).await?;
    let path = format!("/api/tasks/{}", task.id);
    stack.settled().await?;

    let sidecar = stack.freeze(SIDECAR).await?;
    let requests = [
        (
            Method::POST,
            "/api/tasks",
            Some(json!({ "title": "meanwhile" })),
        ),
        (Method::GET, "/api/tasks", None),
        (Method::GET, path.as_str(), None),
        (
            Method::PATCH,
            path.as_str(),
            Some(json!({ "description": "meanwhile" })),
        ),
        (Method::DELETE, path.as_str(), None),
    ];
    // One after the other, and many at once.
    let mut slowest = Duration::ZERO;
    for (method, path, body) in &requests {
        slowest = slowest.max(unavailable(account, method, path, body.as_ref()).await?);
    }
    let crowd = (0..24).map(|_| unavailable(account, &Method::GET, "/api/tasks", None));
    for took in try_join_all(crowd).await? {
        slowest = slowest.max(took);
    }
    drop(sidecar);
    ensure!(
        slowest < Duration::from_secs(4),
        "503 after {:.1} s",
        slowest.as_secs_f64()
    );
    eprintln!(
        "[hang] faults: SIGSTOP {SIDECAR}; 503 after {:.2} s at most",
        slowest.as_secs_f64()
    );

    // What hung in the sidecar may be done late, and it is done as a whole or not at all.
    let writes = async {
        let began = Instant::now();
        until(
            "changes are accepted",
            Duration::from_secs(10),
            async || {
                let new = json!({ "title": "after" });
                let answer = account.send(Method::POST, "/api/tasks", Some(&new)).await?;
                Ok((answer.status == 201).then(|| began.elapsed()))
            },
        )
        .await
    };
    let fine = writes.await?;
    stack.settled().await?;
    let history = History::read(stack, account).await?;
    history.matches_the_api(account).await?;
    ensure!(history.changes.len() >= 2, "{:?}", history.changes);
    eprintln!(
        "[hang] fine again {:.2} s after SIGCONT; {} events",
        fine.as_secs_f64(),
        history.changes.len()
    );

    // The same with people at work.
    let plan = Plan {
        seed: SEED,
        writers_each: 4,
        changes_each: 20,
        batches: true,
        pace: Duration::from_millis(5),
    };
    let progress = Progress::default();
    let fault = async {
        for _ in 0..2 {
            more(&progress, 40).await?;
            let sidecar = stack.freeze(SIDECAR).await?;
            let refused = progress.refused();
            until("somebody is refused", Duration::from_secs(10), async || {
                Ok((progress.refused() > refused).then_some(()))
            })
            .await?;
            drop(sidecar);
        }
        more(&progress, 40).await?;
        progress.stop();
        anyhow::Ok(())
    };
    let others = accounts_of(stack, "hanging", 2).await?;
    let (work, ()) = try_join(workload::write(&others, &plan, &progress), fault).await?;
    settle(
        stack,
        "hang",
        &format!("SIGSTOP {SIDECAR} twice until 503"),
        &work,
        &progress,
    )
    .await?;
    Ok(())
}

/// Sends what must be answered 503; gives how long that took.
async fn unavailable(
    account: &Account,
    method: &Method,
    path: &str,
    body: Option<&Value>,
) -> Result<Duration> {
    let began = Instant::now();
    let answer: Answer = account.send(method.clone(), path, body).await?;
    answer
        .problem(503, "unavailable")
        .with_context(|| format!("{method} {path}"))?;
    Ok(began.elapsed())
}

async fn the_supervisor_is_killed(_: &Suite) -> Result<()> {
    let stack = Stack::start("orphans").await?;
    let accounts = accounts_of(&stack, "orphan", 2).await?;
    let plan = Plan {
        seed: SEED,
        writers_each: 2,
        changes_each: 20,
        batches: true,
        pace: Duration::ZERO,
    };
    let progress = Progress::stopped();
    let work = workload::write(&accounts, &plan, &progress).await?;
    let pid = stack
        .status()
        .await?
        .supervisor_pid
        .context("no supervisor")?;
    let supervisor = Identity::of(pid).context("the supervisor runs")?;
    let processes = stack.processes();
    ensure!(processes.len() >= 5, "{processes:?}");
    ensure!(supervisor.signal(Signal::KILL), "it was gone");
    let began = Instant::now();
    until("no process is left", Duration::from_secs(20), async || {
        Ok((!processes.iter().any(Identity::alive)).then_some(()))
    })
    .await?;
    let gone = began.elapsed();
    assert_eq!(stack.status().await?.state, "stopped");
    let up = stack.up().await?;
    let said = format!(
        "kill -9 of `up` (its processes ended by themselves in {:.1} s, the next `up` took {:.1} s)",
        gone.as_secs_f64(),
        up.as_secs_f64()
    );
    settle(&stack, "orphans", &said, &work, &progress).await?;

    // With a process that cannot hear of it, `down` cleans up.
    let frozen = stack.freeze(SIDECAR).await?;
    let pid = stack
        .status()
        .await?
        .supervisor_pid
        .context("no supervisor")?;
    Identity::of(pid)
        .context("the supervisor runs")?
        .signal(Signal::KILL);
    let down = stack.down().await?;
    eprintln!(
        "[orphans] `down` after kill -9 of `up` with a process that hangs: {:.1} s",
        down.as_secs_f64()
    );
    drop(frozen);
    stack.up().await?;
    work.check(&stack).await?;
    stack.finish().await
}
