//! Writers that change tasks and remember what must have come of it, whatever happens to the stack meanwhile.
//!
//! Each writer has its own tasks and does one thing after the other, so what was accepted says exactly what each task's
//! history is. Only a create without an answer may have happened or not: its title tells afterwards. All other changes
//! are repeated until they are answered, which does nothing twice: each puts a task into a state of its own, and each
//! batch has an Idempotency-Key.

use anyhow::{Context as _, Result, bail, ensure};
use futures::future::try_join_all;
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::audit;
use crate::client::{Account, Answer, Task, operated};
use crate::events::{Change, History};
use crate::stack::Stack;

/// How long one change is tried.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pause after a refusal; a good client would wait as Retry-After says.
const PAUSE: Duration = Duration::from_millis(100);

/// Random numbers that are the same for the same seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// A number below `sides`.
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((bits ^ (bits >> 31)) % sides.max(1) as u64).unwrap_or_default()
    }
}

/// What the writers share.
#[derive(Debug, Default)]
pub struct Progress {
    /// Changes that were accepted.
    pub accepted: AtomicUsize,
    /// Answers 503.
    pub refused: AtomicUsize,
    /// Requests without an answer.
    pub unanswered: AtomicUsize,
    /// Set it, and each writer stops when it has made its changes.
    pub enough: AtomicBool,
}

impl Progress {
    /// Of writers that stop when they have made their changes.
    pub fn stopped() -> Self {
        let progress = Self::default();
        progress.stop();
        progress
    }

    /// How many changes were accepted so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// How many answers were 503 so far.
    pub fn refused(&self) -> usize {
        self.refused.load(Ordering::Relaxed)
    }

    /// Lets the writers stop.
    pub fn stop(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}

/// How to write.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What the random choices follow from.
    pub seed: u64,
    /// How many write to each account.
    pub writers_each: usize,
    /// How many changes each writer makes at least, even after [`Progress::stop`].
    pub changes_each: usize,
    /// Whether there are batches among the changes; without, each change takes a slot of the outbox.
    pub batches: bool,
    /// How long a writer waits between two changes.
    pub pace: Duration,
}

/// What one writer did to a task of its own: the kind of each change, and its mark.
#[derive(Debug)]
struct Record {
    id: String,
    steps: Vec<(&'static str, String)>,
    /// The versions that were answered, of the steps that have one.
    versions: Vec<(usize, u64)>,
    done: bool,
    deleted: bool,
}

/// What one account's writers did.
#[derive(Debug, Default)]
struct Deeds {
    records: Vec<Record>,
    /// The titles of creates without an answer.
    maybe: Vec<String>,
}

/// What was done, to be held against what is there.
pub struct Work {
    accounts: Vec<(Account, Deeds)>,
}

/// What came of it, in figures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Changes that were accepted.
    pub accepted: usize,
    /// Creates without an answer that had happened all the same.
    pub happened: usize,
    /// Different events.
    pub events: usize,
    /// Records that repeat an event.
    pub duplicates: usize,
}

/// Has everybody write until [`Progress::stop`] and the plan allow them to end.
///
/// # Errors
/// An answer that is neither success nor 503, or none in a minute.
pub async fn write(accounts: &[Account], plan: &Plan, progress: &Progress) -> Result<Work> {
    let everybody = accounts.iter().enumerate().map(async |(a, account)| {
        let writers = (0..plan.writers_each).map(|w| {
            let number = a * plan.writers_each + w;
            Writer {
                account,
                name: format!("w{number}"),
                batches: plan.batches,
                dice: Dice(plan.seed ^ (number as u64) << 32),
                progress,
                count: 0,
                deeds: Deeds::default(),
            }
            .run(plan)
        });
        let mut all = Deeds::default();
        for deeds in try_join_all(writers).await? {
            all.records.extend(deeds.records);
            all.maybe.extend(deeds.maybe);
        }
        anyhow::Ok((account.clone(), all))
    });
    Ok(Work {
        accounts: try_join_all(everybody).await?,
    })
}

