//! The routes, and what each reads and answers.

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use docket_domain::list::{Cursor, DEFAULT_LIMIT, MAX_LIMIT, Query};
use docket_domain::shelf::Applied;
use docket_domain::task::{Status, Task, TaskView};
use docket_domain::todotxt::{self, Problem as LineProblem};
use docket_domain::{AccountId, Command, FieldErrorCode, NewTask, Rejection, TaskId, TaskInput};
use docket_service::serve::closed;
use docket_service::{Caller, Code, Internal, Json, Problem, Runtime, body};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;
use std::collections::HashSet;

use crate::App;
use crate::store::unavailable;

/// The largest file that is imported, in bytes.
const MAX_IMPORT: usize = 8 * 1024 * 1024;
/// How many imported tasks are stored in one transaction.
const IMPORT_BATCH: usize = 100;

/// The function's routes.
pub fn router<R: Runtime>(app: App<R>) -> Router {
    closed(
        Router::new()
            .route("/api/tasks", get(list::<R>).post(create::<R>))
            .route(
                "/api/tasks/{id}",
                get(read::<R>).patch(update::<R>).delete(delete::<R>),
            )
            .route("/api/tasks/{id}/complete", post(complete::<R>))
            .route("/api/tasks/{id}/reopen", post(reopen::<R>))
            .route("/api/import", post(import::<R>))
            .route("/internal/tasks/outbox-sweep", post(sweep::<R>)),
    )
    .with_state(app)
}

async fn list<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = list_query(query.as_deref().unwrap_or_default(), &caller.account)?;
    app.store
        .page(&caller.account, &query, |page, total| {
            let tasks = page.tasks.iter().map(|task| task.view()).collect();
            let next_cursor = page.next.map(|cursor| cursor.encode());
            axum::Json(Listed {
                tasks,
                next_cursor,
                total,
            })
            .into_response()
        })
        .await
}

/// A page of tasks.
#[derive(Serialize)]
struct Listed<'a> {
    tasks: Vec<TaskView<'a>>,
    next_cursor: Option<String>,
    total: u64,
}

async fn create<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    Json(input): Json<TaskInput>,
) -> Result<Response, Problem> {
    let task = only(
        app.store
            .change(&caller, None, &Command::Create(input))
            .await?,
    )?;
    let location =
        HeaderValue::from_str(&format!("/api/tasks/{}", task.id)).map_err(Problem::internal)?;
    Ok((
        StatusCode::CREATED,
        [(header::LOCATION, location)],
        shown(&task),
    )
        .into_response())
}

async fn read<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    Id(id): Id,
) -> Result<Response, Problem> {
    Ok(shown(&app.store.task(&caller.account, id).await?))
}

async fn update<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
    Json(input): Json<TaskInput>,
) -> Result<Response, Problem> {
    change(&app, &caller, &headers, Command::Update(id, input)).await
}

async fn complete<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    change(&app, &caller, &headers, Command::Complete(id)).await
}

async fn reopen<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    change(&app, &caller, &headers, Command::Reopen(id)).await
}

async fn delete<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let if_version = if_match(&headers)?;
    app.store
        .change(&caller, if_version, &Command::Delete(id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn import<R: Runtime>(
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
    let todotxt::Import { tasks, problems } = todotxt::read(text);
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

/// What came of an import.
#[derive(Serialize)]
struct Imported {
    created: usize,
    skipped: usize,
    problems: Vec<LineProblem>,
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

async fn sweep<R: Runtime>(State(app): State<App<R>>, _: Internal) -> Result<Response, Problem> {
    let freed = app.outbox.sweep().await.map_err(unavailable)?;
    Ok(axum::Json(json!({ "freed": freed })).into_response())
}

/// Carries out a change of one task and shows the task.
async fn change<R: Runtime>(
    app: &App<R>,
    caller: &Caller,
    headers: &HeaderMap,
    command: Command,
) -> Result<Response, Problem> {
    let applied = app
        .store
        .change(caller, if_match(headers)?, &command)
        .await?;
    Ok(shown(&only(applied)?))
}

/// A task with its ETag.
fn shown(task: &Task) -> Response {
    let mut response = axum::Json(task.view()).into_response();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", task.seq)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

fn only(applied: Applied) -> Result<Task, Problem> {
    applied
        .tasks
        .into_iter()
        .next()
        .ok_or_else(|| Problem::internal("a change of one task without a task"))
}

/// The task's id in the path. An id that cannot be is no different from one that is not.
struct Id(TaskId);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = Path::<String>::from_request_parts(parts, state).await.ok();
        id.and_then(|Path(id)| TaskId::parse(&id))
            .map(Self)
            .ok_or_else(|| Rejection::NotFound.into())
    }
}

/// The version that If-Match demands (RFC 9110): `"<version>"`, or `*` for any.
fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .and_then(|version| version.parse().ok())
        .map(Some)
        .ok_or_else(|| Problem::new(Code::Malformed, "If-Match takes one ETag of the task, or *"))
}

/// Splits a query string into its parameters.
fn parameters(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

fn list_query(query: &str, account: &AccountId) -> Result<Query, Problem> {
    let invalid = |name: &str, detail: &str| {
        Problem::field(&format!("/{name}"), FieldErrorCode::Invalid, detail)
    };
    let (mut status, mut limit, mut cursor) = (Some(Status::Open), DEFAULT_LIMIT, None);
    for (name, value) in parameters(query) {
        match name.as_str() {
            "status" => {
                status = match value.as_str() {
                    "open" => Some(Status::Open),
                    "done" => Some(Status::Done),
                    "all" => None,
                    _ => return Err(invalid("status", "a status is open, done or all")),
                }
            }
            "limit" => {
                limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                    .ok_or_else(|| invalid("limit", "a limit is a number from 1 to 200"))?;
            }
            "cursor" => cursor = Some(value),
            _ => return Err(unknown_parameter(&name)),
        }
    }
    // A cursor is read last: it must fit the status, wherever that stands.
    let cursor = match cursor.filter(|text| !text.is_empty()) {
        Some(text) => Some(
            Cursor::decode(&text, account, status)
                .ok_or_else(|| invalid("cursor", "not a cursor of this list"))?,
        ),
        None => None,
    };
    Ok(Query {
        status,
        limit,
        cursor,
    })
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

fn unknown_parameter(name: &str) -> Problem {
    let name: String = name.chars().take(80).collect();
    Problem::field(
        &format!("/{name}"),
        FieldErrorCode::UnknownField,
        "there is no such parameter",
    )
}
