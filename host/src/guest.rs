//! What one instance of a component holds on the host's side: its WASI context, limits and requests.

use std::collections::BTreeMap;
use std::io::Write;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wasmtime::component::{Accessor, GuestTaskId, HasData, ResourceTable};
use wasmtime::{ResourceLimiter, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::log::{Event, Level, Log};
use crate::outbound::Outbound;
use crate::turns::{Pace, Turns};
use crate::variables::is_variable_name;

#[expect(missing_docs, reason = "generated code")]
mod bindings {
    wasmtime::component::bindgen!({ path: "wit", world: "host" });
}

pub use bindings::spin::variables::variables;

/// How long a line of a guest's output may be; the rest starts another line.
const LINE: usize = 8 * 1024;

/// A request that an instance works on.
#[derive(Debug)]
pub struct InFlight {
    /// The request's id.
    pub id: String,
    ticks: AtomicU32,
    verdict: AtomicU8,
    settled: tokio::sync::Notify,
}

/// Why a request got no answer from its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing is known about it.
    Unknown,
    /// It ran on and on, or too long.
    TimedOut,
    /// It trapped.
    Trapped,
    /// Another request took the instance down.
    Bystander,
}

impl InFlight {
    /// A request that has just come.
    pub fn new(id: String) -> Self {
        Self {
            id,
            ticks: AtomicU32::new(0),
            verdict: AtomicU8::new(0),
            settled: tokio::sync::Notify::new(),
        }
    }

    /// Settles why the request got no answer; the first word holds.
    pub fn settle(&self, verdict: Verdict) {
        let code = match verdict {
            Verdict::Unknown => 4,
            Verdict::TimedOut => 1,
            Verdict::Trapped => 2,
            Verdict::Bystander => 3,
        };
        // The first verdict is the cause, later ones its consequence.
        let _ = self
            .verdict
            .compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
        self.settled.notify_one();
    }

    /// Waits for the word on it.
    pub async fn verdict(&self) -> Verdict {
        loop {
            match self.verdict.load(Ordering::Relaxed) {
                0 => self.settled.notified().await,
                1 => return Verdict::TimedOut,
                2 => return Verdict::Trapped,
                3 => return Verdict::Bystander,
                _ => return Verdict::Unknown,
            }
        }
    }
}

/// What every instance of one component shares.
pub struct Shared {
    /// The component's id.
    pub id: Arc<str>,
    /// Its variables, filled in.
    pub variables: BTreeMap<String, String>,
    /// Its environment.
    pub environment: Vec<(String, String)>,
    /// What it may call.
    pub outbound: Outbound,
    /// Where its output goes.
    pub log: Log,
    /// Bytes of linear memory that one instance may have.
    pub memory_limit: usize,
    /// Epoch ticks that one request may compute for.
    pub tick_limit: u32,
    /// The turns that its instances share with all others.
    pub turns: Arc<Turns>,
}

/// The data of a store.
pub struct Guest {
    shared: Arc<Shared>,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    outbound: Outbound,
    limits: Limits,
    requests: Vec<(GuestTaskId, Arc<InFlight>)>,
    pace: Pace,
    _alive: TaskTrackerToken,
}

impl Guest {
    /// The data of a new instance. `alive` tells the host that the instance is still there.
    pub fn new(shared: Arc<Shared>, alive: TaskTrackerToken) -> Self {
        let output = |stream| Output {
            component: Arc::clone(&shared.id),
            stream,
            log: shared.log.clone(),
            pending: Arc::default(),
        };
        // No files, no arguments, no network but by HTTP; the clocks and the random source are real.
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output("stdout"))
            .stderr(output("stderr"))
            .envs(&shared.environment)
            .allow_tcp(false)
            .allow_udp(false);
        Self {
            table: ResourceTable::new(),
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            outbound: shared.outbound.clone(),
            limits: Limits {
                memory: 0,
                limit: shared.memory_limit,
                refused: false,
            },
            requests: Vec::new(),
            pace: Pace::new(Arc::clone(&shared.turns)),
            _alive: alive,
            shared,
        }
    }

    /// What bounds the instance's memory.
    pub fn limiter(&mut self) -> &mut dyn ResourceLimiter {
        &mut self.limits
    }

    /// How the instance spends its time.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Whether the instance asked for more memory than it may have.
    pub fn was_refused_memory(&self) -> bool {
        self.limits.refused
    }

    /// Notes that a task of the instance works on a request.
    pub fn start(&mut self, task: GuestTaskId, request: Arc<InFlight>) {
        // A task that has ended leaves its number to another. Requests that were answered stay: their tasks
        // may go on. An instance takes few requests in its life, so the list stays short.
        self.requests.retain(|(other, _)| *other != task);
        self.requests.push((task, request));
    }

    /// The request that a task works on.
    pub fn request_of(&self, task: GuestTaskId) -> Option<&Arc<InFlight>> {
        self.requests
            .iter()
            .find(|(other, _)| *other == task)
            .map(|(_, request)| request)
    }

    /// Settles every request of the instance: `culprit` for the task that brought it down, `others` for the rest.
    pub fn settle(&self, task: Option<GuestTaskId>, culprit: Verdict, others: Verdict) {
        for (other, request) in &self.requests {
            request.settle(if Some(*other) == task {
                culprit
            } else {
                others
            });
        }
    }
}