struct Writer<'a> {
    account: &'a Account,
    name: String,
    batches: bool,
    dice: Dice,
    progress: &'a Progress,
    count: usize,
    deeds: Deeds,
}

impl Writer<'_> {
    async fn run(mut self, plan: &Plan) -> Result<Deeds> {
        while self.count < plan.changes_each || !self.progress.enough.load(Ordering::Relaxed) {
            self.count += 1;
            let mark = format!("{}-{}", self.name, self.count);
            self.change(&mark).await.with_context(|| mark)?;
            if !plan.pace.is_zero() {
                tokio::time::sleep(plan.pace).await;
            }
        }
        Ok(self.deeds)
    }

    async fn change(&mut self, mark: &str) -> Result<()> {
        let living: Vec<usize> = (0..self.deeds.records.len())
            .filter(|i| {
                self.deeds
                    .records
                    .get(*i)
                    .is_some_and(|record| !record.deleted)
            })
            .collect();
        let place = self.dice.roll(living.len());
        let what = self.dice.roll(10);
        match living.get(place) {
            Some(_) if what == 4 && self.batches => {
                // Each task once, beginning with the one that chance chose.
                let chosen = living.iter().cycle().skip(place);
                let chosen = chosen.take(living.len().min(4)).copied().collect();
                self.batch(chosen, mark).await
            }
            Some(chosen) if what >= 4 => self.alter(*chosen, what, mark).await,
            _ => self.create(mark).await,
        }
    }

    /// Creates a task and changes others, all at once.
    async fn batch(&mut self, chosen: Vec<usize>, mark: &str) -> Result<()> {
        let create = json!({ "op": "create", "task": { "title": mark } });
        let (mut operations, mut kinds) = (vec![create], Vec::new());
        for place in chosen {
            let record = self.deeds.records.get(place).context("no such record")?;
            let what = self.dice.roll(10);
            let kind = kind(what, record.done);
            let (op, id) = (operation(kind), &record.id);
            let operation = match kind {
                "task-updated" => json!({ "op": op, "id": id, "task": { "description": mark } }),
                _ => json!({ "op": op, "id": id }),
            };
            operations.push(operation);
            kinds.push((place, kind));
        }
        let body = json!({ "operations": operations });
        let deadline = Instant::now() + PATIENCE;
        let answer = loop {
            let request = self
                .account
                .request(Method::POST, "/api/tasks/batch")
                .header("idempotency-key", mark)
                .json(&body);
            if let Some(answer) = self.attempt(request).await? {
                break answer;
            }
            ensure!(Instant::now() < deadline, "no success in a minute");
        };
        let mut results = operated(&answer, operations.len())?.into_iter();
        let created = results.next().and_then(|result| result.task);
        self.created(created.context("no task")?, mark)?;
        for ((place, kind), result) in kinds.into_iter().zip(results) {
            let version = result.task.map(|task| task.version);
            ensure!(
                version.is_none() == (kind == "task-deleted"),
                "no answer to {kind}"
            );
            self.altered(place, kind, version, mark)?;
        }
        Ok(())
    }

    async fn create(&mut self, mark: &str) -> Result<()> {
        let body = json!({ "title": mark, "tags": ["faults"], "priority": "high" });
        let request = self.account.request(Method::POST, "/api/tasks").json(&body);
        match self.attempt(request).await? {
            Some(answer) => self.created(answer.read(201)?, mark)?,
            // It may be there. To ask again would make a second one.
            None => self.deeds.maybe.push(mark.to_owned()),
        }
        Ok(())
    }

    fn created(&mut self, task: Task, mark: &str) -> Result<()> {
        ensure!(task.title == mark, "another task: {task:?}");
        self.deeds.records.push(Record {
            id: task.id,
            steps: vec![("task-created", mark.to_owned())],
            versions: vec![(0, task.version)],
            done: false,
            deleted: false,
        });
        self.progress.accepted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn alter(&mut self, chosen: usize, what: usize, mark: &str) -> Result<()> {
        let record = self.deeds.records.get(chosen).context("no such record")?;
        let path = format!("/api/tasks/{}", record.id);
        let kind = kind(what, record.done);
        let (method, path, body) = match kind {
            "task-deleted" => (Method::DELETE, path, None),
            "task-updated" => (Method::PATCH, path, Some(json!({ "description": mark }))),
            _ => (Method::POST, format!("{path}/{}", operation(kind)), None),
        };
        let deadline = Instant::now() + PATIENCE;
        let mut again = false;
        let answer = loop {
            let request = self.account.request(method.clone(), &path);
            let request = match &body {
                Some(body) => request.json(body),
                None => request,
            };
            if let Some(answer) = self.attempt(request).await? {
                break answer;
            }
            again = true;
            ensure!(Instant::now() < deadline, "no success in a minute");
        };
        let deleted = kind == "task-deleted";
        let version = match answer.status {
            204 if deleted => None,
            404 if deleted && again => None,
            _ => Some(answer.read::<Task>(200)?.version),
        };
        self.altered(chosen, kind, version, mark)
    }

    fn altered(
        &mut self,
        chosen: usize,
        kind: &'static str,
        version: Option<u64>,
        mark: &str,
    ) -> Result<()> {
        let record = self
            .deeds
            .records
            .get_mut(chosen)
            .context("no such record")?;
        if let Some(version) = version {
            record.versions.push((record.steps.len(), version));
        }
        let mark = if kind == "task-updated" { mark } else { "" };
        record.steps.push((kind, mark.to_owned()));
        record.deleted = kind == "task-deleted";
        record.done = match kind {
            "task-completed" => true,
            "task-reopened" => false,
            _ => record.done,
        };
        self.progress.accepted.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Sends once; `None` if it may have happened or not: no answer, or 503.
    async fn attempt(&self, request: RequestBuilder) -> Result<Option<Answer>> {
        match Answer::of(request).await {
            Ok(answer) if answer.status == 503 => {
                answer.problem(503, "unavailable")?;
                self.progress.refused.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => return Ok(Some(answer)),
            Err(error) if error.is_timeout() => bail!("an answer took too long: {error}"),
            Err(_) => {
                self.progress.unanswered.fetch_add(1, Ordering::Relaxed);
            }
        }
        tokio::time::sleep(PAUSE).await;
        Ok(None)
    }
}

/// What one of ten equal chances does to a task.
fn kind(what: usize, done: bool) -> &'static str {
    match (what, done) {
        (9, _) => "task-deleted",
        (7 | 8, false) => "task-completed",
        (7 | 8, true) => "task-reopened",
        _ => "task-updated",
    }
}

/// What the API calls it.
fn operation(kind: &str) -> &'static str {
    match kind {
        "task-completed" => "complete",
        "task-reopened" => "reopen",
        "task-deleted" => "delete",
        _ => "update",
    }
}

