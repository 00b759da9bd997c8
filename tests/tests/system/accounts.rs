//! Accounts: from the sign-up to the end, and who is kept out.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{TimeDelta, Utc};
use docket_cli::events::{self, Query};
use docket_domain::account_deleted::ACCOUNTS;
use docket_tests::client::{Account, Answer};
use docket_tests::mail::MailServer;
use docket_tests::stack::{Stack, succeeded};
use docket_tests::suite::Suite;
use docket_tests::until;
use docket_tests::visitor::{PASSWORD, Visitor};
use futures::future::{join, try_join, try_join_all};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(20);

/// Asks a function of ours through the sidecar of another one.
async fn invoke(stack: &Stack, from: &str, path: &str, body: &Value) -> Result<Answer> {
    let url = format!(
        "{}/v1.0/invoke/accounts/method{path}",
        stack.sidecar_address(from)?
    );
    let token = stack.api_tokens(from)?.dapr_api_token;
    let request = stack.http().post(url).header("dapr-api-token", token);
    Ok(Answer::of(request.json(body)).await?)
}

pub async fn an_account_from_its_sign_up_to_its_end(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ada = Visitor::new(stack, [1, 1])?;
    let email = "ada.life@example.org";
    let made: Value = ada.sign_up(email).await?.read(201)?;
    assert_eq!(made["user"]["email"], email);
    let other = Visitor::new(stack, [1, 1])?;
    let taken = other.sign_up("ADA.life@example.org").await?;
    taken.problem(409, "conflict")?;
    let account = ada.account()?;
    assert_eq!(made["user"]["id"], account.id.as_str());
    let task = account.create(&json!({ "title": "hers" })).await?;

    let patch = json!({ "name": "Ada", "locale": "ur-PK", "preferences": { "theme": "dark" } });
    let changed: Value = ada
        .ask(Method::PATCH, "/api/auth/me", Some(&patch))
        .await?
        .read(200)?;
    let read: Value = ada
        .ask(Method::GET, "/api/auth/me", None)
        .await?
        .read(200)?;
    assert_eq!((&read["name"], &read), (&json!("Ada"), &changed));

    // Elsewhere she signs in, and is signed out from here.
    let phone = Visitor::new(stack, [1, 2])?;
    phone
        .sign_in("Ada.Life@example.org", PASSWORD)
        .await?
        .check(200)?;
    assert_eq!(phone.account()?.get(&task.id).await?, task);
    let list: Value = ada
        .ask(Method::GET, "/api/auth/sessions", None)
        .await?
        .read(200)?;
    let sessions = list["sessions"].as_array().context("sessions")?;
    let current: Vec<_> = sessions.iter().map(|one| one["current"].clone()).collect();
    assert_eq!(current, [json!(false), json!(true)]);
    assert_eq!(sessions[0]["device"], "Visitor/1");
    let other = format!(
        "/api/auth/sessions/{}",
        sessions[0]["id"].as_str().context("an id")?
    );
    ada.ask(Method::DELETE, &other, None).await?.check(204)?;
    phone.refresh().await?.problem(401, "unauthorized")?;
    ada.refresh().await?.check(200)?;

    let change = json!({ "current": PASSWORD, "new": "another horse battery" });
    ada.post("/api/auth/password", Some(&change))
        .await?
        .check(204)?;
    let wrong = phone.sign_in(email, PASSWORD).await?;
    wrong.problem(401, "unauthorized")?;
    phone
        .sign_in(email, "another horse battery")
        .await?
        .check(200)?;
    phone.post("/api/auth/logout", None).await?.check(204)?;
    phone.refresh().await?.problem(401, "unauthorized")?;

    let wrong = json!({ "password": PASSWORD });
    let kept = ada
        .ask(Method::DELETE, "/api/auth/me", Some(&wrong))
        .await?;
    kept.problem(403, "forbidden")?;
    let right = json!({ "password": "another horse battery" });
    ada.ask(Method::DELETE, "/api/auth/me", Some(&right))
        .await?
        .check(204)?;
    ada.ask(Method::GET, "/api/auth/me", None)
        .await?
        .problem(404, "not_found")?;
    ada.refresh().await?.problem(401, "unauthorized")?;
    let gone = Visitor::new(stack, [1, 1])?;
    gone.sign_in(email, "another horse battery")
        .await?
        .problem(401, "unauthorized")?;
    until("everybody is told", SOON, async || {
        let query = Query {
            account: Some(account.id.clone()),
            ..Query::all(ACCOUNTS)
        };
        let told = events::collect(&stack.brokers(), &query).await?;
        Ok(told
            .iter()
            .any(|event| event.body["type"] == "account-deleted")
            .then_some(()))
    })
    .await?;
    let again: Value = gone.sign_up(email).await?.read(201)?;
    assert_ne!(again["user"]["id"], account.id.as_str());
    Ok(())
}

