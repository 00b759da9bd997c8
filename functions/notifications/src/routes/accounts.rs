//! What `accounts` asks, and what its topic brings.

use axum::Json as Answer;
use axum::extract::State;
use docket_api::notifications::{AccountMail, NewAddress, Taken};
use docket_api::reminders::{APP, NewSettings, SETTINGS, SettingsTaken};
use docket_domain::FieldErrorCode;
use docket_domain::account_deleted::AccountDeleted;
use docket_domain::mail::AccountLetter;
use docket_domain::preferences::is_address;
use docket_service::serve::log_background;
use docket_service::{Delivered, Internal, Json, Problem, Runtime, Verdict};

use super::unavailable;
use crate::App;
use crate::post::SMTP;

/// The longest id of a mail, in bytes.
const MAX_ID: usize = 64;

/// Stores where an account is and when its day begins, and tells `reminders`. It may be asked again.
pub(super) async fn settings<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(new): Json<NewSettings>,
) -> Result<Answer<Taken>, Problem> {
    let stored = app.store.set(&new.account, |preferences| {
        preferences.settings = new.settings;
    });
    stored.await.map_err(unavailable)?;
    let told = app.others.invoke::<SettingsTaken>(APP, SETTINGS, &new);
    told.await.map_err(unavailable)?;
    Ok(Answer(Taken { taken: true }))
}

/// Has the mails of an account that wants some go to its new address. It may be asked again.
pub(super) async fn address<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(new): Json<NewAddress>,
) -> Result<Answer<Taken>, Problem> {
    if !is_address(&new.email) {
        let detail = "one e-mail address, as name@example.org";
        return Err(Problem::field("/email", FieldErrorCode::Invalid, detail));
    }
    let stored = app.store.set(&new.account, |preferences| {
        if preferences.email.enabled {
            preferences.email.address = Some(new.email.clone());
        }
    });
    stored.await.map_err(unavailable)?;
    Ok(Answer(Taken { taken: true }))
}

/// Notes a mail about an account, which is sent after the answer, and by the sweep if that fails.
pub(super) async fn mail<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(mail): Json<AccountMail>,
) -> Result<Answer<Taken>, Problem> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !(1..=MAX_ID).contains(&mail.id.len()) || !mail.id.bytes().all(allowed) {
        let detail = "at most 64 letters, digits, \"-\" and \"_\"";
        return Err(Problem::field("/id", FieldErrorCode::Invalid, detail));
    }
    if !is_address(&mail.to) {
        let detail = "one e-mail address, as name@example.org";
        return Err(Problem::field("/to", FieldErrorCode::Invalid, detail));
    }
    let can_send = app.sidecar.has_component(SMTP).await;
    if !can_send.map_err(unavailable)? {
        return Ok(Answer(Taken { taken: false }));
    }
    let letter = AccountLetter {
        to: mail.to,
        subject: mail.subject,
        paragraphs: mail.paragraphs,
        link: mail.link,
        until: mail.until,
    };
    let noted = app.store.note_mail(&mail.account, &mail.id, &letter).await;
    app.post.send_soon(noted.map_err(unavailable)?);
    Ok(Answer(Taken { taken: true }))
}

/// Forgets an account that was deleted.
pub(super) async fn deleted<R: Runtime>(
    State(app): State<App<R>>,
    Delivered(event): Delivered<AccountDeleted>,
) -> Verdict {
    match app.store.forget(&event.account, event.at).await {
        Ok(()) => Verdict::Success,
        Err(error) => {
            log_background("error", &format!("forgetting {}: {error}", event.account));
            Verdict::Retry
        }
    }
}
