//! One task at a time: created, read, changed, done, open again, deleted.

use axum::extract::{FromRequestParts, Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use docket_domain::shelf::Applied;
use docket_domain::task::Task;
use docket_domain::{Command, Rejection, TaskId, TaskInput};
use docket_service::auth::{TasksDelete, TasksRead, TasksWrite};
use docket_service::body::{self, MAX_JSON};
use docket_service::{Caller, Code, Json, May, Problem, Runtime};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::once::{self, Answered};
use crate::App;

pub(super) async fn create<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksWrite>,
    request: Request,
) -> Result<Response, Problem> {
    let (once, text) = once::read(&caller, request, MAX_JSON).await?;
    let create = Command::Create(body::parse(&text)?);
    let show = |applied: &Applied| {
        let task = only(applied)?;
        let location = format!("/api/tasks/{}", task.id);
        Answered::created(&task.view(), location, task.seq)
    };
    let answered = app.store.change_once(&caller, once, create, show).await?;
    Ok(answered.into_response())
}

pub(super) async fn read<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksRead>,
    Id(id): Id,
) -> Result<Response, Problem> {
    Ok(shown(&app.store.task(&caller.account, id).await?))
}

pub(super) async fn update<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksWrite>,
    Id(id): Id,
    headers: HeaderMap,
    Json(input): Json<TaskInput>,
) -> Result<Response, Problem> {
    change(&app, &caller, &headers, Command::Update(id, input)).await
}

pub(super) async fn complete<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksWrite>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    change(&app, &caller, &headers, Command::Complete(id)).await
}

pub(super) async fn reopen<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksWrite>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    change(&app, &caller, &headers, Command::Reopen(id)).await
}

pub(super) async fn delete<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksDelete>,
    Id(id): Id,
    headers: HeaderMap,
) -> Result<StatusCode, Problem> {
    let if_version = if_match(&headers)?;
    app.store
        .change(&caller, if_version, Command::Delete(id))
        .await?;
    Ok(StatusCode::NO_CONTENT)
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
        .change(caller, if_match(headers)?, command)
        .await?;
    Ok(shown(only(&applied)?))
}

/// A task with its ETag.
fn shown(task: &Task) -> Response {
    let mut response = axum::Json(task.view()).into_response();
    if let Ok(etag) = HeaderValue::from_str(&format!("\"{}\"", task.seq)) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

pub(super) fn only(applied: &Applied) -> Result<&Task, Problem> {
    applied
        .tasks
        .first()
        .ok_or_else(|| Problem::internal("a change of one task without a task"))
}

/// The task's id in the path. An id that cannot be is no different from one that is not.
pub(super) struct Id(pub(super) TaskId);

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
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
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
