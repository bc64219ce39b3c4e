//! The bytes of a body: `{"format":1,"mac":"MASTER-KEY-ID:BASE64","value":VALUE}`. The code is over the key of the
//! record, the format, and the exact bytes of the value. Bodies of versions before the codes have no `mac`, and those
//! versions ignore the member; a body of a newer format is refused, one of an older format can always be read.

use crate::keys::authenticator::MAC_LEN;
use crate::keys::{Authenticator, Mismatch, Purpose};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The format that this version writes.
pub(super) const FORMAT: u32 = 1;
/// Characters of a code.
const CODE_LEN: usize = MAC_LEN.div_ceil(3) * 4;

const OPEN: &[u8] = br#"{"format":"#;
const MAC: &[u8] = br#","mac":""#;
const VALUE: &[u8] = br#"","value":"#;

/// Why a body is not read.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Problem {
    /// It was changed or moved.
    Changed,
    /// It carries no code.
    Bare,
    /// Its code was made with a master key that this process does not have.
    UnknownMasterKey(String),
    Newer(u32),
    /// It is not what a record is made of.
    Unreadable(String),
    /// It names another object than its key.
    Elsewhere,
}

impl Problem {
    /// The record says nothing any more: it was changed or moved, or cannot be read by any version.
    pub(super) fn is_damage(&self) -> bool {
        match self {
            Self::UnknownMasterKey(_) | Self::Newer(_) => false,
            Self::Changed | Self::Bare | Self::Unreadable(_) | Self::Elsewhere => true,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed => f.write_str("its authentication code does not match its key and value"),
            Self::Bare => f.write_str(
                "it carries no authentication code: somebody changed it, or a version without codes wrote it; in the \
                 latter case `certmint doctor --store --adopt` lets the next start take the store over",
            ),
            Self::UnknownMasterKey(id) => write!(f, "it was authenticated with the unknown master key {id}"),
            Self::Newer(format) => {
                write!(f, "it has format {format} of a newer version; this version supports up to {FORMAT}")
            }
            Self::Unreadable(error) => write!(f, "it is not readable: {error}"),
            Self::Elsewhere => f.write_str("it names another object than its key"),
        }
    }
}

/// A body with its code, for a record of this key.
pub(super) fn authenticated<T: Serialize + ?Sized>(
    authenticator: &Authenticator,
    key: &str,
    value: &T,
) -> serde_json::Result<Vec<u8>> {
    // Most records fit; growing step by step would copy each of them several times.
    let body = Vec::with_capacity(2048);
    coded(authenticator, key, FORMAT, body, |body| serde_json::to_writer(body, value))
}

/// A body that was verified, with a code of the newest master key over another value in the same format.
pub(super) fn recoded(authenticator: &Authenticator, key: &str, verified: &[u8], value: &[u8]) -> Option<Vec<u8>> {
    let format = split(verified)?.format;
    let body = Vec::with_capacity(verified.len() + value.len() / 4);
    let write = |body: &mut Vec<u8>| {
        body.extend_from_slice(value);
        Ok(())
    };
    coded(authenticator, key, format, body, write).ok()
}

fn coded(
    authenticator: &Authenticator,
    key: &str,
    format: u32,
    mut body: Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> serde_json::Result<()>,
) -> serde_json::Result<Vec<u8>> {
    body.extend_from_slice(OPEN);
    body.extend_from_slice(format.to_string().as_bytes());
    body.extend_from_slice(MAC);
    body.extend_from_slice(authenticator.newest().as_bytes());
    body.push(b':');
    // The code is written here when the value is there.
    let place = body.len()..body.len() + CODE_LEN;
    body.resize(place.end, b'=');
    body.extend_from_slice(VALUE);
    let start = body.len();
    write(&mut body)?;
    let code = authenticator.code(Purpose::Record, &[key.as_bytes(), &format.to_be_bytes(), &body[start..]]);
    let written = STANDARD.encode_slice(code, &mut body[place]);
    debug_assert_eq!(written, Ok(CODE_LEN));
    body.push(b'}');
    Ok(body)
}

/// A body without a code.
pub(super) fn plain<T: Serialize>(value: &T) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Body<'a, T> {
        format: u32,
        value: &'a T,
    }
    let mut body = Vec::with_capacity(1024);
    serde_json::to_writer(&mut body, &Body { format: FORMAT, value })?;
    Ok(body)
}

/// The value of a body without a code.
pub(super) fn read_plain<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    #[derive(Deserialize)]
    struct Body<T> {
        format: u32,
        mac: Option<IgnoredAny>,
        value: T,
    }
    let unreadable = |error: serde_json::Error| Problem::Unreadable(error.to_string());
    match serde_json::from_slice::<Body<T>>(body).map_err(unreadable)? {
        // What carries a code is read as it was written, or not at all.
        Body { mac: Some(_), .. } => Err(Problem::Changed),
        Body { format, .. } if !(1..=FORMAT).contains(&format) => Err(Problem::Newer(format)),
        Body { format: _, mac: None, value } => Ok(value),
    }
}

