//! Signing up, in and out, and the next access token.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{AppendHeaders, IntoResponse, Response};
use docket_api::auth::{Access, SignIn, SignUp, SignedIn};
use docket_domain::account::address::Address;
use docket_domain::account::profile::{Profile, ProfileInput};
use docket_domain::account::session::{RefreshToken, Refreshed, Session, SessionId};
use docket_domain::account::{Account, account_key, new_id};
use docket_domain::command::Field;
use docket_domain::{AccountId, Instant};
use docket_service::serve::log_background;
use docket_service::{Code, Json, Problem, Runtime};
use docket_sidecar::{Document, Error, Operation, creation};
use http::header::SET_COOKIE;
use http::{HeaderName, HeaderValue, StatusCode};

use super::me::tell_settings;
use super::{Wrong, unavailable};
use crate::App;
use crate::client::Client;
use crate::issuer::Keys;
use crate::mails::Purpose;
use crate::password::{self, Verified};
use crate::store::{Change, writing};

/// Makes an account, and signs its owner in.
pub(super) async fn sign_up<R: Runtime>(
    State(app): State<App<R>>,
    client: Client,
    Json(request): Json<SignUp>,
) -> Result<Response, Problem> {
    let (address, profile) = check(&request)?;
    let _place = app.places.take()?;
    app.limits
        .sign_up(&client, app.place.sign_ups_per_hour)
        .await?;
    let keys = app.issuer.keys().await?;
    let hash = password::hash(&request.password.0, app.runtime.entropy());
    let id = new_id(app.runtime.entropy()).ok_or_else(|| Problem::internal("no id"))?;
    let mut account = Account::new(id, address, profile, app.runtime.now());
    account.set_password(hash.map_err(Problem::internal)?);
    // Before there is an account: one that is made is whole.
    if request.time_zone != Field::Absent {
        tell_settings(&app, &account.id, account.profile.settings).await?;
    }
    let begun = Begun::new(&app, &account, &client, &keys);
    account.add_session(begun.id.clone());
    create(&app, &account, Some(&begun)).await?;
    let mails = app.mails.clone();
    let to = account.clone();
    app.runtime.spawn(async move {
        if let Err(problem) = mails.send(&to, Purpose::Verify).await {
            let cause = problem.cause().unwrap_or("refused").to_owned();
            log_background("warn", &format!("no mail to a new account: {cause}"));
        }
    });
    begun.answer(&app, StatusCode::CREATED, &account, &client, &keys)
}

/// What a sign-up says, if it can be.
fn check(request: &SignUp) -> Result<(Address, Profile), Problem> {
    let mut wrong = Wrong::default();
    let input = ProfileInput {
        name: request.name.clone(),
        locale: request.locale.clone(),
        time_zone: request.time_zone.clone(),
        ..ProfileInput::default()
    };
    let profile = input.apply(&Profile::default()).unwrap_or_else(|errors| {
        wrong.0.extend(errors);
        Profile::default()
    });
    let address = wrong.address(&request.email);
    if let Some(address) = &address {
        wrong.password("/password", &request.password.0, address, &profile.name);
    }
    wrong.finish()?;
    let address = address.ok_or_else(|| Problem::internal("no address"))?;
    Ok((address, profile))
}

/// Writes a new account with what it is found by, all or nothing.
pub(super) async fn create<R: Runtime>(
    app: &App<R>,
    account: &Account,
    begun: Option<&Begun>,
) -> Result<(), Problem> {
    let mut operations = vec![
        creation(account_key(&account.id), &Some(account)).map_err(unavailable)?,
        creation(account.email.key(), &Some(&account.id)).map_err(unavailable)?,
    ];
    if let Some(begun) = begun {
        operations.push(
            begun
                .write(&account.id, app.runtime.now())
                .map_err(unavailable)?,
        );
    }
    let Err(error) = app.store.transact(&operations).await else {
        return Ok(());
    };
    // Refused, or its answer got lost: what is there tells.
    let known: Document<Option<AccountId>> = app
        .store
        .document(account.email.key())
        .await
        .map_err(unavailable)?;
    match known.value {
        Some(id) if id == account.id => Ok(()),
        Some(_) => {
            let detail = "the address belongs to an account already";
            Err(Problem::new(Code::Conflict, detail))
        }
        None => Err(unavailable(error)),
    }
}

/// Compares address and password, and begins a session. It is answered alike, and as late, whether there is no such account
/// or the password is wrong.
pub(super) async fn sign_in<R: Runtime>(
    State(app): State<App<R>>,
    client: Client,
    Json(request): Json<SignIn>,
) -> Result<Response, Problem> {
    let mut wrong = Wrong::default();
    let address = wrong.address(&request.email);
    let Some(address) = address else {
        return Err(wrong.finish().err().unwrap_or_else(refused));
    };
    let _place = app.places.take()?;
    let keys = app.issuer.keys().await?;
    let mark = client.marks.of(&address, &keys.refresh);
    let guess = app.limits.password(&address, &client, mark).await?;
    let account = app.store.owner(&address).await.map_err(unavailable)?;
    let hash = account.as_ref().and_then(|one| one.password.as_deref());
    let verified = password::verify(&request.password.0, hash).map_err(Problem::internal)?;
    let Some(account) = account.filter(|_| verified != Verified::Wrong) else {
        return Err(refused());
    };
    app.limits.was_right(guess);
    let rehashed = match verified {
        Verified::RightButOld => {
            let salt = app.runtime.entropy();
            Some(password::hash(&request.password.0, salt).map_err(Problem::internal)?)
        }
        _ => None,
    };
    let begun = Begun::new(&app, &account, &client, &keys);
    let now = app.runtime.now();
    let signed_in = app.store.change(&account.id, |current| {
        // Somebody has set another password meanwhile.
        if current.password != account.password {
            return Err(refused());
        }
        if let Some(hash) = &rehashed {
            current.password = Some(hash.clone());
        }
        let ends = current.add_session(begun.id.clone());
        Ok(Change {
            answer: current.clone(),
            ends,
            with: vec![begun.write(&account.id, now).map_err(unavailable)?],
        })
    });
    let account = signed_in.await?;
    begun.answer(&app, StatusCode::OK, &account, &client, &keys)
}

