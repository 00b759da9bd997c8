//! The instances of one component: made when needed, reused within bounds, dropped when one misbehaves.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tokio_util::task::TaskTracker;
use wasmtime::component::GuestTaskId;
use wasmtime::{AsContextMut, Engine, Store, StoreContextMut};
use wasmtime_wasi_http::handler::{
    ExpirationError, HandlerState, Instance, InstantiationError, ProxyHandler, ProxyPre, Request,
    Response, ShouldAccept, TrapOrPanicError, WorkerExpiration, WorkerState, WorkerStatus,
};
use wasmtime_wasi_http::{WasiHttpView, p3};

use crate::guest::{Guest, InFlight, Shared, Verdict, on_epoch};
use crate::log::Level;
use crate::turns::Pace;

/// How long an instance waits for its next request.
const IDLE: Duration = Duration::from_secs(10);

/// Bounds on how a component runs.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From a request's head to the head of its answer, waiting for an instance included.
    pub request: Duration,
    /// What a request may compute of that.
    pub compute: Duration,
    /// For what goes on after the answer's head: its body and spawned tasks.
    pub background: Duration,
    /// Bytes of linear memory of one instance.
    pub memory: usize,
    /// Requests that one component works on at once.
    pub concurrency: usize,
    /// Requests that one instance serves in its life.
    pub reuse: usize,
    /// Requests that one instance serves at once.
    pub concurrent_reuse: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request: Duration::from_secs(30),
            compute: Duration::from_secs(10),
            background: Duration::from_secs(60),
            memory: 256 << 20,
            concurrency: 128,
            reuse: 128,
            concurrent_reuse: 16,
        }
    }
}

/// Why a request got no answer from its component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It took or computed for too long.
    TimedOut,
    /// It trapped, or answered with an error of the platform.
    Failed,
    /// Another request brought down the instance that they shared, or there was no room for it.
    Unavailable,
}

/// The instances of one component.
#[derive(Clone)]
pub struct Pool {
    handler: ProxyHandler<Component>,
    places: Arc<Semaphore>,
    limits: Limits,
    shared: Arc<Shared>,
}

impl Pool {
    /// A pool without instances. `alive` counts the instances that there are, `stop` asks the idle ones to go.
    pub fn new(
        engine: Engine,
        pre: ProxyPre<Guest>,
        shared: Arc<Shared>,
        limits: Limits,
        alive: TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let component = Component {
            engine,
            pre,
            shared: Arc::clone(&shared),
            limits,
            alive,
            stop,
        };
        Self {
            handler: ProxyHandler::new(component),
            places: Arc::new(Semaphore::new(limits.concurrency)),
            limits,
            shared,
        }
    }

    /// The component's id.
    pub fn id(&self) -> Arc<str> {
        Arc::clone(&self.shared.id)
    }

    /// Has an instance answer a request.
    ///
    /// A request that computes beyond its bound, and one that traps, takes its instance with it. Requests that
    /// share the instance and have no answer yet are then [`Failure::Unavailable`]: what they did is unknown, so
    /// they are not run again here; the client may.
    pub async fn handle(&self, request: Request, id: &str) -> Result<Response, Failure> {
        let deadline = tokio::time::Instant::now() + self.limits.request;
        let place = tokio::time::timeout_at(deadline, self.places.acquire()).await;
        let Ok(Ok(_place)) = place else {
            self.log(
                Level::Warn,
                "no place became free for a request in its time",
                id,
            );
            return Err(Failure::Unavailable);
        };
        let in_flight = Arc::new(InFlight::new(id.to_owned()));
        let error = match self.handler.handle(Arc::clone(&in_flight), request).await {
            Ok(response) => return Ok(response),
            Err(error) => error,
        };
        if error.is::<ExpirationError>() {
            self.log(Level::Error, "a request took longer than it may", id);
            return Err(Failure::TimedOut);
        }
        if error.is::<TrapOrPanicError>() {
            // The instance says why when it is taken down, which is about now.
            let verdict = tokio::time::timeout(Duration::from_secs(1), in_flight.verdict()).await;
            return Err(match verdict {
                Ok(Verdict::TimedOut) => Failure::TimedOut,
                Ok(Verdict::Bystander) => Failure::Unavailable,
                Ok(Verdict::Trapped | Verdict::Unknown) | Err(_) => Failure::Failed,
            });
        }
        if let Some(error) = error.downcast_ref::<InstantiationError<Arc<InFlight>>>() {
            let message = format!("no instance could be made: {:#}", error.error);
            self.log(Level::Error, &message, id);
            return Err(Failure::Unavailable);
        }
        self.log(
            Level::Error,
            &format!("a request ended in an error: {error:#}"),
            id,
        );
        Err(Failure::Failed)
    }

