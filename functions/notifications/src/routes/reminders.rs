//! What the topic `reminders` brings.

use axum::extract::State;
use docket_api::notifications::created;
use docket_domain::event::TASK_UPDATES;
use docket_domain::reminder_due::ReminderDue;
use docket_domain::task::MAX_TITLE;
use docket_service::serve::log_background;
use docket_service::{Delivered, Runtime, Verdict};
use docket_sidecar::{Error, Message};

use crate::App;
use crate::store::TakenIn;

/// The Dapr pub/sub component.
const PUBSUB: &str = "pubsub";
/// The longest id of an event or a reminder that is taken in, in bytes: they are kept, so they are bounded.
const MAX_ID: usize = 128;

/// Takes a reminder that is due into the inbox, and tells open clients. The mail follows after the answer.
pub(super) async fn due<R: Runtime>(
    State(app): State<App<R>>,
    Delivered(event): Delivered<ReminderDue>,
) -> Verdict {
    if let Some(why) = oddity(&event) {
        log_background("error", &format!("an event is dropped: {why}"));
        return Verdict::Drop;
    }
    match take_in(&app, &event).await {
        Ok(mail) => {
            if let Some(mail) = mail {
                app.post.send_soon(mail);
            }
            Verdict::Success
        }
        Err(error) => {
            log_background("error", &format!("event {}: {error}", event.id));
            Verdict::Retry
        }
    }
}

/// Gives the mail. An event that comes again is told to open clients again: nobody knows whether they were.
async fn take_in<R: Runtime>(app: &App<R>, event: &ReminderDue) -> Result<Option<String>, Error> {
    let account = &event.data.account;
    let Some(TakenIn { notification, mail }) = app.store.take_in(event).await? else {
        return Ok(None);
    };
    let message = Message::new(&created(account, &notification), account.to_string())?;
    app.sidecar
        .publish(PUBSUB, TASK_UPDATES, &[message])
        .await?;
    Ok(mail)
}

/// What no event of ours can be, and no inbox should hold.
fn oddity(event: &ReminderDue) -> Option<&'static str> {
    if event.id.len() > MAX_ID || event.data.reminder_id.len() > MAX_ID {
        return Some("its id, or the reminder's, is too long");
    }
    if event.data.title.chars().nth(MAX_TITLE).is_some() {
        return Some("its title is too long");
    }
    None
}
