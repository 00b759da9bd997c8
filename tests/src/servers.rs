//! Servers that are not Docket's, for stacks on the engine for many machines: an Apache Kafka of one node and a
//! PostgreSQL, on loopback and in folders of their own. Each is started again when it dies, as any service manager does,
//! and ends with this process, however that ends.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use docket_cli::build::cargo;
use docket_cli::layout::{Ports, Project};
use docket_cli::stack::health::Probe;
use docket_cli::stack::process::Identity;
use docket_cli::testing::{kafka, postgres};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::until;

/// A part of the database's password; no log and no command line may have it.
pub const PASSWORD: &str = "a secret & more";
/// The same as it stands in an address.
const PASSWORD_ESCAPED: &str = "a%20secret%20%26%20more";
/// Above the ports of a stack's own parts, and those that a test takes for itself.
const BROKER: u16 = 95;
const CONTROLLER: u16 = 96;
const POSTGRES: u16 = 97;
/// How long a server may take until it answers.
const READY: Duration = Duration::from_secs(60);
const KEEP: &str = include_str!("keep.sh");

/// A Kafka and a PostgreSQL.
pub struct Servers {
    broker: Server,
    postgres: Server,
    broker_address: String,
    postgres_url: String,
    // Removed when the servers have ended: fields go in this order.
    folder: tempfile::TempDir,
}

/// A server and what keeps it running.
pub struct Server {
    name: &'static str,
    pid_file: PathBuf,
    probe: Probe,
    port: u16,
    keeper: Child,
}

impl Servers {
    /// Starts both, on ports of the stack's range.
    ///
    /// # Errors
    /// Java or PostgreSQL cannot be had, or a server does not start; the error says what to do.
    pub async fn start(project: &Project, ports: Ports) -> Result<Self> {
        let workspace = cargo::Workspace::load(&project.root().join("Cargo.toml")).await?;
        let java = kafka::java().await?;
        let jars = kafka::jars(&workspace.target_dir).await?;
        let programs = postgres::programs().await?;
        let folder = tempfile::Builder::new()
            .prefix("docket-servers-")
            .tempdir()?;
        // The user of the database has to come through; each server's own folder is closed.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711))?;
        let port = |offset| ports.base() + offset;
        let broker = start_kafka(&java, &jars, folder.path(), port(BROKER), port(CONTROLLER))?;
        let postgres = start_postgres(&programs, folder.path(), port(POSTGRES))?;
        let servers = Self {
            broker,
            postgres,
            broker_address: Ports::address(port(BROKER)).to_string(),
            postgres_url: format!(
                "postgres://docket:{PASSWORD_ESCAPED}@{}/docket?sslmode=disable",
                Ports::address(port(POSTGRES))
            ),
            folder,
        };
        for server in [&servers.broker, &servers.postgres] {
            if let Err(error) = server.healthy().await {
                let log = std::fs::read_to_string(servers.log(server.name)).unwrap_or_default();
                let last: Vec<&str> = log.lines().rev().take(8).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                return Err(error.context(last.join("\n")));
            }
        }
        Ok(servers)
    }

    /// Where the broker is: `host:port`.
    #[must_use]
    pub fn broker_address(&self) -> &str {
        &self.broker_address
    }

    /// Where the database is, with its user and password.
    #[must_use]
    pub fn postgres_url(&self) -> &str {
        &self.postgres_url
    }

    /// The server of that name: `broker` or `postgres`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Server> {
        [&self.broker, &self.postgres]
            .into_iter()
            .find(|server| server.name == name)
    }

    fn log(&self, name: &str) -> PathBuf {
        log(self.folder.path(), name)
    }
}

