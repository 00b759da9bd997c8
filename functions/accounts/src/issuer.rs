//! Makes access tokens, and has the key that refresh tokens follow from. Both keys are secrets that no other function may
//! read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use docket_api::auth::Access;
use docket_domain::AccountId;
use docket_domain::account::key::Key;
use docket_domain::account::session::SessionId;
use docket_service::auth::{Claims, ISSUER, SECRET_STORE};
use docket_service::{Problem, Runtime};
use docket_sidecar::Sidecar;
use ed25519_dalek::SigningKey;
use futures::future::try_join;
use jwt_compact::alg::Ed25519;
use jwt_compact::{AlgorithmExt as _, Header, TimeOptions};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The secret that holds the key that signs: its id to 32 bytes, base64url without padding.
const SIGNING: &str = "jwt-signing";
/// The secret that holds the key of refresh tokens, written alike.
const REFRESH: &str = "refresh-key";
/// How long an access token is good, in seconds: as long an ended session may still be used.
const ACCESS_SECONDS: u32 = 600;
/// How long the keys are believed before they are read again.
const KEYS_LIVE: Duration = Duration::from_secs(60);

/// The keys.
pub struct Keys {
    id: String,
    signing: SigningKey,
    /// What refresh tokens and marks of devices follow from.
    pub refresh: Key,
}

/// When the keys were read, and they themselves.
type Read = Option<(Duration, Arc<Keys>)>;

/// Has the keys of the secret store.
#[derive(Clone)]
pub struct Issuer<R> {
    runtime: R,
    sidecar: Sidecar<R>,
    read: Arc<Mutex<Read>>,
}

impl<R: Runtime> Issuer<R> {
    pub fn new(runtime: R, sidecar: Sidecar<R>) -> Self {
        Self {
            runtime,
            sidecar,
            read: Arc::default(),
        }
    }

    /// The keys, from a short memory or the secret store.
    pub async fn keys(&self) -> Result<Arc<Keys>, Problem> {
        let now = self.runtime.elapsed();
        if let Some((at, keys)) = &*self.read.lock().unwrap_or_else(PoisonError::into_inner)
            && now.saturating_sub(*at) < KEYS_LIVE
        {
            return Ok(Arc::clone(keys));
        }
        let secret = |name| self.sidecar.secret(SECRET_STORE, name);
        let read = try_join(secret(SIGNING), secret(REFRESH)).await;
        let (signing, refresh) = read.map_err(|error| Problem::unavailable(1, error))?;
        let keys = signing.into_iter().next().and_then(|(id, seed)| {
            let seed: [u8; 32] = URL_SAFE_NO_PAD.decode(seed).ok()?.try_into().ok()?;
            Some(Keys {
                id,
                signing: SigningKey::from_bytes(&seed),
                refresh: refresh.values().next().and_then(|key| Key::parse(key))?,
            })
        });
        let keys = Arc::new(keys.ok_or_else(|| Problem::internal("a key is not 32 bytes"))?);
        let mut remembered = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        *remembered = Some((now, Arc::clone(&keys)));
        Ok(keys)
    }

    /// An access token (JWT, RFC 7519, EdDSA) of an account's session. It says nothing of its owner.
    pub fn access(
        &self,
        keys: &Keys,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Access, Problem> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: ISSUER.to_owned(),
            sub: account.to_string(),
            jti: format!("{:032x}", self.runtime.entropy().0),
            sid: Some(session.as_str().to_owned()),
        };
        let now = self.runtime.now().to_datetime();
        let time = TimeOptions::new(TimeDelta::zero(), move || now);
        let claims = jwt_compact::Claims::new(claims)
            .set_duration_and_issuance(&time, TimeDelta::seconds(i64::from(ACCESS_SECONDS)));
        let header = Header::empty().with_key_id(&keys.id).with_token_type("JWT");
        let access_token = Ed25519.token(&header, &claims, &keys.signing);
        Ok(Access {
            access_token: access_token.map_err(Problem::internal)?,
            expires_in: ACCESS_SECONDS,
        })
    }
}
