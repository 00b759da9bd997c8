//! `cargo docket events`: a topic's events, one a line.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;

use crate::accounts::account_of;
use crate::events::{self, Event, From, Query};
use crate::stack::registry::Stack;
use crate::token;

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    /// The topic
    #[arg(long, default_value = "task-events")]
    topic: String,
    /// Only this account's events: its e-mail address on a local stack, or its id
    #[arg(long, value_name = "EMAIL|ID")]
    account: Option<String>,
    /// Where to begin
    #[arg(long, value_enum, default_value_t = From::Beginning)]
    from: From,
    /// Go on until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Stop after that many events, and wait for them if need be
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// The longest to wait; 10s unless --follow
    #[arg(long, value_parser = token::read_duration, value_name = "TIME")]
    timeout: Option<Duration>,
    /// The events as they are, a JSON document a line
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (_, data) = global.open()?;
        let stack = Stack::read(&data)
            .filter(Stack::is_supervised)
            .context("no stack runs here; start one: `cargo docket up`")?;
        let account = match &self.account {
            Some(email) if email.contains('@') => {
                let id = account_of(&data, email, false).await?;
                Some(id.to_string())
            }
            account => account.clone(),
        };
        let query = self.query(account);
        let json = self.json;
        if query.follow || query.from == From::End {
            events::read_topic(&stack.brokers, &query, |event| print(&event, json)).await?;
            return Ok(());
        }
        let mut found = Vec::new();
        let done = events::read_topic(&stack.brokers, &query, |event| found.push(event)).await;
        // Too few events are an error, but those that came are worth seeing.
        events::sort(&mut found);
        for event in &found {
            print(event, json);
        }
        done?;
        Ok(())
    }

    fn query(&self, account: Option<String>) -> Query {
        Query {
            topic: self.topic.clone(),
            from: self.from,
            account,
            count: self.count,
            follow: self.follow,
            timeout: self
                .timeout
                .or((!self.follow).then_some(Duration::from_secs(10))),
        }
    }
}

fn print(event: &Event, json: bool) {
    let line = if json {
        event.body.to_string()
    } else {
        event.line()
    };
    // `cargo docket events | head -1` closes the pipe: that is no failure.
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}
