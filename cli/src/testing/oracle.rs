//! The Python that knows python-dateutil, which the planner's recurrence rules are compared with.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use tokio::process::Command;

use super::runner;
use crate::layout::Project;
use crate::machine;

/// The variable that tells the test of the Python.
pub const VARIABLE: &str = "DOCKET_ORACLE_PYTHON";
/// What it has to have, each version with its hash.
const REQUIREMENTS: &str = "crates/planner/tests/oracle/requirements.txt";

/// A Python with all that is required, below the target folder; it is made anew when the requirements are.
pub async fn python(project: &Project, target_dir: &Path) -> anyhow::Result<PathBuf> {
    let requirements = project.root().join(REQUIREMENTS);
    let required = std::fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let folder = target_dir.join("oracle");
    let python = folder.join("bin").join("python");
    // Written last: a folder without it is half made.
    let installed = folder.join("requirements.txt");
    if python.exists() && std::fs::read_to_string(&installed).is_ok_and(|is| is == required) {
        return Ok(python);
    }
    let system =
        machine::find_on_path("python3").context("Python is missing: see `cargo docket doctor`")?;
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
