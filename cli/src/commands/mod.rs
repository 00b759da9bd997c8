//! One module a subcommand; each has its `Args` and `run`.

pub mod audit;
pub mod bench;
pub mod build;
pub mod dead_letters;
pub mod doctor;
pub mod down;
pub mod events;
pub mod inbox;
pub mod keys;
pub mod sbom;
pub mod status;
pub mod test;
pub mod tidy;
pub mod token;
pub mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::layout::{DataDir, Project};

/// Builds, runs, tests and looks after a Docket stack.
#[derive(clap::Parser)]
#[command(
    name = "cargo docket",
    bin_name = "cargo docket",
    version,
    propagate_version = true
)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(clap::Args, Clone, Debug)]
pub struct Global {
    /// Where a stack keeps its state, secrets and logs [default: .docket in the checkout]
    #[arg(long, global = true, env = "DOCKET_DATA_DIR", value_name = "FOLDER")]
    pub data_dir: Option<PathBuf>,
}

impl Global {
    /// The checkout that the command runs in and the data folder that it uses.
    pub fn open(&self) -> anyhow::Result<(Project, DataDir)> {
        let project = Project::find()?;
        let data = project.data_dir(self.data_dir.as_deref())?;
        Ok((project, data))
    }
}

#[derive(clap::Subcommand)]
enum Command {
    /// Build what is stale and run the whole stack
    Up(up::Args),
    /// Stop a running stack
    Down(down::Args),
    /// Say what runs, where, and whether it is healthy
    Status(status::Args),
    /// Build every function to a component, and the native parts
    Build(build::Args),
    /// Make an access token for local use
    Token(token::Args),
    /// Read a topic's events from the broker
    Events(events::Args),
    /// Look after audit logs
    Audit(audit::Args),
    /// Show what consumers could not take, and give it to them again
    DeadLetters(dead_letters::Args),
    /// Send a message to the task inbox, as another system would
    Inbox(inbox::Args),
    /// Look after the keys of access tokens
    Keys(keys::Args),
    /// Tell what Docket is made of: a CycloneDX bill
    Sbom(sbom::Args),
    /// Run the tests
    Test(test::Args),
    /// Measure a stack of its own beside its raw sidecar
    Bench(bench::Options),
    /// Check the project's own rules
    Tidy(tidy::Args),
    /// Check this machine for what the project needs
    Doctor(doctor::Args),
}

impl Cli {
    /// Runs the chosen command.
    pub async fn run(self) -> ExitCode {
        let global = self.global;
        let done = match self.command {
            Command::Up(args) => return exit(args.run(&global).await),
            Command::Down(args) => args.run(&global).await,
            Command::Status(args) => return exit(args.run(&global).await),
            Command::Build(args) => args.run(&global).await,
            Command::Token(args) => args.run(&global).await,
            Command::Events(args) => args.run(&global).await,
            Command::Audit(args) => args.run(&global).await,
            Command::DeadLetters(args) => args.run(&global).await,
            Command::Inbox(args) => args.run(&global).await,
            Command::Keys(args) => args.run(&global).await,
            Command::Sbom(args) => args.run(&global).await,
            Command::Test(args) => args.run(&global).await,
            Command::Bench(options) => options.run(&global).await,
            Command::Tidy(args) => args.run(&global).await,
            Command::Doctor(args) => args.run(&global).await,
        };
        exit(done.map(|()| ExitCode::SUCCESS))
    }
}

/// An error is one line on stderr and exit code 1.
fn exit(done: anyhow::Result<ExitCode>) -> ExitCode {
    done.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
