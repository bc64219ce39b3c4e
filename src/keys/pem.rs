//! PEM (RFC 7468): lenient parsing of blocks, with text of any encoding around them, and writing as OpenSSL does.

use super::reader::decode_base64;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";
/// Longest label; what is longer is no label.
const MAX_LABEL: usize = 64;

/// How far back a line is looked at.
const MAX_INDENT: usize = 64;

/// A place where a block begins, or where text speaks of one.
pub(crate) struct Place<'a> {
    /// None where the line of the beginning is not complete.
    pub(crate) label: Option<&'a str>,
    /// The block, or a sentence about why it cannot be read.
    pub(crate) block: Result<Block<'a>, String>,
    /// It stands in the middle of other text, so that it may be no block at all (RFC 7468 section 2: a line of its own).
    pub(crate) is_mention: bool,
}

/// One block.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// It is encrypted in the old form (RFC 1421, `DEK-Info`).
    pub(crate) is_encrypted: bool,
}

/// Whether a block begins somewhere.
pub(crate) fn has_block(text: &[u8]) -> bool {
    find(text, BEGIN).is_some()
}

/// The next place of a text and what follows it; none where no block begins. A block ends before the next one begins, so
/// that a text is read once, however many places it has.
pub(crate) fn next(text: &[u8]) -> Option<(Place<'_>, &[u8])> {
    let begin = find(text, BEGIN)?;
    let (before, after) = (&text[..begin], &text[begin + BEGIN.len()..]);
    let block = &after[..find(after, BEGIN).unwrap_or(after.len())];
    let begins_line = begins_line(before);
    let Some(label) = label(block) else {
        let block = Err("A PEM line is incomplete: it must end with -----.".to_owned());
        return Some((Place { label: None, block, is_mention: !begins_line }, after));
    };
    let rest = &block[label.len() + DASHES.len()..];
    let is_mention = !begins_line || is_followed_by_words(rest);
    let end = format!("-----END {label}-----");
    let place = |block| Place { label: Some(label), block, is_mention };
    let Some(length) = find(rest, end.as_bytes()) else {
        return Some((place(Err(format!("A PEM block has no line {end}."))), after));
    };
    let body = &rest[..length];
    let Some(bytes) = decode_base64(without_headers(body)) else {
        let why = format!("The text between the lines of a PEM block {label} is not base64.");
        return Some((place(Err(why)), after));
    };
    let block = Block { label, bytes, is_encrypted: is_encrypted(body) };
    Some((place(Ok(block)), &after[label.len() + DASHES.len() + length + end.len()..]))
}

fn label(line: &[u8]) -> Option<&str> {
    let label = &line[..find(&line[..line.len().min(MAX_LABEL + DASHES.len())], DASHES)?];
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" #/._-".contains(byte);
    std::str::from_utf8(label).ok().filter(|label| label.bytes().all(|byte| is_plain(&byte)))
}

/// Whether what comes next may be the first of its line: behind spaces, quotes and what introduces a value in other
/// files, another block, or a line end as JSON and shells write it.
fn begins_line(before: &[u8]) -> bool {
    let before = &before[before.len().saturating_sub(MAX_INDENT)..];
    let line = before.rsplit(|byte| b"\r\n".contains(byte)).next().unwrap_or_default().trim_ascii_end();
    let introduces = |last: &u8| b"\"'`=:>,;|[({".contains(last) || !last.is_ascii();
    line.last().is_none_or(introduces) || [&b"\\n"[..], b"\\r", DASHES].iter().any(|end| line.ends_with(end))
}

/// Whether words stand behind the line of a beginning, and not base64.
fn is_followed_by_words(rest: &[u8]) -> bool {
    const SHORTEST_LINE: usize = 16;
    let word = rest.trim_ascii_start();
    let length = word.iter().take_while(|byte| !byte.is_ascii_whitespace() && **byte != b'-').count();
    rest.first() == Some(&b' ') && !rest.starts_with(b" \n") && (1..SHORTEST_LINE).contains(&length)
}

fn is_encrypted(body: &[u8]) -> bool {
    let kind = find(body, b"Proc-Type:").map(|at| &body[at..]);
    let kind = kind.and_then(|line| line.split(|byte| *byte == b'\n').next());
    find(body, b"DEK-Info:").is_some() || kind.is_some_and(|line| find(line, b"ENCRYPTED").is_some())
}

