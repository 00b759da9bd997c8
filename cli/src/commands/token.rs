//! `cargo docket token`: an access token for local use, alone on standard output.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};

use crate::accounts::account_of;
use crate::stack::secrets::JwtKey;
use crate::token;

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    /// Whom the token is for; an account is made if nobody has the address
    #[arg(long)]
    email: String,
    /// How long it is good: a number and s, m, h or d; 30 days at most
    #[arg(long, value_parser = token::read_duration, default_value = "1h", value_name = "TIME")]
    expires_in: Duration,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (_, data) = global.open()?;
        let account = account_of(&data, &self.email, true).await?;
        let key = JwtKey::read(&data)?;
        let mut id = [0; 16];
        getrandom::fill(&mut id)
            .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
        let token = token::mint(
            &key.kid,
            &key.seed,
            &account,
            DateTime::<Utc>::from(SystemTime::now()),
            self.expires_in,
            crate::build::hex(&id),
        )?;
        writeln!(std::io::stdout(), "{token}")?;
        Ok(())
    }
}
