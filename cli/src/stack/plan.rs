//! What has to run for a stack, with which flags and which environment, and what waits for what.
//!
//! Everything listens on loopback. No secret is on a command line: those are for all to read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use super::configuration::sqlite_path;
use super::engine::Engine;
use super::health::Probe;
use super::process::STACK_VARIABLE;
use super::secrets::{ApiTokens, Secrets, TRUST_DOMAIN};
use crate::layout::{App, DataDir, LayoutError, Ports, Project, Topic};
use crate::machine::{self, Version};

/// The first version of Spin that has WASI 0.3 handlers.
const SPIN: Version = Version::new(4, 1, 0);
/// What children get of the caller's environment.
const PASSED_ON: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LANG"];

/// Why a stack cannot be started as asked.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The project's files do not say enough.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A program was not built.
    #[error("{} is not built; run `cargo docket build`", path.display())]
    NotBuilt {
        /// The file.
        path: PathBuf,
    },
    /// `--host spin` without Spin.
    #[error(
        "--host spin: there is no `spin` on PATH; install Spin {}.{} or later, or leave --host out",
        SPIN.major, SPIN.minor
    )]
    NoSpin,
    /// `--host spin` with a Spin that is too old.
    #[error(
        "--host spin: {} {found}, and Docket needs {}.{} or later; upgrade it, or leave --host out",
        path.display(), SPIN.major, SPIN.minor
    )]
    OldSpin {
        /// The program.
        path: PathBuf,
        /// What is known of its version.
        found: String,
    },
    /// A variable of spin.toml has no value.
    #[error("spin.toml wants a value for `{name}`; set {environment} in the environment")]
    NoValue {
        /// The variable.
        name: String,
        /// Where its value is taken from.
        environment: String,
    },
    /// Another program listens where a part has to.
    #[error(
        "port {port} (for {part}) is taken by another program; end it (`ss -ltnp 'sport = :{port}'` names it) \
         or choose other ports: --port-base N uses N to N+{}",
        Ports::SPAN - 1
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// Who needs it.
        part: String,
    },
    /// A port cannot be listened on for another reason.
    #[error(
        "cannot listen on port {port} (for {part}): {source}; choose other ports with --port-base"
    )]
    PortUnusable {
        /// The port.
        port: u16,
        /// Who needs it.
        part: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Which host runs the functions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum HostChoice {
    /// Spin if a fitting one is on PATH, else the embedded one
    #[default]
    Auto,
    /// `spin up`, 4.1 or later
    Spin,
    /// Docket's own, which needs no installing
    Embedded,
}

/// The host to run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Host {
    /// Ours.
    Embedded(PathBuf),
    /// Spin's, and its version.
    Spin(PathBuf, Version),
}

/// The programs to run.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The broker.
    pub broker: PathBuf,
    /// Sentry.
    pub sentry: PathBuf,
    /// The scheduler.
    pub scheduler: PathBuf,
    /// The sidecar.
    pub daprd: PathBuf,
    /// The host.
    pub host: Host,
}

/// When a part is stopped: the first stage first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Stage {
    /// The host, so that no new request comes in.
    Host,
    /// The sidecars.
    Sidecars,
    /// The scheduler.
    Scheduler,
    /// Sentry.
    Sentry,
    /// The broker, which has to take what the sidecars still publish.
    Broker,
}

/// One part.
#[derive(Clone)]
pub struct Part {
    /// Its name, and its log's.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its whole environment.
    pub environment: BTreeMap<String, OsString>,
    /// The folder that it runs in.
    pub folder: PathBuf,
    /// How its health is asked for.
    pub probe: Probe,
    /// Where it listens, for people.
    pub address: String,
    /// Every port that it listens on.
    pub ports: Vec<u16>,
    /// The parts that have to be healthy before it starts.
    pub needs: Vec<String>,
    /// When it is stopped.
    pub stage: Stage,
    /// Whether it stops at an interrupt rather than at a termination signal.
    pub stops_at_interrupt: bool,
}

/// What a stack is made from.
pub struct Ingredients<'a> {
    /// The project.
    pub project: &'a Project,
    /// Its data folder.
    pub data: &'a DataDir,
    /// Its ports.
    pub ports: Ports,
    /// The programs.
    pub programs: &'a Programs,
    /// Where its broker and its state are.
    pub engine: &'a Engine,
    /// Its secrets.
    pub secrets: &'a Secrets,
    /// The caller's environment.
    pub environment: &'a BTreeMap<String, OsString>,
}