impl Server {
    /// Its process.
    ///
    /// # Errors
    /// It does not run.
    pub async fn process(&self) -> Result<Identity> {
        until(&format!("{} runs", self.name), READY, async || {
            let pid = std::fs::read_to_string(&self.pid_file).unwrap_or_default();
            Ok(pid.trim().parse().ok().and_then(Identity::of))
        })
        .await
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// That takes too long.
    pub async fn healthy(&self) -> Result<()> {
        until(&format!("{} answers", self.name), READY, async || {
            Ok(self.answers().await.then_some(()))
        })
        .await
    }

    /// Waits until another process than this one answers.
    ///
    /// # Errors
    /// That takes too long.
    pub async fn is_back(&self, before: &Identity) -> Result<()> {
        until(&format!("{} is back", self.name), READY, async || {
            let another = self.process().await? != *before;
            Ok((another && self.answers().await).then_some(()))
        })
        .await
    }

    async fn answers(&self) -> bool {
        self.probe.ask().await.is_ok()
            && (self.name != "postgres" || lets_in(self.port).await.unwrap_or(false))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It ends when its server has.
        let _ = self.keeper.wait();
    }
}

/// Whether a PostgreSQL asks for a password: while it recovers from a crash it answers, and lets nobody in.
async fn lets_in(port: u16) -> Result<bool> {
    const PARAMETERS: &[u8] = b"user\0docket\0database\0docket\0\0";
    const VERSION: u32 = 3 << 16;
    let mut stream = TcpStream::connect(Ports::address(port)).await?;
    let length = u32::try_from(8 + PARAMETERS.len())?;
    stream.write_u32(length).await?;
    stream.write_u32(VERSION).await?;
    stream.write_all(PARAMETERS).await?;
    Ok(stream.read_u8().await? == b'R')
}

fn log(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.log"))
}

/// Has a server kept: `command` is run again whenever it dies, and ended by `signal`.
fn keep(
    name: &'static str,
    folder: &Path,
    port: u16,
    signal: &str,
    user: Option<User>,
    command: &[&std::ffi::OsStr],
) -> Result<Server> {
    let address = Ports::address(port);
    let probe = match name {
        "postgres" => Probe::Postgres { address },
        _ => Probe::Kafka { address },
    };
    let said = std::fs::File::create(log(folder, name))?;
    let own = folder.join(name);
    let pid_file = own.join("pid");
    let mut keeper = Command::new("bash");
    keeper
        .args(["-c", KEEP, "keep"])
        .arg(&pid_file)
        .arg(signal)
        .args(command)
        .current_dir(&own)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(said.try_clone()?)
        .stderr(said);
    if let Some(user) = user {
        keeper.uid(user.id).gid(user.group);
    }
    Ok(Server {
        name,
        pid_file,
        probe,
        port,
        keeper: keeper.spawn().context("cannot run bash")?,
    })
}

fn start_kafka(
    java: &Path,
    jars: &Path,
    folder: &Path,
    port: u16,
    controller: u16,
) -> Result<Server> {
    let own = folder.join("broker");
    std::fs::create_dir(&own)?;
    let properties = own.join("server.properties");
    let data = own.join("data");
    std::fs::write(&properties, settings(&data, port, controller))?;
    let classes = jars.join("*");
    // One JVM compiles little and is up in two seconds; nobody waits for its best speed.
    let flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
    let log_level = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn";
    let formatted = Command::new(java)
        .args(flags)
        .arg(log_level)
        .arg("-cp")
        .arg(&classes)
        .args(["kafka.tools.StorageTool", "format", "--cluster-id"])
        // Any 16 bytes.
        .arg(URL_SAFE_NO_PAD.encode(b"docket's cluster"))
        .arg("--config")
        .arg(&properties)
        .stdin(Stdio::null())
        .output()?;
    ensure!(
        formatted.status.success(),
        "Kafka's folder cannot be made: {}",
        String::from_utf8_lossy(&formatted.stderr)
    );
    let mut command: Vec<&std::ffi::OsStr> = vec![java.as_os_str()];
    command.extend(flags.map(std::ffi::OsStr::new));
    command.extend([log_level, "-cp"].map(std::ffi::OsStr::new));
    command.extend([
        classes.as_os_str(),
        "kafka.Kafka".as_ref(),
        properties.as_os_str(),
    ]);
    keep("broker", folder, port, "KILL", None, &command)
}

/// One node that is broker and controller. All else is Kafka's default but for what only waits in a cluster of one.
fn settings(data: &Path, port: u16, controller: u16) -> String {
    format!(
        "process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=CLIENTS://127.0.0.1:{port}
inter.broker.listener.name=CLIENTS
controller.listener.names=CONTROLLER
listener.security.protocol.map=CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
",
        data.display()
    )
}

/// Who runs the database: it refuses to run as root.
#[derive(Clone, Copy)]
struct User {
    id: u32,
    group: u32,
}

/// The user that Debian's package makes, if this process is root's.
fn database_user(own: &Path) -> Result<Option<User>> {
    // Whoever made the folder is who this is.
    if std::fs::metadata(own)?.uid() != 0 {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd")?;
    let user = users.lines().find_map(|line| {
        let mut fields = line.strip_prefix("postgres:")?.split(':').skip(1);
        let id = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        Some(User { id, group })
    });
    let user = user.context("PostgreSQL does not run as root, and there is no user `postgres`; make one (`adduser --system --group postgres`)")?;
    Ok(Some(user))
}

fn start_postgres(programs: &Path, folder: &Path, port: u16) -> Result<Server> {
    let own = folder.join("postgres");
    std::fs::create_dir(&own)?;
    let user = database_user(&own)?;
    let password = own.join("password");
    std::fs::write(&password, PASSWORD)?;
    std::fs::set_permissions(&own, std::fs::Permissions::from_mode(0o700))?;
    if let Some(User { id, group }) = user {
        for path in [&own, &password] {
            chown(path, Some(id), Some(group))?;
        }
    }
    let run = |program: &str, words: &[&std::ffi::OsStr], input: &str| -> Result<()> {
        use std::io::Write as _;
        let mut command = Command::new(programs.join(program));
        command
            .args(words)
            .current_dir(&own)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(user) = user {
            command.uid(user.id).gid(user.group);
        }
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        stdin.context("a pipe")?.write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        ensure!(
            output.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(())
    };
    let data = own.join("data");
    let mut words: Vec<&std::ffi::OsStr> = vec!["-D".as_ref(), data.as_os_str()];
    words.extend(["-U", "docket", "-A", "scram-sha-256", "-E", "UTF8"].map(std::ffi::OsStr::new));
    words.extend(["--locale=C", "--no-sync", "--pwfile"].map(std::ffi::OsStr::new));
    words.push(password.as_os_str());
    run("initdb", &words, "")?;
    let single = [
        "--single".as_ref(),
        "-D".as_ref(),
        data.as_os_str(),
        "postgres".as_ref(),
    ];
    run("postgres", &single, "CREATE DATABASE docket\n")?;
    let program = programs.join("postgres");
    let port_text = port.to_string();
    let mut command = vec![program.as_os_str(), "-D".as_ref(), data.as_os_str()];
    command
        .extend(["-p", &port_text, "-c", "listen_addresses=127.0.0.1"].map(std::ffi::OsStr::new));
    command.extend(["-c", "unix_socket_directories="].map(std::ffi::OsStr::new));
    // At once, and with what it shares with nobody given back.
    keep("postgres", folder, port, "QUIT", user, &command)
}
