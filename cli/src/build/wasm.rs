//! Builds packages to Wasm components.
//!
//! Two routes lead to the same files. The first is rustup's `wasm32-wasip2` target, which makes
//! components by itself; where it is missing and cannot be got, the second is Debian's compiler
//! (see `debian`), whose core modules are made components here.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;
use wasi_preview1_component_adapter_provider as adapter;
use wit_component::ComponentEncoder;

use super::cargo::{Package, Workspace};
use super::{Component, Route, cargo, debian, process};
use crate::machine;

/// The target of components that use WASI.
pub(super) const TARGET: &str = "wasm32-wasip2";
/// The target of components without imports.
pub(super) const PURE_TARGET: &str = "wasm32-unknown-unknown";
/// How long rustup may take to get a target.
const RUSTUP_LIMIT: Duration = Duration::from_secs(90);
/// How long a failure of rustup is remembered.
const RUSTUP_RETRY: Duration = Duration::from_secs(24 * 60 * 60);

/// A package and where its component has to be.
#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The package.
    pub package: Package,
    /// The component's file.
    pub file: PathBuf,
}

/// Builds the packages of one workspace, stale or not: cargo knows.
pub(super) async fn build(
    manifest: &Path,
    workspace: &Workspace,
    orders: &[Order],
    route: Route,
    verbose: bool,
) -> anyhow::Result<Vec<Component>> {
    let packages: Vec<Package> = orders.iter().map(|order| order.package.clone()).collect();
    cargo::check_distinct(&packages)?;
    let mut components = Vec::new();
    for pure in [false, true] {
        let chosen: Vec<&Order> = orders
            .iter()
            .filter(|order| order.package.pure == pure)
            .collect();
        if chosen.is_empty() {
            continue;
        }
        let started = Instant::now();
        let root = manifest.parent().unwrap_or(Path::new("."));
        let target = if pure { PURE_TARGET } else { TARGET };
        let route = choose(root, &workspace.target_dir, target, route, verbose).await?;
        let mut command = match route {
            Chosen::Target => {
                let mut command = cargo::native();
                command.args(["build", "--release", "--target", target]);
                command
            }
            Chosen::Debian => debian::command(pure, &debian::target_dir(&workspace.target_dir)),
        };
        command
            .arg("--manifest-path")
            .arg(manifest)
            .current_dir(root);
        for order in &chosen {
            command.args(["--package", &order.package.name]);
        }
        let artifacts = cargo::build("wasm", &mut command, verbose).await?;
        // rustup's target links components by itself; all else gives core modules.
        let making = match (route, pure) {
            (Chosen::Target, false) => Making::Copy,
            (Chosen::Debian, false) => Making::Adapt,
            (_, true) => Making::Wrap,
        };
        for order in chosen {
            let core = cargo::wasm_of(&artifacts, &order.package)?;
            components.push(
                finish(core, order, making, &workspace.target_dir)
                    .with_context(|| format!("cannot make a component of {}", core.display()))?,
            );
        }
        let how = match route {
            Chosen::Target => format!("by rustup's {target}"),
            Chosen::Debian => "by Debian's compiler".to_owned(),
        };
        process::report("wasm", started, &how);
    }
    for component in &components {
        eprintln!(
            "{:>12} {:<24} {:>7} KB, {} KB compressed",
            "",
            component.name,
            component.bytes.div_ceil(1024),
            component.compressed.div_ceil(1024)
        );
    }
    Ok(components)
}

/// How a component comes of what cargo made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Making {
    /// It is one.
    Copy,
    /// A core module that calls WASI's first preview.
    Adapt,
    /// A core module that calls nothing.
    Wrap,
}

/// Remembers what a component was made of, so that the same is not made again.
#[derive(Deserialize, Eq, PartialEq, Serialize)]
struct Stamp {
    core: String,
    made: String,
    bytes: u64,
    compressed: u64,
}