pub async fn two_tabs_refresh_at_once(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let tab = Visitor::new(stack, [1, 3])?;
    tab.sign_up("tabs@example.org").await?.check(201)?;
    for _ in 0..5 {
        let other = tab.copy();
        let (one, two) = try_join(tab.refresh(), other.refresh()).await?;
        one.check(200)?;
        two.check(200)?;
        assert_eq!(tab.cookie(), other.cookie(), "both have the next token");
    }
    Ok(())
}

pub async fn an_old_refresh_token_ends_the_session(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let rex = Visitor::new(stack, [1, 4])?;
    rex.sign_up("rex@example.org").await?.check(201)?;
    let thief = rex.copy();
    // What is made up ends nothing.
    let cookie = rex.cookie().context("a cookie")?;
    let (session, _) = cookie.rsplit_once('.').context("three parts")?;
    let made_up = rex.anonymous(Method::POST, "/api/auth/refresh");
    let made_up = made_up.header("cookie", format!("{session}.{}", "A".repeat(43)));
    Answer::of(made_up).await?.problem(401, "unauthorized")?;
    for _ in 0..2 {
        rex.refresh().await?.check(200)?;
    }
    thief.refresh().await?.problem(401, "unauthorized")?;
    rex.refresh().await?.problem(401, "unauthorized")?;
    // Another session of the same account goes on.
    let back = Visitor::new(stack, [1, 4])?;
    back.sign_in("rex@example.org", PASSWORD)
        .await?
        .check(200)?;
    back.refresh().await?.check(200)
}

pub async fn a_page_of_somebody_else_gets_no_session(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ora = Visitor::new(stack, [1, 5])?;
    ora.sign_up("ora@example.org").await?.check(201)?;
    let from = |origin: &str| {
        let request = ora.request(Method::POST, "/api/auth/refresh");
        Answer::of(request.header("origin", origin))
    };
    from("https://evil.example")
        .await?
        .problem(403, "forbidden")?;
    from(&stack.address()).await?.check(200)
}

pub async fn an_address_that_guesses_tokens_is_heard_no_more(suite: &Suite) -> Result<()> {
    const ALLOWED: usize = 120;
    let stack = suite.stack().await?;
    let guesser = Visitor::new(stack, [6, 1])?;
    let guess = |who: &Visitor| {
        let request = who.anonymous(Method::GET, "/api/tasks");
        Answer::of(request.bearer_auth("docket_made_up"))
    };
    let mut refused = 0;
    let answer = loop {
        let answer = guess(&guesser).await?;
        if answer.status != 401 {
            break answer;
        }
        refused += 1;
        // Two a second are forgotten.
        ensure!(refused < 2 * ALLOWED, "{refused} guesses were heard");
    };
    answer.problem(429, "too_many_requests")?;
    ensure!(answer.header("retry-after").is_some(), "{answer}");
    ensure!(refused >= ALLOWED, "{refused}");
    // Nobody else is kept out.
    let other = Visitor::new(stack, [6, 2])?;
    guess(&other).await?.problem(401, "unauthorized")?;
    Ok(())
}

