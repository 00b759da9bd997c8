//! Pythons for the suites that need something of PyPI: each has a folder of its own, and in it exactly what its list of
//! requirements names, by hash.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

use super::runner;
use crate::layout::Project;
use crate::machine;

/// A Python of a suite.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Python {
    /// With python-dateutil, which the planner's recurrence rules are compared with.
    Oracle,
    /// With Schemathesis, which asks the API whatever its document allows.
    Schemathesis,
}

impl Python {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Oracle, Self::Schemathesis];

    /// The list of what it has to have, each version with its hashes, below the project's root.
    #[must_use]
    pub fn requirements(self) -> &'static str {
        match self {
            Self::Oracle => "crates/planner/tests/oracle/requirements.txt",
            Self::Schemathesis => "tests/schemathesis/requirements.txt",
        }
    }

    /// Its folder, below the target folder.
    fn folder(self) -> &'static str {
        match self {
            Self::Oracle => "oracle",
            Self::Schemathesis => "schemathesis",
        }
    }

    /// The interpreter, with all that is required; it is made anew when the requirements are.
    ///
    /// # Errors
    /// There is no Python, or a requirement cannot be had as it was pinned.
    pub async fn interpreter(
        self,
        project: &Project,
        target_dir: &Path,
    ) -> anyhow::Result<PathBuf> {
        let requirements = project.root().join(self.requirements());
        let required = std::fs::read_to_string(&requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let folder = target_dir.join(self.folder());
        let python = folder.join("bin").join("python");
        // Written last: a folder without it is half made.
        let installed = folder.join("requirements.txt");
        if python.exists() && std::fs::read_to_string(&installed).is_ok_and(|is| is == required) {
            return Ok(python);
        }
        let system = machine::find_on_path("python3")
            .context("Python is missing: see `cargo docket doctor`")?;
        let mut make = Command::new(system);
        make.args(["-m", "venv", "--clear"]).arg(&folder);
        runner::run(&mut make, |_| ()).await?;
        let mut install = Command::new(&python);
        install
            .args(["-m", "pip", "install", "--quiet", "--no-deps"])
            .args(["--disable-pip-version-check", "--only-binary", ":all:"])
            .args(["--require-hashes", "-r"])
            .arg(&requirements);
        runner::run(&mut install, |_| ()).await?;
        std::fs::write(&installed, required)
            .with_context(|| format!("cannot write {}", installed.display()))?;
        Ok(python)
    }
}
