//! `/api/auth/tokens`: what a person gives to programs.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use docket_api::auth::{NewToken, TokenList, TokenMade, TokenView};
use docket_domain::FieldErrorCode;
use docket_domain::account::agent::{AgentToken, MAX_LIFE, MAX_NAME, MAX_TOKENS, Shown};
use docket_service::{Code, Json, Problem, Runtime};
use http::StatusCode;

use super::me::load;
use super::person::Person;
use super::{Wrong, code_of};
use crate::App;
use crate::store::Change;

pub(super) async fn list<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
) -> Result<Response, Problem> {
    let account = load(&app, &person.account).await?;
    let tokens = account.tokens.iter().map(TokenView::from).collect();
    Ok(Answer(TokenList { tokens }).into_response())
}

/// Makes a token. Its secret is told this once: only a digest is kept.
pub(super) async fn make<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
    Json(request): Json<NewToken>,
) -> Result<Response, Problem> {
    let name = check(&request)?;
    let runtime = &app.runtime;
    let secret = [runtime.entropy(), runtime.entropy()];
    let shown = Shown::new(person.account.clone(), runtime.entropy(), secret);
    let now = runtime.now();
    let expires_at = request
        .expires_in
        .map(|seconds| now.plus_millis(i64::from(seconds) * 1_000));
    let mut token = AgentToken::new(&shown, name, request.scopes, now);
    token.expires_at = expires_at;
    token.changes_per_hour = request.changes_per_hour;
    let made = app.store.change(&person.account, |account| {
        account
            .tokens
            .retain(|one| one.expires_at.is_none_or(|end| now < end));
        if account.tokens.len() >= MAX_TOKENS {
            let detail = format!("an account has at most {MAX_TOKENS} tokens: revoke one");
            return Err(Problem::new(Code::Conflict, detail));
        }
        account.tokens.push(token.clone());
        Ok(Change::alone(()))
    });
    made.await?;
    let made = TokenMade {
        token: TokenView::from(&token),
        secret: shown.text(),
    };
    Ok((StatusCode::CREATED, Answer(made)).into_response())
}

/// The token's name, if all that is asked can be.
fn check(request: &NewToken) -> Result<String, Problem> {
    let mut wrong = Wrong::default();
    let name = request.name.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        let detail = "a name is one line, without control characters";
        wrong.add("/name", code_of(name), detail);
    }
    if name.chars().count() > MAX_NAME {
        let detail = format!("a name has at most {MAX_NAME} characters");
        wrong.add("/name", FieldErrorCode::TooLong, detail);
    }
    if request.scopes.is_empty() {
        let detail = "a token without a scope allows nothing";
        wrong.add("/scopes", FieldErrorCode::Required, detail);
    }
    if request
        .expires_in
        .is_some_and(|life| !(1..=MAX_LIFE).contains(&life))
    {
        let detail = format!("from 1 to {MAX_LIFE} seconds");
        wrong.add("/expires_in", FieldErrorCode::Invalid, detail);
    }
    if request.changes_per_hour == Some(0) {
        let detail = "at least 1: leave out the scopes that allow changes";
        wrong.add("/changes_per_hour", FieldErrorCode::Invalid, detail);
    }
    wrong.finish()?;
    Ok(name.to_owned())
}

/// Revokes a token. Functions that know it believe it for some seconds more.
pub(super) async fn revoke<R: Runtime>(
    State(app): State<App<R>>,
    person: Person,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    let revoked = app.store.change(&person.account, |account| {
        let before = account.tokens.len();
        account.tokens.retain(|token| token.id != id);
        if account.tokens.len() == before {
            return Err(Problem::new(Code::NotFound, "there is no such token"));
        }
        Ok(Change::alone(()))
    });
    revoked.await?;
    Ok(StatusCode::NO_CONTENT)
}
