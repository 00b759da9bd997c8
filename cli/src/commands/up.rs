//! `cargo docket up`: builds what is stale and runs a whole stack, in the foreground or detached.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::build;
use crate::layout::{DataDir, Ports, Project};
use crate::stack::configuration;
use crate::stack::console::{Console, Follow, Mark};
use crate::stack::engine::{Asked, Engine, Kind, POSTGRES_VARIABLE, PostgresUrl};
use crate::stack::folder;
use crate::stack::logs::last_lines;
use crate::stack::mail::{self, MailServer};
use crate::stack::plan::{self, Host, HostChoice, Ingredients, Part, Programs};
use crate::stack::process::{self, Identity};
use crate::stack::registry::{self, Lock, Phase, Registry, Stack};
use crate::stack::secrets::{self, Outcome, Secrets};
use crate::stack::supervisor::{self, Policy, Requests};
use crate::stack::topics::{self, Made};

/// Another `up` that has just begun has so long to say what it does.
const ANOTHER_STARTS: Duration = Duration::from_secs(100);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LAST_LINES: usize = 8;

/// The command's arguments.
// Not `Debug`: it may hold a password.
#[derive(clap::Args, Clone)]
pub struct Args {
    /// Return when all is healthy; the stack runs on until `cargo docket down`
    #[arg(long)]
    detach: bool,
    /// Where broker and state are [default: where the data folder has them, embedded at first]
    #[arg(long, value_enum)]
    engine: Option<Kind>,
    /// The brokers of --engine cluster; topics that are missing are made
    #[arg(long, value_name = "HOST:PORT,…")]
    brokers: Option<String>,
    /// The database of --engine cluster: postgres://USER:PASSWORD@HOST:PORT/DATABASE. All users of a machine see what
    /// is on a command line: the variable DOCKET_POSTGRES may have it instead. It is kept among the stack's secrets
    #[arg(long, value_name = "URL")]
    postgres: Option<String>,
    /// What runs the functions
    #[arg(long, value_enum, default_value_t)]
    host: HostChoice,
    /// The app listens on port N, everything else above it
    #[arg(long, env = "DOCKET_PORT_BASE", value_name = "N", default_value_t = Ports::DEFAULT)]
    port_base: u16,
    /// The server that takes notifications by e-mail; without one there are none. If it wants to be told who sends, the
    /// environment has DOCKET_SMTP_USER and DOCKET_SMTP_PASSWORD
    #[arg(long, value_name = "smtp://HOST:PORT")]
    smtp: Option<MailServer>,
    /// Whom these mails come from
    #[arg(long, value_name = "ADDRESS", default_value = "docket@localhost")]
    mail_from: String,
    /// Run what was built last
    #[arg(long)]
    no_build: bool,
    /// Show everything that the parts log
    #[arg(long, short)]
    verbose: bool,
    /// The half of a detached start that stays.
    #[arg(long, hide = true, requires = "host_program")]
    supervised: bool,
    /// Whether the terminal that a detached start was made from has colours.
    #[arg(long, hide = true)]
    colored: bool,
    /// The built host.
    #[arg(long, hide = true)]
    host_program: Option<PathBuf>,
}

/// What is there before a process is started.
struct Prepared {
    parts: Vec<Part>,
    host: Host,
    engine: Engine,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<ExitCode> {
        let (project, data) = global.open()?;
        let ports = Ports::new(self.port_base)?;
        let mut asked = self.asked()?;
        let data = folder::prepare(&data)?;
        let console = Arc::new(Console::standard(self.colored));
        if let Some(host) = self.host_program.clone().filter(|_| self.supervised) {
            // A new session has no terminal: its hang-up does not reach the stack.
            rustix::process::setsid().context("cannot leave the terminal")?;
            return self
                .supervise(&project, &data, ports, &asked, &console, &host)
                .await;
        }
        // Before anything is built.
        let engine = Engine::settle(&data, &asked, secrets::postgres(&data)?)?;
        asked.kind = Some(engine.kind());
        if let Some(stack) = running(&data).await {
            return self.already(&stack, ports, &console);
        }
        let host = self.build(&project, &console).await?;
        if self.detach {
            self.detach(&project, &data, &asked, &console, &host).await
        } else {
            self.supervise(&project, &data, ports, &asked, &console, &host)
                .await
        }
    }

    /// What was said of the engine; the variable counts only where it can mean something.
    fn asked(&self) -> anyhow::Result<Asked> {
        let variable = || std::env::var(POSTGRES_VARIABLE).ok();
        let wanted = self.engine != Some(Kind::Embedded)
            && (self.engine.is_some() || self.brokers.is_some());
        let postgres = self
            .postgres
            .clone()
            .or_else(|| wanted.then(variable).flatten());
        Ok(Asked {
            kind: self.engine,
            brokers: self.brokers.clone(),
            postgres: postgres.as_deref().map(PostgresUrl::parse).transpose()?,
        })
    }

