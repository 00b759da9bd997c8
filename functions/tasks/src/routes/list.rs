//! `GET /api/tasks`: a page of tasks.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::TaskPage;
use docket_domain::list::{Cursor, DEFAULT_LIMIT, MAX_LIMIT, Query};
use docket_domain::task::Status;
use docket_domain::{AccountId, FieldErrorCode};
use docket_service::{Caller, Problem, Runtime};

use super::parameters::{parameters, unknown_parameter};
use crate::App;

pub(super) async fn list<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = list_query(query.as_deref().unwrap_or_default(), &caller.account)?;
    app.store
        .page(&caller.account, &query, |page, total| {
            let tasks = page.tasks.iter().map(|task| task.view()).collect();
            let next_cursor = page.next.map(|cursor| cursor.encode());
            axum::Json(TaskPage {
                tasks,
                next_cursor,
                total,
            })
            .into_response()
        })
        .await
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
