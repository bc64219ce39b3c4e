//! The network interface: one TLS port, and the APIs behind it.

mod actions;
pub mod admin;
mod audit;
pub mod auth;
pub mod cors;
pub mod errors;
pub mod grpc;
mod headers;
pub mod host;
pub mod listener;
pub mod publish;
mod refusal;
pub mod rest;
pub mod tls;

use axum::body::Body;
use bytes::Bytes;
use cors::Cors;
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower::Service;

/// Both APIs behind one port: `application/grpc…` is a call of the contract, all else is REST.
#[derive(Clone)]
pub struct App {
    grpc: grpc::Api,
    rest: rest::Api,
    cors: Arc<Cors>,
}

/// Puts the APIs together; pages of other origins may not call them.
pub fn app(grpc: grpc::Api, rest: rest::Api) -> App {
    App { grpc, rest, cors: Arc::default() }
}

impl App {
    /// Lets pages of these origins call both APIs.
    #[must_use]
    pub fn with_cors(self, cors: Cors) -> Self {
        Self { cors: Arc::new(cors), ..self }
    }

    fn api<B>(&mut self, request: Request<B>) -> BoxFuture<'static, Result<Response<Body>, Infallible>>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if content_type.is_some_and(grpc::Api::speaks) {
            self.grpc.call(request)
        } else {
            self.rest.call(request.map(Body::new))
        }
    }
}

impl<B> Service<Request<B>> for App
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if self.cors.is_off() {
            return self.api(request);
        }
        // Before the credentials: a browser sends none with the question whether it may.
        if let Some(answer) = self.cors.preflight(&request) {
            return Box::pin(std::future::ready(Ok(answer.map(Body::from))));
        }
        let allowed = self.cors.allowed(request.headers());
        let answer = self.api(request);
        Box::pin(async move { answer.await.map(|answer| cors::answered(answer, allowed)) })
    }
}
