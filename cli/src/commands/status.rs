//! `cargo docket status`: what runs, where, and whether it is healthy.

use std::process::ExitCode;

use futures::future::{join, join_all};
use serde::Serialize;

use super::up::{count, leftovers};
use crate::stack::console::Console;
use crate::stack::engine::{self, EngineError, Kind};
use crate::stack::folder;
use crate::stack::process::{Identity, Memory};
use crate::stack::registry::{Part, Phase, Stack, State, now};

const UNHEALTHY: u8 = 1;
const NOT_RUNNING: u8 = 3;

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What the command tells.
#[derive(Debug, Serialize)]
struct Report {
    /// healthy, unhealthy, starting, stopping or stopped.
    state: &'static str,
    address: Option<String>,
    port_base: Option<u16>,
    data_dir: String,
    detached: bool,
    uptime_s: Option<u64>,
    supervisor_pid: Option<u32>,
    /// Of all processes, the supervisor's own included.
    rss_bytes: u64,
    pss_bytes: u64,
    parts: Vec<PartReport>,
    engine: Option<Kind>,
    /// What the stack needs and does not run.
    servers: Vec<ServerReport>,
    /// Why the last run ended, if nobody wanted it to.
    failure: Option<String>,
}

/// A server that runs elsewhere.
#[derive(Debug, Serialize)]
struct ServerReport {
    name: &'static str,
    address: String,
    healthy: bool,
    /// Why it is not healthy.
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct PartReport {
    name: String,
    state: State,
    healthy: bool,
    /// Why it is not healthy.
    reason: Option<String>,
    pid: Option<u32>,
    address: String,
    uptime_s: Option<u64>,
    restarts: u32,
    rss_bytes: u64,
    pss_bytes: u64,
    log: String,
}

impl Args {
    /// Runs the command: 0 is healthy, 1 unhealthy, 3 not running.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<ExitCode> {
        let (_, asked) = global.open()?;
        let console = Console::standard(false);
        let existing = folder::existing(&asked)?;
        let mut report = Report {
            state: "stopped",
            address: None,
            port_base: None,
            data_dir: asked.root().display().to_string(),
            detached: false,
            uptime_s: None,
            supervisor_pid: None,
            rss_bytes: 0,
            pss_bytes: 0,
            parts: Vec::new(),
            engine: None,
            servers: Vec::new(),
            failure: None,
        };
        let mut left = 0;
        if let Some(data) = existing {
            report.data_dir = data.root().display().to_string();
            match Stack::read(&data) {
                Some(stack) if stack.phase != Phase::Stopped && stack.is_supervised() => {
                    fill(&mut report, &stack, &data).await;
                }
                stack => {
                    left = leftovers(&data).len();
                    report.failure = stack.and_then(|stack| stack.failure);
                }
            }
        }
        if left > 0 {
            report.state = "unhealthy";
        }
        if self.json {
            console.line(&serde_json::to_string_pretty(&report)?);
        } else {
            show(&report, left, &console);
        }
        Ok(match report.state {
            "healthy" => ExitCode::SUCCESS,
            "stopped" => ExitCode::from(NOT_RUNNING),
            _ => ExitCode::from(UNHEALTHY),
        })
    }
}

async fn fill(report: &mut Report, stack: &Stack, data: &crate::layout::DataDir) {
    report.parts = join_all(stack.parts.iter().map(|part| examine(part, data))).await;
    report.engine = Some(stack.engine);
    report.servers = servers(stack).await;
    let supervisor = stack.supervisor.as_ref();
    let own = supervisor.and_then(Identity::memory).unwrap_or_default();
    report.rss_bytes = own.rss + report.parts.iter().map(|part| part.rss_bytes).sum::<u64>();
    report.pss_bytes = own.pss + report.parts.iter().map(|part| part.pss_bytes).sum::<u64>();
    report.state = match stack.phase {
        Phase::Starting => "starting",
        Phase::Stopping => "stopping",
        _ if report.parts.iter().all(|part| part.healthy)
            && report.servers.iter().all(|server| server.healthy) =>
        {
            "healthy"
        }
        _ => "unhealthy",
    };
    report.address = Some(stack.address.clone());
    report.port_base = Some(stack.port_base);
    report.detached = stack.detached;
    report.uptime_s = Some(since(stack.started_at));
    report.supervisor_pid = supervisor.map(|identity| identity.pid);
}

