//! A byte stream that does not wait for ever: for an HTTP/2 preface that never comes, and for a peer that never reads.

use std::future::Future;
use std::io;
use std::pin::Pin;
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
}

/// The time before it is known that the peer speaks HTTP/2 indeed, or HTTP/1. hyper's own timers start after it.
struct Opening {
    matched: usize,
    deadline: Pin<Box<Sleep>>,
}

impl<T> Guarded<T> {
    /// `opening`: until when the preface, or a byte that is none of it, must have come.
    pub(super) fn new(inner: T, opening: Instant, write_timeout: Duration) -> Self {
        let opening = Some(Opening { matched: 0, deadline: Box::pin(sleep_until(opening)) });
        Self { inner, opening, write_timeout, stalled: None }
    }

    /// Fails a write that has been pending for too long; any progress starts the time anew.
    fn watch_write<R>(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if result.is_ready() {
            self.stalled = None;
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

impl<T: AsyncRead + Unpin> AsyncRead for Guarded<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let result = Pin::new(&mut self.inner).poll_read(cx, buf);
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
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    fn guarded(capacity: usize) -> (tokio::io::DuplexStream, Guarded<tokio::io::DuplexStream>) {
        let (peer, ours) = duplex(capacity);
        let opening = Instant::now() + Duration::from_millis(200);
        (peer, Guarded::new(ours, opening, Duration::from_millis(200)))
    }

    #[tokio::test]
    async fn a_preface_that_drips_is_cut_at_the_deadline() {
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

    #[tokio::test]
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

    #[tokio::test]
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
