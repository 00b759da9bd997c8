//! Another system changes tasks by the task inbox.

use anyhow::{Context as _, Result, ensure};
use docket_cli::dead_letters;
use docket_cli::events;
use docket_cli::inbox::{self, Outcome, Proof};
use docket_cli::stack::secrets;
use docket_domain::AccountId;
use docket_tests::client::{Account, Answer};
use docket_tests::events::History;
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::until;
use reqwest::Method;
use rskafka::client::Client;
use rskafka::record::Record;
use serde_json::{Value, json};
use std::time::Duration;

/// The value of a record.
type Content = Option<Vec<u8>>;

/// A system that produces messages for an account.
struct Sender {
    client: Client,
    account: AccountId,
    proof: Proof,
}

impl Sender {
    async fn new(stack: &Stack, account: &Account, proof: Proof) -> Result<Self> {
        Ok(Self {
            client: events::connect(&stack.brokers()).await?,
            account: AccountId::parse(&account.id).context("an id")?,
            proof,
        })
    }

    async fn send(&self, id: &str, operation: &Value) -> Result<Outcome> {
        let now = chrono::Utc::now();
        let message = inbox::message(&self.account, id, now, &operation.to_string(), &self.proof)?;
        inbox::send(&self.client, &self.account, message, now).await?;
        let timeout = Duration::from_secs(20);
        Ok(inbox::outcome(&self.client, &self.account, id, now, timeout).await?)
    }

    async fn result(&self, id: &str, operation: &Value) -> Result<Value> {
        match self.send(id, operation).await? {
            Outcome::Result(result) => Ok(result),
            Outcome::Dead(reason) => anyhow::bail!("{id} is dead: {reason}"),
        }
    }
}

fn create(title: &str) -> Value {
    json!({ "op": "create", "task": { "title": title } })
}

pub async fn another_system_changes_tasks(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let sam = stack.account("sam").await?;
    let key = secrets::inbox_key(stack.data())?;
    let trusted = Sender::new(stack, &sam, Proof::Key(key)).await?;
    let made = trusted.result("m-1", &create("by another system")).await?;
    assert_eq!(made["status"], 201, "{made}");
    let id = made["task"]["id"].as_str().context("an id")?;
    assert_eq!(
        serde_json::to_value(sam.get(id).await?.title)?,
        made["task"]["title"]
    );

    // The same message counts once and is answered alike; so it does by the command line, which knows the key too.
    assert_eq!(
        trusted.result("m-1", &create("by another system")).await?,
        made
    );
    let words = [
        "inbox",
        "send",
        "--account",
        "sam@example.org",
        "--id",
        "m-1",
    ];
    let operation = create("by another system").to_string();
    let output = stack.docket(&[&words[..], &[&operation]].concat()).await?;
    ensure!(output.status.success(), "{output:?}");
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout)?, made);
    let other = trusted.result("m-1", &create("another")).await?;
    assert_eq!(other["problem"]["code"], "idempotency_key_reused");

    // With a token of the account.
    let person = Sender::new(stack, &sam, Proof::Token(sam.token.clone())).await?;
    let complete = json!({ "op": "complete", "id": id });
    let done = person.result("m-2", &complete).await?;
    assert_eq!(
        (&done["status"], &done["task"]["status"]),
        (&json!(200), &json!("done"))
    );
    let gone = person
        .result("m-3", &json!({ "op": "delete", "id": id }))
        .await?;
    assert_eq!(
        gone,
        json!({ "id": "m-3", "account": sam.id, "status": 204, "deleted": id })
    );
    let late = person.result("m-4", &complete).await?;
    assert_eq!(
        (&late["status"], &late["problem"]["code"]),
        (&json!(404), &json!("not_found"))
    );

    stack.settled().await?;
    let history = History::read(stack, &sam).await?;
    let kinds: Vec<&str> = history
        .changes
        .iter()
        .map(|change| change.kind.as_str())
        .collect();
    assert_eq!(kinds, ["task-created", "task-completed", "task-deleted"]);
    history.matches_the_api(&sam).await?;

    // The route of the binding is for nobody else, and no log has a key or a token.
    let body = json!({ "id": "x" });
    let answer = Answer::of(sam.anonymous(Method::POST, "/inbox").json(&body)).await?;
    answer.problem(401, "unauthorized")?;
    let secret = std::fs::read_to_string(stack.data().secrets_file())?;
    let secret: Value = serde_json::from_str(&secret)?;
    let keys = secret["inbox-key"].as_object().context("keys")?;
    let mut private: Vec<&str> = keys.values().filter_map(Value::as_str).collect();
    private.push(&sam.token);
    for entry in std::fs::read_dir(stack.data().logs())? {
        let log = String::from_utf8_lossy(&std::fs::read(entry?.path())?).into_owned();
        ensure!(
            !private.iter().any(|text| log.contains(text)),
            "a secret is in a log"
        );
    }
    Ok(())
}