    fn already(&self, stack: &Stack, ports: Ports, console: &Console) -> anyhow::Result<ExitCode> {
        let pid = stack.supervisor.as_ref().map_or(0, |identity| identity.pid);
        anyhow::ensure!(
            self.detach && stack.port_base == ports.base(),
            "already running at {} (pid {pid}); `cargo docket down` stops it, and another \
             --data-dir and --port-base put a second stack beside it",
            stack.address
        );
        console.line(&format!("already running at {} (pid {pid})", stack.address));
        Ok(ExitCode::SUCCESS)
    }

    async fn build(&self, project: &Project, console: &Console) -> anyhow::Result<PathBuf> {
        if self.no_build {
            return Ok(built_host(project));
        }
        let began = Instant::now();
        let options = build::Options {
            verbose: self.verbose,
            ..build::Options::default()
        };
        let built = build::build(project, &options).await?;
        console.step(
            Mark::Done,
            "build",
            &format!("{:5.1} s", began.elapsed().as_secs_f64()),
        );
        Ok(built.host)
    }

    /// Runs the stack until its end.
    async fn supervise(
        &self,
        project: &Project,
        data: &DataDir,
        ports: Ports,
        asked: &Asked,
        console: &Arc<Console>,
        host: &Path,
    ) -> anyhow::Result<ExitCode> {
        let requests = stop_requests()?;
        let began = Instant::now();
        let lock = Lock::take(data)
            .with_context(|| format!("cannot lock {}", data.lock_file().display()))?;
        let Some(_lock) = lock else {
            let stack = running(data).await;
            let stack =
                stack.context("another `up` has just begun on this data folder; try again")?;
            return self.already(&stack, ports, console);
        };
        end_leftovers(data, console).await;
        let Prepared {
            parts,
            host,
            engine,
        } = self
            .prepare(project, data, ports, asked, console, host)
            .await?;
        let registry = Arc::new(
            Registry::begin(data, record(&parts, ports, &engine, self.supervised))
                .with_context(|| format!("cannot write {}", data.stack_file().display()))?,
        );
        if let Host::Spin(path, version) = &host {
            console.step(
                Mark::Note,
                "host",
                &format!("Spin {version} ({})", path.display()),
            );
        }
        if self.verbose && !self.supervised {
            console.follow(Follow::Everything);
        }
        let started = || {
            self.tell_started(project, data, ports, console, began.elapsed());
            // A detached start ends here: all was said by now.
            let _ = registry.change(|stack| stack.phase = Phase::Running);
            if self.supervised {
                console.mute();
            }
        };
        let policy = Policy::default();
        let ending = watch_the_end(requests.clone(), &registry, console, self.verbose);
        let ended =
            supervisor::run(parts, data, &registry, console, policy, requests, started).await;
        ending.abort();
        let _ = registry.change(|stack| {
            stack.phase = Phase::Stopped;
            stack.failure = ended.as_ref().err().map(ToString::to_string);
        });
        match ended {
            Ok(()) => {
                console.line("stopped");
                Ok(ExitCode::SUCCESS)
            }
            Err(failure) => {
                let log = data.log_file(failure.part());
                for line in last_lines(&log, LAST_LINES) {
                    console.line(&format!("    {line}"));
                }
                Err(failure).with_context(|| match log.exists() {
                    true => format!("the stack was taken down (see {})", log.display()),
                    false => "the stack was taken down".to_owned(),
                })
            }
        }
    }

    /// Everything that can fail before a process is started.
    async fn prepare(
        &self,
        project: &Project,
        data: &DataDir,
        ports: Ports,
        asked: &Asked,
        console: &Console,
        host: &Path,
    ) -> anyhow::Result<Prepared> {
        let environment: BTreeMap<String, OsString> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .collect();
        let programs = Programs::find(project, host, self.host).await?;
        for function in project.functions() {
            let component = project.root().join(&function.source);
            if !component.is_file() {
                return Err(plan::PlanError::NotBuilt { path: component }.into());
            }
        }
        let engine = Engine::settle(data, asked, secrets::postgres(data)?)?;
        reach(&engine, project, console).await?;
        let (secrets, outcome) =
            Secrets::ensure(data, project.apps(), std::time::SystemTime::now().into())?;
        match outcome {
            Outcome::Kept => {}
            Outcome::Made => console.step(Mark::Done, "secrets", "made"),
            Outcome::Extended => console.step(Mark::Done, "secrets", "extended"),
        }
        if let Some(postgres) = engine.postgres() {
            secrets::keep_postgres(data, postgres)?;
        }
        engine.remember(data)?;
        configuration::write(project, data)?;
        let credentials = mail::credentials(|name| std::env::var_os(name))?;
        mail::write(
            data,
            self.smtp.as_ref(),
            &self.mail_from,
            credentials.as_ref(),
        )?;
        // Who ran where last time only misleads.
        for suffix in ["", "-wal", "-shm"] {
            let mut path = data.names_database().into_os_string();
            path.push(suffix);
            let _ = std::fs::remove_file(path);
        }
        let from = Ingredients {
            project,
            data,
            ports,
            programs: &programs,
            engine: &engine,
            secrets: &secrets,
            environment: &environment,
        };
        let parts = plan::parts(&from)?;
        plan::check_ports(&parts)?;
        Ok(Prepared {
            parts,
            host: programs.host,
            engine,
        })
    }

