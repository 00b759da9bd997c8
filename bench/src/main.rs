//! `cargo docket bench`: what the API takes beside what the raw sidecar takes, in one run on a stack of its own.
//!
//! Rounds of the one and of the other take turns, so that whatever else the machine does meanwhile hits both.

mod api;
mod arrivals;
mod cost;
mod dapr_outbox;
mod events;
mod figures;
mod raw;
mod reminders;
mod report;

use anyhow::{Context as _, Result};
use clap::Parser;
use docket_cli::commands::bench::{Figure, Options};
use docket_tests::stack::Stack;
use std::process::ExitCode;

use api::Api;
use raw::Raw;
use report::Report;

/// The figures of a stack beside those of its raw sidecar.
#[derive(Parser)]
#[command(name = "cargo docket bench", bin_name = "cargo docket bench")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    match bench(&Arguments::parse().options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn bench(options: &Options) -> Result<()> {
    let stack = Stack::start("bench").await?;
    let mut report = Report::begin(options.quick);
    let api = Api::new(&stack);
    let raw = Raw::new(&stack)?;
    for figure in options.figures() {
        eprintln!("{:>12} {figure}", "measuring");
        let done = match figure {
            Figure::Events => events::measure(&api, &stack, options, &mut report).await,
            Figure::Reminders => reminders::measure(&api, &stack, options, &mut report).await,
            Figure::Cost => cost::measure(&api, options, &mut report).await,
            Figure::All => Ok(()),
            other => figures::measure(other, &api, &raw, options, &mut report).await,
        };
        if let Err(error) = done.with_context(|| figure.to_string()) {
            // What was measured before is worth seeing.
            report.print(options.json)?;
            return Err(error);
        }
    }
    stack.finish().await?;
    report.print(options.json)
}
