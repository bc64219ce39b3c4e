//! In front of the generated services: what every call gets, its deadline, the net under it, and
//! the one method that has a codec of its own.

use super::GrpcOptions;
use super::bare::explained;
use super::call::Call;
use super::ending::{ending, ending_request};
use super::status::status;
use super::watch::{Encoded, Watch};
use crate::domain::{Error, Reason};
use crate::service::Service;
use crate::transport::host::Host;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::service::Routes;

const WATCH: &str = "/certmint.v1.CertificateService/WatchPending";
const RESTORE: &str = "/certmint.v1.CertificateService/RestoreCertificate";

/// The whole gRPC face as one service.
#[derive(Clone)]
pub(super) struct Front {
    service: Service,
    routes: Routes,
    /// For the one method whose messages may be larger.
    restore: Routes,
    options: Arc<GrpcOptions>,
}

impl Front {
    pub(super) fn new(service: Service, routes: Routes, restore: Routes, options: GrpcOptions) -> Self {
        Self { service, routes, restore, options: Arc::new(options) }
    }

    async fn answer(self, request: http::Request<Body>) -> http::Response<Body> {
        let (mut parts, body) = request.into_parts();
        let host = match Host::of(&parts, &self.options.base_domain) {
            Ok(host) => host,
            Err(error) => return status(error).into_http(),
        };
        let call = Call::new(host, &parts.extensions, self.service.vaults().clone());
        let closing = call.closing.clone();
        parts.extensions.insert(call);
        let patience = parts.headers.get("grpc-timeout").and_then(|value| timeout(value.to_str().ok()?));
        let deadline = patience.map(|patience| Instant::now() + patience);
        // It ends at the headers of the answer; a stream keeps the caller's own deadline after them.
        let limit = Instant::now() + self.options.call_timeout;
        let path = parts.uri.path().to_owned();
        let mut request = http::Request::from_parts(parts, body);
        // Health and reflection: the streams of ours end by themselves.
        let foreign = path.starts_with("/grpc.");
        if foreign {
            request = ending_request(request, closing.clone(), deadline);
        }
        let handled = self.handle(request, deadline);
        // A defect in one call must not take the others of its connection along.
        let handled =
            AssertUnwindSafe(timeout_at(deadline.map_or(limit, |own| own.min(limit)), handled)).catch_unwind();
        match handled.await {
            Ok(Ok(response)) if foreign => ending(explained(response, &path), closing, deadline),
            Ok(Ok(response)) => explained(response, &path),
            Ok(Err(_)) => status(Error::new(Reason::DeadlineExceeded, "The deadline of the call passed.")).into_http(),
            Err(_) => {
                tracing::error!(path, "a call made the server panic");
                status(Error::internal()).into_http()
            }
        }
    }

    async fn handle(mut self, request: http::Request<Body>, deadline: Option<Instant>) -> http::Response<Body> {
        if request.uri().path() == WATCH {
            let watch = Watch { service: self.service, deadline };
            return tonic::server::Grpc::new(Encoded)
                .apply_max_message_size_config(Some(self.options.message_limit), None)
                .server_streaming(watch, request)
                .await;
        }
        let routes = if request.uri().path() == RESTORE { &mut self.restore } else { &mut self.routes };
        match tower::Service::call(routes, request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(%error, "a call failed outside of its handler");
                status(Error::internal()).into_http()
            }
        }
    }
}

impl tower::Service<http::Request<Body>> for Front {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request).await) })
    }
}

/// `grpc-timeout`: up to eight digits and a unit (gRPC over HTTP/2, "Requests").
fn timeout(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number: u64 = number.parse().ok().filter(|_| (1..=8).contains(&number.len()))?;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_the_protocol_says() {
        assert_eq!(timeout("20S"), Some(Duration::from_secs(20)));
        assert_eq!(timeout("99999999m"), Some(Duration::from_millis(99_999_999)));
        for bad in ["", "S", "1", "123456789S", "-1S", "1x", "1é"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }
}
