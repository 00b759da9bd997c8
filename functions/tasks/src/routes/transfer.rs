//! `POST /api/import`: tasks out of a file. `GET /api/export`: all of an account's tasks in one.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use chrono_tz::Tz;
use docket_api::{ImportProblem, Imported};
use docket_domain::command::Field;
use docket_domain::due::parse_zone;
use docket_domain::shelf::Applied;
use docket_domain::task::Status;
use docket_domain::{Command, FieldErrorCode, Instant, NewTask, TaskId};
use docket_service::auth::{TasksRead, TasksWrite};
use docket_service::serve::log_background;
use docket_service::{Caller, Code, May, Parameters, Problem, Refusal, Runtime, body};
use docket_transfer::{Dated, Format, Options};
use futures::stream::{self, StreamExt as _};
use http::{HeaderMap, header};
use std::collections::HashSet;

use super::list::status;
use crate::{App, planner};

/// The largest file that is imported, in bytes.
const MAX_IMPORT: usize = 8 * 1024 * 1024;
/// How many imported tasks are stored in one transaction.
const BATCH_TASKS: usize = 200;
/// How many bytes of text, about: each is sent several times, as a task, in its event and escaped.
const BATCH_BYTES: usize = 512 * 1024;

pub(super) async fn import<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksWrite>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let (format, time_zone) = import_query(Parameters::parse(query.as_deref())?)?;
    let options = Options {
        now: app.store.now(),
        time_zone,
        read_date,
        check_rule: planner::check,
    };
    let file = body::read_announced(&headers, body, MAX_IMPORT).await?;
    let import = docket_transfer::read(format, &file, &options).map_err(|unreadable| {
        let detail = format!("{unreadable}; nothing was imported");
        Problem::new(Code::Malformed, detail)
    })?;
    drop(file);
    let problems = import.problems().into_iter().map(|problem| ImportProblem {
        line: problem.line,
        detail: problem.detail,
    });
    let mut outcome = Imported {
        created: 0,
        skipped: 0,
        problems: problems.collect(),
    };
    let tasks: Vec<NewTask> = import.tasks.into_iter().map(|(_, task)| task).collect();

    let (mut known, mut scanned) = (HashSet::new(), 0);
    for batch in batches(&tasks) {
        import_batch(&app, &caller, batch, &mut known, &mut scanned, &mut outcome)
            .await
            .map_err(|problem| {
                let done = outcome.created + outcome.skipped;
                let rest = "send the file again, nothing is added twice";
                problem.with_detail(format!("{done} of {} tasks are in; {rest}", tasks.len()))
            })?;
    }
    Ok(axum::Json(outcome).into_response())
}

/// The tasks in batches of a bounded size.
fn batches(mut tasks: &[NewTask]) -> impl Iterator<Item = &[NewTask]> {
    let bytes = |task: &NewTask| match (&task.input.title, &task.input.description) {
        (Field::Value(title), Field::Value(description)) => title.len() + description.len(),
        (Field::Value(text), _) | (_, Field::Value(text)) => text.len(),
        _ => 0,
    };
    std::iter::from_fn(move || {
        let mut room = BATCH_BYTES;
        let fits = |task: &&NewTask| {
            let size = bytes(task);
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        };
        let count = tasks.iter().take(BATCH_TASKS).take_while(fits).count();
        let (batch, rest) = tasks.split_at_checked(count.max(1))?;
        tasks = rest;
        Some(batch)
    })
}

/// Stores the tasks of one batch that are not there yet.
async fn import_batch<R: Runtime>(
    app: &App<R>,
    caller: &Caller,
    batch: &[NewTask],
    known: &mut HashSet<u64>,
    scanned: &mut u32,
    outcome: &mut Imported,
) -> Result<(), Problem> {
    let (tokens, newest) = app.store.tokens(&caller.account, *scanned).await?;
    known.extend(tokens);
    *scanned = newest;
    let new: Vec<NewTask> = batch
        .iter()
        .filter(|task| !known.contains(&TaskId::new(0, task.token).token))
        .cloned()
        .collect();
    outcome.skipped += batch.len() - new.len();
    if new.is_empty() {
        return Ok(());
    }
    let command = Command::Import {
        tasks: new,
        scanned: newest,
    };
    let Applied { tasks, skipped, .. } = app.store.change(caller, None, command).await?;
    outcome.created += tasks.len();
    outcome.skipped += skipped;
    Ok(())
}