/// Headers end at the first empty line (RFC 1421 section 4.4).
fn without_headers(body: &[u8]) -> &[u8] {
    let body = body.trim_ascii_start();
    let first = body.split(|byte| *byte == b'\n').next().unwrap_or(body);
    if !first.contains(&b':') {
        return body;
    }
    let end = [&b"\n\n"[..], b"\n\r\n"].into_iter().filter_map(|line| find(body, line)).min();
    end.map_or(body, |end| &body[end..])
}

/// Where `needle` begins.
pub(crate) fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| byte == first) {
        if text[from + at + 1..].starts_with(rest) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// Adds a block with lines of 64 characters that end with `\n`. Nothing is moved in memory, so that
/// no copy of a key is left behind: the caller gives room with [`encoded_length`].
pub(crate) fn write(to: &mut String, label: &str, der: &[u8]) {
    to.extend(["-----BEGIN ", label, "-----\n"]);
    // 48 bytes are 64 characters.
    for line in der.chunks(48) {
        let mut text = Zeroizing::new([0; 64]);
        let length = STANDARD.encode_slice(line, text.as_mut_slice()).unwrap_or(0);
        to.push_str(std::str::from_utf8(&text[..length]).unwrap_or_default());
        to.push('\n');
    }
    to.extend(["-----END ", label, "-----\n"]);
}

/// How long a block of so many bytes is, at most.
pub(crate) fn encoded_length(label: &str, bytes: usize) -> usize {
    let text = bytes.div_ceil(3) * 4;
    text + text.div_ceil(64) + 2 * label.len() + 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_read_back_as_they_were_written() {
        for length in [0, 1, 47, 48, 49, 500] {
            let bytes: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let mut text = "Bag Attributes\n".to_owned();
            write(&mut text, "PRIVATE KEY", &bytes);
            let expected = der::pem::encode_string("PRIVATE KEY", der::pem::LineEnding::LF, &bytes).unwrap();
            assert!(text.ends_with(&expected) || length == 0, "{text}");
            assert!(text.len() - 15 <= encoded_length("PRIVATE KEY", length));
            let (place, rest) = next(text.as_bytes()).unwrap();
            let block = place.block.unwrap();
            assert_eq!((block.label, rest, block.bytes.as_slice()), ("PRIVATE KEY", &b"\n"[..], &bytes[..]));
        }
    }

    #[test]
    fn headers_and_other_encodings_around_blocks_do_not_matter() {
        for text in [
            &b"caf\xe9\n-----BEGIN X-----\nComment: a\r\n\r\nAQID\n-----END X-----\xff"[..],
            b"-----BEGIN X-----AQ ID-----END X-----",
            b"{\"a\":\"-----BEGIN X-----\\nAQID\\n-----END X-----\\n\"}",
        ] {
            let (place, _) = next(text).unwrap();
            assert_eq!(place.block.unwrap().bytes.as_slice(), [1, 2, 3]);
            assert!(!place.is_mention);
        }
        assert!(next(b"-----BEGIN secret\nMIIE-----").unwrap().0.block.is_err());
    }

    #[test]
    fn a_block_that_cannot_be_read_is_told_from_text_about_blocks() {
        for (text, is_mention) in [
            ("# paste between -----BEGIN X----- and -----END X-----", true),
            ("-----BEGIN X----- and -----END X-----", true),
            ("see -----BEGIN below", true),
            ("#-----BEGIN X-----\n#AQID\n#-----END X-----", true),
            ("-----BEGIN X-----\nAQ!D\n-----END X-----", false),
            ("  -----BEGIN X-----\r\nAQID", false),
            ("{\"pem\": \"-----BEGIN X-----\\nAQ!D\\n-----END X-----\"}", false),
            ("cert: -----BEGIN X-----AQ!D-----END X-----", false),
            ("-----BEGIN X----- AQIDBAUGBwgJCgsM!Q4P -----END X-----", false),
            ("\u{feff}-----BEGIN X", false),
        ] {
            let (place, _) = next(text.as_bytes()).unwrap();
            assert!(place.block.is_err(), "{text}");
            assert_eq!(place.is_mention, is_mention, "{text}");
        }
        // What is passed over does not take the next one with it.
        let text = b"between -----BEGIN X----- and -----END X-----\n-----BEGIN X-----\nAQID\n-----END X-----\n";
        let (mention, rest) = next(text).unwrap();
        assert!(mention.is_mention && mention.block.is_err());
        assert_eq!(next(rest).unwrap().0.block.unwrap().bytes.as_slice(), [1, 2, 3]);
    }
}
