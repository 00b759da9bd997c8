//! The suite `cluster`, the part that only it has: what is particular about a Kafka and a PostgreSQL that run elsewhere.
#![expect(
    clippy::indexing_slicing,
    reason = "a test fails by a panic as well; with a main of its own clippy does not take it for one"
)]

use anyhow::{Context as _, Result, ensure};
use docket_cli::events;
use docket_cli::stack::engine::Kind;
use docket_tests::client::Answer;
use docket_tests::servers::PASSWORD;
use docket_tests::suite::{self, Suite};
use docket_tests::{tests, until};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    suite::main_on(
        Kind::Cluster,
        tests![
            the_password_is_among_the_secrets_alone,
            a_folder_keeps_its_engine,
            a_wrong_password_is_told_without_it,
            topics_are_made_as_the_project_has_them,
            guards_of_transactions,
        ],
    )
}

/// A part of the password that is the same in an address.
const MARK: &str = "secret";

async fn the_password_is_among_the_secrets_alone(suite: &Suite) -> Result<()> {
    ensure!(PASSWORD.contains(MARK), "another password");
    let password = [
        PASSWORD.to_owned(),
        PASSWORD.replace(' ', "%20").replace('&', "%26"),
    ];
    let has_it = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes);
        password.iter().any(|password| text.contains(password))
    };
    let stack = suite.stack().await?;
    let account = stack.account("secretive").await?;
    account.create(&json!({ "title": "a task" })).await?;
    // What fails is logged.
    stack.kill_and_wait("postgres").await?;
    until("writes work again", Duration::from_secs(30), async || {
        let task = json!({ "title": "another" });
        Ok(account.create(&task).await.ok())
    })
    .await?;

    let mut where_it_is = Vec::new();
    let mut files = 0;
    let mut folders = vec![stack.data().root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                if std::fs::read(&path).is_ok_and(|bytes| has_it(&bytes)) {
                    where_it_is.push(path);
                }
            }
        }
    }
    ensure!(files > 10, "only {files} files");
    assert_eq!(where_it_is, [stack.data().secrets_file()]);
    let mode = std::fs::metadata(stack.data().secrets_file())?
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);

    for words in [&["status"][..], &["status", "--json"], &["doctor"]] {
        let output = stack.docket(words).await?;
        assert!(
            !has_it(&output.stdout) && !has_it(&output.stderr),
            "{words:?}"
        );
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            text.contains("cluster") || text.contains("PostgreSQL"),
            "{words:?}: {text}"
        );
    }
    let mut processes = 0;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        if let Ok(line) = std::fs::read(entry.path().join("cmdline")) {
            processes += 1;
            assert!(!has_it(&line), "{}", String::from_utf8_lossy(&line));
        }
    }
    ensure!(processes > 5, "only {processes} processes");
    for process in stack.processes() {
        let environment = std::fs::read(
            Path::new("/proc")
                .join(process.pid.to_string())
                .join("environ"),
        )?;
        assert!(!has_it(&environment), "process {}", process.pid);
    }
    Ok(())
}

async fn a_folder_keeps_its_engine(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let output = stack
        .docket(&["up", "--detach", "--no-build", "--engine", "embedded"])
        .await?;
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && told.contains("was made with --engine cluster"),
        "{told}"
    );
    Ok(())
}

async fn a_wrong_password_is_told_without_it(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let servers = stack.servers().context("servers")?;
    let wrong = servers.postgres_url().replace(MARK, "wr0ng");
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let range =
        docket_cli::machine::PortRange::claim(docket_cli::layout::Ports::SPAN).context("ports")?;
    let base = range.base().to_string();
    let words = [
        "up",
        "--detach",
        "--no-build",
        "--engine",
        "cluster",
        "--port-base",
        &base,
    ];
    let output = stack
        .command(&words, &data)
        .args(["--brokers", servers.broker_address()])
        .env("DOCKET_POSTGRES", &wrong)
        .output()
        .await?;
    let told = [output.stdout, output.stderr].concat();
    let told = String::from_utf8_lossy(&told);
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("password authentication failed"), "{told}");
    assert!(!told.contains("wr0ng"), "{told}");
    for entry in std::fs::read_dir(data.join("logs"))? {
        let path = entry?.path();
        let log = std::fs::read_to_string(&path)?;
        assert!(!log.contains("wr0ng"), "{}", path.display());
    }
    Ok(())
}

async fn topics_are_made_as_the_project_has_them(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let client = events::connect(&stack.brokers()).await?;
    let there: BTreeMap<String, usize> = client
        .list_topics()
        .await?
        .into_iter()
        .map(|topic| (topic.name, topic.partitions.len()))
        .collect();
    for topic in stack.project().topics()? {
        let partitions = there.get(&topic.name).copied();
        assert_eq!(
            partitions,
            Some(topic.partitions as usize),
            "{}",
            topic.name
        );
    }
    Ok(())
}