fn refused() -> Problem {
    let detail = "there is no account with this address and this password";
    Problem::new(Code::Unauthorized, detail)
}

/// A session that begins.
pub(super) struct Begun {
    id: SessionId,
    session: Session,
    token: RefreshToken,
}

impl Begun {
    fn new<R: Runtime>(app: &App<R>, account: &Account, client: &Client, keys: &Keys) -> Self {
        let id = SessionId::new(app.runtime.entropy());
        let chance = [app.runtime.entropy(), app.runtime.entropy()];
        let now = app.runtime.now();
        let (session, token) =
            Session::begin(&account.id, &id, &client.device, &keys.refresh, chance, now);
        Self { id, session, token }
    }

    fn write(&self, account: &AccountId, now: Instant) -> Result<Operation, Error> {
        let write = creation(self.id.key(account), &Some(&self.session))?;
        Ok(write.expiring(self.session.seconds_left(now)))
    }

    fn answer<R: Runtime>(
        &self,
        app: &App<R>,
        status: StatusCode,
        account: &Account,
        client: &Client,
        keys: &Keys,
    ) -> Result<Response, Problem> {
        let signed_in = SignedIn {
            user: account.into(),
            access: app.issuer.access(keys, &account.id, &self.id)?,
        };
        let seconds = self.session.seconds_left(app.runtime.now());
        let session = client.session_cookie(&self.token, seconds);
        let answer = (status, [set(session)?], Answer(signed_in));
        known(answer, app, &account.email, client, keys)
    }
}

/// Has the device known from now on as one that the owner of an address has shown himself on.
pub(super) fn known<R: Runtime>(
    answer: impl IntoResponse,
    app: &App<R>,
    address: &Address,
    client: &Client,
    keys: &Keys,
) -> Result<Response, Problem> {
    let chance = app.runtime.entropy();
    let marks = client.marks.after(address, &keys.refresh, chance);
    // (Beside the cookie that is there; one in a list of headers would take its place.)
    Ok((AppendHeaders([set(client.device_cookie(&marks))?]), answer).into_response())
}

fn set(cookie: Option<HeaderValue>) -> Result<(HeaderName, HeaderValue), Problem> {
    let cookie = cookie.ok_or_else(|| Problem::internal("a cookie that is none"))?;
    Ok((SET_COOKIE, cookie))
}

/// The next access token, for the cookie's refresh token, which another takes the place of.
pub(super) async fn refresh<R: Runtime>(
    State(app): State<App<R>>,
    client: Client,
) -> Result<Response, Problem> {
    let over = || Problem::new(Code::Unauthorized, "the session has ended: sign in again");
    let token = client.token.clone().ok_or_else(over)?;
    let keys = app.issuer.keys().await?;
    let refreshed = app.store.again(|| async {
        let key = token.session.key(&token.account);
        let mut document: Document<Option<Session>> = app.store.document(key).await?;
        let session = document.value.as_mut().ok_or_else(over)?;
        let now = app.runtime.now();
        let refreshed = session.refresh(&token, &keys.refresh, now);
        let left = session.seconds_left(now);
        match refreshed {
            Refreshed::Next(next) => {
                app.store.transact(&[writing(&document, now)?]).await?;
                Ok((Some(next), left))
            }
            Refreshed::Again(again) => Ok((Some(again), left)),
            Refreshed::Reused => Ok((None, left)),
            Refreshed::Unknown | Refreshed::Over => Err(over().into()),
            Refreshed::TooMany(seconds) => {
                Err(Problem::too_many(seconds, "please try again later").into())
            }
        }
    });
    let (next, left) = refreshed.await?;
    let Some(next) = next else {
        end(&app, &token).await?;
        let account = &token.account;
        log_background(
            "warn",
            &format!("a refresh token of {account} came again: its session ends"),
        );
        return Err(over());
    };
    let access: Access = app.issuer.access(&keys, &token.account, &token.session)?;
    let cookie = client.session_cookie(&next, left);
    Ok(([set(cookie)?], Answer(access)).into_response())
}

/// Ends the cookie's session. Its access tokens end by themselves within minutes.
pub(super) async fn sign_out<R: Runtime>(
    State(app): State<App<R>>,
    client: Client,
) -> Result<Response, Problem> {
    let keys = app.issuer.keys().await?;
    if let Some(token) = &client.token
        && Session::may_end(token, &keys.refresh)
    {
        end(&app, token).await?;
    }
    let cookie = client.no_session_cookie();
    Ok((StatusCode::NO_CONTENT, [set(cookie)?]).into_response())
}

/// Ends the session of a token, if it has not ended, and its account is there.
async fn end<R: Runtime>(app: &App<R>, token: &RefreshToken) -> Result<(), Problem> {
    let ended = app.store.change(&token.account, |_| {
        Ok(Change {
            ends: vec![token.session.clone()],
            ..Change::alone(())
        })
    });
    match ended.await {
        Err(problem) if problem.code() == Code::NotFound => Ok(()),
        ended => ended,
    }
}
