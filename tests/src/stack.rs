//! A stack that the project's own command line starts and stops, on free ports and in a folder of its own.

use anyhow::{Context as _, Result, bail, ensure};
use chrono::Utc;
use docket_cli::dead_letters::{partition_of, produce};
use docket_cli::layout::{DataDir, Ports, Project};
use docket_cli::machine::PortRange;
use docket_cli::stack::engine::{Kind, POSTGRES_VARIABLE};
use docket_cli::stack::process::{self, Identity};
use docket_cli::stack::secrets::{ApiTokens, JwtKey};
use docket_cli::stack::{folder, plan};
use docket_cli::testing::suites::ENGINE_VARIABLE;
use docket_domain::outbox::{SLOTS, slot_key};
use rskafka::record::Record;
use rustix::process::Signal;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

use crate::client::Account;
use crate::servers::{Server, Servers};
use crate::{secrets, until};

/// The name of the sidecar of `tasks` among the parts.
pub const SIDECAR: &str = "dapr-tasks";
/// The name of the sidecar of `recurrence` among the parts.
pub const RECURRENCE: &str = "dapr-recurrence";
/// The name of the sidecar of `audit` among the parts.
pub const AUDIT: &str = "dapr-audit";
/// The name of the sidecar of `notifications` among the parts.
pub const NOTIFICATIONS: &str = "dapr-notifications";
/// A site whose scripts may ask every stack of the tests.
pub const SITE: &str = "https://app.example.com";
/// How long a killed part may take until it is healthy again.
const BACK: Duration = Duration::from_secs(30);
/// How long the outbox may take to empty: the sidecar's producer waits for up to ten seconds for an answer of a
/// broker that is gone.
const SETTLED: Duration = Duration::from_secs(60);

/// A running stack. [`Stack::finish`] ends it well; one that is dropped leaves its folder behind for inspection.
pub struct Stack {
    name: &'static str,
    project: Project,
    program: PathBuf,
    folder: PathBuf,
    data: DataDir,
    ports: Ports,
    _range: PortRange,
    http: reqwest::Client,
    guard: Option<Child>,
    /// What `up` is told beside the usual.
    words: Vec<String>,
    servers: Option<Servers>,
}

/// What `cargo docket status --json` tells.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// healthy, unhealthy, starting, stopping or stopped.
    pub state: String,
    /// The `up` that runs the stack.
    pub supervisor_pid: Option<u32>,
    /// Memory of all processes, shared pages counted once.
    pub pss_bytes: u64,
    /// The processes.
    pub parts: Vec<Part>,
}

/// One process of a stack.
#[derive(Debug, Deserialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// Whether it answers.
    pub healthy: bool,
    /// Its process.
    pub pid: Option<u32>,
    /// How often it was started again.
    pub restarts: u32,
}

/// A process that was stopped by a signal; it goes on when this is dropped.
pub struct Frozen(Identity);

impl Drop for Frozen {
    fn drop(&mut self) {
        self.0.signal(Signal::CONT);
    }
}

impl Stack {
    /// Starts a stack on the engine that `DOCKET_TEST_ENGINE` names, and waits until it is healthy.
    ///
    /// # Errors
    /// It cannot be built or started.
    pub async fn start(name: &'static str) -> Result<Self> {
        Self::start_with(name, &[]).await
    }

