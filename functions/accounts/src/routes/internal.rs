//! What other functions and the operator ask.

use axum::Json as Answer;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use docket_api::accounts::{
    Address as AddressAnswer, AgentGrant, AskAddress, AskAgentToken, EnsureAccount, Ensured,
};
use docket_domain::account::agent::Shown;
use docket_domain::account::profile::Profile;
use docket_domain::account::{Account, new_id};
use docket_service::serve::log_background;
use docket_service::{Code, Internal, Json, Problem, Runtime};
use serde_json::json;

use super::me::load;
use super::sign_in::create;
use super::{Wrong, unavailable};
use crate::App;
use crate::store::{Change, unknown};

/// What an agent token allows.
pub(super) async fn agent_token<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(asked): Json<AskAgentToken>,
) -> Result<Answer<AgentGrant>, Problem> {
    let none = || Problem::new(Code::NotFound, "there is no such token");
    let shown = Shown::parse(&asked.token).ok_or_else(none)?;
    let account = app
        .store
        .account(&shown.account)
        .await
        .map_err(unavailable)?;
    let now = app.runtime.now();
    let mut tokens = account.value.into_iter().flat_map(|account| account.tokens);
    let mut token = tokens
        .find(|token| token.is(&shown, now))
        .ok_or_else(none)?;
    if token.note_use(now) {
        let (app, of) = (app.clone(), shown.clone());
        app.runtime.clone().spawn(async move {
            let noted = app.store.change(&of.account, |account| {
                let mut tokens = account.tokens.iter_mut();
                if let Some(token) = tokens.find(|token| token.id == of.id) {
                    token.note_use(now);
                }
                Ok(Change::alone(()))
            });
            if let Err(problem) = noted.await {
                let cause = problem.cause().unwrap_or("refused").to_owned();
                log_background("warn", &format!("the use of a token is not noted: {cause}"));
            }
        });
    }
    Ok(Answer(AgentGrant {
        account: shown.account,
        id: token.id,
        name: token.name,
        scopes: token.scopes,
        expires_at: token.expires_at,
        changes_per_hour: token.changes_per_hour,
    }))
}

/// An account's address.
pub(super) async fn address<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(asked): Json<AskAddress>,
) -> Result<Answer<AddressAnswer>, Problem> {
    let account = load(&app, &asked.account).await?;
    Ok(Answer(AddressAnswer {
        email: account.email.as_str().to_owned(),
        verified: account.email_verified,
    }))
}

/// The account of an address. If there is none, one without a password is made, if that is wanted: the operator who asks vouches for the
/// address.
pub(super) async fn ensure<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(asked): Json<EnsureAccount>,
) -> Result<Answer<Ensured>, Problem> {
    let mut wrong = Wrong::default();
    let address = wrong.address(&asked.email);
    wrong.finish()?;
    let address = address.ok_or_else(|| Problem::internal("no address"))?;
    if let Some(account) = app.store.owner(&address).await.map_err(unavailable)? {
        return Ok(Answer(Ensured {
            account: account.id,
        }));
    }
    if !asked.make {
        return Err(unknown());
    }
    let id = new_id(app.runtime.entropy()).ok_or_else(|| Problem::internal("no id"))?;
    let mut account = Account::new(id, address, Profile::default(), app.runtime.now());
    account.email_verified = true;
    match create(&app, &account, None).await {
        Ok(()) => Ok(Answer(Ensured {
            account: account.id,
        })),
        // Somebody else has just made it.
        Err(problem) if problem.code() == Code::Conflict => {
            let made = app.store.owner(&account.email).await.map_err(unavailable)?;
            let made = made.ok_or_else(|| Problem::unavailable(1, "made and gone"))?;
            Ok(Answer(Ensured { account: made.id }))
        }
        Err(problem) => Err(problem),
    }
}

/// Publishes deletions that a crash left.
pub(super) async fn sweep<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
) -> Result<Response, Problem> {
    let published = app.deletions.publish().await?;
    Ok(axum::Json(json!({ "published": published })).into_response())
}
