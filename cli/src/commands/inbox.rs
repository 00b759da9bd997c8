//! `cargo docket inbox`: messages to the task inbox, as another system sends them.

use std::io::{Read as _, Write as _};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use docket_domain::AccountId;

use crate::accounts::account_of;
use crate::events;
use crate::inbox::{self, Outcome, Proof};
use crate::stack::registry::Stack;
use crate::stack::secrets::{self, JwtKey};
use crate::token;

/// The longest that an access token for one message lives.
const TOKEN_LIVES: Duration = Duration::from_secs(15 * 60);

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Send a message, and print its result
    Send(Send),
}

#[derive(clap::Args)]
struct Send {
    /// Whose tasks: an e-mail address on a local stack, or an account's id
    #[arg(long, value_name = "EMAIL|ID")]
    account: String,
    /// The message's id, which makes it count once [default: a new one]
    #[arg(long)]
    id: Option<String>,
    /// Show an access token, not a signature
    #[arg(long)]
    token: bool,
    /// Print the message, and do not send it
    #[arg(long)]
    dry_run: bool,
    /// The longest to wait for the result
    #[arg(long, value_parser = token::read_duration, default_value = "30s", value_name = "TIME")]
    timeout: Duration,
    /// The operation, as in a batch, such as '{"op":"create","task":{"title":"Buy milk"}}'; `-` reads it from standard
    /// input
    operation: String,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let What::Send(send) = self.what;
        send.run(global).await
    }
}

impl Send {
    async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (_, data) = global.open()?;
        let now = DateTime::<Utc>::from(SystemTime::now());
        let id = match self.id {
            Some(id) => id,
            None => random()?,
        };
        let account = match self.account.contains('@') {
            true => account_of(&data, &self.account, false).await?,
            false => AccountId::parse(&self.account)
                .with_context(|| format!("`{}` is no account's id", self.account))?,
        };
        let proof = if self.token {
            let key = JwtKey::read(&data)?;
            let token = token::mint(&key.kid, &key.seed, &account, now, TOKEN_LIVES, random()?)?;
            Proof::Token(token)
        } else {
            Proof::Key(secrets::inbox_key(&data)?)
        };
        let mut operation = self.operation;
        if operation == "-" {
            operation.clear();
            std::io::stdin().read_to_string(&mut operation)?;
        }
        let message = inbox::message(&account, &id, now, &operation, &proof)?;
        if self.dry_run {
            writeln!(std::io::stdout(), "{message}")?;
            return Ok(());
        }
        let stack = Stack::read(&data)
            .filter(Stack::is_supervised)
            .context("no stack runs here; start one: `cargo docket up`")?;
        let client = events::connect(&stack.brokers).await?;
        inbox::send(&client, &account, message, now).await?;
        match inbox::outcome(&client, &account, &id, now, self.timeout).await? {
            Outcome::Result(result) => writeln!(std::io::stdout(), "{result}")?,
            Outcome::Dead(reason) => bail!("the message was not taken: {reason}"),
        }
        Ok(())
    }
}

fn random() -> anyhow::Result<String> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)
        .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    Ok(crate::build::hex(&id))
}
