//! cargo-deny, which holds Cargo.lock to `deny.toml`: a program of crates.io, of which each checkout has its own.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

use super::runner;
use crate::build::cargo;
use crate::layout::Project;

/// The version that is installed.
const VERSION: &str = "0.20.2";
/// Where cargo-deny fetches advisories from.
const RUSTSEC: &str = "https://github.com/RustSec/advisory-db";
/// What is checked by the project's own files, without anybody else's word.
pub const CHECKS: [&str; 3] = ["bans", "licenses", "sources"];

/// cargo-deny, installed.
pub struct Deny<'a> {
    project: &'a Project,
    program: PathBuf,
    /// What else it keeps.
    folder: PathBuf,
}

impl<'a> Deny<'a> {
    /// Installs it below the target folder, if it is not there. It is built to be there soon, not to be fast: a check takes
    /// seconds.
    ///
    /// # Errors
    /// It cannot be had, or be built.
    pub async fn installed(project: &'a Project, target_dir: &Path) -> anyhow::Result<Self> {
        let folder = target_dir.join("cargo-deny");
        let root = folder.join(VERSION);
        let program = root.join("bin").join("cargo-deny");
        if !program.exists() {
            let mut install = cargo::native();
            install
                .args(["install", "--quiet", "--locked", "--debug", "--root"])
                .arg(&root)
                .args(["--version", VERSION, "cargo-deny"])
                .env("CARGO_PROFILE_DEV_DEBUG", "0");
            runner::run(&mut install, |_| ()).await?;
        }
        Ok(Self {
            project,
            program,
            folder,
        })
    }

    /// Holds Cargo.lock to the bans, licences and sources of `deny.toml`.
    ///
    /// # Errors
    /// Something breaks a rule.
    pub async fn check(&self) -> anyhow::Result<()> {
        runner::run(self.command().arg("check").args(CHECKS), |_| ()).await
    }

    /// Looks for known holes in an advisory database: the address of a git repository, or the folder of one.
    ///
    /// # Errors
    /// There is one that `deny.toml` does not excuse, or no database.
    pub async fn look_for_holes(&self, database: &str) -> anyhow::Result<()> {
        let rules = self.project.root().join("deny.toml");
        let rules = std::fs::read_to_string(&rules)
            .with_context(|| format!("cannot read {}", rules.display()))?;
        let rules = keeping(&rules, &self.folder.join("databases"))?;
        let file = self.folder.join("deny.toml");
        std::fs::write(&file, rules).with_context(|| format!("cannot write {}", file.display()))?;
        let mut command = self.command();
        // It takes no folder for an address; its git does.
        command
            .env("GIT_CONFIG_COUNT", "1")
            .env(
                "GIT_CONFIG_KEY_0",
                format!("url.{}.insteadOf", address(database)?),
            )
            .env("GIT_CONFIG_VALUE_0", RUSTSEC)
            .arg("--config")
            .arg(file)
            .args(["check", "advisories"]);
        runner::run(&mut command, |_| ()).await
    }

    fn command(&self) -> Command {
        let mut command = cargo::outside_a_package(&self.program);
        command.arg("--locked").current_dir(self.project.root());
        command
    }
}

/// The address of a database.
fn address(database: &str) -> anyhow::Result<String> {
    if database.contains("://") {
        return Ok(database.to_owned());
    }
    let folder = std::fs::canonicalize(database);
    let folder = folder.with_context(|| format!("there is no folder {database}"))?;
    Ok(format!("file://{}", folder.display()))
}

/// The rules, with a folder of their own for what is fetched: what came from a copy must not pass for the newest elsewhere.
fn keeping(rules: &str, kept: &Path) -> anyhow::Result<String> {
    let mut rules: toml::Table = toml::from_str(rules).context("deny.toml")?;
    let advisories = rules
        .entry("advisories")
        .or_insert_with(|| toml::Table::new().into());
    let advisories = advisories.as_table_mut().context("[advisories] is none")?;
    let kept = kept.to_str().context("a folder's name is text")?;
    advisories.insert("db-path".to_owned(), kept.into());
    Ok(toml::to_string(&rules)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_stay_as_they_are_but_for_a_folder() {
        for advisories in ["", "[advisories]\nignore = [\"RUSTSEC-1\"]\n"] {
            let text = format!("{advisories}[bans]\nwildcards = \"deny\"\n");
            let text = keeping(&text, Path::new("/kept")).unwrap();
            let read: toml::Table = toml::from_str(&text).unwrap();
            assert_eq!(read["advisories"]["db-path"], "/kept".into());
            let ignored = read["advisories"].get("ignore");
            assert_eq!(ignored.is_some(), !advisories.is_empty());
            assert_eq!(read["bans"]["wildcards"], "deny".into());
        }
    }

    #[test]
    fn a_folder_has_an_address() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert!(address(path).unwrap().starts_with("file:///"));
        assert!(address(&format!("{path}/none")).is_err());
        let web = "https://example.org/db";
        assert_eq!(address(web).unwrap(), web);
    }
}
