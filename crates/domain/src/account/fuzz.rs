//! Whatever people show, and say of themselves, is read or refused, soon; what is read is written as it was, and of what we
//! gave to somebody nobody makes anything else.

use docket_fuzz::{near, run, texts};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use unicode_normalization::UnicodeNormalization as _;

use super::agent::Shown;
use super::device::Marks;
use super::key::Key;
use super::password::{MAX_BYTES, MAX_CHARACTERS, MIN_CHARACTERS, check, normal};
use super::profile::{MAX_NAME, MAX_PREFERENCES, ProfileInput};
use super::session::{MAX_DEVICE, RefreshToken, Refreshed, Session};
use super::*;
use crate::preferences::MAX_ADDRESS;
use crate::{Scope, Scopes};

/// What tokens of all kinds are made of.
const TOKEN_WORDS: &[&str] = &[
    "dkt_",
    "ann",
    "a_b",
    "_",
    "__",
    ".",
    "..",
    "0000000000007",
    "zzzzzzzzzzzzz",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
    "=",
    "eyJhbGciOiJub25lIn0",
];
const TOKENS: &[&str] = &[
    "ann.0000000000007.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "dkt_ann_0000000000007_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "dkt_a_b_0000000000007___________________________________________8",
];

fn ann() -> AccountId {
    AccountId::parse("ann").unwrap()
}

fn now() -> Instant {
    Instant::parse("2026-11-23T08:00:00Z").unwrap()
}

fn key() -> Key {
    Key::parse(&"A".repeat(43)).unwrap()
}

/// A session that begins on a device, and its token.
fn begun(device: &str) -> (Session, RefreshToken) {
    let id = SessionId::new(Entropy(7));
    Session::begin(&ann(), &id, device, &key(), [Entropy(1), Entropy(2)], now())
}

/// Any account.
fn account() -> impl Strategy<Value = AccountId> {
    let letters = select(vec!['a', 'k', 'Z', '0', '9', '_', '-']);
    vec(letters, 1..=64).prop_map(|id| AccountId::parse(&String::from_iter(id)).unwrap())
}

#[test]
fn addresses() {
    const WORDS: &[&str] = &[
        "ann",
        "@",
        "@@",
        ".",
        "..",
        "example",
        ".org",
        "xn--bcher-kva.example",
        "localhost",
        "[127.0.0.1]",
        "-",
        "+tag",
        "\"a b\"",
        " <ann@example.org>",
        ", ben@example.org",
        "\r\nBcc: ben@example.org",
        "(comment)",
        "İ@example.org",
        "bücher.example",
        "%0d%0a",
    ];
    const GOOD: &[&str] = &[
        "ann@example.org",
        " Ann+docket@Mail.Example.ORG\n",
        "!#$%&'*+-/=?^_`{|}~@a.b",
    ];
    run("e-mail addresses", texts(WORDS, GOOD), |text| {
        let Some(address) = Address::parse(&text) else {
            return;
        };
        let plain = address.as_str();
        assert!(plain.len() <= MAX_ADDRESS, "{text:?}");
        // Nothing parts addresses, quotes, or ends a line.
        assert!(plain.bytes().all(|b| b.is_ascii_graphic()), "{text:?}");
        assert!(!plain.contains(['"', '\\', '(', ')', '<', '>', '[', ']', ',', ':', ';']));
        assert_eq!(plain.matches('@').count(), 1, "{text:?}");
        let spelled = [
            plain.to_owned(),
            format!("\t{plain}\r\n"),
            plain.to_ascii_uppercase(),
            plain.to_ascii_lowercase(),
        ];
        for same in spelled {
            let same = Address::parse(&same).unwrap();
            assert!(same == address, "{text:?}");
            assert_eq!(same.key(), address.key(), "{text:?}");
        }
        let other = Address::parse(&format!("x{plain}"));
        assert!(other.is_none_or(|other| other.key() != address.key()));
        let written = serde_json::to_string(&address).unwrap();
        let read: Address = serde_json::from_str(&written).unwrap();
        assert_eq!(read.as_str(), plain);
    });
}