    /// Starts a stack with further words for `up`.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(name: &'static str, words: &[&str]) -> Result<Self> {
        Self::start_on(engine()?, name, words, &[]).await
    }

    /// Starts a stack with Dapr resources of its own, each a file's name and its text.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_having(
        name: &'static str,
        words: &[&str],
        resources: &[(&str, &str)],
    ) -> Result<Self> {
        Self::start_on(engine()?, name, words, resources).await
    }

    /// Starts a stack on an engine, with further words for `up` and Dapr resources of its own. On that for many machines it
    /// has a Kafka and a PostgreSQL of its own.
    ///
    /// # Errors
    /// It, or they, cannot be built or started.
    pub async fn start_on(
        engine: Kind,
        name: &'static str,
        words: &[&str],
        resources: &[(&str, &str)],
    ) -> Result<Self> {
        let project = Project::find_from(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        let program = program(&project).await?;
        let folder = tempfile::Builder::new()
            .prefix(&format!("docket-{name}-"))
            .tempdir()?
            .keep();
        let data = DataDir::new(folder.canonicalize()?.join("data"));
        let range = PortRange::claim(Ports::SPAN).context("no range of free ports")?;
        let mut stack = Self {
            name,
            program,
            ports: Ports::new(range.base())?,
            _range: range,
            http: reqwest::Client::builder()
                .no_proxy()
                .timeout(Duration::from_secs(20))
                .build()?,
            guard: None,
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            servers: None,
            project,
            folder,
            data,
        };
        let components = stack.data.components();
        for (file, text) in resources {
            folder::prepare(&stack.data)?;
            std::fs::create_dir_all(&components)?;
            std::fs::write(components.join(file), text)?;
        }
        if engine == Kind::Cluster {
            let servers = Servers::start(&stack.project, stack.ports).await;
            stack.servers = Some(servers.context("the servers of the engine `cluster`")?);
        }
        stack.guard = Some(stack.spawn_guard()?);
        let took = stack.up().await?;
        eprintln!("[{name}] up after {:.1} s", took.as_secs_f64());
        Ok(stack)
    }

    /// However this process ends, by a panic, Ctrl-C or a kill, the end of the pipe has the guard take the stack down.
    fn spawn_guard(&self) -> Result<Child> {
        use std::os::unix::process::CommandExt as _;
        let said = std::fs::File::create(self.folder.join("guard.out"))?;
        Command::new("sh")
            .args(["-c", r#"cat >/dev/null; exec "$0" down --data-dir "$1""#])
            .arg(&self.program)
            .arg(self.data.root())
            .current_dir(self.project.root())
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(said.try_clone()?)
            .stderr(said)
            .spawn()
            .context("cannot start the guard")
    }

    /// Runs `cargo docket <words>` on this stack.
    ///
    /// # Errors
    /// The program cannot be run.
    pub async fn docket(&self, words: &[&str]) -> Result<Output> {
        self.command(words, self.data.root())
            .output()
            .await
            .context("cannot run the command line")
    }

    /// `cargo docket <words>` on a data folder, with what the environment of this stack's has.
    #[must_use]
    pub fn command(&self, words: &[&str], data: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(words)
            .arg("--data-dir")
            .arg(data)
            .current_dir(self.project.root())
            .env_remove("DOCKET_DATA_DIR")
            .env_remove("DOCKET_PORT_BASE")
            .env_remove(POSTGRES_VARIABLE)
            .env("SPIN_VARIABLE_CORS_ORIGINS", SITE)
            .envs(
                self.servers
                    .as_ref()
                    .map(|servers| (POSTGRES_VARIABLE, servers.postgres_url())),
            )
            .stdin(Stdio::null());
        command
    }

    /// Starts the stack (again); gives how long that took.
    ///
    /// # Errors
    /// `up` failed; the error has what it said.
    pub async fn up(&self) -> Result<Duration> {
        let began = Instant::now();
        let base = self.ports.base().to_string();
        let mut words = vec!["up", "--detach", "--no-build", "--port-base", &base];
        words.extend(self.words.iter().map(String::as_str));
        if let Some(servers) = &self.servers {
            words.extend(["--engine", "cluster", "--brokers", servers.broker_address()]);
        }
        succeeded("up", &self.docket(&words).await?)?;
        Ok(began.elapsed())
    }

    /// Stops the stack; gives how long that took.
    ///
    /// # Errors
    /// `down` failed, or left a process behind.
    pub async fn down(&self) -> Result<Duration> {
        let began = Instant::now();
        succeeded("down", &self.docket(&["down"]).await?)?;
        let left = self.processes();
        ensure!(left.is_empty(), "`down` left processes behind: {left:?}");
        Ok(began.elapsed())
    }

    /// Takes the stack down, reads its logs for what is secret, and removes its folder.
    ///
    /// # Errors
    /// It does not stop as it should, or a log tells a secret; then its folder is kept.
    pub async fn finish(mut self) -> Result<()> {
        self.down().await?;
        self.logs_tell_nothing()?;
        self.release_guard();
        std::fs::remove_dir_all(&self.folder)
            .with_context(|| format!("cannot remove {}", self.folder.display()))
    }

    /// Reads the logs for what is secret.
    ///
    /// # Errors
    /// They tell something.
    pub fn logs_tell_nothing(&self) -> Result<()> {
        secrets::note_stack(&self.data)?;
        let read = secrets::check_logs(&self.data.logs())?;
        eprintln!("[{}] {read} bytes of logs tell no secret", self.name);
        Ok(())
    }

    fn release_guard(&mut self) {
        if let Some(mut guard) = self.guard.take() {
            drop(guard.stdin.take());
            // What it said is in its file.
            let _ = guard.wait();
        }
    }

    /// Every process of the stack that runs, the supervisor excepted.
    #[must_use]
    pub fn processes(&self) -> Vec<Identity> {
        process::of_stack(self.data.root())
    }

    /// The project.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &DataDir {
        &self.data
    }

    /// The ports.
    #[must_use]
    pub fn ports(&self) -> Ports {
        self.ports
    }

    /// Where the app answers: `http://…`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}", Ports::address(self.ports.app()))
    }

    /// Where the broker is: `host:port`.
    #[must_use]
    pub fn brokers(&self) -> Vec<String> {
        match &self.servers {
            None => plan::own_broker(self.ports),
            Some(servers) => vec![servers.broker_address().to_owned()],
        }
    }

    /// Where the sidecar of an app answers: `http://…`.
    ///
    /// # Errors
    /// There is no such app.
    pub fn sidecar_address(&self, app: &str) -> Result<String> {
        let app = self.project.app(app).context("no such app")?;
        Ok(format!(
            "http://{}",
            Ports::address(self.ports.sidecar(app).http)
        ))
    }

    /// The tokens that an app and its sidecar show each other.
    ///
    /// # Errors
    /// There is no such app, or no such file.
    pub fn api_tokens(&self, app: &str) -> Result<ApiTokens> {
        let file = std::fs::read(self.data.api_tokens_file())?;
        let mut tokens: BTreeMap<String, ApiTokens> = serde_json::from_slice(&file)?;
        tokens.remove(app).context("no tokens of such an app")
    }

    /// The key that signs this stack's access tokens.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn signing_key(&self) -> Result<JwtKey> {
        Ok(JwtKey::read(&self.data)?)
    }

    /// An HTTP client.
    #[must_use]
    pub fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// A client for the account of `<name>@example.org`, with a token of `cargo docket token`.
    ///
    /// # Errors
    /// No token is made.
    pub async fn account(&self, name: &str) -> Result<Account> {
        let email = format!("{name}@example.org");
        let output = self.docket(&["token", "--email", &email]).await?;
        succeeded("token", &output)?;
        let token = String::from_utf8(output.stdout)?.trim().to_owned();
        secrets::note(&token);
        secrets::note(&email);
        Account::new(self.http.clone(), self.address(), token)
    }

    /// What `cargo docket status --json` tells.
    ///
    /// # Errors
    /// It tells nothing that can be read.
    pub async fn status(&self) -> Result<Status> {
        let output = self.docket(&["status", "--json"]).await?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("status: {}", String::from_utf8_lossy(&output.stderr)))
    }

    /// What status tells of one part.
    ///
    /// # Errors
    /// There is no such part.
    pub async fn part(&self, name: &str) -> Result<Part> {
        let parts = self.status().await?.parts;
        let part = parts.into_iter().find(|part| part.name == name);
        part.with_context(|| format!("there is no part {name}"))
    }

    /// The Kafka and the PostgreSQL that the stack is on, if they are not its own parts.
    #[must_use]
    pub fn servers(&self) -> Option<&Servers> {
        self.servers.as_ref()
    }

    fn server(&self, name: &str) -> Option<&Server> {
        self.servers.as_ref()?.get(name)
    }

    /// The process of a part that runs, or of the server that is there for it.
    ///
    /// # Errors
    /// It does not run.
    pub async fn process(&self, name: &str) -> Result<Identity> {
        if let Some(server) = self.server(name) {
            return server.process().await;
        }
        until(&format!("{name} runs"), BACK, async || {
            Ok(self.part(name).await?.pid.and_then(Identity::of))
        })
        .await
    }

    /// Kills the process of a part (SIGKILL).
    ///
    /// # Errors
    /// It did not run.
    pub async fn kill(&self, name: &str) -> Result<()> {
        let process = self.process(name).await?;
        ensure!(process.signal(Signal::KILL), "{name} was gone already");
        Ok(())
    }

    /// Stops the process of a part (SIGSTOP) until the answer is dropped.
    ///
    /// # Errors
    /// It does not run.
    pub async fn freeze(&self, name: &str) -> Result<Frozen> {
        let process = self.process(name).await?;
        ensure!(process.signal(Signal::STOP), "{name} is gone");
        Ok(Frozen(process))
    }

    /// Waits until every part is healthy.
    ///
    /// # Errors
    /// That takes too long.
    pub async fn healthy(&self) -> Result<()> {
        until("the stack is healthy", BACK, async || {
            Ok((self.status().await?.state == "healthy").then_some(()))
        })
        .await
    }

    /// Kills a part and waits until supervision has brought it back.
    ///
    /// # Errors
    /// It does not come back.
    pub async fn kill_and_wait(&self, name: &str) -> Result<()> {
        if let Some(server) = self.server(name) {
            let before = server.process().await?;
            ensure!(before.signal(Signal::KILL), "{name} was gone already");
            return server.is_back(&before).await;
        }
        let before = self.part(name).await?.restarts;
        self.kill(name).await?;
        until(&format!("{name} is back"), BACK, async || {
            let part = self.part(name).await?;
            Ok((part.healthy && part.restarts > before).then_some(()))
        })
        .await
    }

    /// Puts an event on a topic as it is, in the stead of the function that may: no sidecar would take it from anybody
    /// else. It is where the sidecars would put it.
    ///
    /// # Errors
    /// The broker does not take it.
    pub async fn publish(&self, topic: &str, key: &str, event: &Value) -> Result<()> {
        let client = docket_cli::events::connect(&self.brokers()).await?;
        let topics = client.list_topics().await?;
        let known = topics.iter().find(|one| one.name == topic);
        let partitions = known
            .with_context(|| format!("no topic {topic}"))?
            .partitions
            .len();
        let key = key.as_bytes().to_vec();
        let partition = partition_of(Some(&key), partitions);
        let record = Record {
            key: Some(key),
            value: Some(event.to_string().into_bytes()),
            headers: BTreeMap::new(),
            timestamp: Utc::now(),
        };
        Ok(produce(&client, topic, partition, record).await?)
    }

    /// How many slots of the outbox ring are taken.
    ///
    /// # Errors
    /// The sidecar does not answer.
    pub async fn waiting_slots(&self) -> Result<usize> {
        let url = format!("{}/v1.0/state/state/bulk", self.sidecar_address("tasks")?);
        let keys: Vec<String> = (0..SLOTS).map(slot_key).collect();
        let items: Vec<Value> = self
            .http
            .post(url)
            .header("dapr-api-token", self.api_tokens("tasks")?.dapr_api_token)
            .json(&json!({ "keys": keys }))
            .send()
            .await?
            .error_for_status()?
            .json()
            .await?;
        ensure!(items.len() == keys.len(), "{} slots", items.len());
        Ok(items
            .iter()
            .filter(|item| item.get("data").is_some_and(|data| !data.is_null()))
            .count())
    }

    /// Waits until no event waits in the outbox: then the broker has them all. Gives how long that took.
    ///
    /// # Errors
    /// That takes too long.
    pub async fn settled(&self) -> Result<Duration> {
        let began = Instant::now();
        until("the outbox is empty", SETTLED, async || {
            // A sidecar that was just killed does not answer yet.
            Ok(matches!(self.waiting_slots().await, Ok(0)).then_some(()))
        })
        .await?;
        Ok(began.elapsed())
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.guard.is_some() {
            self.release_guard();
            eprintln!(
                "[{}] kept for inspection: {}",
                self.name,
                self.folder.display()
            );
        }
    }
}

