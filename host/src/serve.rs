//! The HTTP server: connections, routing, Spin's request headers, and the answers that the host itself gives.

use std::convert::Infallible;
use std::fmt::Write;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST,
    REFERRER_POLICY, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::app::App;
use crate::callers::{CallerLimits, Callers};
use crate::log::{Event, Level};
use crate::patience::{Paced, Timely};
use crate::pool::Failure;
use crate::routes::{RouteMatch, WELL_KNOWN_PREFIX};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 << 10;
const NOWHERE: &str = "there is nothing at this path";

/// Bounds on connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    /// Open connections at once; more wait in the system's queue.
    pub connections: usize,
    /// How long a client may take over a request's head, and stay idle between two requests.
    pub head: Duration,
    /// How long a client may let the host wait for a body, or for room to send an answer; one that moves more than a KiB
    /// a second meanwhile may take as much longer.
    pub patience: Duration,
    /// How much one client may ask.
    pub callers: CallerLimits,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            head: Duration::from_secs(30),
            patience: Duration::from_secs(10),
            callers: CallerLimits::default(),
        }
    }
}

/// Accepts connections until `stop` is cancelled. Each open connection counts in `open`.
pub async fn serve(
    app: Arc<App>,
    listener: TcpListener,
    limits: ConnectionLimits,
    stop: CancellationToken,
    open: TaskTracker,
) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let callers = Arc::new(Callers::new(limits.callers));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, listener.accept().await)
            } => accepted,
        };
        match accepted {
            (Ok(place), Ok((stream, client))) => {
                let (app, stop) = (Arc::clone(&app), stop.clone());
                let callers = Arc::clone(&callers);
                open.spawn(async move {
                    connection(app, callers, stream, client, limits, stop).await;
                    drop(place);
                });
            }
            (_, Err(error)) => {
                // Out of file descriptors, say: it passes, and must not become a busy loop.
                app.log().host(
                    Level::Error,
                    &format!("cannot accept a connection: {error}"),
                );
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            (Err(_), _) => return,
        }
    }
}

