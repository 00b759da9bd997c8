//! The routes; all of them are for the sidecar.

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use docket_api::reminders::{
    AskLedger, LEDGER, Ledger, LedgerEntry, NewSettings, SETTINGS, SNOOZE, SettingsTaken, Snooze,
    Snoozed,
};
use docket_domain::account_deleted::AccountDeleted;
use docket_domain::reminders::{Followed, Plan, TaskState, plan_key};
use docket_domain::{Event, FieldErrorCode, Instant};
use docket_service::serve::{log_background, routes};
use docket_service::{
    Consumer, Delivered, DeliveredTogether, Internal, Json, Problem, Runtime, Verdict, Verdicts,
};
use docket_sidecar::Error;
use serde::Serialize;
use std::time::Duration;

use crate::App;
use crate::jobs::Wake;
use crate::store::Changed;
use crate::sweep::Swept;

/// How much too early a job may come (the scheduler's clock may be another one) and still be waited for, in milliseconds.
const EARLY: i64 = 1_000;
/// How long the moving of reminders may take before the answer.
const SETTLING: Duration = Duration::from_millis(1_200);
/// How long the forgetting of an account may take before the event is to come again.
const FORGETTING: Duration = Duration::from_secs(8);
/// How long a notification's id may be.
const MAX_NOTIFICATION: usize = 64;

/// The function's routes.
pub fn router<R: Runtime>(app: App<R>) -> Router {
    routes([
        ("/internal/reminders/accounts", post(account_deleted)),
        ("/internal/reminders/task-events", post(task_events)),
        ("/internal/reminders/reminder-sweep", post(sweep)),
        (SNOOZE, post(snooze)),
        (SETTINGS, post(settings)),
        (LEDGER, post(ledger)),
        ("/job/{name}", post(job)),
    ])
    .with_state(app)
}

/// They come many at once, which costs less than one by one: most ask for nothing.
async fn task_events<R: Runtime>(
    State(app): State<App<R>>,
    delivered: DeliveredTogether<Event>,
) -> Verdicts {
    delivered.to(&app).await
}

/// Forgets an account that was deleted. What cannot be done in time is done when the event comes again.
async fn account_deleted<R: Runtime>(
    State(app): State<App<R>>,
    Delivered(event): Delivered<AccountDeleted>,
) -> Verdict {
    let deadline = app.runtime.elapsed() + FORGETTING;
    match app.forget(&event.account, event.at, deadline).await {
        Ok(true) => Verdict::Success,
        Ok(false) => Verdict::Retry,
        Err(error) => {
            log_background("error", &format!("forgetting {}: {error}", event.account));
            Verdict::Retry
        }
    }
}

impl<R: Runtime> Consumer<Event> for App<R> {
    async fn take(&self, event: &Event) -> Verdict {
        let task = match TaskState::of(event) {
            Ok(task) => task,
            Err(error) => {
                log_background("error", &format!("event {} has no task: {error}", event.id));
                return Verdict::Drop;
            }
        };
        if !task.matters(event) {
            return Verdict::Success;
        }
        match self.follow(event, &task).await {
            Ok(()) => Verdict::Success,
            Err(error) => {
                log_background("error", &format!("after event {}: {error}", event.id));
                Verdict::Retry
            }
        }
    }
}

impl<R: Runtime> App<R> {
    async fn follow(&self, event: &Event, task: &TaskState) -> Result<(), Error> {
        let mut followed = Followed::New;
        let changed = self
            .store
            .change(&event.account, event.task_id, |plan, settings| match plan {
                Some(plan) => followed = plan.follow(event, task, settings),
                None if task.begins_plan(event) => *plan = Some(Plan::begin(event, task, settings)),
                None => {}
            })
            .await?;
        match (changed, followed) {
            (None, _) | (_, Followed::Stale) => Ok(()),
            (Some(changed), Followed::New) => self.follow_up(changed, false).await,
            // Whoever took it in before may have come no further than to store it.
            (Some(changed), Followed::Again) => self.follow_up(changed, true).await,
        }
    }

