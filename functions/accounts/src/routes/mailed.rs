//! Links that come by mail: that an address is its owner's, and a password that was forgotten.

use axum::extract::State;
use docket_api::auth::{Reset, ResetRequest, Verification};
use docket_service::serve::log_background;
use docket_service::{Code, Json, Problem, Runtime};
use http::StatusCode;

use super::me::load;
use super::person::Person;
use super::{Wrong, unavailable};
use crate::App;
use crate::client::Client;
use crate::mails::{Purpose, no_good};
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
    let (_, mailed) = app.mails.find(&request.token.0, Purpose::Verify).await?;
    let verified = app.store.change(&mailed.account, |account| {
        if !mailed.means(account) {
            return Err(no_good());
        }
        account.email_verified = true;
        Ok(Change::alone(()))
    });
    or_no_good(verified.await)
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

/// Sets a password anew; every session ends. The address is its owner's, who has got the mail.
pub(super) async fn reset<R: Runtime>(
    State(app): State<App<R>>,
    client: Client,
    Json(request): Json<Reset>,
) -> Result<StatusCode, Problem> {
    app.limits.mailed(&client).await?;
    let (document, mailed) = app.mails.find(&request.token.0, Purpose::Reset).await?;
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
    or_no_good(set.await)
}

/// A link of an account that is gone is no good.
fn or_no_good(done: Result<(), Problem>) -> Result<StatusCode, Problem> {
    match done {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(problem) if problem.code() == Code::NotFound => Err(no_good()),
        Err(problem) => Err(problem),
    }
}
