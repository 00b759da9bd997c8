//! Builds what a stack runs: the functions as Wasm components where spin.toml wants them, the host
//! that stands in for Spin, and the Go programs. What is fresh is left alone.

pub mod cargo;
pub(crate) mod debian;
pub mod go;
mod process;
mod wasm;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;

use crate::layout::Project;
use crate::machine;

/// How to build.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Which compiler makes the Wasm.
    pub route: Route,
    /// Whether the tools' own output is shown as it comes.
    pub verbose: bool,
}

/// Which compiler makes the Wasm.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum Route {
    /// rustup's target where it is or can be got, else Debian's compiler
    #[default]
    Auto,
    /// Only rustup's target
    Target,
    /// Only Debian's compiler
    Debian,
}

/// What a stack runs, built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The functions' components.
    pub components: Vec<Component>,
    /// `docket-host`.
    pub host: PathBuf,
    /// The Go programs.
    pub programs: Programs,
}

/// A built component.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Component {
    /// The cargo package that it was made of.
    pub name: String,
    /// The component.
    pub file: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its size with gzip.
    pub compressed: u64,
}

/// The Go programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The embedded broker.
    pub broker: PathBuf,
    /// Dapr's certificate authority.
    pub sentry: PathBuf,
    /// Dapr's job scheduler.
    pub scheduler: PathBuf,
    /// Dapr's sidecar: the one on PATH where it fits, else ours.
    pub daprd: PathBuf,
}

/// Builds everything that a stack runs.
pub async fn build(project: &Project, options: &Options) -> anyhow::Result<Built> {
    let workspace = cargo::Workspace::load(&project.root().join("Cargo.toml")).await?;
    // Go beside cargo: the linkers at the end of each leave a core idle otherwise.
    let rust = async {
        let components = functions(project, &workspace, options).await?;
        let host = host_of(project, options).await?;
        anyhow::Ok((components, host))
    };
    let go = go::build(project, &workspace.target_dir, options.verbose);
    let ((components, host), programs) = tokio::try_join!(rust, go)?;
    Ok(Built {
        components,
        host,
        programs,
    })
}

/// Builds the host alone.
pub async fn host(project: &Project, options: &Options) -> anyhow::Result<PathBuf> {
    host_of(project, options).await
}

/// Builds the Go programs alone.
pub async fn sidecars(project: &Project, options: &Options) -> anyhow::Result<Programs> {
    let workspace = cargo::Workspace::load(&project.root().join("Cargo.toml")).await?;
    go::build(project, &workspace.target_dir, options.verbose).await
}

/// Builds packages of the workspace of `manifest` to components: into `out` (a file that ends with
/// `.wasm` if it is one package, else a folder), or where spin.toml wants them.
pub async fn packages(
    project: &Project,
    manifest: Option<&Path>,
    names: &[String],
    out: Option<&Path>,
    options: &Options,
) -> anyhow::Result<Vec<Component>> {
    let manifest = match manifest {
        Some(manifest) => std::path::absolute(manifest)?,
        None => project.root().join("Cargo.toml"),
    };
    let workspace = cargo::Workspace::load(&manifest).await?;
    let mut orders = Vec::new();
    for name in names {
        let package = workspace.package(name)?.clone();
        let file = match out {
            Some(out) => destination(&std::path::absolute(out)?, &package.library, names.len())?,
            None => {
                let function = project
                    .functions()
                    .iter()
                    .find(|function| function.id == *name)
                    .with_context(|| {
                        format!("spin.toml has no component `{name}`: say where with --out")
                    })?;
                project.root().join(&function.source)
            }
        };
        orders.push(wasm::Order { package, file });
    }
    wasm::build(
        &manifest,
        &workspace,
        &orders,
        options.route,
        options.verbose,
    )
    .await
}

