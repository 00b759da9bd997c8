//! Looks at this machine: what the project needs, what it has of it, and how to mend the rest.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::build::{self, WasmTools};
use crate::layout::{DataDir, Ports, Project};
use crate::machine::{self, Version};
use crate::stack::engine::{Asked, Engine};
use crate::stack::registry::Stack;
use crate::stack::secrets;
use crate::testing::{kafka, postgres};

const GIB: u64 = 1 << 30;
const OLDEST_RUST: Version = Version::new(1, 95, 0);
const OLDEST_GO: Version = Version::new(1, 26, 0);
const OLDEST_NODE: Version = Version::new(20, 0, 0);
const OLDEST_SPIN: Version = Version::new(4, 1, 0);

/// How a check came out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// As it should be.
    Ok,
    /// Not needed, or tight.
    Warn,
    /// Missing and needed.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Check {
    /// What it is.
    pub name: &'static str,
    /// How it came out.
    pub state: State,
    /// What there is.
    pub detail: String,
    /// The command that mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Check {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Ok,
            detail: detail.into(),
            remedy: None,
        }
    }

    fn warn(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            state: State::Warn,
            ..Self::ok(name, detail)
        }
    }

    fn fail(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            state: State::Fail,
            ..Self::ok(name, detail)
        }
    }

    fn mend(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            State::Ok => "ok",
            State::Warn => "warn",
            State::Fail => "FAIL",
        };
        write!(f, "{state:<5} {:<7} {}", self.name, self.detail)?;
        if let Some(remedy) = &self.remedy {
            write!(f, "\n      {:<7} mend it: {remedy}", "")?;
        }
        Ok(())
    }
}

/// Looks at everything.
pub async fn examine(project: &Project, data: &DataDir, ports: Ports) -> Vec<Check> {
    vec![
        rust(found("rustc", &["--version"]).await),
        wasm(build::wasm_tools(project.root()).await),
        go(found("go", &["version"]).await),
        curl(),
        python(found("python3", &["-c", PYTHON_VERSION]).await),
        java(kafka::java().await),
        postgres(postgres::find().is_some()),
        node(found("node", &["--version"]).await),
        daprd(found("daprd", &["--version"]).await),
        spin(found("spin", &["--version"]).await),
        disk(project.root()),
        memory(&std::fs::read_to_string("/proc/meminfo").unwrap_or_default()),
        free_ports(project, data, ports),
        engine(data).await,
    ]
}

/// A program on PATH; the inner `None` is a program that does not tell its version.
async fn found(program: &str, args: &[&str]) -> Option<Option<Version>> {
    let file = machine::find_on_path(program)?;
    Some(machine::version_of(&file, args).await)
}

fn rust(found: Option<Option<Version>>) -> Check {
    const NAME: &str = "rust";
    match found {
        Some(Some(version)) if version >= OLDEST_RUST => Check::ok(NAME, version.to_string()),
        Some(Some(version)) => Check::fail(NAME, format!("{version} is older than {OLDEST_RUST}"))
            .mend("rustup update stable"),
        Some(None) => Check::fail(NAME, "rustc does not run").mend("rustup default stable"),
        None => Check::fail(NAME, "rustc is not on PATH").mend("see https://rustup.rs"),
    }
}

fn wasm(tools: WasmTools) -> Check {
    const NAME: &str = "wasm";
    match tools {
        WasmTools::Target => Check::ok(NAME, "rustup's target wasm32-wasip2"),
        WasmTools::Debian => Check::ok(NAME, "Debian's compiler (rustc-web)"),
        WasmTools::Addable => Check::warn(NAME, "the first build adds rustup's wasm32-wasip2")
            .mend("rustup target add wasm32-wasip2"),
        WasmTools::Installable(packages) => {
            let list = packages.join(" ");
            Check::warn(NAME, "the first build installs Debian's compiler")
                .mend(format!("apt-get install {list}"))
        }
        WasmTools::None => Check::fail(NAME, "no compiler for Wasm")
            .mend("install rustup, then `rustup target add wasm32-wasip2`"),
    }
}

