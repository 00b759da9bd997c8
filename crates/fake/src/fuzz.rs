//! Requests that nobody thought of, for a function's routes.

use axum::Router;
use axum::body::Body;
use docket_fuzz::{near, run, texts};
use ed25519_dalek::SigningKey;
use futures::executor::block_on;
use http::{Method, Request};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::{APP_TOKEN, Fake, send};

/// What stands in queries, paths and bodies of any function.
const WORDS: &[&str] = &[
    "limit=1",
    "limit=",
    "cursor=",
    "&",
    "=",
    "q=",
    "tag=",
    "status=all",
    "sort=-due",
    "since=",
    "0-90tj1f2kwhvp",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"title\"",
    "\"a\"",
    "\"due\":{\"date\":\"2026-12-01\"}",
    "\"task\"",
    "\"operations\":[",
    "\"op\"",
    "\"create\"",
    "\"id\"",
    "\"for\":\"PT10M\"",
    "\"rule\":\"daily\"",
    "\"text\"",
    "null",
    "true",
    "1e99",
    "%00",
    "%ff",
    "%F0%9F%98%80",
    "format=ics",
    "type=task-created",
    "from=2026-11-23",
    "time_zone=",
    "\"time_zone\":\"Asia/Karachi\"",
    "others=true",
    "\"email\":\"ann@example.org\"",
    "\"password\":\"correct horse\"",
    "\"token\"",
    "\"scopes\":[\"chat\"]",
    "\"preferences\"",
    "dkt_ann_",
    "docket_refresh=",
    "https://docket.example.org",
];
/// Queries and bodies as they should be.
const GOOD: &[&str] = &[
    "limit=10&status=all&sort=-due&time_zone=Europe/Berlin&q=milk&tag=a&priority=high",
    "format=todotxt&status=done",
    "task=0-90tj1f2kwhvp&type=task-created&from=2026-11-23&order=oldest",
    "unread=true&limit=200",
    r#"{"title":"a","tags":["b"],"due":{"date":"2026-12-01","time":"10:00"},"recurrence":{"rule":"weekly"}}"#,
    r#"{"operations":[{"op":"create","task":{"title":"a"}},{"op":"complete","id":"0-90tj1f2kwhvp"}]}"#,
    r#"{"text":"Buy milk tomorrow #shop","time_zone":"Asia/Karachi","locale":"en"}"#,
    r#"{"recurrence":{"rule":"FREQ=MONTHLY;BYDAY=-1FR"},"due":{"date":"2026-11-27"},"count":3}"#,
    r#"{"event_id":"e"}"#,
    r#"{"for":"PT10M"}"#,
    r#"{"morning":"08:00","time_zone":"Asia/Karachi","email":null,"quiet":{"from":"22:00","to":"07:00"}}"#,
    r#"{"id":"m-1","at":"2026-11-23T08:00:00Z","account":"ann","signature":"v1=00","operation":{"op":"create"}}"#,
    r#"{"account":"ann","task_id":"0-90tj1f2kwhvp"}"#,
    r#"{"entries":[{"entryId":"1","event":{"id":"e","type":"task-created"}}]}"#,
    r#"{"email":"ann@example.org","password":"correct horse","name":"Ann","locale":"en","time_zone":"Asia/Karachi"}"#,
    r#"{"email":"ben@example.org","password":"correct horse"}"#,
    r#"{"current":"correct horse","new":"another horse"}"#,
    r#"{"name":"Calendar","scopes":["tasks:read","chat"],"expires_in":3600,"changes_per_hour":60}"#,
    r#"{"name":null,"morning":"07:30","preferences":{"theme":{"dark":true,"x":null}}}"#,
    r#"{"email":"ben@example.org","make":true}"#,
    r#"{"token":"dkt_ann_0000000000007_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}"#,
];

/// What is sent to one of the paths.
#[derive(Clone, Debug)]
struct Sent {
    path: &'static str,
    method: Method,
    part: String,
    query: Option<String>,
    body: String,
    headers: Vec<(&'static str, String)>,
}

fn sent(paths: &'static [&'static str]) -> impl Strategy<Value = Sent> {
    const HEADERS: &[&str] = &[
        "content-type",
        "idempotency-key",
        "if-match",
        "x-request-id",
        "content-length",
        "expect",
        "cookie",
        "origin",
        "user-agent",
        "spin-client-addr",
        "x-forwarded-for",
        "__topic",
        "__key",
    ];
    let methods = select(vec![
        Method::GET,
        Method::POST,
        Method::PATCH,
        Method::DELETE,
    ]);
    let headers = prop::collection::vec(
        (
            select(HEADERS),
            texts(WORDS, &["application/json", "\"1\""]),
        ),
        0..3,
    );
    let query = prop::option::of(texts(WORDS, GOOD));
    let of = (
        select(paths),
        methods,
        texts(WORDS, &["0-90tj1f2kwhvp"]),
        query,
        texts(WORDS, GOOD),
        headers,
    );
    of.prop_map(|(path, method, part, query, body, headers)| Sent {
        path,
        method,
        part,
        query,
        body,
        headers,
    })
}

