//! Ends the streams of health and reflection, which otherwise never end and would delay shutdown and the rotation of
//! connections.
#![expect(clippy::disallowed_types, reason = "this is where tonic::Status belongs")]

use super::status::status;
use crate::domain::{Error, Reason};
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use std::future::pending;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;

/// What a stream gets to say its last word in, such as NOT_SERVING.
const LAST_WORD: Duration = Duration::from_millis(200);

/// The call, whose messages end with the stream: who still waits for one would keep the connection.
pub(super) fn ending_request(
    request: http::Request<Body>,
    closing: CancellationToken,
    deadline: Option<Instant>,
) -> http::Request<Body> {
    request.map(|inner| {
        until(inner, async move {
            over(closing, deadline).await;
            // The answer ends first, with its reason.
            sleep(LAST_WORD).await;
            None
        })
    })
}

/// The answer, whose body ends when its connection is to close or the caller's deadline passes.
pub(super) fn ending(
    response: http::Response<Body>,
    closing: CancellationToken,
    deadline: Option<Instant>,
) -> http::Response<Body> {
    response.map(|inner| until(inner, async move { Some(over(closing, deadline).await) }))
}

/// Ends with why a stream has to end.
async fn over(closing: CancellationToken, deadline: Option<Instant>) -> Error {
    let late = async {
        match deadline {
            Some(deadline) => sleep_until(deadline).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = closing.cancelled() => {
            sleep(LAST_WORD).await;
            Error::new(Reason::ServerDraining, "The server is closing this stream. Open it again.")
                .retry_after(Duration::from_millis(500))
        }
        () = late => Error::new(Reason::DeadlineExceeded, "The deadline of the call passed."),
    }
}

fn until(inner: Body, over: impl Future<Output = Option<Error>> + Send + 'static) -> Body {
    if inner.is_end_stream() { inner } else { Body::new(Ending { inner, over: Some(Box::pin(over)) }) }
}

struct Ending<F> {
    inner: Body,
    /// `None` after the end.
    over: Option<Pin<Box<F>>>,
}

impl<F: Future<Output = Option<Error>>> HttpBody for Ending<F> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        let Some(over) = &mut this.over else { return Poll::Ready(None) };
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        let end = ready!(over.as_mut().poll(cx));
        this.over = None;
        let Some(end) = end else { return Poll::Ready(None) };
        let mut trailers = HeaderMap::new();
        status(end).add_header(&mut trailers)?;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.over.is_none() || self.inner.is_end_stream()
    }
}
