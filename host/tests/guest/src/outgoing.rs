//! Calls out.

use bytes::Bytes;
use futures::future::{Either, select};
use spin_sdk::http::{Request, StatusCode, send};

use crate::{Answer, milliseconds, number, query, status, text, whole};

/// Sends the request's method and body to the URL in the query and relays status and body, or the error.
pub(crate) async fn call(request: Request) -> Answer {
    let url = query(&request, "url").unwrap_or_default().to_owned();
    let method = request.method().clone();
    let Some(body) = whole(request.into_body()).await else {
        return status(StatusCode::BAD_REQUEST, "the body broke off");
    };
    relay(&method, &url, body).await
}

async fn relay(method: &spin_sdk::http::Method, url: &str, body: Bytes) -> Answer {
    let outgoing = Request::builder()
        .method(method)
        .uri(url)
        .body(http_body_util::Full::new(body));
    let outgoing = match outgoing {
        Ok(outgoing) => outgoing,
        Err(error) => return status(StatusCode::BAD_REQUEST, error.to_string()),
    };
    match send(outgoing).await {
        Ok(response) => {
            let code = response.status();
            match whole(response.into_body()).await {
                Some(body) => status(code, body),
                None => status(StatusCode::BAD_GATEWAY, "the answer broke off"),
            }
        }
        Err(error) => status(StatusCode::BAD_GATEWAY, format!("{error:?}")),
    }
}

/// Calls the URL in the query, but waits for at most `ms`.
pub(crate) async fn call_timed(request: Request) -> Answer {
    let url = query(&request, "url").unwrap_or_default().to_owned();
    let limit = number(query(&request, "ms").unwrap_or_default());
    let call = std::pin::pin!(relay(&spin_sdk::http::Method::GET, &url, Bytes::new()));
    let limit = std::pin::pin!(spin_sdk::time::sleep(milliseconds(limit)));
    match select(call, limit).await {
        Either::Left((answer, _)) => answer,
        Either::Right(((), _)) => status(StatusCode::GATEWAY_TIMEOUT, "gave up"),
    }
}

/// Answers at once, and calls the URL in the query `ms` later.
pub(crate) fn spawn(request: Request) -> Answer {
    let url = query(&request, "url").unwrap_or_default().to_owned();
    let after = number(query(&request, "ms").unwrap_or_default());
    spin_sdk::wasip3::spawn(async move {
        spin_sdk::time::sleep(milliseconds(after)).await;
        // Who called sees whether it arrives.
        let _ = relay(
            &spin_sdk::http::Method::POST,
            &url,
            Bytes::from_static(b"later"),
        )
        .await;
    });
    text("spawned")
}
