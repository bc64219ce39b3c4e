//! The REST API of the same server, for comparison.

use crate::server::Server;
use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;

/// One answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

/// Who asks: a host, that is a vault.
pub(crate) struct Rest<'a> {
    server: &'a Server,
    host: String,
}

impl Server {
    /// The REST API under this host.
    pub(crate) fn rest(&self, host: &str) -> Rest<'_> {
        Rest { server: self, host: format!("{host}:{}", self.port) }
    }
}

impl Rest<'_> {
    /// Sends a request with a token and JSON; `request` is `METHOD /path` without the API's version.
    pub(crate) async fn send(&self, request: &str, body: impl Into<Bytes>) -> Reply {
        let join = if request.contains('?') { '&' } else { '?' };
        let headers = [("authorization", "Bearer token"), ("content-type", "application/json")];
        self.raw(&format!("{request}{join}api-version=7.4"), &headers, body).await
    }

    /// Sends exactly this.
    pub(crate) async fn raw(&self, request: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        let (method, uri) = request.split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(uri).header("host", &self.host);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let request = builder.body(Full::new(body.into())).unwrap();
        let io = TokioIo::new(self.server.tls(&["http/1.1"]).await);
        let (mut sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let (parts, body) = sender.send_request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8(body.into()).unwrap() }
    }

    /// Sends what must succeed, to prepare a test.
    pub(crate) async fn must(&self, request: &str, body: &str) -> Value {
        let reply = self.send(request, body.to_owned()).await;
        assert!((200..300).contains(&reply.status), "{request}: {} {}", reply.status, reply.body);
        reply.json()
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// Code and message of a refusal.
    pub(crate) fn error(&self) -> (String, String) {
        let body = self.json();
        let member = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        (member("code"), member("message"))
    }
}
