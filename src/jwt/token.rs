//! The compact form of a JWT (RFC 7515 section 7.1), taken apart within bounds and believed in nothing yet.

use super::algorithm::Algorithm;
use super::key::MAX_KID;
use super::refusal::{Cause, Refusal};
use crate::repeated;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

/// Longest token, in bytes: the head of a request has room for little more.
pub const MAX_TOKEN: usize = 15 * 1024;
/// Longest header, in characters of base64: a KiB.
const MAX_HEADER: usize = 1366;

/// What the header says of the kind of a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Type {
    /// `at+jwt`: an access token, which that of a login never is (RFC 9068 section 2.1).
    Access,
    /// `JWT`, or nothing: the claims tell (RFC 7519 section 5.1).
    Any,
    /// Of neither, such as `logout+jwt`.
    Other,
}

/// The members of a JSON object.
pub(super) type Claims = Map<String, Value>;

/// A token in its three parts.
#[derive(Debug)]
pub(super) struct Token<'a> {
    /// Header and claims as they were signed.
    pub(super) signed: &'a [u8],
    pub(super) signature: Vec<u8>,
    pub(super) header: Header,
    pub(super) claims: Claims,
}

/// What is read of the header (RFC 7515 section 4.1). Keys and addresses of keys in it are never looked at.
#[derive(Debug)]
pub(super) struct Header {
    /// `None`: not an algorithm that is known here.
    pub(super) alg: Option<Algorithm>,
    pub(super) kid: Option<String>,
    pub(super) typ: Type,
    pub(super) has_critical: bool,
}

/// Whether this looks like a JWT, and not like a token of another kind: three parts, of which the first is a JSON object
/// in base64.
pub(super) fn is_jwt(token: &[u8]) -> bool {
    token.starts_with(b"eyJ") && token.iter().filter(|byte| **byte == b'.').count() == 2
}

impl<'a> Token<'a> {
    /// Bounds come before any decoding.
    pub(super) fn parse(token: &'a [u8]) -> Result<Self, Refusal> {
        let refused = |what: &str| Refusal::new(Cause::Form, what);
        if token.len() > MAX_TOKEN {
            return Err(refused("it is larger than 15 KiB"));
        }
        let mut parts = token.split(|byte| *byte == b'.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refused("it does not have three parts"));
        };
        if header.len() > MAX_HEADER {
            return Err(refused("its header is larger than 1 KiB"));
        }
        let signed = token.get(..header.len() + 1 + claims.len()).unwrap_or_default();
        let header = Header::of(&object(header).ok_or_else(|| refused("its header is not a JSON object"))?)
            .ok_or_else(|| refused("a member of its header has another type or length"))?;
        let claims = object(claims).ok_or_else(|| refused("its claims are not a JSON object"))?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| refused("its signature is not base64"))?;
        Ok(Self { signed, signature, header, claims })
    }
}

impl Header {
    /// `None` where a member is of another type.
    fn of(members: &Claims) -> Option<Self> {
        let text = |name: &str| match members.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.as_str())),
            Some(_) => None,
        };
        let kid = text("kid")?;
        let typ = text("typ")?.map_or(Type::Any, |typ| {
            // RFC 7515 section 4.1.9: the prefix may be left out, and media types compare without case.
            let typ = typ.to_ascii_lowercase();
            match typ.strip_prefix("application/").unwrap_or(&typ) {
                "at+jwt" => Type::Access,
                "jwt" => Type::Any,
                _ => Type::Other,
            }
        });
        let alg = text("alg")??;
        kid.is_none_or(|kid| kid.len() <= MAX_KID).then(|| Self {
            alg: Algorithm::parse(alg),
            kid: kid.map(str::to_owned),
            typ,
            has_critical: members.contains_key("crit"),
        })
    }
}

