//! The outermost layer of a function: request ids, the bodies of problems, and the log.

use axum::Router;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use axum::routing::MethodRouter;
use bytes::Bytes;
use docket_domain::base32;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue, Request};
use serde_json::json;
use tower_service::Service as _;

use crate::{Code, Problem, Runtime};

/// The header of a request's id.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers a request. Every error leaves as a problem with the request's id, which the log has too.
pub async fn serve<R, B>(runtime: &R, mut router: Router, request: Request<B>) -> Response
where
    R: Runtime,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let request_id = request_id(runtime, &request);
    let mut response = match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        if let Some(cause) = problem.cause() {
            log("error", &request_id, problem.code(), cause);
        }
        let body = problem.body(&request_id);
        response
            .headers_mut()
            .insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        *response.body_mut() = Body::from(body);
    }
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// The routes of a function: each path with its methods, and answers to what it does not have.
pub fn routes<S: Clone + Send + Sync + 'static>(
    table: impl IntoIterator<Item = (&'static str, MethodRouter<S>)>,
) -> Router<S> {
    table
        .into_iter()
        .fold(Router::new(), |router, (path, methods)| {
            router.route(path, methods)
        })
        .fallback(|| async {
            Problem::new(Code::NotFound, "there is nothing at this path").into_response()
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(Code::MethodNotAllowed, "the path does not take this method")
                .into_response()
        })
}

/// The id that the host gave the request, or a new one.
fn request_id<R: Runtime, B>(runtime: &R, request: &Request<B>) -> String {
    let given = request
        .headers()
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            (1..=64).contains(&id.len())
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        });
    match given {
        Some(id) => id.to_owned(),
        None => base32::encode(runtime.entropy().0 as u64, 13),
    }
}

/// Writes a line of JSON to the log. Never anything that a client must keep secret.
pub fn log(level: &str, request_id: &str, code: Code, message: &str) {
    eprintln!(
        "{}",
        json!({ "level": level, "request_id": request_id, "code": code, "message": message })
    );
}

/// Writes a line about work that no request waits for.
pub fn log_background(level: &str, message: &str) {
    eprintln!("{}", json!({ "level": level, "message": message }));
}
