//! `/api/tags`: the tags of all tasks, renamed and taken away everywhere.

use axum::Json as Answer;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::{TagList, TagRename, TagView, TagsChanged};
use docket_domain::command::check_tag;
use docket_service::auth::{TasksRead, TasksWrite};
use docket_service::{Code, Json, May, Problem, Runtime};
use http::request::Parts;

use crate::App;

pub(super) async fn list<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksRead>,
) -> Result<Response, Problem> {
    let book = app.store.book(&caller.account).await?;
    let tags = book.tags.iter().map(|(name, count)| TagView {
        name,
        open: count.0,
        done: count.1,
    });
    Ok(Answer(TagList {
        tags: tags.collect(),
    })
    .into_response())
}

pub(super) async fn rename<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksWrite>,
    Tag(tag): Tag,
    Json(rename): Json<TagRename>,
) -> Result<Answer<TagsChanged>, Problem> {
    check_tag(&rename.name, "/name").map_err(|error| Problem::fields(vec![error]))?;
    let changed = app.store.retag(&caller, &tag, Some(&rename.name)).await?;
    Ok(Answer(TagsChanged { changed }))
}

pub(super) async fn delete<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksWrite>,
    Tag(tag): Tag,
) -> Result<Answer<TagsChanged>, Problem> {
    let changed = app.store.retag(&caller, &tag, None).await?;
    Ok(Answer(TagsChanged { changed }))
}

/// The tag in the path. One that no task has needs no change: so a repeated request finds nothing left to do.
pub(super) struct Tag(String);

impl<S: Send + Sync> FromRequestParts<S> for Tag {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<String>::from_request_parts(parts, state).await;
        path.map(|Path(tag)| Self(tag))
            .map_err(|_| Problem::new(Code::Malformed, "the path is not UTF-8"))
    }
}
