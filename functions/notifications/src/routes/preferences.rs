//! `/api/notifications/preferences`: what an account wants of its notifications.

use axum::Json as Answer;
use axum::extract::State;
use docket_api::accounts::{self, ADDRESS, Address, AskAddress};
use docket_domain::preferences::{Preferences, PreferencesInput};
use docket_domain::{AccountId, FieldErrorCode};
use docket_service::{Caller, Code, Json, Problem, Runtime};
use docket_sidecar::Error;
use futures::future::try_join;
use http::StatusCode;

use super::unavailable;
use crate::App;
use crate::post::SMTP;

pub(super) async fn read<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
) -> Result<Answer<Preferences>, Problem> {
    let preferences = app.store.preferences(&caller.account).await;
    Ok(Answer(preferences.map_err(unavailable)?.value))
}

pub(super) async fn change<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    Json(input): Json<PreferencesInput>,
) -> Result<Answer<Preferences>, Problem> {
    let address = match input.wants_mails() {
        true => verified_address(&app, &caller.account).await?,
        false => None,
    };
    let preferences = store(&app, &caller.account, &input, address.as_deref()).await?;
    Ok(Answer(preferences))
}

/// The account's address, if it is verified. Nobody has mails sent to somebody else.
async fn verified_address<R: Runtime>(
    app: &App<R>,
    account: &AccountId,
) -> Result<Option<String>, Problem> {
    let ask = AskAddress {
        account: account.clone(),
    };
    match app
        .others
        .invoke::<Address>(accounts::APP, ADDRESS, &ask)
        .await
    {
        Ok(address) => Ok(Some(address.email).filter(|_| address.verified)),
        Err(Error::Refused { status, .. }) if status == StatusCode::NOT_FOUND => Ok(None),
        Err(error) => Err(unavailable(error)),
    }
}

async fn store<R: Runtime>(
    app: &App<R>,
    account: &AccountId,
    input: &PreferencesInput,
    address: Option<&str>,
) -> Result<Preferences, Problem> {
    let mut round = 0;
    loop {
        let (mut document, is_gone) =
            try_join(app.store.preferences(account), app.store.is_gone(account))
                .await
                .map_err(unavailable)?;
        if is_gone {
            return Err(Problem::new(Code::Unauthorized, "the account was deleted"));
        }
        let new = input
            .apply(&document.value, address)
            .map_err(Problem::fields)?;
        if input.wants_mails() {
            let can_send = app.sidecar.has_component(SMTP).await;
            if !can_send.map_err(unavailable)? {
                let detail = "no mail server is set up here: `cargo docket up --smtp smtp://HOST:PORT` names one";
                return Err(Problem::field(
                    "/email/enabled",
                    FieldErrorCode::Invalid,
                    detail,
                ));
            }
        }
        if document.value == new {
            return Ok(new);
        }
        document.value = new;
        match app.store.write(&document).await {
            Ok(()) => return Ok(document.value),
            Err(error) if app.store.goes_on(&error, round).await => round += 1,
            Err(error) => return Err(unavailable(error)),
        }
    }
}