#[test]
fn refresh_tokens() {
    let (session, right) = begun("Firefox");
    let right = right.text();
    let inputs = prop_oneof![2 => near(&right), 1 => texts(TOKEN_WORDS, TOKENS)];
    run("refresh tokens", inputs, |text| {
        let Some(token) = RefreshToken::parse(&text) else {
            assert_ne!(text, right);
            return;
        };
        assert_eq!(token.text(), text);
        assert_eq!(
            SessionId::parse(token.session.as_str()).as_ref(),
            Some(&token.session)
        );
        let mut used = session.clone();
        let refreshed = used.refresh(&token, &key(), now());
        if text == right {
            assert!(matches!(refreshed, Refreshed::Next(_)));
        } else {
            assert_eq!(refreshed, Refreshed::Unknown, "{text}");
            assert_eq!(used, session, "{text}");
        }
        assert_eq!(Session::may_end(&token, &key()), text == right, "{text}");
    });
}

#[test]
fn agent_tokens() {
    let account_of_it = AccountId::parse("a_b").unwrap();
    let shown = Shown::new(account_of_it, Entropy(7), [Entropy(u128::MAX), Entropy(3)]);
    let known = AgentToken::new(&shown, "bot".into(), Scopes::from(Scope::ALL), now());
    let right = shown.text();
    let inputs = prop_oneof![2 => near(&right), 1 => texts(TOKEN_WORDS, TOKENS)];
    run("agent tokens", inputs, |text| {
        let Some(read) = Shown::parse(&text) else {
            assert_ne!(text, right);
            return;
        };
        assert_eq!(read.text(), text);
        assert_eq!(known.is(&read, now()), text == right, "{text}");
        // Whoever verifies one knows it from an access token by how it begins.
        assert!(text.starts_with("dkt_") && !text.contains('.'), "{text}");
    });
}

#[test]
fn marks_of_devices() {
    let address = Address::parse("ann@example.org").unwrap();
    let right = Marks::default().after(&address, &key(), Entropy(7)).text();
    let inputs = prop_oneof![2 => near(&right), 1 => texts(TOKEN_WORDS, TOKENS)];
    run("marks of devices", inputs, |text| {
        let marks = Marks::parse(&text);
        let shown = text.split('.').any(|mark| mark == right);
        assert_eq!(marks.of(&address, &key()).is_some(), shown, "{text}");
        assert_eq!(Marks::parse(&marks.text()), marks, "{text}");
        let after = marks.after(&address, &key(), Entropy(8));
        assert!(after.of(&address, &key()).is_some(), "{text}");
    });
}

#[test]
fn whose_tokens_they_are() {
    let chance = || any::<u128>().prop_map(Entropy);
    let inputs = (account(), chance(), chance(), chance());
    run("tokens of any account", inputs, |(account, id, a, b)| {
        let shown = Shown::new(account.clone(), id, [a, b]);
        assert_eq!(Shown::parse(&shown.text()), Some(shown));
        let session = SessionId::new(id);
        let (_, token) = Session::begin(&account, &session, "", &key(), [a, b], now());
        assert_eq!(RefreshToken::parse(&token.text()), Some(token.clone()));
        assert_eq!((token.account, token.session), (account, session));
    });
}

#[test]
fn devices() {
    const WORDS: &[&str] = &[
        "Mozilla/5.0",
        " (X11; Linux x86_64)",
        "Firefox/128.0",
        "curl/8",
        "<script>",
        "\u{1b}[31m",
        "\u{7f}",
        "\u{85}",
    ];
    const GOOD: &[&str] = &[
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36",
    ];
    run("user agents", texts(WORDS, GOOD), |text| {
        let (session, _) = begun(&text);
        let device = &session.device;
        assert!(device.chars().count() <= MAX_DEVICE, "{text:?}");
        assert!(!device.chars().any(char::is_control), "{text:?}");
        assert_eq!(begun(device).0, session, "{text:?}");
        let stored = serde_json::to_string(&session).unwrap();
        assert_eq!(serde_json::from_str::<Session>(&stored).unwrap(), session);
    });
}

