//! Many tasks at once, and clients that have to keep up: batches, the change feed, tags, Idempotency-Key, compaction.

use anyhow::{Context as _, Result, ensure};
use docket_tests::client::{Account, Answer, Task};
use docket_tests::events::History;
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::workload::{self, Plan, Progress};
use futures::future::{join, try_join_all};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

/// Creates so many tasks in batches; gives their ids, oldest first.
async fn create_many(
    account: &Account,
    count: usize,
    task: impl Fn(usize) -> Value,
) -> Result<Vec<String>> {
    let operations: Vec<Value> = (0..count)
        .map(|n| json!({ "op": "create", "task": task(n) }))
        .collect();
    let mut ids = Vec::new();
    for some in operations.chunks(150) {
        for result in account.batch(some).await? {
            ids.push(result.task.context("no task")?.id);
        }
    }
    Ok(ids)
}

async fn agree(stack: &Stack, account: &Account, changes: usize) -> Result<()> {
    stack.settled().await?;
    let history = History::read(stack, account).await?;
    assert_eq!(history.changes.len(), changes, "events");
    history.matches_the_api(account).await
}

pub async fn a_batch_happens_whole_or_not_at_all(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let bea = stack.account("bea").await?;
    let others = stack.account("ben").await?;
    let others = others.create(&json!({ "title": "not hers" })).await?.id;
    let titled = |title: String| json!({ "op": "create", "task": { "title": title } });
    let creates: Vec<Value> = (0..200).map(|n| titled(format!("task {n}"))).collect();
    let made = bea.batch(&creates).await?;
    let ids: Vec<String> = made
        .into_iter()
        .map(|result| Ok(result.task.context("no task")?.id))
        .collect::<Result<_>>()?;
    let before = bea.all("all", 200).await?;
    assert!(before.iter().rev().map(|task| &task.id).eq(&ids));

    let good = titled("must not be".to_owned());
    let on = |op: &str, id: &str| json!({ "op": op, "id": id });
    let blank = json!({ "op": "update", "id": ids[1], "task": { "title": " " } });
    let bad = [
        (vec![], "/operations"),
        (vec![good.clone(); 201], "/operations"),
        (vec![good.clone(), json!({})], "/operations/1/op"),
        (
            vec![good.clone(), titled("a".repeat(501))],
            "/operations/1/task/title",
        ),
        (
            vec![on("complete", &ids[0]), blank],
            "/operations/1/task/title",
        ),
        (
            vec![good.clone(), on("delete", &others)],
            "/operations/1/id",
        ),
        (
            vec![on("delete", &ids[0]), on("complete", &ids[0])],
            "/operations/1/id",
        ),
    ];
    for (operations, pointer) in bad {
        let answer = bea.try_batch(&operations).await?;
        let problem = answer.problem(422, "invalid")?;
        assert_eq!(problem.errors[0]["pointer"], pointer, "{answer}");
    }
    assert_eq!(bea.all("all", 200).await?, before);

    let mixed: Vec<Value> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| match n % 4 {
            0 => json!({ "op": "update", "id": id, "task": { "title": "new", "tags": ["t"] } }),
            1 => on("delete", id),
            _ => on("complete", id),
        })
        .collect();
    let results = bea.batch(&mixed).await?;
    for ((asked, id), result) in mixed.iter().zip(&ids).zip(&results) {
        let told = result.id.as_ref().or(result.task.as_ref().map(|t| &t.id));
        assert_eq!(
            (json!(result.op), told),
            (asked["op"].clone(), Some(id)),
            "{result:?}"
        );
    }
    let totals = ["open", "done"].map(async |status| bea.all(status, 200).await);
    let totals = try_join_all(totals).await?;
    assert_eq!((totals[0].len(), totals[1].len()), (50, 100));
    agree(stack, &bea, 400).await
}

/// What a client has that follows the change feed.
#[derive(Default)]
struct Follower {
    next: u64,
    tasks: BTreeMap<String, Task>,
}

impl Follower {
    /// Takes a page; whether there was nothing new.
    async fn follow(&mut self, account: &Account, limit: usize) -> Result<bool> {
        let page = account.changes(self.next, limit).await?;
        ensure!(
            !page.reset && page.changes.len() <= limit,
            "since {}: {page:?}",
            self.next
        );
        let numbers: Vec<u64> = page.changes.iter().map(|change| change.seq).collect();
        ensure!(numbers.is_sorted(), "{numbers:?}");
        let is_done = page.changes.is_empty();
        for change in page.changes {
            match (change.task, change.deleted) {
                (Some(task), None) => drop(self.tasks.insert(task.id.clone(), task)),
                (None, Some(id)) => drop(self.tasks.remove(&id)),
                both => ensure!(false, "either a task or an id: {both:?}"),
            }
        }
        self.next = page.next;
        Ok(is_done)
    }

