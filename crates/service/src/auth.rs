//! Who calls: a person by an access token (JWT, RFC 7519, EdDSA), a program by an agent token, which `accounts` knows, or our
//! own sidecar by the app API token.

use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use docket_api::accounts::{AGENT_TOKEN, AGENT_TOKEN_PREFIX, APP, AgentGrant, AskAgentToken};
use docket_domain::{AccountId, Actor, ActorKind, Instant, Scope, Scopes};
use docket_sidecar::{Error, Sidecar};
use ed25519_dalek::VerifyingKey;
use http::StatusCode;
use http::header::AUTHORIZATION;
use http::request::Parts;
use jwt_compact::alg::Ed25519;
use jwt_compact::{AlgorithmExt as _, TimeOptions, UntrustedToken};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use subtle::ConstantTimeEq as _;

use crate::{Code, Problem, Runtime};

/// The Dapr secret store.
pub const SECRET_STORE: &str = "secrets";
/// The secret that holds the public keys: key id to 32 bytes, base64url without padding.
pub const KEYS: &str = "jwt-keys";
/// The `iss` and `aud` of our tokens.
pub const ISSUER: &str = "docket";
/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 4 * 1024;
/// How far apart the clocks of issuer and verifier may be.
const LEEWAY: TimeDelta = TimeDelta::seconds(5);
/// How long the keys are believed before they are read again: what bounds the life of a withdrawn key.
const KEYS_LIVE: Duration = Duration::from_secs(300);
/// How soon the keys are read again for a key id that is not among them.
const KEYS_REST: Duration = Duration::from_secs(5);
/// How long the reading of the keys may take.
const KEYS_LIMIT: Duration = Duration::from_millis(800);
/// How long `accounts` may take to tell what an agent token allows.
const ASKED: Duration = Duration::from_secs(2);
/// How long that is believed before it is asked again: for as long a withdrawn agent token may still be used.
const GRANTS_LIVE: Duration = Duration::from_secs(15);
/// How many verified tokens an instance remembers.
const REMEMBERED: usize = 256;

/// The claims of an access token, beside `iat` and `exp`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Claims {
    /// Who issued it: [`ISSUER`].
    pub iss: String,
    /// Whom it is for: [`ISSUER`].
    pub aud: String,
    /// The account.
    pub sub: String,
    /// The token's own id.
    #[serde(default)]
    pub jti: String,
    /// The session that it was issued in; a token that an operator made has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
}

/// Who calls. As an extractor it answers 401 to a request without a valid token, and 403 to an agent: what agents may do
/// takes [`May`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Caller {
    /// Whose data.
    pub account: AccountId,
    /// Who does it.
    pub actor: Actor,
    /// The session of a person's token, if it was issued in one.
    pub session: Option<String>,
    /// What an agent is bound to; everything is allowed to anybody else.
    pub grant: Option<Arc<Grant>>,
}

/// What an agent may do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// What its token allows.
    pub scopes: Scopes,
    /// How many changes it may make within an hour.
    pub changes_per_hour: Option<u32>,
}

impl Caller {
    /// Somebody who is bound to nothing.
    pub fn new(account: AccountId, actor: Actor) -> Self {
        Self {
            account,
            actor,
            session: None,
            grant: None,
        }
    }

    /// # Errors
    /// `forbidden`: an agent whose token does not allow this.
    pub fn demand(&self, scope: Scope) -> Result<(), Problem> {
        match &self.grant {
            Some(grant) if !grant.scopes.contains(&scope) => Err(Problem::new(
                Code::Forbidden,
                format!("the agent token has no scope {scope}"),
            )),
            _ => Ok(()),
        }
    }
}

/// A caller who may do what `S` names: a person, or an agent whose token has the scope. As an extractor it answers as
/// [`Caller`] does, and 403 to an agent without it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct May<S> {
    /// Who calls.
    pub caller: Caller,
    scope: PhantomData<S>,
}

/// A type that stands for a scope.
pub trait Needs: Send {
    /// The scope.
    const SCOPE: Scope;
}

/// Types that stand for scopes.
macro_rules! needs {
    ($($scope:ident)*) => {$(
        #[doc = concat!("Stands for [`Scope::", stringify!($scope), "`].")]
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $scope;

        impl Needs for $scope {
            const SCOPE: Scope = Scope::$scope;
        }
    )*};
}

