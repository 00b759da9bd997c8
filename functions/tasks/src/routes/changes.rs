//! `GET /api/changes`: what happened since a client last asked.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::ChangePage;
use docket_domain::FieldErrorCode;
use docket_domain::changes::{DEFAULT_LIMIT, MAX_LIMIT, Query, Since};
use docket_service::{Caller, Problem, Runtime};

use super::parameters::{parameters, unknown_parameter};
use crate::App;

pub(super) async fn changes<R: Runtime>(
    State(app): State<App<R>>,
    caller: Caller,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = changes_query(query.as_deref().unwrap_or_default())?;
    app.store
        .changes(&caller.account, query, |page| {
            axum::Json(ChangePage::from(&page)).into_response()
        })
        .await
}

fn changes_query(query: &str) -> Result<Query, Problem> {
    let invalid = |name: &str, detail: String| {
        Problem::field(&format!("/{name}"), FieldErrorCode::Invalid, detail)
    };
    let (mut since, mut limit) = (Since::parse(0), DEFAULT_LIMIT);
    for (name, value) in parameters(query) {
        match name.as_str() {
            "since" => since = value.parse().ok().and_then(Since::parse),
            "limit" => {
                limit = value
                    .parse()
                    .ok()
                    .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                    .ok_or_else(|| {
                        let detail = format!("a limit is a number from 1 to {MAX_LIMIT}");
                        invalid("limit", detail)
                    })?;
            }
            _ => return Err(unknown_parameter(&name)),
        }
    }
    let since = since.ok_or_else(|| {
        let detail = "since is 0, or what `next` was in the last answer";
        invalid("since", detail.to_owned())
    })?;
    Ok(Query { since, limit })
}
