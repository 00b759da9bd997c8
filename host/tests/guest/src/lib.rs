//! The component that the host's tests run. Each path shows one behaviour, in a module of its own name.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use spin_sdk::http::{BoxBody, Request, Response, StatusCode, box_body};
use spin_sdk::http_service;

mod misbehave;
mod outgoing;
mod sharing;
mod talk;

type Answer = spin_sdk::http::Result<Response<BoxBody>>;

#[http_service]
async fn handle(request: Request) -> Answer {
    let path = request.uri().path().to_owned();
    let mut parts = path.split('/').skip(1);
    let behaviour = parts.next().unwrap_or_default();
    let argument = parts.next().unwrap_or_default();
    match behaviour {
        "hello" => text("hello"),
        "announced" => announced("hello"),
        "headers" => headers(&request),
        "echo" => talk::echo(request),
        "read" => talk::read(request).await,
        "drip" => talk::drip(number(argument)),
        "print" => talk::print(),
        "variable" => talk::variable(argument).await,
        "sleep" => talk::sleep(number(argument)).await,
        "call" => outgoing::call(request).await,
        "call-timed" => outgoing::call_timed(request).await,
        "spawn" => outgoing::spawn(request),
        "count" => sharing::count(),
        "wait" => sharing::wait(argument).await,
        "wake" => sharing::wake(argument),
        "lock" => sharing::lock(number(argument)).await,
        "trap" => misbehave::trap(),
        "loop" => misbehave::spin(),
        "trap-beside" if !sharing::waits(argument) => text("alone"),
        "trap-beside" => misbehave::trap(),
        "loop-beside" if !sharing::waits(argument) => text("alone"),
        "loop-beside" => misbehave::spin(),
        "memory" => misbehave::hog(),
        "silent" => misbehave::silent().await,
        "burn" => misbehave::burn(number(argument)),
        _ => status(StatusCode::NOT_FOUND, "no such behaviour"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_default()
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn text(text: impl Into<Bytes>) -> Answer {
    status(StatusCode::OK, text)
}

fn status(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(box_body(http_body_util::Full::new(text.into())));
    *response.status_mut() = status;
    Ok(response)
}

/// An answer whose head tells its length.
fn announced(text: &'static str) -> Answer {
    let mut response = self::text(text)?;
    response
        .headers_mut()
        .insert("content-length", text.len().into());
    Ok(response)
}

fn headers(request: &Request) -> Answer {
    let mut lines = vec![format!("uri: {}", request.uri())];
    for (name, value) in request.headers() {
        lines.push(format!(
            "{name}: {}",
            String::from_utf8_lossy(value.as_bytes())
        ));
    }
    lines.sort();
    text(lines.join("\n"))
}

/// The value of a query parameter, as written.
fn query<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.uri().query()?.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then_some(value)
    })
}

async fn whole(body: impl BodyExt<Data = Bytes>) -> Option<Bytes> {
    BodyExt::collect(body)
        .await
        .ok()
        .map(|body| body.to_bytes())
}
