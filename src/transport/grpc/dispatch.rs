//! Dispatch to the generated services: call context, deadline, panic handling, and the one method with a custom body.

use super::GrpcOptions;
use super::call::Call;
use super::framework_errors::explained;
use super::middleware::Method;
use super::status::status;
use super::stream_deadline::{ending, ending_request};
use super::watch;
use crate::domain::{Error, Reason};
use crate::service::Service;
use crate::transport::headers;
use crate::transport::host::Host;
use crate::transport::listener::Account;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::body::Body;
use tonic::service::Routes;

const WATCH: &str = "/certmint.v1.CertificateService/WatchPending";
const RESTORE: &str = "/certmint.v1.CertificateService/RestoreCertificate";

/// The whole gRPC API as one service.
#[derive(Clone)]
pub(super) struct Dispatch(Arc<Parts>);

struct Parts {
    service: Service,
    routes: Routes,
    /// For the one method whose messages may be larger.
    restore: Routes,
    options: GrpcOptions,
}

impl Dispatch {
    pub(super) fn new(service: Service, routes: Routes, restore: Routes, options: GrpcOptions) -> Self {
        Self(Arc::new(Parts { service, routes, restore, options }))
    }

    pub(super) async fn answer(&self, request: http::Request<Body>) -> http::Response<Body> {
        let options = &self.0.options;
        let (mut parts, body) = request.into_parts();
        if let Err(error) = headers::no_repeats(&parts.headers) {
            return status(error).into_http();
        }
        if headers::is_encoded(&parts.headers) {
            let mut response = status(Error::new(Reason::NotSupported, headers::ENCODED)).into_http();
            *response.status_mut() = http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return response;
        }
        let host = match Host::of(&parts, &options.base_domain, &options.hosts) {
            Ok(host) => host,
            Err(error) => return status(error).into_http(),
        };
        let patience = parts.headers.get("grpc-timeout").and_then(|value| timeout(value.to_str().ok()?));
        let deadline = patience.map(|patience| Instant::now() + patience);
        // It ends at the headers of the answer; a stream keeps the caller's own deadline after them.
        let limit = Instant::now() + self.0.service.limits().request_timeout;
        let ends = deadline.map_or(limit, |own| own.min(limit));
        let method = Method::of(parts.uri.path());
        let access = self.0.service.access().clone();
        let call = Call::new(host, &mut parts.extensions, access, method, ends.into_std());
        let closing = call.closing.clone();
        parts.extensions.insert(call);
        let path = parts.uri.path().to_owned();
        let mut request = http::Request::from_parts(parts, body);
        // Health and reflection: the streams of ours end by themselves.
        let foreign = path.starts_with("/grpc.");
        if foreign {
            request = ending_request(request, closing.clone(), deadline);
        }
        let handled = self.handle(request, deadline);
        // A defect in one call must not take the others of its connection along.
        let handled = AssertUnwindSafe(timeout_at(ends, handled)).catch_unwind();
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

    async fn handle(&self, request: http::Request<Body>, deadline: Option<Instant>) -> http::Response<Body> {
        let Parts { service, routes, restore, options: _ } = &*self.0;
        if request.uri().path() == WATCH {
            return Box::pin(watch::answer(service, request, deadline)).await;
        }
        let account = request.extensions().get::<Account>().filter(|_| Method::of(request.uri().path()).large).cloned();
        let _turn = match &account {
            Some(account) => Some(account.turn().await),
            None => None,
        };
        let routes = if request.uri().path() == RESTORE { restore } else { routes };
        match tower::Service::call(&mut routes.clone(), request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::error!(%error, "a call failed outside of its handler");
                status(Error::internal()).into_http()
            }
        }
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