/// What `functions/tasks` rests on, asked of the sidecar itself: whatever words a refusal is told in, nothing of the
/// transaction has happened, and what is read after it is true.
async fn guards_of_transactions(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let url = format!("{}/v1.0/state/state", stack.sidecar_address("tasks")?);
    let token = stack.api_tokens("tasks")?.dapr_api_token;
    let send = async |method: Method, path: &str, body: Option<Value>| {
        let request = stack
            .http()
            .request(method, format!("{url}{path}"))
            .header("dapr-api-token", &token);
        Answer::of(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    };
    let etag = async |key: &str| -> Result<String> {
        let answer = send(Method::GET, &format!("/{key}"), None).await?;
        Ok(answer.header("etag").context("an etag")?.to_owned())
    };
    let transact = async |operations: &[Value]| {
        let body = json!({ "operations": operations });
        send(Method::POST, "/transaction", Some(body)).await
    };
    let first_write = json!({ "concurrency": "first-write" });
    let upsert = |key: &str, value: u32, etag: Option<&str>, seconds: Option<&str>| {
        let mut request = json!({ "key": key, "value": value, "options": first_write });
        if let Some(etag) = etag {
            request["etag"] = json!(etag);
        }
        if let Some(seconds) = seconds {
            request["metadata"] = json!({ "ttlInSeconds": seconds });
        }
        json!({ "operation": "upsert", "request": request })
    };
    let delete = |key: &str, etag: &str| {
        let request = json!({ "key": key, "etag": etag, "options": first_write });
        json!({ "operation": "delete", "request": request })
    };
    let read = async |keys: &[&str]| -> Result<Vec<Value>> {
        let items: Vec<Value> = send(Method::POST, "/bulk", Some(json!({ "keys": keys })))
            .await?
            .read(200)?;
        let value = |key: &&str| {
            let item = items.iter().find(|item| item["key"] == **key);
            item.map_or(json!("no answer"), |item| item["data"].clone())
        };
        Ok(keys.iter().map(value).collect())
    };

    // Create-only; over what is there, nothing of the transaction happens.
    transact(&[upsert("g1", 1, None, None), upsert("g2", 1, None, None)])
        .await?
        .check(204)?;
    let refused = transact(&[upsert("g3", 1, None, None), upsert("g2", 2, None, None)]).await?;
    assert_eq!(refused.status, 500, "{refused}");
    assert!(
        refused.to_string().contains("ERR_STATE_TRANSACTION"),
        "{refused}"
    );
    assert_eq!(
        read(&["g3", "g2", "g1"]).await?,
        [Value::Null, json!(1), json!(1)]
    );

    // By etag: only the first of two who read the same; a deletion likewise.
    let (one, two) = (etag("g1").await?, etag("g2").await?);
    let both = [upsert("g1", 2, Some(&one), None), delete("g2", &two)];
    transact(&both).await?.check(204)?;
    assert_eq!(transact(&both).await?.status, 500);
    let gone = [upsert("g4", 1, None, None), delete("g2", &two)];
    assert_eq!(transact(&gone).await?.status, 500);
    assert_eq!(
        read(&["g1", "g2", "g4"]).await?,
        [json!(2), Value::Null, Value::Null]
    );

    // What has expired is not there for anybody, and its key can be had anew before the row is cleaned up.
    transact(&[
        upsert("g5", 1, None, Some("1")),
        upsert("g6", 1, None, Some("60")),
    ])
    .await?
    .check(204)?;
    let early = [upsert("g5", 2, None, None), upsert("g6", 2, None, None)];
    assert_eq!(transact(&early).await?.status, 500);
    until("it has expired", Duration::from_secs(10), async || {
        Ok((read(&["g5"]).await? == [Value::Null]).then_some(()))
    })
    .await?;
    let answer = send(Method::GET, "/g5", None).await?;
    answer.check(204)?;
    transact(&[upsert("g5", 3, None, None), upsert("g7", 1, None, None)])
        .await?
        .check(204)?;
    assert_eq!(
        read(&["g5", "g6", "g7"]).await?,
        [json!(3), json!(1), json!(1)]
    );

    // Sixteen at once who read the same: one.
    let before = etag("g7").await?;
    let racers = (0..16).map(|n| {
        let operations = [
            upsert("g7", n, Some(&before), None),
            upsert(&format!("r{n}"), n, None, None),
        ];
        async move { transact(&operations).await }
    });
    let answers = futures::future::try_join_all(racers).await?;
    let won = answers.iter().filter(|answer| answer.status == 204).count();
    assert_eq!(won, 1);
    let keys: Vec<String> = (0..16).map(|n| format!("r{n}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let written = read(&keys).await?;
    assert_eq!(written.iter().filter(|value| !value.is_null()).count(), 1);
    Ok(())
}
