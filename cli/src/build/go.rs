//! Builds the Go programs: the sidecar, Dapr's Sentry and scheduler, and the embedded broker.
//!
//! Go itself takes a few seconds to find that nothing changed, so a fingerprint of the sources, the
//! flags, the compiler and the programs decides whether it is asked at all.

use std::path::{Path, PathBuf};
use std::time::{Instant, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use super::{Programs, process};
use crate::layout::Project;
use crate::machine;

/// The flags that the tests need too, or Go would compile everything a second time for them.
pub const GO_ENVIRONMENT: [(&str, &str); 2] = [("CGO_ENABLED", "0"), ("GOFLAGS", "-trimpath")];
/// Neither symbol tables nor debug information: half the size.
const LDFLAGS: &str = "-ldflags=-s -w";

/// Builds what is stale.
pub(super) async fn build(
    project: &Project,
    target_dir: &Path,
    verbose: bool,
) -> anyhow::Result<Programs> {
    let started = Instant::now();
    let module = project.sidecars();
    let found = machine::fitting_daprd().await;
    let mut names = programs(&module)?;
    if found.is_some() {
        names.retain(|name| name != "daprd");
    }
    let bin = module.join("bin");
    let files: Vec<PathBuf> = names.iter().map(|name| bin.join(name)).collect();
    let stamp = super::stamps(target_dir).join("sidecars");
    let go = machine::find_on_path("go")
        .context("Go is missing: install Go 1.26 or later (https://go.dev/dl), then try again")?;
    let compiler = machine::version_text(&go, &["version"])
        .await
        .context("`go version` failed")?;
    let mut note = "nothing to do";
    let before = fingerprint(&module, &compiler, &files)?;
    if before.is_none() || std::fs::read_to_string(&stamp).ok() != before {
        let mut command = command(&go, &module);
        command.args(["build", LDFLAGS, "-o", "bin/"]);
        command.args(names.iter().map(|name| format!("./cmd/{name}")));
        process::run("sidecars", &mut command, verbose, None).await?;
        let after =
            fingerprint(&module, &compiler, &files)?.context("go build left a program out")?;
        super::wasm::write(&stamp, after.as_bytes())?;
        note = "";
    }
    process::report("sidecars", started, note);
    let program = |name: &str| project.sidecar_program(name);
    Ok(Programs {
        broker: program("docket-broker"),
        sentry: program("docket-sentry"),
        scheduler: program("docket-scheduler"),
        daprd: found.unwrap_or_else(|| program("daprd")),
    })
}

/// A go command in the module's folder, with the environment that all of them share.
#[must_use]
pub fn command(go: &Path, module: &Path) -> Command {
    let mut command = Command::new(go);
    command.current_dir(module).envs(GO_ENVIRONMENT);
    command
}

/// The module's programs: the folders under `cmd/`.
fn programs(module: &Path) -> anyhow::Result<Vec<String>> {
    let folder = module.join("cmd");
    let mut names = Vec::new();
    for entry in
        std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    if names.is_empty() {
        bail!("{} has no programs", folder.display());
    }
    names.sort();
    Ok(names)
}

/// What the programs depend on and what they are; `None` if one is missing.
fn fingerprint(module: &Path, compiler: &str, files: &[PathBuf]) -> anyhow::Result<Option<String>> {
    let mut hasher = Sha256::new();
    let mut add = |bytes: &[u8]| {
        hasher.update((bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    add(compiler.as_bytes());
    add(LDFLAGS.as_bytes());
    for (name, value) in GO_ENVIRONMENT {
        add(name.as_bytes());
        add(value.as_bytes());
    }
    for source in sources(module)? {
        add(source.as_os_str().as_encoded_bytes());
        add(&std::fs::read(&source).with_context(|| format!("cannot read {}", source.display()))?);
    }
    for file in files {
        let Ok(meta) = file.metadata() else {
            return Ok(None);
        };
        let modified = meta.modified()?.duration_since(UNIX_EPOCH)?;
        add(file.as_os_str().as_encoded_bytes());
        add(&meta.len().to_le_bytes());
        add(&modified.as_nanos().to_le_bytes());
    }
    Ok(Some(super::hex(&hasher.finalize())))
}

/// Every file that may go into a program, in a fixed order.
fn sources(module: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![module.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)
            .with_context(|| format!("cannot read {}", folder.display()))?
        {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                if path != module.join("bin") {
                    folders.push(path);
                }
            } else if !entry.file_name().to_string_lossy().ends_with("_test.go") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Module {
        folder: tempfile::TempDir,
    }

    impl Module {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let module = Self { folder };
            module.write("cmd/one/main.go", "package main");
            module.write("cmd/two/main.go", "package main");
            module.write("go.mod", "module m");
            module.write("bin/one", "program");
            module
        }

        fn write(&self, path: &str, text: &str) {
            let file = self.folder.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }

        fn fingerprint(&self, compiler: &str) -> Option<String> {
            let module = self.folder.path();
            fingerprint(module, compiler, &[module.join("bin/one")]).unwrap()
        }
    }

    #[test]
    fn programs_are_the_folders_under_cmd() {
        let module = Module::new();
        assert_eq!(programs(module.folder.path()).unwrap(), ["one", "two"]);
    }

    #[test]
    fn the_same_sources_have_the_same_fingerprint() {
        let module = Module::new();
        let first = module.fingerprint("go1.26");
        assert!(first.is_some());
        module.write("cmd/one/main.go", "package main");
        assert_eq!(
            module.fingerprint("go1.26"),
            first,
            "only the content counts"
        );
    }

    #[test]
    fn whatever_goes_into_a_program_changes_the_fingerprint() {
        let module = Module::new();
        let first = module.fingerprint("go1.26");
        assert_ne!(module.fingerprint("go1.27"), first, "the compiler");
        module.write("cmd/one/main.go", "package main // changed");
        let second = module.fingerprint("go1.26");
        assert_ne!(second, first, "a source");
        module.write("cmd/one/extra.go", "package main");
        let third = module.fingerprint("go1.26");
        assert_ne!(third, second, "a new source");
        module.write("bin/one", "another program");
        assert_ne!(
            module.fingerprint("go1.26"),
            third,
            "a program that was replaced"
        );
    }

    #[test]
    fn tests_do_not_make_programs_stale() {
        let module = Module::new();
        let first = module.fingerprint("go1.26");
        module.write("cmd/one/main_test.go", "package main");
        assert_eq!(module.fingerprint("go1.26"), first);
    }

    #[test]
    fn a_missing_program_has_no_fingerprint() {
        let module = Module::new();
        std::fs::remove_file(module.folder.path().join("bin/one")).unwrap();
        assert_eq!(module.fingerprint("go1.26"), None);
    }
}
