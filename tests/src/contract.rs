//! The public contract, `docs/openapi.json`: every answer that a test gets is held to it, and every request that is
//! answered well.

use anyhow::{Context as _, Result, bail, ensure};
use boon::{CompileError, Compiler, Draft, SchemaIndex, Schemas};
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::Answer;

/// What the schemas call the document.
const NAME: &str = "docket:/openapi.json";

static DOCUMENT: LazyLock<Result<Document, String>> =
    LazyLock::new(|| Document::read().map_err(|error| format!("docs/openapi.json: {error:#}")));

static IS_IN_FORCE: AtomicBool = AtomicBool::new(false);

/// From now on every answer is held to the contract. A program that measures how fast answers come does without.
pub fn enforce() {
    IS_IN_FORCE.store(true, Ordering::Relaxed);
}

/// Whether [`enforce`] was called.
#[must_use]
pub fn is_in_force() -> bool {
    IS_IN_FORCE.load(Ordering::Relaxed)
}

/// A request as it was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub url: reqwest::Url,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, unless it is a stream.
    pub body: Option<Vec<u8>>,
}

/// What stands beside every answer, for browsers.
const BESIDE: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-resource-policy", "same-origin"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
];

/// Checks an answer, and its request if it was answered well. What is not below `/api/` has no contract; whether a site
/// may ask is no operation.
///
/// # Errors
/// What the document does not promise.
pub fn check(sent: &Sent, answer: &Answer) -> Result<()> {
    if !sent.url.path().starts_with("/api/") {
        return Ok(());
    }
    for (name, value) in BESIDE {
        let told = answer.header(name);
        ensure!(told == Some(value), "{}: {name} is {told:?}", sent.url);
    }
    if [Method::HEAD, Method::OPTIONS].contains(&sent.method) {
        return Ok(());
    }
    let document = DOCUMENT.as_ref().map_err(|e| anyhow::anyhow!(e.clone()))?;
    document
        .check(sent, answer)
        .with_context(|| format!("off the contract: {} {}: {answer}", sent.method, sent.url))
}

struct Document {
    json: Value,
    schemas: Schemas,
    /// The schemas of what is sent, by their places (RFC 6901).
    places: HashMap<String, SchemaIndex>,
}

/// A part of the document.
#[derive(Clone)]
struct Part<'a> {
    place: String,
    json: &'a Value,
}

impl<'a> Part<'a> {
    fn get(&self, name: &str) -> Option<Self> {
        let json = match self.json {
            Value::Array(items) => items.get(name.parse::<usize>().ok()?)?,
            json => json.get(name)?,
        };
        let name = name.replace('~', "~0").replace('/', "~1");
        let place = format!("{}/{name}", self.place);
        Some(Self { place, json })
    }

    /// Part of a part of a part.
    fn at(&self, names: &[&str]) -> Option<Self> {
        names
            .iter()
            .try_fold(self.clone(), |part, name| part.get(name))
    }

    fn parts(&self) -> Vec<(String, Self)> {
        let names: Vec<String> = match self.json {
            Value::Object(fields) => fields.keys().cloned().collect(),
            Value::Array(items) => (0..items.len()).map(|i| i.to_string()).collect(),
            _ => Vec::new(),
        };
        let part = |name: String| Some((name.clone(), self.get(&name)?));
        names.into_iter().filter_map(part).collect()
    }

    /// Every schema that is the value of a field `schema`, and that of its items.
    fn schemas(&self, found: &mut Vec<String>) {
        for (name, part) in self.parts() {
            if name == "schema" {
                found.extend(part.get("items").map(|items| items.place));
                found.push(part.place);
            } else {
                part.schemas(found);
            }
        }
    }
}

