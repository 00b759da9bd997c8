//! Reading request bodies: bounded, strict, and with errors that point at the value.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use docket_domain::{FieldError, FieldErrorCode};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::strict::Strict;
use crate::{Code, Problem};

/// The largest JSON body, in bytes.
pub const MAX_JSON: usize = 256 * 1024;
/// So much of a body that is too large is taken off the wire all the same: many clients look for an answer only when
/// they have sent everything, and find a closed connection instead of a 413.
const MAX_UNREAD: usize = 16 * 1024 * 1024;

/// A JSON body. Fields that `T` does not have are refused.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        parse(&read_json(request, MAX_JSON).await?).map(Self)
    }
}

/// Reads a body of at most `limit` bytes that is said to be JSON, or not said to be anything; [`parse`] reads its text.
///
/// # Errors
/// `unsupported_media_type`, and those of [`read`].
pub async fn read_json(request: Request, limit: usize) -> Result<Bytes, Problem> {
    if !request.headers().get(CONTENT_TYPE).is_none_or(is_json) {
        return Err(Problem::new(
            Code::UnsupportedMediaType,
            "the body must be application/json",
        ));
    }
    read(request.into_body(), limit).await
}

fn is_json(value: &http::HeaderValue) -> bool {
    let Ok(value) = value.to_str() else {
        return false;
    };
    let essence = value
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// `too_large` when it is longer, `malformed` when it is cut off.
pub async fn read(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let (mut read, mut length) = (Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::Malformed, "the body was cut off"))?;
        let chunk = frame.into_data().unwrap_or_default();
        length = length.saturating_add(chunk.len());
        if length <= limit {
            read.extend_from_slice(&chunk);
        } else if length > limit.saturating_add(MAX_UNREAD) {
            break;
        }
    }
    if length <= limit {
        Ok(read.into())
    } else {
        Err(too_large(limit))
    }
}

/// Reads a body of at most `limit` bytes, as [`read`] does. One that is announced as longer is refused before it is sent,
/// if the client waits for that (`Expect: 100-continue`), or if it is so long that sending it is hopeless.
///
/// # Errors
/// As [`read`].
pub async fn read_announced(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Bytes, Problem> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(0);
    if announced > limit.saturating_add(MAX_UNREAD)
        || (announced > limit && headers.contains_key(EXPECT))
    {
        return Err(too_large(limit));
    }
    read(body, limit).await
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("the body has more than {limit} bytes"),
    )
}

/// Reads JSON; a struct is an object, on every level.
///
/// # Errors
/// `malformed` for what is not JSON (or nested more than 128 deep), `invalid` with pointers for what is not of the
/// type.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut unknown = Vec::new();
    let mut note = |path: serde_ignored::Path<'_>| {
        let mut pointer = String::new();
        write_ignored(&path, &mut pointer);
        unknown.push(FieldError {
            pointer,
            code: FieldErrorCode::UnknownField,
            detail: "there is no such field, or it cannot be set".to_owned(),
        });
    };
    let mut json = serde_json::Deserializer::from_slice(body);
    let strict = serde_ignored::Deserializer::new(Strict(&mut json), &mut note);
    let value = serde_path_to_error::deserialize(strict).map_err(|error| not_of_type(&error))?;
    json.end()
        .map_err(|error| Problem::new(Code::Malformed, format!("not JSON: {error}")))?;
    unknown.truncate(32);
    if unknown.is_empty() {
        Ok(value)
    } else {
        Err(Problem::fields(unknown))
    }
}

