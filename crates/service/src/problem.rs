//! Errors on the wire: `application/problem+json` (RFC 9457) with a code from a closed list.

use axum::response::{IntoResponse, Response};
use docket_domain::{FieldError, FieldErrorCode, Rejection};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Display;

/// What went wrong, for programs. The list is closed: clients may rely on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: the request cannot be read.
    Malformed,
    /// 401: no access token, or one that does not count.
    Unauthorized,
    /// 404: there is no such thing, or it is somebody else's.
    NotFound,
    /// 405: the thing cannot do that.
    MethodNotAllowed,
    /// 409: the change does not fit with what is there.
    Conflict,
    /// 412: the thing is not at the version that If-Match demands.
    PreconditionFailed,
    /// 413: the body is too large.
    TooLarge,
    /// 415: the body is of a type that is not read here.
    UnsupportedMediaType,
    /// 422: values break rules; `errors` says which.
    Invalid,
    /// 500: our fault.
    Internal,
    /// 503: for now; Retry-After says when to try again.
    Unavailable,
}

impl Code {
    fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request cannot be read",
            Self::Unauthorized => "A valid access token is needed",
            Self::NotFound => "There is no such thing",
            Self::MethodNotAllowed => "The method does not fit",
            Self::Conflict => "The change does not fit with what is there",
            Self::PreconditionFailed => "It has changed in the meantime",
            Self::TooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body is of the wrong type",
            Self::Invalid => "Some values break a rule",
            Self::Internal => "Something went wrong here",
            Self::Unavailable => "Not available for the moment",
        }
    }
}

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

    /// The body on the wire.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            r#type: &'static str,
            title: &'static str,
            status: u16,
            code: Code,
            detail: &'a str,
            request_id: &'a str,
            #[serde(skip_serializing_if = "<[_]>::is_empty")]
            errors: &'a [FieldError],
        }
        let body = Body {
            r#type: "about:blank",
            title: self.code.title(),
            status: self.code.status().as_u16(),
            code: self.code,
            detail: &self.detail,
            request_id,
            errors: &self.errors,
        };
        serde_json::to_vec(&body).unwrap_or_default()
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
            Rejection::Full { .. } => Self::new(Code::Conflict, rejection.to_string()),
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
