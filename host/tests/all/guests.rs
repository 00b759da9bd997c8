//! Real components on the host: one behaviour a test.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Answer, Bounds, DEADLINE, Host, Upstream, manifest, poll, send};
use docket_api::problem::Code;
use docket_host::pool::Limits;
use docket_host::serve::ConnectionLimits;
use futures::future::join_all;
use http::{Method, Request};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GUEST: &str = "host-guest";

async fn host() -> Host {
    Host::start(&manifest(GUEST, "")).await
}

async fn host_allowed(address: std::net::SocketAddr) -> Host {
    let allowed = format!("allowed_outbound_hosts = [\"http://{address}\"]");
    Host::start(&manifest(GUEST, &allowed)).await
}

fn short(limits: Limits) -> Bounds {
    Bounds {
        limits,
        ..Bounds::default()
    }
}

#[tokio::test]
async fn answers() {
    let host = host().await;
    host.get("/hello").await.is(200, "hello");
    let line = host
        .log
        .find("the access log", |line| line["kind"] == "access")
        .await;
    assert_eq!(
        (
            &line["method"],
            &line["path"],
            &line["status"],
            &line["bytes"],
            &line["component"]
        ),
        (
            &json!("GET"),
            &json!("/hello"),
            &json!(200),
            &json!(5),
            &json!("guest")
        )
    );
}

#[tokio::test]
async fn an_answer_of_an_announced_length_is_not_cut_off() {
    let host = host().await;
    host.get("/announced").await.is(200, "hello");
    let line = host
        .log
        .find("the access log", |line| line["path"] == "/announced")
        .await;
    assert_eq!(
        (&line["bytes"], &line["aborted"]),
        (&json!(5), &json!(null))
    );
}

#[tokio::test]
async fn the_query_is_not_logged() {
    let host = host().await;
    host.get("/hello?token=secret").await.is(200, "hello");
    host.log
        .find("the access log", |line| line["path"] == "/hello")
        .await;
    assert!(
        !host
            .log
            .all()
            .iter()
            .any(|line| line.to_string().contains("secret"))
    );
}

#[tokio::test]
async fn well_known_paths_are_the_hosts_own() {
    let host = host().await;
    host.get("/.well-known/spin/health").await.is(200, "OK");
    let info = host.get("/.well-known/spin/info").await;
    assert_eq!(info.json(), json!({ "name": "test", "version": "1.2.3" }));
    assert_eq!(host.get("/.well-known/spin/other").await.status, 404);
}

#[tokio::test]
async fn spins_headers_are_added_and_cannot_be_forged() {
    let manifest = manifest(GUEST, "").replace("\"/...\"", "\"/:what/...\"");
    let host = Host::start(&manifest).await;
    let request = Request::get("/headers/a/b?c=d")
        .header("host", "example.com:8080")
        .header("spin-full-url", "http://forged/")
        .header("spin-path-match-other", "forged")
        .header("connection", "close")
        .header("x-own", "kept")
        .header("x-request-id", "id-1");
    let answer = host.send(request, "").await;
    let client = answer
        .body
        .lines()
        .find_map(|line| line.strip_prefix("spin-client-addr: 127.0.0.1:"))
        .expect("no client address");
    assert!(client.parse::<u16>().is_ok());
    let lines: Vec<&str> = answer
        .body
        .lines()
        .filter(|line| !line.starts_with("spin-client-addr"))
        .collect();
    assert_eq!(
        lines,
        [
            "spin-base-path: /",
            "spin-component-route: /:what",
            "spin-full-url: http://example.com:8080/headers/a/b?c=d",
            "spin-matched-route: /:what/...",
            "spin-path-info: /a/b",
            "spin-path-match-what: headers",
            "spin-raw-component-route: /:what/...",
            "uri: http://example.com:8080/headers/a/b?c=d",
            "x-own: kept",
            "x-request-id: id-1",
        ]
    );
    assert_eq!(answer.header("x-request-id"), "id-1");
}

#[tokio::test]
async fn a_request_id_that_is_not_sane_is_replaced() {
    let host = host().await;
    let request = Request::get("/headers").header("x-request-id", "not sane");
    let answer = host.send(request, "").await;
    let id = answer.header("x-request-id");
    assert!(
        id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
        "{id}"
    );
    assert!(answer.body.contains(&format!("x-request-id: {id}\n")) || answer.body.ends_with(id));
}

