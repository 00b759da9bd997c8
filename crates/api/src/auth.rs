//! `/api/auth`: what people ask of `accounts`, and what they are answered.

use docket_domain::account::agent::{self, AgentToken};
use docket_domain::account::password;
use docket_domain::account::profile::Profile;
use docket_domain::account::session::{Session, SessionId};
use docket_domain::account::{Account, profile};
use docket_domain::command::Field;
use docket_domain::preferences::MAX_ADDRESS;
use docket_domain::{AccountId, Instant, Scopes};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A text that no log may show.
#[derive(Clone, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

/// Who wants an account.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["email", "password"]))]
pub struct SignUp {
    /// The address to sign in with, where mails about the account go.
    #[schemars(length(max = MAX_ADDRESS), extend("format" = "email"))]
    pub email: String,
    /// The password.
    #[schemars(length(min = password::MIN_CHARACTERS, max = password::MAX_CHARACTERS))]
    pub password: Hidden,
    /// What the owner is called.
    #[schemars(length(max = profile::MAX_NAME))]
    pub name: Field<String>,
    /// His language, a BCP 47 tag.
    #[schemars(length(max = profile::MAX_LOCALE))]
    pub locale: Field<String>,
    /// Where he is: an IANA time zone.
    pub time_zone: Field<String>,
}

/// Who comes back.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["email", "password"]))]
pub struct SignIn {
    /// The address.
    pub email: String,
    /// The password.
    pub password: Hidden,
}

/// An account, as its owner sees it.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct User<'a> {
    /// Its id.
    #[schemars(with = "String")]
    pub id: &'a AccountId,
    /// The address to sign in with.
    pub email: &'a str,
    /// Whether the owner has shown that mails reach him.
    pub email_verified: bool,
    /// What he says of himself.
    #[serde(flatten)]
    pub profile: &'a Profile,
    /// When the account was made.
    pub created_at: Instant,
}

impl<'a> From<&'a Account> for User<'a> {
    fn from(account: &'a Account) -> Self {
        Self {
            id: &account.id,
            email: account.email.as_str(),
            email_verified: account.email_verified,
            profile: &account.profile,
            created_at: account.created_at,
        }
    }
}

/// An access token, for `Authorization: Bearer …`.
#[derive(Clone, JsonSchema, Serialize)]
pub struct Access {
    /// The token.
    pub access_token: String,
    /// How long it is good, in seconds.
    pub expires_in: u32,
}

/// Somebody who has just signed in. The cookie `docket_refresh`, which only this API reads, brings the next access token.
#[derive(Clone, JsonSchema, Serialize)]
pub struct SignedIn<'a> {
    /// The account.
    pub user: User<'a>,
    /// How to use it.
    #[serde(flatten)]
    pub access: Access,
}

/// What proves that the owner himself deletes his account.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct Farewell {
    /// The password, if the account has one.
    pub password: Hidden,
}

/// Another password.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["new"]))]
pub struct PasswordChange {
    /// The one that counts now, if the account has one.
    pub current: Hidden,
    /// The one that is to count.
    #[schemars(length(min = password::MIN_CHARACTERS, max = password::MAX_CHARACTERS))]
    pub new: Hidden,
}

/// Another address.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["email"]))]
pub struct EmailChange {
    /// The address to sign in with, and where mails go, once its owner has followed the link that is mailed there.
    pub email: String,
    /// The password, if the account has one.
    pub password: Hidden,
}

/// A token out of a mailed link.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["token"]))]
pub struct Verification {
    /// The token.
    pub token: Hidden,
}

/// Asks for a link with which a password is set anew.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["email"]))]
pub struct ResetRequest {
    /// The address of the account.
    pub email: String,
}

/// A password set anew.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["token", "password"]))]
pub struct Reset {
    /// The token out of the mailed link.
    pub token: Hidden,
    /// The password.
    #[schemars(length(min = password::MIN_CHARACTERS, max = password::MAX_CHARACTERS))]
    pub password: Hidden,
}

/// Where somebody is signed in.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct SessionList {
    /// The sessions, the one last used first.
    pub sessions: Vec<SessionView>,
}

/// A session.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Session")]
pub struct SessionView {
    /// Its id.
    #[schemars(with = "String")]
    pub id: SessionId,
    /// What the device called itself (`User-Agent`).
    pub device: String,
    /// When somebody signed in.
    pub created_at: Instant,
    /// When an access token was last fetched.
    pub last_used_at: Instant,
    /// Whether it is the session that asks.
    pub current: bool,
}

impl SessionView {
    /// A session as its owner sees it.
    pub fn new(id: SessionId, session: Session, current: bool) -> Self {
        Self {
            id,
            device: session.device,
            created_at: session.created_at,
            last_used_at: session.last_used_at,
            current,
        }
    }
}

/// A token for a program.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields, extend("required" = ["name", "scopes"]))]
pub struct NewToken {
    /// What the owner calls it.
    #[schemars(length(min = 1, max = agent::MAX_NAME))]
    pub name: String,
    /// What it allows: at least one scope; one that is named twice counts once.
    #[schemars(length(min = 1), extend("uniqueItems" = false))]
    pub scopes: Scopes,
    /// How long it is good, in seconds; without, until it is revoked.
    #[schemars(range(min = 1, max = agent::MAX_LIFE))]
    pub expires_in: Option<u32>,
    /// How many changes it allows within an hour; without, as many as the account itself.
    #[schemars(range(min = 1))]
    pub changes_per_hour: Option<u32>,
}

/// An agent token without its secret.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "AgentToken")]
pub struct TokenView<'a> {
    /// Its id.
    pub id: &'a str,
    /// What the owner calls it.
    pub name: &'a str,
    /// What it allows.
    pub scopes: &'a Scopes,
    /// How many changes it allows within an hour; `null` for as many as the account itself.
    pub changes_per_hour: Option<u32>,
    /// When it was made.
    pub created_at: Instant,
    /// When it ends; `null` if it does not by itself.
    pub expires_at: Option<Instant>,
    /// When it was last used, to some ten minutes; `null` if it never was.
    pub last_used_at: Option<Instant>,
}

impl<'a> From<&'a AgentToken> for TokenView<'a> {
    fn from(token: &'a AgentToken) -> Self {
        Self {
            id: &token.id,
            name: &token.name,
            scopes: &token.scopes,
            changes_per_hour: token.changes_per_hour,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// A new token: the only time that its secret is told.
#[derive(Clone, JsonSchema, Serialize)]
pub struct TokenMade<'a> {
    /// The token.
    pub token: TokenView<'a>,
    /// What its holder shows, as `Authorization: Bearer …`.
    pub secret: String,
}

/// What programs hold.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct TokenList<'a> {
    /// The tokens, the oldest first.
    pub tokens: Vec<TokenView<'a>>,
}
