//! `cargo docket down`: stops a stack, wherever it was started, and whatever became of its `up`.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::up::{count, leftovers};
use crate::layout::DataDir;
use crate::stack::console::{Console, Mark};
use crate::stack::folder;
use crate::stack::process::{self, Identity};
use crate::stack::registry::{Phase, Registry, Stack, State};

/// A stop is bounded by ten seconds; a supervisor that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const GRACE: Duration = Duration::from_secs(5);

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (_, data) = global.open()?;
        let console = Console::standard(false);
        let began = Instant::now();
        let Some(data) = folder::existing(&data)? else {
            console.line("not running");
            return Ok(());
        };
        let supervisor = Stack::read(&data)
            .filter(|stack| stack.phase != Phase::Stopped)
            .and_then(|stack| stack.supervisor)
            .filter(Identity::alive);
        let mut stopped = supervisor.is_some();
        if let Some(supervisor) = supervisor {
            supervisor.signal(Signal::TERM);
            if !follow(&supervisor, &data, &console).await {
                console.step(Mark::Failed, "up", "does not stop; killing it");
                supervisor.signal(Signal::KILL);
                supervisor.gone_by(Instant::now() + GRACE).await;
            }
        }
        let left = leftovers(&data);
        if !left.is_empty() {
            stopped = true;
            process::end_all(&left, GRACE).await;
            console.step(
                Mark::Done,
                "leftovers",
                &format!("ended {}", count(left.len(), "process")),
            );
        }
        close_record(&data);
        console.line(&if stopped {
            format!("stopped (after {:.1} s)", began.elapsed().as_secs_f64())
        } else {
            "not running".to_owned()
        });
        Ok(())
    }
}

/// Shows the parts as they end; false if the supervisor does not.
async fn follow(supervisor: &Identity, data: &DataDir, console: &Console) -> bool {
    let deadline = Instant::now() + PATIENCE;
    let mut told = BTreeSet::new();
    loop {
        let alive = supervisor.alive();
        for part in Stack::read(data)
            .map(|stack| stack.parts)
            .unwrap_or_default()
        {
            if part.state == State::Stopped && told.insert(part.name.clone()) {
                let end = part
                    .last_end
                    .filter(|end| end != "exit code 0")
                    .unwrap_or_default();
                console.step(Mark::Done, &part.name, &end);
            }
        }
        if !alive || Instant::now() >= deadline {
            return !alive;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What a killed `up` could not write any more.
fn close_record(data: &DataDir) {
    if let Some(mut stack) = Stack::read(data)
        && !stack.is_supervised()
        && stack.phase != Phase::Stopped
    {
        stack.phase = Phase::Stopped;
        for part in &mut stack.parts {
            part.state = State::Stopped;
            part.process = None;
        }
        // The record is only for people now: that nothing runs is told by the processes.
        let _ = Registry::begin(data, stack);
    }
}
