//! What the tests share: guests built once, a host in this process, a client that shows what came over the wire.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use docket_api::problem::Code;
use docket_host::app::{App, AppError, AppOptions};
use docket_host::log::{Format, Log};
use docket_host::pool::Limits;
use docket_host::serve::{ConnectionLimits, serve};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long anything may take before the test fails.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Builds a guest package with the project's own build, once for all tests of the process.
pub fn guest(package: &'static str) -> PathBuf {
    static BUILT: Mutex<Vec<(&str, PathBuf)>> = Mutex::new(Vec::new());
    let mut built = BUILT.lock().unwrap();
    if let Some((_, path)) = built.iter().find(|(name, _)| *name == package) {
        return path.clone();
    }
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{package}.wasm"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args([
            "run",
            "--quiet",
            "--package",
            "docket-cli",
            "--",
            "build",
            "--package",
            package,
        ])
        .arg("--out")
        .arg(&out)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .expect("cargo does not start");
    assert!(
        output.status.success() && out.is_file(),
        "the guest `{package}` cannot be built:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    built.push((package, out.clone()));
    out
}

/// A component's compiled form is kept for all tests of this build.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled")
}

/// The lines of a log.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    pub fn all(&self) -> Vec<serde_json::Value> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect()
    }

    /// Waits for a line that fits.
    pub async fn find(
        &self,
        what: &str,
        fits: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        poll(what, || self.all().into_iter().find(|line| fits(line))).await
    }
}

/// Asks again and again until there is an answer.
pub async fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < DEADLINE, "waited too long for {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A host that serves on a port of its own.
pub struct Host {
    pub address: SocketAddr,
    pub log: Lines,
    app: Arc<App>,
    stop: CancellationToken,
    open: TaskTracker,
    _folder: tempfile::TempDir,
}

/// How a test's host differs from the usual one.
#[derive(Clone, Copy, Default)]
pub struct Bounds {
    pub limits: Limits,
    pub connections: ConnectionLimits,
}

/// The manifest of one component, the guest, that has every path; `component` goes into its table.
pub fn manifest(package: &'static str, component: &str) -> String {
    format!(
        "spin_manifest_version = 2\n[application]\nname = \"test\"\nversion = \"1.2.3\"\n\
         [[trigger.http]]\nroute = \"/...\"\ncomponent = \"guest\"\n\
         [component.guest]\nsource = {:?}\n{component}",
        guest(package)
    )
}

/// Makes the application of a manifest's text ready; the folder goes with the manifest.
pub fn load(
    manifest: &str,
    environment: &[(&str, &str)],
    limits: Limits,
) -> Result<(App, Lines, tempfile::TempDir), AppError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spin.toml");
    std::fs::write(&path, manifest).unwrap();
    load_file(&path, environment, limits).map(|(app, lines)| (app, lines, folder))
}

/// Makes the application of a manifest ready.
pub fn load_file(
    path: &Path,
    environment: &[(&str, &str)],
    limits: Limits,
) -> Result<(App, Lines), AppError> {
    let lines = Lines::default();
    let (log, _) = Log::new(Format::Json, lines.clone()).unwrap();
    let options = AppOptions {
        manifest: path.to_owned(),
        cache: Some(cache()),
        limits,
        only: Default::default(),
        log,
    };
    let ask = |name: &str| {
        environment
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    App::load(options, ask).map(|app| (app, lines))
}

impl Host {
    pub async fn start(manifest: &str) -> Self {
        Self::with(manifest, &[], Bounds::default()).await
    }

    pub async fn with(manifest: &str, environment: &[(&str, &str)], bounds: Bounds) -> Self {
        let (app, log, folder) = load(manifest, environment, bounds.limits).unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (app, stop, open) = (Arc::new(app), CancellationToken::new(), TaskTracker::new());
        tokio::spawn(serve(
            Arc::clone(&app),
            listener,
            bounds.connections,
            stop.clone(),
            open.clone(),
        ));
        Self {
            address,
            log,
            app,
            stop,
            open,
            _folder: folder,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path), "").await
    }

    pub async fn send(&self, request: http::request::Builder, body: impl Into<Bytes>) -> Answer {
        tokio::time::timeout(DEADLINE, send(self.address, request, body.into()))
            .await
            .expect("no answer in time")
    }

    /// Stops as on a signal, and waits for all that runs.
    pub async fn stop(&self) {
        self.stop.cancel();
        self.open.close();
        tokio::time::timeout(DEADLINE, async {
            self.open.wait().await;
            self.app.finish().await;
        })
        .await
        .expect("it did not stop in time");
    }
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).expect(&self.body)
    }

    /// Checks that it is a problem of the closed list of codes, as the functions' own are.
    #[track_caller]
    pub fn is_problem(&self, code: Code) {
        assert_eq!(self.status, code.status());
        assert_eq!(self.json()["code"], serde_json::json!(code));
        assert_eq!(self.header("content-type"), "application/problem+json");
    }

    #[track_caller]
    pub fn is(&self, status: u16, body: &str) {
        assert_eq!((self.status.as_u16(), self.body.as_str()), (status, body));
    }
}

/// Sends one request on a connection of its own.
pub async fn send(address: SocketAddr, request: http::request::Builder, body: Bytes) -> Answer {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let mut request = request.body(Full::new(body)).unwrap();
    if !request.headers().contains_key(http::header::HOST) {
        let host = address.to_string().parse().unwrap();
        request.headers_mut().insert(http::header::HOST, host);
    }
    let response = sender.send_request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    connection.abort();
    Answer {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// A server that the guests call: remembers what it got, answers as told.
pub struct Upstream {
    pub address: SocketAddr,
    pub got: Arc<Mutex<Vec<(String, String, String)>>>,
    pub connections: Arc<std::sync::atomic::AtomicUsize>,
}

impl Upstream {
    /// Answers every request at once with its method, path and body.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let got = Arc::new(Mutex::new(Vec::new()));
        let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let upstream = Self {
            address,
            got: Arc::clone(&got),
            connections: Arc::clone(&connections),
        };
        tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                connections.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                stream.set_nodelay(true).unwrap();
                let got = Arc::clone(&got);
                let service =
                    hyper::service::service_fn(move |request: Request<hyper::body::Incoming>| {
                        let got = Arc::clone(&got);
                        async move {
                            let method = request.method().to_string();
                            let path = request.uri().to_string();
                            let body = request.into_body().collect().await?.to_bytes();
                            let body = String::from_utf8_lossy(&body).into_owned();
                            let text = format!("{method} {path} {body}");
                            got.lock().unwrap().push((method, path, body));
                            Ok::<_, hyper::Error>(http::Response::new(Full::new(Bytes::from(text))))
                        }
                    });
                tokio::spawn(async move {
                    // A client that goes away is no failure.
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        upstream
    }

    /// Accepts connections and never answers.
    pub async fn silent() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.push(stream);
            }
        });
        address
    }
}