    async fn catch_up(&mut self, account: &Account, limit: usize) -> Result<()> {
        while !self.follow(account, limit).await? {}
        Ok(())
    }

    /// Whether it has exactly the account's tasks.
    async fn check(&self, account: &Account) -> Result<()> {
        let all = account.all("all", 200).await?;
        let all: BTreeMap<String, Task> = all
            .into_iter()
            .map(|task| (task.id.clone(), task))
            .collect();
        ensure!(
            self.tasks == all,
            "it has {} tasks, there are {}",
            self.tasks.len(),
            all.len()
        );
        Ok(())
    }
}

pub async fn a_client_follows_the_change_feed(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let account = stack.account("fred").await?;
    let plan = Plan {
        seed: 9,
        writers_each: 4,
        changes_each: 60,
        batches: true,
        pace: Duration::ZERO,
    };
    let progress = Progress::default();
    progress.stop();
    let accounts = [account.clone()];
    let mut follower = Follower::default();
    let (work, followed) = {
        let mut writing = Box::pin(workload::write(&accounts, &plan, &progress));
        let follow = async {
            while progress.accepted() < 200 {
                follower.follow(&account, 7).await?;
            }
            anyhow::Ok(())
        };
        join(&mut writing, follow).await
    };
    followed?;
    follower.catch_up(&account, 7).await?;
    follower.check(&account).await?;
    stack.settled().await?;
    work?.check(stack).await?;
    // Who claims to be ahead has somebody else's data, and begins anew.
    let ahead = account.changes(follower.next + 1, 10).await?;
    assert!(ahead.reset && ahead.changes.is_empty() && ahead.next == 0);
    let mut anew = Follower::default();
    anew.catch_up(&account, 1_000).await?;
    anew.check(&account).await?;
    assert_eq!(anew.next, follower.next);
    Ok(())
}

pub async fn tags_of_many_segments(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let tia = stack.account("tia").await?;
    let tags = async || -> Result<Value> {
        let answer = tia.send(Method::GET, "/api/tags", None).await?;
        Ok(answer.read::<Value>(200)?["tags"].clone())
    };
    let count =
        |name: &str, open: u32, done: u32| json!({ "name": name, "open": open, "done": done });
    let ids = create_many(
        &tia,
        250,
        |n| json!({ "title": format!("{n}"), "tags": ["all", (["even", "odd"][n % 2])] }),
    )
    .await?;
    let complete: Vec<Value> = ids
        .iter()
        .step_by(5)
        .map(|id| json!({ "op": "complete", "id": id }))
        .collect();
    tia.batch(&complete).await?;
    assert_eq!(
        tags().await?,
        json!([
            count("all", 200, 50),
            count("even", 100, 25),
            count("odd", 100, 25)
        ])
    );

    let change = async |method: Method, name: &str, to: Option<&str>| -> Result<u64> {
        let body = to.map(|to| json!({ "name": to }));
        let path = format!("/api/tags/{name}");
        let answer = tia.send(method, &path, body.as_ref()).await?;
        Ok(answer.read::<Value>(200)?["changed"]
            .as_u64()
            .unwrap_or_default())
    };
    // To a new name; into one that the same tasks have; away from all of them, in more than one transaction.
    assert_eq!(change(Method::PATCH, "even", Some("جفت")).await?, 125);
    assert_eq!(change(Method::PATCH, "even", Some("جفت")).await?, 0);
    assert_eq!(tia.page("tag=جفت&status=all&limit=1").await?.total, 125);
    assert_eq!(change(Method::PATCH, "odd", Some("all")).await?, 125);
    assert_eq!(
        tags().await?,
        json!([count("all", 200, 50), count("جفت", 100, 25)])
    );
    assert_eq!(change(Method::DELETE, "all", None).await?, 250);
    assert_eq!(change(Method::DELETE, "all", None).await?, 0);
    assert_eq!(tags().await?, json!([count("جفت", 100, 25)]));
    let two_words = json!({ "name": "two words" });
    let answer = tia
        .send(Method::PATCH, "/api/tags/x", Some(&two_words))
        .await?;
    assert_eq!(
        answer.problem(422, "invalid")?.errors[0]["pointer"],
        "/name"
    );
    agree(stack, &tia, 250 + 50 + 125 + 125 + 250).await
}

