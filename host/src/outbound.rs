//! Outgoing HTTP of the components: allowed hosts, pooled connections, the timeouts that a guest asks for.

use std::error::Error as StdError;
use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tower_service::Service;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use crate::allowed_hosts::AllowedHosts;
use crate::log::{Level, Log};

const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// As in Spin; a request's own time limit ends it sooner.
const DEFAULT_READ_TIMEOUT: Duration = Duration::from_secs(600);
const IDLE_CONNECTION: Duration = Duration::from_secs(60);
const IDLE_CONNECTIONS_PER_HOST: usize = 64;

tokio::task_local! {
    /// Handed to the connector, which the pool calls within the request's own future.
    static CONNECT_TIMEOUT: Duration;
}

/// The pool of connections that all components share.
///
/// A connection that died while it was idle costs a request nothing as long as no byte of the request was
/// written; then, and only then, the pool takes another connection. A request that was written and not answered
/// is the guest's to judge: it gets `connection-terminated`.
#[derive(Clone)]
pub struct OutboundClient(Client<Connector, WasiBody>);

impl OutboundClient {
    /// A pool without connections.
    pub fn new() -> Self {
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_CONNECTION)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_PER_HOST)
            .build(Connector);
        Self(client)
    }

    async fn send(
        &self,
        request: http::Request<WasiBody>,
        options: RequestOptions,
    ) -> Result<http::Response<WasiBody>, Error> {
        let connect = options.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT);
        let first_byte = options.first_byte_timeout.unwrap_or(DEFAULT_READ_TIMEOUT);
        let between_bytes = options
            .between_bytes_timeout
            .unwrap_or(DEFAULT_READ_TIMEOUT);
        let response = CONNECT_TIMEOUT.scope(connect, self.0.request(request));
        let response = timeout(first_byte, response)
            .await
            .map_err(|_| Error::ConnectionReadTimeout)?
            .map_err(|error| error_code(&error))?;
        Ok(response.map(|body| {
            TimedBody {
                body,
                limit: between_bytes,
                sleep: None,
            }
            .boxed_unsync()
        }))
    }
}

impl Default for OutboundClient {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Clone)]
struct Connector;

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = std::io::Result<TokioIo<TcpStream>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let limit = CONNECT_TIMEOUT
            .try_with(|limit| *limit)
            .unwrap_or(DEFAULT_CONNECT_TIMEOUT);
        Box::pin(async move {
            let host = uri.host().unwrap_or_default();
            let host = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let port = uri.port_u16().unwrap_or(80);
            let stream = timeout(limit, TcpStream::connect((host.as_str(), port)))
                .await
                .map_err(|_| std::io::Error::from(ErrorKind::TimedOut))??;
            // A request goes out as head and body: without this the second waits for the first's ACK.
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}

fn error_code(error: &hyper_util::client::legacy::Error) -> Error {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            let code = match io.kind() {
                ErrorKind::TimedOut => Error::ConnectionTimeout,
                ErrorKind::ConnectionRefused => Error::ConnectionRefused,
                ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                    Error::DestinationUnavailable
                }
                ErrorKind::ConnectionReset
                | ErrorKind::ConnectionAborted
                | ErrorKind::BrokenPipe
                | ErrorKind::UnexpectedEof => Error::ConnectionTerminated,
                _ if error.is_connect() => Error::DnsError {
                    rcode: Some("address not available".to_owned()),
                    info_code: None,
                },
                _ => Error::ConnectionTerminated,
            };
            return code;
        }
        if let Some(hyper) = cause.downcast_ref::<hyper::Error>()
            && let Some(code) = hyper_code(hyper)
        {
            return code;
        }
        source = cause.source();
    }
    Error::HttpProtocolError
}

fn hyper_code(error: &hyper::Error) -> Option<Error> {
    if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
        Some(Error::ConnectionTerminated)
    } else if error.is_parse_too_large() {
        Some(Error::HttpResponseHeaderSectionSize(None))
    } else if error.is_parse() {
        Some(Error::HttpProtocolError)
    } else if error.is_user() || error.is_body_write_aborted() {
        // The guest's own body failed: it knows why.
        Some(Error::InternalError(Some(
            "the request's body ended in an error".to_owned(),
        )))
    } else {
        None
    }
}

/// A response's body that fails when the next frame is too long in coming.
struct TimedBody {
    body: hyper::body::Incoming,
    limit: Duration,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.sleep = None;
            return Poll::Ready(frame.map(|frame| {
                frame.map_err(|error| hyper_code(&error).unwrap_or(Error::ConnectionTerminated))
            }));
        }
        let limit = this.limit;
        let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep(limit)));
        ready!(sleep.as_mut().poll(cx));
        sleep.as_mut().reset(Instant::now() + limit);
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

type Processed = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sending =
    Box<dyn Future<Output = Result<(http::Response<WasiBody>, Processed), Error>> + Send>;

/// What one component may do with the network.
#[derive(Clone)]
pub struct Outbound {
    /// Its id.
    pub component: Arc<str>,
    /// The hosts that it may call.
    pub allowed: Arc<AllowedHosts>,
    /// The shared connections.
    pub client: OutboundClient,
    /// Where refusals go.
    pub log: Log,
}

impl Outbound {
    fn check(&self, uri: &Uri) -> Result<(), Error> {
        let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host().filter(|h| !h.is_empty()))
        else {
            self.refuse("it called a URL without a host; the host has no calls to itself");
            return Err(Error::HttpRequestDenied);
        };
        if !self.allowed.allows(scheme, host, uri.port_u16()) {
            // Neither the path nor the query: they may hold what is not for the log.
            let authority = uri
                .authority()
                .map(http::uri::Authority::as_str)
                .unwrap_or_default();
            let authority = authority.rsplit('@').next().unwrap_or_default();
            self.refuse(&format!(
                "it may not call {scheme}://{authority}: add that to its `allowed_outbound_hosts`"
            ));
            return Err(Error::HttpRequestDenied);
        }
        if scheme != "http" {
            self.refuse(&format!(
                "{scheme} calls are not supported here: go through the sidecar"
            ));
            return Err(Error::HttpProtocolError);
        }
        Ok(())
    }

    fn refuse(&self, message: &str) {
        self.log.component(Level::Error, &self.component, message);
    }
}

impl WasiHttpHooks for Outbound {
    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        _processed: Processed,
    ) -> Sending {
        if let Err(error) = self.check(request.uri()) {
            return Box::new(std::future::ready(Err(error)));
        }
        // The client sets it from the URL.
        request.headers_mut().remove(http::header::HOST);
        let client = self.client.clone();
        Box::new(async move {
            let response = client.send(request, options.unwrap_or_default()).await?;
            // The pool drives the connection: nothing is left for the caller to drive.
            let processed: Processed = Box::new(std::future::ready(Ok(())));
            Ok((response, processed))
        })
    }
}
