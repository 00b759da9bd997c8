//! `cargo docket`: builds, runs, tests and looks after a Docket stack.

use clap::Parser as _;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    docket_cli::commands::Cli::parse().run().await
}