fn not_of_type(error: &serde_path_to_error::Error<serde_json::Error>) -> Problem {
    use serde_path_to_error::Segment;
    if error.inner().classify() != Category::Data {
        return Problem::new(Code::Malformed, format!("not JSON: {}", error.inner()));
    }
    let mut pointer = String::new();
    for segment in error.path() {
        match segment {
            Segment::Seq { index } => push(&mut pointer, &index.to_string()),
            Segment::Map { key } => push(&mut pointer, key),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    Problem::field(&pointer, FieldErrorCode::Invalid, error.inner().to_string())
}

fn write_ignored(path: &serde_ignored::Path<'_>, pointer: &mut String) {
    use serde_ignored::Path;
    match path {
        Path::Root => {}
        Path::Seq { parent, index } => {
            write_ignored(parent, pointer);
            push(pointer, &index.to_string());
        }
        Path::Map { parent, key } => {
            write_ignored(parent, pointer);
            push(pointer, key);
        }
        Path::Some { parent }
        | Path::NewtypeStruct { parent }
        | Path::NewtypeVariant { parent } => {
            write_ignored(parent, pointer);
        }
    }
}

/// Appends a reference token, escaped as RFC 6901 has it.
fn push(pointer: &mut String, token: &str) {
    pointer.push('/');
    pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use docket_domain::TaskInput;
    use futures::StreamExt as _;
    use futures::executor::block_on;
    use serde_json::Value;

    fn problem(body: &[u8]) -> Value {
        serde_json::from_slice(&parse::<TaskInput>(body).unwrap_err().body("r")).unwrap()
    }

    #[test]
    fn a_body_that_is_too_large_is_taken_off_the_wire_within_reason() {
        use std::convert::Infallible;
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

        const CHUNK: usize = 64 * 1024;
        let sent = |chunks: usize, limit: usize| {
            let taken = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&taken);
            let stream = futures::stream::iter(0..chunks).map(move |_| {
                count.fetch_add(CHUNK, Relaxed);
                Ok::<_, Infallible>(vec![b'a'; CHUNK])
            });
            let outcome = block_on(read(Body::from_stream(stream), limit));
            let outcome = outcome.map(|body| body.len()).map_err(|p| p.code());
            (outcome, taken.load(Relaxed))
        };
        assert_eq!(sent(4, MAX_JSON), (Ok(MAX_JSON), MAX_JSON));
        assert_eq!(
            sent(32, MAX_JSON),
            (Err(Code::TooLarge), 32 * CHUNK),
            "all of it is read"
        );
        let (outcome, taken) = sent(100_000, MAX_JSON);
        assert_eq!(outcome, Err(Code::TooLarge));
        assert!(taken <= MAX_JSON + MAX_UNREAD + 2 * CHUNK, "{taken}");
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        for body in [
            &b""[..],
            b"{",
            b"{}x",
            b"{\"title\": \"\xff\"}",
            b"nul",
            deep.as_bytes(),
        ] {
            assert_eq!(
                problem(body)["code"],
                "malformed",
                "{:?}",
                String::from_utf8_lossy(&body[..body.len().min(40)])
            );
        }
    }

    #[test]
    fn what_is_not_of_the_type_is_pointed_at() {
        for (body, pointer, code) in [
            (r#"{"title": 1}"#, "/title", "invalid"),
            (r#"{"tags": ["a", 2]}"#, "/tags/1", "invalid"),
            (r#"{"due": {"date": []}}"#, "/due/date", "invalid"),
            (r#"{"due": ["2026-12-01"]}"#, "/due", "invalid"),
            (
                r#"{"reminders": [{"before": "PT1H"}, ["r"]]}"#,
                "/reminders/1",
                "invalid",
            ),
            (
                r#"{"recurrence": ["daily", "due"]}"#,
                "/recurrence",
                "invalid",
            ),
            (r#"{"titel": "a"}"#, "/titel", "unknown_field"),
            (r#"{"due": {"a/b~": 1}}"#, "/due/a~1b~0", "unknown_field"),
            (
                r#"{"reminders": [{"at": "x", "of": 1}]}"#,
                "/reminders/0/of",
                "unknown_field",
            ),
            (r#"{"position": 1e999}"#, "", "malformed"),
            ("[]", "", "invalid"),
            (r#"["a title"]"#, "", "invalid"),
            ("7", "", "invalid"),
        ] {
            let problem = problem(body.as_bytes());
            if code == "malformed" {
                assert_eq!(problem["code"], code, "{body}");
                continue;
            }
            assert_eq!(
                (&problem["code"], &problem["status"]),
                (&"invalid".into(), &422.into()),
                "{body}"
            );
            assert_eq!(problem["errors"][0]["pointer"], pointer, "{body}");
            assert_eq!(problem["errors"][0]["code"], code, "{body}");
        }
    }
}