/// An object in base64 in which no member stands twice (RFC 7519 section 4 leaves open which would count).
fn object(part: &[u8]) -> Option<Claims> {
    let document = URL_SAFE_NO_PAD.decode(part).ok()?;
    let claims: Claims = serde_json::from_slice(&document).ok()?;
    repeated::member(&document).is_none().then_some(claims)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(header: &str, claims: &str) -> Result<Header, String> {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
        let token = format!("{header}.{claims}.AAAA");
        Token::parse(token.as_bytes()).map(|token| token.header).map_err(|refusal| refusal.detail)
    }

    #[test]
    fn what_is_damaged_is_refused_before_anything_is_believed() {
        assert!(parse(r#"{"alg":"RS256"}"#, "{}").is_ok());
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(500), "]".repeat(500));
        let long = format!(r#"{{"alg":"RS256","x":"{}"}}"#, "x".repeat(1024));
        for (header, claims) in [
            ("", "{}"),
            ("[]", "{}"),
            ("{}", "{}"),
            (r#"{"alg":1}"#, "{}"),
            (r#"{"alg":"RS256","kid":1}"#, "{}"),
            (r#"{"alg":"RS256","typ":null}"#, "{}"),
            (r#"{"alg":"RS256","alg":"none"}"#, "{}"),
            (&long, "{}"),
            (r#"{"alg":"RS256"}"#, ""),
            (r#"{"alg":"RS256"}"#, "[]"),
            (r#"{"alg":"RS256"}"#, r#"{"sub":"a","sub":"b"}"#),
            (r#"{"alg":"RS256"}"#, r#"{"a":{"b":1,"\u0062":2}}"#),
            (r#"{"alg":"RS256"}"#, r#"{"a":1}{}"#),
            (r#"{"alg":"RS256"}"#, "{\"a\":\"\u{0}\"}"),
            (r#"{"alg":"RS256"}"#, &deep),
        ] {
            assert!(parse(header, claims).is_err(), "{header} {claims}");
        }
        let kid = |length: usize| parse(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(length)), "{}");
        assert!(kid(256).is_ok() && kid(257).is_err());
    }

    #[test]
    fn the_form_is_base64_without_padding_in_three_parts() {
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256"}"#);
        let good = format!("{header}.e30.AAAA");
        assert!(is_jwt(good.as_bytes()) && Token::parse(good.as_bytes()).is_ok());
        for bad in [
            format!("{header}.e30"),
            format!("{header}.e30.AAAA.AAAA"),
            format!("{header}.e30=.AAAA"),
            format!("{header}.e30.AA=="),
            format!("{header}.e30.AB"),
            format!("{header}.e30.A+/A"),
            format!("{header}.e30.{}", "A".repeat(MAX_TOKEN)),
        ] {
            assert!(Token::parse(bad.as_bytes()).is_err(), "{bad:.80}");
        }
        assert!(!is_jwt(b"a.b.c") && !is_jwt(b"5up3r-s3cret.Token_1"));
    }

    #[test]
    fn the_type_is_that_of_an_access_token() {
        let read = |typ: &str| parse(&format!(r#"{{"alg":"ES256","typ":"{typ}"}}"#), "{}").unwrap().typ;
        assert_eq!([read("JWT"), read("application/jwt")], [Type::Any; 2]);
        assert_eq!([read("at+jwt"), read("application/AT+JWT")], [Type::Access; 2]);
        assert_eq!([read("logout+jwt"), read("dpop+jwt"), read("")], [Type::Other; 3]);
        assert_eq!(parse(r#"{"alg":"ES256"}"#, "{}").unwrap().typ, Type::Any);
    }

    #[test]
    fn the_algorithm_none_and_shared_secrets_are_not_known() {
        for alg in ["none", "None", "HS256", "HS512", "rs256", "RS1", ""] {
            assert_eq!(parse(&format!(r#"{{"alg":"{alg}"}}"#), "{}").unwrap().alg, None, "{alg}");
        }
    }
}