/// The name of an app's sidecar among the parts.
#[must_use]
pub fn sidecar_name(app: &App) -> String {
    format!("dapr-{}", app.id)
}

impl Programs {
    /// Finds the programs: a fitting `daprd` and `spin` on PATH come before ours.
    pub async fn find(
        project: &Project,
        embedded_host: &Path,
        choice: HostChoice,
    ) -> Result<Self, PlanError> {
        let daprd = match machine::fitting_daprd().await {
            Some(path) => path,
            None => built(project.sidecar_program("daprd"))?,
        };
        let spin = match machine::find_on_path("spin") {
            Some(path) if choice != HostChoice::Embedded => {
                let said = machine::version_text(&path, &["--version"])
                    .await
                    .unwrap_or_default();
                Some((path, said))
            }
            _ => None,
        };
        Ok(Self {
            broker: built(project.sidecar_program("docket-broker"))?,
            sentry: built(project.sidecar_program("docket-sentry"))?,
            scheduler: built(project.sidecar_program("docket-scheduler"))?,
            daprd,
            host: choose_host(embedded_host, choice, spin)?,
        })
    }
}

fn built(path: PathBuf) -> Result<PathBuf, PlanError> {
    if path.is_file() {
        Ok(path)
    } else {
        Err(PlanError::NotBuilt { path })
    }
}

/// The host for what was asked and the Spin that there is: its file and what it says of itself.
fn choose_host(
    embedded: &Path,
    choice: HostChoice,
    spin: Option<(PathBuf, String)>,
) -> Result<Host, PlanError> {
    let ours = || built(embedded.to_owned()).map(Host::Embedded);
    match (choice, spin) {
        (HostChoice::Embedded, _) | (HostChoice::Auto, None) => ours(),
        (HostChoice::Spin, None) => Err(PlanError::NoSpin),
        (_, Some((path, said))) => match Version::find(&said) {
            Some(version) if version >= SPIN => Ok(Host::Spin(path, version)),
            found if choice == HostChoice::Spin => {
                let found = found.map_or_else(
                    || "does not tell its version".to_owned(),
                    |version| format!("is version {version}"),
                );
                Err(PlanError::OldSpin { path, found })
            }
            _ => ours(),
        },
    }
}

/// Where the stack's own broker is.
#[must_use]
pub fn own_broker(ports: Ports) -> Vec<String> {
    vec![Ports::address(ports.broker()).to_string()]
}

/// Every part of a stack, in the order in which they are shown.
pub fn parts(from: &Ingredients<'_>) -> Result<Vec<Part>, PlanError> {
    let mut parts = Vec::new();
    if *from.engine == Engine::Embedded {
        parts.push(broker(from, &from.project.topics()?));
    }
    parts.extend([sentry(from), scheduler(from)]);
    for app in from.project.apps() {
        let tokens = from
            .secrets
            .api_tokens
            .get(&app.id)
            .ok_or_else(|| LayoutError::Invalid {
                path: from.data.api_tokens_file(),
                reason: format!("it has no tokens for {}", app.id),
            })?;
        parts.push(sidecar(from, app, tokens));
    }
    parts.push(host(from)?);
    Ok(parts)
}

/// Checks that nothing else listens where the parts have to.
pub fn check_ports(parts: &[Part]) -> Result<(), PlanError> {
    for part in parts {
        for port in &part.ports {
            if let Err(source) = TcpListener::bind(Ports::address(*port)) {
                let (port, part) = (*port, part.name.clone());
                return Err(if source.kind() == std::io::ErrorKind::AddrInUse {
                    PlanError::PortTaken { port, part }
                } else {
                    PlanError::PortUnusable { port, part, source }
                });
            }
        }
    }
    Ok(())
}

