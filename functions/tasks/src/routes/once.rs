//! `Idempotency-Key`: a request that is sent again gets the answer of the first time.

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use docket_domain::idempotency::{MAX_KEY, Once};
use docket_service::{Caller, Code, Problem, body};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::{Deserialize, Serialize};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// An answer that can be kept and given again.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Answered {
    /// The HTTP status.
    status: u16,
    /// The header `Location`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// The header `ETag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// The body, as text: kept as JSON, its fields could come back in another order.
    body: String,
}

impl Answered {
    /// 200 with a JSON body.
    pub(super) fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self {
            status: StatusCode::OK.as_u16(),
            location: None,
            etag: None,
            body: serde_json::to_string(body).map_err(Problem::internal)?,
        })
    }

    /// The body.
    pub(super) fn into_body(self) -> String {
        self.body
    }

    /// 201 with a JSON body, where the new thing is, and its version.
    pub(super) fn created(
        body: &impl Serialize,
        location: String,
        version: u64,
    ) -> Result<Self, Problem> {
        Ok(Self {
            status: StatusCode::CREATED.as_u16(),
            location: Some(location),
            etag: Some(format!("\"{version}\"")),
            ..Self::ok(body)?
        })
    }
}

impl IntoResponse for Answered {
    fn into_response(self) -> Response {
        let mut response = self.body.into_response();
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        for (name, value) in [(header::LOCATION, self.location), (header::ETAG, self.etag)] {
            if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// Reads a JSON body, and whether the request is to count once.
pub(super) async fn read(
    caller: &Caller,
    request: Request,
    limit: usize,
) -> Result<(Option<Once>, Bytes), Problem> {
    let (parts, sent) = request.into_parts();
    let key = key(&parts.headers)?;
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let text = body::read_json(Request::from_parts(parts, sent), limit).await?;
    let once = match key {
        None => None,
        Some(key) => Some(
            Once::new(
                &caller.account,
                key.as_bytes(),
                method.as_str(),
                &path,
                &text,
            )
            .ok_or_else(bad_key)?,
        ),
    };
    Ok((once, text))
}

fn key(headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
    let mut keys = headers.get_all(IDEMPOTENCY_KEY).iter();
    match (keys.next(), keys.next()) {
        (key, None) => Ok(key.cloned()),
        (_, Some(_)) => Err(bad_key()),
    }
}

fn bad_key() -> Problem {
    let detail = format!("an Idempotency-Key is 1 to {MAX_KEY} visible ASCII characters");
    Problem::new(Code::Malformed, detail)
}
