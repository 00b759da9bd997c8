//! `cargo docket dead-letters`: what consumers could not take, and its way back to them.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use rskafka::client::Client;

use crate::dead_letters::{self, Letter};
use crate::events;
use crate::stack::registry::Stack;

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Show the messages that consumers could not take
    List(List),
    /// Give messages to their topics' consumers again, as they were or mended
    Replay(Replay),
}

#[derive(clap::Args)]
struct List {
    /// Only those of this topic
    #[arg(long)]
    topic: Option<String>,
    /// All that is known of each, a JSON document a line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
struct Replay {
    /// Only those of this topic
    #[arg(long)]
    topic: Option<String>,
    /// The letter or the message, by what `list` calls it; may be given several times
    #[arg(long, value_name = "ID", required_unless_present = "all")]
    id: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "id")]
    all: bool,
    /// What is sent in the place of the one message: a file with it mended
    #[arg(long, value_name = "FILE", conflicts_with = "all")]
    message: Option<PathBuf>,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (project, data) = global.open()?;
        let stack = Stack::read(&data)
            .filter(Stack::is_supervised)
            .context("no stack runs here; start one: `cargo docket up`")?;
        let client = events::connect(&stack.brokers).await?;
        match self.what {
            What::List(list) => {
                let consumers = dead_letters::consumers(&project.components())
                    .context("the subscriptions cannot be read")?;
                let letters = dead_letters::pending(&client, list.topic.as_deref()).await?;
                for letter in &letters {
                    say(&if list.json {
                        letter.describe(&consumers).to_string()
                    } else {
                        letter.line(&consumers)
                    });
                }
                if letters.is_empty() && !list.json {
                    say("no dead letters");
                }
                Ok(())
            }
            What::Replay(replay) => replay.run(&client).await,
        }
    }
}

impl Replay {
    async fn run(self, client: &Client) -> anyhow::Result<()> {
        let letters = dead_letters::pending(client, self.topic.as_deref()).await?;
        let letters = self.mend(self.chosen(letters)?)?;
        if letters.is_empty() {
            say("no dead letters");
            return Ok(());
        }
        if !self.yes && !confirmed(&letters)? {
            bail!("nothing was replayed");
        }
        let (all, mut done) = (letters.len(), 0);
        dead_letters::replay(client, &letters, |letter| {
            done += 1;
            say(&format!(
                "[{done}/{all}] {} is on {} again",
                letter.name(),
                letter.topic
            ));
        })
        .await?;
        Ok(())
    }

    /// Those that were asked for, each of which has to be there.
    fn chosen(&self, letters: Vec<Letter>) -> anyhow::Result<Vec<Letter>> {
        for id in &self.id {
            ensure!(
                letters.iter().any(|letter| letter.is(id)),
                "there is no dead letter {id}; `cargo docket dead-letters list` shows those that there are"
            );
        }
        let asked = |letter: &Letter| self.all || self.id.iter().any(|id| letter.is(id));
        Ok(letters.into_iter().filter(asked).collect())
    }

    fn mend(&self, mut letters: Vec<Letter>) -> anyhow::Result<Vec<Letter>> {
        let Some(path) = &self.message else {
            return Ok(letters);
        };
        let message = std::fs::read(path).with_context(|| path.display().to_string())?;
        serde_json::from_slice::<serde_json::Value>(&message)
            .with_context(|| format!("{} is no JSON", path.display()))?;
        match letters.pop() {
            Some(letter) if letters.is_empty() => Ok(vec![letter.mended(message)]),
            _ => bail!("--message mends one letter: say which with --id TOPIC:PARTITION:OFFSET"),
        }
    }
}

/// Whether the person at the terminal wants it.
fn confirmed(letters: &[Letter]) -> anyhow::Result<bool> {
    let stdin = std::io::stdin();
    ensure!(
        stdin.is_terminal(),
        "there is nobody to ask; say --yes to replay {} of them",
        letters.len()
    );
    let mut stderr = std::io::stderr();
    write!(stderr, "replay {} dead letters? [y/N] ", letters.len())?;
    stderr.flush()?;
    let mut answer = String::new();
    stdin.read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn say(line: &str) {
    // `cargo docket dead-letters list | head -1` closes the pipe: that is no failure.
    if writeln!(std::io::stdout(), "{line}").is_err() {
        std::process::exit(0);
    }
}