impl Document {
    fn read() -> Result<Self> {
        let mut json: Value = serde_json::from_str(include_str!("../../docs/openapi.json"))?;
        // A client has to put up with new fields; here one that is not documented is a mistake.
        let schemas = json.pointer_mut("/components/schemas");
        let schemas = schemas.and_then(Value::as_object_mut);
        for schema in schemas.context("no schemas")?.values_mut() {
            if let Some(schema) = schema.as_object_mut()
                && schema.contains_key("properties")
                && !schema.contains_key("additionalProperties")
            {
                schema.insert("unevaluatedProperties".to_owned(), false.into());
            }
        }
        let mut compiler = Compiler::new();
        compiler.set_default_draft(Draft::V2020_12);
        compiler.enable_format_assertions();
        let told = |error: CompileError| anyhow::anyhow!("{error:#}");
        compiler.add_resource(NAME, json.clone()).map_err(told)?;
        let mut found = Vec::new();
        Part {
            place: String::new(),
            json: &json,
        }
        .schemas(&mut found);
        let (mut schemas, mut places) = (Schemas::new(), HashMap::new());
        for place in found {
            let index = compiler
                .compile(&format!("{NAME}#{place}"), &mut schemas)
                .map_err(told)?;
            places.insert(place, index);
        }
        Ok(Self {
            json,
            schemas,
            places,
        })
    }

    fn root(&self) -> Part<'_> {
        Part {
            place: String::new(),
            json: &self.json,
        }
    }

    fn check(&self, sent: &Sent, answer: &Answer) -> Result<()> {
        let Some(path) = self.path(sent.url.path()) else {
            ensure!(answer.status == 404, "the document has no such path");
            return Ok(());
        };
        let Some(operation) = path.get(&sent.method.as_str().to_lowercase()) else {
            ensure!(answer.status == 405, "the document has no such method");
            return Ok(());
        };
        let status = answer.status.to_string();
        let promised = operation
            .at(&["responses", &status])
            .context("the status is not documented")?;
        self.check_headers(&promised, answer)?;
        self.check_content(&promised, answer)?;
        if (200..300).contains(&answer.status) {
            self.check_parameters(&operation, sent)?;
            self.check_body(&operation, sent)?;
        }
        Ok(())
    }

    /// The path's template, the one with the fewest parameters if several fit.
    fn path(&self, path: &str) -> Option<Part<'_>> {
        let fits = |template: &str| {
            let (mut wanted, mut given) = (template.split('/'), path.split('/'));
            loop {
                match (wanted.next(), given.next()) {
                    (None, None) => return true,
                    (Some(wanted), Some(given)) if wanted == given => {}
                    (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {
                    }
                    _ => return false,
                }
            }
        };
        let templates = self.root().get("paths")?.parts().into_iter();
        templates
            .filter(|(template, _)| fits(template))
            .min_by_key(|(template, _)| template.matches('{').count())
            .map(|(_, methods)| methods)
    }

    fn check_headers(&self, promised: &Part<'_>, answer: &Answer) -> Result<()> {
        let all = self.root().at(&["components", "headers"]);
        for (name, header) in all.context("no headers")?.parts() {
            let is_promised = promised.at(&["headers", &name]).is_some();
            let value = answer.header(&name);
            ensure!(
                value.is_some() == is_promised,
                "the header {name} is {value:?}, documented: {is_promised}"
            );
            if let Some(value) = value {
                let schema = header.get("schema").context("no schema")?;
                self.validate(&schema, &typed(&schema, value))?;
            }
        }
        Ok(())
    }

    fn check_content(&self, promised: &Part<'_>, answer: &Answer) -> Result<()> {
        let Some(content) = promised.get("content") else {
            ensure!(answer.body.is_empty(), "a body that is not documented");
            return Ok(());
        };
        let media_type = essence(answer.header("content-type").unwrap_or_default());
        let schema = content
            .at(&[&media_type, "schema"])
            .with_context(|| format!("the content type {media_type:?} is not documented"))?;
        if media_type.ends_with("json") {
            self.validate(&schema, &serde_json::from_slice(&answer.body)?)?;
        }
        Ok(())
    }

    fn check_parameters(&self, operation: &Part<'_>, sent: &Sent) -> Result<()> {
        let documented = operation.get("parameters");
        let documented = documented.map(|all| all.parts()).unwrap_or_default();
        for (given, value) in sent.url.query_pairs() {
            let (_, known) = documented
                .iter()
                .find(|(_, one)| {
                    one.json.get("in") == Some(&json!("query"))
                        && one.json.get("name") == Some(&json!(given))
                })
                .with_context(|| format!("the parameter {given} is not documented"))?;
            let schema = known.get("schema").context("no schema")?;
            // A list's elements come one by one, or with commas.
            let (schema, values) = match schema.get("items") {
                Some(items) => (items, value.split(',').collect()),
                // An empty one counts as if it was not there.
                None if value.is_empty() => continue,
                None => (schema, vec![&*value]),
            };
            for value in values {
                self.validate(&schema, &typed(&schema, value))?;
            }
        }
        Ok(())
    }

    fn check_body(&self, operation: &Part<'_>, sent: &Sent) -> Result<()> {
        let body = sent.body.as_deref().unwrap_or_default();
        let content = operation.at(&["requestBody", "content"]);
        if body.is_empty() || content.as_ref().is_some_and(|all| all.get("*/*").is_some()) {
            return Ok(());
        }
        let media_type = match sent.headers.get("content-type") {
            Some(value) => essence(value.to_str()?),
            None => "application/json".to_owned(),
        };
        let schema = content
            .and_then(|content| content.at(&[&media_type, "schema"]))
            .with_context(|| format!("a body of the type {media_type:?} is not documented"))?;
        self.validate(&schema, &serde_json::from_slice(body)?)
    }

    fn validate(&self, schema: &Part<'_>, value: &Value) -> Result<()> {
        let Some(index) = self.places.get(&schema.place) else {
            bail!("no schema at {}", schema.place);
        };
        self.schemas
            .validate(value, *index)
            .map_err(|error| anyhow::anyhow!("{error}"))
    }
}

