//! Reminders that are due, and how people learn of them: the inbox, open clients, mails.

use anyhow::{Context as _, Result, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use docket_cli::events::{self, Query};
use docket_domain::event::TASK_UPDATES;
use docket_domain::reminder_due::{Data, REMINDERS, ReminderDue};
use docket_domain::task::Priority;
use docket_domain::{AccountId, Instant as Moment, TaskId};
use docket_tests::client::{Account, Answer};
use docket_tests::mail::{Letter, MailServer, Mood};
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::until;
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const INBOX: &str = "/api/notifications";
const PREFERENCES: &str = "/api/notifications/preferences";
const TASK: &str = "0-90tj1f2kwhvp";
const SOON: Duration = Duration::from_secs(20);

/// The `n`-th reminder of an account that fires, now.
fn reminder(account: &Account, n: usize, title: &str) -> Result<ReminderDue> {
    let now = Moment::from_datetime(&Utc::now()).context("now")?;
    Ok(ReminderDue::new(Data {
        account: AccountId::parse(&account.id).context("an account")?,
        task_id: TaskId::parse(TASK).context("a task")?,
        reminder_id: format!("r{n}"),
        occurrence: 1,
        at: now,
        fired_at: now,
        snoozed: None,
        title: title.to_owned(),
        due: None,
        due_at: None,
        priority: Priority::Medium,
        tags: Vec::new(),
    }))
}

/// Publishes an event in the stead of `reminders`.
async fn publish(stack: &Stack, event: &ReminderDue) -> Result<()> {
    let account = event.data.account.as_str();
    stack
        .publish(REMINDERS, account, &event.cloud_event())
        .await
}

async fn get(account: &Account, path: &str) -> Result<Value> {
    account.send(Method::GET, path, None).await?.read(200)
}

async fn post(account: &Account, path: &str) -> Result<Value> {
    account.send(Method::POST, path, None).await?.read(200)
}

async fn prefer(account: &Account, patch: &Value) -> Result<Value> {
    let answer = account.send(Method::PATCH, PREFERENCES, Some(patch));
    answer.await?.read(200)
}

/// Waits until the inbox has so many notifications; gives the page.
async fn has(account: &Account, count: usize) -> Result<Value> {
    until("the inbox has them", SOON, async || {
        let page = get(account, &format!("{INBOX}?limit=200")).await?;
        let there = page["notifications"].as_array().map_or(0, Vec::len);
        Ok((there >= count).then_some(page))
    })
    .await
}

fn ids(page: &Value) -> Vec<String> {
    let notifications = page["notifications"].as_array().into_iter().flatten();
    let ids = notifications.filter_map(|one| one["id"].as_str());
    ids.map(str::to_owned).collect()
}

pub async fn a_reminder_is_found_in_the_inbox_once(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let nia = stack.account("nia").await?;
    let other = stack.account("noa").await?;
    let first = reminder(&nia, 1, "Call the <bank>")?;
    for _ in 0..2 {
        publish(stack, &first).await?;
    }
    // All of an account comes in order: what was published twice is behind us when this is there.
    publish(stack, &reminder(&nia, 2, "Second")?).await?;
    let page = has(&nia, 2).await?;
    let shown: Vec<_> = page["notifications"]
        .as_array()
        .context("a list")?
        .iter()
        .map(|one| (one["title"].clone(), one["read"].clone()))
        .collect();
    let expected = [
        (json!("Second"), json!(false)),
        (json!("Call the <bank>"), json!(false)),
    ];
    assert_eq!(shown, expected);
    assert_eq!(page["unread"], 2);
    assert_eq!(page["notifications"][1]["at"], json!(first.data.at));
    assert_eq!(get(&other, INBOX).await?["unread"], 0);

    // Open clients are told the same.
    let query = Query {
        account: Some(nia.id.clone()),
        ..Query::all(TASK_UPDATES)
    };
    let mut told: Vec<Value> = Vec::new();
    for record in events::collect(&stack.brokers(), &query).await? {
        assert_eq!(record.key.as_deref(), Some(nia.id.as_str()));
        assert_eq!(record.body["type"], "notification-created");
        let notification = record.body["data"]["notification"].clone();
        if !told.contains(&notification) {
            told.push(notification);
        }
    }
    told.reverse();
    assert_eq!(Some(&told), page["notifications"].as_array());

    let ids = ids(&page);
    let answer = post(&nia, &format!("{INBOX}/{}/read", ids[0])).await?;
    assert_eq!(answer, json!({ "unread": 1 }));
    let unread = get(&nia, &format!("{INBOX}?unread=true")).await?;
    assert_eq!(self::ids(&unread), ids[1..]);
    assert_eq!(post(&nia, &format!("{INBOX}/read-all")).await?["unread"], 0);
    let path = format!("{INBOX}/{}/read", ids[1]);
    let others = other.send(Method::POST, &path, None).await?;
    others.problem(404, "not_found")?;
    Ok(())
}

/// From a task's reminder to the inbox, and once more after a snooze.
pub async fn a_tasks_reminder_fires_and_comes_again_when_it_is_snoozed(
    suite: &Suite,
) -> Result<()> {
    let stack = suite.stack().await?;
    let nan = stack.account("nan").await?;
    // What is said of the account itself comes to both functions.
    let settings = json!({ "time_zone": "Europe/Berlin", "morning": "07:30" });
    let changed = nan
        .send(Method::PATCH, "/api/auth/me", Some(&settings))
        .await?;
    changed.check(200)?;
    let told = get(&nan, PREFERENCES).await?;
    assert_eq!(
        (&told["time_zone"], &told["morning"]),
        (&settings["time_zone"], &settings["morning"])
    );
    let at = Utc::now() + TimeDelta::seconds(3);
    let task = json!({ "title": "Leave for the train", "reminders": [{ "at": at.to_rfc3339() }] });
    let task = nan.create(&task).await?;
    let path = format!("/api/notifications/ledger?task={}", task.id);
    let lines = async || -> Result<Vec<Value>> {
        let page = get(&nan, &path).await?;
        Ok(page["entries"].as_array().context("entries")?.clone())
    };
    let page = has(&nan, 1).await?;
    let first = &page["notifications"][0];
    assert_eq!(first["task_id"], task.id.as_str());
    assert_eq!(first["reminder_id"], task.reminders[0]["id"]);
    let snooze = format!("{INBOX}/{}/snooze", ids(&page)[0]);
    let body = json!({ "for": "PT2S" });
    let snoozed = nan.send(Method::POST, &snooze, Some(&body));
    let comes: Value = snoozed.await?.read(200)?;
    let again = has(&nan, 2).await?;
    assert_eq!(again["notifications"][0]["at"], comes["at"]);
    assert_eq!(again["unread"], 1, "what is snoozed counts as read");
    let told: Vec<_> = lines()
        .await?
        .iter()
        .map(|line| {
            (
                line["channel"].clone(),
                line["state"].clone(),
                line["attempts"].clone(),
            )
        })
        .collect();
    let delivered = (json!("in-app"), json!("delivered"), json!(1));
    assert_eq!(told, [delivered.clone(), delivered]);
    // A task that is done does not come again.
    nan.act(&task.id, "complete").await?;
    until_refused(&nan, &snooze).await
}

/// Waits until a snooze is refused: `reminders` hears of a completion a moment later.
async fn until_refused(account: &Account, snooze: &str) -> Result<()> {
    let body = json!({ "for": "P1D" });
    until("it is refused", SOON, async || {
        let answer = account.send(Method::POST, snooze, Some(&body)).await?;
        Ok((answer.status == 409).then_some(()))
    })
    .await
}

pub async fn an_inbox_of_many_pages(suite: &Suite) -> Result<()> {
    const COUNT: usize = 150;
    let stack = suite.stack().await?;
    let nat = stack.account("nat").await?;
    let mut took = Vec::new();
    for n in 0..COUNT {
        let event = reminder(&nat, n, &format!("number {n}"))?;
        let began = Instant::now();
        publish(stack, &event).await?;
        while get(&nat, &format!("{INBOX}?limit=1")).await?["unread"] != n + 1 {
            ensure!(began.elapsed() < SOON, "number {n} does not come");
        }
        took.push(began.elapsed());
    }
    took.sort();
    eprintln!(
        "[inbox] from publishing to being listed: p50 {:.1} ms, p99 {:.1} ms ({COUNT} reminders, one after the other)",
        took[COUNT / 2].as_secs_f64() * 1e3,
        took[COUNT * 99 / 100].as_secs_f64() * 1e3,
    );
    let mut titles = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&nat, &format!("{INBOX}?limit=40&cursor={cursor}")).await?;
        let some = page["notifications"].as_array().context("a list")?.iter();
        titles.extend(some.map(|one| one["title"].clone()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let expected: Vec<Value> = (0..COUNT)
        .rev()
        .map(|n| format!("number {n}").into())
        .collect();
    assert_eq!(titles, expected);
    let nobody = stack.account("nobody").await?;
    let path = format!("{INBOX}?cursor={cursor}");
    let answer = nobody.send(Method::GET, &path, None).await?;
    answer.problem(422, "invalid")?;
    Ok(())
}

pub async fn what_is_no_reminder_is_among_the_dead_letters(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ned = stack.account("ned").await?;
    let good = reminder(&ned, 1, "After it")?;
    let mut odd = good.clone();
    odd.data.title = "x".repeat(600);
    publish(stack, &odd).await?;
    // What comes after it is not held up.
    publish(stack, &good).await?;
    assert_eq!(has(&ned, 1).await?["notifications"][0]["title"], "After it");
    until("it is among the dead letters", SOON, async || {
        let query = Query::all("reminders-dead");
        let dead = events::collect(&stack.brokers(), &query).await?;
        let found = dead
            .iter()
            .any(|record| record.body["data"]["account"] == ned.id.as_str());
        Ok(found.then_some(()))
    })
    .await
}

pub async fn without_a_mail_server_no_mails_can_be_asked_for(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let nell = stack.account("nell").await?;
    let patch = json!({ "email": { "enabled": true } });
    let answer = nell.send(Method::PATCH, PREFERENCES, Some(&patch)).await?;
    let problem = answer.problem(422, "invalid")?;
    assert_eq!(problem.errors[0]["pointer"], "/email/enabled");
    let digest =
        json!({ "digest": { "at": "18:00" }, "quiet_hours": { "from": "22:00", "to": "07:00" } });
    let kept = prefer(&nell, &digest).await?;
    assert_eq!(get(&nell, PREFERENCES).await?, kept);
    Ok(())
}

pub async fn nobody_may_ask_notifications(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    for app in ["tasks", "recurrence"] {
        let request = stack.http().post(format!(
            "{}/v1.0/invoke/notifications/method/internal/notifications/reminders",
            stack.sidecar_address(app)?
        ));
        let request = request.header("dapr-api-token", stack.api_tokens(app)?.dapr_api_token);
        Answer::of(request.json(&json!({}))).await?.check(403)?;
    }
    // It asks `tasks` for nothing, and publishes no changes of tasks.
    let base = stack.sidecar_address("notifications")?;
    let token = stack.api_tokens("notifications")?.dapr_api_token;
    for path in [
        "/v1.0/invoke/tasks/method/internal/tasks/occurrences",
        "/v1.0/publish/pubsub/task-events",
        "/v1.0/publish/pubsub/reminders",
    ] {
        let request = stack.http().post(format!("{base}{path}"));
        let request = request.header("dapr-api-token", &token).json(&json!({}));
        let answer = Answer::of(request).await?;
        ensure!(answer.status == 403, "{path}: {answer}");
    }
    Ok(())
}

/// An account of a stack that mails are sent to.
async fn reader(stack: &Stack, name: &str) -> Result<Account> {
    let account = stack.account(name).await?;
    let patch = json!({ "email": { "enabled": true } });
    prefer(&account, &patch).await?;
    Ok(account)
}

fn address(name: &str) -> String {
    format!("{name}@example.org")
}

/// Waits for so many mails to one recipient.
async fn letters(server: &MailServer, name: &str, count: usize) -> Result<Vec<Letter>> {
    let what = format!("{count} mails to {name}");
    until(&what, Duration::from_secs(40), async || {
        let letters = server.letters_to(&address(name));
        Ok((letters.len() >= count).then_some(letters))
    })
    .await
}

pub async fn mails_reach_whom_they_are_for(_: &Suite) -> Result<()> {
    let server = MailServer::start().await?;
    let from = "docket@mail.example.org";
    let words = ["--smtp", &server.url(), "--mail-from", from];
    let stack = Stack::start_with("mails", &words).await?;
    many_at_once(&stack, &server).await?;
    one_that_people_wrote(&stack, &server, from).await?;
    when_they_are_wanted(&stack, &server).await?;
    assert_eq!(
        server.most_at_once(),
        1,
        "mails are sent one after the other"
    );
    a_server_that_is_away(&stack, &server).await?;
    stack.finish().await
}

async fn many_at_once(stack: &Stack, server: &MailServer) -> Result<()> {
    const PEOPLE: usize = 25;
    const EACH: usize = 3;
    let names: Vec<String> = (0..PEOPLE).map(|n| format!("reader{n}")).collect();
    let readers = try_join_all(names.iter().map(|name| reader(stack, name))).await?;
    let began = Instant::now();
    try_join_all(readers.iter().zip(&names).map(async |(account, name)| {
        for n in 0..EACH {
            let event = reminder(account, n, &format!("number {n} for {name}"))?;
            publish(stack, &event).await?;
            if n == 0 {
                publish(stack, &event).await?;
            }
        }
        anyhow::Ok(())
    }))
    .await?;
    for name in &names {
        let mut subjects: Vec<String> = Vec::new();
        for letter in letters(server, name, EACH).await? {
            assert_eq!(letter.to, letter.recipients, "{letter:?}");
            ensure!(letter.html.contains(&format!(" for {name}<")), "{letter:?}");
            subjects.push(letter.subject);
        }
        subjects.sort();
        let expected: Vec<String> = (0..EACH)
            .map(|n| format!("Reminder: number {n} for {name}"))
            .collect();
        assert_eq!(subjects, expected);
    }
    eprintln!(
        "[mails] {} mails to {PEOPLE} people within {:.1} s, none mixed up, none twice",
        PEOPLE * EACH,
        began.elapsed().as_secs_f64()
    );
    assert_eq!(server.letters().len(), PEOPLE * EACH);
    Ok(())
}

async fn one_that_people_wrote(stack: &Stack, server: &MailServer, from: &str) -> Result<()> {
    let odd = reader(stack, "odd").await?;
    let title = "<script>alert('1')</script> & \"quotes\"\r\nBcc: eve@example.org \u{202e}دودھ";
    publish(stack, &reminder(&odd, 1, title)?).await?;
    let letter = letters(server, "odd", 1).await?.remove(0);
    assert_eq!(letter.recipients, [address("odd")]);
    assert_eq!(letter.from, [from]);
    let text = "<script>alert('1')</script> & \"quotes\"  Bcc: eve@example.org  دودھ";
    assert_eq!(letter.subject, format!("Reminder: {text}"));
    let escaped = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;quotes&quot;  Bcc: eve@example.org  دودھ";
    ensure!(letter.html.contains(escaped), "{}", letter.html);
    ensure!(!letter.html.contains("<script"), "{}", letter.html);
    let copies =
        |name: &&String| name.eq_ignore_ascii_case("bcc") || name.eq_ignore_ascii_case("cc");
    assert_eq!(letter.headers.iter().find(copies), None);
    Ok(())
}

/// The time on the wall, in UTC.
fn wall(at: DateTime<Utc>) -> String {
    at.format("%H:%M:%S").to_string()
}

async fn when_they_are_wanted(stack: &Stack, server: &MailServer) -> Result<()> {
    let quiet = reader(stack, "quiet").await?;
    let daily = reader(stack, "daily").await?;
    let then = Utc::now() + TimeDelta::seconds(12);
    let hours =
        json!({ "quiet_hours": { "from": wall(then - TimeDelta::hours(1)), "to": wall(then) } });
    prefer(&quiet, &hours).await?;
    prefer(&daily, &json!({ "digest": { "at": wall(then) } })).await?;
    publish(stack, &reminder(&quiet, 1, "Quietly")?).await?;
    for n in 1..4 {
        publish(stack, &reminder(&daily, n, &format!("of the day {n}"))?).await?;
    }
    // The inbox has them long before.
    has(&quiet, 1).await?;
    let read = ids(&has(&daily, 3).await?)[1].clone();
    post(&daily, &format!("{INBOX}/{read}/read")).await?;
    assert!(server.letters_to(&address("quiet")).is_empty());
    let letter = letters(server, "quiet", 1).await?.remove(0);
    assert_eq!(letter.subject, "Reminder: Quietly");
    // The wall has whole seconds.
    ensure!(
        Utc::now() >= then - TimeDelta::seconds(1),
        "it came too early"
    );
    let digest = letters(server, "daily", 1).await?.remove(0);
    assert_eq!(digest.subject, "2 unread reminders");
    for (n, there) in [(1, true), (2, false), (3, true)] {
        let title = format!("of the day {n}");
        ensure!(digest.html.contains(&title) == there, "{}", digest.html);
    }
    Ok(())
}

async fn a_server_that_is_away(stack: &Stack, server: &MailServer) -> Result<()> {
    let late = reader(stack, "late").await?;
    for (n, mood) in [(1, Mood::Refuses), (2, Mood::Hangs)] {
        let before = server.tries();
        server.set_mood(mood);
        publish(stack, &reminder(&late, n, &format!("late {n}"))?).await?;
        until("it is tried", SOON, async || {
            Ok((server.tries() > before).then_some(()))
        })
        .await?;
        has(&late, n).await?;
        if mood == Mood::Refuses {
            assert!(server.letters_to(&address("late")).is_empty());
            server.set_mood(Mood::Takes);
            letters(server, "late", 1).await?;
        }
    }
    // The first try hangs until it is given up; another one follows, which is taken at once.
    let hanging = server.tries();
    until("it is tried again", Duration::from_secs(60), async || {
        Ok((server.tries() > hanging).then_some(()))
    })
    .await?;
    server.set_mood(Mood::Takes);
    letters(server, "late", 2).await?;
    Ok(())
}
