//! A byte stream with timeouts: for an HTTP/2 preface that never arrives, and for a peer that never reads.

use super::connections::Connection;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// RFC 9113 section 3.4.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Wraps a stream; reads and writes fail with `TimedOut` when a time is over.
pub(super) struct Guarded<T> {
    inner: T,
    opening: Option<Opening>,
    write_timeout: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
    connection: Arc<Connection>,
    /// Bytes that were read since the reader last had to wait.
    read: usize,
    /// The reader waits until the peer has read.
    read_waits: bool,
}

/// HTTP/2 decodes all that it can read before the first request of it is handled, and a few bytes can be many requests.
/// So the reader has to pause after so many bytes: where the connection is anonymous, and where it is not.
const READ_ANONYMOUS: usize = 1024;
const READ_KNOWN: usize = 16 * 1024;

/// The time before it is known that the peer speaks HTTP/2 indeed, or HTTP/1. hyper's own timers start after it.
struct Opening {
    matched: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<T> Guarded<T> {
    /// `opening`: until when the preface, or a byte that is none of it, must have come.
    pub(super) fn new(inner: T, opening: Instant, write_timeout: Duration, connection: Arc<Connection>) -> Self {
        let opening = Some(Opening { matched: 0, deadline: Box::pin(sleep_until(opening)) });
        Self { inner, opening, write_timeout, stalled: None, connection, read: 0, read_waits: false }
    }

    /// Fails a write that has been pending for too long; any progress restarts the timer.
    fn watch_write<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            if self.stalled.take().is_some() && std::mem::take(&mut self.read_waits) {
                cx.waker().wake_by_ref();
            }
            return result;
        }
        let timeout = self.write_timeout;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read")))
    }
}

impl Opening {
    /// True when these bytes have settled which protocol it is.
    fn settled(&mut self, bytes: &[u8]) -> bool {
        let expected = &PREFACE[self.matched..];
        let common = bytes.len().min(expected.len());
        self.matched += common;
        bytes.is_empty() || bytes[..common] != expected[..common] || self.matched == PREFACE.len()
    }
}

impl<T: AsyncRead + Unpin> Guarded<T> {
    /// Reads no more than may be handled at once.
    fn paced_read(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let anonymous = self.connection.is_anonymous();
        // A peer that does not read its responses may not send more requests.
        if anonymous && self.stalled.is_some() {
            self.read_waits = true;
            return Poll::Pending;
        }
        let pace = if anonymous { READ_ANONYMOUS } else { READ_KNOWN };
        if self.read >= pace {
            self.read = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let room = buf.remaining().min(pace - self.read);
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        let result = Pin::new(&mut self.inner).poll_read(cx, &mut part);
        let read = part.filled().len();
        buf.advance(read);
        self.read = if result.is_pending() { 0 } else { self.read + read };
        result
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = self.paced_read(cx, buf);
        let Some(opening) = &mut self.opening else { return result };
        if result.is_pending() {
            ready!(opening.deadline.as_mut().poll(cx));
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer sends no request")));
        }
        if opening.settled(&buf.filled()[before..]) {
            self.opening = None;
        }
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Guarded<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.watch_write(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.watch_write(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch_write(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch_write(cx, result)
    }
}

#[cfg(test)]
mod tests {
    use super::super::budget::{Budget, BudgetOptions};
    use super::super::connections::Connections;
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn connection() -> Arc<Connection> {
        let table = Connections::new(Budget::new(BudgetOptions::default()));
        Arc::clone(&table.enter(1, [192, 0, 2, 1].into()).connection)
    }

    fn guarded(capacity: usize) -> (tokio::io::DuplexStream, Guarded<tokio::io::DuplexStream>) {
        let (peer, ours) = duplex(capacity);
        let opening = Instant::now() + Duration::from_millis(200);
        (peer, Guarded::new(ours, opening, Duration::from_millis(200), connection()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_preface_is_cut_at_the_deadline() {
        let (mut peer, mut ours) = guarded(64);
        let drip = tokio::spawn(async move {
            for byte in PREFACE {
                if peer.write_all(&[*byte]).await.is_err() {
                    break;
                }
                sleep(Duration::from_millis(50)).await;
            }
        });
        let mut buffer = [0; 24];
        let begun = Instant::now();
        let error = ours.read_exact(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        drop(ours);
        drip.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_preface_reads_may_wait() {
        for first in [&PREFACE[..], b"GET", b"P", b"PRI * HTTP/2.1"] {
            let (mut peer, mut ours) = guarded(64);
            peer.write_all(first).await.unwrap();
            let mut buffer = vec![0; first.len()];
            ours.read_exact(&mut buffer).await.unwrap();
            let more = tokio::time::timeout(Duration::from_millis(400), ours.read_u8()).await;
            assert_eq!(more.is_err(), first != b"P", "{first:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_read_is_cut_and_a_slow_one_is_not() {
        let (peer, mut ours) = guarded(16);
        assert_eq!(ours.write_all(&[0; 64]).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        drop(peer);
        let (mut peer, mut ours) = guarded(16);
        let reader = tokio::spawn(async move {
            let mut byte = [0; 8];
            for _ in 0..8 {
                sleep(Duration::from_millis(60)).await;
                peer.read_exact(&mut byte).await.unwrap();
            }
        });
        ours.write_all(&[0; 64]).await.unwrap();
        reader.await.unwrap();
    }
}
