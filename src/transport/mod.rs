//! What the network sees: one TLS port, and behind it the faces of the service.

pub mod admin;
mod audit;
pub mod auth;
pub mod errors;
pub mod grpc;
pub mod host;
pub mod listener;
pub mod rest;
pub mod tls;

use http::header::CONTENT_TYPE;
use http::{Request, Response};
use std::convert::Infallible;
use std::task::{Context, Poll};
use tower::Service;

/// Both faces behind one port: `application/grpc…` is a call of the contract, all else is REST.
#[derive(Clone)]
pub struct App {
    grpc: axum::Router,
    rest: axum::Router,
}

/// Puts the faces together.
pub fn app(grpc: axum::Router, rest: axum::Router) -> App {
    App { grpc, rest }
}

impl<B> Service<Request<B>> for App
where
    axum::Router: Service<Request<B>, Response = Response<axum::body::Body>, Error = Infallible>,
{
    type Response = Response<axum::body::Body>;
    type Error = Infallible;
    type Future = <axum::Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let kind = request.headers().get(CONTENT_TYPE).map(http::HeaderValue::as_bytes);
        let face = if kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
            &mut self.grpc
        } else {
            &mut self.rest
        };
        face.call(request)
    }
}
