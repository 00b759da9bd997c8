//! Whose account an address is: the stack's function `accounts` knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use docket_api::accounts::{APP, ENSURE, EnsureAccount, Ensured};
use docket_domain::AccountId;

use crate::ask::{Answer, ask};
use crate::layout::{DataDir, LayoutError, Ports};
use crate::stack::registry::Stack;
use crate::stack::secrets::ApiTokens;

/// Why an account is not found.
#[derive(Debug, thiserror::Error)]
pub enum AccountsError {
    /// Nothing runs.
    #[error("no stack runs here, and its accounts are needed; start it: `cargo docket up`")]
    NoStack,
    /// The port base of the stack's record makes no sense.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// What the app and its sidecar show each other cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Tokens {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        source: std::io::Error,
    },
    /// The app does not answer.
    #[error("the app does not answer at {address}: {source}")]
    Silent {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// What was given as an e-mail address is none.
    #[error("`{email}` is no e-mail address")]
    Email {
        /// What was given.
        email: String,
    },
    /// Nobody has it.
    #[error("no account has the address {email}; `cargo docket token --email {email}` makes one")]
    Unknown {
        /// The address.
        email: String,
    },
    /// The app answers something else.
    #[error("the app cannot tell whose account that is: {answer}")]
    Answer {
        /// What came.
        answer: Answer,
    },
}

/// The account of an address, by the stack that runs here. If there is none, it is made if that is wanted.
///
/// # Errors
/// No stack runs; nobody has the address; the app does not answer.
pub async fn account_of(
    data: &DataDir,
    email: &str,
    make: bool,
) -> Result<AccountId, AccountsError> {
    let stack = Stack::read(data).filter(Stack::is_supervised);
    let stack = stack.ok_or(AccountsError::NoStack)?;
    let address = Ports::address(Ports::new(stack.port_base)?.app());
    let request = EnsureAccount {
        email: email.to_owned(),
        make,
    };
    let body = serde_json::to_string(&request).unwrap_or_default();
    let token = app_api_token(data)?;
    let header = ("dapr-api-token", token.as_str());
    let answer = ask(address, "POST", ENSURE, header, Some(&body)).await;
    let answer = answer.map_err(|source| AccountsError::Silent { address, source })?;
    let email = email.to_owned();
    match (answer.status, serde_json::from_str::<Ensured>(&answer.body)) {
        (200, Ok(ensured)) => Ok(ensured.account),
        (404, _) => Err(AccountsError::Unknown { email }),
        (422, _) => Err(AccountsError::Email { email }),
        _ => Err(AccountsError::Answer { answer }),
    }
}

/// What the sidecar of `accounts` shows to it.
fn app_api_token(data: &DataDir) -> Result<String, AccountsError> {
    let path = data.api_tokens_file();
    let read = || {
        let file = std::fs::read(&path)?;
        let mut tokens: BTreeMap<String, ApiTokens> = serde_json::from_slice(&file)?;
        tokens
            .remove(APP)
            .ok_or(std::io::ErrorKind::NotFound.into())
    };
    match read() {
        Ok(tokens) => Ok(tokens.app_api_token),
        Err(source) => Err(AccountsError::Tokens { path, source }),
    }
}
