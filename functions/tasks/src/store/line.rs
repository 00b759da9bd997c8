//! The line in which an instance's changes wait to be stored. Whoever is at its head when nobody is at work leads: it
//! stores its own change and those that wait behind it, as far as they go together, and hands over to the next in line.

use docket_service::Runtime;
use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The line of an instance.
pub struct Line<R: Runtime, C> {
    runtime: R,
    state: Arc<Mutex<State<R, C>>>,
}

impl<R: Runtime, C> Clone for Line<R, C> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            state: self.state.clone(),
        }
    }
}

struct State<R: Runtime, C> {
    tickets: u64,
    /// Who is at work, or is called to be.
    leader: Option<u64>,
    waiting: VecDeque<Waiting<R, C>>,
}

/// One in the line. Dropped, it wakes its request.
struct Waiting<R: Runtime, C> {
    ticket: u64,
    change: Arc<C>,
    waker: Option<R::Waker>,
}

/// What the leader took off the line. When it is dropped, those whose changes it holds go on.
pub struct Group<R: Runtime, C>(Vec<Waiting<R, C>>);

impl<R: Runtime, C> Group<R, C> {
    /// The changes, in the order of their coming.
    pub fn changes(&self) -> Vec<Arc<C>> {
        self.0.iter().map(|one| one.change.clone()).collect()
    }
}

/// A place in the line. Whoever drops it leaves; if it was his to lead, the next one does.
pub struct Place<R: Runtime, C> {
    line: Line<R, C>,
    ticket: u64,
}

impl<R: Runtime, C> Line<R, C> {
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            state: Arc::new(Mutex::new(State {
                tickets: 0,
                leader: None,
                waiting: VecDeque::new(),
            })),
        }
    }

    /// Puts a change at the end. Whoever gets a future with his place awaits it: then he leads, or his change was taken
    /// by another leader who is done with it.
    pub fn join(
        &self,
        change: Arc<C>,
    ) -> (
        Place<R, C>,
        Option<impl Future<Output = ()> + Send + 'static>,
    ) {
        let mut state = self.lock();
        state.tickets += 1;
        let ticket = state.tickets;
        let (waker, woken) = if state.leader.is_none() {
            state.leader = Some(ticket);
            (None, None)
        } else {
            let (waker, woken) = self.runtime.wait();
            (Some(waker), Some(woken))
        };
        state.waiting.push_back(Waiting {
            ticket,
            change,
            waker,
        });
        let line = self.clone();
        (Place { line, ticket }, woken)
    }

    fn lock(&self) -> MutexGuard<'_, State<R, C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime, C> Place<R, C> {
    /// Takes up to `most` changes off the line, its own first; `None` if it does not lead.
    pub fn lead(&self, most: usize) -> Option<Group<R, C>> {
        let mut state = self.line.lock();
        if state.leader != Some(self.ticket) {
            return None;
        }
        let count = state.waiting.len().min(most);
        Some(Group(state.waiting.drain(..count).collect()))
    }
}

impl<R: Runtime, C> Drop for Place<R, C> {
    fn drop(&mut self) {
        let mut state = self.line.lock();
        state.waiting.retain(|one| one.ticket != self.ticket);
        if state.leader == Some(self.ticket) {
            let next = state.waiting.front_mut();
            let waker = next.and_then(|next| next.waker.take());
            state.leader = state.waiting.front().map(|next| next.ticket);
            drop(waker);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docket_fake::Fake;
    use futures::FutureExt as _;
    use futures::executor::block_on;
    use futures::poll;

    #[test]
    fn who_leads_takes_the_others_along_and_the_next_one_leads() {
        block_on(async {
            let line = Line::new(Fake::default());
            let (first, nothing) = line.join(Arc::new(1));
            assert!(nothing.is_none(), "whoever comes alone need not wait");
            let (second, mut second_woken) = line.join(Arc::new(2));
            let (third, mut third_woken) = line.join(Arc::new(3));
            let (fourth, mut fourth_woken) = line.join(Arc::new(4));
            assert!(second.lead(9).is_none());

            let group = first.lead(2).unwrap();
            assert_eq!(group.changes(), [Arc::new(1), Arc::new(2)]);
            assert!(poll!(second_woken.as_mut().unwrap()).is_pending());
            drop(group);
            assert!(second_woken.unwrap().now_or_never().is_some());
            assert!(
                second.lead(9).is_none(),
                "it was taken, so it does not lead"
            );
            assert!(poll!(third_woken.as_mut().unwrap()).is_pending());
            drop(first);
            assert!(third_woken.unwrap().now_or_never().is_some());
            assert!(poll!(fourth_woken.as_mut().unwrap()).is_pending());
            assert_eq!(third.lead(9).unwrap().changes(), [Arc::new(3), Arc::new(4)]);
            drop((second, third, fourth));
            let (fifth, nothing) = line.join(Arc::new(5));
            assert!(nothing.is_none());
            assert_eq!(fifth.lead(9).unwrap().changes(), [Arc::new(5)]);
        });
    }

    #[test]
    fn who_leaves_is_passed_over() {
        block_on(async {
            let line = Line::new(Fake::default());
            let (first, _) = line.join(Arc::new(1));
            let (second, _) = line.join(Arc::new(2));
            let (third, _) = line.join(Arc::new(3));
            let (fourth, fourth_woken) = line.join(Arc::new(4));
            // The second leaves before its time, the third when it has just been called.
            drop(second);
            drop(first.lead(1));
            drop(first);
            drop(third);
            assert!(fourth_woken.unwrap().now_or_never().is_some());
            assert_eq!(fourth.lead(9).unwrap().changes(), [Arc::new(4)]);
        });
    }
}
