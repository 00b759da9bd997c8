//! Changes that wait in an instance are stored together.

use super::*;

/// Asks for all of these at once, each as account, method, path and body; gives the statuses.
async fn at_once(instance: &Instance, requests: &[(&str, &str, String, Value)]) -> Vec<u16> {
    let asked = requests.iter().map(async |(account, method, path, body)| {
        let answer = instance.json(account, method, path, body.clone()).await;
        answer.status.as_u16()
    });
    join_all(asked).await
}

fn create(account: &'static str, title: &str) -> (&'static str, &'static str, String, Value) {
    (
        account,
        "POST",
        "/api/tasks".to_owned(),
        json!({ "title": title }),
    )
}

#[test]
fn changes_of_several_accounts_share_a_transaction() {
    block_on(async {
        let instance = instance();
        instance.create("ann", "0").await;
        let before = instance.fake.world().transacted;
        let accounts = ["ann", "bob", "cleo"];
        let requests: Vec<_> = (0..15)
            .map(|n| create(accounts[n % 3], &n.to_string()))
            .collect();
        assert_eq!(at_once(&instance, &requests).await, [201; 15]);
        let transactions = instance.fake.world().transacted - before;
        assert!(transactions <= 3, "{transactions} transactions");
        instance.fake.settle().await;
        assert_eq!(
            instance.titles("bob").await,
            ["13", "10", "7", "4", "1"],
            "in the order of their coming"
        );
        assert_eq!(instance.fake.events("task-events").len(), 16);
        assert!(instance.fake.keys("outbox:").is_empty());
    });
}

#[test]
fn what_is_refused_spares_what_waits_beside_it() {
    block_on(async {
        let instance = instance();
        let made = instance.create("ann", "made").await;
        let path = format!("/api/tasks/{}", made["id"].as_str().unwrap());
        let gone = "/api/tasks/0-1111111111111".to_owned();
        let requests = [
            create("ann", "a"),
            ("ann", "PATCH", gone, json!({ "title": "nobody's" })),
            ("ann", "PATCH", path.clone(), json!({ "title": "b" })),
            ("ann", "DELETE", path.clone(), Value::Null),
            ("ann", "PATCH", path, json!({ "title": "too late" })),
            create("ann", ""),
            create("bob", "c"),
            create("ann", "d"),
        ];
        let expected = [201, 404, 200, 204, 404, 422, 201, 201];
        assert_eq!(at_once(&instance, &requests).await, expected);
        instance.fake.settle().await;
        assert_eq!(instance.titles("ann").await, ["d", "a"]);
        assert_eq!(instance.titles("bob").await, ["c"]);
    });
}

#[test]
fn an_answer_that_is_to_be_kept_is_kept_in_a_crowd_too() {
    block_on(async {
        let instance = instance();
        let ask = async |key: &str, title: &str| {
            let mut request = instance.request(
                "ann",
                "POST",
                "/api/tasks",
                json!({ "title": title }).to_string(),
            );
            request
                .headers_mut()
                .insert("idempotency-key", key.parse().unwrap());
            instance.send(request).await
        };
        let answers = join_all([
            ask("one", "a"),
            ask("one", "a"),
            ask("two", "b"),
            ask("one", "a"),
            ask("two", "other"),
        ])
        .await;
        let statuses: Vec<_> = answers.iter().map(|a| a.status.as_u16()).collect();
        assert_eq!(statuses, [201, 201, 201, 201, 422]);
        assert_eq!(answers[0].body, answers[1].body);
        assert_eq!(answers[0].body, answers[3].body);
        assert_eq!(instance.titles("ann").await, ["b", "a"]);
    });
}

/// Two instances, several accounts, and a sidecar that is away or whose answers get lost.
#[test]
fn whatever_is_lost_each_accepted_change_is_there_once() {
    block_on(async {
        for seed in 0..40_u64 {
            let fake = Fake::default();
            let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut draw = |below: u64| {
                bits ^= bits << 13;
                bits ^= bits >> 7;
                bits ^= bits << 17;
                bits % below
            };
            let faults = [Fault::None, Fault::None, Fault::Away, Fault::AnswerLost];
            let drawn = (0..12).map(|_| faults[draw(4) as usize]);
            fake.world().transactions = drawn.collect();
            let instances = [Instance::new(&fake), Instance::new(&fake)];
            let accounts = ["ann", "bob", "cleo"];
            let asked = (0..40).map(|n| {
                let instance = &instances[draw(2) as usize];
                let account = accounts[draw(3) as usize];
                let title = n.to_string();
                async move {
                    let body = json!({ "title": title });
                    let answer = instance.json(account, "POST", "/api/tasks", body).await;
                    (account, title, answer.status.as_u16())
                }
            });
            let answers = join_all(asked).await;
            fake.settle().await;
            // What a lost answer left in the ring.
            fake.world().micros += 5_000_000;
            instances[0].sweep().await;
            for account in accounts {
                let mut titles = instances[0].titles(account).await;
                let stored = titles.len();
                titles.sort_unstable();
                titles.dedup();
                assert_eq!(titles.len(), stored, "seed {seed}: none twice");
                for (_, title, status) in answers.iter().filter(|(a, _, _)| *a == account) {
                    assert!(matches!(status, 201 | 503), "seed {seed}: {status}");
                    assert!(
                        *status != 201 || titles.contains(title),
                        "seed {seed}: {title} of {account} was accepted"
                    );
                }
                let events = fake.events("task-events");
                let seqs: Vec<u64> = events
                    .iter()
                    .filter(|e| e["data"]["account"] == account)
                    .map(|e| e["data"]["seq"].as_u64().unwrap())
                    .collect();
                let expected: Vec<u64> = (1..=stored as u64).collect();
                assert_eq!(seqs, expected, "seed {seed}: every event, in order");
            }
            assert!(fake.keys("outbox:").is_empty(), "seed {seed}");
        }
    });
}