fn go(found: Option<Option<Version>>) -> Check {
    const NAME: &str = "go";
    let get = "install Go 1.26 or later from https://go.dev/dl";
    match found {
        Some(Some(version)) if version >= OLDEST_GO => Check::ok(NAME, version.to_string()),
        Some(Some(version)) => {
            Check::fail(NAME, format!("{version} is older than {OLDEST_GO}")).mend(get)
        }
        Some(None) => Check::fail(NAME, "go does not run").mend(get),
        None => Check::fail(NAME, "not on PATH").mend(get),
    }
}

fn curl() -> Check {
    const NAME: &str = "curl";
    if machine::find_on_path(NAME).is_some() {
        Check::ok(NAME, "on PATH")
    } else {
        Check::warn(NAME, "not on PATH; the tour of the README uses it")
            .mend("apt-get install curl")
    }
}

/// Tells the version of a Python that can make environments: Debian has that in a package of its own.
const PYTHON_VERSION: &str = "import ensurepip, platform, venv; print(platform.python_version())";

fn python(found: Option<Option<Version>>) -> Check {
    const NAME: &str = "python";
    const NEED: &str = "the tests compare recurrence rules with python-dateutil";
    match found {
        Some(Some(version)) => Check::ok(NAME, version.to_string()),
        Some(None) => {
            Check::warn(NAME, format!("without venv; {NEED}")).mend("apt-get install python3-venv")
        }
        None => Check::warn(NAME, format!("python3 is not on PATH; {NEED}"))
            .mend("apt-get install python3-venv"),
    }
}

fn java(found: anyhow::Result<PathBuf>) -> Check {
    const NAME: &str = "java";
    match found {
        Ok(java) => Check::ok(NAME, java.display().to_string()),
        Err(_) => Check::warn(NAME, "no Java 17; the suite `cluster` runs Apache Kafka")
            .mend("apt-get install openjdk-17-jre-headless"),
    }
}

fn postgres(is_there: bool) -> Check {
    const NAME: &str = "postgres";
    if is_there {
        Check::ok(NAME, "a server's programs are here")
    } else {
        Check::warn(
            NAME,
            "no server's programs; the suite `cluster` installs them",
        )
        .mend("apt-get install postgresql")
    }
}

/// Where the stack of the data folder has its broker and its state.
async fn engine(data: &DataDir) -> Check {
    const NAME: &str = "engine";
    let settled = secrets::postgres(data)
        .map_err(anyhow::Error::from)
        .and_then(|stored| Ok(Engine::settle(data, &Asked::default(), stored)?));
    match settled {
        Ok(Engine::Embedded) => Check::ok(NAME, "embedded: broker and databases of its own"),
        Ok(engine) => match engine.ask().await {
            Ok(()) => Check::ok(NAME, engine.to_string()),
            Err(error) => Check::fail(NAME, error.to_string()).mend(
                "start that server, or name another: `cargo docket up --brokers … --postgres …`",
            ),
        },
        Err(error) => {
            Check::fail(NAME, error.to_string()).mend("cargo docket up --engine cluster …")
        }
    }
}

fn node(found: Option<Option<Version>>) -> Check {
    const NAME: &str = "node";
    match found.flatten() {
        Some(version) if version >= OLDEST_NODE => Check::ok(NAME, format!("{version} (optional)")),
        Some(version) => Check::warn(
            NAME,
            format!("{version} is older than {OLDEST_NODE} (optional: only for the web client)"),
        ),
        None => Check::warn(NAME, "not there (optional: only for the web client)"),
    }
}

fn daprd(found: Option<Option<Version>>) -> Check {
    const NAME: &str = "daprd";
    match found.flatten() {
        Some(version) if machine::is_fitting_daprd(version) => {
            Check::ok(NAME, format!("{version} on PATH is used"))
        }
        Some(version) => Check::ok(
            NAME,
            format!("{version} on PATH is not 1.18: ours is built"),
        ),
        None => Check::ok(NAME, "not on PATH: ours is built"),
    }
}

fn spin(found: Option<Option<Version>>) -> Check {
    const NAME: &str = "spin";
    match found.flatten() {
        Some(version) if version >= OLDEST_SPIN => Check::ok(NAME, version.to_string()),
        Some(version) => Check::ok(
            NAME,
            format!("{version} is older than {OLDEST_SPIN}: the built-in host is used"),
        ),
        None => Check::ok(NAME, "not on PATH: the built-in host is used"),
    }
}

