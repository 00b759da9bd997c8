//! Reading request bodies: bounded, strict, and with errors that point at the value.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use docket_domain::{FieldError, FieldErrorCode};
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::{Code, Problem};

/// The largest JSON body, in bytes.
pub const MAX_JSON: usize = 256 * 1024;

/// A JSON body. Fields that `T` does not have are refused.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !request.headers().get(CONTENT_TYPE).is_none_or(is_json) {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "the body must be application/json",
            ));
        }
        parse(&read(request.into_body(), MAX_JSON).await?).map(Self)
    }
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
pub async fn read(body: Body, limit: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(Problem::new(
            Code::TooLarge,
            format!("the body has more than {limit} bytes"),
        )),
        Err(_) => Err(Problem::new(Code::Malformed, "the body was cut off")),
    }
}

/// Reads JSON.
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
    let value =
        serde_path_to_error::deserialize(serde_ignored::Deserializer::new(&mut json, &mut note))
            .map_err(|error| not_of_type(&error))?;
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
    use serde_json::Value;

    fn problem(body: &[u8]) -> Value {
        serde_json::from_slice(&parse::<TaskInput>(body).unwrap_err().body("r")).unwrap()
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        let deep = format!("{{\"title\":{}", "[".repeat(100_000));
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
            (r#"{"titel": "a"}"#, "/titel", "unknown_field"),
            (r#"{"due": {"a/b~": 1}}"#, "/due/a~1b~0", "unknown_field"),
            (
                r#"{"reminders": [{"at": "x", "of": 1}]}"#,
                "/reminders/0/of",
                "unknown_field",
            ),
            (r#"{"position": 1e999}"#, "", "malformed"),
            ("[]", "", "invalid"),
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
