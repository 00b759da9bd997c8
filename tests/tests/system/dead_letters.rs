//! What consumers cannot take, and its way back to them.

use anyhow::{Context as _, Result, ensure};
use docket_cli::dead_letters;
use docket_tests::client::Account;
use docket_tests::stack::{RECURRENCE, SIDECAR, Stack};
use docket_tests::suite::Suite;
use docket_tests::until;
use serde_json::{Value, json};
use std::time::Duration;

/// The project's policy for events, in seconds instead of minutes.
const HASTY: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata:
  name: events
spec:
  policies:
    retries:
      deliver:
        policy: constant
        duration: 200ms
        maxRetries: 2
  targets:
    components:
      pubsub:
        inbound:
          retry: deliver
";

/// What `cargo docket dead-letters list` tells of a topic, or of all.
async fn listed(stack: &Stack, topic: Option<&str>) -> Result<Vec<Value>> {
    let mut words = vec!["dead-letters", "list", "--json"];
    words.extend(topic.into_iter().flat_map(|topic| ["--topic", topic]));
    let output = stack.docket(&words).await?;
    ensure!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .map(|line| Ok(serde_json::from_str(line)?))
        .collect()
}

async fn replay(stack: &Stack, words: &[&str]) -> Result<String> {
    let output = stack
        .docket(&[&["dead-letters", "replay", "--yes"], words].concat())
        .await?;
    ensure!(output.status.success(), "{output:?}");
    Ok(String::from_utf8(output.stdout)?)
}

/// Waits until so many letters of a topic fit.
async fn letters(stack: &Stack, topic: &str, what: impl Fn(&Value) -> bool) -> Result<Vec<Value>> {
    until(
        "it is among the dead letters",
        Duration::from_secs(40),
        async || {
            let mut letters = listed(stack, Some(topic)).await?;
            letters.retain(|letter| what(letter));
            Ok((!letters.is_empty()).then_some(letters))
        },
    )
    .await
}

/// Waits until an account has so many open tasks.
async fn open(account: &Account, count: u64) -> Result<()> {
    until(
        "the next occurrence is there",
        Duration::from_secs(20),
        async || Ok((account.page("status=open").await?.total == count).then_some(())),
    )
    .await
}

pub async fn what_a_consumer_cannot_take_waits_for_its_replay(_: &Suite) -> Result<()> {
    let own = Stack::start_having("letters", &[], &[("resiliency.yaml", HASTY)]).await?;
    let stack = &own;
    let eva = stack.account("eva").await?;
    let monthly = |title: &str| json!({ "title": title, "due": { "date": "2027-01-31" }, "recurrence": { "rule": "monthly" } });

    // What no consumer will ever take, on eva's own partition, holds up nothing.
    let poison = json!({
        "specversion": "1.0", "id": "poison-1", "source": "/elsewhere", "type": "task-completed",
        "datacontenttype": "application/json", "data": { "account": eva.id },
    });
    stack.publish("task-events", &eva.id, &poison).await?;
    let rent = eva.create(&monthly("rent")).await?;
    eva.act(&rent.id, "complete").await?;
    open(&eva, 1).await?;
    let is_poison = |letter: &Value| letter.get("id") == Some(&json!("poison-1"));
    let found = letters(stack, "task-events", is_poison).await?;
    let letter = found.first().context("a letter")?;
    assert_eq!(letter.get("account"), Some(&json!(eva.id)));
    let consumers = letter
        .get("consumers")
        .and_then(Value::as_array)
        .context("consumers")?;
    ensure!(consumers.contains(&json!("recurrence")), "{letter}");
    // As it was, it comes back.
    let names: Vec<&Value> = found
        .iter()
        .filter_map(|letter| letter.get("letter"))
        .collect();
    replay(stack, &["--id", "poison-1"]).await?;
    let fresh = |letter: &Value| {
        is_poison(letter)
            && letter
                .get("letter")
                .is_some_and(|name| !names.contains(&name))
    };
    letters(stack, "task-events", fresh).await?;

    // What a consumer cannot take for now goes there after its retries.
    let gym = eva.create(&monthly("gym")).await?;
    open(&eva, 2).await?;
    let consumer = stack.freeze(RECURRENCE).await?;
    eva.act(&gym.id, "complete").await?;
    stack.settled().await?;
    let tasks = stack.freeze(SIDECAR).await?;
    drop(consumer);
    let is_gym = |letter: &Value| letter.pointer("/message/subject") == Some(&json!(gym.id));
    letters(stack, "task-events", is_gym).await?;
    drop(tasks);
    stack.healthy().await?;
    // Later ones of the same account are taken meanwhile.
    let phone = eva.create(&monthly("phone")).await?;
    eva.act(&phone.id, "complete").await?;
    open(&eva, 2).await?;
    let titles = |tasks: Vec<docket_tests::client::Task>| {
        let mut titles: Vec<String> = tasks.into_iter().map(|task| task.title).collect();
        titles.sort();
        titles
    };
    assert_eq!(titles(eva.all("open", 200).await?), ["phone", "rent"]);

    // Replayed, it has its effect; replayed by hand once more, no other.
    let letter = listed(stack, None)
        .await?
        .into_iter()
        .find(|letter| is_gym(letter));
    let name = letter
        .as_ref()
        .and_then(|letter| letter.get("letter")?.as_str())
        .context("a name")?
        .to_owned();
    let client = docket_cli::events::connect(&stack.brokers()).await?;
    let kept = dead_letters::pending(&client, Some("task-events")).await?;
    let said = replay(stack, &["--id", &name]).await?;
    ensure!(said.contains("is on task-events again"), "{said}");
    open(&eva, 3).await?;
    let kept: Vec<_> = kept.into_iter().filter(|letter| letter.is(&name)).collect();
    dead_letters::replay(&client, &kept, |_| ()).await?;
    let gym = eva.create(&monthly("a last one")).await?;
    eva.act(&gym.id, "complete").await?;
    open(&eva, 4).await?;
    assert_eq!(
        titles(eva.all("open", 200).await?),
        ["a last one", "gym", "phone", "rent"]
    );
    ensure!(
        !listed(stack, None).await?.iter().any(is_gym),
        "it is gone from the list"
    );

    // A letter that is mended.
    let operation = json!({ "op": "create", "task": { "title": "by another system" } }).to_string();
    let send = [
        "inbox",
        "send",
        "--account",
        &eva.id,
        "--id",
        "m-1",
        "--dry-run",
        &operation,
    ];
    let message = String::from_utf8(stack.docket(&send).await?.stdout)?;
    let key = docket_domain::AccountId::parse(&eva.id).context("an id")?;
    let torn = message.replace("\"create\"", "\"delete\"");
    docket_cli::inbox::send(&client, &key, torn, chrono::Utc::now()).await?;
    let found = letters(stack, "task-inbox", |_| true).await?;
    let letter = found.first().context("a letter")?;
    let reason = letter
        .get("reason")
        .and_then(Value::as_str)
        .unwrap_or_default();
    ensure!(reason.contains("signature"), "{letter}");
    let file = stack.data().root().join("mended.json");
    std::fs::write(&file, message)?;
    let file = file.to_str().context("a path")?;
    replay(stack, &["--id", "m-1", "--message", file]).await?;
    open(&eva, 5).await?;
    replay(stack, &["--all", "--topic", "task-inbox"]).await?;
    assert_eq!(
        listed(stack, Some("task-inbox")).await?,
        Vec::<Value>::new()
    );

    let left = listed(stack, None).await?;
    ensure!(left.iter().all(is_poison), "{left:?}");
    own.finish().await
}