/// The variables of spin.toml, as the environment of the host.
fn spin_variables(from: &Ingredients<'_>) -> Result<BTreeMap<String, OsString>, PlanError> {
    let mut values = BTreeMap::new();
    for variable in from.project.variables() {
        let environment = format!("SPIN_VARIABLE_{}", variable.name.to_uppercase());
        let given = from.environment.get(&environment).cloned();
        let ours = from.project.apps().iter().find_map(|app| {
            let tokens = from.secrets.api_tokens.get(&app.id)?;
            match variable.name.strip_prefix(app.variable.as_str())? {
                "_dapr_url" => Some(format!(
                    "http://{}",
                    Ports::address(from.ports.sidecar(app).http)
                )),
                "_dapr_api_token" => Some(tokens.dapr_api_token.clone()),
                "_app_api_token" => Some(tokens.app_api_token.clone()),
                _ => None,
            }
        });
        match ours.map(OsString::from).or(given) {
            Some(value) => {
                values.insert(environment, value);
            }
            None if variable.required && variable.default.is_none() => {
                return Err(PlanError::NoValue {
                    name: variable.name.clone(),
                    environment,
                });
            }
            None => {}
        }
    }
    Ok(values)
}

/// The environment that every child has.
fn environment(from: &Ingredients<'_>) -> BTreeMap<String, OsString> {
    let mut environment: BTreeMap<_, _> = PASSED_ON
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), from.environment.get(*name)?.clone())))
        .collect();
    environment.insert(
        STACK_VARIABLE.to_owned(),
        from.data.root().as_os_str().to_owned(),
    );
    environment.insert("DOCKET_WATCH_STDIN".to_owned(), "1".into());
    environment
}

/// The environment of the Go programs.
fn go_environment(from: &Ingredients<'_>) -> BTreeMap<String, OsString> {
    let mut environment = environment(from);
    environment.insert("NAMESPACE".to_owned(), "default".into());
    environment
}

/// Flags and their values.
#[derive(Default)]
struct Flags(Vec<OsString>);

impl Flags {
    fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.0.push(format!("--{name}").into());
        self.0.push(value.into());
        self
    }

    fn port(self, name: &str, port: u16) -> Self {
        self.with(name, port.to_string())
    }

    /// A flag of Dapr's that is a switch: a value has to be in the same word.
    fn switch(mut self, name: &str, on: bool) -> Self {
        self.0.push(format!("--{name}={on}").into());
        self
    }
}

const LOOPBACK: &str = "127.0.0.1";

fn broker(from: &Ingredients<'_>, topics: &[Topic]) -> Part {
    let port = from.ports.broker();
    let mut flags = Flags::default()
        .with("listen", Ports::address(port).to_string())
        .with("data-dir", from.data.broker());
    for topic in topics {
        flags = flags.with("topic", format!("{}:{}", topic.name, topic.partitions));
    }
    Part {
        name: "broker".to_owned(),
        program: from.programs.broker.clone(),
        arguments: flags.0,
        environment: go_environment(from),
        folder: from.data.root().to_owned(),
        probe: Probe::kafka(port),
        address: Ports::address(port).to_string(),
        ports: vec![port],
        needs: Vec::new(),
        stage: Stage::Broker,
        stops_at_interrupt: false,
    }
}

fn sentry(from: &Ingredients<'_>) -> Part {
    let ports = from.ports;
    let flags = Flags::default()
        .with("config", from.data.local_configuration())
        .with("issuer-credentials", from.data.secrets())
        .with("trust-domain", TRUST_DOMAIN)
        .with("listen-address", LOOPBACK)
        .port("port", ports.sentry())
        .with("healthz-listen-address", LOOPBACK)
        .port("healthz-port", ports.sentry_health())
        .with("metrics-listen-address", LOOPBACK)
        .port("metrics-port", ports.sentry_metrics())
        .switch("log-as-json", true);
    Part {
        name: "sentry".to_owned(),
        program: from.programs.sentry.clone(),
        arguments: flags.0,
        environment: go_environment(from),
        folder: from.data.root().to_owned(),
        probe: Probe::http(ports.sentry_health(), "/healthz"),
        address: Ports::address(ports.sentry()).to_string(),
        ports: vec![
            ports.sentry(),
            ports.sentry_health(),
            ports.sentry_metrics(),
        ],
        needs: Vec::new(),
        stage: Stage::Sentry,
        stops_at_interrupt: false,
    }
}