#[test]
fn passwords() {
    const WORDS: &[&str] = &[
        "correct horse",
        "Ann Petersen",
        "ann@example.org",
        "\u{212b}",
        "A\u{30a}",
        "u\u{308}",
        "\u{1e9b}\u{323}",
        "\u{ac00}",
        "\u{fb01}",
        "👩\u{200d}🔧",
        "پاس",
        "          ",
    ];
    const GOOD: &[&str] = &[
        "correct horse battery",
        "über\u{301} den Wolken",
        "0123456789",
    ];
    let ann = Address::parse("ann@example.org").unwrap();
    let inputs = (texts(WORDS, GOOD), texts(WORDS, &["Ann Petersen"]));
    run("passwords", inputs, |(text, name)| {
        let password = normal(&text);
        // However a keyboard spells it, it is the same one.
        assert_eq!(normal(&password), password, "{text:?}");
        assert_eq!(
            normal(&text.nfd().collect::<String>()),
            password,
            "{text:?}"
        );
        if check(&password, &ann, &name).is_ok() {
            let characters = password.chars().count();
            assert!(
                (MIN_CHARACTERS..=MAX_CHARACTERS).contains(&characters),
                "{text:?}"
            );
            assert!(password.len() <= MAX_BYTES, "{text:?}");
        }
        assert!(check(&password, &ann, &text.nfc().collect::<String>()).is_err());
        assert!(check(&password, &ann, &format!(" {password}\n")).is_err());
    });
}

#[test]
fn profiles() {
    const WORDS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "null",
        "true",
        "1e400",
        "\"name\":",
        "\"Ann\"",
        "\" \\u0000 \"",
        "\"locale\":",
        "\"ur-PK\"",
        "\"time_zone\":",
        "\"Asia/Karachi\"",
        "\"morning\":",
        "\"07:30\"",
        "\"preferences\":",
        "\"theme\":",
        "{\"a\":",
        "[[[[[[[[",
        "\"$serde_json::private::RawValue\":",
        "\"$serde_json::private::Number\":",
        "\"[[[[1]]]]\"",
    ];
    const GOOD: &[&str] = &[
        r#"{"name":" Ann ","locale":"ur-PK","time_zone":"Asia/Karachi","morning":"07:30:15"}"#,
        r#"{"name":null,"locale":null,"time_zone":null,"morning":null,"preferences":null}"#,
        r#"{"preferences":{"theme":"dark","list":{"sort":"due","group":[true,1.5,{"a":null}]},"x":null}}"#,
        r#"{"preferences":{"a":{"b":1,"$serde_json::private::RawValue":5}}}"#,
        r#"{"preferences":{"a":[{"$serde_json::private::RawValue":"[[[[{\"b\":[[[[1]]]]}]]]]"}]}}"#,
    ];
    run("profiles", texts(WORDS, GOOD), |text| {
        let Ok(input) = serde_json::from_str::<ProfileInput>(&text) else {
            return;
        };
        let Ok(profile) = input.apply(&Profile::default()) else {
            return;
        };
        assert!(profile.name.chars().count() <= MAX_NAME, "{text}");
        assert!(!profile.name.chars().any(char::is_control), "{text}");
        let preferences = serde_json::to_string(&profile.preferences).unwrap();
        assert!(preferences.len() <= MAX_PREFERENCES, "{text}");
        // Said twice, it is as said once.
        assert_eq!(input.apply(&profile).as_ref(), Ok(&profile), "{text}");
        // It comes back from the store, with the account around it.
        let email = Address::parse("ann@example.org").unwrap();
        let account = Account::new(ann(), email, profile, now());
        let stored = serde_json::to_string(&account).unwrap();
        let read: Account = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, account, "{text}");
    });
}
