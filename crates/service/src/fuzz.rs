//! Whatever is in a query or a body is read or refused, soon.

use docket_api::auth::{
    EmailChange, Farewell, NewToken, PasswordChange, Reset, ResetRequest, SignIn, SignUp,
    Verification,
};
use docket_domain::TaskInput;
use docket_domain::account::profile::ProfileInput;
use docket_fuzz::{run, texts};
use http::HeaderValue;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

use crate::browser::is_loopback;
use crate::{Code, Origins, Parameters, body};

const QUERY_WORDS: &[&str] = &[
    "limit=",
    "cursor=",
    "q=",
    "tag=",
    "status=",
    "&",
    "&&",
    "=",
    "%",
    "%00",
    "%ff",
    "%F0%9F%98%80",
    "+",
    "true",
    "200",
    ";",
];
const QUERIES: &[&str] = &[
    "limit=10&cursor=abc&tag=a&tag=b",
    "q=milk+and%20bread&overdue=true",
];
const JSON_WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"title\"",
    "\"tags\"",
    "\"due\"",
    "\"date\"",
    "\"recurrence\"",
    "\"rule\"",
    "null",
    "1e999",
    "-0",
    "\"\\u0000\"",
    "\"\\ud83d\"",
    "\"a\"",
    "true",
    "\"title\":\"a\",",
    "\"before\":\"PT30M\"",
    "\u{feff}",
    "[[[[[[[[",
];
const JSON: &[&str] = &[
    r#"{"title":"a","description":"b","priority":"high","tags":["c"],"due":{"date":"2027-03-28","time":"02:30","time_zone":"Europe/Berlin"}}"#,
    r#"{"title":"a","reminders":[{"before":"PT30M"},{"at":"2026-12-01T09:00:00Z"}],"recurrence":{"rule":"daily","from":"due"},"position":1.5}"#,
];

#[test]
fn queries() {
    run("query parameters", texts(QUERY_WORDS, QUERIES), |text| {
        let Ok(mut given) = Parameters::parse(Some(&text)) else {
            return;
        };
        let limit = given.limit(200);
        assert!(limit.is_none_or(|limit| (1..=200).contains(&limit)));
        let _ = given.flag("overdue");
        let _ = given.cursor(|text| text.parse::<u64>().ok());
        let _ = given.many("tag", |tag| Ok(tag.to_owned()));
        if let Err(problem) = given.finish() {
            assert_eq!(problem.code(), Code::Invalid);
        }
    });
}

#[test]
fn json_bodies() {
    run("JSON bodies", texts(JSON_WORDS, JSON), |text| {
        if let Err(problem) = body::parse::<TaskInput>(text.as_bytes()) {
            assert!(
                [Code::Malformed, Code::Invalid].contains(&problem.code()),
                "{text}"
            );
        }
    });
}

#[test]
fn deep_bodies() {
    let inputs = (
        0_usize..100_000,
        select(vec!["[", "{\"title\":", "{\"due\":{"]),
    );
    run("deep JSON", inputs, |(depth, opening)| {
        let text = opening.repeat(depth);
        assert!(body::parse::<TaskInput>(text.as_bytes()).is_err());
    });
}

/// Reads a body as `T`, which has no fields but these.
fn read_as<T: DeserializeOwned>(text: &str, fields: &[&str]) {
    match body::parse::<T>(text.as_bytes()) {
        Ok(_) => {
            let read: BTreeMap<String, IgnoredAny> = serde_json::from_str(text).unwrap();
            let mut names = read.keys();
            assert!(names.all(|name| fields.contains(&name.as_str())), "{text}");
        }
        Err(problem) => assert!(
            [Code::Malformed, Code::Invalid].contains(&problem.code()),
            "{text}"
        ),
    }
}

#[test]
fn bodies_about_accounts() {
    const WORDS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "null",
        "1e999",
        "-1",
        "4294967296",
        "\"\\u0000\"",
        "\"\\ud83d\"",
        "\"email\"",
        "\"password\"",
        "\"token\"",
        "\"scopes\"",
        "\"chat\"",
        "\"expires_in\"",
        "\"preferences\"",
        "\"$serde_json::private::RawValue\"",
        "\"ann@example.org\"",
        "\"admin\":true,",
        "[[[[[[[[",
    ];
    const GOOD: &[&str] = &[
        r#"{"email":"ann@example.org","password":"correct horse","name":"Ann","locale":"en","time_zone":"Asia/Karachi"}"#,
        r#"{"email":"ann@example.org","password":"correct horse"}"#,
        r#"{"email":"ann@example.org"}"#,
        r#"{"password":"correct horse"}"#,
        r#"{"current":"correct horse","new":"wrong horse"}"#,
        r#"{"token":"dG9rZW4","password":"correct horse"}"#,
        r#"{"token":"dG9rZW4"}"#,
        r#"{"name":"Calendar","scopes":["tasks:read","chat"],"expires_in":3600,"changes_per_hour":60}"#,
        r#"{"name":null,"morning":"07:30","preferences":{"theme":{"dark":true}}}"#,
        "{}",
    ];
    run("bodies about accounts", texts(WORDS, GOOD), |text| {
        let text = &text;
        read_as::<SignUp>(text, &["email", "password", "name", "locale", "time_zone"]);
        read_as::<SignIn>(text, &["email", "password"]);
        read_as::<EmailChange>(text, &["email", "password"]);
        read_as::<ResetRequest>(text, &["email"]);
        read_as::<Farewell>(text, &["password"]);
        read_as::<PasswordChange>(text, &["current", "new"]);
        read_as::<Reset>(text, &["token", "password"]);
        read_as::<Verification>(text, &["token"]);
        let of_tokens = ["name", "scopes", "expires_in", "changes_per_hour"];
        read_as::<NewToken>(text, &of_tokens);
        let of_profiles = ["name", "locale", "time_zone", "morning", "preferences"];
        read_as::<ProfileInput>(text, &of_profiles);
    });
}