fn finish(
    core: &Path,
    order: &Order,
    making: Making,
    target_dir: &Path,
) -> anyhow::Result<Component> {
    let module = std::fs::read(core)?;
    // The adapter's own digest says which version of it a component was made with.
    let digest = digest(&[
        format!("{making:?}").as_bytes(),
        adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        &module,
    ]);
    let stamp_file = stamp_file(target_dir, &order.file);
    let built = |bytes, compressed| Component {
        name: order.package.name.clone(),
        file: order.file.clone(),
        bytes,
        compressed,
    };
    if let Some(stamp) = read_stamp(&stamp_file)
        && stamp.core == digest
        && let Ok(component) = std::fs::read(&order.file)
        && stamp.made == self::digest(&[&component])
    {
        return Ok(built(stamp.bytes, stamp.compressed));
    }
    let component = match making {
        Making::Copy => module,
        Making::Adapt => componentize(&module, true)?,
        Making::Wrap => componentize(&module, false)?,
    };
    let stamp = Stamp {
        core: digest,
        made: self::digest(&[&component]),
        bytes: component.len() as u64,
        compressed: compressed(&component)?,
    };
    write(&order.file, &component)?;
    write(&stamp_file, &serde_json::to_vec(&stamp)?)?;
    Ok(built(stamp.bytes, stamp.compressed))
}

/// Makes a component of a core module.
fn componentize(module: &[u8], wasi: bool) -> anyhow::Result<Vec<u8>> {
    let mut encoder = ComponentEncoder::default().validate(true).module(module)?;
    if wasi {
        encoder = encoder.adapter(
            adapter::WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME,
            adapter::WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
        )?;
    }
    encoder.encode()
}

fn digest(parts: &[&[u8]]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    super::hex(&hasher.finalize())
}

fn compressed(bytes: &[u8]) -> anyhow::Result<u64> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.len() as u64)
}

fn stamp_file(target_dir: &Path, file: &Path) -> PathBuf {
    let name = digest(&[file.as_os_str().as_encoded_bytes()]);
    super::stamps(target_dir).join(format!("{name}.json"))
}

fn read_stamp(file: &Path) -> Option<Stamp> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// Writes a file in one step, so that a reader never sees half of it.
pub(super) fn write(file: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = file.parent().context("a file is in a folder")?;
    std::fs::create_dir_all(folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(bytes)?;
    temporary
        .as_file()
        .set_permissions(std::fs::Permissions::from_mode(0o644))?;
    temporary
        .persist(file)
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(())
}

/// The route that is taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Chosen {
    /// rustup's target.
    Target,
    /// Debian's compiler.
    Debian,
}

async fn choose(
    root: &Path,
    target_dir: &Path,
    target: &str,
    route: Route,
    verbose: bool,
) -> anyhow::Result<Chosen> {
    if route != Route::Debian {
        if cargo::has_target(root, target).await? {
            return Ok(Chosen::Target);
        }
        let description = cargo::rustc_description(root).await?;
        let memory = super::stamps(target_dir).join(format!("no-{target}.json"));
        let failed = match Failure::read(&memory) {
            Some(failure) if route == Route::Auto && failure.holds(&description, now()) => {
                failure.reason
            }
            _ => match add_target(root, target, verbose).await {
                Ok(()) => return Ok(Chosen::Target),
                Err(error) => {
                    let failure = Failure {
                        toolchain: description,
                        at: now().as_secs(),
                        reason: format!("{error:#}"),
                    };
                    write(&memory, &serde_json::to_vec(&failure)?)?;
                    failure.reason
                }
            },
        };
        if route == Route::Target {
            bail!("the Rust target {target} is missing and cannot be added: {failed}");
        }
        if verbose {
            eprintln!("{:>12} no Rust target {target}: {failed}", "note");
        }
    }
    debian::install(verbose).await?;
    Ok(Chosen::Debian)
}

async fn add_target(root: &Path, target: &str, verbose: bool) -> anyhow::Result<()> {
    if machine::find_on_path("rustup").is_none() {
        bail!("rustup is not on PATH");
    }
    let mut command = Command::new("rustup");
    command.args(["target", "add", target]).current_dir(root);
    eprintln!("{:>12} {}", "running", process::shown(&command));
    let mut child = command
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    // Its failure is no error of the build, so it is told in a line and not shown in full.
    let mut said = String::new();
    let done = tokio::time::timeout(RUSTUP_LIMIT, async {
        if let Some(mut stderr) = child.stderr.take() {
            use tokio::io::AsyncReadExt as _;
            stderr.read_to_string(&mut said).await?;
        }
        child.wait().await
    })
    .await;
    let Ok(status) = done else {
        bail!("rustup did not finish in {} s", RUSTUP_LIMIT.as_secs());
    };
    if !status?.success() {
        if verbose {
            eprint!("{said}");
        }
        bail!("rustup failed: {}", last_error(&said));
    }
    if !cargo::has_target(root, target).await? {
        bail!("rustup added it to another toolchain than cargo uses here");
    }
    Ok(())
}