impl Sent {
    /// The request, unless no client could send it.
    fn request(&self, token: &str) -> Option<Request<Body>> {
        let escape =
            |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let (before, after) = self.path.split_once('{').unwrap_or((self.path, ""));
        let after = after.split_once('}').map_or("", |(_, after)| after);
        let part = if self.path.contains('{') {
            escape(&self.part)
        } else {
            String::new()
        };
        let mut uri = format!("{before}{part}{after}");
        if let Some(query) = &self.query {
            // As clients send it: what a URL cannot have is escaped.
            uri.push('?');
            uri.extend(query.chars().map(|c| {
                if c.is_ascii_graphic() && c != '#' {
                    c.to_string()
                } else {
                    escape(&c.to_string())
                }
            }));
        }
        let mut request = Request::builder()
            .method(&self.method)
            .uri(uri)
            .header("authorization", format!("Bearer {token}"))
            .header("dapr-api-token", APP_TOKEN);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(self.body.clone().into()).ok()
    }
}

/// Sends what nobody thought of to the routes of new instances: no answer may be a failure.
pub fn ask_anything(
    what: &str,
    paths: &'static [&'static str],
    instance: impl Fn(&Fake) -> Router,
) {
    run(what, sent(paths), |sent| {
        let fake = Fake::default();
        let Some(request) = sent.request(&fake.token("ann", |_, _, _| {})) else {
            return;
        };
        let (status, answer) = block_on(send(&fake, &instance(&fake), request));
        // 503 may tell that what it needs of others is not there.
        assert!(status < 500 || status == 503, "{status} {answer}");
        block_on(fake.settle());
    });
}

/// Shows tokens that are not quite right: nobody gets in.
pub fn show_wrong_tokens(what: &str, path: &'static str, instance: impl Fn(&Fake) -> Router) {
    const PARTS: &[&str] = &[
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJFZERTQSIsImtpZCI6ImsxIn0",
        "e30",
        ".",
        "..",
        "=",
        "-",
        "_",
        "AAAA",
        "Bearer ",
    ];
    let fake = Fake::default();
    let router = instance(&fake);
    let right = ["ann", "ben"].map(|account| fake.token(account, |_, _, _| {}));
    let [ann, ben] = &right;
    let edit = (
        any::<Index>(),
        prop_oneof![Just(String::new()), texts(PARTS, &["."])],
    );
    let edited = edit.prop_map(|(place, what)| {
        let (before, after) = ann.split_at(place.index(ann.len()));
        let after = after.get(1..).unwrap_or_default();
        format!("{before}{what}{after}")
    });
    // Head, claims and signature, each of one of two tokens.
    let mixed = any::<[bool; 3]>().prop_map(|of_ben| {
        let parts = ann.split('.').zip(ben.split('.')).zip(of_ben);
        let parts = parts.map(|((ann, ben), of_ben)| if of_ben { ben } else { ann });
        parts.collect::<Vec<_>>().join(".")
    });
    let forged = (any::<[u8; 32]>(), any::<bool>()).prop_map(|(seed, names_key)| {
        fake.signed_by(&SigningKey::from_bytes(&seed), "ann", |_, _, key| {
            if !names_key {
                key.clear();
            }
        })
    });
    let inputs = prop_oneof![
        2 => edited,
        3 => near(ann),
        1 => mixed,
        1 => forged,
        1 => texts(PARTS, &["a.b.c"]),
    ];
    run(what, inputs, |token| {
        let request = Request::get(path).header("authorization", format!("Bearer {token}"));
        let Ok(request) = request.body(Body::empty()) else {
            return;
        };
        let (status, _) = block_on(send(&fake, &router, request));
        let is_right = right
            .iter()
            .any(|right| token.trim_matches([' ', '\t']) == right);
        assert_eq!(status != 401, is_right, "{status} for {token:?}");
    });
}
