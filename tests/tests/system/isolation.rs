//! Nobody reads or changes what is another's: every operation of `docs/openapi.json` is tried by each account with all that
//! names something of each other one. An operation or a parameter that this does not know fails the test, so that a new one
//! is thought of here.

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{TimeDelta, Utc};
use docket_tests::audit::until_entries;
use docket_tests::client::{Account, Answer};
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::until;
use docket_tests::visitor::Visitor;
use futures::future::try_join_all;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What is asked of an account before and after: everything that it has.
const EVERYTHING: [&str; 10] = [
    "/api/tasks?status=all&limit=200",
    "/api/tags",
    "/api/changes?since=0",
    "/api/notifications?limit=200",
    "/api/notifications/preferences",
    "/api/audit?limit=100",
    "/api/export?format=jsonl&status=all",
    "/api/auth/me",
    "/api/auth/sessions",
    "/api/auth/tokens",
];
/// What can mean nobody but the one who asks. A password, a cookie, and what came by mail are their bearer's; that others'
/// addresses open nothing is the affair of `accounts`' own tests.
const OF_ONESELF: [&str; 20] = [
    "changeAccount",
    "changeAddress",
    "changePassword",
    "deleteAccount",
    "endSessions",
    "listSessions",
    "listTokens",
    "makeToken",
    "parseQuickAdd",
    "previewRecurrence",
    "readAccount",
    "refreshSession",
    "requestReset",
    "requestVerification",
    "resetPassword",
    "signIn",
    "signOut",
    "signUp",
    "verifyAddress",
    "verifyAuditLog",
];
/// What does something to those who try, whatever it names: only those try it who have nothing to lose.
const CHANGES_ONES_OWN: [&str; 3] = ["changePreferences", "importTasks", "readAllNotifications"];
/// How many have something of every kind.
const VICTIMS: u8 = 8;
/// How many try at once.
const AT_ONCE: usize = 6;
/// What all of them send with what they make first.
const SAME_KEY: &str = "the-same-for-all";

/// Somebody who has something of every kind, and all that names it.
struct Victim {
    account: Account,
    /// A word in every title and tag.
    mark: String,
    task: String,
    session: String,
    agent: String,
    notification: String,
    event: String,
    tag: String,
    /// Where lists go on, by their path.
    cursors: Vec<(String, String)>,
    before: Vec<Value>,
}

impl Victim {
    async fn settle_in(stack: &Stack, n: u8) -> Result<Self> {
        let visitor = Visitor::new(stack, [5, n + 1])?;
        let mark = format!("private-to-{n}");
        visitor
            .sign_up(&format!("{mark}@example.org"))
            .await?
            .check(201)?;
        let wanted = json!({ "name": mark, "scopes": ["tasks:read"] });
        let made = visitor.post("/api/auth/tokens", Some(&wanted)).await?;
        made.check(201)?;
        let account = visitor.account()?;
        let soon = Utc::now() + TimeDelta::seconds(1);
        let mut task = String::new();
        for n in 0..3 {
            let wish = json!({
                "title": format!("{mark} {n}"), "tags": [mark], "description": mark,
                "due": { "date": "2027-01-31" }, "recurrence": { "rule": "monthly" },
                "reminders": [{ "at": soon.format("%FT%TZ").to_string() }],
            });
            let make = account.request(Method::POST, "/api/tasks").json(&wish);
            // The same key means another request of each account.
            let key = if n == 0 {
                SAME_KEY.to_owned()
            } else {
                format!("{mark}-{n}")
            };
            let made = Answer::of(make.header("idempotency-key", key)).await?;
            let made: Value = made.read(201)?;
            ensure!(made["title"] == wish["title"], "somebody else's: {made}");
            task = made["id"].as_str().context("an id")?.to_owned();
        }
        until(
            "its reminders are in the inbox",
            Duration::from_secs(30),
            async || {
                let page: Value = account
                    .send(Method::GET, "/api/notifications", None)
                    .await?
                    .read(200)?;
                Ok((page["notifications"].as_array().map_or(0, Vec::len) == 3).then_some(()))
            },
        )
        .await?;
        until_entries(&account, 3).await?;
        let history = format!("/api/tasks/{task}/history");
        let get = async |path: &str| -> Result<Value> {
            account.send(Method::GET, path, None).await?.read(200)
        };
        let text = |value: &Value| value.as_str().map(str::to_owned).context("a text");
        let event = text(&get(&history).await?["entries"][0]["event_id"])?;
        let sessions = get("/api/auth/sessions").await?;
        let tokens = get("/api/auth/tokens").await?;
        let inbox = get("/api/notifications").await?;
        let notification = text(&inbox["notifications"][0]["id"])?;
        let mut cursors = Vec::new();
        for list in ["/api/tasks", "/api/audit", "/api/notifications"] {
            let page = get(&format!("{list}?limit=1")).await?;
            cursors.push((list.to_owned(), text(&page["next_cursor"])?));
        }
        let mut victim = Self {
            tag: mark.clone(),
            account,
            mark,
            task,
            session: text(&sessions["sessions"][0]["id"])?,
            agent: text(&tokens["tokens"][0]["id"])?,
            notification,
            event,
            cursors,
            before: Vec::new(),
        };
        victim.before = victim.everything().await?;
        Ok(victim)
    }

