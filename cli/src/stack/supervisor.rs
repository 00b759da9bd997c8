//! Runs the parts of a stack: starts each as soon as what it needs is healthy, starts it again when
//! it dies, and stops all of them in order.
//!
//! One task looks after one part. It is told what to do by a `watch` channel, and tells by others
//! whether the part is healthy and whether it has ended.

use std::collections::VecDeque;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use rustix::process::Signal;
use tokio::process::{Child, Command};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::console::{Console, Mark};
use super::health::Probe;
use super::logs::{self, Sink};
use super::plan::{Part, Stage};
use super::process::Identity;
use super::registry::{Registry, State, now};
use crate::layout::DataDir;

/// How often a part that is not healthy yet is asked.
const ASK_EVERY: Duration = Duration::from_millis(25);
/// A child's children may hold its output open; this long its last lines are waited for.
const LAST_LINES: Duration = Duration::from_millis(500);

/// When a part that dies is started again, and when that is given up.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The pause after the first death; it doubles with each.
    pub first_pause: Duration,
    /// The pause does not grow past this.
    pub longest_pause: Duration,
    /// Deaths longer ago than this no longer count.
    pub window: Duration,
    /// So many deaths within the window are too many.
    pub limit: usize,
    /// So many deaths of a part that was never healthy are too many.
    pub limit_before_healthy: usize,
    /// By then every part has to be healthy for the first time.
    pub start: Duration,
    /// How long a stage has to stop before it is killed. All five stay below the ten seconds that
    /// a stop may take.
    pub stop: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(5),
            window: Duration::from_secs(60),
            limit: 10,
            limit_before_healthy: 3,
            start: Duration::from_secs(90),
            stop: Duration::from_secs(10),
        }
    }
}

/// Why a stack could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A part's program cannot be run.
    #[error("cannot start {part}: {reason}")]
    Unstartable {
        /// The part.
        part: String,
        /// What the system said.
        reason: String,
    },
    /// A part dies whenever it is started.
    #[error("gave up on {part}: it died {deaths} times, last with {end}")]
    KeepsDying {
        /// The part.
        part: String,
        /// How often.
        deaths: usize,
        /// How it ended.
        end: String,
    },
    /// A part does not become healthy.
    #[error("{part} was not healthy after {} s: it {reason}", waited.as_secs())]
    NotHealthy {
        /// The part.
        part: String,
        /// How long that was.
        waited: Duration,
        /// What it says when it is asked.
        reason: String,
    },
}

impl Failure {
    /// The part whose log tells more.
    #[must_use]
    pub fn part(&self) -> &str {
        match self {
            Self::Unstartable { part, .. }
            | Self::KeepsDying { part, .. }
            | Self::NotHealthy { part, .. } => part,
        }
    }
}

/// What a part's task is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Order {
    Run,
    /// Ask it to stop, kill it at this time.
    Stop(Instant),
    Kill,
}

/// How often someone asked for the end: once is a request, twice is an order.
pub type Requests = watch::Receiver<u32>;

/// What a part's task works with.
struct Keeper {
    part: Part,
    policy: Policy,
    sink: Arc<Sink>,
    registry: Arc<Registry>,
    console: Arc<Console>,
    needs: Vec<watch::Receiver<bool>>,
    healthy: watch::Sender<bool>,
    order: watch::Receiver<Order>,
    failures: mpsc::Sender<Failure>,
}

/// The supervisor's end of a part's task.
struct Kept {
    name: String,
    stage: Stage,
    probe: Probe,
    needs: Vec<String>,
    healthy: watch::Receiver<bool>,
    order: watch::Sender<Order>,
    task: JoinHandle<()>,
}

