//! How long the host waits for a client: a body that trickles in, and an answer that nobody reads, end with an error.
//! (A head that trickles in is hyper's affair, which has a limit for that.)

use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

/// Bytes a second that have to move, on average, beyond the first wait.
const PACE: u64 = 1024;

/// The wait for a client. It is over when the client has let us wait for longer than what has moved allows.
struct Wait {
    patience: Duration,
    moved: u64,
    /// How long the waits took that have ended.
    waited: Duration,
    since: Option<Instant>,
    end: Pin<Box<Sleep>>,
}

impl Wait {
    fn new(patience: Duration) -> Self {
        Self {
            patience,
            moved: 0,
            waited: Duration::ZERO,
            since: None,
            end: Box::pin(tokio::time::sleep(patience)),
        }
    }

    fn moved(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.waited = self.waited.saturating_add(since.elapsed());
        }
        self.moved = self
            .moved
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    }

    /// To be asked when nothing moves. Time in which nobody wanted to move anything does not count.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let earned = Duration::from_secs(self.moved / PACE);
        let allowed = self.patience.saturating_add(earned);
        let end = since + allowed.saturating_sub(self.waited);
        if self.end.deadline() != end {
            self.end.as_mut().reset(end);
        }
        self.end.as_mut().poll(cx)
    }
}

/// A connection on which what is written has to be taken: within `patience`, and what is more than that allows with a
/// pace of [`PACE`].
pub(crate) struct Timely<S> {
    stream: S,
    patience: Duration,
    /// Since something had to wait to be sent; none while nothing does.
    wait: Option<Wait>,
}

impl<S> Timely<S> {
    pub(crate) fn new(stream: S, patience: Duration) -> Self {
        Self {
            stream,
            patience,
            wait: None,
        }
    }

    /// What comes of writing; a client that takes too little is an error.
    fn bounded<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            return written;
        }
        let patience = self.patience;
        let wait = self.wait.get_or_insert_with(|| Wait::new(patience));
        ready!(wait.poll_over(cx));
        let error = io::Error::new(ErrorKind::TimedOut, "the client does not read its answer");
        Poll::Ready(Err(error))
    }

    /// [`Self::bounded`], for writing that tells how much was taken.
    fn taken(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let (Poll::Ready(Ok(bytes)), Some(wait)) = (&written, &mut self.wait) {
            wait.moved(*bytes);
        }
        self.bounded(written, cx)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timely<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timely<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.taken(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.taken(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// hyper flushes when it has handed over all that it had. Only that ends a wait: a client that takes a byte now and
    /// then has hardly more time than one that takes none.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        if flushed.is_ready() {
            self.wait = None;
        }
        self.bounded(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bounded(shut, cx)
    }
}

/// A request's body, whose bytes have to come: the first within some time, those beyond that with a pace of [`PACE`].
pub(crate) struct Paced {
    body: Incoming,
    wait: Wait,
}

impl Paced {
    pub(crate) fn new(body: Incoming, patience: Duration) -> Self {
        Self {
            body,
            wait: Wait::new(patience),
        }
    }
}

impl Body for Paced {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            if let Some(data) = frame
                .as_ref()
                .and_then(|frame| frame.as_ref().ok()?.data_ref())
            {
                let bytes = data.len();
                self.wait.moved(bytes);
            }
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::from)));
        }
        ready!(self.wait.poll_over(cx));
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_nobody_reads_is_given_up() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut ours = Timely::new(ours, LIMIT);
        let began = Instant::now();
        let error = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(began.elapsed(), LIMIT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_byte_now_and_then_is_too_slow() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut ours = Timely::new(ours, LIMIT);
        let reader = tokio::spawn(async move {
            // It ends with the connection.
            while theirs.read_u8().await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let began = Instant::now();
        let error = ours.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(
            (error.kind(), began.elapsed()),
            (ErrorKind::TimedOut, LIMIT)
        );
        drop(ours);
        reader.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_takes_all_has_time_anew() {
        let (ours, mut theirs) = tokio::io::duplex(16);
        let mut ours = Timely::new(ours, LIMIT);
        for _ in 0..4 {
            let taking = async {
                tokio::time::sleep(LIMIT - Duration::from_secs(1)).await;
                let mut all = [0; 32];
                theirs.read_exact(&mut all).await.unwrap();
            };
            let writing = async {
                ours.write_all(&[0; 32]).await.unwrap();
                ours.flush().await.unwrap();
            };
            tokio::join!(taking, writing);
        }
    }
}
