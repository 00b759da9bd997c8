//! How a function refuses: a problem with what the client reads and what only the log keeps.

use axum::response::{IntoResponse, Response};
use docket_api::problem;
pub use docket_api::problem::Code;
use docket_domain::{FieldError, FieldErrorCode, Rejection};
use http::{HeaderValue, header};
use std::borrow::Cow;
use std::fmt::Display;

/// An error that is answered. What the client reads and what only the log keeps are apart.
#[derive(Clone, Debug)]
pub struct Problem {
    code: Code,
    detail: Cow<'static, str>,
    errors: Vec<FieldError>,
    retry_after: Option<u32>,
    cause: Option<String>,
}

impl Problem {
    /// A problem with words for the client.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// One value of the body or the query that breaks a rule; `pointer` as in RFC 6901.
    pub fn field(pointer: &str, code: FieldErrorCode, detail: impl Into<String>) -> Self {
        Self::fields(vec![FieldError {
            pointer: pointer.to_owned(),
            code,
            detail: detail.into(),
        }])
    }

    /// Values that break rules.
    pub fn fields(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(Code::Invalid, "see errors")
        }
    }

    /// Something that is needed is away for the moment; `cause` is for the log.
    pub fn unavailable(retry_after: u32, cause: impl Display) -> Self {
        Self {
            retry_after: Some(retry_after),
            cause: Some(cause.to_string()),
            ..Self::new(Code::Unavailable, "please try again soon")
        }
    }

    /// It was asked for too often; in `retry_after` seconds it may be asked for again.
    pub fn too_many(retry_after: u32, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..Self::new(Code::TooManyRequests, detail)
        }
    }

    /// Something that must not happen did; `cause` is for the log.
    pub fn internal(cause: impl Display) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..Self::new(Code::Internal, "the request id finds the reason in the log")
        }
    }

    /// The same problem with other words for the client.
    pub fn with_detail(self, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            detail: detail.into(),
            ..self
        }
    }

    /// What kind of problem it is.
    pub fn code(&self) -> Code {
        self.code
    }

    /// What the log is to keep, beside what the client reads.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The same problem with a value that is part of a larger one, which stands at `pointer`.
    pub fn within(mut self, pointer: &str) -> Self {
        for error in &mut self.errors {
            error.pointer.insert_str(0, pointer);
        }
        self
    }

    /// What the client reads of it.
    pub fn view<'a>(&'a self, request_id: &'a str) -> problem::Problem<'a> {
        problem::Problem::new(self.code, &self.detail, request_id, &self.errors)
    }

    /// What the client reads of it, in one line.
    pub fn line(&self) -> String {
        let errors = self.errors.iter();
        let errors: Vec<String> = errors
            .map(|error| format!("{}: {}", error.pointer, error.detail))
            .collect();
        if errors.is_empty() {
            self.detail.clone().into_owned()
        } else {
            errors.join("; ")
        }
    }

    /// The body on the wire.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        serde_json::to_vec(&self.view(request_id)).unwrap_or_default()
    }
}

impl From<Rejection> for Problem {
    fn from(rejection: Rejection) -> Self {
        match rejection {
            Rejection::NotFound => Self::new(Code::NotFound, "there is no such task"),
            Rejection::Stale { current } => Self::new(
                Code::PreconditionFailed,
                format!("the task is at version {current}"),
            ),
            Rejection::Invalid(errors) => Self::fields(errors),
            Rejection::Conflict(errors) => Self {
                errors,
                ..Self::new(Code::Conflict, "something newer has changed it: see errors")
            },
            Rejection::Full { .. } => Self::new(Code::Conflict, rejection.to_string()),
            Rejection::TooMany { seconds, .. } => Self::too_many(seconds, rejection.to_string()),
            Rejection::Gone => Self::new(Code::Unauthorized, rejection.to_string()),
        }
    }
}

impl IntoResponse for Problem {
    /// The status and headers; [`crate::serve`] writes the body, since it knows the request's id.
    fn into_response(self) -> Response {
        let mut response = self.code.status().into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
