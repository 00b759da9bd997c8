//! Whatever is asked is answered, and no answer is a failure; and who asks is whom our own proxies, pages and cookies tell.

use axum::body::Body;
use axum::extract::FromRequestParts as _;
use docket_domain::account::address::Address;
use docket_domain::account::key::Key;
use docket_domain::account::profile::Profile;
use docket_domain::account::session::{RefreshToken, Session, SessionId};
use docket_domain::account::{Account, account_key, digest};
use docket_domain::client::network;
use docket_domain::{AccountId, Entropy, Instant};
use docket_fake::{Fake, NOW, ask_anything, config, send, show_wrong_tokens};
use docket_fuzz::{near, run, texts};
use futures::executor::block_on;
use http::{HeaderValue, Request};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;
use std::net::Ipv4Addr;

use crate::client::Client;
use crate::tests::prepare;
use crate::{App, Place, router};

const PATHS: &[&str] = &[
    "/api/auth/signup",
    "/api/auth/login",
    "/api/auth/refresh",
    "/api/auth/logout",
    "/api/auth/me",
    "/api/auth/password",
    "/api/auth/email",
    "/api/auth/sessions",
    "/api/auth/sessions/{id}",
    "/api/auth/tokens",
    "/api/auth/tokens/{id}",
    "/api/auth/verify",
    "/api/auth/verify/request",
    "/api/auth/reset",
    "/api/auth/reset/request",
    "/internal/accounts/agent-token",
    "/internal/accounts/address",
    "/internal/accounts/ensure",
    "/internal/accounts/accounts-sweep",
];
/// The host that is asked.
const HOST: &str = "docket.example.org";
const SITE: &str = "https://app.example.com";

fn app(fake: &Fake, proxies: &str) -> App<Fake> {
    let place = Place::read("https://docket.example.org/", proxies, "10", SITE).unwrap();
    App::new(fake.clone(), &config(), place).unwrap()
}

/// An instance that knows ann, who has no password: what is asked of her comes as far as it can.
fn with_ann(fake: &Fake) -> axum::Router {
    prepare(fake);
    let id = AccountId::parse("ann").unwrap();
    let email = Address::parse("ann@example.org").unwrap();
    let now = Instant::parse(NOW).unwrap();
    let account = Account::new(id, email, Profile::default(), now);
    let mut world = fake.world();
    let known = [
        (account_key(&account.id), json!(account)),
        (account.email.key(), json!(account.id)),
    ];
    for (key, value) in known {
        world.state.insert(key, (value, 0));
    }
    drop(world);
    router(app(fake, "0"))
}

/// A refresh token.
fn refresh_token() -> RefreshToken {
    let account = AccountId::parse("ann").unwrap();
    let (id, chance) = (SessionId::new(Entropy(7)), [Entropy(1), Entropy(2)]);
    let key = Key::parse(&"A".repeat(43)).unwrap();
    let now = Instant::parse(NOW).unwrap();
    Session::begin(&account, &id, "Firefox", &key, chance, now).1
}

