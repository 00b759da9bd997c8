//! Errors on the wire: `application/problem+json` (RFC 9457) with a code of a closed list.

use docket_domain::FieldError;
use http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What went wrong, for programs. The list is closed: clients may rely on it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// 400: the request cannot be read.
    Malformed,
    /// 401: no access token, or one that does not count.
    Unauthorized,
    /// 403: known, but not allowed to do that.
    Forbidden,
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
    /// 422: the Idempotency-Key was used for another request.
    IdempotencyKeyReused,
    /// 429: too many of them; Retry-After says when to try again.
    TooManyRequests,
    /// 500: our fault.
    Internal,
    /// 503: for now; Retry-After says when to try again.
    Unavailable,
    /// 504: the answer took too long; the host says so in the function's stead.
    Timeout,
}

impl Code {
    /// The HTTP status that goes with it.
    pub fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict => StatusCode::CONFLICT,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Invalid | Self::IdempotencyKeyReused => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// What it is, in words for a person; the same for every problem of the code.
    pub fn title(self) -> &'static str {
        match self {
            Self::Malformed => "The request cannot be read",
            Self::Unauthorized => "A valid access token is needed",
            Self::Forbidden => "That is not allowed",
            Self::NotFound => "There is no such thing",
            Self::MethodNotAllowed => "The method does not fit",
            Self::Conflict => "The change does not fit with what is there",
            Self::PreconditionFailed => "It has changed in the meantime",
            Self::TooLarge => "The body is too large",
            Self::UnsupportedMediaType => "The body is of the wrong type",
            Self::Invalid => "Some values break a rule",
            Self::IdempotencyKeyReused => "The key was used for another request",
            Self::TooManyRequests => "Too many requests",
            Self::Internal => "Something went wrong here",
            Self::Unavailable => "Not available for the moment",
            Self::Timeout => "It took too long",
        }
    }
}

/// The body of every error.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Problem<'a> {
    /// `about:blank`: the code says more than an address could.
    #[schemars(extend("const" = "about:blank"))]
    pub r#type: &'static str,
    /// What kind of problem it is, for a person.
    pub title: &'static str,
    /// The HTTP status again.
    pub status: u16,
    /// What kind of problem it is, for a program.
    pub code: Code,
    /// What went wrong this time, for a person.
    pub detail: &'a str,
    /// What finds the request in the log; the header `X-Request-Id` has it too.
    pub request_id: &'a str,
    /// The values that break rules, when the code is `invalid`; the fields that something newer has changed, when it is
    /// `conflict`.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub errors: &'a [FieldError],
}

impl<'a> Problem<'a> {
    /// The body of a problem of `code`.
    pub fn new(code: Code, detail: &'a str, request_id: &'a str, errors: &'a [FieldError]) -> Self {
        Self {
            r#type: "about:blank",
            title: code.title(),
            status: code.status().as_u16(),
            code,
            detail,
            request_id,
            errors,
        }
    }
}
