//! PEM (RFC 7468): lenient parsing of blocks, with text of any encoding around them, and writing as OpenSSL does.

use super::reader::decode_base64;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";
/// Longest label; what is longer is no label.
const MAX_LABEL: usize = 64;

/// One block.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    /// What stands between the two lines.
    body: &'a [u8],
}

impl Block<'_> {
    /// The decoded bytes, or a sentence.
    pub(crate) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        decode_base64(self.without_headers())
            .ok_or_else(|| format!("The text between the lines of a PEM block {} is not base64.", self.label))
    }

    /// Whether it is encrypted in the old form (RFC 1421, `DEK-Info`).
    pub(crate) fn is_encrypted(&self) -> bool {
        find(self.body, b"Proc-Type:").is_some() || find(self.body, b"DEK-Info:").is_some()
    }

    /// Headers end at the first empty line (RFC 1421 section 4.4).
    fn without_headers(&self) -> &[u8] {
        let body = self.body.trim_ascii_start();
        let first = body.split(|byte| *byte == b'\n').next().unwrap_or(body);
        if !first.contains(&b':') {
            return body;
        }
        let end = [&b"\n\n"[..], b"\n\r\n"].into_iter().filter_map(|line| find(body, line)).min();
        end.map_or(body, |end| &body[end..])
    }
}

/// Whether a block begins somewhere.
pub(crate) fn has_block(text: &[u8]) -> bool {
    find(text, BEGIN).is_some()
}

/// The next block of a text and what follows it; none where no block begins. `known` is asked about
/// the label before the end is looked for.
pub(crate) fn next<'a>(
    text: &'a [u8],
    known: impl Fn(&str) -> Result<(), String>,
) -> Result<Option<(Block<'a>, &'a [u8])>, String> {
    let Some(begin) = find(text, BEGIN) else { return Ok(None) };
    let after = &text[begin + BEGIN.len()..];
    let incomplete = "A PEM line is incomplete: it must end with -----.";
    let label = &after[..find(&after[..after.len().min(MAX_LABEL + DASHES.len())], DASHES).ok_or(incomplete)?];
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b" #/._-".contains(byte);
    let text = std::str::from_utf8(label).ok().filter(|label| label.bytes().all(|byte| is_plain(&byte)));
    let label = text.ok_or(incomplete)?;
    known(label)?;
    let after = &after[label.len() + DASHES.len()..];
    let end = format!("-----END {label}-----");
    let body = find(after, end.as_bytes()).ok_or_else(|| format!("A PEM block has no line {end}."))?;
    Ok(Some((Block { label, body: &after[..body] }, &after[body + end.len()..])))
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
            let (block, rest) = next(text.as_bytes(), |_| Ok(())).unwrap().unwrap();
            assert_eq!((block.label, rest), ("PRIVATE KEY", &b"\n"[..]));
            if length > 0 {
                assert_eq!(block.decode().unwrap().as_slice(), bytes);
            }
        }
    }

    #[test]
    fn headers_and_other_encodings_around_blocks_do_not_matter() {
        for text in [
            &b"caf\xe9\n-----BEGIN X-----\nComment: a\r\n\r\nAQID\n-----END X-----\xff"[..],
            b"-----BEGIN X-----AQ ID-----END X-----",
            b"{\"a\":\"-----BEGIN X-----\\nAQID\\n-----END X-----\\n\"}",
        ] {
            let (block, _) = next(text, |_| Ok(())).unwrap().unwrap();
            assert_eq!(block.decode().unwrap().as_slice(), [1, 2, 3]);
        }
        assert!(next(b"-----BEGIN secret\nMIIE-----", |_| Ok(())).is_err());
    }
}
