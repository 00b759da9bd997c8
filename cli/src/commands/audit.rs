//! `cargo docket audit verify`: whether an account's audit log is as it was written.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use chrono::{DateTime, Utc};
use docket_domain::audit::Hash;

use crate::accounts::account_of;
use crate::audit::Api;
use crate::layout::Ports;
use crate::stack::registry::Stack;
use crate::stack::secrets::JwtKey;
use crate::token;

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Compute an account's chain of hashes anew, and say where it is broken
    Verify(Verify),
}

#[derive(clap::Args)]
struct Verify {
    /// Whose log: the e-mail address on a local stack
    #[arg(long, value_name = "EMAIL", alias = "account")]
    email: String,
    /// A hash that the log had as its last one: it has to go through it still
    #[arg(long, value_name = "HASH", value_parser = hash)]
    anchor: Option<Hash>,
}

fn hash(text: &str) -> Result<Hash, &'static str> {
    Hash::parse(text).ok_or("a hash has 64 hexadecimal digits")
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let Command::Verify(verify) = self.command;
        verify.run(global).await
    }
}

impl Verify {
    async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (_, data) = global.open()?;
        let stack = Stack::read(&data)
            .filter(Stack::is_supervised)
            .context("no stack runs here; start one: `cargo docket up`")?;
        let account = account_of(&data, &self.email, false).await?;
        let key = JwtKey::read(&data)?;
        let token = token::mint(
            &key.kid,
            &key.seed,
            &account,
            DateTime::<Utc>::from(SystemTime::now()),
            Duration::from_secs(3_600),
            "audit-verify".to_owned(),
        )?;
        let api = Api {
            address: Ports::address(Ports::new(stack.port_base)?.app()),
            token,
        };
        let found = api.verify(self.anchor).await?;
        if let Some(wrong) = found.wrong() {
            bail!("the log of {}: {wrong}", self.email);
        }
        let chain = found.chain;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{} entries, all as they were written", chain.entries)?;
        for (from, to) in &chain.missing {
            writeln!(
                out,
                "no event has come of the changes {from} to {to}: look among the dead letters"
            )?;
        }
        if chain.late > 0 {
            writeln!(out, "{} came after later ones", chain.late)?;
        }
        if chain.redacted > 0 {
            writeln!(out, "{} were redacted", chain.redacted)?;
        }
        writeln!(out, "the last hash is {}", chain.hash)?;
        Ok(())
    }
}