/// Runs a stack until someone asks for its end or a part fails for good; then nothing of it runs.
///
/// `started` is called once, when all parts are healthy.
pub async fn run(
    parts: Vec<Part>,
    data: &DataDir,
    registry: &Arc<Registry>,
    console: &Arc<Console>,
    policy: Policy,
    requests: Requests,
    started: impl FnOnce(),
) -> Result<(), Failure> {
    let (failures, mut failed) = mpsc::channel(parts.len().max(1));
    let kept = match keep_all(parts, data, registry, console, policy, failures) {
        Ok(kept) => kept,
        Err(failure) => return Err(failure),
    };

    let all_healthy = join_all(
        kept.iter()
            .map(|part| becomes(part.healthy.clone(), |healthy| *healthy)),
    );
    let outcome = tokio::select! {
        biased;
        _ = becomes(requests.clone(), |asked| *asked > 0) => Ok(()),
        failure = failed.recv() => failure.map_or(Ok(()), Err),
        () = tokio::time::sleep(policy.start) => Err(unhealthy(&kept, policy.start).await),
        _ = all_healthy => {
            started();
            tokio::select! {
                biased;
                _ = becomes(requests.clone(), |asked| *asked > 0) => Ok(()),
                failure = failed.recv() => failure.map_or(Ok(()), Err),
            }
        }
    };
    stop_all(kept, console, policy, requests).await;
    outcome
}

fn keep_all(
    parts: Vec<Part>,
    data: &DataDir,
    registry: &Arc<Registry>,
    console: &Arc<Console>,
    policy: Policy,
    failures: mpsc::Sender<Failure>,
) -> Result<Vec<Kept>, Failure> {
    let flags: Vec<_> = parts
        .iter()
        .map(|part| (part.name.clone(), watch::channel(false)))
        .collect();
    let mut sinks = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let sink = Sink::open(
            &part.name,
            index,
            &data.log_file(&part.name),
            Arc::clone(console),
        )
        .map_err(|error| Failure::Unstartable {
            part: part.name.clone(),
            reason: format!("its log cannot be written: {error}"),
        })?;
        sinks.push(Arc::new(sink));
    }
    let listeners: Vec<_> = flags
        .iter()
        .map(|(name, (_, healthy))| (name.clone(), healthy.clone()))
        .collect();
    let kept =
        parts
            .into_iter()
            .zip(flags)
            .zip(sinks)
            .map(|((part, (_, (healthy, seen))), sink)| {
                let (order, ordered) = watch::channel(Order::Run);
                let (name, stage, probe) = (part.name.clone(), part.stage, part.probe.clone());
                let needs = part.needs.clone();
                let keeper = Keeper {
                    policy,
                    sink,
                    registry: Arc::clone(registry),
                    console: Arc::clone(console),
                    needs: listeners
                        .iter()
                        .filter(|(name, _)| part.needs.contains(name))
                        .map(|(_, healthy)| healthy.clone())
                        .collect(),
                    healthy,
                    order: ordered,
                    failures: failures.clone(),
                    part,
                };
                Kept {
                    name,
                    stage,
                    probe,
                    needs,
                    healthy: seen,
                    order,
                    task: tokio::spawn(keeper.keep()),
                }
            });
    Ok(kept.collect())
}

/// Says which part kept the stack from starting: not one that only waits for another.
async fn unhealthy(kept: &[Kept], waited: Duration) -> Failure {
    let late = |part: &&Kept| !*part.healthy.borrow();
    let waits = |part: &&Kept| {
        kept.iter()
            .any(|other| part.needs.contains(&other.name) && !*other.healthy.borrow())
    };
    let part = kept.iter().filter(late).find(|part| !waits(part));
    let (part, reason) = match part {
        None => ("the stack".to_owned(), "is slow".to_owned()),
        Some(part) => {
            let reason = part.probe.ask().await.err();
            (
                part.name.clone(),
                reason.map_or_else(|| "is slow".to_owned(), |why| why.to_string()),
            )
        }
    };
    // What the probe says is about an address: it reads as a sentence only so.
    let reason = reason.replacen("nothing answers", "does not answer", 1);
    Failure::NotHealthy {
        part,
        waited,
        reason,
    }
}