    fn tell_started(
        &self,
        project: &Project,
        data: &DataDir,
        ports: Ports,
        console: &Console,
        took: Duration,
    ) {
        let address = address(ports);
        let again = folder_flag(project, data);
        let stop = if self.supervised {
            format!("`cargo docket down{again}`")
        } else {
            "Ctrl-C".to_owned()
        };
        console.line(&format!(
            "\n{} (after {:.1} s)\n\n  \
               TOKEN=$(cargo docket token --email you@example.org{again})\n  \
               curl -H \"authorization: Bearer $TOKEN\" {address}/api/tasks\n\n\
             logs in {}; {stop} stops it\n",
            console.bold(&format!("Docket is up at {address}")),
            took.as_secs_f64(),
            data.logs().display(),
        ));
        console.follow(if self.verbose {
            Follow::Everything
        } else {
            Follow::Useful
        });
    }

    /// Starts this program anew without a terminal, and waits until it says that all is healthy.
    async fn detach(
        &self,
        project: &Project,
        data: &DataDir,
        asked: &Asked,
        console: &Console,
        host: &Path,
    ) -> anyhow::Result<ExitCode> {
        let path = data.supervisor_output();
        let open = |path: &Path| {
            std::fs::OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o600)
                .open(path)
                .with_context(|| format!("cannot write {}", path.display()))
        };
        let _ = std::fs::remove_file(&path);
        let output = open(&path)?;
        let mut reader = open(&path)?;
        let mut command = std::process::Command::new(std::env::current_exe()?);
        command
            .arg("up")
            .arg("--supervised")
            .arg("--host-program")
            .arg(host)
            .arg("--data-dir")
            .arg(data.root())
            .args(["--port-base", &self.port_base.to_string()])
            .args([
                "--host",
                clap::ValueEnum::to_possible_value(&self.host)
                    .as_ref()
                    .map_or("auto", |value| value.get_name()),
            ])
            .args(console.colored().then_some("--colored"))
            .args(self.smtp.as_ref().map(|server| format!("--smtp={server}")))
            .arg(format!("--mail-from={}", self.mail_from))
            .args(asked.kind.map(|kind| format!("--engine={kind}")))
            .args(
                asked
                    .brokers
                    .as_ref()
                    .map(|list| format!("--brokers={list}")),
            )
            .envs(
                asked
                    .postgres
                    .as_ref()
                    .map(|url| (POSTGRES_VARIABLE, url.secret())),
            )
            .current_dir(project.root())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut child = command.spawn().context("cannot start the supervisor")?;
        let mut interrupted = Box::pin(tokio::signal::ctrl_c());
        let mut asked = false;
        loop {
            let ended = child.try_wait().context("cannot follow the supervisor")?;
            let ready = Stack::read(data).is_some_and(|stack| {
                stack.phase == Phase::Running
                    && stack
                        .supervisor
                        .is_some_and(|identity| identity.pid == child.id())
            });
            pass_on(&mut reader);
            match ended {
                Some(status) if status.success() && !asked => return Ok(ExitCode::SUCCESS),
                Some(_) => return Ok(ExitCode::FAILURE),
                None if ready => return Ok(ExitCode::SUCCESS),
                None => {}
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = &mut interrupted, if !asked => {
                    asked = true;
                    if let Some(identity) = Identity::of(child.id()) {
                        identity.signal(Signal::TERM);
                    }
                }
            }
        }
    }
}

/// The host as `cargo docket build` leaves it: in cargo's target folder, where this program is too.
fn built_host(project: &Project) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let usual = project
        .root()
        .join(target)
        .join("debug")
        .join("docket-host");
    let beside = std::env::current_exe()
        .ok()
        .map(|own| own.with_file_name("docket-host"));
    match beside {
        Some(beside) if !usual.exists() && beside.exists() => beside,
        _ => usual,
    }
}