#[tokio::test]
async fn an_unknown_path_is_a_problem() {
    let host = Host::start(&manifest(GUEST, "").replace("\"/...\"", "\"/only\"")).await;
    let answer = host
        .send(Request::get("/x").header("x-request-id", "r"), "")
        .await;
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(
        answer.json(),
        json!({
            "type": "about:blank", "title": "Not Found", "status": 404, "code": "not_found",
            "detail": "there is nothing at this path", "request_id": "r",
        })
    );
}

#[tokio::test]
async fn a_body_is_streamed_both_ways() {
    let host = host().await;
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    let head = "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut got = String::new();
    // Each piece has to come back before the next one is sent.
    for piece in ["one", "two", "three"] {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        stream.write_all(chunk.as_bytes()).await.unwrap();
        let start = Instant::now();
        while !got.contains(piece) {
            let mut buffer = [0; 1024];
            let length = tokio::time::timeout(DEADLINE, stream.read(&mut buffer))
                .await
                .unwrap_or_else(|_| panic!("`{piece}` does not come back: {got}"))
                .unwrap();
            assert!(length > 0 && start.elapsed() < DEADLINE, "{got}");
            got.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
    }
}

#[tokio::test]
async fn a_large_body_comes_back_whole() {
    let host = host().await;
    let body = "0123456789abcdef".repeat(256 << 10);
    let answer = host.send(Request::post("/echo"), body.clone()).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.body == body,
        "{} bytes of {}",
        answer.body.len(),
        body.len()
    );
    host.send(Request::post("/read"), body.clone())
        .await
        .is(200, &body.len().to_string());
}

#[tokio::test]
async fn output_goes_to_the_log_line_by_line() {
    let host = host().await;
    host.get("/print").await.is(200, "printed");
    host.log
        .find("the last line", |line| line["message"] == "in one call")
        .await;
    let lines: Vec<(String, String)> = host
        .log
        .all()
        .into_iter()
        .filter(|line| line["kind"] == "guest")
        .map(|line| {
            assert_eq!(line["component"], "guest");
            (
                line["stream"].as_str().unwrap().into(),
                line["message"].as_str().unwrap().into(),
            )
        })
        .collect();
    let of = |stream: &str| -> Vec<&str> {
        lines
            .iter()
            .filter(|(s, _)| s == stream)
            .map(|(_, m)| m.as_str())
            .collect()
    };
    assert_eq!(
        of("stdout"),
        ["half a line, and the rest", "two lines", "in one call"]
    );
    assert_eq!(of("stderr"), ["an error line"]);
}

#[tokio::test]
async fn variables_are_filled_in() {
    let component = "[component.guest.variables]\nplain = \"text\"\nurl = \"http://{{ place }}/{{ path }}\"\n\
                     [variables]\nplace = { required = true }\npath = { default = \"p\" }";
    let host = Host::with(
        &manifest(GUEST, component),
        &[("SPIN_VARIABLE_PLACE", "there")],
        Bounds::default(),
    )
    .await;
    host.get("/variable/plain").await.is(200, "text");
    host.get("/variable/url").await.is(200, "http://there/p");
    // The application's own variables are not the component's.
    host.get("/variable/place")
        .await
        .is(400, "Error::Undefined(\"place\")");
    host.get("/variable/Not-One")
        .await
        .is(400, "Error::InvalidName(\"Not-One\")");
}

#[tokio::test]
async fn calls_go_to_allowed_hosts_only() {
    let upstream = Upstream::start().await;
    let host = host_allowed(upstream.address).await;
    let allowed = format!("/call?url=http://{}/x", upstream.address);
    host.send(Request::post(&allowed), "body")
        .await
        .is(200, "POST /x body");
    let port = upstream.address.port();
    let denied = host
        .get(&format!("/call?url=http://localhost:{port}/secret"))
        .await;
    denied.is(502, "ErrorCode::HttpRequestDenied");
    assert_eq!(upstream.got.lock().unwrap().len(), 1);
    let line = host
        .log
        .find("the refusal", |line| line["level"] == "error")
        .await;
    assert_eq!(
        line["message"],
        format!(
            "it may not call http://localhost:{port}: add that to its `allowed_outbound_hosts`"
        )
    );
}