pub async fn who_guesses_at_an_account_keeps_nobody_out_of_it(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let email = "mona@example.org";
    let mona = Visitor::new(stack, [6, 3])?;
    mona.sign_up(email).await?.check(201)?;
    mona.post("/api/auth/logout", None).await?.check(204)?;
    let stranger = Visitor::new(stack, [6, 4])?;
    let refused = until("the stranger is heard no more", SOON, async || {
        let answer = stranger.sign_in(email, "wrong horse").await?;
        ensure!(matches!(answer.status, 401 | 429 | 503), "{answer}");
        Ok((answer.status == 429).then_some(answer))
    });
    refused.await?.problem(429, "too_many_requests")?;
    mona.sign_in(email, PASSWORD).await?.check(200)
}

pub async fn an_agent_token_lives_and_is_revoked(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let ava = Visitor::new(stack, [1, 6])?;
    ava.sign_up("ava@example.org").await?.check(201)?;
    let wanted = json!({ "name": "Calendar", "scopes": ["tasks:read"], "expires_in": 3_600 });
    let made: Value = ava
        .post("/api/auth/tokens", Some(&wanted))
        .await?
        .read(201)?;
    let secret = made["secret"].as_str().context("a secret")?.to_owned();
    let path = "/internal/accounts/agent-token";
    let asked = json!({ "token": secret });
    for from in ["tasks", "audit"] {
        let grant: Value = invoke(stack, from, path, &asked).await?.read(200)?;
        assert_eq!(grant["account"], ava.account()?.id.as_str());
        assert_eq!(grant["scopes"], json!(["tasks:read"]));
    }
    // Nobody else may ask, nor for anything else, and a token opens nothing here.
    for (from, path) in [
        ("reminders", path),
        ("recurrence", path),
        ("tasks", "/internal/accounts/ensure"),
        ("tasks", "/internal/accounts/address"),
        ("tasks", "/api/auth/me"),
    ] {
        invoke(stack, from, path, &asked).await?.check(403)?;
    }
    let agent = ava.account()?.with_token(&secret);
    let me = agent.send(Method::GET, "/api/auth/me", None).await?;
    ensure!(matches!(me.status, 401 | 403), "{me}");
    let listed: Value = ava
        .ask(Method::GET, "/api/auth/tokens", None)
        .await?
        .read(200)?;
    let id = listed["tokens"][0]["id"].as_str().context("an id")?;
    let path = format!("/api/auth/tokens/{id}");
    ava.ask(Method::DELETE, &path, None).await?.check(204)?;
    let gone = invoke(stack, "tasks", "/internal/accounts/agent-token", &asked).await?;
    gone.check(404)
}

/// The token of the last link that was mailed to somebody, which a page of this name opens.
async fn mailed(server: &MailServer, to: &str, page: &str) -> Result<String> {
    let link = format!("/{page}#");
    until("the mail is there", SOON, async || {
        let letters = server.letters_to(to);
        let html = letters.iter().rev().find(|one| one.html.contains(&link));
        let token = html.and_then(|one| one.html.split(&link).nth(1)?.split('"').next());
        Ok(token.map(str::to_owned))
    })
    .await
}