/// Runs at every tick of the epoch while the guest computes: lets others run, and ends a request that computes
/// for too long.
pub fn on_epoch(mut store: StoreContextMut<'_, Guest>) -> wasmtime::Result<UpdateDeadline> {
    // An instance that has just woken up also comes by here.
    if !store.data().pace.has_computed_all_along() {
        return Ok(UpdateDeadline::Continue(1));
    }
    let task = store.async_call_stack()?.last();
    let guest = store.data_mut();
    if let Some(task) = task
        && let Some(request) = guest.request_of(task)
        && request.ticks.fetch_add(1, Ordering::Relaxed) >= guest.shared.tick_limit
    {
        let id = request.id.clone();
        guest.settle(Some(task), Verdict::TimedOut, Verdict::Bystander);
        wasmtime::bail!("request {id} computed for longer than it may");
    }
    Ok(UpdateDeadline::YieldCustom(1, Box::pin(guest.pace.turn())))
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut self.outbound,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}

/// The host's side of `spin:variables`.
pub struct Variables;

impl HasData for Variables {
    type Data<'a> = &'a mut Guest;
}

impl variables::Host for Guest {}

impl<T> variables::HostWithStore<T> for Variables {
    async fn get(store: &Accessor<T, Self>, name: String) -> Result<String, variables::Error> {
        store.with(|mut access| {
            if !is_variable_name(&name) {
                return Err(variables::Error::InvalidName(name));
            }
            match access.get().shared.variables.get(&name) {
                Some(value) => Ok(value.clone()),
                None => Err(variables::Error::Undefined(name)),
            }
        })
    }
}

struct Limits {
    memory: usize,
    limit: usize,
    refused: bool,
}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A component may have several memories: what counts is their sum.
        let total = self.memory.saturating_add(desired.saturating_sub(current));
        if total > self.limit {
            self.refused = true;
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= 100_000)
    }
}

/// Standard output or error of an instance: goes to the log line by line.
#[derive(Clone)]
struct Output {
    component: Arc<str>,
    stream: &'static str,
    log: Log,
    // The guest may open the stream many times; a line may come in pieces.
    pending: Arc<Mutex<Pending>>,
}

#[derive(Default)]
struct Pending(Vec<u8>);

impl Output {
    fn line(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line);
        let message = text.trim_end_matches('\r');
        let level = if self.stream == "stderr" {
            Level::Warn
        } else {
            Level::Info
        };
        let event = Event::Guest {
            component: &self.component,
            stream: self.stream,
            message,
        };
        self.log.write(level, &event);
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) if pending.0.is_empty() => self.line(end),
                Some(end) => {
                    pending.0.extend_from_slice(end);
                    self.line(&pending.0);
                    pending.0.clear();
                }
                None => pending.0.extend_from_slice(piece),
            }
            while let Some((line, rest)) = pending.0.split_at_checked(LINE) {
                self.line(line);
                pending.0 = rest.to_vec();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        // The last of the instance's streams: what has no line end yet is a line all the same.
        if Arc::strong_count(&self.pending) == 1 {
            let rest = std::mem::take(
                &mut self
                    .pending
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .0,
            );
            if !rest.is_empty() {
                self.line(&rest);
            }
        }
    }
}

impl AsyncWrite for Output {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}