/// A parameter's or header's text as the type that its schema wants.
fn typed(schema: &Part<'_>, text: &str) -> Value {
    match schema.json.get("type").and_then(Value::as_str) {
        Some("integer" | "number" | "boolean") => {
            serde_json::from_str(text).unwrap_or_else(|_| text.into())
        }
        _ => text.into(),
    }
}

/// A media type without its parameters.
fn essence(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn checked(line: &str, sent: &str, status: u16, headers: &[&str], body: &str) -> Result<()> {
        let (method, path) = line.split_once(' ').unwrap();
        let mut answer = Answer {
            status,
            headers: HeaderMap::new(),
            body: body.into(),
        };
        let beside = BESIDE.iter().copied();
        let headers = headers
            .iter()
            .map(|header| header.split_once(": ").unwrap());
        for (name, value) in headers.chain(beside).chain([("x-request-id", "r")]) {
            answer.headers.insert(
                HeaderName::try_from(name).unwrap(),
                HeaderValue::try_from(value).unwrap(),
            );
        }
        let sent = Sent {
            method: method.parse().unwrap(),
            url: format!("http://x{path}").parse().unwrap(),
            headers: HeaderMap::new(),
            body: Some(sent.into()),
        };
        check(&sent, &answer)
    }

    #[test]
    fn what_the_document_does_not_promise_is_told() {
        const TASK: &str = r#"{"id":"0-1","title":"a","description":"","status":"open","priority":"low","tags":[],
            "due":{"date":"2026-12-01"},"due_at":null,"reminders":[{"id":"r","before":"PT1H"}],"recurrence":null,
            "parent_id":null,"position":1,"created_at":"2026-11-23T08:00:00.000Z","updated_at":"2026-11-23T08:00:00.000Z",
            "completed_at":null,"version":1}"#;
        const PROBLEM: &str = r#"{"type":"about:blank","title":"t","status":404,"code":"not_found","detail":"d",
            "request_id":"r"}"#;
        const JSON: &str = "content-type: application/json";
        const PROBLEM_JSON: &str = "content-type: application/problem+json";
        let etag = "etag: \"1\"";
        let with = |from: &str, to: &str| {
            assert!(TASK.contains(from));
            TASK.replacen(from, to, 1)
        };
        let unknown = with("{", r#"{"more":1,"#);
        let missing = with(r#""tags":[],"#, "");
        let formless = with("2026-12-01", "2026-13-01");
        let both = with(r#""before":"PT1H""#, r#""before":"PT1H","after":1"#);
        let page = format!(r#"{{"tasks":[{TASK}],"next_cursor":null,"total":1}}"#);
        /// The request, its body, the answer's status, headers and body, and whether all that is as promised.
        type Case<'a> = (&'a str, &'a str, u16, &'a [&'a str], &'a str, bool);
        let cases: [Case<'_>; 24] = [
            ("GET /api/tasks/0-1", "", 200, &[JSON, etag], TASK, true),
            ("GET /api/tasks/0-1", "", 200, &[JSON], TASK, false),
            (
                "GET /api/tasks/0-1",
                "",
                200,
                &[JSON, "etag: 1"],
                TASK,
                false,
            ),
            (
                "GET /api/tasks/0-1",
                "",
                200,
                &[JSON, etag, "retry-after: 1"],
                TASK,
                false,
            ),
            (
                "GET /api/tasks/0-1",
                "",
                200,
                &["content-type: text/plain", etag],
                TASK,
                false,
            ),
            (
                "GET /api/tasks/0-1",
                "",
                200,
                &[JSON, etag],
                &unknown,
                false,
            ),
            (
                "GET /api/tasks/0-1",
                "",
                200,
                &[JSON, etag],
                &missing,
                false,
            ),
            (
                "GET /api/tasks/0-1",
                "",
                200,
                &[JSON, etag],
                &formless,
                false,
            ),
            ("GET /api/tasks/0-1", "", 200, &[JSON, etag], &both, false),
            ("GET /api/tasks/0-1", "", 203, &[JSON, etag], TASK, false),
            (
                "GET /api/tasks/0-1",
                "",
                404,
                &[PROBLEM_JSON],
                PROBLEM,
                true,
            ),
            (
                "DELETE /api/tasks/0-1",
                "",
                412,
                &[PROBLEM_JSON],
                PROBLEM,
                false,
            ),
            ("DELETE /api/tasks/0-1", "", 204, &[], "", true),
            ("DELETE /api/tasks/0-1", "", 204, &[], "{}", false),
            (
                "PUT /api/tasks/0-1",
                "",
                405,
                &[PROBLEM_JSON],
                PROBLEM,
                true,
            ),
            ("PUT /api/tasks/0-1", "", 200, &[JSON, etag], TASK, false),
            ("GET /api/nothing", "", 404, &[PROBLEM_JSON], PROBLEM, true),
            ("GET /api/nothing", "", 200, &[], "", false),
            (
                "GET /api/tasks?limit=7&tag=a&tag=b",
                "",
                200,
                &[JSON],
                &page,
                true,
            ),
            ("GET /api/tasks?limit=many", "", 200, &[JSON], &page, false),
            ("GET /api/tasks?page=2", "", 200, &[JSON], &page, false),
            (
                "PATCH /api/tasks/0-1",
                r#"{"due":null}"#,
                200,
                &[JSON, etag],
                TASK,
                true,
            ),
            (
                "PATCH /api/tasks/0-1",
                r#"{"deu":null}"#,
                200,
                &[JSON, etag],
                TASK,
                false,
            ),
            ("PATCH /internal/x", "", 299, &[], "any", true),
        ];
        for (line, sent, status, headers, body, fits) in cases {
            let outcome = checked(line, sent, status, headers, body);
            assert_eq!(
                outcome.is_ok(),
                fits,
                "{line} {status} {headers:?}: {outcome:?}"
            );
        }
    }
}
