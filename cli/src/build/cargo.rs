//! Asks cargo what a package is, runs it, and reads what it made from its messages.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use tokio::process::Command;

use super::process;

/// A package that can be built to a component.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Package {
    /// The package's name.
    pub name: String,
    /// The name of its library, which is the artifact's.
    pub library: String,
    /// Whether it needs nothing from outside: `package.metadata.docket.pure = true`.
    pub pure: bool,
}

/// The packages of a workspace and where it builds to.
#[derive(Clone, Debug)]
pub struct Workspace {
    /// The workspace's own packages.
    pub packages: Vec<Package>,
    /// The names of its integration tests.
    pub tests: Vec<String>,
    /// Cargo's target folder.
    pub target_dir: PathBuf,
}

impl Workspace {
    /// Asks cargo about the workspace of a manifest.
    pub async fn load(manifest: &Path) -> anyhow::Result<Self> {
        let mut command = native();
        command
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .arg("--manifest-path")
            .arg(manifest);
        let said = process::run("cargo metadata", &mut command, false, None).await?;
        read_metadata(&said)
            .with_context(|| format!("cannot read what cargo says of {}", manifest.display()))
    }

    /// The package of this name.
    pub fn package(&self, name: &str) -> anyhow::Result<&Package> {
        self.packages
            .iter()
            .find(|package| package.name == name)
            .with_context(|| {
                format!("there is no package `{name}` with a cdylib library in this workspace")
            })
    }
}

fn read_metadata(json: &str) -> anyhow::Result<Workspace> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Entry>,
        target_directory: PathBuf,
    }
    #[derive(Deserialize)]
    struct Entry {
        name: String,
        targets: Vec<Target>,
        metadata: Option<serde_json::Value>,
    }
    let metadata: Metadata = serde_json::from_str(json)?;
    let mut tests: Vec<String> = metadata
        .packages
        .iter()
        .flat_map(|entry| &entry.targets)
        .filter(|target| target.kind.iter().any(|kind| kind == "test"))
        .map(|target| target.name.clone())
        .collect();
    tests.sort();
    tests.dedup();
    let packages = metadata
        .packages
        .into_iter()
        .filter_map(|entry| {
            let library = entry.targets.into_iter().find(Target::is_cdylib)?.name;
            let pure = entry
                .metadata
                .and_then(|metadata| metadata.pointer("/docket/pure")?.as_bool())
                .unwrap_or(false);
            Some(Package {
                name: entry.name,
                library,
                pure,
            })
        })
        .collect();
    Ok(Workspace {
        packages,
        tests,
        target_dir: metadata.target_directory,
    })
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
    #[serde(default)]
    kind: Vec<String>,
}

impl Target {
    fn is_cdylib(&self) -> bool {
        self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

/// Something that cargo made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Artifact {
    /// A Wasm module or component, of the library of this name.
    Wasm {
        /// The library's name.
        library: String,
        /// The file.
        file: PathBuf,
    },
    /// A program.
    Program {
        /// The program's name.
        name: String,
        /// The file.
        file: PathBuf,
    },
}

/// Runs a cargo command (`build …`) and tells what it made, fresh or anew.
pub async fn build(
    label: &str,
    command: &mut Command,
    verbose: bool,
) -> anyhow::Result<Vec<Artifact>> {
    command.arg("--message-format=json-render-diagnostics");
    let said = process::run(label, command, verbose, None).await?;
    Ok(read_messages(&said))
}

fn read_messages(stdout: &str) -> Vec<Artifact> {
    #[derive(Deserialize)]
    struct Message {
        target: Target,
        filenames: Vec<PathBuf>,
        executable: Option<PathBuf>,
    }
    stdout
        .lines()
        .filter(|line| line.contains(r#""reason":"compiler-artifact""#))
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter_map(|message| {
            if let Some(file) = message.executable {
                let name = message.target.name;
                return Some(Artifact::Program { name, file });
            }
            let library = message.target.name;
            let file = message
                .filenames
                .into_iter()
                .find(|file| file.extension().is_some_and(|end| end == "wasm"))?;
            Some(Artifact::Wasm { library, file })
        })
        .collect()
}

/// The library's Wasm file among what cargo made.
pub fn wasm_of<'a>(artifacts: &'a [Artifact], package: &Package) -> anyhow::Result<&'a Path> {
    artifacts
        .iter()
        .find_map(|artifact| match artifact {
            Artifact::Wasm { library, file } if *library == package.library => Some(&**file),
            _ => None,
        })
        .with_context(|| format!("cargo made no Wasm file of `{}`", package.name))
}

/// The program's file among what cargo made.
pub fn program_of<'a>(artifacts: &'a [Artifact], program: &str) -> anyhow::Result<&'a Path> {
    artifacts
        .iter()
        .find_map(|artifact| match artifact {
            Artifact::Program { name, file } if name == program => Some(&**file),
            _ => None,
        })
        .with_context(|| format!("cargo made no program `{program}`"))
}