fn last_error(said: &str) -> &str {
    said.lines()
        .find(|line| line.starts_with("error"))
        .or_else(|| said.lines().last())
        .unwrap_or("it said nothing")
        .trim()
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// That rustup could not get a target: with what toolchain, and when.
#[derive(Deserialize, Serialize)]
struct Failure {
    toolchain: String,
    at: u64,
    reason: String,
}

impl Failure {
    fn read(file: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(file).ok()?).ok()
    }

    fn holds(&self, toolchain: &str, now: Duration) -> bool {
        let since = now.as_secs().checked_sub(self.at);
        self.toolchain == toolchain && since.is_some_and(|since| since < RUSTUP_RETRY.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(folder: &Path) -> Order {
        Order {
            package: Package {
                name: "pure-thing".into(),
                library: "pure_thing".into(),
                pure: true,
            },
            file: folder.join("out/pure_thing.wasm"),
        }
    }

    #[test]
    fn a_core_module_without_imports_becomes_a_component_and_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let core = folder.path().join("core.wasm");
        // The smallest core module: its magic number and version.
        std::fs::write(&core, b"\0asm\x01\0\0\0").unwrap();
        let order = order(folder.path());
        let built = finish(&core, &order, Making::Wrap, folder.path()).unwrap();
        let component = std::fs::read(&order.file).unwrap();
        assert!(component.starts_with(b"\0asm\x0d\0\x01\0"), "a component");
        assert_eq!(built.bytes, component.len() as u64);
        assert!(built.compressed > 0);

        let made_at = std::fs::metadata(&order.file).unwrap().modified().unwrap();
        assert_eq!(
            finish(&core, &order, Making::Wrap, folder.path()).unwrap(),
            built
        );
        let again = std::fs::metadata(&order.file).unwrap().modified().unwrap();
        assert_eq!(made_at, again, "the fresh file is left alone");
    }

    #[test]
    fn a_component_that_was_tampered_with_or_lost_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let core = folder.path().join("core.wasm");
        std::fs::write(&core, b"\0asm\x01\0\0\0").unwrap();
        let order = order(folder.path());
        finish(&core, &order, Making::Wrap, folder.path()).unwrap();
        let good = std::fs::read(&order.file).unwrap();
        std::fs::write(&order.file, b"other").unwrap();
        finish(&core, &order, Making::Wrap, folder.path()).unwrap();
        assert_eq!(std::fs::read(&order.file).unwrap(), good);
        std::fs::remove_file(&order.file).unwrap();
        finish(&core, &order, Making::Wrap, folder.path()).unwrap();
        assert_eq!(std::fs::read(&order.file).unwrap(), good);
    }

    #[test]
    fn what_is_no_module_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let core = folder.path().join("core.wasm");
        std::fs::write(&core, b"not wasm").unwrap();
        assert!(finish(&core, &order(folder.path()), Making::Adapt, folder.path()).is_err());
    }

    #[test]
    fn rustups_failure_is_remembered_for_a_day_and_a_toolchain() {
        let failure = Failure {
            toolchain: "rustc 1.95.0".into(),
            at: 1_000_000,
            reason: String::new(),
        };
        let at = |seconds| Duration::from_secs(seconds);
        assert!(failure.holds("rustc 1.95.0", at(1_000_000)));
        assert!(failure.holds("rustc 1.95.0", at(1_000_000 + 86_399)));
        assert!(!failure.holds("rustc 1.95.0", at(1_000_000 + 86_400)));
        assert!(!failure.holds("rustc 1.96.0", at(1_000_000)));
        assert!(
            !failure.holds("rustc 1.95.0", at(999_999)),
            "a clock set back"
        );
    }

    #[test]
    fn rustups_reason_is_its_error_line() {
        assert_eq!(
            last_error("info: downloading\nerror: could not download\n"),
            "error: could not download"
        );
        assert_eq!(last_error(""), "it said nothing");
    }
}