pub async fn bad_messages_hold_up_nobody(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let sue = stack.account("writes-sue").await?;
    let client = events::connect(&stack.brokers()).await?;
    let partition = dead_letters::partition_of(Some(sue.id.as_bytes()), 8);
    let large = vec![b'k'; 300 * 1024];
    let bad: [(Option<&[u8]>, Content); 9] = [
        (None, None),
        (None, Some(Vec::new())),
        (Some(b"k"), Some(b"not json".to_vec())),
        (Some(b"a\r\nhost: x"), Some(b"{}".to_vec())),
        (Some(b"\xff\x00"), Some(b"\xff\xfe".to_vec())),
        (Some(&large), Some(b"{\"id\":\"large key\"}".to_vec())),
        (Some(b"k"), Some("[".repeat(200_000).into_bytes())),
        (Some(b"k"), Some(vec![b'x'; 1_000_000])),
        (
            Some(b"k"),
            Some(b"{\"id\":\"m\",\"at\":\"x\",\"operation\":{}}".to_vec()),
        ),
    ];
    let before = dead_letters::pending(&client, Some("task-inbox"))
        .await?
        .len();
    let count = bad.len();
    for (n, (key, value)) in bad.into_iter().enumerate() {
        // Headers that would be somebody else's in HTTP.
        let headers = [
            ("dapr-api-token", "guess"),
            ("content-length", "1"),
            ("x-request-id", "mine"),
        ]
        .map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let mut headers: std::collections::BTreeMap<_, _> = headers.into();
        headers.insert("n".to_owned(), vec![b'n'; n * 2_000]);
        let record = Record {
            key: key.map(<[u8]>::to_vec),
            value,
            headers,
            timestamp: chrono::Utc::now(),
        };
        dead_letters::produce(&client, "task-inbox", partition, record).await?;
    }
    let forged = Sender::new(stack, &sue, Proof::Key([0; 32])).await?;
    let Outcome::Dead(reason) = forged.send("forged", &create("forged")).await? else {
        anyhow::bail!("a forged message has a result");
    };
    ensure!(reason.contains("signature"), "{reason}");

    // Behind all of them on the same partition, a good one comes through.
    let key = secrets::inbox_key(stack.data())?;
    let trusted = Sender::new(stack, &sue, Proof::Key(key)).await?;
    let made = trusted.result("good", &create("good")).await?;
    assert_eq!(made["status"], 201, "{made}");
    until(
        "each is among the dead letters",
        Duration::from_secs(20),
        async || {
            let letters = dead_letters::pending(&client, Some("task-inbox")).await?;
            Ok((letters.len() == before + count + 1).then_some(()))
        },
    )
    .await?;
    for letter in dead_letters::pending(&client, Some("task-inbox")).await? {
        let told = letter.describe(&[]);
        ensure!(
            told["reason"]
                .as_str()
                .is_some_and(|reason| !reason.is_empty()),
            "{told}"
        );
    }
    assert_eq!(sue.page("status=all").await?.total, 1);
    Ok(())
}
