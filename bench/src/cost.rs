//! What an operation takes in accounts of several sizes: it must not grow with them.

use anyhow::Result;
use docket_cli::commands::bench::Options;
use docket_tests::client::Account;
use std::time::Instant;

use crate::api::{self, Api};
use crate::report::{Report, Samples};

/// An operation on an account with a task of it.
#[derive(Clone, Copy)]
enum Operation {
    Create,
    Get,
    ListOpen,
    Search,
}

const OPERATIONS: [(&str, Operation); 4] = [
    ("create", Operation::Create),
    ("get", Operation::Get),
    ("list-open", Operation::ListOpen),
    ("search", Operation::Search),
];

/// An account of a size, and the ids of some of its tasks.
struct Subject {
    size: usize,
    account: Account,
    ids: Vec<String>,
}

/// Measures each operation on accounts of each size, by turns.
///
/// # Errors
/// An operation is refused.
pub async fn measure(api: &Api<'_>, options: &Options, report: &mut Report) -> Result<()> {
    let mut subjects = Vec::new();
    for size in options.sizes() {
        let began = Instant::now();
        let account = api.account(&format!("cost-{size}"), size).await?;
        let (ids, _) = api::page(&account, "limit=200&sort=title").await?;
        let took = began.elapsed().as_secs_f64();
        eprintln!("{:>12} {size} tasks in {took:.1} s", "imported");
        subjects.push(Subject { size, account, ids });
    }
    for (name, operation) in OPERATIONS {
        let mut figures: Vec<(usize, Samples)> = subjects
            .iter()
            .map(|subject| (subject.size, Samples::default()))
            .collect();
        for number in 0..options.repetitions() + 2 {
            for (subject, (_, samples)) in subjects.iter().zip(&mut figures) {
                let began = Instant::now();
                operation.run(subject, number).await?;
                let took = began.elapsed();
                // The first ones warm up: connections, and what an instance remembers.
                if number >= 2 {
                    samples.took.push(took);
                    samples.elapsed += took;
                }
            }
        }
        report.cost(name, &figures);
    }
    Ok(())
}

impl Operation {
    async fn run(self, subject: &Subject, number: usize) -> Result<()> {
        match self {
            Self::Create => api::create(&subject.account).await.map(drop),
            Self::Get => {
                let id = subject.ids.get(number % subject.ids.len().max(1));
                api::get(&subject.account, id.map_or("", String::as_str)).await
            }
            Self::ListOpen => api::page(&subject.account, "limit=50").await.map(drop),
            Self::Search => api::page(&subject.account, "q=garden&limit=50")
                .await
                .map(drop),
        }
    }
}
