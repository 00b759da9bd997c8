//! What is asked of Dapr, and how its answers are read. (The real Dapr is met in the whole-system tests.)

use futures::executor::block_on;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::*;

/// Answers every request with the same response, and keeps the requests.
#[derive(Clone)]
struct Canned {
    answer: Result<(u16, &'static str, &'static str), TransportError>,
    seen: Arc<Mutex<Vec<Request<Bytes>>>>,
}

impl Transport for Canned {
    async fn send(
        &self,
        request: Request<Bytes>,
        _: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        self.seen.lock().unwrap().push(request);
        let (status, etag, body) = self.answer.clone()?;
        let response = Response::builder().status(status).header("etag", etag);
        Ok(response.body(Bytes::from_static(body.as_bytes())).unwrap())
    }
}

fn sidecar(status: u16, etag: &'static str, body: &'static str) -> Sidecar<Canned> {
    let canned = Canned {
        answer: Ok((status, etag, body)),
        seen: Arc::default(),
    };
    Sidecar::new(canned, "http://127.0.0.1:3500/", "secret").unwrap()
}

/// The last request as method, path and body.
fn last(sidecar: &Sidecar<Canned>) -> (String, Value) {
    let seen = sidecar.transport.seen.lock().unwrap();
    let request = seen.last().unwrap();
    assert_eq!(request.headers()["dapr-api-token"], "secret");
    let body = if request.body().is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(request.body()).unwrap()
    };
    (
        format!(
            "{} {}",
            request.method(),
            request.uri().path_and_query().unwrap()
        ),
        body,
    )
}

#[test]
fn a_key_is_read_with_its_etag() {
    let sidecar = sidecar(200, "7", "{\"a\":1}");
    let entry = block_on(sidecar.get_state("state", "book:ann"))
        .unwrap()
        .unwrap();
    assert_eq!(
        (entry.value, entry.etag),
        (Bytes::from_static(b"{\"a\":1}"), Etag("7".to_owned()))
    );
    assert_eq!(
        last(&sidecar),
        ("GET /v1.0/state/state/book:ann".to_owned(), Value::Null)
    );
    let odd = block_on(sidecar.get_state("state", "a/b?c")).unwrap();
    assert!(odd.is_some());
    assert_eq!(last(&sidecar).0, "GET /v1.0/state/state/a%2Fb%3Fc");
}

#[test]
fn a_key_that_does_not_exist_is_none() {
    assert!(
        block_on(sidecar(204, "", "").get_state("state", "k"))
            .unwrap()
            .is_none()
    );
}

