//! The body of a request: bounded in size and time, and JSON.

use super::failure::Failure;
use super::model::not_offered;
use super::objects;
use crate::domain::Error;
use crate::domain::text::readable;
use crate::repeated;
use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http_body::Body as _;
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::error::Category;
use std::time::Duration;
use zeroize::Zeroizing;

/// Most bytes that are thrown away for a good answer, and how long that may take.
const DISCARD_LIMIT: usize = 8 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(1);

/// Most bytes that are reserved for a body before any of it has come.
const FIRST_BUFFER: usize = 64 * 1024;

/// Longest name of a member in a message, in characters; names of tags are the caller's.
const MAX_NAME: usize = 64;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a body of up to `limit` bytes, which may take `patience` to arrive, as `T`. No body is an empty object: the clients send none where they have
/// nothing to say.
pub(super) async fn read<T: DeserializeOwned + Default>(
    headers: &HeaderMap,
    body: &mut Body,
    limit: usize,
    patience: Duration,
) -> Result<T, Failure> {
    if body.is_end_stream() {
        return Ok(T::default());
    }
    if !is_json(headers) {
        return Err(Failure::not_json_type());
    }
    let bytes =
        tokio::time::timeout(patience, collect(body, limit)).await.map_err(|_| Failure::body_too_slow(patience))??;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    parse(&bytes)
}

/// Takes the body in before the request is handled: until it has come, little more of a request is in memory than its
/// head. What is wrong with its type is for [`read`].
pub(super) async fn take_in(
    headers: &HeaderMap,
    body: &mut Body,
    limit: usize,
    patience: Duration,
) -> Result<(), Failure> {
    if body.is_end_stream() || !is_json(headers) {
        return Ok(());
    }
    let bytes =
        tokio::time::timeout(patience, collect(body, limit)).await.map_err(|_| Failure::body_too_slow(patience))??;
    // Still wiped when they are dropped.
    *body = Body::from(Bytes::from_owner(bytes));
    Ok(())
}

/// Reads what is left of a body and throws it away, within bounds: a connection that is closed while
/// its client still sends takes the answer with it.
pub(super) async fn discard(body: &mut Body) {
    let throw_away = async {
        let mut left = DISCARD_LIMIT;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(rest) = left.checked_sub(length) else { return };
            left = rest;
        }
    };
    // A client that is slower than this would not read the response either.
    let _ = tokio::time::timeout(DISCARD_TIME, throw_away).await;
}

/// No type at all is taken for JSON. Of its parameters the charset matters: JSON is UTF-8 (RFC 8259 section 8.1), and
/// what is announced as another encoding is not read as this one.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let mut parts = value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
    let media_type = parts.next().unwrap_or_default();
    let utf8 = |parameter: &[u8]| {
        let (name, value) = parameter.split_at(parameter.iter().position(|byte| *byte == b'=').unwrap_or(0));
        let value = value.strip_prefix(b"=").unwrap_or(value).trim_ascii();
        let value = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value);
        let known: [&[u8]; 3] = [b"utf-8", b"utf8", b"us-ascii"];
        !name.trim_ascii().eq_ignore_ascii_case(b"charset") || known.iter().any(|it| value.eq_ignore_ascii_case(it))
    };
    (media_type.is_empty() || media_type.eq_ignore_ascii_case(b"application/json")) && parts.all(utf8)
}

/// The bytes are wiped when they are dropped: they may hold a password or a private key.
pub(super) async fn collect(body: &mut Body, limit: usize) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Err(Failure::body_too_large(limit));
    }
    // What is announced may never come, and nothing is charged for it before it does.
    let mut collected = Zeroizing::new(Vec::with_capacity(announced.min(FIRST_BUFFER)));
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            tracing::debug!(%error, "the body of a request could not be read");
            Error::bad_parameter("The body of the request ended before it was complete.")
        })?;
        if let Some(data) = frame.data_ref() {
            if collected.len() + data.len() > limit {
                return Err(Failure::body_too_large(limit));
            }
            append(&mut collected, data);
        }
    }
    Ok(collected)
}

/// Where the buffer has to grow, the old one is wiped; a vector would leave it as it is.
fn append(collected: &mut Zeroizing<Vec<u8>>, data: &[u8]) {
    let length = collected.len() + data.len();
    if length > collected.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(length.max(2 * collected.capacity())));
        larger.extend_from_slice(collected);
        *collected = larger;
    }
    collected.extend_from_slice(data);
}

/// Reads a document. A leading byte order mark is accepted (RFC 8259 section 8.1): Windows editors write one. A member
/// that an object has twice is refused, also where nobody reads it.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let read = document(bytes);
    if read.as_ref().err().is_none_or(|(error, _)| is_duplicate(error))
        && let Some(name) = repeated::member(bytes)
    {
        let name = readable(&name, MAX_NAME);
        return Err(Error::bad_parameter(format!(
            "The body of the request has the member {name} twice in one object. Send each member once."
        ))
        .into());
    }
    read.map_err(|(error, member)| refusal(&error, member))
}

/// The one value of the text, with nothing but white space behind it.
fn document<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, (serde_json::Error, String)> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = objects::read(&mut deserializer)?;
    deserializer.end().map_err(|error| (error, String::new()))?;
    Ok(value)
}

fn is_duplicate(error: &serde_json::Error) -> bool {
    error.classify() == Category::Data && error.to_string().starts_with("duplicate field")
}

