//! `cargo docket bench`: measures a stack of its own; the measuring is the package docket-bench's.

use std::fmt;
use std::time::Duration;

use crate::testing::bench;

/// What can be measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, clap::ValueEnum)]
pub enum Figure {
    /// A new task: one read and one guarded transaction of the sidecar
    Create,
    /// One task: one read
    Get,
    /// A page of 50, and all of 1,000 open tasks: reads of the book and of segments
    List,
    /// A search in 1,000 tasks: reads of the book and of all segments
    Search,
    /// 50 new tasks at once: one read and one guarded transaction
    Batch,
    /// From a change's answer to a Kafka consumer of `task-events`, beside Dapr's own outbox
    Events,
    /// How late reminders are, ten a second for a minute: to the topic `reminders`, and to clients
    Reminders,
    /// Create, get, list and search in accounts of 10 to 100,000 tasks
    Cost,
    /// All of these
    All,
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Get => "get",
            Self::List => "list",
            Self::Search => "search",
            Self::Batch => "batch",
            Self::Events => "events",
            Self::Reminders => "reminders",
            Self::Cost => "cost",
            Self::All => "all",
        })
    }
}

/// The command's arguments.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
    /// What to measure [default: all]
    #[arg(value_enum)]
    figures: Vec<Figure>,
    /// A smoke run of seconds: shows that all of it works, its figures say nothing
    #[arg(long)]
    pub quick: bool,
    /// How long all counted rounds of one figure take together, in seconds
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// JSON instead of a table
    #[arg(long)]
    pub json: bool,
}

impl Options {
    /// What to measure, in the order of the list.
    #[must_use]
    pub fn figures(&self) -> Vec<Figure> {
        let all = self.figures.is_empty() || self.figures.contains(&Figure::All);
        <Figure as clap::ValueEnum>::value_variants()
            .iter()
            .copied()
            .filter(|figure| *figure != Figure::All && (all || self.figures.contains(figure)))
            .collect()
    }

    /// How many clients are at work at once, one run each.
    #[must_use]
    pub fn clients(&self) -> Vec<usize> {
        if self.quick { vec![2] } else { vec![1, 16] }
    }

    /// How many rounds count; the API's and the sidecar's take turns.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        if self.quick { 0 } else { 6 }
    }

    /// How long a round is.
    #[must_use]
    pub fn round(&self) -> Duration {
        if self.quick {
            Duration::from_millis(50)
        } else {
            Duration::from_secs(u64::from(self.seconds)) / (2 * self.rounds())
        }
    }

    /// How often something is done that is measured one by one.
    #[must_use]
    pub fn repetitions(&self) -> usize {
        if self.quick { 3 } else { 200 }
    }

    /// For how many seconds reminders are due.
    #[must_use]
    pub fn reminded_seconds(&self) -> usize {
        if self.quick { 1 } else { 60 }
    }

    /// The sizes of accounts whose costs are compared, in tasks.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        if self.quick {
            vec![10, 100]
        } else {
            vec![10, 1_000, 10_000, 100_000]
        }
    }

    fn words(&self) -> Vec<String> {
        let mut words: Vec<String> = self.figures.iter().map(Figure::to_string).collect();
        words.push(format!("--seconds={}", self.seconds));
        words.extend(self.quick.then(|| "--quick".to_owned()));
        words.extend(self.json.then(|| "--json".to_owned()));
        words
    }

    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (project, _) = global.open()?;
        bench::run(&project, &self.words()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn what_is_asked_for_is_handed_on() {
        for (words, figures) in [
            (&[][..], 8),
            (&["all"], 8),
            (&["get", "create"], 2),
            (&["events", "--quick", "--json", "--seconds", "5"], 1),
        ] {
            let read = |words: Vec<String>| {
                Line::parse_from(std::iter::once("bench".to_owned()).chain(words)).options
            };
            let options = read(words.iter().map(|word| (*word).to_owned()).collect());
            assert_eq!(options.figures().len(), figures, "{words:?}");
            let again = read(options.words());
            assert_eq!(format!("{again:?}"), format!("{options:?}"));
        }
    }
}
