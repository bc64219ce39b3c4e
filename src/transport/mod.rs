//! What the network sees: one TLS port, and behind it the faces of the service.

pub mod admin;
mod audit;
pub mod auth;
pub mod errors;
pub mod grpc;
pub mod host;
pub mod listener;
mod refusal;
pub mod rest;
pub mod tls;

use axum::body::Body;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use std::convert::Infallible;
use std::error::Error;
use std::task::{Context, Poll};
use tower::Service;

/// Both faces behind one port: `application/grpc…` is a call of the contract, all else is REST.
#[derive(Clone)]
pub struct App {
    grpc: grpc::Face,
    rest: rest::Face,
}

/// Puts the faces together.
pub fn app(grpc: grpc::Face, rest: rest::Face) -> App {
    App { grpc, rest }
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
        let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        if content_type.is_some_and(grpc::Face::speaks) {
            self.grpc.call(request)
        } else {
            self.rest.call(request.map(Body::new))
        }
    }
}