async fn connection(
    app: Arc<App>,
    callers: Arc<Callers>,
    stream: TcpStream,
    client: SocketAddr,
    limits: ConnectionLimits,
    stop: CancellationToken,
) {
    // Without it an answer of head and body would wait for the client's ACK. A socket that refuses is dead.
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(|request| {
        let (app, callers) = (Arc::clone(&app), Arc::clone(&callers));
        async move {
            Ok::<_, Infallible>(respond(app, &callers, request, client, limits.patience).await)
        }
    });
    let mut connection = pin!(
        hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.head)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .serve_connection(TokioIo::new(Timely::new(stream, limits.patience)), service)
    );
    // How a connection ends is the client's affair; what it asked for is in the access log.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn respond(
    app: Arc<App>,
    callers: &Callers,
    request: http::Request<Incoming>,
    client: SocketAddr,
    patience: Duration,
) -> http::Response<AnswerBody> {
    let start = Instant::now();
    let id = request_id(request.headers());
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut component = None;
    let request = request.map(|body| Paced::new(body, patience));
    let caller = callers.find(client, request.headers());
    let taken = caller
        .as_ref()
        .map_or(Ok(()), |caller| callers.take(caller, &method, now()));
    let mut response = match taken {
        Ok(()) => answer(&app, request, client, &id, &mut component).await,
        Err(seconds) => {
            let detail = "too much comes from this address";
            let status = StatusCode::TOO_MANY_REQUESTS;
            later(problem(status, "too_many_requests", detail, &id), seconds)
        }
    };
    if let (Some(caller), Ok(())) = (&caller, taken) {
        callers.note(caller, response.status(), now());
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let entry = (!path.starts_with(WELL_KNOWN_PREFIX)).then(|| Entry {
        app,
        method,
        path,
        status: response.status(),
        component,
        id,
        start,
    });
    let announced = response
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    response.map(|body| AnswerBody {
        body,
        announced,
        bytes: 0,
        ended: false,
        entry,
    })
}

async fn answer(
    app: &App,
    request: http::Request<Paced>,
    client: SocketAddr,
    id: &str,
    component: &mut Option<Arc<str>>,
) -> http::Response<WasiBody> {
    let path = request.uri().path();
    if let Some(name) = path.strip_prefix(WELL_KNOWN_PREFIX) {
        return match name {
            "health" => http::Response::new(full("OK")),
            "info" => {
                let mut response = http::Response::new(full(app.info().to_owned()));
                let json = HeaderValue::from_static("application/json");
                response.headers_mut().insert(CONTENT_TYPE, json);
                response
            }
            _ => problem(StatusCode::NOT_FOUND, "not_found", NOWHERE, id),
        };
    }
    let Some(found) = app.router().find(path) else {
        return problem(StatusCode::NOT_FOUND, "not_found", NOWHERE, id);
    };
    let Some(pool) = app.pool(found.route.component()) else {
        return problem(StatusCode::NOT_FOUND, "not_found", NOWHERE, id);
    };
    *component = Some(pool.id());
    let Some((uri, headers)) = prepare(&request, &found, client, id) else {
        let detail = "the request does not say which host it means, or says it twice";
        return problem(StatusCode::BAD_REQUEST, "malformed", detail, id);
    };
    let (mut parts, body) = request.into_parts();
    parts.uri = uri;
    parts.headers = headers;
    let body = body.boxed_unsync();
    match pool
        .handle(http::Request::from_parts(parts, body), id)
        .await
    {
        Ok(response) => response,
        Err(Failure::TimedOut) => {
            let detail = "the answer took too long";
            problem(StatusCode::GATEWAY_TIMEOUT, "timeout", detail, id)
        }
        Err(Failure::Failed) => {
            let detail = "the request id finds the reason in the log";
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail, id)
        }
        Err(Failure::Unavailable) => {
            let detail = "please try again soon";
            let status = StatusCode::SERVICE_UNAVAILABLE;
            later(problem(status, "unavailable", detail, id), 1)
        }
    }
}

/// The URL with scheme and authority, and the headers with what Spin adds. `None` if the request does not say
/// which host it means, or says it twice.
fn prepare<B>(
    request: &http::Request<B>,
    found: &RouteMatch<'_, '_>,
    client: SocketAddr,
    id: &str,
) -> Option<(Uri, HeaderMap)> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let from_header: Option<Authority> = match hosts.next() {
        Some(value) => Some(value.to_str().ok()?.parse().ok()?),
        None => None,
    };
    let authority = match (from_header, request.uri().authority().cloned()) {
        (Some(a), Some(b)) if a != b => return None,
        (a, b) => a.or(b)?,
    };
    if hosts.next().is_some() {
        return None;
    }
    let mut parts = request.uri().clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority);
    let uri = Uri::from_parts(parts).ok()?;

    let mut headers = request.headers().clone();
    // What these say is the host's word: a client must not forge it. `connection` concerns this hop alone.
    let forged: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with("spin-"))
        .cloned()
        .collect();
    for name in forged {
        headers.remove(name);
    }
    headers.remove(CONNECTION);
    let mut text = String::new();
    let mut set = |name: &str, value: std::fmt::Arguments<'_>| {
        text.clear();
        let written = text.write_fmt(value).is_ok();
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (true, Ok(name), Ok(value)) = (written, name, HeaderValue::from_str(&text)) {
            headers.insert(name, value);
        }
    };
    set("spin-full-url", format_args!("{uri}"));
    set("spin-path-info", format_args!("{}", found.path_info));
    set(
        "spin-matched-route",
        format_args!("{}", found.route.based()),
    );
    set(
        "spin-raw-component-route",
        format_args!("{}", found.route.raw()),
    );
    set(
        "spin-component-route",
        format_args!("{}", found.route.prefix()),
    );
    set("spin-base-path", format_args!("/"));
    set("spin-client-addr", format_args!("{client}"));
    for (name, value) in &found.parameters {
        set(
            &format!("spin-path-match-{}", name.to_ascii_lowercase()),
            format_args!("{value}"),
        );
    }
    set(REQUEST_ID.as_str(), format_args!("{id}"));
    Some((uri, headers))
}