/// Shows what the supervisor said since the last time.
fn pass_on(reader: &mut std::fs::File) {
    let mut said = Vec::new();
    let _ = reader
        .stream_position()
        .and_then(|at| reader.seek(SeekFrom::Start(at)));
    if reader.read_to_end(&mut said).is_ok() && !said.is_empty() {
        let mut out = std::io::stdout();
        // Nobody may be there to read it any more; the stack does not depend on that.
        let _ = out.write_all(&said).and_then(|()| out.flush());
    }
}

fn address(ports: Ports) -> String {
    format!("http://{}", Ports::address(ports.app()))
}

/// Asks the servers of other machines whether they are there, and makes the topics.
async fn reach(engine: &Engine, project: &Project, console: &Console) -> anyhow::Result<()> {
    let Engine::Cluster { brokers, .. } = engine else {
        return Ok(());
    };
    engine.ask().await?;
    let Made { made, notes } = topics::ensure(brokers, &project.topics()?).await?;
    console.step(Mark::Done, "engine", &engine.to_string());
    if made > 0 {
        console.step(Mark::Done, "topics", &format!("made {made}"));
    }
    for note in notes {
        console.step(Mark::Note, "topics", &note);
    }
    Ok(())
}

/// What the other commands need to find a stack that is not at its usual place.
fn folder_flag(project: &Project, data: &DataDir) -> String {
    let usual = project
        .data_dir(None)
        .ok()
        .and_then(|usual| usual.root().canonicalize().ok());
    if usual.as_deref() == Some(data.root()) {
        String::new()
    } else {
        format!(" --data-dir {}", data.root().display())
    }
}

/// The stack that runs on a data folder, once it says so.
async fn running(data: &DataDir) -> Option<Stack> {
    let deadline = Instant::now() + ANOTHER_STARTS;
    while Lock::is_held(data) && Instant::now() < deadline {
        if let Some(stack) = Stack::read(data)
            && stack.phase == Phase::Running
            && stack.is_supervised()
        {
            return Some(stack);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    None
}

/// Ends what an `up` that was killed left running.
async fn end_leftovers(data: &DataDir, console: &Console) {
    let left = leftovers(data);
    if !left.is_empty() {
        let text = format!(
            "ended {} left by an `up` that was killed",
            count(left.len(), "process")
        );
        process::end_all(&left, Duration::from_secs(5)).await;
        console.step(Mark::Note, "leftovers", &text);
    }
}

/// The processes of a stack whose supervisor is gone.
pub fn leftovers(data: &DataDir) -> Vec<Identity> {
    let mut left = Stack::read(data)
        .map(|stack| stack.living())
        .unwrap_or_default();
    for identity in process::of_stack(data.root()) {
        if !left.contains(&identity) {
            left.push(identity);
        }
    }
    left
}

/// A number and its noun.
pub fn count(number: usize, noun: &str) -> String {
    let ending = match (number, noun.ends_with('s')) {
        (1, _) => "",
        (_, true) => "es",
        (_, false) => "s",
    };
    format!("{number} {noun}{ending}")
}

fn record(parts: &[Part], ports: Ports, engine: &Engine, detached: bool) -> Stack {
    let brokers = match engine {
        Engine::Embedded => plan::own_broker(ports),
        Engine::Cluster { brokers, .. } => brokers.clone(),
    };
    Stack {
        phase: Phase::Starting,
        supervisor: Identity::own(),
        detached,
        port_base: ports.base(),
        address: address(ports),
        brokers,
        engine: engine.kind(),
        postgres: engine.postgres().map(|url| url.place().to_owned()),
        started_at: registry::now(),
        parts: parts.iter().map(registry::Part::waiting).collect(),
        failure: None,
    }
}

/// Counts the signals that ask for the end.
fn stop_requests() -> anyhow::Result<Requests> {
    let (asking, requests) = watch::channel(0);
    for kind in [
        SignalKind::interrupt(),
        SignalKind::terminate(),
        SignalKind::hangup(),
    ] {
        let mut signals = signal(kind).context("cannot listen for signals")?;
        let asking = asking.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                asking.send_modify(|asked| *asked += 1);
            }
        });
    }
    Ok(requests)
}

/// Says that the end was asked for, and quiets the parts, which complain of each other's absence.
fn watch_the_end(
    mut requests: Requests,
    registry: &Arc<Registry>,
    console: &Arc<Console>,
    verbose: bool,
) -> tokio::task::JoinHandle<()> {
    let (registry, console) = (Arc::clone(registry), Arc::clone(console));
    tokio::spawn(async move {
        if requests.wait_for(|asked| *asked > 0).await.is_ok() {
            if !verbose {
                console.follow(Follow::Nothing);
            }
            console.line("\nstopping (once more to kill)");
            let _ = registry.change(|stack| stack.phase = Phase::Stopping);
        }
    })
}
