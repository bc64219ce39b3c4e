//! Unary responses, encoded in advance, so that the bytes waiting for the client have a known length.
#![expect(clippy::disallowed_types, reason = "this is where tonic::Status belongs")]

use crate::transport::listener::AnswerLength;
use axum::body::Body as Answer;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body as HttpBody, Frame};
use http_body_util::BodyExt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;

/// The answer with its body in memory; that of a stream as it is.
pub(super) async fn whole(response: http::Response<Body>, streams: bool) -> http::Response<Answer> {
    if streams || response.body().is_end_stream() {
        return response.map(Answer::new);
    }
    let (mut parts, mut body) = response.into_parts();
    let (mut data, mut trailers, mut error) = (Data::default(), None, None);
    // The message is there: nothing of this waits.
    while let Some(frame) = body.frame().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(bytes)) => data.add(bytes),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            Err(status) => error = Some(status),
        }
    }
    let data = data.into_bytes();
    parts.extensions.insert(AnswerLength(data.len()));
    http::Response::from_parts(parts, Answer::new(Whole { data, trailers, error }))
}

/// The usual one frame is not copied.
#[derive(Default)]
struct Data {
    first: Bytes,
    more: BytesMut,
}

impl Data {
    fn add(&mut self, bytes: Bytes) {
        if self.first.is_empty() {
            self.first = bytes;
        } else {
            if self.more.is_empty() {
                self.more.extend_from_slice(&self.first);
            }
            self.more.extend_from_slice(&bytes);
        }
    }

    fn into_bytes(self) -> Bytes {
        if self.more.is_empty() { self.first } else { self.more.freeze() }
    }
}

struct Whole {
    data: Bytes,
    trailers: Option<HeaderMap>,
    error: Option<Status>,
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        if !this.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut this.data)))));
        }
        if let Some(error) = this.error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        Poll::Ready(this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none() && self.error.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;

    #[tokio::test]
    async fn the_length_of_an_answer_is_known_and_its_frames_are_the_same() {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let frames = [
            Frame::data(Bytes::from_static(b"ab")),
            Frame::data(Bytes::from_static(b"cd")),
            Frame::trailers(trailers.clone()),
        ];
        let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Infallible>)));
        let answer = whole(http::Response::new(Body::new(body)), false).await;
        assert_eq!(answer.extensions().get::<AnswerLength>().map(|length| length.0), Some(4));
        let collected = answer.into_body().collect().await.unwrap();
        assert_eq!(collected.trailers(), Some(&trailers));
        assert_eq!(collected.to_bytes(), "abcd");
    }

    #[tokio::test]
    async fn a_stream_is_left_as_it_is() {
        let answer = whole(http::Response::new(Body::new(Full::from("ab"))), true).await;
        assert!(answer.extensions().get::<AnswerLength>().is_none());
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "ab");
    }
}
