//! Whatever comes as a cursor, an id, a date or an event is read or refused, soon; what is read is written as it was.

use docket_fuzz::{near, run, texts};
use proptest::collection::vec;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::account_deleted::AccountDeleted;
use crate::audit::{self, Order, Place};
use crate::client::network;
use crate::due::{format_time, parse_date, parse_time, parse_zone};
use crate::event::CloudEvent as _;
use crate::find;
use crate::inbox::{self, NotificationId};
use crate::preferences::Preferences;
use crate::reminder_due::ReminderDue;
use crate::task_inbox::{check_time, is_id};
use crate::{AccountId, Event, Instant, TaskId};

const WORDS: &[&str] = &[
    "0-",
    "1-",
    "-",
    "0",
    "zzzzzzzzzzzzz",
    "WyI",
    "fQ",
    "eyJ",
    "null",
    "_",
    "2026-11-23",
    "T",
    "Z",
    "08:00:00",
    ".000",
    "+01:00",
    "-00:00",
    "24:00",
    "09:60",
    "Europe/",
    "Berlin",
    "UTC",
    "GMT+1",
    "PT30M",
    "P1D",
    "10000-01-01",
];
const GOOD: &[&str] = &[
    "0-90tj1f2kwhvp",
    "2026-11-23T08:00:00.000Z",
    "2026-11-23T08:00:00+05:00",
    "2024-02-29",
    "23:59:59",
    "Asia/Karachi",
    "WyI4ajR2ejY3a3Z3bWQyIiwwLFtbIkNyZWF0ZWQiXSwwXV0",
    "c-8j4vz67kvwmd2",
];
const EVENT_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"id\"",
    "\"type\"",
    "\"task-created\"",
    "\"subject\"",
    "\"data\"",
    "\"seq\"",
    "null",
    "true",
    "1e400",
    "-1",
    "\"\\ud800\"",
    "\"time\"",
    "\"specversion\"",
    "\"account\"",
    "\"changes\"",
];
const EVENTS: &[&str] = &[
    include_str!("../../../functions/tasks/tests/golden/task-events/task-created.json"),
    include_str!("../../../functions/tasks/tests/golden/task-events/task-deleted.json"),
    include_str!("../tests/golden/reminders/reminder-due.json"),
    include_str!("../tests/golden/accounts/account-deleted.json"),
];

#[test]
fn cursors() {
    let ann = AccountId::parse("ann").unwrap();
    run("cursors", texts(WORDS, GOOD), |text| {
        // Nobody finds one by chance: each has a checksum.
        assert_eq!(find::Query::default().resume(&ann, &text), None, "{text}");
        let query = audit::Query {
            filter: audit::Filter::default(),
            order: Order::NewestFirst,
            limit: 10,
            cursor: None,
        };
        assert_eq!(query.resume(&ann, &text), None, "{text}");
        assert_eq!(inbox::resume(&ann, false, &text), None, "{text}");
    });
}

#[test]
fn near_cursors() {
    let [ann, ben] = ["ann", "ben"].map(|account| AccountId::parse(account).unwrap());
    let query = audit::Query {
        filter: audit::Filter::default(),
        order: Order::NewestFirst,
        limit: 10,
        cursor: None,
    };
    let place = Place(15, 107);
    let of_log = query.text_of(&ann, place);
    let of_inbox = inbox::text_of(&ann, false, 1_234);
    let inputs = (near(&of_log), near(&of_inbox));
    run("cursors of the log and the inbox", inputs, |(log, list)| {
        let found = (log == of_log).then_some(place);
        assert_eq!(query.resume(&ann, &log), found, "{log}");
        assert_eq!(query.resume(&ben, &log), None, "{log}");
        let found = (list == of_inbox).then_some(1_234);
        assert_eq!(inbox::resume(&ann, false, &list), found, "{list}");
        assert_eq!(inbox::resume(&ann, true, &list), None, "{list}");
        assert_eq!(inbox::resume(&ben, false, &list), None, "{list}");
    });
}