/// The engine that stacks are started on.
fn engine() -> Result<Kind> {
    match std::env::var(ENGINE_VARIABLE) {
        Err(_) => Ok(Kind::default()),
        Ok(name) => [Kind::Embedded, Kind::Cluster]
            .into_iter()
            .find(|kind| kind.to_string() == name)
            .with_context(|| format!("{ENGINE_VARIABLE}: there is no engine `{name}`")),
    }
}

/// That a program ended well.
///
/// # Errors
/// It did not: what it said.
pub fn succeeded(what: &str, output: &Output) -> Result<()> {
    ensure!(
        output.status.success(),
        "`{what}` ended with {}: {}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    Ok(())
}

/// The command line, with everything built that a stack runs. `DOCKET_PROGRAM` says that somebody has done so.
async fn program(project: &Project) -> Result<PathBuf> {
    static PROGRAM: OnceCell<PathBuf> = OnceCell::const_new();
    let made = PROGRAM.get_or_try_init(|| async {
        if let Some(program) = std::env::var_os("DOCKET_PROGRAM") {
            return Ok(PathBuf::from(program));
        }
        let program = build_program(project).await?;
        let built = tokio::process::Command::new(&program)
            .arg("build")
            .current_dir(project.root())
            .stdin(Stdio::null())
            .status()
            .await?;
        ensure!(built.success(), "`cargo docket build` failed");
        Ok(program)
    });
    made.await.cloned()
}

async fn build_program(project: &Project) -> Result<PathBuf> {
    let output = tokio::process::Command::new(env!("CARGO"))
        // Without --package: the features are then those of the whole workspace, as in its other builds.
        .args(["build", "--quiet", "--bin", "docket"])
        .args(["--message-format", "json"])
        .current_dir(project.root())
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await?;
    ensure!(output.status.success(), "the command line does not build");
    let text = String::from_utf8(output.stdout)?;
    let program = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|message| message.get("executable")?.as_str().map(PathBuf::from));
    match program {
        Some(program) => Ok(program),
        None => bail!("cargo does not say where the command line is"),
    }
}