pub async fn links_come_by_mail_and_count(_: &Suite) -> Result<()> {
    let server = MailServer::start().await?;
    let words = ["--smtp", &server.url(), "--mail-from", "docket@example.org"];
    let stack = Stack::start_with("links", &words).await?;
    let email = "ida@example.org";
    let ida = Visitor::new(&stack, [1, 1])?;
    ida.sign_up(email).await?.check(201)?;
    let verified = async || -> Result<Value> {
        let me: Value = ida
            .ask(Method::GET, "/api/auth/me", None)
            .await?
            .read(200)?;
        Ok(me["email_verified"].clone())
    };
    assert_eq!(verified().await?, false);
    let anybody = Visitor::new(&stack, [1, 2])?;
    let token = mailed(&server, email, "verify").await?;
    let body = json!({ "token": token });
    anybody
        .post("/api/auth/verify", Some(&body))
        .await?
        .check(204)?;
    assert_eq!(verified().await?, true);

    for asked in [email, "nobody@example.org"] {
        let body = json!({ "email": asked });
        anybody
            .post("/api/auth/reset/request", Some(&body))
            .await?
            .check(202)?;
    }
    let token = mailed(&server, email, "reset").await?;
    let body = json!({ "token": token, "password": "another horse battery" });
    anybody
        .post("/api/auth/reset", Some(&body))
        .await?
        .check(204)?;
    let again = anybody.post("/api/auth/reset", Some(&body)).await?;
    again.problem(422, "invalid")?;
    ida.refresh().await?.problem(401, "unauthorized")?;
    ida.sign_in(email, PASSWORD)
        .await?
        .problem(401, "unauthorized")?;
    ida.sign_in(email, "another horse battery")
        .await?
        .check(200)?;
    assert_eq!(server.letters().len(), 2, "nobody gets none");
    stack.finish().await
}

pub async fn mails_follow_an_account_to_its_new_address(_: &Suite) -> Result<()> {
    let server = MailServer::start().await?;
    let words = ["--smtp", &server.url(), "--mail-from", "docket@example.org"];
    let stack = Stack::start_with("addresses", &words).await?;
    let (old, new) = ("eda@example.org", "eda.new@example.org");
    let eda = Visitor::new(&stack, [1, 1])?;
    eda.sign_up(old).await?.check(201)?;
    let verify = async |to: &str| -> Result<()> {
        let token = mailed(&server, to, "verify").await?;
        let body = json!({ "token": token });
        eda.post("/api/auth/verify", Some(&body)).await?.check(204)
    };
    let remind = async |title: &str| -> Result<()> {
        let at = Utc::now() + TimeDelta::seconds(1);
        let task = json!({ "title": title, "reminders": [{ "at": at.to_rfc3339() }] });
        eda.account()?.create(&task).await.map(drop)
    };
    let has = async |to: &str, words: &str| {
        until("the mail is there", SOON, async || {
            let letters = server.letters_to(to);
            let found = letters.iter().any(|one| one.html.contains(words));
            Ok(found.then_some(()))
        })
        .await
    };
    verify(old).await?;
    let wish = json!({ "email": { "enabled": true } });
    let preferences = "/api/notifications/preferences";
    let wished = eda.ask(Method::PATCH, preferences, Some(&wish)).await?;
    wished.check(200)?;

    let body = json!({ "email": new, "password": PASSWORD });
    eda.post("/api/auth/email", Some(&body)).await?.check(202)?;
    has(old, "set a new password today").await?;
    remind("Before").await?;
    has(old, "Before").await?;
    verify(new).await?;
    let read: Value = eda.ask(Method::GET, preferences, None).await?.read(200)?;
    assert_eq!(read["email"]["address"], new);
    remind("After").await?;
    has(new, "After").await?;
    let to_old = server.letters_to(old);
    ensure!(!to_old.iter().any(|one| one.html.contains("After")));
    eda.refresh().await?.check(200)?;
    let gone = Visitor::new(&stack, [1, 2])?;
    let answer = gone.sign_in(old, PASSWORD).await?;
    answer.problem(401, "unauthorized")?;
    gone.sign_in(new, PASSWORD).await?.check(200)?;
    stack.finish().await
}