#[test]
fn origins() {
    const WORDS: &[&str] = &[
        "https://",
        "http://",
        "a.example",
        "A.example",
        ":",
        "443",
        "8443",
        "+8443",
        "08443",
        ",",
        "*",
        "null",
        "@",
        "[::1]",
        "/",
        " ",
        "%61",
    ];
    const GOOD: &[&str] = &[
        "https://a.example:8443,http://[::1]",
        "http://localhost:5173, https://b.example",
    ];
    let allows = |origins: &Origins, one: &str| {
        HeaderValue::from_str(one).is_ok_and(|one| origins.allow(&one))
    };
    run("origins", texts(WORDS, GOOD), |text| {
        let Ok(origins) = Origins::parse(&text) else {
            return;
        };
        let listed = text.split(',').map(str::trim);
        let listed: Vec<&str> = listed.filter(|one| !one.is_empty()).collect();
        assert_eq!(
            Origins::parse(&listed.join(" , ")),
            Ok(origins.clone()),
            "{text}"
        );
        assert!(!allows(&origins, "null") && !allows(&origins, "*") && !allows(&origins, ""));
        for one in &listed {
            assert!(allows(&origins, one), "{one}");
            // A scheme, a host and a port: nothing beyond that, and none of it in other letters.
            let host = one.split_once("://").unwrap().1;
            assert!(
                !host.is_empty() && !host.contains(['/', '@', '*', '?', '#', ' ']),
                "{one}"
            );
            assert_eq!(one.to_ascii_lowercase(), **one);
            let near = [
                format!("{one}/"),
                format!("{one}.evil.example"),
                format!("{one}1"),
                format!("https://evil.example/{one}"),
                one.to_ascii_uppercase(),
            ];
            for other in near {
                let expected = listed.contains(&other.as_str());
                assert_eq!(allows(&origins, &other), expected, "{other} of {text}");
            }
        }
    });
}

/// A host, and whether it is the machine itself.
fn host() -> impl Strategy<Value = (String, bool)> {
    let name = |last: &'static [&'static str]| {
        let label = select(vec!["a", "docket", "LocalHost", "127", "0", "x-1"]);
        (vec(label, 0..4), select(last)).prop_map(|(mut labels, last)| {
            labels.push(last);
            labels.join(".")
        })
    };
    let own = name(&["localhost", "LOCALHOST", "LocalHost"]);
    let of_others = name(&["example", "localhosts", "local", "org"]);
    let v4 = prop_oneof![
        any::<Ipv4Addr>(),
        any::<[u8; 3]>().prop_map(|[b, c, d]| Ipv4Addr::new(127, b, c, d)),
    ];
    let v6 = prop_oneof![
        any::<Ipv6Addr>(),
        Just(Ipv6Addr::LOCALHOST),
        (0_u128..4).prop_map(Ipv6Addr::from_bits),
    ];
    prop_oneof![
        own.prop_map(|name| (name, true)),
        of_others.prop_map(|name| (name, false)),
        v4.prop_map(|address| (address.to_string(), address.octets()[0] == 127)),
        v6.prop_map(|address| {
            let own = IpAddr::V6(address).to_canonical().is_loopback();
            (format!("[{address}]"), own)
        }),
    ]
}

#[test]
fn hosts() {
    const WORDS: &[&str] = &[
        "localhost",
        "127.0.0.1",
        "[::1]",
        "[",
        "]",
        "[]",
        ":",
        "::",
        "@",
        ".",
        ":3000",
        "%",
        "%5b",
        "a",
    ];
    let port = prop::option::of(any::<u16>());
    let inputs = (
        host(),
        port,
        texts(WORDS, &["localhost:3000", "u@[::1]:80"]),
    );
    run("hosts", inputs, |((host, own), port, odd)| {
        let asked = match port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        assert_eq!(is_loopback(&asked), own, "{asked}");
        // Whatever else is taken for the machine itself is so for browsers as well.
        if is_loopback(&odd) {
            let url = Url::parse(&format!("http://{odd}/")).expect(&odd);
            let own = match url.host() {
                Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
                Some(Host::Ipv4(address)) => address.is_loopback(),
                Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
                None => false,
            };
            assert!(own && url.username().is_empty(), "{odd}");
        }
    });
}
