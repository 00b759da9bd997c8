//! The platform in production: Spin, by WASI 0.3.

use bytes::Bytes;
use docket_domain::{Entropy, Instant};
use docket_sidecar::{Transport, TransportError};
use futures::future::{Either, select};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use spin_sdk::wasip3::clocks::{monotonic_clock, system_clock};
use spin_sdk::wasip3::wit_bindgen::StreamWriter;
use spin_sdk::wasip3::wit_stream;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use crate::Runtime;

/// The largest answer that is taken from the sidecar, in bytes.
const MAX_ANSWER: usize = 64 * 1024 * 1024;

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