fn import_query(mut given: Parameters) -> Result<(Format, Option<Tz>), Problem> {
    let format = format(&mut given);
    let time_zone = given.one("time_zone", |text| {
        parse_zone(text).ok_or("it is the name of an IANA time zone, as Europe/Berlin".into())
    });
    given.finish()?;
    Ok((format, time_zone))
}

/// The format, which has to be given. (If it is not, [`Parameters::finish`] says so.)
fn format(given: &mut Parameters) -> Format {
    let names = || {
        let names: Vec<&str> = Format::ALL.into_iter().map(Format::name).collect();
        format!("the formats are {}", names.join(", "))
    };
    let mut is_given = false;
    let format = given.one("format", |text| {
        is_given = true;
        Format::parse(text).ok_or(Refusal::new(FieldErrorCode::Invalid, names()))
    });
    if format.is_none() && !is_given {
        given.refuse("format", Refusal::new(FieldErrorCode::Required, names()));
    }
    format.unwrap_or(Format::JsonLines)
}

/// A date in words, by the planner; `None` for words that say anything else.
fn read_date(text: &str, now: Instant, zone: Tz) -> Option<Dated> {
    let task = planner::parse(text, now, zone, "en").ok()?.task;
    let is_a_date = task.title.trim().is_empty()
        && task.tags.is_empty()
        && task.priority.is_none()
        && task.reminders.is_empty();
    Some(Dated {
        due: task.due.filter(|_| is_a_date)?,
        recurrence: task.recurrence.map(|found| (found.rule, found.from)),
    })
}

/// Answers with a stream: however many tasks there are, a few segments of them are at hand.
pub(super) async fn export<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksRead>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let (format, status) = export_query(Parameters::parse(query.as_deref())?)?;
    let edge = |write: fn(Format, &mut String)| {
        let mut text = String::new();
        write(format, &mut text);
        stream::once(async move { Ok(Bytes::from(text)) })
    };
    let tasks = app.store.pieces(&caller.account, status).await?;
    let tasks = tasks.map(move |piece| {
        let piece = piece.inspect_err(|problem| {
            // The answer has begun: it can only be cut off, which the client sees.
            let cause = problem.cause().unwrap_or_default();
            log_background("error", &format!("an export was cut off: {cause}"));
        });
        let mut text = String::new();
        for task in piece.map_err(|_| CutOff)? {
            if status.is_none_or(|status| status == task.status()) {
                format.write_task(&task, &mut text);
            }
        }
        Ok::<_, CutOff>(Bytes::from(text))
    });
    let body = edge(Format::write_head)
        .chain(tasks)
        .chain(edge(Format::write_tail));
    let name = format!("attachment; filename=\"{}\"", format.file_name());
    let headers = [
        (header::CONTENT_TYPE, format.content_type().to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// Why a body ends before its time.
#[derive(Debug, thiserror::Error)]
#[error("the export was cut off")]
struct CutOff;

fn export_query(mut given: Parameters) -> Result<(Format, Option<Status>), Problem> {
    let format = format(&mut given);
    let asked = given.one("status", status);
    if !format.has_done_tasks() && asked.is_some_and(|asked| asked != Some(Status::Open)) {
        let detail = format!("{} has no done tasks: open", format.name());
        given.refuse("status", Refusal::new(FieldErrorCode::Invalid, detail));
    }
    given.finish()?;
    let default = (!format.has_done_tasks()).then_some(Status::Open);
    Ok((format, asked.unwrap_or(default)))
}
