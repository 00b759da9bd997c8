//! What browsers are told: which other sites may ask, and that every answer is data and nobody else's. (That the latter
//! stands beside every answer of all tests, `docket_tests::contract` sees to.)

use anyhow::{Context as _, Result, ensure};
use docket_tests::client::Answer;
use docket_tests::stack::SITE;
use docket_tests::suite::Suite;
use docket_tests::visitor::{PASSWORD, Visitor};
use reqwest::Method;
use serde_json::{Value, json};

const ALLOWED: &str = "access-control-allow-origin";

/// The lists of the functions that people ask.
const LISTS: [&str; 4] = [
    "/api/tasks",
    "/api/audit",
    "/api/notifications",
    "/api/auth/tokens",
];

pub async fn only_configured_sites_may_ask(suite: &Suite) -> Result<()> {
    let cora = suite.stack().await?.account("cora").await?;
    for path in LISTS {
        for (origin, allowed) in [
            (SITE, true),
            ("http://app.example.com", false),
            ("https://app.example.com.evil.example", false),
            ("https://evil.example", false),
            ("null", false),
        ] {
            let asked = || async {
                let request = cora.request(Method::GET, path).header("origin", origin);
                Answer::of(request).await
            };
            let preflight = cora
                .anonymous(Method::OPTIONS, path)
                .header("origin", origin)
                .header("access-control-request-method", "GET")
                .header("access-control-request-headers", "authorization");
            // No token: browsers ask without.
            let may = Answer::of(preflight).await?;
            let told = asked().await?;
            told.check(200)?;
            for (what, answer) in [("preflight", &may), ("answer", &told)] {
                ensure!(
                    answer.header(ALLOWED) == allowed.then_some(origin),
                    "{what} of {path} to {origin}: {:?}",
                    answer.headers
                );
                ensure!(answer.header("vary") == Some("Origin"), "{what}: no Vary");
            }
            if allowed {
                may.check(204)?;
                let headers = may.header("access-control-allow-headers");
                let headers = headers.context("no headers allowed")?;
                ensure!(headers.contains("authorization"), "{headers}");
            } else {
                may.check(405)?;
            }
        }
    }
    // What another site may ask is public; the sidecar's routes are not.
    let internal = cora
        .anonymous(Method::OPTIONS, "/internal/tasks/outbox-sweep")
        .header("origin", SITE)
        .header("access-control-request-method", "POST");
    let internal = Answer::of(internal).await?;
    ensure!(internal.header(ALLOWED).is_none(), "{:?}", internal.headers);
    Ok(())
}

pub async fn configured_sites_may_sign_people_in(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let sita = Visitor::new(stack, [1, 60])?;
    sita.sign_up("sita@example.org").await?.check(201)?;
    let evil = "https://evil.example";
    for path in ["login", "refresh", "logout"] {
        // The others know who it is by the cookie, and read no body.
        let who = json!({ "email": "sita@example.org", "password": PASSWORD });
        let body = (path == "login").then_some(who);
        let path = format!("/api/auth/{path}");
        let from = |origin: &str| {
            let request = sita.request(Method::POST, &path).header("origin", origin);
            Answer::of(match &body {
                Some(body) => request.json(body),
                None => request,
            })
        };
        let refused = from(evil).await?;
        refused.problem(403, "forbidden")?;
        ensure!(refused.header("set-cookie").is_none(), "{path}: a cookie");
        ensure!(refused.header(ALLOWED).is_none(), "{path}: {refused}");
        let taken = from(SITE).await?;
        ensure!(taken.status < 300, "{path}: {taken}");
        ensure!(taken.header("set-cookie").is_some(), "{path}: no cookie");
        ensure!(taken.header(ALLOWED) == Some(SITE), "{path}: {taken}");
        let with_cookies = taken.header("access-control-allow-credentials");
        ensure!(with_cookies == Some("true"), "{path}: {with_cookies:?}");
    }
    Ok(())
}

pub async fn other_hosts_are_reached_by_tls_alone(suite: &Suite) -> Result<()> {
    let hana = suite.stack().await?.account("hana").await?;
    for path in LISTS {
        for (host, proto, expected) in [
            (None, "https", false),
            (Some("localhost:9"), "https", false),
            (Some("docket.example"), "https", true),
            (Some("docket.example"), "http", false),
        ] {
            let mut request = hana
                .request(Method::GET, path)
                .header("x-forwarded-proto", proto);
            if let Some(host) = host {
                request = request.header("host", host);
            }
            let answer = Answer::of(request).await?;
            answer.check(200)?;
            let told = answer.header("strict-transport-security");
            ensure!(
                told.is_some() == expected,
                "{path} {host:?} {proto}: {told:?}"
            );
        }
    }
    Ok(())
}

pub async fn what_people_wrote_is_never_a_page(suite: &Suite) -> Result<()> {
    let mark = suite.stack().await?.account("mark").await?;
    let title = "<script>alert(1)</script>";
    mark.create(&json!({ "title": title })).await?;
    let bad = "/api/tasks?limit=<script>alert(1)</script>";
    for (path, status) in [
        ("/api/tasks", 200),
        ("/api/export?format=todotxt", 200),
        ("/api/export?format=jsonl", 200),
        (bad, 422),
        ("/api/<script>", 404),
    ] {
        let answer = mark.send(Method::GET, path, None).await?;
        answer.check(status)?;
        let kind = answer.header("content-type").unwrap_or_default();
        ensure!(
            !kind.contains("html") && !kind.contains("xml"),
            "{path}: {kind}"
        );
    }
    let page: Value = mark
        .send(Method::GET, "/api/tasks", None)
        .await?
        .read(200)?;
    assert_eq!(page["tasks"][0]["title"], title);
    Ok(())
}
