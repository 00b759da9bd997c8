//! Links that come by mail: that an address is its owner's, another address, and a password that was forgotten.

use axum::extract::State;
use axum::response::Response;
use docket_api::auth::{EmailChange, Reset, ResetRequest, Verification};
use docket_domain::account::address::Address;
use docket_domain::{AccountId, FieldErrorCode};
use docket_service::serve::log_background;
use docket_service::{Code, Json, Problem, Runtime};
use docket_sidecar::{Document, creation};
use http::StatusCode;

use super::me::{load, prove};
use super::person::Person;
use super::sign_in::known;
use super::{Wrong, unavailable};
use crate::App;
use crate::client::Client;
use crate::mails::{Mailed, Purpose, no_good};
use crate::password;
use crate::store::Change;

/// Sends the link again that shows that the address is the owner's.
pub(super) async fn ask_to_verify<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
    client: Client,
) -> Result<StatusCode, Problem> {
    let account = load(&app, &person.account).await?;
    if account.email_verified {
        return Ok(StatusCode::ACCEPTED);
    }
    app.limits.mail(&account.email, &client).await?;
    if app.mails.send(&account, Purpose::Verify).await? {
        Ok(StatusCode::ACCEPTED)
    } else {
        let detail =
            "no mail server is set up here: `cargo docket up --smtp smtp://HOST:PORT` names one";
        Err(Problem::new(Code::Invalid, detail))
    }
}

/// Takes in that somebody has got the mail. Whoever follows the link twice is answered twice.
pub(super) async fn verify<R: Runtime>(
    State(app): State<App<R>>,
    client: Client,
    Json(request): Json<Verification>,
) -> Result<StatusCode, Problem> {
    app.limits.mailed(&client).await?;
    let purposes = [Purpose::Verify, Purpose::Change];
    let (document, mailed) = app.mails.find(&request.token.0, &purposes).await?;
    if let Some(new) = &mailed.new {
        move_to(&app, document, &mailed, new).await?;
        app.mails.tell_address(&mailed.account, new).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let verified = app.store.change(&mailed.account, |account| {
        if !mailed.means(account) {
            return Err(no_good());
        }
        account.email_verified = true;
        Ok(Change::alone(()))
    });
    or_no_good(verified.await)
}

/// Sends a link to the address that somebody wants to have, who shows once more who he is. It is answered before anything is
/// looked at of that address, so the answer tells nobody whose it is.
pub(super) async fn ask_to_change<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
    client: Client,
    Json(request): Json<EmailChange>,
) -> Result<StatusCode, Problem> {
    let mut wrong = Wrong::default();
    let address = wrong.address(&request.email);
    wrong.finish()?;
    let address = address.ok_or_else(|| Problem::internal("no address"))?;
    let account = load(&app, &person.account).await?;
    if address == account.email {
        let detail = "it is the account's address already";
        return Err(Problem::field("/email", FieldErrorCode::Invalid, detail));
    }
    prove(&app, &account, &client, &request.password.0).await?;
    app.limits.mail(&address, &client).await?;
    let asked = app.clone();
    app.runtime.spawn(async move {
        let sent = async {
            match asked.store.owner(&address).await.map_err(unavailable)? {
                Some(_) => Ok(false),
                None => asked.mails.send_to_new(&account, &address).await,
            }
        };
        if let Err(problem) = sent.await {
            let cause = problem.cause().unwrap_or("refused").to_owned();
            log_background("warn", &format!("no mail to a new address: {cause}"));
        }
    });
    Ok(StatusCode::ACCEPTED)
}