impl Work {
    /// Holds what was done against the events, what the API shows and the audit log. The outbox must be empty.
    ///
    /// # Errors
    /// Something is missing, there twice, in the wrong order, or was never asked for.
    pub async fn check(&self, stack: &Stack) -> Result<Figures> {
        let mut figures = Figures::default();
        for (account, deeds) in &self.accounts {
            let history = History::read(stack, account).await?;
            figures.happened +=
                compare(deeds, &history).with_context(|| format!("account {}", account.id))?;
            history.matches_the_api(account).await?;
            audit::agree(stack, account).await?;
            figures.accepted += deeds.records.iter().map(|r| r.steps.len()).sum::<usize>();
            figures.events += history.changes.len();
            figures.duplicates += history.duplicates;
        }
        Ok(figures)
    }
}

/// Gives how many of the creates without an answer had happened.
fn compare(deeds: &Deeds, history: &History) -> Result<usize> {
    let mut told: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    for change in &history.changes {
        told.entry(&change.subject).or_default().push(change);
    }
    for record in &deeds.records {
        let changes = told
            .remove(record.id.as_str())
            .with_context(|| format!("lost: {record:?}"))?;
        let steps: Vec<(&str, &str)> = changes
            .iter()
            .map(|change| match change.kind.as_str() {
                kind @ "task-created" => (kind, change.task.title.as_str()),
                kind @ "task-updated" => (kind, change.task.description.as_str()),
                kind => (kind, ""),
            })
            .collect();
        let accepted: Vec<(&str, &str)> = record
            .steps
            .iter()
            .map(|(kind, mark)| (*kind, mark.as_str()))
            .collect();
        ensure!(
            steps == accepted,
            "accepted {accepted:?}, but the events are {steps:?}"
        );
        for (step, version) in &record.versions {
            let found = changes.get(*step).map(|change| change.task.version);
            ensure!(
                found == Some(*version),
                "step {step} of {accepted:?} was answered with version {version}, the event has {found:?}"
            );
        }
    }
    // What is left was never answered, and each of it happened once.
    let mut maybe: HashMap<&str, bool> = deeds
        .maybe
        .iter()
        .map(|title| (title.as_str(), false))
        .collect();
    for (id, changes) in &told {
        let title = changes
            .first()
            .map_or("", |change| change.task.title.as_str());
        match maybe.get_mut(title) {
            Some(seen) if !*seen && changes.len() == 1 => *seen = true,
            _ => bail!("nobody asked for {id} ({title}), or not twice: {changes:?}"),
        }
    }
    Ok(told.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        let rolls = |seed| {
            let mut dice = Dice(seed);
            (0..20).map(|_| dice.roll(10)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1), rolls(2));
        assert!(rolls(3).iter().all(|roll| *roll < 10));
    }

    fn change(kind: &str, id: &str, title: &str, version: u64) -> Change {
        let task = json!({
            "id": id, "title": title, "description": "", "status": "open", "priority": "low", "tags": [], "due": null,
            "due_at": null, "reminders": [], "recurrence": null, "position": 1.0, "created_at": "", "updated_at": "",
            "completed_at": null, "version": version,
        });
        Change {
            kind: kind.to_owned(),
            subject: id.to_owned(),
            task: serde_json::from_value(task).unwrap(),
            changes: serde_json::Map::new(),
        }
    }

    fn record(id: &str, steps: &[(&'static str, &str)], versions: &[(usize, u64)]) -> Record {
        Record {
            id: id.to_owned(),
            steps: steps
                .iter()
                .map(|(kind, mark)| (*kind, (*mark).to_owned()))
                .collect(),
            versions: versions.to_vec(),
            done: false,
            deleted: false,
        }
    }

    /// The comparison itself must be able to fail.
    #[test]
    fn losses_repetitions_and_inventions_are_found() {
        let created = ("task-created", "a");
        let completed = ("task-completed", "");
        let deeds = |steps: &[_], versions: &[_], maybe: &[&str]| Deeds {
            records: vec![record("1", steps, versions)],
            maybe: maybe.iter().map(|title| (*title).to_owned()).collect(),
        };
        let history = |changes: &[&Change]| History {
            changes: changes.iter().map(|change| (*change).clone()).collect(),
            duplicates: 0,
        };
        let first = change("task-created", "1", "a", 1);
        let second = change("task-completed", "1", "a", 2);
        let other = change("task-created", "2", "b", 3);

        let both = deeds(&[created, completed], &[(0, 1), (1, 2)], &["b", "c"]);
        let all = history(&[&first, &second, &other]);
        assert_eq!(compare(&both, &all).unwrap(), 1);
        let wrong = [
            (&both, history(&[&first]), "a lost change"),
            (&both, history(&[&other]), "a lost task"),
            (&both, history(&[&second, &first]), "the order"),
            (
                &both,
                history(&[&first, &second, &second]),
                "a change that happened twice",
            ),
            (
                &both,
                history(&[
                    &first,
                    &second,
                    &other,
                    &change("task-created", "3", "b", 4),
                ]),
                "a create that happened twice",
            ),
            (
                &deeds(&[created], &[(0, 7)], &[]),
                history(&[&first]),
                "another version",
            ),
            (
                &deeds(&[created], &[(0, 1)], &[]),
                history(&[&first, &other]),
                "a task that nobody asked for",
            ),
        ];
        for (deeds, history, what) in wrong {
            assert!(compare(deeds, &history).is_err(), "{what}");
        }
    }
}
