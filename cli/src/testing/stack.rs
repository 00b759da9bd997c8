//! A stack of a suite's own: its data folder and ports.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use tokio::process::Command;

use super::runner;
use super::suites::this_program;
use crate::layout::{Ports, Project};
use crate::machine;

/// The stack.
pub(super) struct Stack {
    folder: tempfile::TempDir,
    ports: machine::PortRange,
    variables: &'static [(&'static str, &'static str)],
}

impl Stack {
    /// One that is not started yet, with further variables in the environment of its commands.
    pub(super) fn new(variables: &'static [(&'static str, &'static str)]) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("docket-test-").tempdir()?;
        let ports =
            machine::PortRange::claim(Ports::SPAN).context("no range of free ports for a stack")?;
        Ok(Self {
            folder,
            ports,
            variables,
        })
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub(super) fn port_base(&self) -> u16 {
        self.ports.base()
    }

    fn command(&self, project: &Project, words: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(this_program()?);
        command.args(words).current_dir(project.root());
        command
            .env("DOCKET_DATA_DIR", self.data_dir())
            .env("DOCKET_PORT_BASE", self.port_base().to_string())
            .envs(self.variables.iter().copied());
        Ok(command)
    }

    /// Runs a command of this same program for the stack.
    pub(super) async fn docket(&self, project: &Project, words: &[&str]) -> anyhow::Result<()> {
        runner::run(&mut self.command(project, words)?, |_| ()).await
    }

    /// An access token for the account of an address; it is shown nowhere.
    pub(super) async fn token(&self, project: &Project, email: &str) -> anyhow::Result<String> {
        let mut command = self.command(project, &["token", "--email", email])?;
        let output = command.output().await?;
        ensure!(
            output.status.success(),
            "there is no token: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    }

    /// Takes the stack down, whatever came of its tests; keeps its logs if they failed.
    pub(super) async fn end(
        self,
        project: &Project,
        outcome: anyhow::Result<usize>,
    ) -> anyhow::Result<usize> {
        let down = if self.data_dir().exists() {
            self.docket(project, &["down"]).await
        } else {
            Ok(())
        };
        match (outcome, down) {
            (Ok(passed), Ok(())) => Ok(passed),
            (Ok(_), Err(error)) => Err(error.context("the stack cannot be taken down")),
            (Err(error), _) => {
                let logs = self.folder.keep().join("data").join("logs");
                bail!("{error:#} (logs: {})", logs.display())
            }
        }
    }
}