needs! { TasksRead TasksWrite TasksDelete Chat AuditRead }

/// What a function's state gives so that [`Caller`] can be extracted.
pub trait Authority: Send + Sync {
    /// Tells who holds the bearer token.
    fn authenticate(&self, token: &str) -> impl Future<Output = Result<Caller, Problem>> + Send;
}

/// What a function's state gives so that [`Internal`] can be extracted.
pub trait OwnSidecar: Send + Sync {
    /// The token that our own sidecar shows.
    fn app_api_token(&self) -> &str;
}

impl<S: Authority> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let token = bearer(parts)?;
        // Not even whether the token counts is told: that would need `accounts`.
        if token.starts_with(AGENT_TOKEN_PREFIX) {
            return Err(Problem::new(
                Code::Forbidden,
                "this is for persons, not for agents",
            ));
        }
        state.authenticate(token).await
    }
}

impl<S: Authority, N: Needs> FromRequestParts<S> for May<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let caller = state.authenticate(bearer(parts)?).await?;
        caller.demand(N::SCOPE)?;
        Ok(Self {
            caller,
            scope: PhantomData,
        })
    }
}

/// The token of `Authorization: Bearer <token>` (RFC 6750).
fn bearer(parts: &Parts) -> Result<&str, Problem> {
    parts
        .headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| unauthorized("no bearer token"))
}

/// Proof that the request comes from our own sidecar: cron bindings, events, jobs, invocations.
#[derive(Clone, Copy, Debug)]
pub struct Internal(());

impl<S: OwnSidecar> FromRequestParts<S> for Internal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let shown = parts
            .headers
            .get("dapr-api-token")
            .map_or(&b""[..], |token| token.as_bytes());
        let expected = state.app_api_token().as_bytes();
        if !expected.is_empty() && bool::from(shown.ct_eq(expected)) {
            Ok(Self(()))
        } else {
            Err(Problem::new(
                Code::Unauthorized,
                "this route is for the sidecar",
            ))
        }
    }
}

fn unauthorized(detail: &'static str) -> Problem {
    Problem::new(Code::Unauthorized, detail)
}

/// Verifies access tokens with the keys of the secret store, and agent tokens by asking `accounts`.
#[derive(Clone)]
pub struct Verifier<R> {
    runtime: R,
    secrets: Sidecar<R>,
    accounts: Sidecar<R>,
    cache: Arc<Mutex<Cache>>,
}

#[derive(Default)]
struct Cache {
    keys: Option<(Duration, Arc<BTreeMap<String, VerifyingKey>>)>,
    /// Verified tokens by their hash, until they expire: a signature costs more than all the rest of a request.
    callers: HashMap<[u8; 32], Verified>,
}

/// Who holds a token.
#[derive(Clone)]
struct Verified {
    caller: Caller,
    /// When the token ends.
    expires: Instant,
    /// How long it is believed without another look.
    until: Duration,
}

impl<R: Runtime> Verifier<R> {
    /// A verifier that reads the keys through `sidecar` when it first needs them.
    pub fn new(runtime: R, sidecar: Sidecar<R>) -> Self {
        Self {
            runtime,
            secrets: sidecar.within(KEYS_LIMIT),
            accounts: sidecar.within(ASKED),
            cache: Arc::default(),
        }
    }

    /// Tells who holds `token`.
    ///
    /// # Errors
    /// `unauthorized` for a token that does not count, `unavailable` when the keys cannot be read or `accounts` is away.
    pub async fn verify(&self, token: &str) -> Result<Caller, Problem> {
        if token.len() > MAX_TOKEN {
            return Err(unauthorized("not a token of ours"));
        }
        let (now, elapsed) = (self.runtime.now(), self.runtime.elapsed());
        let hash: [u8; 32] = Sha256::digest(token).into();
        if let Some(known) = self.cached(|cache| cache.callers.get(&hash).cloned())
            && now < known.expires
            && elapsed < known.until
        {
            return Ok(known.caller);
        }
        let verified = if token.starts_with(AGENT_TOKEN_PREFIX) {
            self.ask(token, now, elapsed).await?
        } else {
            self.check(token, now, elapsed).await?
        };
        let caller = verified.caller.clone();
        self.cached(|cache| {
            if cache.callers.len() >= REMEMBERED {
                cache.callers.clear();
            }
            cache.callers.insert(hash, verified);
        });
        Ok(caller)
    }

