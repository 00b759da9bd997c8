//! `/api/auth/me`: the account itself, and its password.

use axum::Json as Answer;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::auth::{Farewell, PasswordChange, User};
use docket_api::notifications::{APP, SETTINGS, Taken};
use docket_api::reminders::NewSettings;
use docket_domain::account::Account;
use docket_domain::account::profile::ProfileInput;
use docket_domain::account_deleted::AccountDeleted;
use docket_domain::reminders::Settings;
use docket_domain::{AccountId, Instant};
use docket_service::body::{MAX_JSON, parse, read_json};
use docket_service::{Code, Json, Problem, Runtime};
use http::StatusCode;

use super::person::Person;
use super::{Wrong, unavailable};
use crate::App;
use crate::client::Client;
use crate::password::{self, Verified};
use crate::store::{Change, unknown};

pub(super) async fn read<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
) -> Result<Response, Problem> {
    let account = load(&app, &person.account).await?;
    Ok(Answer(User::from(&account)).into_response())
}

pub(super) async fn load<R: Runtime>(app: &App<R>, id: &AccountId) -> Result<Account, Problem> {
    let account = app.store.account(id).await.map_err(unavailable)?;
    account.value.ok_or_else(unknown)
}

pub(super) async fn change<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
    Json(input): Json<ProfileInput>,
) -> Result<Response, Problem> {
    let changed = app.store.change(&person.account, |account| {
        account.profile = input.apply(&account.profile).map_err(Problem::fields)?;
        Ok(Change::alone(account.clone()))
    });
    let account = changed.await?;
    // Also when they are as they were: the answer to the same request before may have been that `notifications` was away.
    if input.names_settings() {
        tell_settings(&app, &account.id, account.profile.settings).await?;
    }
    Ok(Answer(User::from(&account)).into_response())
}

/// Tells those who remind an account of things where it is, and when its day begins.
pub(super) async fn tell_settings<R: Runtime>(
    app: &App<R>,
    account: &AccountId,
    settings: Settings,
) -> Result<(), Problem> {
    let settings = NewSettings {
        account: account.clone(),
        settings,
    };
    let told = app.others.invoke::<Taken>(APP, SETTINGS, &settings);
    told.await.map(drop).map_err(unavailable)
}

/// Deletes the account. Whoever keeps something of it is told; access tokens end by themselves within minutes.
pub(super) async fn remove<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
    client: Client,
    request: Request<Body>,
) -> Result<StatusCode, Problem> {
    let body = read_json(request, MAX_JSON).await?;
    let farewell: Farewell = if body.is_empty() {
        Farewell::default()
    } else {
        parse(&body)?
    };
    let account = load(&app, &person.account).await?;
    prove(&app, &account, &client, &farewell.password.0).await?;
    let at = app.runtime.now();
    let deleted = app.store.again(|| async {
        let document = app.store.account(&account.id).await?;
        let current = document.value.as_ref().ok_or_else(unknown)?;
        if current.password != account.password {
            return Err(not_the_password().into());
        }
        let mut operations = app.store.ending(&current.id, &current.sessions).await?;
        operations.extend(document.removal());
        let address = app.store.document::<Option<AccountId>>(current.email.key());
        operations.extend(address.await?.removal());
        operations.push(app.deletions.note(gone(&current.id, at)).await?);
        Ok(app.store.transact(&operations).await?)
    });
    deleted.await?;
    app.deletions.publish_soon();
    Ok(StatusCode::NO_CONTENT)
}

fn gone(account: &AccountId, at: Instant) -> AccountDeleted {
    AccountDeleted {
        account: account.clone(),
        at,
    }
}

/// Sets another password; every other session ends.
pub(super) async fn set_password<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
    client: Client,
    Json(request): Json<PasswordChange>,
) -> Result<StatusCode, Problem> {
    let account = load(&app, &person.account).await?;
    let mut wrong = Wrong::default();
    wrong.password(
        "/new",
        &request.new.0,
        &account.email,
        &account.profile.name,
    );
    wrong.finish()?;
    prove(&app, &account, &client, &request.current.0).await?;
    let hash = password::hash(&request.new.0, app.runtime.entropy());
    let hash = hash.map_err(Problem::internal)?;
    let set = app.store.change(&account.id, |current| {
        if current.password != account.password {
            return Err(not_the_password());
        }
        current.set_password(hash.clone());
        let mut ends = current.sessions.clone();
        ends.retain(|session| Some(session) != person.session.as_ref());
        Ok(Change {
            ends,
            ..Change::alone(())
        })
    });
    set.await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has somebody who is signed in prove that he is the account's owner, and not just at his device.
pub(super) async fn prove<R: Runtime>(
    app: &App<R>,
    account: &Account,
    client: &Client,
    password: &str,
) -> Result<(), Problem> {
    let Some(hash) = &account.password else {
        return Ok(());
    };
    let _place = app.places.take()?;
    let keys = app.issuer.keys().await?;
    let mark = client.marks.of(&account.email, &keys.refresh);
    let guess = app.limits.password(&account.email, client, mark).await?;
    match password::verify(password, Some(hash)).map_err(Problem::internal)? {
        Verified::Wrong => Err(not_the_password()),
        Verified::Right | Verified::RightButOld => {
            app.limits.was_right(guess);
            Ok(())
        }
    }
}

fn not_the_password() -> Problem {
    Problem::new(Code::Forbidden, "that is not the account's password")
}
