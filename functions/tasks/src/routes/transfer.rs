//! `POST /api/import`: tasks out of a file.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::Imported;
use docket_domain::shelf::Applied;
use docket_domain::todotxt;
use docket_domain::{Command, FieldErrorCode, NewTask, TaskId};
use docket_service::{Caller, Code, Problem, Runtime, body};
use std::collections::HashSet;

use super::parameters::{parameters, unknown_parameter};
use crate::{App, planner};

/// The largest file that is imported, in bytes.
const MAX_IMPORT: usize = 8 * 1024 * 1024;
/// How many imported tasks are stored in one transaction.
const IMPORT_BATCH: usize = 100;

pub(super) async fn import<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, Problem> {
    import_format(query.as_deref().unwrap_or_default())?;
    let file = body::read(body, MAX_IMPORT).await?;
    let text = std::str::from_utf8(&file).map_err(|error| {
        let line = file
            .iter()
            .take(error.valid_up_to())
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        Problem::new(
            Code::Malformed,
            format!("line {line} is not UTF-8; nothing was imported"),
        )
    })?;
    let todotxt::Import { tasks, problems } = todotxt::read(text, planner::check);
    let tasks: Vec<NewTask> = tasks.into_iter().map(|(_, task)| task).collect();

    let mut outcome = Imported {
        created: 0,
        skipped: 0,
        problems,
    };
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

fn import_format(query: &str) -> Result<(), Problem> {
    let mut format = None;
    for (name, value) in parameters(query) {
        match name.as_str() {
            "format" => format = Some(value),
            _ => return Err(unknown_parameter(&name)),
        }
    }
    match format.as_deref() {
        Some("todotxt") => Ok(()),
        Some(_) => Err(Problem::field(
            "/format",
            FieldErrorCode::Invalid,
            "a format is todotxt",
        )),
        None => Err(Problem::field(
            "/format",
            FieldErrorCode::Required,
            "which format? todotxt",
        )),
    }
}
