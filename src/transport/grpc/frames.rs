//! The body of a stream: messages in the frames of gRPC ("gRPC over HTTP/2", Responses), encoded once for all streams.
//! A waiting stream holds no buffer.
#![expect(clippy::disallowed_types, reason = "this is where tonic::Status belongs")]

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::Stream;
use http::HeaderMap;
use http_body::{Body, Frame};
use prost::Message;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;

/// Messages that are ready together leave together, up to about this many bytes.
const TOGETHER: usize = 32 * 1024;

/// A length-prefixed message, without compression.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    // Messages are far below 4 GiB: an operation has a limit of its own.
    frame.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put(message.encode_to_vec().as_slice());
    frame.freeze()
}

/// Framed messages, then the status in the trailers.
pub(super) struct Frames<S> {
    state: State<S>,
}

enum State<S> {
    Open(S),
    /// The stream has ended with this.
    Closing(Status),
    Closed,
}

impl<S: Stream<Item = Result<Bytes, Status>> + Unpin> Frames<S> {
    pub(super) fn new(messages: S) -> Self {
        Self { state: State::Open(messages) }
    }
}

impl<S: Stream<Item = Result<Bytes, Status>> + Unpin> Body for Frames<S> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let mut ready = Ready::None;
        loop {
            match &mut self.state {
                State::Open(messages) => match Pin::new(messages).poll_next(cx) {
                    Poll::Pending if ready.is_empty() => return Poll::Pending,
                    Poll::Pending => break,
                    Poll::Ready(Some(Ok(message))) => {
                        ready = ready.and(message);
                        if ready.len() >= TOGETHER {
                            break;
                        }
                    }
                    Poll::Ready(Some(Err(status))) => self.state = State::Closing(status),
                    Poll::Ready(None) => self.state = State::Closing(Status::ok("")),
                },
                _ if !ready.is_empty() => break,
                State::Closing(status) => {
                    let trailers = trailers(status);
                    self.state = State::Closed;
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
                State::Closed => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(Ok(Frame::data(ready.into_bytes()))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.state, State::Closed)
    }
}

fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    if status.add_header(&mut trailers).is_err() {
        // Its message is no header value, however it was encoded; the code is.
        let bare = Status::new(status.code(), "");
        let _ = bare.add_header(&mut trailers);
    }
    trailers
}

/// What leaves with the next frame. The usual one message is not copied.
enum Ready {
    None,
    One(Bytes),
    More(BytesMut),
}

impl Ready {
    fn and(self, message: Bytes) -> Self {
        match self {
            Self::None => Self::One(message),
            Self::One(first) => {
                let mut all = BytesMut::with_capacity((first.len() + message.len()).max(4096));
                all.put(first);
                all.put(message);
                Self::More(all)
            }
            Self::More(mut all) => {
                all.put(message);
                Self::More(all)
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(bytes) => bytes.len(),
            Self::More(bytes) => bytes.len(),
        }
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Self::None => Bytes::new(),
            Self::One(bytes) => bytes,
            Self::More(bytes) => bytes.freeze(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::StreamExt;
    use http_body_util::BodyExt;

    fn body(items: Vec<Poll<Result<Bytes, Status>>>) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let mut items = items.into_iter();
        // A pending item wakes at once, as if it came a moment later.
        let stream = futures_util::stream::poll_fn(move |cx| match items.next() {
            Some(Poll::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Poll::Ready(item)) => Poll::Ready(Some(item)),
            None => Poll::Ready(None),
        });
        Frames::new(stream.fuse())
    }

    async fn frames(mut body: impl Body<Data = Bytes, Error = Infallible> + Unpin) -> Vec<String> {
        let mut shown = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            shown.push(match frame.into_data() {
                Ok(data) => format!("{data:?}"),
                Err(frame) => format!("{:?}", frame.into_trailers().unwrap()["grpc-status"]),
            });
        }
        assert!(body.is_end_stream());
        shown
    }

    fn message(text: &'static str) -> Poll<Result<Bytes, Status>> {
        Poll::Ready(Ok(Bytes::from_static(text.as_bytes())))
    }

    #[tokio::test]
    async fn messages_that_are_ready_together_leave_together() {
        let items = vec![message("a"), message("b"), Poll::Pending, message("c"), Poll::Pending];
        assert_eq!(frames(body(items)).await, ["b\"ab\"", "b\"c\"", "\"0\""]);
    }

    #[tokio::test]
    async fn an_error_is_reported_after_what_came_before_it() {
        let items = vec![message("a"), Poll::Ready(Err(Status::unavailable("no")))];
        assert_eq!(frames(body(items)).await, ["b\"a\"", "\"14\""]);
    }

    #[tokio::test]
    async fn one_frame_does_not_grow_without_end() {
        let large = Poll::Ready(Ok(Bytes::from(vec![0; TOGETHER - 1])));
        let mut body = body(vec![large, message("a"), message("b")]);
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), TOGETHER);
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "b");
    }

    #[test]
    fn a_message_is_length_prefixed() {
        assert_eq!(framed(&"hi".to_owned()).as_ref(), b"\0\0\0\0\x04\x0a\x02hi");
    }
}
