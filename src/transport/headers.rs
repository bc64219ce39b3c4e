//! Headers that may occur only once: with two, a proxy and this server could each use a different one.

use crate::domain::{Error, Result};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE, ORIGIN, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName};

/// Those that are read here and have one value (RFC 9110 section 5.3). `Host` is `host.rs`'s, `Content-Length` that of
/// the HTTP library.
const SINGLE: [HeaderName; 10] = [
    AUTHORIZATION,
    CONTENT_TYPE,
    ORIGIN,
    HeaderName::from_static("x-http-method"),
    HeaderName::from_static("x-ms-client-request-id"),
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("access-control-request-method"),
    HeaderName::from_static("user-agent"),
];

/// Refuses a request whose credentials are ambiguous.
pub(super) fn one_authorization(headers: &HeaderMap) -> Result<()> {
    once(headers, &AUTHORIZATION)
}

/// Refuses a request with two values of a header that has one.
pub(super) fn no_repeats(headers: &HeaderMap) -> Result<()> {
    SINGLE.iter().try_for_each(|name| once(headers, name))
}

fn once(headers: &HeaderMap, name: &HeaderName) -> Result<()> {
    match headers.get_all(name).iter().nth(1) {
        None => Ok(()),
        Some(_) => Err(Error::bad_parameter(format!("The request has more than one {name} header. Send one."))),
    }
}

/// Whether the body is in an encoding, which none is read in: of its content (RFC 9110 section 8.4), or of its transfer
/// beside the chunks that HTTP/1.1 is made of (RFC 9112 section 6.1).
pub(super) fn is_encoded(headers: &HeaderMap) -> bool {
    let is_other = |name: HeaderName, plain: &'static [u8]| {
        let values = headers.get_all(name).into_iter().flat_map(|value| value.as_bytes().split(|b| *b == b','));
        values.map(<[u8]>::trim_ascii).any(|encoding| !encoding.is_empty() && !encoding.eq_ignore_ascii_case(plain))
    };
    is_other(CONTENT_ENCODING, b"identity") || is_other(TRANSFER_ENCODING, b"chunked")
}

/// The error for a body with an encoding.
pub(super) const ENCODED: &str =
    "The body of the request has a Content-Encoding or a Transfer-Encoding. Send it as it is, without compression.";

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(values: &[(&'static str, &'static str)]) -> HeaderMap {
        let fields =
            values.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn each_of_them_may_stand_once() {
        for name in SINGLE {
            let twice = |second: &'static str| {
                let mut headers = HeaderMap::new();
                headers.append(name.clone(), HeaderValue::from_static("a"));
                headers.append(name.clone(), HeaderValue::from_static(second));
                headers
            };
            assert!(no_repeats(&twice("a")).is_err() && no_repeats(&twice("b")).is_err(), "{name}");
        }
        assert!(no_repeats(&headers(&[("accept", "a"), ("accept", "b"), ("authorization", "x")])).is_ok());
    }

    #[test]
    fn only_the_identity_is_no_encoding() {
        for encoded in ["gzip", "br", "identity, gzip", "GZIP", "x"] {
            assert!(is_encoded(&headers(&[("content-encoding", encoded)])), "{encoded}");
        }
        assert!(is_encoded(&headers(&[("content-encoding", "identity"), ("content-encoding", "deflate")])));
        for plain in ["", "identity", "Identity , identity"] {
            assert!(!is_encoded(&headers(&[("content-encoding", plain)])), "{plain}");
        }
        assert!(!is_encoded(&HeaderMap::new()));
        assert!(is_encoded(&headers(&[("transfer-encoding", "gzip, chunked")])));
        assert!(!is_encoded(&headers(&[("transfer-encoding", "Chunked")])));
    }
}