/// Which of two things takes longer by how much is not asserted: the machine has other things to do. What is answered is.
pub async fn unknown_and_wrong_are_answered_alike(suite: &Suite) -> Result<()> {
    const ROUNDS: u8 = 20;
    let stack = suite.stack().await?;
    for n in 0..ROUNDS {
        let one = Visitor::new(stack, [2, n + 1])?;
        one.sign_up(&format!("alike{n}@example.org"))
            .await?
            .check(201)?;
    }
    let mut wrong = Vec::new();
    let mut unknown = Vec::new();
    let mut right = Vec::new();
    for n in 0..ROUNDS {
        let one = Visitor::new(stack, [3, n + 1])?;
        let timed = async |email: String, password: &str| -> Result<(Duration, Answer)> {
            let began = Instant::now();
            let answer = one.sign_in(&email, password).await?;
            Ok((began.elapsed(), answer))
        };
        let (took, first) = timed(format!("alike{n}@example.org"), "wrong horse").await?;
        wrong.push(took);
        let (took, second) = timed(format!("alike{n}.nobody@example.org"), "wrong horse").await?;
        unknown.push(took);
        let told = |answer: &Answer| -> Result<Value> {
            let mut body: Value = answer.read(401)?;
            body["request_id"].take();
            Ok(body)
        };
        assert_eq!(told(&first)?, told(&second)?);
        let (took, third) = timed(format!("alike{n}@example.org"), PASSWORD).await?;
        third.check(200)?;
        right.push(took);
    }
    eprintln!(
        "a wrong password {:.1} ms (p90 {:.1}), an unknown address {:.1} ms (p90 {:.1}), a sign-in {:.1} ms (p90 {:.1})",
        percentile(&mut wrong, 50),
        percentile(&mut wrong, 90),
        percentile(&mut unknown, 50),
        percentile(&mut unknown, 90),
        percentile(&mut right, 50),
        percentile(&mut right, 90),
    );
    Ok(())
}

pub async fn sign_ins_hold_up_nobodys_tasks(suite: &Suite) -> Result<()> {
    const EACH: u8 = 8;
    let stack = suite.stack().await?;
    let writer = stack.account("writer").await?;
    let people = (0..8_u8).map(|n| Visitor::new(stack, [4, n + 1]));
    let people: Vec<Visitor> = people.collect::<Result<_>>()?;
    for (n, one) in people.iter().enumerate() {
        one.sign_up(&format!("eight{n}@example.org"))
            .await?
            .check(201)?;
    }
    let mut before = Vec::new();
    for _ in 0..200 {
        before.push(create(&writer).await?);
    }
    let sign_ins = people.iter().enumerate().map(async |(n, one)| {
        let mut took = Vec::new();
        for _ in 0..EACH {
            let began = Instant::now();
            let email = format!("eight{n}@example.org");
            one.sign_in(&email, PASSWORD).await?.check(200)?;
            took.push(began.elapsed());
        }
        anyhow::Ok(took)
    });
    let stop = tokio::sync::Notify::new();
    let signing_in = async {
        let took = try_join_all(sign_ins).await;
        stop.notify_one();
        took
    };
    let creating = async {
        let mut during = Vec::new();
        let mut stopped = std::pin::pin!(stop.notified());
        loop {
            tokio::select! {
                () = &mut stopped => return anyhow::Ok(during),
                took = create(&writer) => during.push(took?),
            }
        }
    };
    let (took, during) = join(signing_in, creating).await;
    let mut took: Vec<Duration> = took?.concat();
    let mut during = during?;
    ensure!(!during.is_empty(), "no task was created meanwhile");
    eprintln!(
        "creating a task: p50 {:.1} ms, p99 {:.1} ms; while eight sign in at once: p50 {:.1} ms, p99 {:.1} ms ({} tasks); \
         a sign-in then: p50 {:.0} ms, p99 {:.0} ms",
        percentile(&mut before, 50),
        percentile(&mut before, 99),
        percentile(&mut during, 50),
        percentile(&mut during, 99),
        during.len(),
        percentile(&mut took, 50),
        percentile(&mut took, 99),
    );
    Ok(())
}

async fn create(writer: &Account) -> Result<Duration> {
    let began = Instant::now();
    writer.create(&json!({ "title": "meanwhile" })).await?;
    Ok(began.elapsed())
}