fn scheduler(from: &Ingredients<'_>) -> Part {
    let ports = from.ports;
    // Its certificate is for this name.
    let id = "dapr-scheduler-server-0";
    let address = Ports::address(ports.scheduler()).to_string();
    let flags = Flags::default()
        .with("listen-address", LOOPBACK)
        .port("port", ports.scheduler())
        .with("override-broadcast-host-port", address.clone())
        .with("healthz-listen-address", LOOPBACK)
        .port("healthz-port", ports.scheduler_health())
        .with("metrics-listen-address", LOOPBACK)
        .port("metrics-port", ports.scheduler_metrics())
        .with("etcd-data-dir", from.data.scheduler())
        .with("etcd-client-listen-address", LOOPBACK)
        .port("etcd-client-port", ports.etcd_client())
        .with(
            "etcd-initial-cluster",
            format!("{id}=http://{LOOPBACK}:{}", ports.etcd_peer()),
        )
        // Dapr's defaults are for a whole cluster's jobs.
        .with("workers", "128")
        .with("etcd-snapshot-count", "10000")
        .switch("tls-enabled", true)
        .with("trust-domain", TRUST_DOMAIN)
        .with("trust-anchors-file", from.data.secrets().join("ca.crt"))
        .with("sentry-address", Ports::address(ports.sentry()).to_string())
        .switch("log-as-json", true);
    Part {
        name: "scheduler".to_owned(),
        program: from.programs.scheduler.clone(),
        arguments: flags.0,
        environment: go_environment(from),
        folder: from.data.root().to_owned(),
        probe: Probe::http(ports.scheduler_health(), "/healthz"),
        address,
        ports: vec![
            ports.scheduler(),
            ports.scheduler_health(),
            ports.scheduler_metrics(),
            ports.etcd_client(),
            ports.etcd_peer(),
        ],
        needs: vec!["sentry".to_owned()],
        stage: Stage::Scheduler,
        stops_at_interrupt: false,
    }
}

fn sidecar(from: &Ingredients<'_>, app: &App, tokens: &ApiTokens) -> Part {
    let ports = from.ports.sidecar(app);
    let components = from.project.components();
    let (engine, brokers) = match from.engine {
        Engine::Embedded => ("local", own_broker(from.ports)),
        Engine::Cluster { brokers, .. } => ("cluster", brokers.clone()),
    };
    let mut flags = Flags::default()
        .with("app-id", app.id.as_str())
        .port("app-port", from.ports.app())
        .with("app-channel-address", LOOPBACK)
        .with("resources-path", components.clone())
        .with("resources-path", components.join("machine"))
        .with("resources-path", components.join(engine))
        .with("resources-path", from.data.own_components());
    if from.data.components().is_dir() {
        flags = flags.with("resources-path", from.data.components());
    }
    let flags = flags
        .with("config", from.project.configuration(app))
        .with("config", from.data.local_configuration())
        .with("dapr-listen-addresses", LOOPBACK)
        .port("dapr-http-port", ports.http)
        .port("dapr-grpc-port", ports.grpc)
        .with("dapr-internal-grpc-listen-address", LOOPBACK)
        .port("dapr-internal-grpc-port", ports.internal_grpc)
        .with("metrics-listen-address", LOOPBACK)
        .port("metrics-port", ports.metrics)
        // Batches and their events; Dapr's own limit is 4 MiB.
        .with("max-body-size", "16Mi")
        .switch("enable-mtls", true)
        .with(
            "sentry-address",
            Ports::address(from.ports.sentry()).to_string(),
        )
        .with("control-plane-trust-domain", TRUST_DOMAIN)
        .with(
            "scheduler-host-address",
            Ports::address(from.ports.scheduler()).to_string(),
        )
        .with("dapr-graceful-shutdown-seconds", "2")
        .switch("enable-api-logging", false)
        .switch("log-as-json", true);
    let mut environment = go_environment(from);
    let database = sqlite_path(&from.data.state_database(&app.id));
    let own: [(&str, OsString); 7] = [
        ("APP_API_TOKEN", tokens.app_api_token.as_str().into()),
        ("DAPR_API_TOKEN", tokens.dapr_api_token.as_str().into()),
        (
            "DAPR_TRUST_ANCHORS",
            from.secrets.root_certificate.as_str().into(),
        ),
        // Other sidecars are told this address, and it is the only one that is listened on.
        ("DAPR_HOST_IP", LOOPBACK.into()),
        ("DOCKET_STATE_CONNECTION", database.into()),
        ("DOCKET_BROKERS", brokers.join(",").into()),
        ("DOCKET_SECRETS_FILE", from.data.secrets_file().into()),
    ];
    environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
    Part {
        name: sidecar_name(app),
        program: from.programs.daprd.clone(),
        arguments: flags.0,
        environment,
        folder: from.data.root().to_owned(),
        probe: Probe::http(ports.http, "/v1.0/healthz"),
        address: Ports::address(ports.http).to_string(),
        ports: vec![ports.http, ports.grpc, ports.internal_grpc, ports.metrics],
        needs: ["broker", "sentry", "scheduler"]
            .into_iter()
            .filter(|part| *part != "broker" || *from.engine == Engine::Embedded)
            .map(str::to_owned)
            .collect(),
        stage: Stage::Sidecars,
        stops_at_interrupt: false,
    }
}

