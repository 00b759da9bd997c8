//! `POST /api/import`: tasks out of a file.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::{ImportProblem, Imported};
use docket_domain::due;
use docket_domain::shelf::Applied;
use docket_domain::{Command, FieldErrorCode, NewTask, TaskId};
use docket_service::{Caller, Code, Problem, Runtime, body};
use docket_transfer::{Format, Options};
use std::collections::HashSet;

use super::parameters::{parameters, unknown_parameter};
use crate::{App, planner};

/// The largest file that is imported, in bytes.
const MAX_IMPORT: usize = 8 * 1024 * 1024;
/// How many imported tasks are stored in one transaction.
const IMPORT_BATCH: usize = 200;

pub(super) async fn import<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    let (format, options) = asked(query.as_deref().unwrap_or_default())?;
    let file = body::read(body, MAX_IMPORT).await?;
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
    for batch in tasks.chunks(IMPORT_BATCH) {
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
    let Applied { tasks, skipped, .. } = app.store.change(caller, None, &command).await?;
    outcome.created += tasks.len();
    outcome.skipped += skipped;
    Ok(())
}

/// What the query asks for.
fn asked(query: &str) -> Result<(Format, Options), Problem> {
    let mut format = None;
    let mut options = Options {
        time_zone: None,
        check_rule: planner::check,
    };
    let invalid = |name: &str, detail: String| {
        Problem::field(&format!("/{name}"), FieldErrorCode::Invalid, detail)
    };
    for (name, value) in parameters(query) {
        match name.as_str() {
            "format" => {
                let known = Format::parse(&value);
                format = Some(known.ok_or_else(|| invalid("format", formats()))?);
            }
            "time_zone" => {
                let zone = due::parse_zone(&value).ok_or_else(|| {
                    invalid("time_zone", "not the name of an IANA time zone".to_owned())
                })?;
                options.time_zone = Some(zone);
            }
            _ => return Err(unknown_parameter(&name)),
        }
    }
    match format {
        Some(format) => Ok((format, options)),
        None => Err(Problem::field(
            "/format",
            FieldErrorCode::Required,
            formats(),
        )),
    }
}

/// The formats' names, for a person.
fn formats() -> String {
    let names: Vec<&str> = Format::ALL.into_iter().map(Format::name).collect();
    format!("the formats are {}", names.join(", "))
}
