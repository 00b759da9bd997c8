//! `cargo docket`: builds, runs, tests and looks after a Docket stack.

mod commands;
mod layout;

use clap::Parser as _;

#[tokio::main]
async fn main() -> std::process::ExitCode {
    commands::Cli::parse().run().await
}