/// How many requests an instance serves in its life. Spin's 128 would end it several times a second under load, and with
/// it what it remembers: verified tokens, segments, slots.
const INSTANCE_REUSE: u32 = 10_000;
/// How many requests an instance serves at once. Most of a request is waiting for the sidecar; changes of one account
/// that are in one instance take turns and do not race.
const INSTANCE_CONCURRENCY: u32 = 64;
/// How many changes one client address may make within a minute: twice what one account may.
const CHANGES_BY_ADDRESS: u32 = 12_000;
/// How many requests of one client address may be refused within a minute for want of a token that counts.
const REFUSALS_BY_ADDRESS: u32 = 120;
/// How many proxies stand before the app: functions are told by the same variable.
const TRUSTED_PROXIES: &str = "SPIN_VARIABLE_TRUSTED_PROXIES";

fn host(from: &Ingredients<'_>) -> Result<Part, PlanError> {
    let port = from.ports.app();
    let listen = Ports::address(port).to_string();
    let mut environment = environment(from);
    environment.extend(spin_variables(from)?);
    let (program, arguments) = match &from.programs.host {
        Host::Embedded(program) => {
            let proxies = environment.get(TRUSTED_PROXIES).cloned();
            let flags = Flags::default()
                .with("manifest", from.project.manifest())
                .with("listen", listen.clone())
                .with("cache-dir", from.data.cache())
                .with("log-format", "json")
                .with("max-instance-reuse-count", INSTANCE_REUSE.to_string())
                .with(
                    "max-instance-concurrent-reuse-count",
                    INSTANCE_CONCURRENCY.to_string(),
                )
                .with("max-changes-per-minute", CHANGES_BY_ADDRESS.to_string())
                .with("max-refusals-per-minute", REFUSALS_BY_ADDRESS.to_string())
                .with("trusted-proxies", proxies.unwrap_or_else(|| "0".into()));
            (program.clone(), flags.0)
        }
        Host::Spin(program, _) => {
            let mut arguments = vec!["up".into(), "-f".into(), from.project.manifest().into()];
            let flags = Flags::default()
                .with("listen", listen.clone())
                .with("state-dir", from.data.run().join("spin"))
                // Its own copy of what the functions print would grow without bound.
                .with("log-dir", "")
                .with("max-instance-reuse-count", INSTANCE_REUSE.to_string())
                .with(
                    "max-instance-concurrent-reuse-count",
                    INSTANCE_CONCURRENCY.to_string(),
                );
            arguments.extend(flags.0);
            (program.clone(), arguments)
        }
    };
    Ok(Part {
        name: "host".to_owned(),
        stops_at_interrupt: matches!(from.programs.host, Host::Spin(..)),
        program,
        arguments,
        environment,
        folder: from.project.root().to_owned(),
        probe: Probe::http(port, "/.well-known/spin/health"),
        address: format!("http://{listen}"),
        ports: vec![port],
        needs: Vec::new(),
        stage: Stage::Host,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::engine::PostgresUrl;
    use crate::stack::folder;

    struct Made {
        _parent: tempfile::TempDir,
        project: Project,
        data: DataDir,
        secrets: Secrets,
    }

    fn made() -> Made {
        let parent = tempfile::tempdir().unwrap();
        let project = Project::find_from(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        let data = folder::prepare(&DataDir::new(parent.path().join("data"))).unwrap();
        let (secrets, _) =
            Secrets::ensure(&data, project.apps(), std::time::SystemTime::now().into()).unwrap();
        Made {
            _parent: parent,
            project,
            data,
            secrets,
        }
    }

    fn programs(host: Host) -> Programs {
        let program = |name: &str| PathBuf::from("/bin").join(name);
        Programs {
            broker: program("broker"),
            sentry: program("sentry"),
            scheduler: program("scheduler"),
            daprd: program("daprd"),
            host,
        }
    }

    fn planned(made: &Made, host: Host, environment: &[(&str, &str)]) -> Vec<Part> {
        planned_on(&Engine::Embedded, made, host, environment)
    }

    fn planned_on(
        engine: &Engine,
        made: &Made,
        host: Host,
        environment: &[(&str, &str)],
    ) -> Vec<Part> {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.into()))
            .collect();
        let from = Ingredients {
            project: &made.project,
            data: &made.data,
            ports: Ports::new(4100).unwrap(),
            programs: &programs(host),
            engine,
            secrets: &made.secrets,
            environment: &environment,
        };
        parts(&from).unwrap()
    }

    #[test]
    fn no_secret_is_on_a_command_line_and_none_goes_where_it_is_not_needed() {
        let made = made();
        let parts = planned(
            &made,
            Host::Embedded("/bin/host".into()),
            &[("AWS_SECRET", "x"), ("PATH", "/bin")],
        );
        let signing = std::fs::read_to_string(made.data.secrets_file()).unwrap();
        let signing: serde_json::Value = serde_json::from_str(&signing).unwrap();
        let mut seed = signing["jwt-signing"].as_object().unwrap().values();
        let seed = seed.next_back().unwrap().as_str().unwrap().to_owned();
        let mut secrets = vec![seed.clone()];
        for pair in made.secrets.api_tokens.values() {
            secrets.extend([pair.app_api_token.clone(), pair.dapr_api_token.clone()]);
        }
        for part in &parts {
            for secret in &secrets {
                let shown = part
                    .arguments
                    .iter()
                    .any(|one| one.to_string_lossy().contains(secret));
                assert!(!shown, "{}", part.name);
            }
            let environment: Vec<_> = part
                .environment
                .values()
                .map(|value| value.to_string_lossy())
                .collect();
            assert!(
                !environment.iter().any(|value| value.contains(&seed)),
                "{}",
                part.name
            );
            assert!(
                !environment
                    .iter()
                    .any(|value| value.contains("PRIVATE KEY")),
                "{}",
                part.name
            );
            assert!(
                !part.environment.contains_key("AWS_SECRET"),
                "{}",
                part.name
            );
            assert_eq!(part.environment["PATH"], "/bin");
            assert_eq!(part.environment["DOCKET_WATCH_STDIN"], "1");
        }
    }

    #[test]
    fn servers_that_run_elsewhere_are_no_parts_and_their_password_reaches_none() {
        let made = made();
        let postgres = PostgresUrl::parse("postgres://u:pass@db/d").unwrap();
        let brokers = vec!["a:1".to_owned(), "b:2".to_owned()];
        let engine = Engine::Cluster { brokers, postgres };
        let host = Host::Embedded("/bin/host".into());
        let given = [("DOCKET_POSTGRES", "postgres://u:pass@db/d")];
        let parts = planned_on(&engine, &made, host, &given);
        let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
        assert!(!names.contains(&"broker"), "{names:?}");
        for part in &parts {
            assert!(!part.needs.contains(&"broker".to_owned()), "{}", part.name);
            let words = part.arguments.iter().chain(part.environment.values());
            assert!(
                !words
                    .into_iter()
                    .any(|word| word.to_string_lossy().contains("pass"))
            );
        }
        let sidecar = parts.iter().find(|part| part.name == "dapr-tasks").unwrap();
        assert_eq!(sidecar.environment["DOCKET_BROKERS"], "a:1,b:2");
        let folders = |name: &str| {
            let folder = made.project.components().join(name);
            sidecar.arguments.contains(&folder.into_os_string())
        };
        assert!(folders("cluster") && folders("machine") && !folders("local"));
    }

    #[test]
    fn every_port_is_given_and_no_other_address_than_loopback() {
        let made = made();
        let parts = planned(&made, Host::Embedded("/bin/host".into()), &[]);
        let mut ports: Vec<_> = parts.iter().flat_map(|part| part.ports.clone()).collect();
        let all = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), all);
        for part in &parts {
            let words = part
                .arguments
                .iter()
                .map(|one| one.to_string_lossy())
                .collect::<Vec<_>>()
                .join(" ");
            for port in &part.ports {
                assert!(
                    words.contains(&port.to_string()),
                    "{}: {port}: {words}",
                    part.name
                );
            }
            assert!(
                !words.contains("0.0.0.0") && !words.contains("localhost"),
                "{words}"
            );
        }
    }

    #[test]
    fn what_a_part_needs_is_a_part_and_nothing_waits_in_a_circle() {
        let made = made();
        let parts = planned(&made, Host::Embedded("/bin/host".into()), &[]);
        let mut started: Vec<&str> = Vec::new();
        while started.len() < parts.len() {
            let next = parts.iter().find(|part| {
                !started.contains(&part.name.as_str())
                    && part
                        .needs
                        .iter()
                        .all(|need| started.contains(&need.as_str()))
            });
            started.push(&next.unwrap().name);
        }
    }

    #[test]
    fn the_host_gets_the_variables_of_spin_toml() {
        let made = made();
        let given = [("SPIN_VARIABLE_TASKS_DAPR_URL", "http://elsewhere")];
        for host in [
            Host::Embedded("/bin/host".into()),
            Host::Spin("/bin/spin".into(), Version::new(4, 1, 0)),
        ] {
            let parts = planned(&made, host, &given);
            let host = parts.last().unwrap();
            // Outside, the name may point anywhere; in a stack it is the stack's own sidecar.
            assert_eq!(
                host.environment["SPIN_VARIABLE_TASKS_DAPR_URL"],
                "http://127.0.0.1:4120"
            );
            let token = made.secrets.api_tokens["tasks"].dapr_api_token.as_str();
            assert_eq!(
                host.environment["SPIN_VARIABLE_TASKS_DAPR_API_TOKEN"],
                token
            );
        }
    }

    #[test]
    fn the_host_is_chosen_by_what_is_there() {
        let folder = tempfile::tempdir().unwrap();
        let ours = folder.path().join("docket-host");
        std::fs::write(&ours, "").unwrap();
        let spin = |said: &str| Some((PathBuf::from("/bin/spin"), said.to_owned()));
        let embedded = Host::Embedded(ours.clone());
        let theirs = Host::Spin("/bin/spin".into(), Version::new(4, 1, 0));
        let new = "spin 4.1.0 (abc1234 2026-05-01)";
        let works = [
            (HostChoice::Auto, None, &embedded),
            (HostChoice::Auto, spin("spin 4.0.9"), &embedded),
            (HostChoice::Auto, spin(""), &embedded),
            (HostChoice::Auto, spin(new), &theirs),
            (HostChoice::Spin, spin(new), &theirs),
            (HostChoice::Embedded, spin(new), &embedded),
        ];
        for (choice, spin, expected) in works {
            assert_eq!(&choose_host(&ours, choice, spin).unwrap(), expected);
        }
        let fails = [
            (
                HostChoice::Spin,
                None,
                "no `spin` on PATH; install Spin 4.1 or later",
            ),
            (
                HostChoice::Spin,
                spin("spin 4.0.9"),
                "/bin/spin is version 4.0.9, and Docket needs 4.1",
            ),
            (
                HostChoice::Spin,
                spin("?"),
                "/bin/spin does not tell its version, and Docket needs 4.1",
            ),
        ];
        for (choice, spin, expected) in fails {
            let told = choose_host(&ours, choice, spin).unwrap_err().to_string();
            assert!(told.contains(expected), "{told}");
        }
        std::fs::remove_file(&ours).unwrap();
        let told = choose_host(&ours, HostChoice::Auto, None)
            .unwrap_err()
            .to_string();
        assert!(
            told.ends_with("is not built; run `cargo docket build`"),
            "{told}"
        );
    }

    #[test]
    fn a_taken_port_is_told_with_its_part() {
        let made = made();
        let mut parts = planned(&made, Host::Embedded("/bin/host".into()), &[]);
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        parts.truncate(1);
        parts[0].ports = vec![port];
        let told = check_ports(&parts).unwrap_err().to_string();
        assert!(
            told.starts_with(&format!("port {port} (for broker) is taken")),
            "{told}"
        );
        drop(taken);
        check_ports(&parts).unwrap();
    }
}
