//! Bodies, output, variables and time.

use bytes::Bytes;
use futures::SinkExt;
use http_body_util::BodyExt;
use spin_sdk::http::{Request, Response, StatusCode, body, box_body};

use crate::{Answer, milliseconds, status, text, whole};

/// Sends the request's body back as it comes.
pub(crate) fn echo(request: Request) -> Answer {
    Ok(Response::new(box_body(
        request.into_body().map_err(anyhow_error),
    )))
}

fn anyhow_error(error: impl std::fmt::Debug) -> std::io::Error {
    std::io::Error::other(format!("{error:?}"))
}

/// Tells how long the request's body is.
pub(crate) async fn read(request: Request) -> Answer {
    match whole(request.into_body()).await {
        Some(body) => text(body.len().to_string()),
        None => status(StatusCode::BAD_REQUEST, "the body broke off"),
    }
}

/// Writes a line each 20 milliseconds, `lines` of them.
pub(crate) fn drip(lines: u64) -> Answer {
    let (mut sender, body) = body::stream::<Bytes>();
    spin_sdk::wasip3::spawn(async move {
        for line in 0..lines {
            if sender.send(Bytes::from(format!("{line}\n"))).await.is_err() {
                return;
            }
            spin_sdk::time::sleep(milliseconds(20)).await;
        }
    });
    Ok(Response::new(box_body(body)))
}

/// Writes to both outputs.
#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is what is shown"
)]
pub(crate) fn print() -> Answer {
    print!("half a line, ");
    println!("and the rest");
    eprintln!("an error line");
    println!("two lines\nin one call");
    text("printed")
}

/// Reads a variable.
pub(crate) async fn variable(name: &str) -> Answer {
    match spin_sdk::variables::get(name).await {
        Ok(value) => text(value),
        Err(error) => status(StatusCode::BAD_REQUEST, format!("{error:?}")),
    }
}

/// Says so, waits, and answers.
#[expect(clippy::print_stdout, reason = "it tells the test that it is here")]
pub(crate) async fn sleep(time: u64) -> Answer {
    println!("sleeping");
    spin_sdk::time::sleep(milliseconds(time)).await;
    text("slept")
}