/// Stops the parts stage by stage; the next stage begins when the one before has ended.
async fn stop_all(kept: Vec<Kept>, console: &Console, policy: Policy, requests: Requests) {
    let kill_at = Instant::now() + policy.stop;
    let mut kept: Vec<_> = kept.into_iter().map(Some).collect();
    for stage in [
        Stage::Host,
        Stage::Sidecars,
        Stage::Scheduler,
        Stage::Sentry,
        Stage::Broker,
    ] {
        let mut leaving: Vec<_> = kept
            .iter_mut()
            .filter(|part| part.as_ref().is_some_and(|part| part.stage == stage))
            .filter_map(Option::take)
            .collect();
        // A later stage keeps some of the time even if an earlier one needs all of its own.
        let left = kill_at.saturating_duration_since(Instant::now());
        let stages_left = kept.iter().flatten().count() > 0;
        let by = Instant::now() + if stages_left { left / 2 } else { left };
        for part in &leaving {
            part.order.send_replace(Order::Stop(by));
        }
        let ended = join_all(leaving.iter_mut().map(|part| &mut part.task));
        let in_time = tokio::select! {
            biased;
            _ = ended => true,
            () = becomes(requests.clone(), |asked| *asked > 1) => false,
        };
        if !in_time {
            console.step(Mark::Note, "stop", "killing what is left");
            let everyone = leaving.iter().chain(kept.iter().flatten());
            everyone.for_each(|part| {
                part.order.send_replace(Order::Kill);
            });
            for part in leaving.into_iter().chain(kept.into_iter().flatten()) {
                // A task that panicked has dropped, and so killed, its child.
                let _ = part.task.await;
            }
            return;
        }
    }
}

/// How a run of a part ended.
enum Run {
    Died { end: String, was_healthy: bool },
    Stopped,
}

impl Keeper {
    async fn keep(mut self) {
        let mut deaths = Deaths::new(self.policy);
        let mut ever_healthy = false;
        loop {
            if !self.until_needs_are_met().await {
                break;
            }
            let began = Instant::now();
            let child = match self.spawn() {
                Ok(child) => child,
                Err(error) => {
                    let reason = format!("{}: {error}", self.part.program.display());
                    self.fail(Failure::Unstartable {
                        part: self.part.name.clone(),
                        reason,
                    })
                    .await;
                    break;
                }
            };
            match self.look_after(child, began, ever_healthy).await {
                Run::Stopped => break,
                Run::Died { end, was_healthy } => {
                    ever_healthy |= was_healthy;
                    self.healthy.send_replace(false);
                    if !self
                        .pause_after_death(&mut deaths, &end, ever_healthy)
                        .await
                    {
                        break;
                    }
                }
            }
        }
        self.record(|part| {
            part.state = State::Stopped;
            part.process = None;
        });
    }

    fn is_told_to_end(&self) -> impl Future<Output = ()> + use<> {
        becomes(self.order.clone(), |order| *order != Order::Run)
    }

    /// False if the part has to stop instead.
    async fn until_needs_are_met(&self) -> bool {
        let met = join_all(
            self.needs
                .iter()
                .map(|need| becomes(need.clone(), |healthy| *healthy)),
        );
        tokio::select! {
            biased;
            () = self.is_told_to_end() => false,
            _ = met => true,
        }
    }