    async fn everything(&self) -> Result<Vec<Value>> {
        let asked = EVERYTHING.map(async |path| {
            let answer = self.account.send(Method::GET, path, None).await?;
            answer.check(200)?;
            Ok::<_, anyhow::Error>(Value::from(String::from_utf8_lossy(&answer.body)))
        });
        try_join_all(asked).await
    }

    /// The values for a place in a path.
    fn part(&self, path: &str, name: &str) -> Result<String> {
        let value = match (path, name) {
            (path, "id") if path.starts_with("/api/tasks/") => &self.task,
            (path, "id") if path.starts_with("/api/notifications/") => &self.notification,
            (path, "name") if path.starts_with("/api/tags/") => &self.tag,
            (path, "id") if path.starts_with("/api/auth/sessions/") => &self.session,
            (path, "id") if path.starts_with("/api/auth/tokens/") => &self.agent,
            _ => bail!("what is {name} in {path}? tell this test how another's is named"),
        };
        Ok(value.clone())
    }

    /// The questions that name something of this account, for the parameters of an operation.
    fn questions(&self, path: &str, parameters: &[&str]) -> Result<Vec<String>> {
        // What picks among one's own.
        const HARMLESS: [&str; 18] = [
            "type",
            "from",
            "to",
            "order",
            "limit",
            "since",
            "format",
            "status",
            "time_zone",
            "unread",
            "priority",
            "due_after",
            "due_before",
            "overdue",
            "recurring",
            "sort",
            "others",
            "locale",
        ];
        let mut questions = Vec::new();
        for name in parameters {
            match *name {
                "task" | "parent" => questions.push(format!("{name}={}", self.task)),
                "tag" | "q" => questions.push(format!("{name}={}", self.mark)),
                "actor" => questions.push(format!("{name}={}", self.account.id)),
                "cursor" => {
                    for (_, cursor) in &self.cursors {
                        questions.push(format!("cursor={cursor}&limit=1"));
                    }
                }
                name if HARMLESS.contains(&name) => {}
                name => bail!("what is ?{name}= of {path}? tell this test"),
            }
        }
        if parameters.contains(&"format") {
            // It has to be given.
            questions.push("format=jsonl".to_owned());
        }
        Ok(if questions.is_empty() {
            vec![String::new()]
        } else {
            questions
        })
    }

    /// The bodies that name something of this account.
    fn bodies(&self, operation: &str) -> Result<Vec<Value>> {
        let of = |id: &str| json!({ "op": "delete", "id": id });
        Ok(match operation {
            "createTask" => vec![json!({ "title": "mine", "parent_id": self.task })],
            "updateTask" => vec![json!({ "title": "taken" }), json!({ "parent_id": null })],
            "changeTasks" => ["delete", "complete", "reopen"]
                .iter()
                .map(|op| json!({ "operations": [{ "op": op, "id": self.task }] }))
                .chain([
                    json!({ "operations": [{ "op": "update", "id": self.task, "task": { "title": "taken" } }] }),
                    json!({ "operations": [{ "op": "create", "task": { "title": "mine" } }, of(&self.task)] }),
                ])
                .collect(),
            "undoChange" => vec![json!({ "event_id": self.event })],
            "renameTag" => vec![json!({ "name": "taken" })],
            "snoozeNotification" => vec![json!({ "for": "PT10M" })],
            "changePreferences" => vec![json!({ "quiet": null })],
            "importTasks" => vec![json!({ "title": "mine", "id": self.task })],
            operation => bail!("what is sent to {operation}? tell this test"),
        })
    }
}

