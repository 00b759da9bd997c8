//! How often somebody may try something. What is counted stands in Dapr state, by a digest of whom it is about, until it
//! tells nothing any more; all instances count together.

use docket_domain::account::address::Address;
use docket_domain::account::device::Mark;
use docket_domain::account::digest;
use docket_domain::rate::{Meter, Rate};
use docket_service::serve::log_background;
use docket_service::{Problem, Runtime};
use docket_sidecar::Document;
use std::time::Duration;

use crate::client::Client;
use crate::store::{Failed, Store};

const HOUR: u32 = 3_600;
/// Passwords that are given to one account by strangers, or on one device that its owner has signed in on.
const PASSWORDS: Rate = Rate::new(10, 60);
/// Wrong ones of these, one after the other (NIST SP 800-63B, section 5.2.2, has no more than 100).
const WRONG_PASSWORDS: Rate = Rate::new(100, 24 * HOUR);
/// Sign-ins from one client.
const SIGN_INS_BY_CLIENT: Rate = Rate::new(30, 60);
/// Mails that are asked for to one address.
const MAILS_BY_ADDRESS: Rate = Rate::new(5, HOUR);
/// Mails that are asked for from one client; also tries of what came by mail.
const MAILS_BY_CLIENT: Rate = Rate::new(20, HOUR);

/// Counts.
#[derive(Clone)]
pub struct Limits<R: Runtime> {
    store: Store<R>,
}

struct Counted {
    key: String,
    rate: Rate,
}

/// A password that somebody gives: it counts as a wrong one until it is known to be right.
#[must_use]
pub struct Guess {
    key: String,
}

impl Counted {
    fn new(what: &str, of: &str, rate: Rate) -> Self {
        let key = format!("limit:{what}:{}", digest(of));
        Self { key, rate }
    }
}

impl<R: Runtime> Limits<R> {
    pub fn new(store: Store<R>) -> Self {
        Self { store }
    }

    /// A sign-in, or whatever else a password is asked for: by a stranger, or on a device that has a `mark`.
    pub async fn password(
        &self,
        address: &Address,
        client: &Client,
        mark: Option<&Mark>,
    ) -> Result<Guess, Problem> {
        let subject = mark.map_or_else(|| address.digest(), Mark::digest);
        let wrong = Counted::new("wrong-password", &subject, WRONG_PASSWORDS);
        let key = wrong.key.clone();
        let by_subject = Counted::new("sign-in", &subject, PASSWORDS);
        let by_client = Counted::new("sign-in", &client.address, SIGN_INS_BY_CLIENT);
        self.take(&[wrong, by_subject, by_client]).await?;
        Ok(Guess { key })
    }

    /// It was right: the wrong ones before it count no more. Nobody waits for that.
    pub fn was_right(&self, Guess { key }: Guess) {
        let store = self.store.clone();
        self.store.runtime.clone().spawn(async move {
            let forgotten = store.again(|| async {
                let meter: Document<Meter> = store.document(key.clone()).await?;
                let removal: Vec<_> = meter.removal().into_iter().collect();
                if !removal.is_empty() {
                    store.transact(&removal).await?;
                }
                Ok::<_, Failed>(())
            });
            if let Err(problem) = forgotten.await {
                let cause = problem.cause().unwrap_or("refused").to_owned();
                log_background("warn", &format!("wrong passwords still count: {cause}"));
            }
        });
    }

    /// A new account.
    pub async fn sign_up(&self, client: &Client, each_hour: u32) -> Result<(), Problem> {
        let rate = Rate::new(each_hour, HOUR);
        self.take(&[Counted::new("sign-up", &client.address, rate)])
            .await
    }

    /// A mail that a client asks for.
    pub async fn mail(&self, address: &Address, client: &Client) -> Result<(), Problem> {
        let by_address = Counted::new("mail", &address.digest(), MAILS_BY_ADDRESS);
        let by_client = Counted::new("mail", &client.address, MAILS_BY_CLIENT);
        self.take(&[by_address, by_client]).await
    }

    /// What somebody says that he got by mail.
    pub async fn mailed(&self, client: &Client) -> Result<(), Problem> {
        self.take(&[Counted::new("mailed", &client.address, MAILS_BY_CLIENT)])
            .await
    }

    async fn take(&self, counted: &[Counted]) -> Result<(), Problem> {
        let taken = self.store.again(|| async {
            let keys: Vec<String> = counted.iter().map(|one| one.key.clone()).collect();
            let mut meters: Vec<Document<Meter>> = self.store.documents(&keys).await?;
            let now = self.store.runtime.now();
            let mut operations = Vec::new();
            for (meter, Counted { rate, .. }) in meters.iter_mut().zip(counted) {
                let taken = meter.value.take(*rate, 1, now);
                taken.map_err(|seconds| Problem::too_many(seconds, "please try again later"))?;
                let period = Duration::from_millis(rate.period_millis.unsigned_abs());
                let kept = u32::try_from(period.as_secs()).unwrap_or(u32::MAX);
                operations.push(meter.write()?.expiring(kept));
            }
            self.store.transact(&operations).await?;
            Ok::<_, Failed>(())
        });
        taken.await
    }
}