    fn spawn(&self) -> std::io::Result<Child> {
        Command::new(&self.part.program)
            .args(&self.part.arguments)
            .env_clear()
            .envs(&self.part.environment)
            .current_dir(&self.part.folder)
            // The end of this pipe tells the child that its supervisor is gone.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C in a terminal is for the supervisor alone, which then stops all in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }

    /// Follows a child to its end.
    async fn look_after(&mut self, mut child: Child, began: Instant, again: bool) -> Run {
        let identity = child.id().and_then(Identity::of);
        self.sink.started(child.id().unwrap_or_default());
        self.record(|part| {
            part.state = State::Starting;
            part.process.clone_from(&identity);
            part.started_at = Some(now());
        });
        let mut pumps = Vec::new();
        if let Some(output) = child.stdout.take() {
            pumps.push(tokio::spawn(logs::pump(
                output,
                "stdout",
                Arc::clone(&self.sink),
            )));
        }
        if let Some(output) = child.stderr.take() {
            pumps.push(tokio::spawn(logs::pump(
                output,
                "stderr",
                Arc::clone(&self.sink),
            )));
        }
        // tokio would close it while it waits for the child's end.
        let stdin = child.stdin.take();
        let mut was_healthy = false;
        let probe = self.part.probe.clone();
        let mut becoming_healthy = std::pin::pin!(until_healthy(&probe));
        let status = loop {
            tokio::select! {
                biased;
                () = self.is_told_to_end() => break None,
                status = child.wait() => break Some(status),
                () = &mut becoming_healthy, if !was_healthy => {
                    was_healthy = true;
                    self.record(|part| part.state = State::Healthy);
                    let (seconds, address) = (began.elapsed().as_secs_f64(), &self.part.address);
                    let detail = if again {
                        format!("healthy again after {seconds:.1} s")
                    } else {
                        format!("{seconds:5.1} s  {address}")
                    };
                    self.console.step(Mark::Done, &self.part.name, &detail);
                    // Last: with the last part's the whole stack is told to be up.
                    self.healthy.send_replace(true);
                }
            }
        };
        let stopped = status.is_none();
        let end = match status {
            None => self.stop(&mut child, identity.as_ref()).await,
            Some(Ok(status)) => describe(status),
            Some(Err(error)) => error.to_string(),
        };
        // What a stock program started in its group must not outlive it.
        if self.part.stops_at_interrupt
            && let Some(pid) = identity
                .as_ref()
                .and_then(|identity| i32::try_from(identity.pid).ok())
            && let Some(group) = rustix::process::Pid::from_raw(pid)
        {
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        drop(stdin);
        let _ = tokio::time::timeout(LAST_LINES, join_all(pumps)).await;
        self.record(|part| {
            part.process = None;
            part.last_end = Some(end.clone());
        });
        self.sink.note("info", &format!("ended: {end}"));
        if stopped {
            Run::Stopped
        } else {
            Run::Died { end, was_healthy }
        }
    }

    /// Asks a child to end, and kills it when its time is over or someone loses patience.
    async fn stop(&mut self, child: &mut Child, identity: Option<&Identity>) -> String {
        let signal = if self.part.stops_at_interrupt {
            Signal::INT
        } else {
            Signal::TERM
        };
        if let (Some(identity), Order::Stop(_)) = (identity, *self.order.borrow()) {
            identity.signal_group(signal);
        }
        loop {
            let order = *self.order.borrow_and_update();
            let deadline = match order {
                Order::Stop(deadline) => deadline,
                Order::Kill | Order::Run => break,
            };
            tokio::select! {
                biased;
                status = child.wait() => {
                    return status.map_or_else(|error| error.to_string(), describe);
                }
                () = tokio::time::sleep_until(deadline) => break,
                changed = self.order.changed() => if changed.is_err() { break },
            }
        }
        if let Some(identity) = identity {
            identity.signal_group(Signal::KILL);
        }
        let _ = child.start_kill();
        let status = child.wait().await;
        let end = status.map_or_else(|error| error.to_string(), describe);
        format!("{end}; it did not stop in time")
    }

    /// Waits until the part may be started again; false if it must not be.
    async fn pause_after_death(
        &mut self,
        deaths: &mut Deaths,
        end: &str,
        ever_healthy: bool,
    ) -> bool {
        let name = &self.part.name;
        let Some(pause) = deaths.count(Instant::now(), ever_healthy) else {
            let part = name.clone();
            let failure = Failure::KeepsDying {
                part,
                deaths: deaths.recent(),
                end: end.to_owned(),
            };
            self.fail(failure).await;
            return false;
        };
        self.record(|part| {
            part.state = State::Restarting;
            part.restarts += 1;
        });
        let detail = format!(
            "ended with {end}; starts again in {:.1} s",
            pause.as_secs_f64()
        );
        self.console.step(Mark::Failed, name, &detail);
        self.sink.note("warning", &detail);
        tokio::select! {
            biased;
            () = self.is_told_to_end() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    async fn fail(&self, failure: Failure) {
        self.sink.note("error", &failure.to_string());
        // Nobody listens any more when the stack is stopping already.
        let _ = self.failures.send(failure).await;
    }

    fn record(&self, change: impl FnOnce(&mut super::registry::Part)) {
        if let Err(error) = self.registry.change_part(&self.part.name, change) {
            self.sink.note(
                "error",
                &format!("cannot write the record of the stack: {error}"),
            );
        }
    }
}

/// Waits until a value is as wanted, for ever if it can no longer change.
async fn becomes<T>(mut value: watch::Receiver<T>, wanted: impl Fn(&T) -> bool) {
    if value.wait_for(|value| wanted(value)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

async fn until_healthy(probe: &Probe) {
    while probe.ask().await.is_err() {
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "an unknown status".to_owned(),
    }
}

/// The deaths of one part.
struct Deaths {
    policy: Policy,
    times: VecDeque<Instant>,
}

impl Deaths {
    fn new(policy: Policy) -> Self {
        Self {
            policy,
            times: VecDeque::new(),
        }
    }

    /// Counts a death: the pause before the next start, or nothing if there were too many.
    fn count(&mut self, now: Instant, ever_healthy: bool) -> Option<Duration> {
        let window = self.policy.window;
        self.times.retain(|time| now.duration_since(*time) < window);
        self.times.push_back(now);
        let limit = if ever_healthy {
            self.policy.limit
        } else {
            self.policy.limit_before_healthy
        };
        if self.times.len() >= limit {
            return None;
        }
        let doublings = u32::try_from(self.times.len() - 1)
            .unwrap_or(u32::MAX)
            .min(16);
        Some((self.policy.first_pause * 2_u32.pow(doublings)).min(self.policy.longest_pause))
    }

    fn recent(&self) -> usize {
        self.times.len()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::stack::folder;
    use crate::stack::registry::{Part as Record, Phase, Stack};

    fn seconds(deaths: &mut Deaths, ever_healthy: bool, times: &[f64]) -> Vec<Option<f64>> {
        let start = Instant::now();
        times
            .iter()
            .map(|at| deaths.count(start + Duration::from_secs_f64(*at), ever_healthy))
            .map(|pause| pause.map(|pause| pause.as_secs_f64()))
            .collect()
    }

    #[test]
    fn pauses_double_up_to_a_limit_and_too_many_deaths_end_it() {
        let mut deaths = Deaths::new(Policy::default());
        let pauses = seconds(&mut deaths, true, &[0.0; 10]);
        let expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0].map(Some);
        assert_eq!(pauses[..9], expected);
        assert_eq!(pauses[9], None);
        assert_eq!(deaths.recent(), 10);
    }

    #[test]
    fn deaths_are_forgotten_with_time() {
        let mut deaths = Deaths::new(Policy::default());
        let rare: Vec<_> = (0..50).map(|n| f64::from(n) * 61.0).collect();
        assert_eq!(seconds(&mut deaths, true, &rare), vec![Some(0.1); 50]);
    }

    #[test]
    fn a_part_that_never_was_healthy_gets_fewer_tries() {
        let mut deaths = Deaths::new(Policy::default());
        assert_eq!(
            seconds(&mut deaths, false, &[0.0, 0.0, 0.0]),
            [Some(0.1), Some(0.2), None]
        );
    }

    struct Bench {
        _parent: tempfile::TempDir,
        data: DataDir,
    }

    impl Bench {
        fn new() -> Self {
            let parent = tempfile::tempdir().unwrap();
            let data = folder::prepare(&DataDir::new(parent.path().join("data"))).unwrap();
            Self {
                _parent: parent,
                data,
            }
        }

        fn part(&self, name: &str, stage: Stage, script: &str, port: u16) -> Part {
            let path = std::env::var_os("PATH").unwrap();
            Part {
                name: name.to_owned(),
                program: "/bin/sh".into(),
                arguments: vec!["-c".into(), script.into()],
                environment: BTreeMap::from([("PATH".to_owned(), path)]),
                folder: self.data.root().to_owned(),
                probe: Probe::tcp(port),
                address: "nowhere".to_owned(),
                ports: Vec::new(),
                needs: Vec::new(),
                stage,
                stops_at_interrupt: false,
            }
        }

        async fn run(
            &self,
            parts: Vec<Part>,
            policy: Policy,
            requests: Requests,
            started: impl FnOnce(),
        ) -> (Result<(), Failure>, Stack) {
            let records = parts.iter().map(Record::waiting);
            let stack = Stack {
                phase: Phase::Starting,
                supervisor: Identity::own(),
                detached: false,
                port_base: 4100,
                address: String::new(),
                brokers: Vec::new(),
                engine: super::super::engine::Kind::Embedded,
                postgres: None,
                started_at: now(),
                parts: records.collect(),
                failure: None,
            };
            let registry = Arc::new(Registry::begin(&self.data, stack).unwrap());
            let console = Arc::new(Console::new(Box::new(std::io::sink()), false));
            let ended = run(
                parts, &self.data, &registry, &console, policy, requests, started,
            )
            .await;
            (ended, registry.stack())
        }

        fn log(&self, part: &str) -> String {
            std::fs::read_to_string(self.data.log_file(part)).unwrap()
        }
    }

    /// A port on which something accepts connections, and the thing.
    fn open_port() -> (u16, std::net::TcpListener) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        (listener.local_addr().unwrap().port(), listener)
    }

    fn never() -> (watch::Sender<u32>, Requests) {
        watch::channel(0)
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_keeps_dying_takes_the_stack_down() {
        let bench = Bench::new();
        let (port, listener) = open_port();
        drop(listener);
        let (_asking, requests) = never();
        let parts = vec![
            bench.part("bad", Stage::Host, "echo this is why >&2; exit 7", port),
            bench.part("good", Stage::Broker, "exec sleep 600", port),
        ];
        let began = Instant::now();
        let (ended, stack) = bench
            .run(parts, Policy::default(), requests, || panic!("started"))
            .await;
        let failure = ended.unwrap_err();
        assert_eq!(failure.part(), "bad");
        assert_eq!(
            failure.to_string(),
            "gave up on bad: it died 3 times, last with exit code 7"
        );
        assert!(
            began.elapsed() >= Duration::from_millis(300),
            "{:?}",
            began.elapsed()
        );
        assert_eq!(bench.log("bad").matches("this is why").count(), 3);
        assert!(stack.living().is_empty());
        assert!(stack.parts.iter().all(|part| part.state == State::Stopped));
        assert_eq!(stack.parts[0].restarts, 2);
    }

    #[tokio::test]
    async fn stages_stop_one_after_the_other() {
        let bench = Bench::new();
        let (port, _listener) = open_port();
        let (asking, requests) = never();
        let order = bench.data.root().join("order");
        let script = |name: &str| {
            format!(
                "trap 'echo {name} >> {}; exit 0' TERM; while :; do sleep 0.02; done",
                order.display()
            )
        };
        let stages = [
            ("broker", Stage::Broker),
            ("sentry", Stage::Sentry),
            ("scheduler", Stage::Scheduler),
            ("dapr-x", Stage::Sidecars),
            ("host", Stage::Host),
        ];
        let parts = stages
            .map(|(name, stage)| bench.part(name, stage, &script(name), port))
            .to_vec();
        // The shells have set their traps once they run `sleep`, which is what this waits for.
        let data = bench.data.clone();
        let watching = tokio::spawn(async move {
            loop {
                let children = Stack::read(&data)
                    .map(|stack| stack.living())
                    .unwrap_or_default();
                let sleeping = |identity: &Identity| {
                    let pid = identity.pid;
                    std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))
                        .is_ok_and(|children| !children.trim().is_empty())
                };
                if children.len() == 5 && children.iter().all(sleeping) {
                    asking.send_replace(1);
                    return asking;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        let (ended, stack) = bench.run(parts, Policy::default(), requests, || ()).await;
        ended.unwrap();
        drop(watching.await.unwrap());
        let stopped = std::fs::read_to_string(&order).unwrap();
        let stopped: Vec<_> = stopped.lines().collect();
        assert_eq!(stopped, ["host", "dapr-x", "scheduler", "sentry", "broker"]);
        assert!(
            stack
                .parts
                .iter()
                .all(|part| part.last_end.as_deref() == Some("exit code 0"))
        );
    }

    #[tokio::test]
    async fn what_does_not_stop_is_killed() {
        for (asked, patience) in [
            (1, Duration::from_millis(400)),
            (2, Duration::from_secs(600)),
        ] {
            let bench = Bench::new();
            let (port, _listener) = open_port();
            let (asking, requests) = never();
            let deaf = "trap '' TERM INT; while :; do sleep 0.05; done";
            let parts = vec![
                bench.part("deaf", Stage::Host, deaf, port),
                bench.part("deaf-too", Stage::Broker, deaf, port),
            ];
            let policy = Policy {
                stop: patience,
                ..Policy::default()
            };
            let began = Instant::now();
            let (ended, stack) = bench
                .run(parts, policy, requests, || {
                    asking.send_replace(asked);
                })
                .await;
            ended.unwrap();
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{:?}",
                began.elapsed()
            );
            assert!(stack.living().is_empty());
            drop(asking);
        }
    }

    #[tokio::test]
    async fn a_part_waits_for_what_it_needs() {
        let bench = Bench::new();
        let (port, _listener) = open_port();
        let (asking, requests) = never();
        let first = bench.data.root().join("first");
        let late = bench.data.root().join("late");
        let mut needing = bench.part(
            "needing",
            Stage::Host,
            &format!(
                "test -e {} || echo early > {}; exec sleep 600",
                first.display(),
                late.display()
            ),
            port,
        );
        needing.needs = vec!["needed".to_owned()];
        // The needed part is healthy only when its own port is open, which is after the file is there.
        let (needed_port, held) = open_port();
        drop(held);
        let needed = bench.part("needed", Stage::Broker, "exec sleep 600", needed_port);
        let opened = first.clone();
        let opening = std::thread::spawn(move || {
            std::fs::write(opened, "").unwrap();
            std::net::TcpListener::bind(("127.0.0.1", needed_port)).unwrap()
        });
        let (ended, _) = bench
            .run(vec![needing, needed], Policy::default(), requests, || {
                asking.send_replace(1);
            })
            .await;
        ended.unwrap();
        assert!(!late.exists());
        drop(opening.join().unwrap());
    }

    #[tokio::test]
    async fn a_part_that_is_never_healthy_is_named_not_the_one_that_waits_for_it() {
        let bench = Bench::new();
        let (port, listener) = open_port();
        drop(listener);
        let (_asking, requests) = never();
        let mut waiting = bench.part("waiting", Stage::Host, "exec sleep 600", port);
        waiting.needs = vec!["mute".to_owned()];
        let mute = bench.part("mute", Stage::Broker, "exec sleep 600", port);
        let policy = Policy {
            start: Duration::from_millis(300),
            ..Policy::default()
        };
        let (ended, stack) = bench
            .run(vec![waiting, mute], policy, requests, || ())
            .await;
        let told = ended.unwrap_err().to_string();
        assert!(
            told.starts_with("mute was not healthy after 0 s: it does not answer"),
            "{told}"
        );
        assert!(stack.living().is_empty());
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_told() {
        let bench = Bench::new();
        let (_asking, requests) = never();
        let mut part = bench.part("ghost", Stage::Host, "", 1);
        part.program = "/nowhere/ghost".into();
        let (ended, _) = bench
            .run(vec![part], Policy::default(), requests, || ())
            .await;
        let told = ended.unwrap_err().to_string();
        assert!(
            told.starts_with("cannot start ghost: /nowhere/ghost: No such file"),
            "{told}"
        );
    }
}
