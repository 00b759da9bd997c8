//! `GET /api/tasks`: a page of tasks.

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::TaskPage;
use docket_domain::due::{parse_date, parse_zone, start_of};
use docket_domain::find::{DEFAULT_LIMIT, Filter, MAX_LIMIT, Order, Query, Search, SearchError};
use docket_domain::task::{MAX_TAG, MAX_TAGS, Priority, Status};
use docket_domain::{AccountId, FieldErrorCode, Instant, TaskId};
use docket_service::auth::TasksRead;
use docket_service::{May, Parameters, Problem, Refusal, Runtime};

use crate::App;

pub(super) async fn list<R: Runtime>(
    State(app): State<App<R>>,
    May { caller, .. }: May<TasksRead>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let query = read(Parameters::parse(query.as_deref())?, &caller.account)?;
    app.store
        .page(&caller.account, &query, |page| {
            axum::Json(TaskPage {
                tasks: page.tasks.iter().map(|task| task.view()).collect(),
                next_cursor: page.next,
                total: page.total,
            })
            .into_response()
        })
        .await
}

fn read(mut given: Parameters, account: &AccountId) -> Result<Query, Problem> {
    let time_zone = given.one("time_zone", |text| {
        parse_zone(text).ok_or("it is the name of an IANA time zone, as Europe/Berlin".into())
    });
    let time_zone = time_zone.unwrap_or_default();
    // A day counts from its start in the zone of whoever asks.
    let instant = |text: &str| {
        parse_date(text)
            .map(|date| start_of(date, time_zone))
            .or_else(|| Instant::parse(text))
            .ok_or("it is a date, YYYY-MM-DD, or an RFC 3339 instant".into())
    };
    let filter = Filter {
        status: given.one("status", status).unwrap_or(Some(Status::Open)),
        search: given.one("q", search).unwrap_or_default(),
        priorities: given.many("priority", priorities).concat(),
        tags: given.many("tag", tag),
        due_after: given.one("due_after", instant),
        due_before: given.one("due_before", instant),
        overdue: given.flag("overdue"),
        recurring: given.flag("recurring"),
        parent: given.one("parent", parent),
        time_zone,
    };
    if filter.tags.len() > MAX_TAGS {
        let detail = format!("a task has at most {MAX_TAGS} tags");
        given.refuse("tag", Refusal::new(FieldErrorCode::TooMany, detail));
    }
    let mut query = Query {
        filter,
        order: given.one("sort", order).unwrap_or_default(),
        limit: given.limit(MAX_LIMIT).unwrap_or(DEFAULT_LIMIT),
        cursor: None,
    };
    // Last, for it has to fit all the others.
    query.cursor = given.cursor(|text| query.resume(account, text));
    given.finish()?;
    Ok(query)
}

pub(super) fn status(text: &str) -> Result<Option<Status>, Refusal> {
    match text {
        "open" => Ok(Some(Status::Open)),
        "done" => Ok(Some(Status::Done)),
        "all" => Ok(None),
        _ => Err("a status is open, done or all".into()),
    }
}

fn search(text: &str) -> Result<Search, Refusal> {
    Search::parse(text).map_err(|error| {
        let code = match error {
            SearchError::TooLong => FieldErrorCode::TooLong,
            SearchError::TooManyWords => FieldErrorCode::TooMany,
        };
        Refusal::new(code, error.to_string())
    })
}

fn priorities(text: &str) -> Result<Vec<Priority>, Refusal> {
    let priorities: Option<_> = text.split(',').map(Priority::parse).collect();
    priorities.ok_or("a priority is low, medium or high; several are parted by commas".into())
}

fn tag(text: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.chars().nth(MAX_TAG).is_some() {
        let detail = format!("a tag has 1 to {MAX_TAG} characters");
        return Err(Refusal::new(FieldErrorCode::Invalid, detail));
    }
    Ok(text.to_owned())
}

fn parent(text: &str) -> Result<TaskId, Refusal> {
    TaskId::parse(text).ok_or("it is the id of a task".into())
}

fn order(text: &str) -> Result<Order, Refusal> {
    Order::parse(text).ok_or(
        "an order is due, priority, created, updated, title or position, with a - before it to reverse it".into(),
    )
}