    /// Brings the jobs to where a plan was changed to. If the scheduler is away that is noted, and the sweep sees to it: what
    /// is planned is stored by now, and nothing may hold up the partition.
    pub(crate) async fn follow_up(&self, changed: Changed, doubts: bool) -> Result<(), Error> {
        let doubts = doubts || changed.was_disturbed;
        if self
            .jobs
            .follow(&changed.plan, &changed.jobs_before, doubts)
            .await
        {
            return Ok(());
        }
        let (account, task) = (changed.plan.account(), changed.plan.task_id());
        let owe = |plan: &mut Option<Plan>, _: &_| {
            if let Some(plan) = plan {
                plan.owes_jobs = true;
            }
        };
        self.store.change(account, task, owe).await.map(drop)
    }
}

/// How many reminders a job has fired.
#[derive(Serialize)]
struct Fired {
    fired: usize,
}

/// A job says that it is time to look at a plan. It has nothing to do if the reminder was moved or has fired.
async fn job<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(wake): Json<Wake>,
) -> Result<axum::Json<Fired>, Problem> {
    let key = plan_key(&wake.account, wake.task_id);
    let mut fired = app.store.fire(key.clone()).await.map_err(unavailable)?;
    if fired == 0
        && let Some(pause) = app.early(key.clone()).await.map_err(unavailable)?
    {
        app.runtime.sleep(pause).await;
        fired = app.store.fire(key).await.map_err(unavailable)?;
    }
    Ok(axum::Json(Fired { fired }))
}

impl<R: Runtime> App<R> {
    /// How long to wait for a reminder whose job came too early.
    async fn early(&self, key: String) -> Result<Option<Duration>, Error> {
        let plan = self.store.plan(key).await?.value;
        let now = self.store.now();
        let soon = now..=now.plus_millis(EARLY);
        let next = plan.iter().flat_map(Plan::instants);
        let next = next.filter(|at| soon.contains(at)).min();
        let pause = |at: Instant| (at.as_millis() - now.as_millis()).unsigned_abs();
        Ok(next.map(|at| Duration::from_millis(pause(at))))
    }
}

async fn sweep<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
) -> Result<axum::Json<Swept>, Problem> {
    app.sweep().await.map(axum::Json).map_err(unavailable)
}

async fn snooze<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(snooze): Json<Snooze>,
) -> Result<axum::Json<Snoozed>, Problem> {
    let id = &snooze.notification_id;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    if !(1..=MAX_NOTIFICATION).contains(&id.len()) || !id.bytes().all(allowed) {
        let detail = "at most 64 letters, digits, \"-\" and \"_\"";
        return Err(Problem::field(
            "/notification_id",
            FieldErrorCode::Invalid,
            detail,
        ));
    }
    let mut scheduled = false;
    let changed = app
        .store
        .change(&snooze.account, snooze.task_id, |plan, _| {
            scheduled = plan.as_mut().is_some_and(|plan| plan.snooze(id, snooze.at));
        })
        .await
        .map_err(unavailable)?;
    if let Some(changed) = changed {
        app.follow_up(changed, true).await.map_err(unavailable)?;
    }
    Ok(axum::Json(Snoozed { scheduled }))
}

async fn settings<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(new): Json<NewSettings>,
) -> Result<axum::Json<SettingsTaken>, Problem> {
    app.set(&new.account, new.settings)
        .await
        .map_err(unavailable)?;
    let deadline = app.runtime.elapsed() + SETTLING;
    let pending = match app.settle(&new.account, deadline, false).await {
        Ok(pending) => pending,
        // They are stored, and so is that plans are left: the sweep moves those.
        Err(error) => {
            log_background("warn", &format!("settings of {}: {error}", new.account));
            true
        }
    };
    Ok(axum::Json(SettingsTaken { pending }))
}

async fn ledger<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    Json(ask): Json<AskLedger>,
) -> Result<axum::Json<Ledger>, Problem> {
    let key = plan_key(&ask.account, ask.task_id);
    let plan = app.store.plan(key).await.map_err(unavailable)?.value;
    let entries = plan.iter().flat_map(|plan| {
        plan.ledger()
            .into_iter()
            .map(|(entry, event_id)| LedgerEntry {
                reminder_id: entry.id.clone(),
                snoozed: entry.snoozed.clone(),
                occurrence: plan.occurrence(),
                state: entry.state,
                scheduled_at: entry.instant,
                fired_at: entry.fired_at,
                attempts: entry.attempts,
                event_id,
            })
    });
    Ok(axum::Json(Ledger {
        entries: entries.collect(),
    }))
}

fn unavailable(error: Error) -> Problem {
    Problem::unavailable(1, error)
}
