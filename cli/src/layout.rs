//! Where things are: the project's folders, the functions that spin.toml names, a stack's data
//! folder and its ports. Nothing here starts or writes anything; it only tells.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Why a place could not be told.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// No folder above the current one is a Docket checkout.
    #[error(
        "{} is not inside a Docket checkout (no spin.toml beside a Cargo.toml above it); change to one first",
        start.display()
    )]
    NotAProject {
        /// Where the search began.
        start: PathBuf,
    },
    /// A file of the project cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of the project says something that makes no sense.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
    /// The port base leaves no room for the ports above it.
    #[error(
        "port base {base} is out of range; give --port-base a number from {} to {}",
        Ports::LOWEST,
        Ports::HIGHEST
    )]
    PortBase {
        /// What was asked for.
        base: u16,
    },
}

/// A checkout of the project: its root and what spin.toml says.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
    functions: Vec<Function>,
    apps: Vec<App>,
    variables: Vec<Variable>,
}

/// One `[component.<id>]` of spin.toml.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Function {
    /// Component id = folder under functions/ = cargo package.
    pub id: String,
    /// Where the built component has to be, relative to the root.
    pub source: PathBuf,
    /// The build command of `[component.<id>.build]`, if there is one.
    pub build_command: Option<String>,
    /// The globs (relative to the root) whose files make the component stale.
    pub watch: Vec<String>,
}

/// A Dapr app id: a function that has a variable `<function>_dapr_url`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct App {
    /// Dapr's app id, the function's id.
    pub id: String,
    /// The id as it stands in variable names: `-` is `_` there.
    pub variable: String,
    /// Its place among the apps, which decides its ports.
    pub index: u16,
}

/// One entry of `[variables]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Variable {
    /// The variable's name.
    pub name: String,
    /// The value when none is given.
    pub default: Option<String>,
    /// Whether a value has to be given.
    pub required: bool,
    /// Whether its value must not be shown.
    pub secret: bool,
}

/// A topic of the embedded broker.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct Topic {
    /// The topic's name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
}

impl Project {
    /// The checkout that the current folder is in.
    pub fn find() -> Result<Self, LayoutError> {
        let here = std::env::current_dir().map_err(|source| LayoutError::Read {
            path: PathBuf::from("."),
            source,
        })?;
        Self::find_from(&here)
    }

    /// The checkout that `start` is in.
    pub fn find_from(start: &Path) -> Result<Self, LayoutError> {
        start
            .ancestors()
            .find(|folder| {
                folder.join("spin.toml").is_file() && folder.join("Cargo.toml").is_file()
            })
            .ok_or_else(|| LayoutError::NotAProject {
                start: start.to_owned(),
            })
            .and_then(Self::open)
    }

    /// The checkout whose root is `root`.
    pub fn open(root: &Path) -> Result<Self, LayoutError> {
        let path = root.join("spin.toml");
        let text = read(&path)?;
        let (functions, apps, variables) =
            read_manifest(&text).map_err(|reason| LayoutError::Invalid {
                path: path.clone(),
                reason,
            })?;
        Ok(Self {
            root: root.to_owned(),
            functions,
            apps,
            variables,
        })
    }