    /// What `accounts` says of an agent token.
    async fn ask(&self, token: &str, now: Instant, elapsed: Duration) -> Result<Verified, Problem> {
        let asked = AskAgentToken {
            token: token.to_owned(),
        };
        let answer = self.accounts.invoke::<AgentGrant>(APP, AGENT_TOKEN, &asked);
        let grant = answer.await.map_err(|error| match error {
            Error::Refused { status, .. } if status == StatusCode::NOT_FOUND => {
                unauthorized("not a token of ours")
            }
            error => Problem::unavailable(1, error),
        })?;
        let expires = grant.expires_at.unwrap_or(Instant::MAX);
        if expires <= now {
            return Err(unauthorized("the token has expired"));
        }
        Ok(Verified {
            caller: Caller {
                account: grant.account,
                actor: Actor {
                    name: Some(grant.name),
                    ..Actor::new(ActorKind::Agent, grant.id)
                },
                session: None,
                grant: Some(Arc::new(Grant {
                    scopes: grant.scopes,
                    changes_per_hour: grant.changes_per_hour,
                })),
            },
            expires,
            until: elapsed + GRANTS_LIVE,
        })
    }

    /// What an access token says, if its signature and its times hold.
    async fn check(
        &self,
        token: &str,
        now: Instant,
        elapsed: Duration,
    ) -> Result<Verified, Problem> {
        let untrusted =
            UntrustedToken::new(token).map_err(|_| unauthorized("not a token of ours"))?;
        let key_id = untrusted.header().key_id.clone().unwrap_or_default();
        let key = self
            .key(&key_id, elapsed)
            .await?
            .ok_or_else(|| unauthorized("not a token of ours"))?;
        let token = Ed25519
            .validator::<Claims>(&key)
            .validate(&untrusted)
            .map_err(|_| unauthorized("not a token of ours"))?;
        let time = TimeOptions::new(LEEWAY, || now.to_datetime());
        let claims = token.claims();
        claims
            .validate_expiration(&time)
            .map_err(|_| unauthorized("the token has expired"))?;
        if claims.not_before.is_some() && claims.validate_maturity(&time).is_err() {
            return Err(unauthorized("the token is not valid yet"));
        }
        let expires = claims
            .expiration
            .ok_or_else(|| unauthorized("a token without an end"))?;
        Ok(Verified {
            caller: person(&claims.custom)?,
            expires: instant(expires + LEEWAY),
            until: elapsed + KEYS_LIVE,
        })
    }

    /// The key of this id, from the cache or the secret store.
    async fn key(&self, id: &str, elapsed: Duration) -> Result<Option<VerifyingKey>, Problem> {
        if let Some((read_at, keys)) = self.cached(|cache| cache.keys.clone()) {
            let age = elapsed.saturating_sub(read_at);
            let known = keys.get(id).copied();
            if age < KEYS_LIVE && (known.is_some() || age < KEYS_REST) {
                return Ok(known);
            }
        }
        let secret = self
            .secrets
            .secret(SECRET_STORE, KEYS)
            .await
            .map_err(|error| Problem::unavailable(1, error))?;
        let keys: BTreeMap<String, VerifyingKey> = secret
            .into_iter()
            .filter_map(|(id, key)| {
                let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(key).ok()?.try_into().ok()?;
                Some((id, VerifyingKey::from_bytes(&bytes).ok()?))
            })
            .collect();
        let known = keys.get(id).copied();
        self.cached(|cache| cache.keys = Some((elapsed, Arc::new(keys))));
        Ok(known)
    }

    fn cached<V>(&self, access: impl FnOnce(&mut Cache) -> V) -> V {
        access(&mut self.cache.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn person(claims: &Claims) -> Result<Caller, Problem> {
    if claims.iss != ISSUER || claims.aud != ISSUER {
        return Err(unauthorized("a token for somebody else"));
    }
    let account =
        AccountId::parse(&claims.sub).ok_or_else(|| unauthorized("a token without an account"))?;
    let actor = Actor::new(ActorKind::Person, account.as_str());
    Ok(Caller {
        session: claims.sid.clone(),
        ..Caller::new(account, actor)
    })
}

fn instant(at: DateTime<Utc>) -> Instant {
    Instant::from_datetime(&at).unwrap_or(Instant::MAX)
}
