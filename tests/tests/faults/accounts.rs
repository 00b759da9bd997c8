//! People who sign up while processes are killed.

use anyhow::{Context as _, Result, ensure};
use docket_tests::stack::Stack;
use docket_tests::suite::Suite;
use docket_tests::until;
use docket_tests::visitor::{PASSWORD, Visitor};
use futures::future::{join, try_join_all};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

const WRITERS: usize = 4;
const KILLED: [&str; 4] = ["host", "dapr-accounts", "host", "dapr-accounts"];
const PATIENCE: Duration = Duration::from_secs(60);

/// Visitors, each from another address: nobody is held up by what others tried.
struct Crowd<'a> {
    stack: &'a Stack,
    next: AtomicUsize,
}

impl Crowd<'_> {
    fn visitor(&self) -> Result<Visitor> {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let (high, low) = (next / 250, next % 250);
        let high = u8::try_from(high + 10).context("a large crowd")?;
        Visitor::new(self.stack, [high, u8::try_from(low)? + 1])
    }
}

/// Whoever is told that he has an account has one, and so does whoever is told, after an answer that got lost, that his
/// address is taken.
pub async fn who_signs_up_has_an_account_or_none(_: &Suite) -> Result<()> {
    // Of its own: a part that dies too often is given up, and the other tests kill those of the shared one.
    let own = Stack::start("signing").await?;
    let stack = &own;
    let crowd = Crowd {
        stack,
        next: AtomicUsize::new(0),
    };
    let is_over = AtomicBool::new(false);
    let killing = async {
        let mut killed = Ok(());
        for part in KILLED {
            killed = killed.and(stack.kill_and_wait(part).await);
        }
        is_over.store(true, Ordering::Relaxed);
        killed
    };
    let signing_up = try_join_all((0..WRITERS).map(async |writer| {
        let mut done = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let email = format!("crowd{writer}.{}@example.org", done.len());
            let told = until("he is told", PATIENCE, async || {
                let visitor = crowd.visitor()?;
                let answer = visitor.sign_up(&email).await;
                let told = answer.ok().map(|answer| answer.status);
                Ok(told.filter(|status| matches!(status, 201 | 409)))
            });
            done.push((email.clone(), told.await?));
        }
        anyhow::Ok(done)
    }));
    let (killed, done) = join(killing, signing_up).await;
    killed?;
    let done = done?.concat();
    stack.healthy().await?;
    let mut taken = 0;
    for (email, told) in &done {
        taken += usize::from(*told == 409);
        let back = crowd.visitor()?;
        let back = back.sign_in(email, PASSWORD).await?;
        ensure!(back.status == 200, "{email} was told {told}: {back}");
    }
    eprintln!(
        "[accounts] killed {KILLED:?}; {} signed up, {taken} of them heard of it late; accounts that are none: 0",
        done.len()
    );
    own.finish().await
}