/// JSON terms for the Rust types in the parser's messages.
fn in_json(expected: &str) -> &str {
    match expected {
        "i8" | "i16" | "i32" | "i64" | "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number",
        "a sequence" => "an array",
        "a map" => "an object",
        expected if expected.starts_with("struct ") => "an object",
        expected => expected,
    }
}

/// What is wrong and where. The text of the parser may quote the body, which may hold a password,
/// so only what was expected is taken from it.
fn refusal(error: &serde_json::Error, member: String) -> Failure {
    let place = match (error.line(), error.column()) {
        (0, _) => String::new(),
        (line, column) => format!(" at line {line}, column {column}"),
    };
    let message = match error.classify() {
        Category::Data => {
            let text = error.to_string();
            let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(text, _)| text);
            if let Some((path, instead)) = not_offered::sentence(text) {
                return Error::field(path, instead).into();
            }
            let expected = text.rsplit_once(", expected ").map_or("another type", |(_, expected)| expected);
            let expected = in_json(expected);
            let what = if member.is_empty() { String::new() } else { format!("The member {member} of ") };
            let the = if member.is_empty() { "The" } else { "the" };
            if text.starts_with("unknown field") {
                return Error::bad_parameter(format!(
                    "{what}{the} body of the request has a member that is not known{place}: use {expected}."
                ))
                .into();
            }
            format!("{what}{the} body of the request has the wrong type{place}: {expected} is expected.")
        }
        Category::Eof => format!("The body of the request is incomplete JSON: it ends{place}."),
        Category::Syntax | Category::Io => format!("The body of the request is not valid JSON{place}."),
    };
    Error::bad_parameter(message).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(default)]
    struct Sample {
        a: Option<i64>,
        pwd: Option<String>,
    }

    fn message(text: &str) -> String {
        String::from_utf8(parse::<Sample>(text.as_bytes()).unwrap_err().body()).unwrap()
    }

    #[test]
    fn unknown_members_and_nulls_are_accepted() {
        let sample: Sample = parse(br#"{"a":2,"b":[{}],"pwd":null}"#).unwrap();
        assert_eq!(sample, Sample { a: Some(2), pwd: None });
    }

    #[test]
    fn a_member_that_stands_twice_is_refused_by_name_whether_it_is_known_or_not() {
        for text in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"b":{"a":1,"a":1}}"#,
            r#"{"a":1,"b":[{"c":{}, "a":1 , "a" :[]}]}"#,
        ] {
            let bad = message(text);
            assert!(bad.contains("has the member a twice in one object. Send each member once."), "{text}: {bad}");
        }
    }

    #[tokio::test]
    async fn a_length_that_is_only_announced_reserves_little() {
        let bytes = vec![b'x'; 200_000];
        let collected = collect(&mut Body::from(bytes.clone()), 1 << 20).await.unwrap();
        assert_eq!(*collected, bytes);
        let mut small = Body::new(Announced);
        assert!(collect(&mut small, 1 << 22).await.unwrap().capacity() <= FIRST_BUFFER);
    }

    /// Says that four megabytes come, and ends.
    struct Announced;

    impl http_body::Body for Announced {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Ready(None)
        }

        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(4 << 20)
        }
    }

    #[test]
    fn the_place_is_named_and_no_value_is() {
        let bad = message("{\n \"pwd\": {\"hunter2\": 1}}");
        assert!(bad.contains("at line 2, column 8: a string is expected"), "{bad}");
        let bad = message("{\"a\": \"hunter2, expected nothing\"}");
        assert!(bad.contains("a whole number is expected") && !bad.contains("hunter2"), "{bad}");
        assert!(
            message("{\"pwd\": hunter2}").contains("not valid JSON at line 1, column 9"),
            "{}",
            message("{\"pwd\": hunter2}")
        );
        assert!(message("{\"a\": 1").contains("incomplete JSON: it ends at line 1, column 7"));
    }

    #[test]
    fn the_member_is_named() {
        let bad = message("{\"a\": [1]}");
        assert!(bad.contains("The member a of the body of the request has the wrong type at line 1, column"), "{bad}");
        for (text, expected) in [("[1]", "an object"), ("\"x\"", "an object"), ("null", "an object")] {
            let bad = message(text);
            assert!(bad.contains("The body of the request has the wrong type at line 1"), "{bad}");
            assert!(bad.contains(&format!("{expected} is expected.")), "{bad}");
        }
    }

    #[test]
    fn a_byte_order_mark_is_accepted_and_nothing_may_follow() {
        let sample: Sample = parse("\u{feff} {\"a\":1} \n".as_bytes()).unwrap();
        assert_eq!(sample.a, Some(1));
        for bad in ["{} {}", "{}]", "{}\0", "\u{feff}\u{feff}{}", "{\"a\":1,}"] {
            assert!(message(bad).contains("not valid JSON"), "{bad}");
        }
    }

    #[test]
    fn the_type_may_be_missing_or_json() {
        let accepted = |value: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.extend(value.map(|value| (CONTENT_TYPE, http::HeaderValue::from_static(value))));
            is_json(&headers)
        };
        for good in [
            None,
            Some("application/json"),
            Some("Application/JSON; charset=utf-8"),
            Some("application/json;odata=verbose; Charset=\"UTF-8\""),
        ] {
            assert!(accepted(good), "{good:?}");
        }
        for bad in
            ["text/plain", "application/jsonx", "application/json; charset=utf-16", "application/json;charset=\"x"]
        {
            assert!(!accepted(Some(bad)), "{bad}");
        }
    }
}
