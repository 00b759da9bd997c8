//! Changes of one account in one instance take turns, first in, first out.

use docket_domain::AccountId;
use docket_service::Runtime;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The turns of every account.
#[derive(Clone)]
pub struct Turns<R: Runtime> {
    runtime: R,
    queues: Arc<Mutex<Queues<R>>>,
}

struct Queues<R: Runtime> {
    tickets: u64,
    /// Who waits behind the one whose turn it is; an account without a queue has nobody at all.
    waiting: HashMap<AccountId, VecDeque<(u64, R::Waker)>>,
}

impl<R: Runtime> Turns<R> {
    pub fn new(runtime: R) -> Self {
        Self {
            runtime,
            queues: Arc::new(Mutex::new(Queues {
                tickets: 0,
                waiting: HashMap::new(),
            })),
        }
    }

    /// Waits until it is this change's turn. Whoever stops waiting, or drops the turn, lets the next one go on.
    pub async fn take(&self, account: &AccountId) -> Turn<R> {
        let (place, woken) = {
            let mut queues = self.lock();
            queues.tickets += 1;
            let ticket = queues.tickets;
            let place = Turn {
                turns: self.clone(),
                account: account.clone(),
                ticket,
            };
            let Some(queue) = queues.waiting.get_mut(account) else {
                queues.waiting.insert(account.clone(), VecDeque::new());
                return place;
            };
            let (waker, woken) = self.runtime.wait();
            queue.push_back((ticket, waker));
            (place, woken)
        };
        woken.await;
        place
    }

    fn lock(&self) -> MutexGuard<'_, Queues<R>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue, and then the turn itself.
pub struct Turn<R: Runtime> {
    turns: Turns<R>,
    account: AccountId,
    ticket: u64,
}

impl<R: Runtime> Drop for Turn<R> {
    fn drop(&mut self) {
        let mut queues = self.turns.lock();
        let Some(queue) = queues.waiting.get_mut(&self.account) else {
            return;
        };
        if let Some(place) = queue.iter().position(|(ticket, _)| *ticket == self.ticket) {
            // It never was its turn.
            queue.remove(place);
        } else if queue.pop_front().is_none() {
            queues.waiting.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use docket_fake::Fake;
    use futures::executor::block_on;
    use futures::future::{FutureExt as _, join};
    use futures::poll;

    #[test]
    fn turns_come_in_order_and_pass_over_those_who_left() {
        block_on(async {
            let turns = Turns::new(Fake::default());
            let (ann, bob) = (
                AccountId::parse("ann").unwrap(),
                AccountId::parse("bob").unwrap(),
            );
            let first = turns.take(&ann).await;
            // Another account does not wait.
            drop(turns.take(&bob).await);
            let mut second = Box::pin(turns.take(&ann));
            let mut third = Box::pin(turns.take(&ann));
            let mut fourth = Box::pin(turns.take(&ann));
            assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
            assert!(poll!(&mut fourth).is_pending());
            // The second leaves before its turn, the third when it has just been called.
            drop(second);
            drop(first);
            drop(third);
            let turn = fourth.now_or_never().expect("the turn is passed on");
            let mut fifth = Box::pin(turns.take(&ann));
            assert!(poll!(&mut fifth).is_pending());
            drop(turn);
            drop(fifth.await);
            assert!(turns.lock().waiting.is_empty());
            let _both = join(turns.take(&ann), turns.take(&bob)).await;
        });
    }
}
