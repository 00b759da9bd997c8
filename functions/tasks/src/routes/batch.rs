//! `POST /api/tasks/batch`: several changes in one transaction.

use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::{BatchAnswer, BatchRequest, OperationRequest, OperationResult};
use docket_domain::command::MAX_OPERATIONS;
use docket_domain::shelf::Applied;
use docket_domain::{Command, FieldError, FieldErrorCode, TaskId};
use docket_service::auth::TasksWrite;
use docket_service::{May, Problem, Runtime, body};

use super::once::{self, Answered};
use crate::App;

/// The largest body, in bytes.
const MAX_BATCH: usize = 2 * 1024 * 1024;

pub(super) async fn batch<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksWrite>,
    request: Request,
) -> Result<Response, Problem> {
    let (once, text) = once::read(&caller, request, MAX_BATCH).await?;
    let request: BatchRequest = body::parse(&text)?;
    let batch = Command::Batch(commands(&request.operations)?);
    let show = move |applied: &Applied| Answered::ok(&answer(&request.operations, applied));
    let answered = app.store.change_once(&caller, once, batch, show).await?;
    Ok(answered.into_response())
}

fn answer<'a>(operations: &'a [OperationRequest], applied: &'a Applied) -> BatchAnswer<'a> {
    let result = |(operation, task): (&'a OperationRequest, &'a docket_domain::Task)| {
        let deleted = operation.op == "delete";
        OperationResult {
            op: &operation.op,
            task: (!deleted).then(|| task.view()),
            id: deleted.then_some(task.id),
        }
    };
    BatchAnswer {
        results: operations.iter().zip(&applied.tasks).map(result).collect(),
    }
}

/// What the operations ask for; all errors that show without looking at the tasks, or none.
fn commands(operations: &[OperationRequest]) -> Result<Vec<Command>, Problem> {
    let count = |code| {
        let detail = format!("a batch has 1 to {MAX_OPERATIONS} operations");
        Err(Problem::field("/operations", code, detail))
    };
    match operations.len() {
        0 => return count(FieldErrorCode::Required),
        1..=MAX_OPERATIONS => {}
        _ => return count(FieldErrorCode::TooMany),
    }
    let (mut commands, mut errors) = (Vec::with_capacity(operations.len()), Vec::new());
    for (i, operation) in operations.iter().enumerate() {
        match command(&format!("/operations/{i}"), operation) {
            Ok(command) => commands.push(command),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(commands)
    } else {
        Err(Problem::fields(errors))
    }
}

/// What the operation that stands at `pointer` asks for.
pub(super) fn command(pointer: &str, operation: &OperationRequest) -> Result<Command, FieldError> {
    let error = |field: &str, code, detail: &str| FieldError {
        pointer: format!("{pointer}/{field}"),
        code,
        detail: detail.to_owned(),
    };
    let id = || match operation.id.as_deref() {
        // An id that cannot be is no different from one that is not.
        Some(id) => TaskId::parse(id).ok_or_else(|| FieldError::no_task(pointer)),
        None => Err(error("id", FieldErrorCode::Required, "which task?")),
    };
    let task = || {
        operation.task.clone().ok_or_else(|| {
            let detail = "the fields of the task";
            error("task", FieldErrorCode::Required, detail)
        })
    };
    let without = |field: &str, there: bool| match there {
        true => Err(error(
            field,
            FieldErrorCode::UnknownField,
            "this operation does not have it",
        )),
        false => Ok(()),
    };
    let (has_id, has_task) = (operation.id.is_some(), operation.task.is_some());
    match operation.op.as_str() {
        "create" => {
            without("id", has_id)?;
            Ok(Command::Create(task()?))
        }
        "update" => Ok(Command::Update(id()?, task()?)),
        "complete" => without("task", has_task).and_then(|()| Ok(Command::Complete(id()?))),
        "reopen" => without("task", has_task).and_then(|()| Ok(Command::Reopen(id()?))),
        "delete" => without("task", has_task).and_then(|()| Ok(Command::Delete(id()?))),
        "" => Err(error("op", FieldErrorCode::Required, "which operation?")),
        _ => Err(error(
            "op",
            FieldErrorCode::Invalid,
            "an operation is create, update, complete, reopen or delete",
        )),
    }
}
