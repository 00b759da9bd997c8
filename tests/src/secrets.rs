//! What must stand in no log: the tests note what they send and get that is secret, and each stack's logs are read for
//! it at its end, and for all that looks like it.

use aho_corasick::AhoCorasick;
use anyhow::{Context as _, Result, ensure};
use docket_cli::layout::DataDir;
use http::HeaderMap;
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shorter ones are words that may stand anywhere; no secret of Docket's is that short.
const SHORTEST: usize = 10;
/// The fields whose values are secrets, wherever they stand in a body.
const FIELDS: [&str; 9] = [
    "access_token",
    "current",
    "email",
    "key",
    "new",
    "password",
    "secret",
    "signature",
    "token",
];

static KNOWN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

fn known() -> MutexGuard<'static, BTreeSet<String>> {
    KNOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a secret.
pub fn note(secret: &str) {
    if secret.len() >= SHORTEST {
        known().insert(secret.to_owned());
    }
}

/// Notes the tokens in a request's or an answer's headers, and what its body has in fields for secrets.
pub fn note_all(headers: &HeaderMap, body: &[u8]) {
    let texts = |name: http::HeaderName| headers.get_all(name).into_iter();
    for value in texts(AUTHORIZATION) {
        if let Some((_, token)) = value.to_str().ok().and_then(|text| text.split_once(' ')) {
            note(token.trim());
        }
    }
    let shown = texts(COOKIE).filter_map(|header| header.to_str().ok());
    let shown = shown.flat_map(|pairs| pairs.split(';'));
    // What follows the first pair that is set says only how it is kept.
    let set = texts(SET_COOKIE).filter_map(|header| header.to_str().ok()?.split(';').next());
    for pair in shown.chain(set) {
        if let Some((_, value)) = pair.split_once('=') {
            note(value);
        }
    }
    for value in headers.get_all("dapr-api-token") {
        note(value.to_str().unwrap_or_default());
    }
    if let Ok(body) = serde_json::from_slice::<Value>(body) {
        note_fields(&body);
    }
}

fn note_fields(value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(secret) if FIELDS.contains(&name.as_str()) => note(secret),
                    value => note_fields(value),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(note_fields),
        _ => {}
    }
}

/// Notes every text in a stack's file of secrets or of tokens.
///
/// # Errors
/// It cannot be read.
pub fn note_file(file: &Path) -> Result<()> {
    fn leaves(value: &Value) {
        match value {
            Value::String(secret) => note(secret),
            Value::Array(items) => items.iter().for_each(leaves),
            Value::Object(fields) => fields.values().for_each(leaves),
            _ => {}
        }
    }
    let text = std::fs::read(file).with_context(|| file.display().to_string())?;
    leaves(&serde_json::from_slice(&text)?);
    Ok(())
}

/// Reads every log in a folder; gives how many bytes there were.
///
/// # Errors
/// A log tells a secret: the error says where, and of what kind it is.
pub fn check_logs(folder: &Path) -> Result<u64> {
    let secrets: Vec<String> = known().iter().cloned().collect();
    let search = AhoCorasick::new(&secrets)?;
    let mut read = 0;
    for entry in std::fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let bytes = std::fs::read(&path)?;
        read += u64::try_from(bytes.len())?;
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let text = String::from_utf8_lossy(line);
            let told = match search.find(line) {
                Some(_) => Some("a secret that a test used"),
                None => looks_secret(&text),
            };
            ensure!(
                told.is_none(),
                "{}:{}: {} is in the log",
                path.display(),
                index + 1,
                told.unwrap_or_default()
            );
        }
    }
    Ok(read)
}

/// What a line has that looks like what no log should have.
fn looks_secret(line: &str) -> Option<&'static str> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.+".contains(c);
    // The two dots of a JWT after a header, which is JSON in base64url.
    let jwt = |word: &str| word.starts_with("eyJ") && word.matches('.').count() >= 2;
    if line.split(|c: char| !is_word(c)).any(jwt) {
        return Some("an access token");
    }
    if line.contains("$argon2") {
        return Some("a password's hash");
    }
    if line.split(|c: char| !is_word(c)).any(|word| {
        word.strip_prefix("dkt_")
            .is_some_and(|rest| rest.len() > 40)
    }) {
        return Some("an agent's token");
    }
    let address = line.match_indices('@').any(|(place, _)| {
        let (before, after) = line.split_at(place);
        let host: String = after.chars().skip(1).take_while(|c| is_word(*c)).collect();
        let host = host.trim_end_matches('.');
        let top = host.rsplit_once('.').map_or("", |(_, top)| top);
        before.ends_with(is_word) && top.len() >= 2 && top.chars().all(|c| c.is_ascii_alphabetic())
    });
    address.then_some("an e-mail address")
}

/// Notes what a stack's folder has of secrets.
///
/// # Errors
/// A file of them cannot be read.
pub fn note_stack(data: &DataDir) -> Result<()> {
    note_file(&data.secrets_file())?;
    note_file(&data.api_tokens_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(secret: &str, line: &str) -> bool {
        note(secret);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("host.jsonl"), format!("well\n{line}\n")).unwrap();
        check_logs(folder.path()).is_err()
    }

    #[test]
    fn what_a_test_used_is_found() {
        assert!(told(
            "correct horse battery",
            "sign-in with correct horse battery failed"
        ));
        assert!(told("s3cr3t-t0k3n-x", "x=s3cr3t-t0k3n-x;y"));
        assert!(!told("", "an ordinary line"));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, "Bearer abcdefghijkl".parse().unwrap());
        headers.insert(
            SET_COOKIE,
            "docket_refresh=mnopqrstuvwx; Path=/".parse().unwrap(),
        );
        headers.append(COOKIE, "a=b; c=nopqrstuvwxy".parse().unwrap());
        note_all(
            &headers,
            br#"{"user":{"email":"noted@host"},"password":"0123456789"}"#,
        );
        for secret in [
            "abcdefghijkl",
            "mnopqrstuvwx",
            "nopqrstuvwxy",
            "noted@host",
            "0123456789",
        ] {
            assert!(told("", &format!("it was {secret}")), "{secret}");
        }
        assert!(!told("", "Path=/api/auth; Path=/"));
    }

    #[test]
    fn what_looks_like_a_secret_is_found() {
        for (line, found) in [
            ("Bearer eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJhIn0.c2ln", true),
            (r#"{"to":"ann@example.org"}"#, true),
            ("user ann.b+c@mail.example.com.", true),
            ("$argon2id$v=19$m=19456", true),
            ("github.com/dapr/dapr@v1.18.2/pkg/runtime", false),
            ("spiffe://public/ns/default/tasks", false),
            ("@every 5s", false),
            ("a@b", false),
            ("eyJ is not yet a token", false),
            ("127.0.0.1:3000 GET /api/tasks 200", false),
        ] {
            assert_eq!(looks_secret(line).is_some(), found, "{line}");
        }
    }
}