    /// The checkout's root folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// spin.toml.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.root.join("spin.toml")
    }

    /// The Dapr resources of every environment.
    #[must_use]
    pub fn components(&self) -> PathBuf {
        self.root.join("components")
    }

    /// The Dapr configuration of an app.
    #[must_use]
    pub fn configuration(&self, app: &App) -> PathBuf {
        self.components()
            .join("configurations")
            .join(format!("{}.yaml", app.id))
    }

    /// The Go module of the native parts.
    #[must_use]
    pub fn sidecars(&self) -> PathBuf {
        self.root.join("sidecars")
    }

    /// Where a program that is built from the Go module lies.
    #[must_use]
    pub fn sidecar_program(&self, name: &str) -> PathBuf {
        self.sidecars().join("bin").join(name)
    }

    /// The file of the broker's topics.
    #[must_use]
    pub fn topics_file(&self) -> PathBuf {
        self.components().join("kafka").join("topics.yaml")
    }

    /// Every component of spin.toml, in the file's order.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// Every Dapr app id, in the file's order of their variables.
    #[must_use]
    pub fn apps(&self) -> &[App] {
        &self.apps
    }

    /// The app with this id.
    #[must_use]
    pub fn app(&self, id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.id == id)
    }

    /// Every `[variables]` entry, in the file's order.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The broker's topics.
    pub fn topics(&self) -> Result<Vec<Topic>, LayoutError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct File {
            topics: Vec<Topic>,
        }
        let path = self.topics_file();
        let text = read(&path)?;
        serde_saphyr::from_str::<File>(&text)
            .map(|file| file.topics)
            .map_err(|error| LayoutError::Invalid {
                path,
                reason: error.to_string(),
            })
    }

    /// The data folder that a command uses: the one asked for (relative to the current folder), or
    /// `.docket` at the checkout's root.
    pub fn data_dir(&self, asked: Option<&Path>) -> Result<DataDir, LayoutError> {
        let root = match asked {
            Some(path) => std::path::absolute(path).map_err(|source| LayoutError::Read {
                path: path.to_owned(),
                source,
            })?,
            None => self.root.join(".docket"),
        };
        Ok(DataDir::new(root))
    }
}

/// A stack's data folder: only paths; `up` makes what is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DataDir {
    root: PathBuf,
}

impl DataDir {
    /// The data folder at an absolute path.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Says which layout the folder has.
    #[must_use]
    pub fn version_file(&self) -> PathBuf {
        self.root.join("version")
    }

    /// Which engine the folder's state is in.
    #[must_use]
    pub fn engine_file(&self) -> PathBuf {
        self.root.join("engine.json")
    }

    /// Keys, tokens and certificates.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.root.join("secrets")
    }

    /// What Dapr's secret store reads: `jwt-signing`, `jwt-keys`, `refresh-key` and `inbox-key`.
    #[must_use]
    pub fn secrets_file(&self) -> PathBuf {
        self.secrets().join("secrets.json")
    }

    /// Each app's pair of API tokens.
    #[must_use]
    pub fn api_tokens_file(&self) -> PathBuf {
        self.secrets().join("api-tokens.json")
    }

    /// The sidecars' databases.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.root.join("state")
    }

    /// An app's state database.
    #[must_use]
    pub fn state_database(&self, app: &str) -> PathBuf {
        self.state().join(format!("{app}.db"))
    }

    /// Where the sidecars find each other.
    #[must_use]
    pub fn names_database(&self) -> PathBuf {
        self.state().join("names.db")
    }

    /// The broker's records.
    #[must_use]
    pub fn broker(&self) -> PathBuf {
        self.root.join("broker")
    }

    /// The scheduler's jobs.
    #[must_use]
    pub fn scheduler(&self) -> PathBuf {
        self.root.join("scheduler")
    }

    /// Dapr resources of this stack alone, if somebody made them: they add to the project's, and win over those of the
    /// same name.
    #[must_use]
    pub fn components(&self) -> PathBuf {
        self.root.join("components")
    }

    /// Everything's logs.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// A process's log.
    #[must_use]
    pub fn log_file(&self, process: &str) -> PathBuf {
        self.logs().join(format!("{process}.jsonl"))
    }

    /// The host's compiled components.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// What only a running stack needs.
    #[must_use]
    pub fn run(&self) -> PathBuf {
        self.root.join("run")
    }

    /// What runs, where, and under which process ids.
    #[must_use]
    pub fn stack_file(&self) -> PathBuf {
        self.run().join("stack.json")
    }

    /// Held by the `up` that owns the folder.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.run().join("lock")
    }

    /// What a detached supervisor says until all is healthy.
    #[must_use]
    pub fn supervisor_output(&self) -> PathBuf {
        self.run().join("up.out")
    }

    /// The Dapr components that only this stack has.
    #[must_use]
    pub fn own_components(&self) -> PathBuf {
        self.run().join("components")
    }

    /// The Dapr configuration of this machine, which adds to each app's own.
    #[must_use]
    pub fn local_configuration(&self) -> PathBuf {
        self.run().join("local.yaml")
    }
}

/// A stack's ports, all on loopback, counted from one base.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ports {
    base: u16,
}

