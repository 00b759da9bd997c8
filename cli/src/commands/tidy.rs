//! `cargo docket tidy`: the project's own rules, a finding a line.

use std::io::Write as _;

use crate::tidy::{self, Tree};

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (project, _) = global.open()?;
        let findings = tidy::check(&Tree::read(project.root())?);
        let mut out = std::io::stdout().lock();
        for finding in &findings {
            writeln!(out, "{finding}")?;
        }
        anyhow::ensure!(
            findings.is_empty(),
            "{} findings of {} rules",
            findings.len(),
            tidy::rules()
        );
        writeln!(out, "{} rules hold", tidy::rules())?;
        Ok(())
    }
}
