//! Delivering what is long or slow: in order, beside others, and never longer than the host bears.

use super::*;
use futures::future::{Either, select};
use std::pin::pin;

/// Two topics for each event: so long a round takes.
const ROUND_MICROS: i64 = 2 * 20_000;

/// A platform whose broker is slow.
fn slow() -> Fake {
    let fake = Fake::default();
    fake.world().publishing_micros = ROUND_MICROS / 2;
    fake
}

/// Makes 200 tasks by one change.
async fn many(instance: &Instance, account: &str) {
    let operations = vec![json!({ "op": "create", "task": { "title": "a" } }); 200];
    let body = json!({ "operations": operations });
    let answer = instance
        .json(account, "POST", "/api/tasks/batch", body)
        .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Whether all events of an account came, in their order; how many records repeat one.
fn repeated(fake: &Fake, account: &str, count: u64) -> usize {
    let own = |event: &&Value| event["data"]["account"] == account;
    let events = fake.events("task-events");
    let seqs = events
        .iter()
        .filter(own)
        .map(|e| e["data"]["seq"].as_u64().unwrap());
    assert!(seqs.eq(1..=count), "each comes, in the account's order");
    let world = fake.world();
    let records = world
        .published
        .iter()
        .filter(|(topic, _)| topic == "task-events");
    records.filter(|(_, event)| own(&event)).count() - count as usize
}

/// Delivers until so many seconds are over; what was under way then never ends.
async fn deliver_for(fake: &Fake, seconds: i64) {
    let end = fake.world().micros + seconds * 1_000_000;
    let over = async {
        while fake.world().micros < end {
            yield_now().await;
        }
    };
    match select(pin!(fake.settle()), pin!(over)).await {
        Either::Left(_) => panic!("it has ended before"),
        Either::Right(_) => fake.crash(),
    }
}

#[test]
fn a_call_has_one_event_of_an_account() {
    block_on(async {
        let fake = slow();
        let instance = Instance::new(&fake);
        many(&instance, "ann").await;
        many(&instance, "bob").await;
        fake.settle().await;
        assert_eq!(fake.world().most_of_a_key, 1);
        assert_eq!(repeated(&fake, "ann", 200), 0);
        assert_eq!(repeated(&fake, "bob", 200), 0);
    });
}

#[test]
fn what_was_published_of_a_slot_is_not_published_again() {
    block_on(async {
        let fake = slow();
        many(&Instance::new(&fake), "ann").await;
        deliver_for(&fake, 5).await;
        let published = fake.events("task-events").len();
        assert!((100..150).contains(&published), "{published}");
        fake.world().micros += 3_000_000;
        let answer = Instance::new(&fake).sweep().await;
        assert_eq!(answer.body["freed"], 1);
        // At most what was published in a second, and a turn.
        let repeated = repeated(&fake, "ann", 200);
        assert!(repeated <= 30, "{repeated} repeated");
    });
}

#[test]
fn a_sweep_leaves_alone_what_somebody_delivers() {
    block_on(async {
        let fake = slow();
        let instance = Instance::new(&fake);
        many(&instance, "ann").await;
        many(&instance, "ann").await;
        let sweeps = async {
            while !fake.keys("outbox:").is_empty() {
                let answer = Instance::new(&fake).sweep().await;
                assert_eq!(answer.body["freed"], 0);
            }
        };
        futures::join!(fake.settle(), sweeps);
        assert_eq!(repeated(&fake, "ann", 400), 0);
    });
}

#[test]
fn who_has_much_to_deliver_keeps_nobody_waiting() {
    block_on(async {
        let fake = slow();
        let instance = Instance::new(&fake);
        many(&instance, "ann").await;
        many(&instance, "ann").await;
        let other = async {
            while fake.events("task-events").len() < 50 {
                yield_now().await;
            }
            instance.create("bob", "quick").await;
            let stored = fake.world().micros;
            while !fake
                .events("task-events")
                .iter()
                .any(|e| e["data"]["account"] == "bob")
            {
                let waited = fake.world().micros - stored;
                // The round that is under way, and his own.
                assert!(waited < 2 * ROUND_MICROS + 10_000, "{waited}");
                fake.settle().await;
                yield_now().await;
            }
        };
        futures::join!(fake.settle(), other);
        assert_eq!(repeated(&fake, "ann", 400), 0);
    });
}

#[test]
fn nobody_delivers_for_longer_than_hosts_bear() {
    block_on(async {
        let fake = slow();
        let instance = Instance::new(&fake);
        // 48 seconds of work.
        for _ in 0..6 {
            many(&instance, "ann").await;
        }
        let began = fake.world().micros;
        fake.settle().await;
        let took = fake.world().micros - began;
        assert!((30_000_000..31_000_000).contains(&took), "{took}");
        while !fake.keys("outbox:").is_empty() {
            fake.world().micros += 3_000_000;
            let began = fake.world().micros;
            assert_eq!(instance.sweep().await.status, 200);
            let took = fake.world().micros - began;
            assert!(took < 16_000_000, "{took}");
        }
        let repeated = repeated(&fake, "ann", 1_200);
        assert!(repeated < 60, "{repeated} repeated");
    });
}

#[test]
fn who_comes_later_takes_over() {
    block_on(async {
        let fake = slow();
        let instance = Instance::new(&fake);
        for _ in 0..5 {
            many(&instance, "ann").await;
        }
        let next = async {
            while fake.world().micros < 20_000_000 {
                yield_now().await;
            }
            instance.create("bob", "later").await;
            // The first one's time is over before all is delivered.
            fake.settle().await;
        };
        futures::join!(fake.settle(), next);
        assert!(fake.world().micros > 35_000_000);
        assert!(fake.keys("outbox:").is_empty());
        assert_eq!(repeated(&fake, "ann", 1_000), 0);
    });
}
