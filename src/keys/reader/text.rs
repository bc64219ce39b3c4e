//! Text wrappers: base64 in all its variants, and the JSON of responses.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// The members that contain certificates in responses of Key Vault, certmint and `az`.
pub(crate) const JSON_MEMBERS: [&str; 6] = ["value", "pkcs12", "pem", "cer", "x5c", "certificates"];
const JSON_OBJECTS: [&str; 2] = ["secret", "certificate"];

/// The texts of a JSON document that may be certificates; none where it is not JSON.
pub(super) fn json_values(text: &[u8]) -> Option<Vec<Zeroizing<String>>> {
    let mut document: serde_json::Value = serde_json::from_slice(text).ok()?;
    let mut found = Vec::new();
    collect(&mut document, 3, &mut found);
    Some(found)
}

fn collect(value: &mut serde_json::Value, depth: u8, found: &mut Vec<Zeroizing<String>>) {
    use serde_json::Value;
    let Some(depth) = depth.checked_sub(1) else { return };
    match value {
        Value::String(text) => found.push(Zeroizing::new(std::mem::take(text))),
        Value::Array(values) => values.iter_mut().for_each(|value| collect(value, depth, found)),
        Value::Object(members) => {
            let wanted = |name: &String| JSON_MEMBERS.iter().chain(&JSON_OBJECTS).any(|known| known == name);
            members.iter_mut().filter(|(name, _)| wanted(name)).for_each(|(_, value)| collect(value, depth, found));
        }
        _ => {}
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
        ] {
            let values = json_values(json.as_bytes()).unwrap();
            assert!(values.iter().map(|value| value.as_str()).eq(found.iter().copied()), "{json}");
        }
        assert!(json_values(b"{a}").is_none());
    }
}