/// The client's own id if it is a sane one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok());
    if let Some(id) = given.filter(|id| is_request_id(id)) {
        return id.to_owned();
    }
    let mut bytes = [0_u8; 16];
    // An id that is not random serves the log still.
    let _ = getrandom::fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn is_request_id(id: &str) -> bool {
    (1..=64).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

fn problem(status: StatusCode, code: &str, detail: &str, id: &str) -> http::Response<WasiBody> {
    let body = serde_json::json!({
        "type": "about:blank",
        "title": status.canonical_reason().unwrap_or_default(),
        "status": status.as_u16(),
        "code": code,
        "detail": detail,
        "request_id": id,
    });
    let mut response = http::Response::new(full(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_TYPE, "application/problem+json"),
        // As the functions' own answers have it: nobody keeps it, and it is no page.
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// An answer that says in how many seconds another try is worth it.
fn later(mut response: http::Response<WasiBody>, seconds: u32) -> http::Response<WasiBody> {
    let headers = response.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    response
}

/// The wall-clock time.
fn now() -> docket_domain::Instant {
    let now = chrono::Utc::now();
    docket_domain::Instant::from_datetime(&now).unwrap_or(docket_domain::Instant::MAX)
}

fn full(bytes: impl Into<Bytes>) -> WasiBody {
    Full::new(bytes.into()).map_err(Error::from).boxed_unsync()
}

/// What the access log will say.
struct Entry {
    app: Arc<App>,
    method: http::Method,
    path: String,
    status: StatusCode,
    component: Option<Arc<str>>,
    id: String,
    start: Instant,
}

/// An answer's body, that writes the access log when it ends or is given up.
struct AnswerBody {
    body: WasiBody,
    /// The length that the answer's head tells: when so much was sent, nobody asks the body for its end.
    announced: Option<u64>,
    bytes: u64,
    ended: bool,
    entry: Option<Entry>,
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                let length = frame.data_ref().map_or(0, Bytes::len);
                self.bytes = self
                    .bytes
                    .saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
                self.ended = self.body.is_end_stream();
            }
            Some(Err(_)) => {}
            None => self.ended = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for AnswerBody {
    fn drop(&mut self) {
        let Some(entry) = self.entry.take() else {
            return;
        };
        let event = Event::Access {
            method: entry.method.as_str(),
            path: &entry.path,
            status: entry.status.as_u16(),
            bytes: self.bytes,
            duration_ms: (entry.start.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            component: entry.component.as_deref(),
            request_id: &entry.id,
            aborted: !(self.ended
                || self.announced == Some(self.bytes)
                || self.body.is_end_stream()
                || entry.method == http::Method::HEAD),
        };
        entry.app.log().write(Level::Info, &event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_taken_when_sane() {
        for (given, sane) in [
            ("abc-DEF_1.2", true),
            ("a", true),
            ("", false),
            ("a b", false),
            ("a\"b", false),
            ("ü", false),
        ] {
            assert_eq!(is_request_id(given), sane, "{given}");
        }
        assert!(is_request_id(&"x".repeat(64)));
        assert!(!is_request_id(&"x".repeat(65)));
    }

    #[test]
    fn request_ids_that_are_made_are_sane_and_differ() {
        let (a, b) = (request_id(&HeaderMap::new()), request_id(&HeaderMap::new()));
        assert!(is_request_id(&a) && a != b, "{a} {b}");
    }
}
