//! Whole-system tests: stacks that `cargo docket up` really starts, clients that talk HTTP, events read back from the
//! broker, and processes that are killed or stopped in the middle of it.
//!
//! The suites are `tests/system.rs` and `tests/faults.rs`. A test gives an error (or panics) to fail; nothing is
//! skipped, and what was measured goes to standard error.

pub mod audit;
pub mod client;
pub mod contract;
pub mod events;
pub mod mail;
pub mod reminders;
pub mod secrets;
pub mod servers;
pub mod stack;
pub mod suite;
pub mod visitor;
pub mod workload;

use anyhow::{Context as _, Result, bail};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks until `look` gives something, and fails when that takes longer than `within`.
///
/// # Errors
/// What `look` gave as its error, or what was last missing.
pub async fn until<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        if let Some(found) = look().await.with_context(|| what.to_owned())? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("{what}: not so after {} s", within.as_secs_f64());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn looking_ends_with_what_was_found_or_with_the_deadline() {
        let mut looks = 0;
        let found = until("third time", Duration::from_secs(5), async || {
            looks += 1;
            Ok((looks == 3).then_some(looks))
        });
        assert_eq!(found.await.unwrap(), 3);
        let never = until::<()>("never", Duration::from_millis(60), async || Ok(None)).await;
        assert!(never.unwrap_err().to_string().contains("never"));
    }
}
