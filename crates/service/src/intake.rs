//! Events from the sidecar: how a consumer takes one in, and what it says of it.
//!
//! Dapr delivers at least once and, for each account, in order. A consumer answers only when its effect is stored, and its
//! effect is the same when an event comes again.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::response::{IntoResponse, Response};
use docket_domain::event::CloudEvent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::auth::OwnSidecar;
use crate::serve::log_background;
use crate::{Code, Internal, Problem, body};

/// The largest delivery, in bytes: what the broker takes.
const MAX_EVENT: usize = 1024 * 1024;
/// The largest delivery of many, in bytes. A Subscription asks for as many as certainly fit.
const MAX_EVENTS: usize = 48 * 1024 * 1024;

/// What a consumer says of an event, in Dapr's words. Any other answer than these counts as [`Self::Retry`].
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "UPPERCASE")]
pub enum Verdict {
    /// Its effect is stored, or it has none.
    Success,
    /// Not now: the sidecar delivers it again, with pauses that grow, before it goes to the dead letters.
    Retry,
    /// Never: it goes to the dead letters at once, and the next one is delivered.
    Drop,
}

impl IntoResponse for Verdict {
    fn into_response(self) -> Response {
        axum::Json(self).into_response()
    }
}

/// An event that our own sidecar delivers. As an extractor it answers 401 to anybody else, and DROP to what is no such
/// event.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered<E>(pub E);

impl<E: CloudEvent, S: OwnSidecar> FromRequest<S> for Delivered<E> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        Internal::from_request_parts(&mut parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let text = match body::read(body, MAX_EVENT).await {
            Ok(text) => text,
            Err(problem) if problem.code() == Code::TooLarge => {
                return Err(dropped("it is too large"));
            }
            Err(_cut_off) => return Err(Verdict::Retry.into_response()),
        };
        E::read(&text)
            .map(Self)
            .map_err(|error| dropped(&error.to_string()))
    }
}

/// Events that our own sidecar delivers together, in their order: what a Subscription with `bulkSubscribe` brings. As an
/// extractor it answers 401 to anybody else; what is no such event has only its entry's id.
#[derive(Clone, Debug, PartialEq)]
pub struct DeliveredTogether<E>(pub Vec<(String, Option<E>)>);

impl<E: CloudEvent, S: OwnSidecar> FromRequest<S> for DeliveredTogether<E> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        #[derive(Deserialize)]
        struct Envelope<'a> {
            #[serde(borrow)]
            entries: Vec<Entry<'a>>,
        }
        #[derive(Deserialize)]
        struct Entry<'a> {
            #[serde(rename = "entryId")]
            id: String,
            #[serde(borrow)]
            event: &'a RawValue,
        }
        let (mut parts, body) = request.into_parts();
        Internal::from_request_parts(&mut parts, state)
            .await
            .map_err(IntoResponse::into_response)?;
        let text = body::read(body, MAX_EVENTS)
            .await
            .map_err(IntoResponse::into_response)?;
        let envelope: Envelope<'_> = serde_json::from_slice(&text).map_err(|error| {
            let detail = format!("not events of a sidecar: {error}");
            Problem::new(Code::Malformed, detail).into_response()
        })?;
        let read = |entry: Entry<'_>| {
            let event = E::read(entry.event.get().as_bytes());
            let event = event.inspect_err(|error| log_dropped(&error.to_string()));
            (entry.id, event.ok())
        };
        Ok(Self(envelope.entries.into_iter().map(read).collect()))
    }
}

/// What a consumer says of events that were delivered together: of each by its entry's id, in their order.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdicts(pub Vec<(String, Verdict)>);

impl IntoResponse for Verdicts {
    fn into_response(self) -> Response {
        #[derive(Serialize)]
        struct Statuses {
            statuses: Vec<Status>,
        }
        #[derive(Serialize)]
        struct Status {
            #[serde(rename = "entryId")]
            id: String,
            #[serde(flatten)]
            verdict: Verdict,
        }
        let statuses = self.0.into_iter();
        let statuses = statuses.map(|(id, verdict)| Status { id, verdict });
        axum::Json(Statuses {
            statuses: statuses.collect(),
        })
        .into_response()
    }
}

fn dropped(why: &str) -> Response {
    log_dropped(why);
    Verdict::Drop.into_response()
}

fn log_dropped(why: &str) {
    log_background("error", &format!("an event is dropped: {why}"));
}