pub async fn an_idempotency_key_counts_once(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let kim = stack.account("kim").await?;
    let send = async |path: &str, key: &str, body: &Value| {
        let request = kim.request(Method::POST, path).json(body);
        Answer::of(request.header("idempotency-key", key)).await
    };
    let task = json!({ "title": "once" });
    let batch = json!({ "operations": [{ "op": "create", "task": task }] });
    for (path, key, body, status) in [
        ("/api/tasks", "one", &task, 201),
        ("/api/tasks/batch", "two", &batch, 200),
    ] {
        let answers = try_join_all((0..16).map(|_| send(path, key, body))).await?;
        let first: Value = answers[0].read(status)?;
        for answer in &answers {
            assert_eq!(answer.read::<Value>(status)?, first);
            assert_eq!(answer.body, answers[0].body, "the same to the byte");
            for header in ["location", "etag"] {
                assert_eq!(answer.header(header), answers[0].header(header));
            }
        }
    }
    assert_eq!(kim.page("status=all").await?.total, 2);
    for (path, body) in [
        ("/api/tasks", json!({ "title": "twice" })),
        ("/api/tasks/batch", batch),
    ] {
        let other = send(path, "one", &body).await?;
        other.problem(422, "idempotency_key_reused")?;
    }
    send("/api/tasks", &"k".repeat(256), &task)
        .await?
        .problem(400, "malformed")?;
    agree(stack, &kim, 2).await
}

pub async fn what_is_left_of_many_deletions(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let cal = stack.account("cal").await?;
    let ids = create_many(&cal, 300, |n| json!({ "title": format!("task {n}") })).await?;
    let mut follower = Follower::default();
    follower.catch_up(&cal, 100).await?;
    let before = segments(stack, &cal).await?;

    let (kept, gone): (Vec<_>, Vec<_>) = ids.iter().enumerate().partition(|(n, _)| n % 15 == 7);
    let deletions: Vec<Value> = gone
        .iter()
        .map(|(_, id)| json!({ "op": "delete", "id": id }))
        .collect();
    for some in deletions.chunks(40) {
        cal.batch(some).await?;
    }
    let after = segments(stack, &cal).await?;
    ensure!(after < before, "{before} segments became {after}");
    eprintln!("[compaction] {before} segments became {after}");

    let shown = cal.all("all", 7).await?;
    assert!(
        shown
            .iter()
            .rev()
            .map(|task| &task.id)
            .eq(kept.iter().map(|(_, id)| *id))
    );
    for task in &shown {
        assert_eq!(&cal.get(&task.id).await?, task);
    }
    for (_, id) in gone.iter().step_by(20) {
        let path = format!("/api/tasks/{id}");
        let answer = cal.send(Method::GET, &path, None).await?;
        answer.problem(404, "not_found")?;
    }
    // What was moved can be changed as before, and who followed has no more than what is left.
    let (first, last) = (&shown[shown.len() - 1].id, &shown[0].id);
    cal.act(first, "complete").await?;
    cal.patch(last, &json!({ "title": "moved" })).await?;
    cal.delete(&shown[9].id).await?;
    follower.catch_up(&cal, 100).await?;
    follower.check(&cal).await?;
    let mut anew = Follower::default();
    anew.catch_up(&cal, 3).await?;
    anew.check(&cal).await?;
    let unique: HashSet<&String> = ids.iter().collect();
    assert_eq!((unique.len(), anew.tasks.len()), (300, 19));
    agree(stack, &cal, 300 + 280 + 3).await
}

/// How many segments of an account the store has.
async fn segments(stack: &Stack, account: &Account) -> Result<usize> {
    let base = stack.sidecar_address("tasks")?;
    let token = stack.api_tokens("tasks")?.dapr_api_token;
    let keys: Vec<String> = (0..20)
        .map(|number| format!("segment:{}:{number}", account.id))
        .collect();
    let request = stack
        .http()
        .post(format!("{base}/v1.0/state/state/bulk"))
        .header("dapr-api-token", token)
        .json(&json!({ "keys": keys }));
    let items: Vec<Value> = Answer::of(request).await?.read(200)?;
    Ok(items.iter().filter(|item| !item["data"].is_null()).count())
}
