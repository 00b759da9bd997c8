//! `docket-host`: serves the HTTP triggers of a Spin manifest. See `--help`.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};
use docket_host::app::{App, AppOptions};
use docket_host::callers::CallerLimits;
use docket_host::log::{Format, Level, Log};
use docket_host::pool::Limits;
use docket_host::serve::{ConnectionLimits, serve};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Serves the HTTP triggers of a Spin application, as `spin up` would.
///
/// A variable NAME of the application is set by SPIN_VARIABLE_NAME in the environment. With
/// DOCKET_WATCH_STDIN=1 in the environment the host also stops when its standard input ends.
/// GET /.well-known/spin/health answers 200 as soon as the host serves.
#[derive(Parser)]
#[command(name = "docket-host", version)]
struct Arguments {
    /// The application's manifest
    #[arg(long, default_value = "spin.toml", value_name = "FILE")]
    manifest: PathBuf,
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:3000", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Keeps compiled components here, so that the next start takes milliseconds
    #[arg(long, value_name = "FOLDER")]
    cache_dir: Option<PathBuf>,
    /// How the lines on standard output look
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
    /// Serves only this component; may be repeated
    #[arg(long = "component", value_name = "ID")]
    components: Vec<String>,
    /// How long a request may take until its answer begins, in seconds
    #[arg(long, default_value_t = 30, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    request_timeout: u64,
    /// How long a request may compute, in seconds
    #[arg(long, default_value_t = 10, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    compute_timeout: u64,
    /// How long an answer's body and spawned tasks may go on after the answer began, in seconds
    #[arg(long, default_value_t = 60, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    background_timeout: u64,
    /// How long running requests and tasks may go on after a signal to stop, in seconds
    #[arg(long, default_value_t = 10, value_name = "SECONDS")]
    shutdown_timeout: u64,
    /// Memory of one instance, in MiB
    #[arg(long, default_value_t = 256, value_name = "MIB", value_parser = clap::value_parser!(u32).range(1..=4096))]
    memory_limit: u32,
    /// Requests that one component works on at once; more wait
    #[arg(long, default_value_t = 128, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1024))]
    concurrency: u32,
    /// Requests that one instance serves in its life
    #[arg(long, default_value_t = 128, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_instance_reuse_count: u32,
    /// Requests that one instance serves at once
    #[arg(long, default_value_t = 16, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=1024))]
    max_instance_concurrent_reuse_count: u32,
    /// Open connections; more wait
    #[arg(long, default_value_t = 1024, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_connections: u32,
    /// Requests that change something, by one client address within a minute; without, any number
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_changes_per_minute: Option<u32>,
    /// Requests that are answered with 401, by one client address within a minute; without, any number
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    max_refusals_per_minute: Option<u32>,
    /// Proxies that stand before the host, each of which names its client in X-Forwarded-For
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    trusted_proxies: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum LogFormat {
    Json,
    Text,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("docket-host: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let format = match arguments.log_format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    };
    let (log, _writer) = Log::new(format, std::io::stdout()).context("cannot start the log")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(run_until_stopped(arguments, log.clone()));
    // Whatever still runs had its time.
    runtime.shutdown_timeout(Duration::from_millis(100));
    log.flush();
    result
}

async fn run_until_stopped(arguments: Arguments, log: Log) -> anyhow::Result<()> {
    let start = Instant::now();
    // Signals first: one that comes while components are compiled must not be lost.
    let stop = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate()).context("cannot watch for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot watch for SIGINT")?;
    if std::env::var_os("DOCKET_WATCH_STDIN").is_some_and(|value| value == "1") {
        watch_stdin(stop.clone()).context("cannot watch standard input")?;
    }

    // The port before the components: a busy one is told at once.
    let listener = match tokio::net::TcpListener::bind(arguments.listen).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            bail!(
                "the address {} is in use by another process",
                arguments.listen
            )
        }
        Err(error) => bail!("cannot listen on {}: {error}", arguments.listen),
    };
    let address = listener.local_addr().context("cannot tell the address")?;

    let options = AppOptions {
        manifest: arguments.manifest,
        cache: arguments.cache_dir,
        limits: Limits {
            request: Duration::from_secs(arguments.request_timeout),
            compute: Duration::from_secs(arguments.compute_timeout),
            background: Duration::from_secs(arguments.background_timeout),
            memory: usize::try_from(arguments.memory_limit)? << 20,
            concurrency: usize::try_from(arguments.concurrency)?,
            reuse: usize::try_from(arguments.max_instance_reuse_count)?,
            concurrent_reuse: usize::try_from(arguments.max_instance_concurrent_reuse_count)?,
        },
        only: arguments.components.into_iter().collect::<BTreeSet<_>>(),
        log: log.clone(),
    };
    let app = tokio::task::spawn_blocking(|| App::load(options, |name| std::env::var(name).ok()))
        .await
        .context("loading the application failed")??;
    let app = Arc::new(app);
    let components: Vec<&str> = app.components().collect();
    log.host(
        Level::Info,
        &format!(
            "serving {} on http://{address}, ready in {} ms",
            components.join(", "),
            start.elapsed().as_millis()
        ),
    );

    let open = TaskTracker::new();
    let limits = ConnectionLimits {
        connections: usize::try_from(arguments.max_connections)?,
        callers: CallerLimits {
            changes: arguments.max_changes_per_minute,
            refusals: arguments.max_refusals_per_minute,
            trusted_proxies: arguments.trusted_proxies,
        },
        ..ConnectionLimits::default()
    };
    let server = tokio::spawn(serve(
        Arc::clone(&app),
        listener,
        limits,
        stop.clone(),
        open.clone(),
    ));
    let reason = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = stop.cancelled() => "the end of standard input",
    };
    log.host(Level::Info, &format!("stopping: {reason}"));
    stop.cancel();
    let finished = async {
        // It returns at once: the token is cancelled.
        let _ = server.await;
        open.close();
        open.wait().await;
        app.finish().await;
    };
    tokio::select! {
        () = finished => log.host(Level::Info, "stopped"),
        () = tokio::time::sleep(Duration::from_secs(arguments.shutdown_timeout)) => {
            log.host(Level::Warn, "stopped: what still ran was cut off");
        }
        _ = interrupt.recv() => log.host(Level::Warn, "stopped at once: a second SIGINT"),
    }
    Ok(())
}

fn watch_stdin(stop: CancellationToken) -> std::io::Result<()> {
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .spawn(move || {
            let mut buffer = [0_u8; 256];
            let mut stdin = std::io::stdin().lock();
            loop {
                match stdin.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            stop.cancel();
        })?;
    Ok(())
}
