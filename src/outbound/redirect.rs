//! Redirects (RFC 9110 section 15.4): followed only as often as a request asks.

use super::{Error, ErrorKind, Request, Response, redacted};
use http::{Method, Uri, header};

/// The request that a redirect asks for; none where the response is the answer.
pub(super) fn redirected(request: &Request, response: &Response) -> Result<Option<Request>, Error> {
    let moved = matches!(response.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    if !moved || request.redirects == 0 || !matches!(request.method, Method::GET | Method::HEAD) {
        return Ok(None);
    }
    let refused = |problem: &str| {
        let place = redacted(&request.url);
        Error::new(ErrorKind::Redirect, format!("The redirect of {place} is not followed: {problem}."))
    };
    let location = response.text("location").ok_or_else(|| refused("it names no address"))?;
    let from: Uri = request.url.parse().map_err(|_| refused("the address cannot be read"))?;
    let url = absolute(&from, location).ok_or_else(|| refused("the address cannot be read"))?;
    let to: Uri = url.parse().map_err(|_| refused("the address cannot be read"))?;
    if from.scheme_str() == Some("https") && to.scheme_str() != Some("https") {
        return Err(refused("it leads away from https"));
    }
    let mut next = request.clone();
    next.redirects -= 1;
    if from.authority() != to.authority() {
        // Credentials are meant for one host.
        let secret: Vec<_> =
            next.headers.iter().filter(|(_, value)| value.is_sensitive()).map(|(name, _)| name.clone()).collect();
        for name in secret.into_iter().chain([header::AUTHORIZATION, header::COOKIE]) {
            next.headers.remove(name);
        }
    }
    next.url = url;
    Ok(Some(next))
}

fn absolute(from: &Uri, location: &str) -> Option<String> {
    let location = location.split('#').next().unwrap_or_default();
    if location.contains("://") {
        return Some(location.to_owned());
    }
    let (scheme, authority) = (from.scheme_str()?, from.authority()?);
    if let Some(rest) = location.strip_prefix("//") {
        return Some(format!("{scheme}://{rest}"));
    }
    if location.starts_with('/') {
        return Some(format!("{scheme}://{authority}{location}"));
    }
    let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
    Some(format!("{scheme}://{authority}{folder}/{location}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};

    fn moved(to: &'static str) -> Response {
        let headers = HeaderMap::from_iter([(header::LOCATION, to.parse().unwrap())]);
        Response { status: StatusCode::FOUND, headers, body: Bytes::new() }
    }

    fn request() -> Request {
        let mut request = Request::get("https://a.example/x/y").secret_header("x-api-key", "k").unwrap();
        request.redirects = 1;
        request
    }

    #[test]
    fn none_is_followed_unless_asked() {
        assert!(redirected(&Request::get("https://a.example"), &moved("https://b.example")).unwrap().is_none());
    }

    #[test]
    fn relative_addresses_are_completed_and_the_count_falls() {
        for (location, url) in [
            ("/z", "https://a.example/z"),
            ("z?q=1", "https://a.example/x/z?q=1"),
            ("//b.example/z", "https://b.example/z"),
        ] {
            let next = redirected(&request(), &moved(location)).unwrap().unwrap();
            assert_eq!((next.url.as_str(), next.redirects), (url, 0));
        }
    }

    #[test]
    fn credentials_stay_with_their_host() {
        let same = redirected(&request(), &moved("/z")).unwrap().unwrap();
        let other = redirected(&request(), &moved("https://b.example/")).unwrap().unwrap();
        assert_eq!((same.headers.len(), other.headers.len()), (1, 0));
    }

    #[test]
    fn https_is_never_left() {
        assert_eq!(redirected(&request(), &moved("http://a.example/")).unwrap_err().kind, ErrorKind::Redirect);
    }
}