#[tokio::test]
async fn calls_share_connections() {
    let upstream = Upstream::start().await;
    let host = host_allowed(upstream.address).await;
    for _ in 0..10 {
        let path = format!("/call?url=http://{}/", upstream.address);
        assert_eq!(host.get(&path).await.status, 200);
    }
    assert_eq!(upstream.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_call_to_nobody_says_so() {
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let host = host_allowed(address).await;
    let answer = host.get(&format!("/call?url=http://{address}/")).await;
    answer.is(502, "ErrorCode::ConnectionRefused");
}

#[tokio::test]
async fn a_connection_that_dies_unanswered_is_not_tried_again() {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let requests = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&requests);
    tokio::spawn(async move {
        // The first request of a connection is answered, the second is read and the connection dropped.
        while let Ok((mut stream, _)) = listener.accept().await {
            let count = std::sync::Arc::clone(&count);
            tokio::spawn(async move {
                for turn in 0..2 {
                    let mut buffer = [0; 4096];
                    if stream.read(&mut buffer).await.unwrap_or(0) == 0 {
                        return;
                    }
                    count.fetch_add(1, Ordering::Relaxed);
                    if turn == 0 {
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        stream.write_all(answer).await.unwrap();
                    }
                }
            });
        }
    });
    let host = host_allowed(address).await;
    let path = format!("/call?url=http://{address}/");
    host.send(Request::post(&path), "").await.is(200, "ok");
    host.send(Request::post(&path), "")
        .await
        .is(502, "ErrorCode::ConnectionTerminated");
    assert_eq!(requests.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_guest_can_give_up_on_a_call() {
    let silent = Upstream::silent().await;
    let host = host_allowed(silent).await;
    host.get(&format!("/call-timed?url=http://{silent}/&ms=50"))
        .await
        .is(504, "gave up");
    // The instance is none the worse for it.
    host.get("/count").await.is(200, "1");
}

#[tokio::test]
async fn a_task_goes_on_after_the_answer() {
    let upstream = Upstream::start().await;
    let host = host_allowed(upstream.address).await;
    let path = format!("/spawn?url=http://{}/later&ms=100", upstream.address);
    host.get(&path).await.is(200, "spawned");
    assert!(
        upstream.got.lock().unwrap().is_empty(),
        "the answer came after the task"
    );
    poll("the task's call", || {
        upstream.got.lock().unwrap().first().cloned()
    })
    .await;
}

#[tokio::test]
async fn stopping_waits_for_requests_and_tasks() {
    let upstream = Upstream::start().await;
    let host = host_allowed(upstream.address).await;
    let path = format!("/spawn?url=http://{}/later&ms=300", upstream.address);
    host.get(&path).await.is(200, "spawned");
    let (address, start) = (host.address, Instant::now());
    let slow = tokio::spawn(send(address, Request::get("/sleep/300"), "".into()));
    host.log
        .find("the slow request", |line| line["message"] == "sleeping")
        .await;
    host.stop().await;
    slow.await.unwrap().is(200, "slept");
    assert_eq!(
        upstream.got.lock().unwrap().len(),
        1,
        "the task was cut off"
    );
    assert!(start.elapsed() < DEADLINE);
    assert!(
        TcpStream::connect(address).await.is_err(),
        "it still listens"
    );
}

#[tokio::test]
async fn instances_are_reused_within_bounds() {
    let host = host().await;
    let mut counts = Vec::new();
    for _ in 0..300 {
        counts.push(host.get("/count").await.body.parse::<u32>().unwrap());
    }
    let expected: Vec<u32> = (0..300).map(|n| n % 128 + 1).collect();
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn requests_share_an_instance_while_they_wait() {
    let host = host().await;
    let start = Instant::now();
    let answers = join_all((0..16).map(|_| host.get("/sleep/200"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(
        start.elapsed() < Duration::from_secs(3),
        "one after the other: {:?}",
        start.elapsed()
    );
}

#[tokio::test]
async fn one_request_wakes_another_of_its_instance() {
    let host = host().await;
    let waiting = async { host.get("/wait/a").await };
    let waking = async {
        let start = Instant::now();
        loop {
            let answer = host.get("/wake/a").await;
            if answer.body == "1" {
                return;
            }
            answer.is(200, "0");
            assert!(start.elapsed() < DEADLINE, "nobody waits");
        }
    };
    let (answer, ()) = tokio::join!(waiting, waking);
    answer.is(200, "woken");
}

#[tokio::test]
async fn a_lock_goes_from_request_to_request() {
    let host = host().await;
    let start = Instant::now();
    loop {
        let first = host.get("/lock/200");
        let second = async {
            host.get("/sleep/50").await.is(200, "slept");
            host.get("/lock/0").await
        };
        let (first, second) = tokio::join!(first, second);
        let turn = |answer: &Answer| answer.body.parse::<u32>().unwrap();
        // Turns are counted by instance: one after the other only if both met in one.
        if turn(&second) == turn(&first) + 1 {
            return;
        }
        assert!(
            start.elapsed() < DEADLINE,
            "they never meet: {first:?} {second:?}"
        );
    }
}

#[tokio::test]
async fn a_trap_is_an_internal_error() {
    let host = host().await;
    host.get("/count").await.is(200, "1");
    let answer = host
        .send(Request::get("/trap").header("x-request-id", "bad"), "")
        .await;
    answer.is_problem(Code::Internal);
    let line = host
        .log
        .find("the trap", |line| line["level"] == "error")
        .await;
    assert!(
        line["message"].as_str().unwrap().contains("wasm trap"),
        "{line}"
    );
    assert_eq!(line["request_id"], "bad");
    // Another instance.
    host.get("/count").await.is(200, "1");
}

/// Sends a request for `path` until it meets a request that waits under the name `a` in the same instance.
/// The answers to the one that waited and to the one that met it.
async fn meet(host: &Host, path: &str) -> (Answer, Answer) {
    let waiting = host.get("/wait/a");
    let meeting = async {
        let start = Instant::now();
        loop {
            let answer = host.get(path).await;
            if answer.status != 200 {
                return answer;
            }
            answer.is(200, "alone");
            assert!(start.elapsed() < DEADLINE, "they never meet");
        }
    };
    tokio::join!(waiting, meeting)
}

#[tokio::test]
async fn a_trap_tells_its_neighbours_to_come_again() {
    let host = host().await;
    let (neighbour, trap) = meet(&host, "/trap-beside/a").await;
    trap.is_problem(Code::Internal);
    neighbour.is_problem(Code::Unavailable);
    assert_eq!(neighbour.header("retry-after"), "1");
}

#[tokio::test]
async fn an_endless_loop_ends() {
    let limits = Limits {
        compute: Duration::from_secs(1),
        ..Limits::default()
    };
    let host = Host::with(&manifest(GUEST, ""), &[], short(limits)).await;
    let served = AtomicUsize::new(0);
    let others = async {
        loop {
            host.get("/hello").await.is(200, "hello");
            served.fetch_add(1, Ordering::Relaxed);
        }
    };
    // Others are served all the while, by other instances.
    tokio::select! {
        (neighbour, endless) = meet(&host, "/loop-beside/a") => {
            endless.is_problem(Code::Timeout);
            neighbour.is_problem(Code::Unavailable);
        }
        () = others => {}
    }
    assert!(served.load(Ordering::Relaxed) > 0);
    host.get("/hello").await.is(200, "hello");
}

#[tokio::test]
async fn many_endless_loops_end_and_hold_up_nobody() {
    const LOOPS: usize = 8;
    let limits = Limits {
        compute: Duration::from_millis(200),
        ..Limits::default()
    };
    let host = Host::with(&manifest(GUEST, ""), &[], short(limits)).await;
    let served = AtomicUsize::new(0);
    let others = async {
        loop {
            host.get("/hello").await.is(200, "hello");
            served.fetch_add(1, Ordering::Relaxed);
        }
    };
    let loops = join_all((0..LOOPS).map(|_| host.get("/loop")));
    // What each computes counts for itself alone, however long it waits for its turns.
    tokio::select! {
        answers = loops => answers.iter().for_each(|answer| answer.is_problem(Code::Timeout)),
        () = others => {}
    }
    let served = served.into_inner();
    // How many depends on the machine and on what else it does. Who waits for all loops is served once.
    assert!(served > 1, "{served} were served meanwhile");
}

#[tokio::test]
async fn computing_within_bounds_is_no_loop() {
    let limits = Limits {
        compute: Duration::from_secs(5),
        ..Limits::default()
    };
    let host = Host::with(&manifest(GUEST, ""), &[], short(limits)).await;
    assert_eq!(host.get("/burn/100").await.status, 200);
}

#[tokio::test]
async fn a_request_that_never_answers_times_out_alone() {
    let limits = Limits {
        request: Duration::from_millis(300),
        ..Limits::default()
    };
    let host = Host::with(&manifest(GUEST, ""), &[], short(limits)).await;
    let (silent, other) = tokio::join!(host.get("/silent"), host.get("/sleep/100"));
    silent.is_problem(Code::Timeout);
    other.is(200, "slept");
    host.get("/hello").await.is(200, "hello");
}

#[tokio::test]
async fn memory_is_bounded() {
    let limits = Limits {
        memory: 32 << 20,
        ..Limits::default()
    };
    let host = Host::with(&manifest(GUEST, ""), &[], short(limits)).await;
    assert_eq!(host.get("/memory").await.status, 500);
    let line = host
        .log
        .find("the trap", |line| line["level"] == "error")
        .await;
    assert!(
        line["message"].as_str().unwrap().contains("memory limit"),
        "{line}"
    );
    host.get("/hello").await.is(200, "hello");
}

#[tokio::test]
async fn background_work_is_cut_off_at_its_bound() {
    let upstream = Upstream::start().await;
    let allowed = format!("allowed_outbound_hosts = [\"http://{}\"]", upstream.address);
    let limits = Limits {
        background: Duration::from_millis(200),
        ..Limits::default()
    };
    let host = Host::with(&manifest(GUEST, &allowed), &[], short(limits)).await;
    let path = format!("/spawn?url=http://{}/later&ms=5000", upstream.address);
    host.get(&path).await.is(200, "spawned");
    host.log
        .find("the end of the task", |line| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.contains("timed out"))
        })
        .await;
    assert!(upstream.got.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_client_that_goes_away_harms_nobody() {
    let host = host().await;
    for path in ["/drip/1000", "/sleep/50"] {
        let mut stream = TcpStream::connect(host.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        if path.starts_with("/drip") {
            let mut buffer = [0; 64];
            assert!(stream.read(&mut buffer).await.unwrap() > 0);
        }
        drop(stream);
    }
    let line = host
        .log
        .find("the cut-off answer", |line| line["aborted"] == true)
        .await;
    assert_eq!(line["path"], "/drip/1000");
    host.get("/hello").await.is(200, "hello");
    // The guest's writer has ended, too: nothing is left to wait for.
    host.stop().await;
}

#[tokio::test]
async fn head_and_keep_alive() {
    let host = host().await;
    let mut stream = TcpStream::connect(host.address).await.unwrap();
    for (method, last) in [
        ("HEAD", "\r\n\r\n"),
        ("GET", "hello\r\n0\r\n\r\n"),
        ("GET", "hello\r\n0\r\n\r\n"),
    ] {
        let head = format!("{method} /hello HTTP/1.1\r\nhost: a\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut got = String::new();
        while !got.ends_with(last) {
            let mut buffer = [0; 1024];
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "{method}: {got}");
            got.push_str(std::str::from_utf8(&buffer[..length]).unwrap());
        }
        assert!(got.starts_with("HTTP/1.1 200 OK\r\n"), "{got}");
    }
}

#[tokio::test]
async fn heads_that_are_wrong_are_refused() {
    let host = host().await;
    let many: String = (0..120).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(300 << 10));
    for (head, status) in [
        ("GET /hello HTTP/1.1\r\n\r\n".to_owned(), "400"),
        (
            "GET /hello HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n".to_owned(),
            "400",
        ),
        (
            "GET http://b/hello HTTP/1.1\r\nhost: a\r\n\r\n".to_owned(),
            "400",
        ),
        ("GET\r\n\r\n".to_owned(), "400"),
        (
            format!("GET /hello HTTP/1.1\r\nhost: a\r\n{many}\r\n"),
            "431",
        ),
        (
            format!("GET /hello HTTP/1.1\r\nhost: a\r\n{long}\r\n"),
            "431",
        ),
    ] {
        let mut stream = TcpStream::connect(host.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut buffer = [0; 12];
        let read = tokio::time::timeout(DEADLINE, stream.read_exact(&mut buffer)).await;
        assert!(
            read.is_ok_and(|read| read.is_ok()),
            "no answer to {:.40}",
            head
        );
        assert_eq!(&buffer[9..], status.as_bytes(), "{:.40}", head);
    }
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let connections = ConnectionLimits {
        head: Duration::from_millis(200),
        connections: 1,
        ..ConnectionLimits::default()
    };
    let bounds = Bounds {
        connections,
        ..Bounds::default()
    };
    let host = Host::with(&manifest(GUEST, ""), &[], bounds).await;
    let mut slow = TcpStream::connect(host.address).await.unwrap();
    slow.write_all(b"GET /hello HT").await.unwrap();
    // The only place is taken: this one waits until the slow one is cut off.
    host.get("/hello").await.is(200, "hello");
    let mut rest = Vec::new();
    let read = tokio::time::timeout(DEADLINE, slow.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the slow one is still connected");
}

/// A host that waits for a client for a quarter of a second.
async fn impatient() -> Host {
    let connections = ConnectionLimits {
        patience: Duration::from_millis(250),
        ..ConnectionLimits::default()
    };
    let bounds = Bounds {
        connections,
        ..Bounds::default()
    };
    Host::with(&manifest(GUEST, ""), &[], bounds).await
}

#[tokio::test]
async fn a_slow_body_is_cut_off() {
    let host = impatient().await;
    let began = Instant::now();
    for sent in ["", "half"] {
        let mut slow = TcpStream::connect(host.address).await.unwrap();
        let head = "POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n";
        slow.write_all(format!("{head}{sent}").as_bytes())
            .await
            .unwrap();
        let mut rest = Vec::new();
        let read = tokio::time::timeout(DEADLINE, slow.read_to_end(&mut rest)).await;
        assert!(read.is_ok(), "the slow one is still connected");
    }
    assert!(began.elapsed() >= Duration::from_millis(500));
    host.get("/hello").await.is(200, "hello");
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_cut_off() {
    let host = impatient().await;
    let mut slow = TcpStream::connect(host.address).await.unwrap();
    // More comes back than the buffers on the way can hold.
    let length = 64 << 20;
    let head = format!("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    slow.write_all(head.as_bytes()).await.unwrap();
    let chunk = vec![b'x'; 1 << 20];
    let sending = async { while slow.write_all(&chunk).await.is_ok() {} };
    let sent = tokio::time::timeout(DEADLINE, sending).await;
    assert!(sent.is_ok(), "the host still waits for its reader");
    let line = host
        .log
        .find("the cut-off answer", |line| line["aborted"] == true)
        .await;
    assert_eq!(line["path"], "/echo");
}

#[tokio::test]
async fn methods_pass_through() {
    let upstream = Upstream::start().await;
    let host = host_allowed(upstream.address).await;
    for method in [Method::GET, Method::PUT, Method::PATCH, Method::DELETE] {
        let path = format!("/call?url=http://{}/m", upstream.address);
        let request = Request::builder().method(&method).uri(&path);
        host.send(request, "")
            .await
            .is(200, &format!("{method} /m "));
    }
}

#[tokio::test]
async fn a_dependency_is_composed_in() {
    let folder = tempfile::tempdir().unwrap();
    let math = folder.path().join("math.wasm");
    let text = r#"(component
        (core module $module
            (func (export "add-one") (param i32) (result i32) local.get 0 i32.const 1 i32.add))
        (core instance $core (instantiate $module))
        (func $add-one (param "number" u32) (result u32) (canon lift (core func $core "add-one")))
        (instance $math (export "add-one" (func $add-one)))
        (export "docket:test/math@1.0.0" (instance $math)))"#;
    std::fs::write(&math, wat::parse_str(text).unwrap()).unwrap();
    let composed = format!(
        "[component.guest.dependencies]\n\"docket:test/math@1.0.0\" = {{ path = {math:?} }}"
    );
    let host = Host::start(&manifest("host-guest-composed", &composed)).await;
    host.get("/").await.is(200, "42");
}

#[tokio::test]
async fn a_component_without_its_dependency_is_refused() {
    let manifest = manifest("host-guest-composed", "");
    let Err(error) = crate::support::load(&manifest, &[], Limits::default()) else {
        panic!("it was loaded");
    };
    let said = error.to_string();
    assert!(said.contains("docket:test/math@1.0.0"), "{said}");
}