/// One who tries. What came of it is no business of the victim's: nothing is told, and nothing happens. `harmless` leaves out
/// what changes something of the one who tries.
async fn attack(
    stranger: &Account,
    victim: &Victim,
    document: &Value,
    harmless: bool,
) -> Result<usize> {
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().context("paths")? {
        for (method, operation) in methods.as_object().context("methods")? {
            let id = operation["operationId"].as_str().context("an id")?;
            if OF_ONESELF.contains(&id) || harmless && CHANGES_ONES_OWN.contains(&id) {
                continue;
            }
            let method: Method = method.to_uppercase().parse()?;
            let all = operation["parameters"].as_array().into_iter().flatten();
            let named = |place: &str| -> Vec<&str> {
                let here = all.clone().filter(|one| one["in"] == place);
                here.filter_map(|one| one["name"].as_str()).collect()
            };
            let mut target = path.clone();
            let parts = named("path");
            for name in &parts {
                target = target.replace(&format!("{{{name}}}"), &victim.part(path, name)?);
            }
            let bodies = match operation.get("requestBody") {
                None => vec![Value::Null],
                Some(_) => victim.bodies(id)?,
            };
            for question in victim.questions(path, &named("query"))? {
                for body in &bodies {
                    let url = format!("{target}?{question}");
                    let url = url.trim_end_matches('?');
                    let asked = async || {
                        let mut request = stranger.request(method.clone(), url);
                        if !body.is_null() {
                            request = request.json(body);
                        }
                        // A sidecar that has just started may not be known to the others yet.
                        let answer = Answer::of(request).await?;
                        Ok((answer.status != 503).then_some(answer))
                    };
                    let answer = until(url, Duration::from_secs(20), asked).await?;
                    tried += 1;
                    let what = || format!("{method} {url} {body}: {answer}");
                    // What the path names is not there; a tag is one's own, and has no tasks. A cursor of others is none.
                    let found = parts.contains(&"id");
                    let is_cursor = question.starts_with("cursor=");
                    let expected = if is_cursor { 422 } else { 404 };
                    ensure!(!(found || is_cursor) || answer.status == expected, what());
                    ensure!(answer.status < 500, what());
                    let told = String::from_utf8_lossy(&answer.body);
                    let tells = told.contains(&victim.mark) || told.contains(&victim.event);
                    ensure!(!tells || answer.status == 422, what());
                }
            }
        }
    }
    Ok(tried)
}

/// Tries what no place in a path names: another's event on one's own task, and, in the sidecar's stead, another's job for
/// one's own account.
async fn attack_aside(stack: &Stack, one: &Victim, other: &Victim) -> Result<usize> {
    let path = format!("/api/tasks/{}/undo", one.task);
    let body = json!({ "event_id": other.event });
    let answer = one.account.send(Method::POST, &path, Some(&body)).await?;
    answer.problem(404, "not_found")?;
    let token = stack.api_tokens("reminders")?.app_api_token;
    for (name, account, task) in [
        (&other.account.id, &one.account.id, &other.task),
        (&one.account.id, &other.account.id, &one.task),
    ] {
        let job = one
            .account
            .anonymous(Method::POST, &format!("/job/{name}.{task}.x"))
            .header("dapr-api-token", &token)
            .json(&json!({ "account": account, "task_id": task }));
        let answer: Value = Answer::of(job).await?.read(200)?;
        ensure!(answer["fired"] == 0, "{answer}");
    }
    Ok(3)
}

pub async fn nothing_of_others_is_told_or_changed(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let began = Instant::now();
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json"))?;
    let victims = (0..VICTIMS).map(|n| Victim::settle_in(stack, n));
    let victims = try_join_all(victims).await?;
    let settled = began.elapsed();
    let pairs = victims.iter().flat_map(|one| {
        let others = victims.iter().filter(|other| other.mark != one.mark);
        others.map(move |other| (one, other))
    });
    let tried = stream::iter(pairs).map(|(one, other)| async {
        let tried = attack(&one.account, other, &document, true).await?;
        anyhow::Ok(tried + attack_aside(stack, one, other).await?)
    });
    let tried: Vec<usize> = tried.buffer_unordered(AT_ONCE).try_collect().await?;
    let mut tried: usize = tried.iter().sum();
    // Who has nothing, and who has much of the same, tries what changes his own as well.
    let rich = stack.account("ivan").await?;
    rich.create(&json!({ "title": "mine", "tags": ["mine"] }))
        .await?;
    for stranger in [stack.account("ivor").await?, rich] {
        for victim in &victims {
            tried += attack(&stranger, victim, &document, false).await?;
        }
        let make = stranger.request(Method::POST, "/api/tasks");
        let make = make.header("idempotency-key", SAME_KEY);
        let made: Value = Answer::of(make.json(&json!({ "title": "mine" })))
            .await?
            .read(201)?;
        ensure!(made["title"] == "mine", "somebody else's: {made}");
    }
    stack.settled().await?;
    for victim in &victims {
        let after = victim.everything().await?;
        for ((path, before), after) in EVERYTHING.iter().zip(&victim.before).zip(&after) {
            ensure!(
                before == after,
                "{path} of {}: {before} became {after}",
                victim.mark
            );
        }
    }
    eprintln!(
        "[isolation] {tried} requests with what is another's, of {} accounts, within {:.1} s, {:.1} s of which they settled in",
        victims.len() + 2,
        began.elapsed().as_secs_f64(),
        settled.as_secs_f64(),
    );
    Ok(())
}
