//! `cargo docket doctor`: what this machine has of what the project needs.

use std::io::Write as _;

use crate::doctor::{self, State};
use crate::layout::Ports;

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    /// The ports to look at: those of a stack with this base
    #[arg(long, env = "DOCKET_PORT_BASE", default_value_t = Ports::DEFAULT)]
    port_base: u16,
    /// For machines
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (project, data) = global.open()?;
        let checks = doctor::examine(&project, &data, Ports::new(self.port_base)?).await;
        let mut out = std::io::stdout().lock();
        if self.json {
            writeln!(out, "{}", serde_json::to_string_pretty(&checks)?)?;
        } else {
            for check in &checks {
                writeln!(out, "{check}")?;
            }
        }
        let failed = checks
            .iter()
            .filter(|check| check.state == State::Fail)
            .count();
        anyhow::ensure!(
            failed == 0,
            "{failed} of {} things are missing",
            checks.len()
        );
        Ok(())
    }
}
