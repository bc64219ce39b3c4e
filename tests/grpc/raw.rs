//! gRPC without a gRPC library: bytes in, bytes out, every header and every trailer. It enforces no deadlines, can send
//! what no library would send, and reads only on demand.

use bytes::{Buf, Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use prost::Message;

/// A call before it is sent.
#[derive(Clone)]
pub(crate) struct Call {
    path: String,
    authority: &'static str,
    headers: Vec<(&'static str, String)>,
}

impl Call {
    /// `method` is `Service/Method`; a service of ours needs no package.
    pub(crate) fn to(method: &str) -> Self {
        let package = if method.contains('.') { "" } else { "certmint.v1." };
        let headers = vec![("content-type", "application/grpc".to_owned()), ("te", "trailers".to_owned())];
        Self { path: format!("/{package}{method}"), authority: "localhost", headers }
    }

    pub(crate) fn authority(self, authority: &'static str) -> Self {
        Self { authority, ..self }
    }

    /// Sets a header; an empty value leaves it out.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        let value = value.into();
        if !value.is_empty() {
            self.headers.push((name, value));
        }
        self
    }

    fn request(&self) -> Request<()> {
        let mut request = Request::post(format!("https://{}{}", self.authority, self.path));
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        request.body(()).unwrap()
    }

    /// Sends the headers alone; the message is the caller's business.
    pub(crate) async fn open(&self, to: &SendRequest<Bytes>) -> (ResponseFuture, SendStream<Bytes>) {
        to.clone().ready().await.unwrap().send_request(self.request(), false).unwrap()
    }

    /// Sends these bytes as they are and waits for the headers of the answer.
    pub(crate) async fn send_bytes(&self, to: &SendRequest<Bytes>, body: Bytes) -> Result<Reading, h2::Error> {
        let (answer, mut stream) = self.open(to).await;
        // A server that refuses early need not read it all.
        let _ = stream.send_data(body, true);
        let (parts, body) = answer.await?.into_parts();
        Ok(Reading { http: parts.status.as_u16(), headers: parts.headers, body, buffer: BytesMut::new() })
    }

    /// Sends one message and waits for the headers of the answer.
    pub(crate) async fn send(&self, to: &SendRequest<Bytes>, message: &impl Message) -> Reading {
        self.send_bytes(to, framed(&message.encode_to_vec())).await.unwrap()
    }

    /// Sends one message and reads the whole answer.
    pub(crate) async fn whole(&self, to: &SendRequest<Bytes>, message: &impl Message) -> Answer {
        self.send(to, message).await.rest().await
    }

    pub(crate) async fn whole_bytes(&self, to: &SendRequest<Bytes>, body: Bytes) -> Answer {
        self.send_bytes(to, body).await.unwrap().rest().await
    }
}

/// A message behind its five bytes: not compressed, and its length.
pub(crate) fn framed(message: &[u8]) -> Bytes {
    flagged(0, message)
}

pub(crate) fn flagged(flag: u8, message: &[u8]) -> Bytes {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    Bytes::from([&[flag], &length[..], message].concat())
}

/// An answer that is still being read.
pub(crate) struct Reading {
    pub(crate) http: u16,
    pub(crate) headers: HeaderMap,
    body: RecvStream,
    buffer: BytesMut,
}

impl Reading {
    /// The next message; `None` at the end.
    pub(crate) async fn message<M: Message + Default>(&mut self) -> Option<M> {
        self.bytes().await.map(|message| M::decode(message).unwrap())
    }

    async fn bytes(&mut self) -> Option<Bytes> {
        loop {
            if let Some(message) = unframed(&mut self.buffer) {
                return Some(message);
            }
            let data = self.body.data().await?.unwrap();
            self.body.flow_control().release_capacity(data.len()).unwrap();
            self.buffer.extend_from_slice(&data);
        }
    }

    pub(crate) async fn rest(mut self) -> Answer {
        let mut messages = Vec::new();
        while let Some(message) = self.bytes().await {
            messages.push(message);
        }
        let trailers = self.body.trailers().await.unwrap().unwrap_or_default();
        assert!(self.buffer.is_empty(), "bytes behind the last message");
        Answer { http: self.http, headers: self.headers, messages, trailers }
    }
}

/// Takes a whole message out of the bytes that came.
pub(crate) fn unframed(buffer: &mut BytesMut) -> Option<Bytes> {
    let length = buffer.get(1..5)?.try_into().unwrap();
    let length = u32::from_be_bytes(length) as usize;
    if buffer.len() < 5 + length {
        return None;
    }
    assert_eq!(buffer[0], 0, "nobody asked for compression");
    buffer.advance(5);
    Some(buffer.split_to(length).freeze())
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) http: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) messages: Vec<Bytes>,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    /// Where the status is: in the trailers, or among the headers of an answer without a message.
    pub(crate) fn status_headers(&self) -> &HeaderMap {
        if self.headers.contains_key("grpc-status") { &self.headers } else { &self.trailers }
    }

    /// `grpc-status` as a number.
    pub(crate) fn code(&self) -> u16 {
        self.status_headers()["grpc-status"].to_str().unwrap().parse().unwrap()
    }

    /// The one message of an answer that is good.
    pub(crate) fn message<M: Message + Default>(&self) -> M {
        assert_eq!((self.http, self.code(), self.messages.len()), (200, 0, 1), "{self:?}");
        M::decode(self.messages[0].clone()).unwrap()
    }

    /// Whole octets of the block that carries the status, as HPACK counts them (RFC 7541 section 4.1).
    pub(crate) fn status_size(&self) -> usize {
        self.status_headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 32).sum()
    }
}