/// Who asks, by these headers; nobody if a page of somebody else's does.
fn client(app: &App<Fake>, headers: &[(&str, HeaderValue)]) -> Option<Client> {
    let mut request = Request::post(format!("http://{HOST}/api/auth/refresh"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    block_on(Client::from_request_parts(&mut parts, app)).ok()
}

/// What a header may have, but for the bytes that part its values.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![3 => 0x20_u8..0x7f, 1 => 0x80_u8..=0xff];
    let byte = byte.prop_map(|byte| match byte {
        b',' | b';' => b'.',
        byte => byte,
    });
    vec(byte, 0..20)
}

#[test]
fn requests() {
    ask_anything("requests to `accounts`", PATHS, with_ann);
}

#[test]
fn tokens() {
    show_wrong_tokens("access tokens of accounts", "/api/auth/me", with_ann);
}

#[test]
fn cookies() {
    const OTHERS: &[&str] = &[
        "a=b",
        "docket_refresh",
        "docket_refresh=",
        "docket_refresh=a.b.c",
        "docket_refresh2=x",
        "=",
        "",
    ];
    let fake = Fake::default();
    let app = app(&fake, "0");
    let right = refresh_token().text();
    let others = || {
        let other = prop_oneof![
            select(OTHERS).prop_map(|other| other.as_bytes().to_vec()),
            bytes(),
        ];
        vec(other, 0..4)
    };
    let inputs = (others(), near(&right), others(), any::<bool>());
    run("cookies", inputs, |(before, token, after, apart)| {
        let ours = format!("docket_refresh={token}").into_bytes();
        let pairs = [before, vec![ours], after].concat();
        // In one header, or in one for each.
        let values = if apart {
            pairs
        } else {
            vec![pairs.join(&b"; "[..])]
        };
        let values = values.iter().map(|value| HeaderValue::from_bytes(value));
        let headers = values.map(|value| ("cookie", value.unwrap()));
        let client = client(&app, &headers.collect::<Vec<_>>()).unwrap();
        let found = client.token.map(|token| token.text());
        // Nothing hides it, and nothing else is taken for one.
        let shown = token.trim_end();
        let expected = RefreshToken::parse(shown).map(|token| token.text());
        assert_eq!(found, expected, "{token}");
        assert!(expected.is_none_or(|expected| expected == shown));
    });
}

#[test]
fn forwarded_addresses() {
    let fake = Fake::default();
    let apps = ["0", "1", "2"].map(|proxies| app(&fake, proxies));
    let proxies = (any::<Ipv4Addr>(), any::<Ipv4Addr>());
    let inputs = (vec(bytes(), 0..4), proxies, any::<bool>());
    run(
        "X-Forwarded-For",
        inputs,
        |(made_up, (person, proxy), joined)| {
            let told = [person, proxy].map(|address| address.to_string().into_bytes());
            let values = [made_up, told.to_vec()].concat();
            let values = if joined {
                vec![values.join(&b", "[..])]
            } else {
                values
            };
            let value = |value: &Vec<u8>| HeaderValue::from_bytes(value).unwrap();
            let mut headers: Vec<_> = values
                .iter()
                .map(|one| ("x-forwarded-for", value(one)))
                .collect();
            let peer = HeaderValue::from_static("10.0.0.1:4711");
            headers.push(("spin-client-addr", peer));
            let expected = [
                "10.0.0.1".to_owned(),
                network(&proxy.to_string(), None, 0),
                network(&person.to_string(), None, 0),
            ];
            for (app, expected) in apps.iter().zip(expected) {
                assert_eq!(client(app, &headers).unwrap().address, expected);
            }
        },
    );
}

#[test]
fn pages() {
    const WORDS: &[&str] = &[
        "https://",
        "http://",
        "://",
        "docket.example.org",
        "DOCKET.example.org",
        "app.example.com",
        "evil.example",
        ".",
        ":443",
        ":3000",
        "/",
        "@",
        "#",
        "null",
        "file://",
    ];
    const GOOD: &[&str] = &[
        "https://docket.example.org",
        SITE,
        "http://docket.example.org",
    ];
    let fake = Fake::default();
    let app = app(&fake, "0");
    run("pages that ask", texts(WORDS, GOOD), |text| {
        let Ok(origin) = HeaderValue::from_bytes(text.as_bytes()) else {
            return;
        };
        let taken = client(&app, &[("origin", origin)]).is_some();
        let of_host = text.split_once("://").is_some_and(|(_, host)| host == HOST);
        let expected = text.is_ascii() && (of_host || text == SITE);
        assert_eq!(taken, expected, "{text}");
    });
}

#[test]
fn mailed_links() {
    const TOKEN: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    run("mailed links", near(TOKEN), |token| {
        let fake = Fake::default();
        let router = with_ann(&fake);
        let link = json!({
            "purpose": "verify", "account": "ann", "email": "ann@example.org", "passwords_set": 0,
        });
        let key = format!("mailed:{}", digest(TOKEN));
        fake.world().state.insert(key, (link, 0));
        let body = Body::from(json!({ "token": token }).to_string());
        let request = Request::post("/api/auth/verify").body(body).unwrap();
        let (status, answer) = block_on(send(&fake, &router, request));
        let expected = if token == TOKEN { 204 } else { 422 };
        assert_eq!(status, expected, "{token}: {answer}");
    });
}
