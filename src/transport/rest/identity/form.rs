//! The form of a token request (`application/x-www-form-urlencoded`), and the client's credentials in it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use percent_encoding::percent_decode;
use std::borrow::Cow;
use zeroize::Zeroizing;

/// Most parameters of a form: the libraries send a dozen.
const MAX_PAIRS: usize = 64;

/// Names with their values, decoded; the values may be secrets.
pub(super) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    /// `None` where it is no form in UTF-8, a name stands twice (RFC 6749 section 3.2), or there are too many.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut pairs: Vec<(String, Zeroizing<String>)> = Vec::new();
        for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            if pairs.len() == MAX_PAIRS {
                return None;
            }
            let at = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
            let name = decoded(&pair[..at])?;
            let value = Zeroizing::new(decoded(pair.get(at + 1..).unwrap_or_default())?);
            if pairs.iter().any(|(known, _)| *known == name) {
                return None;
            }
            pairs.push((name, value));
        }
        Some(Self(pairs))
    }

    /// A value that is not empty: one without a value counts as left out (RFC 6749 section 3.1).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

fn decoded(text: &[u8]) -> Option<String> {
    let spaces: Cow<'_, [u8]> = match text.contains(&b'+') {
        true => text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect::<Vec<_>>().into(),
        false => text.into(),
    };
    percent_decode(&spaces).decode_utf8().ok().map(Cow::into_owned)
}

/// Whether the body says that it is a form; parameters such as the charset do not matter.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    media_type.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
}

/// The client that `Authorization: Basic` names (RFC 6749 section 2.3.1).
pub(super) struct Basic {
    pub(super) id: String,
    pub(super) secret: Zeroizing<String>,
}

/// What is in `Authorization: Basic`; `Some(None)` where the header cannot be read.
pub(super) fn basic(headers: &HeaderMap) -> Option<Option<Basic>> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let value = all.next()?.as_bytes().trim_ascii();
    let mut read = || {
        let (scheme, rest) = value.split_at_checked(6)?;
        let fits = all.next().is_none() && scheme.eq_ignore_ascii_case(b"basic ");
        let pair = Zeroizing::new(STANDARD.decode(fits.then(|| rest.trim_ascii())?).ok()?);
        let at = pair.iter().position(|byte| *byte == b':')?;
        Some(Basic { id: decoded(&pair[..at])?, secret: Zeroizing::new(decoded(&pair[at + 1..])?) })
    };
    Some(read())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn forms_are_decoded() {
        let form =
            Form::parse(b"grant_type=client_credentials&scope=https%3A%2F%2Fkv.test%2F.default+openid&a&b=").unwrap();
        assert_eq!(form.get("grant_type"), Some("client_credentials"));
        assert_eq!(form.get("scope"), Some("https://kv.test/.default openid"));
        assert_eq!((form.get("a"), form.get("b"), form.get("c")), (None, None, None));
        for bad in [&b"a=1&a=2"[..], b"a=%FF", b"%FF=a"] {
            assert!(Form::parse(bad).is_none(), "{bad:?}");
        }
        let many = |count: usize| (0..count).map(|number| format!("p{number}=")).collect::<Vec<_>>().join("&");
        assert!(Form::parse(many(MAX_PAIRS).as_bytes()).is_some());
        assert!(Form::parse(many(MAX_PAIRS + 1).as_bytes()).is_none());
    }

    #[test]
    fn id_and_secret_of_basic_credentials_are_decoded_twice() {
        let pair = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            basic(&headers).unwrap().map(|Basic { id, secret }| (id, secret.to_string()))
        };
        let header = |pair: &str| format!("Basic {}", STANDARD.encode(pair));
        assert_eq!(pair(&header("m%65+1:a%2Bb+c")), Some(("me 1".to_owned(), "a+b c".to_owned())));
        assert_eq!(pair(&header("me:")), Some(("me".to_owned(), String::new())));
        for bad in ["Bearer x", "Basic !", "Basic", &header("no colon")] {
            assert_eq!(pair(bad), None, "{bad}");
        }
        assert!(basic(&HeaderMap::new()).is_none());
    }
}
