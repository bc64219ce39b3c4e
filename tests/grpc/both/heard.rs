//! Which methods of the contract were called: over gRPC by method, over REST by the `rest` options of the contract.

use crate::rest::{Reply, Rest};
use certmint::proto::rest_options;
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::transport::Channel;
use tower::Service;

/// The methods in the order of their calls: `CertificateService.GetPending`.
#[derive(Clone, Default)]
pub(super) struct Calls(Arc<Mutex<Vec<String>>>);

impl Calls {
    pub(super) fn last(&self) -> String {
        self.0.lock().unwrap().last().unwrap().clone()
    }

    fn add(&self, method: &str) {
        self.0.lock().unwrap().push(method.trim_start_matches("certmint.v1.").to_owned());
    }
}

/// A channel that writes down what goes through it.
#[derive(Clone)]
pub(super) struct HeardChannel {
    pub(super) channel: Channel,
    pub(super) calls: Calls,
}

impl Service<http::Request<Body>> for HeardChannel {
    type Response = http::Response<Body>;
    type Error = tonic::transport::Error;
    type Future = <Channel as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::poll_ready(&mut self.channel, context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.calls.add(&request.uri().path().trim_start_matches('/').replace('/', "."));
        self.channel.call(request)
    }
}

/// The REST API, alike.
pub(super) struct HeardRest<'a> {
    pub(super) rest: Rest<'a>,
    pub(super) calls: Calls,
}

impl HeardRest<'_> {
    pub(super) async fn send(&self, request: &str, body: &Value) -> Reply {
        self.calls.add(&method_of(request));
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.rest.send(request, body).await
    }
}

/// The method that a request over REST stands for: of the URIs that fit, the one that says most.
fn method_of(request: &str) -> String {
    let (verb, uri) = request.split_once(' ').unwrap();
    let path = uri.split('?').next().unwrap();
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let fits = |template: &str| -> Option<usize> {
        let (expected, path) = template.split_once(' ').unwrap();
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let same = |(part, segment): (&&str, &&str)| part.starts_with('{') || part.eq_ignore_ascii_case(segment);
        let all = expected == verb && parts.len() == segments.len() && parts.iter().zip(&segments).all(same);
        all.then(|| parts.iter().filter(|part| !part.starts_with('{')).count())
    };
    let methods = rest_options().into_iter();
    let fitting = methods.filter_map(|(name, uris)| Some((uris.iter().filter_map(|uri| fits(uri)).max()?, name)));
    fitting.max().unwrap_or_else(|| panic!("{request} is no URI of the contract")).1
}

#[test]
fn a_request_over_rest_is_known_by_its_uri() {
    for (request, method) in [
        ("GET /certificates", "CertificateService.ListCertificates"),
        ("GET /certificates/issuers?x=1", "CertificateAdminService.ListIssuers"),
        ("GET /certificates/web/", "CertificateService.GetCertificate"),
        ("GET /certificates/web/versions", "CertificateService.ListCertificateVersions"),
        ("GET /certificates/web/00", "CertificateService.GetCertificate"),
        ("POST /certificates/restore", "CertificateService.RestoreCertificate"),
        ("POST /keys/web//sign", "KeyService.Sign"),
        ("POST /keys/web/00/unwrapkey", "KeyService.UnwrapKey"),
    ] {
        assert_eq!(method_of(request), format!("certmint.v1.{method}"), "{request}");
    }
}