/// In milliseconds.
fn percentile(took: &mut [Duration], percent: usize) -> f64 {
    took.sort_unstable();
    let place = (took.len() * percent / 100).min(took.len().saturating_sub(1));
    took.get(place).map_or(0.0, |took| took.as_secs_f64() * 1e3)
}

/// Who signed a token.
fn key_of(token: &str) -> Result<String> {
    let header = token.split('.').next().context("a header")?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header)?)?;
    Ok(header["kid"].as_str().context("a key id")?.to_owned())
}

pub async fn keys_are_rotated_and_nobody_is_kept_out(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let kim = Visitor::new(stack, [1, 40])?;
    kim.sign_up("kim@example.org").await?.check(201)?;
    let old = kim.account()?;
    let key = key_of(&kim.token().context("a token")?)?;
    let rotated = async {
        let output = stack.docket(&["keys", "rotate"]).await?;
        succeeded("keys rotate", &output)?;
        let list = stack.docket(&["keys", "list"]).await?;
        let list = String::from_utf8(list.stdout)?;
        ensure!(list.contains(&format!("{key} verifies")), "{list}");
        Ok(())
    };
    // Meanwhile each token counts, until one comes that the new key has signed.
    // (A session is refreshed 60 times a minute at most.)
    let mut refreshed = Instant::now();
    let used = until("the new key signs", Duration::from_secs(100), async || {
        old.page("").await?;
        if refreshed.elapsed() > Duration::from_secs(2) {
            refreshed = Instant::now();
            kim.refresh().await?.check(200)?;
        }
        kim.account()?.page("").await?;
        let now = key_of(&kim.token().context("a token")?)?;
        Ok((now != key).then_some(()))
    });
    try_join(rotated, used).await?;
    old.page("").await?;
    Ok(())
}

pub async fn a_deleted_account_is_forgotten_everywhere(suite: &Suite) -> Result<()> {
    let stack = suite.stack().await?;
    let dee = Visitor::new(stack, [1, 41])?;
    dee.sign_up("dee@example.org").await?.check(201)?;
    let account = dee.account()?;
    let at = Utc::now() + TimeDelta::seconds(2);
    let task = json!({ "title": "quite secret", "reminders": [{ "at": at.to_rfc3339() }, { "before": "PT1H" }] });
    account.create(&task).await?;
    account.create(&json!({ "title": "also secret" })).await?;
    let log = async || -> Result<Value> {
        let answer = account.send(Method::GET, "/api/audit", None).await?;
        answer.read(200)
    };
    until(
        "the reminder is in the inbox, and the log has all",
        SOON,
        async || {
            let inbox = account
                .send(Method::GET, "/api/notifications", None)
                .await?;
            let inbox: Value = inbox.read(200)?;
            let entries = log().await?["entries"].as_array().map_or(0, Vec::len);
            Ok((inbox["unread"] == 1 && entries == 2).then_some(()))
        },
    )
    .await?;
    let password = json!({ "password": PASSWORD });
    let gone = dee
        .ask(Method::DELETE, "/api/auth/me", Some(&password))
        .await?;
    gone.check(204)?;
    until("all have forgotten it", SOON, async || {
        let list = account.send(Method::GET, "/api/tasks", None).await?;
        let list: Value = list.read(200)?;
        let inbox = account
            .send(Method::GET, "/api/notifications", None)
            .await?;
        let inbox: Value = inbox.read(200)?;
        let log = log().await?.to_string();
        let is_gone = list["total"] == 0
            && inbox["notifications"] == json!([])
            && !log.contains("secret")
            && log.contains("redacted");
        Ok(is_gone.then_some(()))
    })
    .await?;
    let verified = account.send(Method::GET, "/api/audit/verify", None).await?;
    let verified: Value = verified.read(200)?;
    assert_eq!(
        (&verified["ok"], &verified["entries"]),
        (&json!(true), &json!(2))
    );
    let anew = json!({ "title": "new" });
    let refused = account
        .send(Method::POST, "/api/tasks", Some(&anew))
        .await?;
    refused.problem(401, "unauthorized")?;
    Ok(())
}
