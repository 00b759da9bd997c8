//! Runs the package docket-bench on what was built.

use anyhow::{Context as _, ensure};

use super::suites::this_program;
use crate::build::{self, cargo};
use crate::layout::Project;

/// Builds what a stack runs, and measures one as `words` say.
///
/// # Errors
/// Something cannot be built, or be measured at all.
pub async fn run(project: &Project, words: &[String]) -> anyhow::Result<()> {
    build::build(project, &build::Options::default()).await?;
    let mut command = cargo::native();
    // Without --package: the features are then those of the whole workspace, as in its other builds.
    command
        .args(["run", "--quiet", "--bin", "docket-bench", "--"])
        .args(words)
        .env("DOCKET_PROGRAM", this_program()?)
        .current_dir(project.root());
    let status = command.status().await.context("cannot run cargo")?;
    ensure!(status.success(), "the bench failed ({status})");
    Ok(())
}
