//! The world outside of the rules: time, chance, the network, work that goes on after the answer.

use docket_domain::{Entropy, Instant};
use docket_sidecar::Transport;
use std::future::Future;
use std::time::Duration;

/// What a function is given by the platform that it runs on. Handlers are generic over it, so that unit tests run
/// them without a platform.
pub trait Runtime: Transport {
    /// The wall-clock time.
    fn now(&self) -> Instant;

    /// A clock that never goes back, from an arbitrary start; for deadlines.
    fn elapsed(&self) -> Duration;

    /// 128 bits from the platform's source of randomness.
    fn entropy(&self) -> Entropy;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Waits by chance, up to `longest`: those who raced for a document do not meet again.
    fn pause(&self, longest: Duration) -> impl Future<Output = ()> + Send {
        let chance = (self.entropy().0 % 1_000) as u32;
        self.sleep(longest * chance / 1_000)
    }

    /// What ends a wait when it is dropped.
    type Waker: Send;

    /// A wait of one request for another of the same instance: it ends when the waker is dropped. Requests of an
    /// instance are tasks of the component model, which Rust's own wakers do not reach, so nothing else may be waited
    /// for across requests: no channel, no async lock.
    fn wait(&self) -> (Self::Waker, impl Future<Output = ()> + Send + 'static);

    /// Lets `task` go on after the answer was given.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static);
}
