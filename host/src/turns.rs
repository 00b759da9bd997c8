//! Whose turn it is to compute.
//!
//! Most requests wait for others nearly all of their time. One that computes on and on (a password's hash, a large import)
//! would keep a thread from them, and some of those all threads. So whoever has computed for a whole tick of the clock goes
//! on only in turn, and of all instances together there is one turn a tick less than the machine has processors: those that
//! compute little never wait behind those that compute much.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

/// The turns of all instances.
#[derive(Debug)]
pub struct Turns {
    /// Those of the present tick that nobody has taken.
    left: Semaphore,
    each_tick: usize,
}

impl Turns {
    /// Turns for a machine of this one's size.
    pub fn of_this_machine() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Self::new(processors.saturating_sub(1).max(1))
    }

    /// So many turns a tick.
    pub fn new(each_tick: usize) -> Self {
        Self {
            left: Semaphore::new(each_tick),
            each_tick,
        }
    }

    /// A tick has passed: there are as many turns as at the beginning, whether or not the last ones were taken.
    pub fn begin_tick(&self) {
        let taken = self.each_tick.saturating_sub(self.left.available_permits());
        self.left.add_permits(taken);
    }

    /// Waits for a turn, first come, first served. It is over with the tick.
    async fn next(&self) {
        // Whatever else is ready on this thread comes first, and what the network brought. (A task that only wakes itself
        // would be run again without a look at the network, for dozens of times.)
        tokio::task::yield_now().await;
        if let Ok(turn) = self.left.acquire().await {
            turn.forget();
        }
    }
}

/// How one instance spends its time.
#[derive(Clone, Debug)]
pub struct Pace {
    turns: Arc<Turns>,
    /// Whether it has waited for something since the last look.
    waited: Arc<AtomicBool>,
}

impl Pace {
    /// That of a new instance.
    pub fn new(turns: Arc<Turns>) -> Self {
        Self {
            turns,
            waited: Arc::new(AtomicBool::new(true)),
        }
    }

    /// The instance waits for something.
    pub fn wait(&self) {
        self.waited.store(true, Ordering::Relaxed);
    }

    /// Whether the instance has done nothing but compute since this was asked last, or since its turn began.
    pub fn has_computed_all_along(&self) -> bool {
        !self.waited.swap(false, Ordering::Relaxed)
    }

    /// Waits until the instance may compute for another tick.
    pub fn turn(&self) -> impl Future<Output = ()> + Send + use<> {
        let Self { turns, waited } = self.clone();
        async move {
            turns.next().await;
            // It waited for its turn alone.
            waited.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt as _;

    #[tokio::test]
    async fn each_tick_has_its_turns_for_who_came_first() {
        let turns = Arc::new(Turns::new(2));
        let pace = Pace::new(Arc::clone(&turns));
        let mut line: Vec<_> = (0..5).map(|n| (n, Box::pin(pace.turn()))).collect();
        // All get in line before the network is looked at, and so before anybody has a turn.
        for (_, one) in &mut line {
            assert_eq!(one.now_or_never(), None);
        }
        for expected in [&[0, 1][..], &[2, 3], &[4]] {
            let mut went = Vec::new();
            line.retain_mut(|(n, one)| {
                let goes = one.now_or_never().is_some();
                went.extend(goes.then_some(*n));
                !goes
            });
            assert_eq!(went, expected);
            turns.begin_tick();
        }
    }

    #[tokio::test]
    async fn turns_that_nobody_took_are_gone() {
        let turns = Arc::new(Turns::new(1));
        for _ in 0..3 {
            turns.begin_tick();
        }
        let pace = Pace::new(Arc::clone(&turns));
        pace.turn().await;
        let mut second = Box::pin(pace.turn());
        assert_eq!((&mut second).now_or_never(), None);
        assert_eq!((&mut second).now_or_never(), None);
        turns.begin_tick();
        second.await;
    }

    #[tokio::test]
    async fn who_waits_for_something_else_has_not_computed_all_along() {
        let pace = Pace::new(Arc::new(Turns::new(1)));
        assert!(!pace.has_computed_all_along(), "it is new");
        assert!(pace.has_computed_all_along());
        pace.wait();
        assert!(!pace.has_computed_all_along());
        // While it waits for its turn, the instance as a whole waits as well.
        let turn = pace.turn();
        pace.wait();
        turn.await;
        assert!(pace.has_computed_all_along());
    }
}