#[test]
fn keys_are_read_in_bulk() {
    let body = r#"[{"key":"a","data":{"x":1},"etag":"1"},{"key":"b"}]"#;
    let good = sidecar(200, "", body);
    let items = block_on(good.get_states("state", &["a".to_owned(), "b".to_owned()])).unwrap();
    assert_eq!(items[0].data.as_ref().unwrap().get(), r#"{"x":1}"#);
    assert!(items[1].data.is_none() && items[1].etag.is_none());
    assert_eq!(
        last(&good).1,
        json!({ "keys": ["a", "b"], "parallelism": 16 })
    );
    let failed = sidecar(200, "", r#"[{"key":"a","error":"disk"}]"#);
    assert!(matches!(
        block_on(failed.get_states("state", &[])),
        Err(Error::Malformed { .. })
    ));
}

#[test]
fn a_transaction_says_its_guards() {
    let sidecar = sidecar(204, "", "");
    let operations = [
        Operation::guarded("a".to_owned(), &1, Some(Etag("7".to_owned()))).unwrap(),
        Operation::guarded("b".to_owned(), &json!({ "c": 2 }), None).unwrap(),
        Operation::delete("d".to_owned(), Etag("9".to_owned())),
    ];
    block_on(sidecar.transact("state", &operations)).unwrap();
    let first = json!({ "concurrency": "first-write" });
    let expected = json!({ "operations": [
        { "operation": "upsert", "request": { "key": "a", "value": 1, "etag": "7", "options": first } },
        { "operation": "upsert", "request": { "key": "b", "value": { "c": 2 }, "options": first } },
        { "operation": "delete", "request": { "key": "d", "etag": "9", "options": first } },
    ] });
    assert_eq!(
        last(&sidecar),
        ("POST /v1.0/state/state/transaction".to_owned(), expected)
    );
}

#[test]
fn a_refusal_keeps_daprs_code() {
    let body = r#"{"errorCode":"ERR_STATE_TRANSACTION","message":"possible etag mismatch"}"#;
    match block_on(sidecar(500, "", body).transact("state", &[])) {
        Err(Error::Refused { status, code, .. }) => {
            assert_eq!(
                (status.as_u16(), code.as_str()),
                (500, "ERR_STATE_TRANSACTION")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deletion_tells_whether_it_met_the_version() {
    let etag = Etag("7".to_owned());
    let ok = sidecar(204, "", "");
    assert!(block_on(ok.delete_state("state", "k", &etag)).unwrap());
    assert_eq!(
        last(&ok).0,
        "DELETE /v1.0/state/state/k?concurrency=first-write"
    );
    assert_eq!(
        ok.transport.seen.lock().unwrap()[0].headers()["if-match"],
        "7"
    );
    assert!(!block_on(sidecar(409, "", "").delete_state("state", "k", &etag)).unwrap());
    assert!(block_on(sidecar(500, "", "").delete_state("state", "k", &etag)).is_err());
}

#[test]
fn one_message_is_published_alone_and_many_in_bulk() {
    let message = |n: u8| Message::new(&json!({ "id": n }), "ann".to_owned()).unwrap();
    let none = sidecar(500, "", "");
    block_on(none.publish("pubsub", "t", &[])).unwrap();
    let one = sidecar(204, "", "");
    block_on(one.publish("pubsub", "t", &[message(1)])).unwrap();
    assert_eq!(
        last(&one),
        (
            "POST /v1.0/publish/pubsub/t?metadata.partitionKey=ann".to_owned(),
            json!({ "id": 1 })
        )
    );
    let many = sidecar(204, "", "");
    block_on(many.publish("pubsub", "t", &[message(1), message(2)])).unwrap();
    let (path, body) = last(&many);
    assert_eq!(path, "POST /v1.0-alpha1/publish/bulk/pubsub/t");
    assert_eq!(
        body[1],
        json!({
            "entryId": "1", "event": { "id": 2 }, "contentType": "application/cloudevents+json",
            "metadata": { "partitionKey": "ann" },
        })
    );
    let partly = sidecar(
        500,
        "",
        r#"{"failedEntries":[{"entryId":"1","error":"away"}]}"#,
    );
    assert!(block_on(partly.publish("pubsub", "t", &[message(1), message(2)])).is_err());
    let told = sidecar(
        200,
        "",
        r#"{"failedEntries":[{"entryId":"1","error":"away"}]}"#,
    );
    assert!(block_on(told.publish("pubsub", "t", &[message(1), message(2)])).is_err());
}

#[test]
fn a_job_says_when_and_how_often_it_is_tried() {
    let ok = sidecar(204, "", "");
    let job = Job {
        name: "remind ann",
        due: "2026-12-01T09:00:00Z".to_owned(),
        data: &json!({ "task": "0-1" }),
        retry_every: Duration::from_millis(2_500),
        retries: 7,
    };
    block_on(ok.schedule_job(&job)).unwrap();
    let expected = json!({
        "dueTime": "2026-12-01T09:00:00Z", "data": { "task": "0-1" }, "overwrite": true,
        "failurePolicy": { "constant": { "interval": "2.5s", "maxRetries": 7 } },
    });
    let path = "POST /v1.0/jobs/remind%20ann".to_owned();
    assert_eq!(last(&ok), (path, expected));
    assert!(block_on(sidecar(500, "", "").schedule_job(&job)).is_err());
}

#[test]
fn a_job_that_is_not_there_counts_as_taken_back() {
    for (status, good) in [(204, true), (404, true), (500, false)] {
        let sidecar = sidecar(status, "", "");
        assert_eq!(block_on(sidecar.delete_job("a")).is_ok(), good, "{status}");
        assert_eq!(last(&sidecar).0, "DELETE /v1.0/jobs/a");
    }
}

#[test]
fn a_binding_gets_data_and_metadata() {
    let ok = sidecar(204, "", "");
    let metadata = BTreeMap::from([("subject", "Pay the rent")]);
    block_on(ok.bind("smtp", "create", &"<p>Today", &metadata)).unwrap();
    let expected = json!({
        "operation": "create", "data": "<p>Today", "metadata": { "subject": "Pay the rent" },
    });
    assert_eq!(last(&ok), ("POST /v1.0/bindings/smtp".to_owned(), expected));
    assert!(block_on(sidecar(500, "", "").bind("smtp", "create", &1, &metadata)).is_err());
}

#[test]
fn a_document_is_written_under_what_was_read() {
    let key = || "inbox:ann".to_owned();
    let absent: Document<Vec<u8>> =
        block_on(sidecar(204, "", "").document("state", key())).unwrap();
    assert!(absent.value.is_empty() && !absent.exists() && absent.removal().is_none());
    let there: Document<Vec<u8>> =
        block_on(sidecar(200, "7", "[1,2]").document("state", key())).unwrap();
    assert_eq!(there.value, [1, 2]);
    let written = serde_json::to_value([there.write().unwrap(), there.removal().unwrap()]).unwrap();
    assert_eq!(written[0]["request"]["etag"], "7");
    assert_eq!(
        written[1],
        json!({ "operation": "delete", "request": {
        "key": "inbox:ann", "etag": "7", "options": { "concurrency": "first-write" },
    } })
    );
    let unreadable = sidecar(200, "7", "{}").clone();
    assert!(block_on(unreadable.document::<Vec<u8>>("state", key())).is_err());

    let body = r#"[{"key":"b"},{"key":"a","data":[3],"etag":"1"}]"#;
    let keys = ["a".to_owned(), "b".to_owned()];
    let many: Vec<Document<Vec<u8>>> =
        block_on(sidecar(200, "", body).documents("state", &keys)).unwrap();
    let read: Vec<_> = many
        .iter()
        .map(|d| (d.key.as_str(), d.value.len()))
        .collect();
    assert_eq!(read, [("a", 1), ("b", 0)]);
}

#[test]
fn no_answer_is_an_error_of_its_own() {
    let canned = Canned {
        answer: Err(TransportError::TimedOut(DEFAULT_LIMIT)),
        seen: Arc::default(),
    };
    let sidecar = Sidecar::new(canned, "http://127.0.0.1:1", "t").unwrap();
    assert!(matches!(
        block_on(sidecar.secret("secrets", "s")),
        Err(Error::Transport { .. })
    ));
}

#[test]
fn a_secret_has_parts() {
    let sidecar = sidecar(200, "", r#"{"k1":"v1"}"#);
    let secret = block_on(sidecar.secret("secrets", "jwt-keys")).unwrap();
    assert_eq!(secret["k1"], "v1");
    assert_eq!(last(&sidecar).0, "GET /v1.0/secrets/secrets/jwt-keys");
}

#[test]
fn another_app_is_called_by_its_name() {
    let good = sidecar(200, "", r#"{"next":"0-1"}"#);
    let body = json!({ "task_id": "0-0" });
    let answer: Value = block_on(good.invoke("tasks", "/internal/tasks/x", &body)).unwrap();
    assert_eq!(answer["next"], "0-1");
    assert_eq!(
        last(&good),
        (
            "POST /v1.0/invoke/tasks/method/internal/tasks/x".to_owned(),
            body
        )
    );
    let refused = block_on(sidecar(403, "", "{}").invoke::<Value>("tasks", "/x", &Value::Null));
    assert!(
        matches!(refused, Err(Error::Refused { status, .. }) if status == StatusCode::FORBIDDEN)
    );
    let odd = block_on(sidecar(204, "", "").invoke::<Value>("tasks", "/x", &Value::Null));
    assert!(matches!(odd, Err(Error::Malformed { .. })));
}

#[test]
fn the_sidecar_says_which_components_it_has() {
    let metadata = r#"{"id":"a","components":[{"name":"smtp","type":"bindings.smtp","version":"v1"}],"extended":{}}"#;
    for (body, has) in [(metadata, true), (r#"{"id":"a"}"#, false)] {
        let sidecar = sidecar(200, "", body);
        assert_eq!(block_on(sidecar.has_component("smtp")).unwrap(), has);
        assert_eq!(last(&sidecar).0, "GET /v1.0/metadata");
        assert!(!block_on(sidecar.has_component("smt")).unwrap());
    }
    let odd = sidecar(200, "", r#"{"components":7}"#);
    assert!(block_on(odd.has_component("smtp")).is_err());
}
