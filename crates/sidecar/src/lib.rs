//! A typed client of a Dapr sidecar: state, pub/sub, invocation, jobs, bindings and secrets over HTTP. The only place that
//! knows Dapr's URLs.
//!
//! Every call has a time limit and gives typed errors. The client is generic over its [`Transport`], so that the same
//! code runs in a component (over `wasi:http`) and in unit tests.

mod bindings;
mod document;
mod invoke;
mod jobs;
mod metadata;
mod pubsub;
mod secrets;
mod state;
mod transport;

pub use document::{Document, creation};
pub use jobs::Job;
pub use pubsub::Message;
pub use state::{Entry, Etag, Item, Operation};
pub use transport::{Transport, TransportError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::time::Duration;

/// A function's own sidecar.
#[derive(Clone)]
pub struct Sidecar<T> {
    transport: T,
    base: String,
    token: HeaderValue,
    limit: Duration,
}

/// How long a call may take unless [`Sidecar::within`] says otherwise.
pub const DEFAULT_LIMIT: Duration = Duration::from_millis(1_500);

/// Why a call to the sidecar failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No answer: not there, cut off, or too slow. Whether the call had an effect is unknown.
    #[error("the sidecar did not answer {call}")]
    Transport {
        /// Which call.
        call: &'static str,
        /// What happened to it.
        #[source]
        source: TransportError,
    },
    /// The sidecar, or the component behind it, refused the call.
    #[error("the sidecar answered {call} with {status} {code}: {message}")]
    Refused {
        /// Which call.
        call: &'static str,
        /// The HTTP status.
        status: StatusCode,
        /// Dapr's error code, such as `ERR_STATE_TRANSACTION`; empty if there was none.
        code: String,
        /// Dapr's words, for the log.
        message: String,
    },
    /// The answer is not what Dapr's API promises.
    #[error("the sidecar's answer to {call} cannot be read: {detail}")]
    Malformed {
        /// Which call.
        call: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl Error {
    /// Whether the answer was too large to be taken: asking for less may work.
    pub fn is_too_large(&self) -> bool {
        let too_large = |source: &TransportError| matches!(source, TransportError::TooLarge(_));
        matches!(self, Self::Transport { source, .. } if too_large(source))
    }

    /// Whether a transaction was refused: others have written since what it rests on was read, if nothing worse.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if code == "ERR_STATE_TRANSACTION")
    }
}

/// What need not be escaped in a path segment (RFC 3986: unreserved characters and `:`).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b':');

pub(crate) fn escape(segment: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(segment, SEGMENT)
}

impl<T: Transport> Sidecar<T> {
    /// The sidecar at `base` (`http://host:port`), which demands `token` in the `dapr-api-token` header.
    ///
    /// # Errors
    /// The token has characters that no header can have.
    pub fn new(
        transport: T,
        base: &str,
        token: &str,
    ) -> Result<Self, http::header::InvalidHeaderValue> {
        let mut token = HeaderValue::from_str(token)?;
        token.set_sensitive(true);
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self {
            transport,
            base,
            token,
            limit: DEFAULT_LIMIT,
        })
    }

    /// The same sidecar, with another time limit for each call.
    pub fn within(&self, limit: Duration) -> Self {
        Self {
            limit,
            ..self.clone()
        }
    }

    /// Sends a call and hands on any answer.
    async fn send(
        &self,
        call: &'static str,
        method: Method,
        path: &str,
        headers: &[(http::HeaderName, HeaderValue)],
        body: Bytes,
    ) -> Result<Response<Bytes>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("dapr-api-token", &self.token);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|e| Error::Transport {
            call,
            source: TransportError::Failed(e.to_string()),
        })?;
        self.transport
            .send(request, self.limit)
            .await
            .map_err(|source| Error::Transport { call, source })
    }

    /// Sends a call with a JSON body and hands on a successful answer.
    async fn post_json(
        &self,
        call: &'static str,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Bytes>, Error> {
        let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        checked(
            call,
            self.send(call, Method::POST, path, &json, body).await?,
        )
    }
}

/// Turns an answer that is no success into an error.
fn checked(call: &'static str, response: Response<Bytes>) -> Result<Response<Bytes>, Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Body {
        #[serde(rename = "errorCode")]
        code: String,
        message: String,
    }
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body: Body = serde_json::from_slice(response.body()).unwrap_or_default();
    Err(Error::Refused {
        call,
        status,
        code: body.code,
        message: body.message,
    })
}

fn parse<'a, V: Deserialize<'a>>(call: &'static str, body: &'a [u8]) -> Result<V, Error> {
    serde_json::from_slice(body).map_err(|e| Error::Malformed {
        call,
        detail: e.to_string(),
    })
}

fn encode<V: serde::Serialize>(call: &'static str, value: &V) -> Result<Bytes, Error> {
    serde_json::to_vec(value)
        .map(Bytes::from)
        .map_err(|e| Error::Malformed {
            call,
            detail: e.to_string(),
        })
}

#[cfg(test)]
mod tests;
