//! The port on which the CAs of this server publish: plain HTTP, no token, and nothing but certificates, revocation lists
//! and OCSP answers. Paths name an authority, never something whose name can be used again.

mod port;

pub use port::PublishPort;

use crate::domain::{Result, Timestamp};
use crate::metrics::Metrics;
use crate::service::{Answered, Publications, Published};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, EXPIRES, HeaderName, IF_NONE_MATCH, LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Body;
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use std::time::Duration;

/// Largest body: an OCSP request.
const MAX_BODY: usize = 10 * 1024;
/// Longest that a cache keeps something that changes.
const MAX_AGE: Duration = Duration::from_secs(600);
/// What never changes is kept for a day: an authority has one certificate.
const DAY: Duration = Duration::from_secs(24 * 3600);

const CERTIFICATE: &str = "application/pkix-cert";
const CRL: &str = "application/pkix-crl";
const OCSP: &str = "application/ocsp-response";
const PEM: &str = "application/x-pem-file";

/// Answers requests of this port.
#[derive(Clone)]
pub struct Files {
    publications: Publications,
    metrics: Arc<Metrics>,
}

/// What a path names.
#[derive(Debug, Eq, PartialEq)]
enum Wanted<'a> {
    Certificate(&'a str),
    Crl(&'a str, Option<u32>),
    Roots(&'a str, &'a str),
    /// With the request behind the authority, if there is one; as it stands in the path.
    Ocsp(&'a str, Option<&'a str>),
    Nothing,
}

impl Files {
    pub fn new(publications: Publications, metrics: Arc<Metrics>) -> Self {
        Self { publications, metrics }
    }

    async fn answer<B>(&self, request: http::Request<B>) -> Response<Full<Bytes>>
    where
        B: Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let now = self.publications.now();
        let reads = parts.method == Method::GET || parts.method == Method::HEAD;
        let (kind, response) = match Wanted::of(parts.uri.path()) {
            Wanted::Ocsp(id, None) if parts.method == Method::POST => {
                match Limited::new(body, MAX_BODY).collect().await {
                    Ok(request) => ("ocsp", self.ocsp(id, &request.to_bytes(), &parts.headers, now).await),
                    Err(error) if error.is::<LengthLimitError>() => ("ocsp", bare(StatusCode::PAYLOAD_TOO_LARGE)),
                    Err(_) => ("ocsp", bare(StatusCode::BAD_REQUEST)),
                }
            }
            Wanted::Ocsp(id, Some(encoded)) if reads => match decoded(encoded) {
                Some(request) => ("ocsp", self.ocsp(id, &request, &parts.headers, now).await),
                None => ("ocsp", bare(StatusCode::BAD_REQUEST)),
            },
            Wanted::Ocsp(..) => ("ocsp", not_allowed("GET, HEAD, POST")),
            Wanted::Nothing => ("none", bare(StatusCode::NOT_FOUND)),
            _ if !reads => ("none", not_allowed("GET, HEAD")),
            Wanted::Certificate(id) => {
                ("certificate", file(self.publications.certificate(id).await, CERTIFICATE, &parts.headers, now))
            }
            Wanted::Crl(id, shard) => ("crl", file(self.publications.crl(id, shard).await, CRL, &parts.headers, now)),
            Wanted::Roots(vault, issuer) => {
                let found = self.publications.roots(vault, issuer).await;
                ("roots", file(found, PEM, &parts.headers, now))
            }
        };
        self.metrics.operations.published(kind, response.status().as_u16());
        if parts.method == Method::HEAD { response.map(|_| Full::default()) } else { response }
    }

    async fn ocsp(&self, id: &str, request: &[u8], headers: &HeaderMap, now: Timestamp) -> Response<Full<Bytes>> {
        let Answered { answer, status, is_cacheable } = self.publications.ocsp(id, request).await;
        self.metrics.operations.ocsp(status);
        let mut response = with_headers(answer, OCSP, headers, now);
        if !is_cacheable {
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        response
    }
}

impl<'a> Wanted<'a> {
    fn of(path: &'a str) -> Self {
        let Some((kind, rest)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
            return Self::Nothing;
        };
        let hex = |id: &str| id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        match kind {
            "ca" => rest.strip_suffix(".cer").filter(|id| hex(id)).map_or(Self::Nothing, Self::Certificate),
            "crl" => {
                let Some(rest) = rest.strip_suffix(".crl") else { return Self::Nothing };
                match rest.split_once('/') {
                    None if hex(rest) => Self::Crl(rest, None),
                    Some((id, shard)) if hex(id) && shard.len() <= 3 => {
                        shard.parse().map_or(Self::Nothing, |shard| Self::Crl(id, Some(shard)))
                    }
                    _ => Self::Nothing,
                }
            }
            // The request may hold slashes, one behind the other too, and be encoded or not: everything behind the
            // authority is it (RFC 6960 appendix A.1).
            "ocsp" => match rest.split_once('/') {
                None if hex(rest) => Self::Ocsp(rest, None),
                Some((id, "")) if hex(id) => Self::Ocsp(id, None),
                Some((id, request)) if hex(id) => Self::Ocsp(id, Some(request)),
                _ => Self::Nothing,
            },
            "roots" => {
                let names = rest.strip_suffix(".pem").and_then(|rest| rest.split_once('/'));
                names.map_or(Self::Nothing, |(vault, issuer)| Self::Roots(vault, issuer))
            }
            _ => Self::Nothing,
        }
    }
}

/// The request in a path, percent-decoded once; base64 with or without its padding.
fn decoded(text: &str) -> Option<Vec<u8>> {
    let plain: Vec<u8> = percent_decode_str(text).collect();
    let plain = plain.trim_ascii_end();
    STANDARD.decode(plain).or_else(|_| STANDARD_NO_PAD.decode(plain)).ok()
}

fn file(
    found: Result<Option<Published>>,
    content_type: &'static str,
    headers: &HeaderMap,
    now: Timestamp,
) -> Response<Full<Bytes>> {
    match found {
        Ok(Some(file)) => with_headers(file, content_type, headers, now),
        Ok(None) => bare(StatusCode::NOT_FOUND),
        Err(error) => {
            tracing::warn!(%error, "what a CA publishes could not be read");
            bare(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

/// With what caches need (RFC 9919 section 5, RFC 9111).
fn with_headers(
    file: Published,
    content_type: &'static str,
    asked: &HeaderMap,
    now: Timestamp,
) -> Response<Full<Bytes>> {
    let Published { bytes, modified, expires, tag } = file;
    let left = expires.map(|at| Duration::from_millis(u64::try_from(at.0.saturating_sub(now.0)).unwrap_or(0)));
    let age = left.map_or(DAY, |left| left.min(MAX_AGE)).as_secs();
    let tag = format!("\"{tag}\"");
    let known = asked.get_all(IF_NONE_MATCH).iter().filter_map(|it| it.to_str().ok());
    let known = known.flat_map(|list| list.split(',')).any(|it| it.trim() == tag || it.trim() == "*");
    let mut response = match known {
        true => bare(StatusCode::NOT_MODIFIED),
        false => Response::new(Full::new(Bytes::from_owner(Shared(bytes)))),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut set = |name: HeaderName, value: String| {
        if let Ok(value) = HeaderValue::try_from(value) {
            headers.insert(name, value);
        }
    };
    set(ETAG, tag);
    set(CACHE_CONTROL, format!("max-age={age}, public, no-transform, must-revalidate"));
    set(LAST_MODIFIED, http_date(modified));
    if let Some(expires) = expires {
        set(EXPIRES, http_date(expires));
    }
    response
}

struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

fn http_date(at: Timestamp) -> String {
    let since_epoch = Duration::from_secs(u64::try_from(at.seconds()).unwrap_or(0));
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch)
}

fn bare(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

fn not_allowed(allowed: &'static str) -> Response<Full<Bytes>> {
    let mut response = bare(StatusCode::METHOD_NOT_ALLOWED);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "90e139c5ae992dd4e7b5c26f727ef55a";

    #[test]
    fn a_path_names_a_file_of_an_authority_or_nothing() {
        let of = |path: &str| format!("{:?}", Wanted::of(&path.replace("ID", ID)));
        for (path, wanted) in [
            ("/ca/ID.cer", format!("Certificate(\"{ID}\")")),
            ("/crl/ID.crl", format!("Crl(\"{ID}\", None)")),
            ("/crl/ID/127.crl", format!("Crl(\"{ID}\", Some(127))")),
            ("/ocsp/ID", format!("Ocsp(\"{ID}\", None)")),
            ("/ocsp/ID/", format!("Ocsp(\"{ID}\", None)")),
            ("/ocsp/ID/MF//a+b%2F=", format!("Ocsp(\"{ID}\", Some(\"MF//a+b%2F=\"))")),
            ("/roots/default/corp.pem", "Roots(\"default\", \"corp\")".to_owned()),
        ] {
            assert_eq!(of(path), wanted, "{path}");
        }
        for path in [
            "/",
            "",
            "/ca/ID",
            "/ca/x.cer",
            "/crl/ID/1000.crl",
            "/crl/ID/a.crl",
            "/ocsp/x",
            "/livez",
            "//ca/ID.cer",
            "/ca/../ID.cer",
        ] {
            assert_eq!(of(path), "Nothing", "{path}");
        }
    }

    #[test]
    fn a_request_in_a_path_is_decoded_once() {
        for text in ["+/8=", "%2B%2F8%3D", "+%2F8", "+/8%3D"] {
            assert_eq!(decoded(text), Some(vec![0xfb, 0xff]), "{text}");
        }
        assert_eq!(decoded("%252B"), None);
    }
}
