//! `cargo docket test`: all suites, or one.

use crate::testing::suites::{self, Suite};

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Only these suites
    #[arg(value_enum)]
    suite: Vec<Suite>,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (project, _) = global.open()?;
        let suites = if self.suite.is_empty() {
            Suite::ALL.to_vec()
        } else {
            self.suite
        };
        anyhow::ensure!(suites::run(&project, &suites).await, "tests failed");
        Ok(())
    }
}