    fn log(&self, level: Level, message: &str, request: &str) {
        let event = crate::log::Event::Host {
            message,
            component: Some(&self.shared.id),
            request_id: Some(request),
        };
        self.shared.log.write(level, &event);
    }
}

struct Component {
    engine: Engine,
    pre: ProxyPre<Guest>,
    shared: Arc<Shared>,
    limits: Limits,
    alive: TaskTracker,
    stop: CancellationToken,
}

impl HandlerState for Component {
    type StoreData = Guest;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<Guest, Expiration, Worker>> {
        let guest = Guest::new(Arc::clone(&self.shared), self.alive.token());
        let pace = guest.pace().clone();
        let mut store = Store::new(&self.engine, guest);
        store.limiter(Guest::limiter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(on_epoch);
        let instantiation = self.pre.instantiate_async(store.as_context_mut());
        let proxy = tokio::time::timeout(self.limits.request, instantiation)
            .await
            .map_err(|_| wasmtime::format_err!("instantiation took too long"))??;
        Ok(Instance {
            store,
            proxy,
            view: Guest::http,
            expiration: Expiration {
                limits: self.limits,
                pace,
                stop: Box::pin(self.stop.clone().cancelled_owned()),
                sleep: Box::pin(tokio::time::sleep(IDLE)),
            },
            state: Worker {
                shared: Arc::clone(&self.shared),
                limits: self.limits,
            },
        })
    }
}

/// Says when an instance has to go. It is asked whenever the instance waits for something.
struct Expiration {
    limits: Limits,
    pace: Pace,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    sleep: Pin<Box<Sleep>>,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        status: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        self.pace.wait();
        let limit = match status {
            WorkerStatus::Idle => {
                if self.stop.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
                IDLE
            }
            WorkerStatus::Requests => self.limits.request,
            WorkerStatus::PostReturn => self.limits.background,
        };
        let Some(deadline) = start.checked_add(limit) else {
            return Poll::Pending;
        };
        let deadline = deadline.into();
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// Says what an instance takes on, and clears up after it.
struct Worker {
    shared: Arc<Shared>,
    limits: Limits,
}

impl WorkerState for Worker {
    type StoreData = Guest;
    type RequestData = Arc<InFlight>;

    fn should_accept_request(&self, concurrent: usize, total: usize) -> ShouldAccept {
        if total >= self.limits.reuse {
            ShouldAccept::Never
        } else if concurrent >= self.limits.concurrent_reuse {
            ShouldAccept::No
        } else {
            ShouldAccept::Yes
        }
    }

    fn on_request_start(
        &self,
        mut store: StoreContextMut<'_, Guest>,
        request: Arc<InFlight>,
        task: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + Sync>> {
        store.data_mut().start(task, request);
        Box::pin(tokio::time::sleep(self.limits.request))
    }

    fn drop(&self, mut store: Store<Guest>, result: wasmtime::Result<()>) {
        let Err(error) = result else { return };
        let task = store
            .as_context_mut()
            .async_call_stack()
            .ok()
            .and_then(Iterator::last);
        let guest = store.data();
        let others = if task.is_some() {
            Verdict::Bystander
        } else {
            Verdict::Unknown
        };
        guest.settle(task, Verdict::Trapped, others);
        let request = task.and_then(|task| guest.request_of(task));
        let hint = if guest.was_refused_memory() {
            " (it had reached its memory limit)"
        } else {
            ""
        };
        let message = format!("an instance was taken down{hint}: {error:#}");
        self.shared.log.write(
            Level::Error,
            &crate::log::Event::Host {
                message: &message,
                component: Some(&self.shared.id),
                request_id: request.map(|request| request.id.as_str()),
            },
        );
    }
}

/// Checks that a component exports what the host calls.
pub fn proxy_pre(
    pre: wasmtime::component::InstancePre<Guest>,
) -> wasmtime::Result<ProxyPre<Guest>> {
    let exports: Vec<String> = pre
        .component()
        .component_type()
        .exports(pre.engine())
        .map(|(name, _)| name.to_owned())
        .collect();
    if exports
        .iter()
        .any(|name| name.starts_with("wasi:http/incoming-handler@0.2"))
    {
        wasmtime::bail!(
            "it is a WASI 0.2 component (it exports wasi:http/incoming-handler): build it with spin-sdk 7 or later"
        );
    }
    let service = p3::bindings::ServicePre::new(pre).map_err(|_| {
        wasmtime::format_err!(
            "it does not export wasi:http/handler@0.3.0 but {}",
            if exports.is_empty() {
                "nothing".to_owned()
            } else {
                exports.join(", ")
            }
        )
    })?;
    Ok(ProxyPre::P3(service))
}
