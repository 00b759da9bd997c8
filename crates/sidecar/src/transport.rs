//! How a request reaches the sidecar.

use bytes::Bytes;
use http::{Request, Response};
use std::future::Future;
use std::time::Duration;

/// Sends HTTP requests.
pub trait Transport: Clone + Send + Sync + 'static {
    /// Sends `request` and reads the whole answer, all within `limit`.
    fn send(
        &self,
        request: Request<Bytes>,
        limit: Duration,
    ) -> impl Future<Output = Result<Response<Bytes>, TransportError>> + Send;
}

/// Why there is no answer.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum TransportError {
    /// It took too long.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    /// The answer has more bytes than are taken.
    #[error("an answer of more than {0} bytes")]
    TooLarge(usize),
    /// Not connected, cut off, or not HTTP.
    #[error("{0}")]
    Failed(String),
}
