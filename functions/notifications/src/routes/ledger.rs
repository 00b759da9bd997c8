//! `GET /api/notifications/ledger`: what became of a task's reminders.

use axum::Json as Answer;
use axum::extract::{RawQuery, State};
use docket_api::reminders::{APP, AskLedger, LEDGER, Ledger, LedgerEntry};
use docket_api::{Channel, LedgerLine, LedgerPage, LedgerState};
use docket_domain::deliveries::Delivery;
use docket_domain::mail::{Mail, Outcome};
use docket_domain::{FieldErrorCode, TaskId};
use docket_service::{Caller, Parameters, Problem, Runtime};
use futures::future::try_join;

use super::unavailable;
use crate::App;

pub(super) async fn read<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Answer<LedgerPage>, Problem> {
    let mut given = Parameters::parse(query.as_deref())?;
    let task_id = given.one("task", |text| {
        TaskId::parse(text).ok_or("it is the id of a task".into())
    });
    given.finish()?;
    let task_id = task_id.ok_or_else(|| {
        Problem::field(
            "/task",
            FieldErrorCode::Required,
            "it says which task's reminders",
        )
    })?;
    let ask = AskLedger {
        account: caller.account.clone(),
        task_id,
    };
    let (fired, delivered) = try_join(
        app.others.invoke::<Ledger>(APP, LEDGER, &ask),
        app.store.deliveries(&caller.account, task_id),
    )
    .await
    .map_err(unavailable)?;
    let entries = lines(&fired.entries, &delivered);
    Ok(Answer(LedgerPage { entries }))
}

/// The lines of both ledgers: what `reminders` knows of a reminder, and what was delivered of it here. What was delivered is
/// told even if `reminders` knows it no more.
fn lines(fired: &[LedgerEntry], delivered: &[(Delivery, Option<Mail>)]) -> Vec<LedgerLine> {
    let mut lines = Vec::new();
    for entry in fired {
        let of_entry = |(delivery, _): &&(Delivery, _)| delivery.event == entry.event_id;
        match delivered.iter().find(of_entry) {
            Some((delivery, mail)) => {
                add_delivered(delivery, mail.as_ref(), entry.attempts, &mut lines);
            }
            None => lines.push(LedgerLine {
                reminder: entry.reminder_id.clone(),
                occurrence: entry.occurrence,
                channel: Channel::InApp,
                state: entry.state.into(),
                scheduled_at: entry.scheduled_at,
                fired_at: entry.fired_at,
                delivered_at: None,
                attempts: entry.attempts,
                notification_id: None,
            }),
        }
    }
    for (delivery, mail) in delivered {
        if !fired.iter().any(|entry| entry.event_id == delivery.event) {
            add_delivered(delivery, mail.as_ref(), 1, &mut lines);
        }
    }
    lines.sort_by_key(|line| line.scheduled_at);
    lines
}

fn add_delivered(
    delivery: &Delivery,
    mail: Option<&Mail>,
    fired: u32,
    lines: &mut Vec<LedgerLine>,
) {
    let in_app = LedgerLine {
        reminder: delivery.reminder.clone(),
        occurrence: delivery.occurrence,
        channel: Channel::InApp,
        state: LedgerState::Delivered,
        scheduled_at: delivery.scheduled_at,
        fired_at: Some(delivery.fired_at),
        delivered_at: Some(delivery.at),
        attempts: fired,
        notification_id: Some(delivery.notification),
    };
    let by_mail = mail.map(|mail| {
        let (state, delivered_at) = match mail.outcome {
            None => (LedgerState::Fired, None),
            Some(Outcome::Sent(at)) => (LedgerState::Delivered, Some(at)),
            Some(Outcome::GivenUp(_)) => (LedgerState::GivenUp, None),
            Some(Outcome::Unwanted(_)) => (LedgerState::Unwanted, None),
        };
        LedgerLine {
            channel: Channel::Email,
            state,
            delivered_at,
            attempts: mail.attempts,
            ..in_app.clone()
        }
    });
    lines.push(in_app);
    lines.extend(by_mail);
}
