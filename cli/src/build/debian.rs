//! The fallback where rustup cannot get a Wasm target: Debian packages a Rust compiler together
//! with its standard library's source, and a C library for WASI. With them cargo builds the
//! standard library itself.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use super::{cargo, process};
use crate::machine::{self, Version};

/// The oldest compiler that builds the workspace (its `rust-version`).
const OLDEST_RUST: Version = Version::new(1, 95, 0);
/// How long the packages may take to come.
const INSTALL_LIMIT: Duration = Duration::from_secs(20 * 60);

const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";
const SYSROOT: &str = "/usr/lib/wasm32-wasi";
const REACTOR: &str = "/usr/lib/wasm32-wasi/crt1-reactor.o";

/// What a package has to put where.
const PIECES: [(&str, &str); 5] = [
    ("rustc-web", RUSTC),
    ("cargo-web", CARGO),
    (
        "rust-web-src",
        "/usr/lib/rustlib/src/rust/library/std/Cargo.toml",
    ),
    ("wasi-libc", REACTOR),
    ("lld", "/usr/bin/wasm-ld"),
];

/// The packages that are missing here.
pub async fn missing() -> Vec<&'static str> {
    let mut missing: Vec<_> = PIECES
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .map(|(package, _)| *package)
        .collect();
    // Debian's plain `rustc` has the same file and is too old.
    for (package, program) in [("rustc-web", RUSTC), ("cargo-web", CARGO)] {
        let fits = machine::version_of(Path::new(program), &["--version"])
            .await
            .is_some_and(|version| version >= OLDEST_RUST);
        if !fits && !missing.contains(&package) {
            missing.push(package);
        }
    }
    missing
}

/// Installs what is missing, and says so before it does.
pub async fn install(verbose: bool) -> anyhow::Result<()> {
    let packages = missing().await;
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if machine::find_on_path("apt-get").is_none() {
        bail!(
            "no way to build Wasm here: install the target with `rustup target add wasm32-wasip2`, \
             or, on Debian, the packages {list}"
        );
    }
    let started = std::time::Instant::now();
    install_packages(&packages, verbose)
        .await
        .with_context(|| {
            format!(
                "the packages {list} cannot be installed; install the target with \
                 `rustup target add wasm32-wasip2` instead"
            )
        })?;
    let still = missing().await;
    if !still.is_empty() {
        bail!(
            "{} did not bring what is needed to build Wasm",
            still.join(" ")
        );
    }
    process::report("wasm toolchain", started, &list);
    Ok(())
}

/// Installs packages.
///
/// # Errors
/// This is no Debian, nobody may install here, or there are no such packages.
pub async fn install_packages(packages: &[&str], verbose: bool) -> anyhow::Result<()> {
    if apt_get(&["install"], packages, verbose).await.is_err() {
        // A machine that never asked has no list of packages yet.
        apt_get(&["update"], &[], verbose).await?;
        apt_get(&["install"], packages, verbose).await?;
    }
    Ok(())
}

async fn apt_get(words: &[&str], packages: &[&str], verbose: bool) -> anyhow::Result<()> {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("env")
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", "env"]);
        command
    };
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y"])
        .args(words)
        .args(packages);
    eprintln!("{:>12} {}", "running", process::shown(&command));
    process::run("apt-get", &mut command, verbose, Some(INSTALL_LIMIT)).await?;
    Ok(())
}

/// The target that stands in for `wasm32-wasip2`: its core modules become components afterwards.
const WASI_TARGET: &str = "wasm32-wasip1";

/// Debian's cargo, set up to build for a Wasm target into `target_dir`.
#[must_use]
pub fn command(pure: bool, target_dir: &Path) -> Command {
    let mut command = cargo::foreign(Path::new(CARGO));
    command
        .env("RUSTC", RUSTC)
        // `-Z build-std` needs leave to be used with a released compiler.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_TARGET_DIR", target_dir);
    let target = if pure {
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld");
        super::wasm::PURE_TARGET
    } else {
        command
            .env("CARGO_TARGET_WASM32_WASIP1_LINKER", "wasm-ld")
            .env(
                "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS",
                format!("-C link-self-contained=no -L {SYSROOT} -C link-arg={REACTOR}"),
            );
        WASI_TARGET
    };
    command.args([
        "build",
        "--release",
        "-Z",
        "build-std=std,panic_abort",
        "--target",
        target,
    ]);
    command
}

/// Where the fallback builds, so that it disturbs no other build.
#[must_use]
pub fn target_dir(target_dir: &Path) -> PathBuf {
    target_dir.join("wasm-fallback")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_rust_is_the_workspaces() {
        let manifest = include_str!("../../../Cargo.toml");
        let workspace: toml::Table = manifest.parse().unwrap();
        let version = workspace["workspace"]["package"]["rust-version"]
            .as_str()
            .unwrap();
        assert_eq!(Version::find(version), Some(OLDEST_RUST));
    }

    #[test]
    fn only_the_wasi_target_gets_wasi_flags() {
        let has_flags = |pure| {
            command(pure, Path::new("/t"))
                .as_std()
                .get_envs()
                .any(|(name, value)| {
                    name == "CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS" && value.is_some()
                })
        };
        assert!(has_flags(false));
        assert!(!has_flags(true));
    }
}
