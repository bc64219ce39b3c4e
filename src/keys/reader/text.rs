//! Text wrappers: base64 in all its variants, and the JSON of responses.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use zeroize::Zeroizing;

/// The members that contain certificates in responses of Key Vault, certmint and `az`.
pub(crate) const JSON_MEMBERS: [&str; 6] = ["value", "pkcs12", "pem", "cer", "x5c", "certificates"];
const JSON_OBJECTS: [&str; 2] = ["secret", "certificate"];

/// The texts of a JSON document that may be certificates; none where it is not JSON. Only the texts are kept.
pub(super) fn json_values(text: &[u8]) -> Option<Vec<Zeroizing<String>>> {
    let mut found = Vec::new();
    let mut document = serde_json::Deserializer::from_slice(text);
    Texts { depth: 3, found: &mut found }.deserialize(&mut document).ok()?;
    document.end().ok()?;
    Some(found)
}

/// Collects the texts down to a depth.
struct Texts<'f> {
    depth: u8,
    found: &'f mut Vec<Zeroizing<String>>,
}

impl Texts<'_> {
    fn deeper(&mut self) -> Texts<'_> {
        Texts { depth: self.depth - 1, found: self.found }
    }
}

impl<'de> DeserializeSeed<'de> for Texts<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.depth == 0 {
            return IgnoredAny::deserialize(deserializer).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Texts<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        self.found.push(Zeroizing::new(text.to_owned()));
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        while let Some(()) = items.next_element_seed(self.deeper())? {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            if JSON_MEMBERS.iter().chain(&JSON_OBJECTS).any(|known| *known == name) {
                members.next_value_seed(self.deeper())?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The bytes of a text: base64, or the JSON of an answer with one value in base64.
pub(crate) fn unwrapped(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text).trim_ascii();
    match text.first()? {
        b'{' | b'"' => match &json_values(text)?[..] {
            [value] => decode_base64(value.as_bytes()),
            _ => None,
        },
        _ => decode_base64(text),
    }
}

/// Base64 of either alphabet, with and without padding, spaces and line ends (also those that JSON
/// and shells write as `\n`).
pub(crate) fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut compact = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if bytes.next_if(|next| matches!(next, b'n' | b'r' | b't')).is_some() => {}
            byte if byte.is_ascii_whitespace() => {}
            byte => compact.push(byte),
        }
    }
    let alphabet = if compact.iter().any(|byte| b"-_".contains(byte)) { &URL_SAFE } else { &STANDARD };
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let engine = GeneralPurpose::new(alphabet, config);
    // In one buffer of its size, so that no copy of a key is left behind when it grows.
    let mut decoded = Zeroizing::new(vec![0; compact.len().div_ceil(4) * 3]);
    let length = engine.decode_slice(&compact, &mut decoded).ok()?;
    decoded.truncate(length);
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_of_answers_are_found_in_json() {
        for (json, found) in [
            (r#"{"value":"a","id":"b","tags":{"value":"c"}}"#, &["a"][..]),
            (r#"{"secret":{"pkcs12":"a","pem":null}}"#, &["a"]),
            (r#"{"x5c":["a","b"]}"#, &["a", "b"]),
            (r#"["a",{"cer":"b"},[["c"]]]"#, &["a", "b"]),
            (r#""a""#, &["a"]),
            (r#"{"keys":[]}"#, &[]),
            (r#"{"value":[1,-1,1.5,true,null,{"x":["b"]},"a"]}"#, &["a"]),
        ] {
            let values = json_values(json.as_bytes()).unwrap();
            assert!(values.iter().map(|value| value.as_str()).eq(found.iter().copied()), "{json}");
        }
        for bad in [&b"{a}"[..], b"[1] 2", b"[", br#"{"value":"a"}}"#] {
            assert!(json_values(bad).is_none(), "{bad:?}");
        }
    }
}