/// The four ports of a sidecar.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SidecarPorts {
    /// Dapr's HTTP API.
    pub http: u16,
    /// Dapr's gRPC API.
    pub grpc: u16,
    /// What other sidecars call.
    pub internal_grpc: u16,
    /// Prometheus metrics.
    pub metrics: u16,
}

impl Ports {
    /// The base when none is asked for.
    pub const DEFAULT: u16 = 3000;
    /// Below it ports need privileges.
    pub const LOWEST: u16 = 1024;
    /// Above it a stack's ports would not fit.
    pub const HIGHEST: u16 = u16::MAX - Self::SPAN;
    /// How many ports a stack may use: bases of two stacks have to be this far apart.
    pub const SPAN: u16 = 100;
    const FIRST_SIDECAR: u16 = 20;
    const PER_SIDECAR: u16 = 5;

    /// The ports above `base`.
    pub fn new(base: u16) -> Result<Self, LayoutError> {
        if (Self::LOWEST..=Self::HIGHEST).contains(&base) {
            Ok(Self { base })
        } else {
            Err(LayoutError::PortBase { base })
        }
    }

    /// The base.
    #[must_use]
    pub fn base(self) -> u16 {
        self.base
    }

    /// The app's address, which people use.
    #[must_use]
    pub fn app(self) -> u16 {
        self.base
    }

    /// The gateway.
    #[must_use]
    pub fn gateway(self) -> u16 {
        self.base + 1
    }

    /// The Kafka protocol.
    #[must_use]
    pub fn broker(self) -> u16 {
        self.base + 2
    }

    /// Sentry's gRPC.
    #[must_use]
    pub fn sentry(self) -> u16 {
        self.base + 3
    }

    /// Sentry's health.
    #[must_use]
    pub fn sentry_health(self) -> u16 {
        self.base + 4
    }

    /// Sentry's metrics.
    #[must_use]
    pub fn sentry_metrics(self) -> u16 {
        self.base + 5
    }

    /// The scheduler's gRPC.
    #[must_use]
    pub fn scheduler(self) -> u16 {
        self.base + 6
    }

    /// The scheduler's health.
    #[must_use]
    pub fn scheduler_health(self) -> u16 {
        self.base + 7
    }

    /// The scheduler's etcd, for clients.
    #[must_use]
    pub fn etcd_client(self) -> u16 {
        self.base + 8
    }

    /// The scheduler's etcd, for its peers.
    #[must_use]
    pub fn etcd_peer(self) -> u16 {
        self.base + 9
    }

    /// The scheduler's metrics.
    #[must_use]
    pub fn scheduler_metrics(self) -> u16 {
        self.base + 10
    }

    /// The host's own metrics.
    #[must_use]
    pub fn host_metrics(self) -> u16 {
        self.base + 11
    }

    /// The ports of an app's sidecar.
    #[must_use]
    pub fn sidecar(self, app: &App) -> SidecarPorts {
        let first = self.base + Self::FIRST_SIDECAR + Self::PER_SIDECAR * app.index;
        SidecarPorts {
            http: first,
            grpc: first + 1,
            internal_grpc: first + 2,
            metrics: first + 3,
        }
    }

    /// How many sidecars fit.
    #[must_use]
    pub fn sidecar_limit() -> usize {
        usize::from((Self::SPAN - Self::FIRST_SIDECAR) / Self::PER_SIDECAR)
    }

    /// The address of a port: the only interface that any part listens on.
    #[must_use]
    pub fn address(port: u16) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, port))
    }
}

fn read(path: &Path) -> Result<String, LayoutError> {
    std::fs::read_to_string(path).map_err(|source| LayoutError::Read {
        path: path.to_owned(),
        source,
    })
}

#[derive(Deserialize)]
struct ManifestFile {
    #[serde(default)]
    variables: toml::Table,
    #[serde(default)]
    component: toml::Table,
}

#[derive(Deserialize)]
struct VariableEntry {
    default: Option<String>,
    #[serde(default)]
    required: bool,
    #[serde(default)]
    secret: bool,
}

#[derive(Deserialize)]
struct ComponentEntry {
    source: toml::Value,
    build: Option<BuildEntry>,
}

