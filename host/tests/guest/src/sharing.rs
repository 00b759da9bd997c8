//! What requests of one instance have in common.
//!
//! Requests are tasks of the component model, and Rust's own wakers do not reach from one to another: waking
//! takes a stream of the component model, whose reader is woken when its writer goes.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use spin_sdk::wasip3::wit_bindgen::StreamWriter;
use spin_sdk::wasip3::wit_stream;

use crate::{Answer, milliseconds, text};

static REQUESTS: AtomicU64 = AtomicU64::new(0);
static WAITING: Mutex<Vec<(String, StreamWriter<u8>)>> = Mutex::new(Vec::new());

/// Counts the requests that this instance has counted.
pub(crate) fn count() -> Answer {
    text((REQUESTS.fetch_add(1, Ordering::Relaxed) + 1).to_string())
}

/// Waits until another request of the same instance wakes it by name.
pub(crate) async fn wait(name: &str) -> Answer {
    let (writer, mut reader) = wit_stream::new::<u8>();
    if let Ok(mut waiting) = WAITING.lock() {
        waiting.push((name.to_owned(), writer));
    }
    // It never holds anything: its end is the sign.
    reader.next().await;
    text("woken")
}

/// Whether a request of this instance waits under a name.
pub(crate) fn waits(name: &str) -> bool {
    WAITING
        .lock()
        .is_ok_and(|waiting| waiting.iter().any(|(other, _)| other == name))
}

/// Wakes those that wait under a name; tells how many.
pub(crate) fn wake(name: &str) -> Answer {
    let Ok(mut waiting) = WAITING.lock() else {
        return text("poisoned");
    };
    let before = waiting.len();
    waiting.retain(|(other, _)| other != name);
    text((before - waiting.len()).to_string())
}

struct Lock {
    held: bool,
    turns: u64,
    queue: std::collections::VecDeque<StreamWriter<u8>>,
}

static LOCK: Mutex<Lock> = Mutex::new(Lock {
    held: false,
    turns: 0,
    queue: std::collections::VecDeque::new(),
});

/// Holds a lock over a wait; tells how many requests of the instance have held it so far.
pub(crate) async fn lock(time: u64) -> Answer {
    loop {
        let mut reader = {
            let Ok(mut lock) = LOCK.lock() else {
                return text("poisoned");
            };
            if !lock.held {
                lock.held = true;
                break;
            }
            let (writer, reader) = wit_stream::new::<u8>();
            lock.queue.push_back(writer);
            reader
        };
        reader.next().await;
    }
    spin_sdk::time::sleep(milliseconds(time)).await;
    let Ok(mut lock) = LOCK.lock() else {
        return text("poisoned");
    };
    lock.turns += 1;
    lock.held = false;
    drop(lock.queue.pop_front());
    text(lock.turns.to_string())
}