/// Addresses as proxies tell them, and much that a client may tell instead.
#[test]
fn client_addresses() {
    const WORDS: &[&str] = &[
        "9.9.9.9",
        "6.6.6.6:80",
        "2001:db8::1",
        "[2001:db8::1]:80",
        "[::1]",
        "127.0.0.1",
        "::ffff:9.9.9.9",
        "fe80::1%eth0",
        "256.1.1.1",
        "010.1.1.1",
        "unknown",
        "for=",
        ",",
        ", ",
        ",,",
        "\t",
    ];
    let made_up = prop_oneof![
        3 => texts(WORDS, &["6.6.6.6, 9.9.9.9", "::1"]).prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..40),
    ];
    let inputs = (
        vec(made_up, 0..4),
        vec(any::<IpAddr>(), 1..4),
        any::<SocketAddr>(),
        any::<u64>(),
        any::<bool>(),
    );
    run(
        "client addresses",
        inputs,
        |(mut values, proxies, peer, other, joined)| {
            let peer = peer.to_string();
            let alone = network(&peer, None, 0);
            let asked = |values: &[Vec<u8>], proxies| {
                network(&peer, values.iter().map(Vec::as_slice), proxies)
            };
            // Nobody's word counts where no proxy is trusted.
            assert_eq!(asked(&values, 0), alone, "{values:?}");
            // Each proxy adds whom it was asked by: to what it was sent, or as a value of its own.
            for proxy in &proxies {
                let told = proxy.to_string().into_bytes();
                match values.last_mut().filter(|_| joined) {
                    Some(last) => last.extend([&b", "[..], &told].concat()),
                    None => values.push(told),
                }
            }
            let told = asked(&values, proxies.len());
            let client = proxies[0];
            assert_eq!(told, network(&client.to_string(), None, 0), "{values:?}");
            let Some(of_network) = told.strip_suffix("/64") else {
                let address: Ipv4Addr = told.parse().unwrap();
                assert_eq!(client.to_canonical(), address);
                return;
            };
            let of_network = of_network.parse::<Ipv6Addr>().unwrap().to_bits();
            let IpAddr::V6(client) = client else {
                panic!("{client} counts as {told}");
            };
            assert_eq!(of_network, client.to_bits() >> 64 << 64);
            // Whoever has one address of a network has all. (In the very first one some mean an address of IPv4.)
            if of_network > 0 {
                let other = Ipv6Addr::from_bits(of_network | u128::from(other));
                assert_eq!(network(&other.to_string(), None, 0), told);
            }
        },
    );
}

#[test]
fn ids_and_times() {
    let now = Instant::parse("2026-11-23T08:00:00Z").unwrap();
    run("ids, dates and times", texts(WORDS, GOOD), |text| {
        if let Some(id) = TaskId::parse(&text) {
            assert_eq!(id.to_string(), text);
        }
        if let Some(id) = NotificationId::parse(&text) {
            assert_eq!(id.to_string(), text);
        }
        if let Some(account) = AccountId::parse(&text) {
            assert_eq!(account.as_str(), text);
        }
        if let Some(at) = Instant::parse(&text) {
            assert_eq!(Instant::parse(&at.to_string()), Some(at), "{text}");
            // The ends of time are no panic.
            let _ = (at.plus_millis(i64::MAX), at.plus_millis(i64::MIN));
        }
        if let Some(time) = parse_time(&text) {
            assert_eq!(parse_time(&format_time(time)), Some(time), "{text}");
        }
        if let Some(date) = parse_date(&text) {
            assert_eq!(parse_date(&date.to_string()), Some(date), "{text}");
        }
        let _ = (parse_zone(&text), check_time(&text, now), is_id(&text));
    });
}

#[test]
fn events() {
    run("CloudEvents", texts(EVENT_WORDS, EVENTS), |text| {
        if let Ok(event) = Event::read(text.as_bytes()) {
            let written = event.task_event().to_string();
            assert_eq!(Event::read(written.as_bytes()).unwrap(), event, "{text}");
        }
        if let Ok(due) = ReminderDue::read(text.as_bytes()) {
            let written = due.cloud_event().to_string();
            assert_eq!(
                ReminderDue::read(written.as_bytes()).unwrap(),
                due,
                "{text}"
            );
        }
        if let Ok(gone) = AccountDeleted::read(text.as_bytes()) {
            let written = gone.cloud_event().to_string();
            assert_eq!(
                AccountDeleted::read(written.as_bytes()).unwrap(),
                gone,
                "{text}"
            );
        }
        let _ = serde_json::from_str::<Preferences>(&text);
    });
}