/// What a body with a code consists of.
struct Parts<'a> {
    format: u32,
    master_key: &'a str,
    code: &'a str,
    value: &'a [u8],
}

/// `None` if it is not written as [`authenticated`] writes it.
fn split(body: &[u8]) -> Option<Parts<'_>> {
    let rest = body.strip_prefix(OPEN)?;
    let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
    let (format, rest) = rest.split_at(digits);
    let rest = rest.strip_prefix(MAC)?;
    let quote = rest.iter().position(|byte| *byte == b'"')?;
    let (mac, rest) = rest.split_at(quote);
    let (master_key, code) = std::str::from_utf8(mac).ok()?.rsplit_once(':')?;
    let value = rest.strip_prefix(VALUE)?.strip_suffix(b"}")?;
    Some(Parts { format: std::str::from_utf8(format).ok()?.parse().ok()?, master_key, code, value })
}

/// Whether the body carries a code, which may be a wrong one.
pub(super) fn carries_a_code(body: &[u8]) -> bool {
    split(body).is_some()
}

/// The id of the master key that a body names, which need not be that of its code; `None` if it carries none.
pub(super) fn master_key_of(body: &[u8]) -> Option<&str> {
    split(body).map(|parts| parts.master_key)
}

/// The bytes of the value of a body that was verified before.
pub(super) fn value_of(body: &[u8]) -> Option<&[u8]> {
    split(body).map(|parts| parts.value)
}

/// The verified bytes of the value; `None` if the body carries no code.
pub(super) fn verified<'a>(
    authenticator: &Authenticator,
    key: &str,
    body: &'a [u8],
) -> Option<Result<&'a [u8], Problem>> {
    let Parts { format, master_key, code, value } = split(body)?;
    let mut bytes = [0; MAC_LEN + 2];
    let code = STANDARD.decode_slice(code, &mut bytes).map_or(&[][..], |length| &bytes[..length]);
    let parts = [key.as_bytes(), &format.to_be_bytes(), value];
    Some(match authenticator.verify(Purpose::Record, master_key, &parts, code) {
        Ok(()) if (1..=FORMAT).contains(&format) => Ok(value),
        Ok(()) => Err(Problem::Newer(format)),
        Err(Mismatch::UnknownKey) => Err(Problem::UnknownMasterKey(master_key.to_owned())),
        Err(Mismatch::Changed) => Err(Problem::Changed),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{MasterKeys, Sealer};
    use serde_json::{Value, json};

    fn sealer() -> Sealer {
        Sealer::new(MasterKeys::from_text("a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap())
    }

    #[test]
    fn a_body_is_json_that_older_versions_read() {
        let sealer = sealer();
        let body = authenticated(sealer.authenticator(), "vaults/a", &json!({"name": "a"})).unwrap();
        let read: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((&read["format"], &read["value"]), (&json!(1), &json!({"name": "a"})));
        assert!(read["mac"].as_str().unwrap().starts_with("a:"), "{read}");
        assert_eq!(verified(sealer.authenticator(), "vaults/a", &body), Some(Ok(&br#"{"name":"a"}"#[..])));
    }

    #[test]
    fn a_change_of_any_byte_and_another_key_are_refused() {
        let sealer = sealer();
        let body = authenticated(sealer.authenticator(), "vaults/a", &json!({"name": "a"})).unwrap();
        for at in 0..body.len() {
            let mut changed = body.clone();
            changed[at] ^= 1;
            let read = verified(sealer.authenticator(), "vaults/a", &changed);
            let plain = read_plain::<Value>(&changed);
            // Without the name of the member it is a body without a code, which a marked store has none of.
            let bare = br#"{"format":1,""#.len()..br#"{"format":1,"mac"#.len();
            assert!(!matches!(read, Some(Ok(_))), "byte {at}: {read:?}");
            assert!(plain.is_err() || bare.contains(&at), "byte {at}: {plain:?}");
        }
        assert_eq!(verified(sealer.authenticator(), "vaults/b", &body), Some(Err(Problem::Changed)));
    }

    #[test]
    fn a_code_in_another_place_of_the_text_does_not_make_a_body_without_one() {
        for text in [
            r#"{"format":1,"value":{},"mac":"a:AA=="}"#,
            r#"{"mac":"a:AA==","format":1,"value":{}}"#,
            r#"{ "format":1,"mac":null2,"value":{}}"#,
        ] {
            assert!(read_plain::<Value>(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(read_plain::<Value>(br#"{"format":1,"value":{}}"#), Ok(json!({})));
        assert_eq!(read_plain::<Value>(br#"{"format":2,"value":{}}"#), Err(Problem::Newer(2)));
    }
}
