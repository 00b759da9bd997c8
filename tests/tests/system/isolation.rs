//! Nobody reads or changes what is another's: every operation of `docs/openapi.json` is tried by some accounts with all that
//! names something of others. An operation or a parameter that this does not know fails the test, so that a new one is
//! thought of here.

use anyhow::{Context as _, Result, bail, ensure};
use chrono::{TimeDelta, Utc};
use docket_tests::audit::until_entries;
use docket_tests::client::{Account, Answer};
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::until;
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// What is asked of an account before and after: everything that it has.
const EVERYTHING: [&str; 7] = [
    "/api/tasks?status=all&limit=200",
    "/api/tags",
    "/api/changes?since=0",
    "/api/notifications?limit=200",
    "/api/notifications/preferences",
    "/api/audit?limit=100",
    "/api/export?format=jsonl&status=all",
];
/// What only the one who asks can be meant by: nothing of another can be named.
const OF_ONESELF: [&str; 2] = ["/api/auth/", "/api/planner/"];

/// Somebody who has something of every kind, and all that names it.
struct Victim {
    account: Account,
    /// A word in every title and tag.
    mark: String,
    task: String,
    notification: String,
    event: String,
    tag: String,
    /// Where lists go on, by their path.
    cursors: Vec<(String, String)>,
    before: Vec<Value>,
}

impl Victim {
    async fn settle_in(stack: &Stack, name: &str) -> Result<Self> {
        let account = stack.account(name).await?;
        let mark = format!("private-to-{name}");
        let soon = Utc::now() + TimeDelta::seconds(1);
        let mut task = String::new();
        for n in 0..3 {
            let wish = json!({
                "title": format!("{mark} {n}"), "tags": [mark], "description": mark,
                "due": { "date": "2027-01-31" }, "recurrence": { "rule": "monthly" },
                "reminders": [{ "at": soon.format("%FT%TZ").to_string() }],
            });
            task = account.create(&wish).await?.id;
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

/// One who tries. What came of it is no business of the victim's: nothing is told, and nothing happens.
async fn attack(stranger: &Account, victim: &Victim, document: &Value) -> Result<usize> {
    let mut tried = 0;
    for (path, methods) in document["paths"].as_object().context("paths")? {
        if OF_ONESELF.iter().any(|own| path.starts_with(own)) {
            continue;
        }
        for (method, operation) in methods.as_object().context("methods")? {
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
                Some(_) => {
                    let id = operation["operationId"].as_str().context("an id")?;
                    victim.bodies(id)?
                }
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

pub async fn nothing_of_others_is_told_or_changed(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let document: Value = serde_json::from_str(include_str!("../../../docs/openapi.json"))?;
    let names = ["isla", "isak", "isko"];
    let victims = try_join_all(names.map(|name| Victim::settle_in(stack, name))).await?;
    let mut tried = 0;
    for name in ["ivor", "ivan"] {
        // Who has nothing, and who has much of the same.
        let stranger = stack.account(name).await?;
        if name == "ivan" {
            stranger
                .create(&json!({ "title": "mine", "tags": ["mine"] }))
                .await?;
        }
        for victim in &victims {
            tried += attack(&stranger, victim, &document).await?;
        }
    }
    // Victims are strangers to each other, too; by what they read only, since they would change what is their own.
    for (one, other) in victims.iter().zip(victims.iter().skip(1)) {
        let reads = reads_of(&document)?;
        tried += attack(&one.account, other, &reads).await?;
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
    eprintln!("[isolation] {tried} requests with what is another's");
    Ok(())
}

/// The document without what changes something.
fn reads_of(document: &Value) -> Result<Value> {
    let mut document = document.clone();
    let paths = document["paths"].as_object_mut().context("paths")?;
    for methods in paths.values_mut() {
        let methods = methods.as_object_mut().context("methods")?;
        methods.retain(|method, _| method == "get");
    }
    Ok(document)
}
