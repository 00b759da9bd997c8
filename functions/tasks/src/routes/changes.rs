//! `GET /api/changes`: what happened since a client last asked.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::ChangePage;
use docket_domain::changes::{DEFAULT_LIMIT, MAX_LIMIT, Query, Since};
use docket_service::auth::TasksRead;
use docket_service::{May, Parameters, Problem, Runtime};

use crate::App;

pub(super) async fn changes<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksRead>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = changes_query(Parameters::parse(query.as_deref())?)?;
    app.store
        .changes(&caller.account, query, |page| {
            axum::Json(ChangePage::from(&page)).into_response()
        })
        .await
}

fn changes_query(mut given: Parameters) -> Result<Query, Problem> {
    let since = given.one("since", |text| {
        let since = text.parse().ok().and_then(Since::parse);
        since.ok_or("since is 0, or what `next` was in the last answer".into())
    });
    let limit = given.limit(MAX_LIMIT);
    given.finish()?;
    Ok(Query {
        since: since.unwrap_or_default(),
        limit: limit.unwrap_or(DEFAULT_LIMIT),
    })
}