/// Has an account found by its new address, and not by the old one any more: both or neither. Sessions stay, since whoever
/// wanted it has given the password; links that were mailed to the old address count no more.
async fn move_to<R: Runtime>(
    app: &App<R>,
    link: Document<Option<Mailed>>,
    mailed: &Mailed,
    new: &Address,
) -> Result<(), Problem> {
    let mut link = link;
    link.value = Some(mailed.followed());
    let moved = app.store.again(|| async {
        let mut account = app.store.account(&mailed.account).await?;
        let current = account.value.as_mut().ok_or_else(no_good)?;
        if !mailed.means(current) {
            return Err(no_good().into());
        }
        if current.email == *new {
            return Ok(());
        }
        let keys = [new.key(), current.email.key()];
        current.email = new.clone();
        current.email_verified = true;
        let found: Vec<Document<Option<AccountId>>> = app.store.documents(&keys).await?;
        let [taken, old] = found.as_slice() else {
            return Err(Problem::internal("not two documents").into());
        };
        if taken.value.is_some() {
            return Err(no_good().into());
        }
        let followed = link.write()?.expiring(Purpose::Change.seconds());
        let mut operations = vec![
            account.write()?,
            creation(new.key(), &Some(&mailed.account))?,
            followed,
        ];
        operations.extend(old.removal());
        Ok(app.store.transact(&operations).await?)
    });
    moved.await
}

/// Sends a link to set a password anew, if there is such an account. It is answered before anything is looked at, so the
/// answer tells nobody whether there is.
pub(super) async fn ask_to_reset<R: Runtime>(
    State(app): State<App<R>>,
    client: Client,
    Json(request): Json<ResetRequest>,
) -> Result<StatusCode, Problem> {
    let mut wrong = Wrong::default();
    let address = wrong.address(&request.email);
    wrong.finish()?;
    let address = address.ok_or_else(|| Problem::internal("no address"))?;
    app.limits.mail(&address, &client).await?;
    let asked = app.clone();
    app.runtime.spawn(async move {
        let sent = async {
            match asked.store.owner(&address).await.map_err(unavailable)? {
                Some(account) => asked.mails.send(&account, Purpose::Reset).await,
                None => Ok(false),
            }
        };
        if let Err(problem) = sent.await {
            let cause = problem.cause().unwrap_or("refused").to_owned();
            log_background("warn", &format!("no mail to set a password anew: {cause}"));
        }
    });
    Ok(StatusCode::ACCEPTED)
}

/// Sets a password anew; every session ends. The address is its owner's, who has got the mail: strangers who guess at the
/// account do not keep him from signing in.
pub(super) async fn reset<R: Runtime>(
    State(app): State<App<R>>,
    client: Client,
    Json(request): Json<Reset>,
) -> Result<Response, Problem> {
    app.limits.mailed(&client).await?;
    let (document, mailed) = app.mails.find(&request.token.0, &[Purpose::Reset]).await?;
    let account = load(&app, &mailed.account).await;
    let account = account.map_err(|problem| match problem.code() {
        Code::NotFound => no_good(),
        _ => problem,
    })?;
    let mut wrong = Wrong::default();
    let (email, name) = (&account.email, &account.profile.name);
    wrong.password("/password", &request.password.0, email, name);
    wrong.finish()?;
    let _place = app.places.take()?;
    let keys = app.issuer.keys().await?;
    let hash = password::hash(&request.password.0, app.runtime.entropy());
    let hash = hash.map_err(Problem::internal)?;
    let set = app.store.change(&mailed.account, |account| {
        if !mailed.means(account) {
            return Err(no_good());
        }
        account.set_password(hash.clone());
        account.email_verified = true;
        Ok(Change {
            answer: (),
            ends: account.sessions.clone(),
            with: document.removal().into_iter().collect(),
        })
    });
    let set = or_no_good(set.await)?;
    known(set, &app, &account.email, &client, &keys)
}

/// A link of an account that is gone is no good.
fn or_no_good(done: Result<(), Problem>) -> Result<StatusCode, Problem> {
    match done {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(problem) if problem.code() == Code::NotFound => Err(no_good()),
        Err(problem) => Err(problem),
    }
}