/// The cargo that runs this command, without what it tells its child about the package `docket-cli`.
#[must_use]
pub fn native() -> Command {
    outside_a_package(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A program that asks that cargo, without what it tells its child about the package `docket-cli`.
#[must_use]
pub fn outside_a_package(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for name in names_in_environment(is_of_one_package) {
        command.env_remove(name);
    }
    command
}

/// Another cargo than the one that runs this command: it must not see the other's toolchain, flags
/// or libraries.
#[must_use]
pub fn foreign(program: &Path) -> Command {
    let mut command = Command::new(program);
    for name in names_in_environment(is_of_a_toolchain) {
        command.env_remove(name);
    }
    command
}

fn names_in_environment(matches: impl Fn(&str) -> bool) -> Vec<OsString> {
    std::env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_str().is_some_and(&matches))
        .collect()
}

fn is_of_one_package(name: &str) -> bool {
    const PREFIXES: [&str; 4] = [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || name == "CARGO_PRIMARY_PACKAGE"
}

fn is_of_a_toolchain(name: &str) -> bool {
    // Where packages come from and how progress looks is the person's choice, not the toolchain's.
    const KEPT: [&str; 6] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_TERM_",
        "RUST_BACKTRACE",
    ];
    (name.starts_with("CARGO") || name.starts_with("RUST") || name == "LD_LIBRARY_PATH")
        && !KEPT.iter().any(|prefix| name.starts_with(prefix))
}

/// The Rust compiler that cargo uses here, as it describes itself.
pub async fn rustc_description(root: &Path) -> anyhow::Result<String> {
    let mut command = rustc(root);
    command.arg("-vV");
    let said = process::run("rustc", &mut command, false, Some(Duration::from_secs(60))).await?;
    Ok(said)
}

/// Whether the Rust compiler that cargo uses here has the standard library of a target.
pub async fn has_target(root: &Path, target: &str) -> anyhow::Result<bool> {
    let mut command = rustc(root);
    command.args(["--print", "target-libdir", "--target", target]);
    let said = process::run("rustc", &mut command, false, Some(Duration::from_secs(60))).await?;
    let folder = PathBuf::from(said.trim());
    let Ok(files) = std::fs::read_dir(&folder) else {
        return Ok(false);
    };
    Ok(files
        .flatten()
        .any(|file| file.file_name().to_string_lossy().starts_with("libstd-")))
}

fn rustc(root: &Path) -> Command {
    let program = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

/// Fails unless the packages are there and have different files.
pub fn check_distinct(packages: &[Package]) -> anyhow::Result<()> {
    for (index, package) in packages.iter().enumerate() {
        if packages
            .iter()
            .skip(index + 1)
            .any(|other| other.library == package.library)
        {
            bail!("two packages make the library `{}`", package.library);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_with_a_cdylib_are_read_from_cargos_metadata() {
        let json = r#"{"target_directory":"/p/target","packages":[
            {"name":"two-words","metadata":{"docket":{"pure":true}},
             "targets":[{"name":"two_words","crate_types":["cdylib","rlib"]}]},
            {"name":"tasks","metadata":null,
             "targets":[{"name":"tasks","crate_types":["cdylib"]},
                        {"name":"t","crate_types":["bin"]},
                        {"name":"handlers","kind":["test"],"crate_types":["bin"]}]},
            {"name":"plain","metadata":null,
             "targets":[{"name":"plain","crate_types":["lib"]}]}]}"#;
        let workspace = read_metadata(json).unwrap();
        assert_eq!(workspace.target_dir, PathBuf::from("/p/target"));
        assert!(workspace.package("two-words").unwrap().pure);
        let tasks = workspace.package("tasks").unwrap();
        assert_eq!((tasks.library.as_str(), tasks.pure), ("tasks", false));
        assert!(workspace.package("plain").is_err());
        assert_eq!(workspace.tests, ["handlers"]);
    }

    #[test]
    fn artifacts_are_read_from_cargos_messages() {
        let stdout = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"serde","crate_types":["lib"]},"filenames":["/t/libserde.rlib"],"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"two_words","crate_types":["cdylib"]},"filenames":["/t/two_words.wasm","/t/x.d"],"executable":null}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"docket-host","crate_types":["bin"]},"filenames":["/t/docket-host"],"executable":"/t/docket-host"}"#,
            "\n",
            r#"{"reason":"build-finished","success":true}"#,
        );
        let artifacts = read_messages(stdout);
        let package = Package {
            name: "two-words".into(),
            library: "two_words".into(),
            pure: false,
        };
        assert_eq!(
            wasm_of(&artifacts, &package).unwrap(),
            Path::new("/t/two_words.wasm")
        );
        assert_eq!(
            program_of(&artifacts, "docket-host").unwrap(),
            Path::new("/t/docket-host")
        );
        assert!(program_of(&artifacts, "serde").is_err());
    }

    #[test]
    fn one_toolchains_environment_stays_out_of_anothers() {
        for name in [
            "CARGO",
            "RUSTC",
            "RUSTUP_TOOLCHAIN",
            "RUSTFLAGS",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "LD_LIBRARY_PATH",
            "CARGO_PROFILE_RELEASE_LTO",
        ] {
            assert!(is_of_a_toolchain(name), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_REGISTRIES_X_INDEX", "PATH", "HOME"] {
            assert!(!is_of_a_toolchain(name), "{name}");
        }
    }

    #[test]
    fn two_packages_with_one_file_are_refused() {
        let package = |name: &str| Package {
            name: name.into(),
            library: name.replace('-', "_"),
            pure: false,
        };
        assert!(check_distinct(&[package("a-b"), package("c")]).is_ok());
        assert!(check_distinct(&[package("a-b"), package("a_b")]).is_err());
    }
}
