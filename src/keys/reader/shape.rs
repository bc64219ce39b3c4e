//! What a value is at first sight. The reader and the estimate of what it will cost ask here, so that both see the same.

use super::super::asn1::{Element, SEQUENCE};
use super::super::pem;
use super::text::json_values;
use super::{decode_base64, foreign, without_padding};
use zeroize::Zeroizing;

/// The outermost form of a value.
pub(crate) enum Shape<'a> {
    Empty,
    /// DER, or what begins like it.
    Der(&'a [u8]),
    /// Text with PEM blocks.
    Pem(&'a [u8]),
    /// A form of other programs that is not read, and what to do.
    Foreign(&'static str),
    /// The texts of a JSON document.
    Json(Vec<Zeroizing<String>>),
    /// What was in base64.
    Base64(Zeroizing<Vec<u8>>),
    /// None of these.
    Other(&'a [u8]),
}

/// The form of a value; `wrapped` says whether JSON and base64 may be around something.
pub(crate) fn shape(value: &[u8], wrapped: bool) -> Shape<'_> {
    let value = value.strip_prefix(b"\xef\xbb\xbf").unwrap_or(value);
    let text = value.trim_ascii();
    if text.is_empty() {
        return Shape::Empty;
    }
    let first = Element::first(value).filter(|(first, _)| first.tag == SEQUENCE);
    if first.is_some_and(|(_, rest)| without_padding(rest).is_empty()) {
        return Shape::Der(value);
    }
    if pem::has_block(value) {
        return Shape::Pem(value);
    }
    if let Some(what) = foreign::name(value) {
        return Shape::Foreign(what);
    }
    if wrapped
        && matches!(text[0], b'{' | b'[' | b'"')
        && let Some(values) = json_values(text)
    {
        return Shape::Json(values);
    }
    match decode_base64(text) {
        Some(bytes) if wrapped && !bytes.is_empty() => Shape::Base64(bytes),
        _ if value[0] == SEQUENCE && !text.is_ascii() => Shape::Der(value),
        _ => Shape::Other(text),
    }
}
