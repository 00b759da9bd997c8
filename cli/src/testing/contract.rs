//! Has Schemathesis ask a stack whatever docs/openapi.json allows, and much that it does not: no answer may be a failure,
//! none may be one that the document does not tell of.
//!
//! It asks as somebody with an account of his own, whose password it does not know, by an access token that no sign-out
//! ends; so it cannot lock itself out. `tests/schemathesis/` has what it is told.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context as _, ensure};
use serde_json::json;
use tokio::process::Command;

use super::python::Python;
use super::runner;
use super::stack::Stack;
use crate::ask::ask;
use crate::build;
use crate::layout::{Ports, Project};

/// The variable that says for how many seconds is asked.
pub const SECONDS: &str = "DOCKET_CONTRACT_SECONDS";
/// For how long it is where nothing is said.
const USUAL: &str = "100";
/// Where chance begins. The order of what two workers ask is the machine's affair, so a failure need not come again; what
/// was asked is told with it, with tokens of a stack that is gone by then.
const SEED: &str = "20261123";
/// Everybody whom the document lets sign up or in comes from an address of his own: `tests/schemathesis/hooks.py` is the
/// proxy that tells it. Otherwise the limits by address would answer nearly all of it.
const VARIABLES: &[(&str, &str)] = &[("SPIN_VARIABLE_TRUSTED_PROXIES", "1")];
const EMAIL: &str = "contract@example.org";

/// Asks a stack of its own; how many cases there were.
///
/// # Errors
/// An answer is not as the document says, or nothing can be asked.
pub async fn run(project: &Project, target_dir: &Path) -> anyhow::Result<usize> {
    let python = Python::Schemathesis
        .interpreter(project, target_dir)
        .await?;
    build::build(project, &build::Options::default()).await?;
    let stack = Stack::new(VARIABLES)?;
    let outcome = ask_everything(project, &python, &stack).await;
    stack.end(project, outcome).await
}

async fn ask_everything(project: &Project, python: &Path, stack: &Stack) -> anyhow::Result<usize> {
    stack
        .docket(project, &["up", "--detach", "--no-build"])
        .await?;
    let app = Ports::address(Ports::new(stack.port_base())?.app());
    let refresh = sign_up(app).await?;
    let token = stack.token(project, EMAIL).await?;
    let folder = project.root().join("tests/schemathesis");
    let seconds = std::env::var(SECONDS).unwrap_or_else(|_| USUAL.to_owned());
    let mut command = Command::new(python.with_file_name("schemathesis"));
    command
        .arg("--config-file")
        .arg(folder.join("schemathesis.toml"))
        .arg("run")
        .arg(project.root().join("docs/openapi.json"))
        .args(["--url", &format!("http://{app}")])
        .args(["--max-time", &seconds, "--seed", SEED])
        .env("PYTHONPATH", &folder)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("DOCKET_TOKEN", token)
        .env("DOCKET_REFRESH", refresh)
        // What it keeps for later runs is left with the stack.
        .current_dir(stack.data_dir());
    let mut cases = 0;
    runner::run(&mut command, |line| cases = cases.max(cases_of(line))).await?;
    Ok(cases)
}

/// Makes the account, with a password that nobody gets to know; its refresh token.
async fn sign_up(app: SocketAddr) -> anyhow::Result<String> {
    let mut chance = [0; 32];
    getrandom::fill(&mut chance)
        .map_err(|error| anyhow::anyhow!("the system gives no random bytes: {error}"))?;
    let body = json!({ "email": EMAIL, "password": build::hex(&chance) }).to_string();
    let header = ("X-Forwarded-For", "127.0.0.1");
    let answer = ask(app, "POST", "/api/auth/signup", header, Some(&body)).await?;
    ensure!(answer.status == 201, "nobody can sign up: {answer}");
    let cookie = answer.header("set-cookie").and_then(|cookie| {
        let (pair, _) = cookie.split_once(';')?;
        pair.strip_prefix("docket_refresh=")
    });
    Ok(cookie.context("a sign-up brings a cookie")?.to_owned())
}

/// How many cases a line of Schemathesis tells of: `  4210 generated, 4210 passed`.
fn cases_of(line: &str) -> usize {
    let number = line.trim().split_once(" generated");
    number
        .and_then(|(number, _)| number.rsplit(' ').next())
        .and_then(|number| number.replace(',', "").parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemathesis_tells_its_cases() {
        for (line, cases) in [
            ("  4210 generated, 4210 passed", 4210),
            ("  12,034 generated, 3 found 2 unique failures", 12_034),
            ("Test cases:", 0),
            ("  none generated", 0),
        ] {
            assert_eq!(cases_of(line), cases, "{line}");
        }
    }
}
