//! `POST /inbox`: messages of other systems, out of the topic `task-inbox` by a Dapr Kafka input binding.
//!
//! A message is carried out once, however often it is delivered, and each delivery sends its result. What is no message,
//! or from nobody who may send one, has no result: it is among the dead letters, with the reason.

use axum::extract::{Request, State};
use docket_api::{InboxMessage, InboxResult, OperationRequest};
use docket_domain::idempotency::Once;
use docket_domain::shelf::Applied;
use docket_domain::task_inbox::{MAX_ID, Signed, check_time};
use docket_domain::{AccountId, Actor, ActorKind, FieldErrorCode, Rejection};
use docket_service::body::{self, MAX_JSON};
use docket_service::{Authority as _, Caller, Code, Internal, Problem, Runtime};
use http::StatusCode;

use super::batch::command;
use super::once::Answered;
use super::tasks::only;
use crate::App;
use crate::inbox::Delivery;

/// The largest delivery, in bytes: what the broker takes.
const MAX_DELIVERY: usize = 1024 * 1024;
/// The doer of what a trusted system asks for.
const SYSTEM: &str = "task-inbox";

/// Takes a message in. Any other answer than 200 brings it again.
pub(super) async fn take<R: Runtime>(
    State(app): State<App<R>>,
    _: Internal,
    request: Request,
) -> Result<StatusCode, Problem> {
    let (parts, sent) = request.into_parts();
    let delivery = Delivery::of(&parts.headers);
    let (text, done) = match body::read(sent, MAX_DELIVERY).await {
        Ok(text) => (text.clone(), carry_out(&app, &text).await),
        Err(problem) if problem.code() == Code::TooLarge => (Default::default(), Err(problem)),
        Err(cut_off) => return Err(Problem::unavailable(1, cut_off.line())),
    };
    match done {
        Ok((account, result)) => app.inbox.answer(&account, result).await?,
        Err(problem) if problem.code() == Code::Unavailable && app.inbox.is_patient(&delivery) => {
            return Err(problem);
        }
        Err(problem) => app.inbox.bury(&delivery, &problem, text).await?,
    }
    app.inbox.is_done(&delivery);
    Ok(StatusCode::OK)
}

/// Carries out a message, or finds what came of it before; gives its account and its result.
async fn carry_out<R: Runtime>(app: &App<R>, text: &[u8]) -> Result<(AccountId, String), Problem> {
    if text.len() > MAX_JSON {
        let detail = format!("a message has at most {MAX_JSON} bytes");
        return Err(Problem::new(Code::TooLarge, detail));
    }
    let message: InboxMessage = body::parse(text)?;
    let Some(operation) = &message.operation else {
        let detail = "what is to be done?";
        return Err(Problem::field(
            "/operation",
            FieldErrorCode::Required,
            detail,
        ));
    };
    let operation = operation.get();
    check_time(&message.at, app.runtime.now())
        .map_err(|untimely| Problem::field("/at", FieldErrorCode::Invalid, untimely.to_string()))?;
    let caller = sender(app, &message, operation).await?;
    let once = Once::message(&caller.account, &message.id, operation).ok_or_else(|| {
        let detail = format!("an id is 1 to {MAX_ID} visible ASCII characters");
        Problem::field("/id", FieldErrorCode::Invalid, detail)
    })?;
    let answered = match operate(app, &caller, &message.id, operation, &once).await {
        Err(problem) if matches!(problem.code(), Code::Unavailable | Code::Internal) => {
            return Err(problem);
        }
        Err(problem) => {
            let refused = InboxResult {
                status: problem.code().status().as_u16(),
                problem: Some(problem.view(&message.id)),
                ..nothing(&message.id, &caller.account)
            };
            app.store.keep(once, Answered::ok(&refused)?).await?
        }
        Ok(answered) => answered,
    };
    Ok((caller.account, answered.into_body()))
}

/// Who sent the message.
async fn sender<R: Runtime>(
    app: &App<R>,
    message: &InboxMessage,
    operation: &str,
) -> Result<Caller, Problem> {
    let unauthorized = |detail| Problem::new(Code::Unauthorized, detail);
    match (&message.token, &message.account, &message.signature) {
        (Some(token), None, None) => app.authenticate(token).await,
        (None, Some(account), Some(signature)) => {
            let account = AccountId::parse(account).ok_or_else(|| {
                Problem::field("/account", FieldErrorCode::Invalid, "not an account id")
            })?;
            let signed = Signed {
                id: &message.id,
                at: &message.at,
                account: &account,
                operation,
            };
            if !app.inbox.is_signed(&signed, signature).await? {
                return Err(unauthorized(
                    "the signature is not that of a trusted system",
                ));
            }
            let actor = Actor::new(ActorKind::System, SYSTEM);
            Ok(Caller::new(account, actor))
        }
        _ => Err(unauthorized(
            "a message has either a token, or an account and a signature",
        )),
    }
}

async fn operate<R: Runtime>(
    app: &App<R>,
    caller: &Caller,
    id: &str,
    operation: &str,
    once: &Once,
) -> Result<Answered, Problem> {
    let request: OperationRequest =
        body::parse(operation.as_bytes()).map_err(|problem| problem.within("/operation"))?;
    let command = command("/operation", &request).map_err(|error| match error.code {
        FieldErrorCode::NotFound => Rejection::NotFound.into(),
        _ => Problem::fields(vec![error]),
    })?;
    let (account, id) = (caller.account.clone(), id.to_owned());
    let show = move |applied: &Applied| {
        let task = only(applied)?;
        let nothing = nothing(&id, &account);
        Answered::ok(&match request.op.as_str() {
            "delete" => InboxResult {
                status: StatusCode::NO_CONTENT.as_u16(),
                deleted: Some(task.id),
                ..nothing
            },
            op => InboxResult {
                status: match op {
                    "create" => StatusCode::CREATED.as_u16(),
                    _ => nothing.status,
                },
                task: Some(task.view()),
                ..nothing
            },
        })
    };
    let once = Some(once.clone());
    let done = app.store.change_once(caller, once, command, show);
    done.await.map_err(|problem| match problem.code() {
        Code::IdempotencyKeyReused => {
            problem.with_detail("this message id was used for another operation")
        }
        _ => problem.within("/operation/task"),
    })
}

/// A result without anything in it.
fn nothing<'a>(id: &'a str, account: &'a AccountId) -> InboxResult<'a> {
    InboxResult {
        id,
        account,
        status: StatusCode::OK.as_u16(),
        task: None,
        deleted: None,
        problem: None,
    }
}
