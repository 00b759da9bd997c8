//! What other functions ask of `accounts`, by service invocation. It is no part of the public API.

use docket_domain::{AccountId, Instant, Scopes};
use serde::{Deserialize, Serialize};

/// The app that is asked.
pub const APP: &str = "accounts";
/// Where an [`AskAgentToken`] goes; answered with an [`AgentGrant`], or with 404 for a token that does not count.
pub const AGENT_TOKEN: &str = "/internal/accounts/agent-token";
/// Where an [`AskAddress`] goes; answered with an [`Address`], or with 404 for an unknown account.
pub const ADDRESS: &str = "/internal/accounts/address";
/// Where an [`EnsureAccount`] goes, of the operator; answered with [`Ensured`].
pub const ENSURE: &str = "/internal/accounts/ensure";
/// What every agent token begins with, so that it is never taken for an access token, and found by secret scanners.
pub const AGENT_TOKEN_PREFIX: &str = "dkt_";

/// Asks what an agent token allows.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
pub struct AskAgentToken {
    /// The token, as its holder shows it.
    pub token: String,
}

/// What an agent token allows.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AgentGrant {
    /// Whose data.
    pub account: AccountId,
    /// The token's id.
    pub id: String,
    /// The name that its owner gave it.
    pub name: String,
    /// What it allows.
    pub scopes: Scopes,
    /// When it ends; `None` if it does not by itself.
    pub expires_at: Option<Instant>,
    /// How many changes it allows within an hour; `None` for as many as the account itself.
    pub changes_per_hour: Option<u32>,
}

/// Asks for an account's address.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AskAddress {
    /// Whose.
    pub account: AccountId,
}

/// An account's address.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Address {
    /// The address.
    pub email: String,
    /// Whether its owner has shown that mails reach him.
    pub verified: bool,
}

/// Asks for the account of an address.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EnsureAccount {
    /// The address.
    pub email: String,
    /// Whether one is made if there is none; else that is a 404.
    pub make: bool,
}

/// The answer.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Ensured {
    /// The account.
    pub account: AccountId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use docket_domain::Scope;
    use serde_json::json;

    #[test]
    fn on_the_wire() {
        let grant = AgentGrant {
            account: AccountId::parse("ann").unwrap(),
            id: "t1".to_owned(),
            name: "Calendar".to_owned(),
            scopes: Scopes::from([Scope::TasksRead, Scope::AuditRead]),
            expires_at: None,
            changes_per_hour: Some(60),
        };
        let wire = json!({
            "account": "ann",
            "id": "t1",
            "name": "Calendar",
            "scopes": ["tasks:read", "audit:read"],
            "expires_at": null,
            "changes_per_hour": 60,
        });
        assert_eq!(serde_json::to_value(&grant).unwrap(), wire);
        assert_eq!(serde_json::from_value::<AgentGrant>(wire).unwrap(), grant);
    }
}