/// The servers of the engine for many machines.
async fn servers(stack: &Stack) -> Vec<ServerReport> {
    let Some(place) = &stack.postgres else {
        return Vec::new();
    };
    let (broker, postgres) = join(
        engine::ask_brokers(&stack.brokers),
        engine::ask_postgres(place),
    )
    .await;
    let report = |name, address: &str, asked: Result<(), EngineError>| ServerReport {
        name,
        address: address.to_owned(),
        healthy: asked.is_ok(),
        reason: asked.err().map(|error| error.to_string()),
    };
    vec![
        report("broker", &stack.brokers.join(","), broker),
        report("PostgreSQL", place, postgres),
    ]
}

async fn examine(part: &Part, data: &crate::layout::DataDir) -> PartReport {
    let process = part.process.clone().filter(Identity::alive);
    let memory: Memory = process
        .as_ref()
        .and_then(Identity::memory)
        .unwrap_or_default();
    let reason = match (&process, part.state) {
        (None, State::Waiting) => Some("waits for a part that it needs".to_owned()),
        (None, _) => Some(match &part.last_end {
            Some(end) => format!("ended with {end}"),
            None => "does not run".to_owned(),
        }),
        (Some(_), _) => part.probe.ask().await.err().map(|why| why.to_string()),
    };
    PartReport {
        name: part.name.clone(),
        state: part.state,
        healthy: reason.is_none(),
        reason,
        pid: process.as_ref().map(|identity| identity.pid),
        address: part.address.clone(),
        uptime_s: process.and(part.started_at).map(since),
        restarts: part.restarts,
        rss_bytes: memory.rss,
        pss_bytes: memory.pss,
        log: data.log_file(&part.name).display().to_string(),
    }
}

fn since(then: u64) -> u64 {
    now().saturating_sub(then) / 1000
}

fn show(report: &Report, left: usize, console: &Console) {
    let (Some(address), Some(uptime)) = (&report.address, report.uptime_s) else {
        console.line(&if left > 0 {
            format!(
                "not running, but {} of an `up` that was killed still there: `cargo docket down` ends them",
                count(left, "process")
            )
        } else {
            match &report.failure {
                Some(why) => format!("not running: {why}"),
                None => "not running".to_owned(),
            }
        });
        return;
    };
    console.line(&format!(
        "{} at {address}, up {}, {} in all ({} with shared pages counted once)\n",
        console.bold(report.state),
        duration(uptime),
        megabytes(report.rss_bytes),
        megabytes(report.pss_bytes),
    ));
    console.line(&format!(
        "  {:<16} {:<11} {:>7}  {:<22} {:>8} {:>8} {:>8}",
        "PART", "STATE", "PID", "ADDRESS", "UP", "RESTARTS", "RSS"
    ));
    for part in &report.parts {
        let state = match (part.state, part.healthy) {
            (_, true) => "healthy",
            (State::Healthy, false) => "unhealthy",
            (State::Waiting, _) => "waiting",
            (State::Starting, _) => "starting",
            (State::Restarting, _) => "restarting",
            (State::Stopped, _) => "stopped",
        };
        let pid = part.pid.map(|pid| pid.to_string()).unwrap_or_default();
        let up = part.uptime_s.map(duration).unwrap_or_default();
        let reason = part
            .reason
            .as_ref()
            .map(|why| format!("  {why}"))
            .unwrap_or_default();
        console.line(&format!(
            "  {:<16} {state:<11} {pid:>7}  {:<22} {up:>8} {:>8} {:>8}{reason}",
            part.name,
            part.address,
            part.restarts,
            megabytes(part.rss_bytes),
        ));
    }
    for server in &report.servers {
        let state = if server.healthy {
            "healthy"
        } else {
            "unhealthy"
        };
        let reason = server.reason.as_deref().unwrap_or("elsewhere");
        console.line(&format!(
            "  {:<16} {state:<11} {:>7}  {:<22} {reason}",
            server.name, "", server.address,
        ));
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{} MB", (bytes + (1 << 19)) >> 20)
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} m {} s", seconds / 60, seconds % 60),
        3600..86400 => format!("{} h {} m", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86400, seconds % 86400 / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_for_people() {
        let cases = [
            (0, "0 s"),
            (59, "59 s"),
            (61, "1 m 1 s"),
            (3661, "1 h 1 m"),
            (90_000, "1 d 1 h"),
        ];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
        assert_eq!(megabytes(1_572_864), "2 MB");
        assert_eq!(count(1, "process"), "1 process");
        assert_eq!(count(2, "process"), "2 processes");
    }
}
