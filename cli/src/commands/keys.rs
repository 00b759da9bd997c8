//! `cargo docket keys`: the keys that access tokens are signed and verified with.

use std::io::Write as _;
use std::time::Duration;

use crate::stack::secrets::{self, Keys};

/// Verifiers read the keys anew for a key id that they do not know, but not within five seconds of the last time: nobody
/// signs with a new key before that is over.
const KNOWN_AFTER: Duration = Duration::from_secs(6);

/// The command's arguments.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say which key signs, and which others tokens are still verified with
    List,
    /// Sign with a new key from now on; tokens that were signed before stay good until they end
    Rotate,
    /// Forget the keys that sign no more: whatever was signed with them is refused within five minutes
    Retire,
}

impl Args {
    /// Runs the command.
    pub async fn run(self, global: &super::Global) -> anyhow::Result<()> {
        let (_, data) = global.open()?;
        let mut out = std::io::stdout();
        match self.command {
            Command::List => {
                let Keys { signing, others } = secrets::keys(&data)?;
                writeln!(out, "{signing} signs")?;
                for key in others {
                    writeln!(out, "{key} verifies")?;
                }
            }
            Command::Rotate => {
                let key = secrets::add_key(&data)?;
                eprintln!(
                    "{} is made; it signs in a few seconds, when all can know it",
                    key.kid
                );
                tokio::time::sleep(KNOWN_AFTER).await;
                secrets::sign_with(&data, &key)?;
                writeln!(out, "{} signs", key.kid)?;
                eprintln!(
                    "accounts takes it up within a minute; `cargo docket keys retire` ends what was signed before"
                );
            }
            Command::Retire => {
                for key in secrets::retire_keys(&data)? {
                    writeln!(out, "{key} is forgotten")?;
                }
            }
        }
        Ok(())
    }
}
