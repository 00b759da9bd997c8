//! The platform in production: Spin, by WASI 0.3.

use axum::Router;
use bytes::Bytes;
use docket_domain::{Entropy, Instant};
use docket_sidecar::{Transport, TransportError};
use futures::future::{Either, select};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};
use spin_sdk::wasip3::wit_bindgen::StreamWriter;
use spin_sdk::wasip3::wit_stream;
use spin_sdk::{http as spin_http, variables};
use std::fmt::Display;
use std::future::Future;
use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use crate::serve::{log_background, serve};
use crate::{Code, Config, Origins, Problem, Runtime};

/// The largest answer that is taken from the sidecar, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

/// Answers a request with a function's routes. An instance's first request makes them, for all of its requests, of what
/// spin.toml's variables say.
pub async fn answer<E: Display>(
    router: &OnceLock<Router>,
    make: impl Fn(&Config) -> Result<Router, E>,
    request: spin_http::Request,
) -> axum::response::Response {
    answer_told(router, [], |config, []| make(config), request).await
}

/// As [`answer`], for a function that is told more: what each of its own variables says.
pub async fn answer_told<const N: usize, E: Display>(
    router: &OnceLock<Router>,
    own: [&str; N],
    make: impl Fn(&Config, [&str; N]) -> Result<Router, E>,
    request: spin_http::Request,
) -> axum::response::Response {
    let router = match router.get() {
        Some(router) => router.clone(),
        None => match configured(own, make).await {
            Ok(made) => router.get_or_init(|| made).clone(),
            Err(error) => {
                log_background("error", &format!("not configured: {error}"));
                Router::new().fallback(async || Problem::new(Code::Internal, "not configured"))
            }
        },
    };
    origins()
        .await
        .guard(request, |request| serve(&Spin, router, request))
        .await
}

/// The sites that spin.toml's `cors_origins` names; a list that cannot be read lets in nobody.
async fn origins() -> &'static Origins {
    static ORIGINS: OnceLock<Origins> = OnceLock::new();
    if let Some(origins) = ORIGINS.get() {
        return origins;
    }
    // A function that no browser talks to need not have the variable.
    let list = variables::get("cors_origins").await.unwrap_or_default();
    let origins = Origins::parse(&list).unwrap_or_else(|error| {
        log_background("error", &format!("cors_origins: {error}"));
        Origins::default()
    });
    ORIGINS.get_or_init(|| origins)
}

async fn configured<const N: usize, E: Display>(
    own: [&str; N],
    make: impl Fn(&Config, [&str; N]) -> Result<Router, E>,
) -> Result<Router, String> {
    let variable = async |name: &str| {
        variables::get(name)
            .await
            .map_err(|error| format!("{name}: {error}"))
    };
    let config = Config {
        dapr_url: variable("dapr_url").await?,
        dapr_api_token: variable("dapr_api_token").await?,
        app_api_token: variable("app_api_token").await?,
    };
    let mut told = [const { String::new() }; N];
    for (value, name) in told.iter_mut().zip(own) {
        *value = variable(name).await?;
    }
    make(&config, told.each_ref().map(String::as_str)).map_err(|error| error.to_string())
}

/// Spin.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spin;

impl Transport for Spin {
    async fn send(
        &self,
        request: Request<Bytes>,
        limit: Duration,
    ) -> Result<Response<Bytes>, TransportError> {
        let exchange = async {
            let failed = |error: &dyn std::fmt::Display| TransportError::Failed(error.to_string());
            let response = spin_sdk::http::send(request.map(Full::new))
                .await
                .map_err(|error| failed(&error))?;
            let (parts, body) = response.into_parts();
            let body = Limited::new(body, MAX_ANSWER).collect().await;
            let body = body.map_err(|error| {
                if error.is::<LengthLimitError>() {
                    TransportError::TooLarge(MAX_ANSWER)
                } else {
                    failed(&error)
                }
            })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        match select(pin!(exchange), pin!(self.sleep(limit))).await {
            Either::Left((answer, _)) => answer,
            Either::Right(_) => Err(TransportError::TimedOut(limit)),
        }
    }
}

impl Runtime for Spin {
    fn now(&self) -> Instant {
        let now = system_clock::now();
        let millis = now
            .seconds
            .saturating_mul(1_000)
            .saturating_add(i64::from(now.nanoseconds / 1_000_000));
        Instant::from_millis(millis).unwrap_or(Instant::MIN)
    }

    fn elapsed(&self) -> Duration {
        Duration::from_nanos(monotonic_clock::now())
    }

    fn entropy(&self) -> Entropy {
        let (high, low) = (
            spin_sdk::wasip3::random::random::get_random_u64(),
            spin_sdk::wasip3::random::random::get_random_u64(),
        );
        Entropy(u128::from(high) << 64 | u128::from(low))
    }

    async fn sleep(&self, duration: Duration) {
        spin_sdk::time::sleep(duration).await;
    }

    type Waker = StreamWriter<u8>;

    fn wait(&self) -> (Self::Waker, impl Future<Output = ()> + Send + 'static) {
        let (writer, mut reader) = wit_stream::new::<u8>();
        // The stream carries nothing: its end is the sign.
        (writer, async move {
            let _end = reader.next().await;
        })
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        spin_sdk::wasip3::spawn(task);
    }
}