#[derive(Deserialize)]
struct BuildEntry {
    command: toml::Value,
    #[serde(default)]
    watch: Vec<String>,
}

type Manifest = (Vec<Function>, Vec<App>, Vec<Variable>);

fn read_manifest(text: &str) -> Result<Manifest, String> {
    let file: ManifestFile = toml::from_str(text).map_err(|error| error.to_string())?;
    let mut functions = Vec::new();
    for (id, value) in file.component {
        let entry: ComponentEntry = value
            .try_into()
            .map_err(|error| format!("component {id}: {error}"))?;
        let source = entry
            .source
            .as_str()
            .ok_or_else(|| format!("component {id}: `source` has to be a path in the project"))?;
        let build_command = match entry.build.as_ref().map(|build| &build.command) {
            None => None,
            Some(toml::Value::String(one)) => Some(one.clone()),
            Some(_) => {
                return Err(format!(
                    "component {id}: `build.command` has to be one string"
                ));
            }
        };
        functions.push(Function {
            source: PathBuf::from(source),
            build_command,
            watch: entry.build.map(|build| build.watch).unwrap_or_default(),
            id,
        });
    }
    let mut variables = Vec::new();
    for (name, value) in file.variables {
        let entry: VariableEntry = value
            .try_into()
            .map_err(|error| format!("variable {name}: {error}"))?;
        variables.push(Variable {
            name,
            default: entry.default,
            required: entry.required,
            secret: entry.secret,
        });
    }
    let apps = read_apps(&functions, &variables)?;
    Ok((functions, apps, variables))
}

