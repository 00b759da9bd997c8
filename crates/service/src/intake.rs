//! Events from the sidecar: how a consumer takes one in, and what it says of it.
//!
//! Dapr delivers at least once and, for each account, in order. A consumer answers only when its effect is stored, and its
//! effect is the same when an event comes again.

use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::response::{IntoResponse, Response};
use docket_domain::AccountId;
use docket_domain::event::CloudEvent;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;

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

/// What acts on events of a kind.
pub trait Consumer<E: Sync>: Sync {
    /// Acts on an event.
    fn take(&self, event: &E) -> impl Future<Output = Verdict> + Send;

    /// Acts on events of one account, one after the other. After one that is to come again, the later ones are not looked
    /// at, and are to come again as well: for them nothing need be said.
    fn take_all(&self, events: &[&E]) -> impl Future<Output = Vec<Verdict>> + Send {
        async move {
            let mut verdicts = Vec::with_capacity(events.len());
            for event in events {
                let verdict = self.take(event).await;
                verdicts.push(verdict);
                if verdict == Verdict::Retry {
                    break;
                }
            }
            verdicts
        }
    }
}

impl<E: CloudEvent + Sync> DeliveredTogether<E> {
    /// Has a consumer act on the events: on those of an account one after the other, on several accounts at once. What is
    /// no event is dropped.
    pub async fn to(&self, consumer: &impl Consumer<E>) -> Verdicts {
        let mut accounts: BTreeMap<&AccountId, (Vec<&str>, Vec<&E>)> = BTreeMap::new();
        for (id, event) in &self.0 {
            if let Some(event) = event {
                let (ids, events) = accounts.entry(event.account()).or_default();
                ids.push(id);
                events.push(event);
            }
        }
        let taken = accounts.into_values().map(async |(ids, events)| {
            let verdicts = consumer.take_all(&events).await;
            ids.into_iter().zip(verdicts).collect::<Vec<_>>()
        });
        let said: HashMap<&str, Verdict> = join_all(taken).await.into_iter().flatten().collect();
        let verdict = |id: &str, event: &Option<E>| match event {
            Some(_) => said.get(id).copied().unwrap_or(Verdict::Retry),
            None => Verdict::Drop,
        };
        let told = self.0.iter();
        let told = told.map(|(id, event)| (id.clone(), verdict(id, event)));
        Verdicts(told.collect())
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
