//! `cargo docket down`.

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {}

impl Args {
    /// Runs the command.
    pub async fn run(self, _global: &super::Global) -> anyhow::Result<()> {
        anyhow::bail!("in work")
    }
}