fn disk(root: &Path) -> Check {
    const NAME: &str = "disk";
    match rustix::fs::statvfs(root) {
        Ok(stat) => disk_space(stat.f_bavail.saturating_mul(stat.f_frsize)),
        Err(error) => Check::warn(NAME, format!("the free space is not known: {error}")),
    }
}

fn disk_space(free: u64) -> Check {
    const NAME: &str = "disk";
    let detail = format!("{} GiB free", free / GIB);
    if free < 4 * GIB {
        Check::fail(NAME, format!("{detail}; a build needs about 8")).mend("cargo clean")
    } else if free < 10 * GIB {
        Check::warn(NAME, format!("{detail}; a build needs about 8")).mend("cargo clean")
    } else {
        Check::ok(NAME, detail)
    }
}

fn memory(meminfo: &str) -> Check {
    const NAME: &str = "memory";
    let available = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    match available {
        // A linker of the host or the sidecar takes one to two gigabytes.
        Some(kib) if kib < 3 * 1024 * 1024 => Check::warn(
            NAME,
            format!("{} MiB available; a build needs about 3 GiB", kib / 1024),
        ),
        Some(kib) => Check::ok(NAME, format!("{} MiB available", kib / 1024)),
        None => Check::warn(NAME, "the available memory is not known"),
    }
}

fn free_ports(project: &Project, data: &DataDir, ports: Ports) -> Check {
    const NAME: &str = "ports";
    let base = ports.base();
    // A stack has 20 ports of its own and 5 for each sidecar.
    let apps = u16::try_from(project.apps().len()).unwrap_or(0);
    let used = (base..base + 20 + 5 * apps)
        .filter(|port| !machine::is_free(*port))
        .map(|port| port.to_string())
        .collect::<Vec<_>>();
    let running = Stack::read(data).is_some_and(|stack| stack.is_supervised());
    match (used.is_empty(), running) {
        (true, _) => Check::ok(NAME, format!("those from {base} are free")),
        (false, true) => Check::ok(NAME, format!("those from {base}: a stack runs here")),
        (false, false) => Check::fail(NAME, format!("in use: {}", used.join(" ")))
            .mend("cargo docket up --port-base 4000"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_decide() {
        let at = |major, minor| Some(Some(Version::new(major, minor, 0)));
        for (check, expected) in [
            (rust(at(1, 95)), State::Ok),
            (rust(at(1, 94)), State::Fail),
            (rust(Some(None)), State::Fail),
            (rust(None), State::Fail),
            (go(at(1, 26)), State::Ok),
            (go(at(1, 25)), State::Fail),
            (go(None), State::Fail),
            (python(at(3, 9)), State::Ok),
            (python(Some(None)), State::Warn),
            (python(None), State::Warn),
            (node(at(20, 1)), State::Ok),
            (node(at(16, 1)), State::Warn),
            (node(None), State::Warn),
            (daprd(at(1, 17)), State::Ok),
            (spin(None), State::Ok),
            (wasm(WasmTools::Installable(vec!["lld"])), State::Warn),
            (wasm(WasmTools::None), State::Fail),
            (java(Ok("/bin/java".into())), State::Ok),
            (java(Err(anyhow::anyhow!("none"))), State::Warn),
            (postgres(true), State::Ok),
            (postgres(false), State::Warn),
            (disk_space(3 * GIB), State::Fail),
            (disk_space(9 * GIB), State::Warn),
            (disk_space(10 * GIB), State::Ok),
            (memory("MemAvailable:    8388608 kB\n"), State::Ok),
            (memory("MemAvailable:    1048576 kB\n"), State::Warn),
            (memory(""), State::Warn),
        ] {
            assert_eq!(check.state, expected, "{check}");
        }
    }

    #[test]
    fn whatever_is_missing_tells_how_to_mend_it() {
        for check in [
            rust(None),
            rust(Some(None)),
            go(None),
            wasm(WasmTools::None),
            wasm(WasmTools::Addable),
            python(Some(None)),
            python(None),
            java(Err(anyhow::anyhow!("none"))),
            postgres(false),
            disk_space(0),
        ] {
            assert!(check.remedy.is_some(), "{check}");
            assert!(check.to_string().contains("mend it"));
        }
    }
}
