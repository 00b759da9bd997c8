//! `/api/notifications/preferences`: what an account wants of its notifications.

use axum::Json as Answer;
use axum::extract::State;
use docket_api::reminders::{APP, NewSettings, SETTINGS, SettingsTaken};
use docket_domain::command::Field;
use docket_domain::preferences::{Preferences, PreferencesInput};
use docket_domain::{AccountId, FieldErrorCode};
use docket_service::{Caller, Json, Problem, Runtime};

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
    let preferences = store(&app, &caller.account, &input).await?;
    // Also when they are as they were: the answer to the same request before may have been that `reminders` was away.
    if input.names_settings() {
        let settings = NewSettings {
            account: caller.account,
            settings: preferences.settings,
        };
        let told = app.others.invoke::<SettingsTaken>(APP, SETTINGS, &settings);
        told.await.map_err(unavailable)?;
    }
    Ok(Answer(preferences))
}

async fn store<R: Runtime>(
    app: &App<R>,
    account: &AccountId,
    input: &PreferencesInput,
) -> Result<Preferences, Problem> {
    let mut round = 0;
    loop {
        let mut document = app.store.preferences(account).await.map_err(unavailable)?;
        let new = input.apply(&document.value).map_err(Problem::fields)?;
        if input.email != Field::Absent && new.email.enabled {
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