fn read_apps(functions: &[Function], variables: &[Variable]) -> Result<Vec<App>, String> {
    let mut apps = Vec::new();
    for variable in variables {
        let Some(prefix) = variable.name.strip_suffix("_dapr_url") else {
            continue;
        };
        let id = functions
            .iter()
            .map(|function| &function.id)
            .find(|id| id.replace('-', "_") == prefix)
            .ok_or_else(|| {
                format!(
                    "variable {} names no component: there is no [component.{prefix}]",
                    variable.name
                )
            })?;
        for suffix in ["dapr_api_token", "app_api_token"] {
            let name = format!("{prefix}_{suffix}");
            if !variables.iter().any(|variable| variable.name == name) {
                return Err(format!(
                    "function {id} has a sidecar but no variable {name}"
                ));
            }
        }
        let index = u16::try_from(apps.len()).map_err(|error| error.to_string())?;
        apps.push(App {
            id: id.clone(),
            variable: prefix.to_owned(),
            index,
        });
    }
    if apps.len() > Ports::sidecar_limit() {
        return Err(format!(
            "{} functions have a sidecar, but a stack has ports for {}",
            apps.len(),
            Ports::sidecar_limit()
        ));
    }
    Ok(apps)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = r#"
        spin_manifest_version = 2
        [variables]
        zeta_dapr_url = { default = "http://127.0.0.1:3020" }
        zeta_dapr_api_token = { required = true, secret = true }
        zeta_app_api_token = { required = true, secret = true }
        two_words_dapr_url = { default = "http://127.0.0.1:3025" }
        two_words_dapr_api_token = { required = true, secret = true }
        two_words_app_api_token = { required = true, secret = true }
        [component.planner]
        source = "target/planner.wasm"
        [component.two-words]
        source = "target/two_words.wasm"
        build = { command = "cargo build -p two-words", watch = ["crates/**"] }
        [component.two-words.dependencies]
        "docket:planner/rules@0.1.0" = { path = "target/planner.wasm" }
        "other:thing" = { registry = "example.org", package = "other:thing", version = "1" }
        [component.zeta]
        source = "target/zeta.wasm"
    "#;

    #[test]
    fn apps_keep_the_order_of_their_variables() {
        let (functions, apps, variables) = read_manifest(TWO).unwrap();
        let ids: Vec<_> = apps
            .iter()
            .map(|app| (app.id.as_str(), app.index))
            .collect();
        assert_eq!(ids, [("zeta", 0), ("two-words", 1)]);
        assert_eq!(apps[1].variable, "two_words");
        let ids: Vec<_> = functions
            .iter()
            .map(|function| function.id.as_str())
            .collect();
        assert_eq!(ids, ["planner", "two-words", "zeta"]);
        assert_eq!(
            functions[1].build_command.as_deref(),
            Some("cargo build -p two-words")
        );
        assert_eq!(variables.len(), 6);
        assert!(variables[1].required && variables[1].secret);
    }

    #[test]
    fn a_manifest_that_makes_no_sense_is_told() {
        let cases = [
            ("[variables", "expected"),
            (
                "[variables]\nx_dapr_url = { default = \"\" }",
                "there is no [component.x]",
            ),
            (
                "[variables]\nx_dapr_url = { default = \"\" }\n[component.x]\nsource = \"x.wasm\"",
                "has a sidecar but no variable x_dapr_api_token",
            ),
            (
                "[component.x]\nsource = { url = \"https://example.org\" }",
                "has to be a path",
            ),
            ("[component.x]\nfiles = []", "missing field `source`"),
        ];
        for (text, expected) in cases {
            let reason = read_manifest(text).unwrap_err();
            assert!(reason.contains(expected), "{text}: {reason}");
        }
    }

    #[test]
    fn the_projects_own_files_are_read() {
        let project = Project::find_from(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(project.root().join("functions").is_dir());
        assert_eq!(project.app("tasks").unwrap().index, 0);
        let ports = Ports::new(Ports::DEFAULT).unwrap();
        for app in project.apps() {
            assert!(project.configuration(app).is_file(), "{}", app.id);
            // Who starts functions without `up` finds the sidecars of the usual stack.
            let name = format!("{}_dapr_url", app.variable);
            let variable = project.variables().iter().find(|one| one.name == name);
            let address = Ports::address(ports.sidecar(app).http);
            let expected = format!("http://{address}");
            assert_eq!(
                variable.unwrap().default.as_deref(),
                Some(&*expected),
                "{name}"
            );
        }
        assert!(
            project
                .topics()
                .unwrap()
                .iter()
                .any(|topic| topic.name == "task-events")
        );
    }

    #[test]
    fn outside_a_checkout_the_message_says_where() {
        let folder = tempfile::tempdir().unwrap();
        let error = Project::find_from(folder.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("is not inside a Docket checkout"),
            "{error}"
        );
    }

    #[test]
    fn no_two_ports_of_a_stack_are_the_same() {
        let ports = Ports::new(4100).unwrap();
        let mut all = vec![
            ports.app(),
            ports.gateway(),
            ports.broker(),
            ports.sentry(),
            ports.sentry_health(),
            ports.sentry_metrics(),
            ports.scheduler(),
            ports.scheduler_health(),
            ports.etcd_client(),
            ports.etcd_peer(),
            ports.scheduler_metrics(),
            ports.host_metrics(),
        ];
        assert_eq!(all, (4100..4112).collect::<Vec<u16>>());
        for index in 0..u16::try_from(Ports::sidecar_limit()).unwrap() {
            let app = App {
                id: "x".into(),
                variable: "x".into(),
                index,
            };
            let sidecar = ports.sidecar(&app);
            all.extend([
                sidecar.http,
                sidecar.grpc,
                sidecar.internal_grpc,
                sidecar.metrics,
            ]);
        }
        let unique: std::collections::BTreeSet<_> = all.iter().copied().collect();
        assert_eq!(unique.len(), all.len());
        assert!(all.iter().all(|port| *port < 4100 + Ports::SPAN));
    }

    #[test]
    fn port_bases_have_bounds() {
        for base in [0, 80, 1023, u16::MAX - 99, u16::MAX] {
            assert!(Ports::new(base).is_err(), "{base}");
        }
        for base in [1024, 3000, u16::MAX - 100] {
            assert!(Ports::new(base).is_ok(), "{base}");
        }
    }

    #[test]
    fn the_default_data_folder_is_at_the_root() {
        let project = Project::find_from(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert_eq!(
            project.data_dir(None).unwrap().root(),
            project.root().join(".docket")
        );
        let asked = project
            .data_dir(Some(Path::new("/var/tmp/second")))
            .unwrap();
        assert_eq!(
            asked.log_file("host"),
            Path::new("/var/tmp/second/logs/host.jsonl")
        );
    }
}