fn destination(out: &Path, library: &str, packages: usize) -> anyhow::Result<PathBuf> {
    if out.extension().is_some_and(|end| end == "wasm") {
        anyhow::ensure!(
            packages == 1,
            "--out names one file for {packages} packages"
        );
        return Ok(out.to_owned());
    }
    Ok(out.join(format!("{library}.wasm")))
}

async fn functions(
    project: &Project,
    workspace: &cargo::Workspace,
    options: &Options,
) -> anyhow::Result<Vec<Component>> {
    let mut orders = Vec::new();
    for function in project.functions() {
        let file = project.root().join(&function.source);
        let Some(command) = &function.build_command else {
            anyhow::ensure!(
                file.is_file(),
                "component `{}` has no build command and {} is not there",
                function.id,
                file.display()
            );
            continue;
        };
        let name = package_of(command).with_context(|| {
            format!(
                "component `{}`: its build command names no package: {command}",
                function.id
            )
        })?;
        let package = workspace.package(name)?.clone();
        orders.push(wasm::Order { package, file });
    }
    let manifest = project.root().join("Cargo.toml");
    wasm::build(
        &manifest,
        workspace,
        &orders,
        options.route,
        options.verbose,
    )
    .await
}

/// The package that a `cargo build` command of spin.toml names.
#[must_use]
pub fn package_of(command: &str) -> Option<&str> {
    let mut words = command.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "-p" | "--package" => return words.next(),
            _ => {
                if let Some(name) = word.strip_prefix("--package=") {
                    return Some(name);
                }
            }
        }
    }
    None
}

async fn host_of(project: &Project, options: &Options) -> anyhow::Result<PathBuf> {
    let started = Instant::now();
    let mut command = cargo::native();
    // Without --package: the features are then those of the whole workspace, as in its tests, and
    // nothing is compiled twice.
    command
        .args(["build", "--bin", "docket-host"])
        .current_dir(project.root());
    let artifacts = cargo::build("host", &mut command, options.verbose).await?;
    let file = cargo::program_of(&artifacts, "docket-host")?.to_owned();
    process::report("host", started, "");
    Ok(file)
}

/// What this machine can make Wasm with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WasmTools {
    /// rustup's target is there.
    Target,
    /// Debian's compiler is there.
    Debian,
    /// rustup may get its target.
    Addable,
    /// apt-get may get these packages.
    Installable(Vec<&'static str>),
    /// Neither.
    None,
}

/// Looks for what can make Wasm; changes nothing.
pub async fn wasm_tools(root: &Path) -> WasmTools {
    if cargo::has_target(root, wasm::TARGET).await.unwrap_or(false) {
        return WasmTools::Target;
    }
    let missing = debian::missing().await;
    if missing.is_empty() {
        WasmTools::Debian
    } else if machine::find_on_path("rustup").is_some() {
        WasmTools::Addable
    } else if machine::find_on_path("apt-get").is_some() {
        WasmTools::Installable(missing)
    } else {
        WasmTools::None
    }
}

/// Where builds remember what they made of what.
fn stamps(target_dir: &Path) -> PathBuf {
    target_dir.join("docket-build")
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_read_from_the_build_command() {
        for (command, expected) in [
            (
                "cargo build --package tasks --target wasm32-wasip2 --release",
                Some("tasks"),
            ),
            ("cargo build -p web --release", Some("web")),
            ("cargo build --package=chat", Some("chat")),
            ("npm run build", None),
            ("cargo build --package", None),
        ] {
            assert_eq!(package_of(command), expected, "{command}");
        }
    }

    #[test]
    fn out_is_a_file_for_one_package_and_a_folder_for_more() {
        let at = |out: &str, packages| destination(Path::new(out), "a_b", packages);
        assert_eq!(at("/o/x.wasm", 1).unwrap(), Path::new("/o/x.wasm"));
        assert_eq!(at("/o", 1).unwrap(), Path::new("/o/a_b.wasm"));
        assert_eq!(at("/o", 2).unwrap(), Path::new("/o/a_b.wasm"));
        assert!(at("/o/x.wasm", 2).is_err());
    }
}
