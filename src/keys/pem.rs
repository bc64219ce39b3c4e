//! PEM (RFC 7468): blocks out of what people paste, and blocks as OpenSSL writes them.

use super::bundle::decode_base64;
use base64::{Engine, engine::general_purpose::STANDARD};
use zeroize::Zeroizing;

/// One block.
pub(crate) struct Block<'a> {
    pub(crate) label: &'a str,
    /// What stands between the two lines.
    body: &'a str,
}

impl Block<'_> {
    /// The decoded bytes, or a sentence.
    pub(crate) fn decode(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        decode_base64(self.body)
            .map(Zeroizing::new)
            .ok_or_else(|| format!("The text between the lines of a PEM block {} is not base64.", self.label))
    }

    /// Whether it has headers inside (RFC 1421), which only old encrypted keys have.
    pub(crate) fn has_headers(&self) -> bool {
        self.body.contains("Proc-Type:")
    }
}

/// The next block of a text and what follows it; none where no block begins. `known` tells which
/// labels are wanted and what is wrong with others.
pub(crate) fn next<'a>(
    text: &'a str,
    known: impl Fn(&str) -> Result<(), String>,
) -> Result<Option<(Block<'a>, &'a str)>, String> {
    let Some((_, after)) = text.split_once("-----BEGIN ") else { return Ok(None) };
    let (label, after) = after.split_once("-----").ok_or("A PEM line is not complete: it ends with -----.")?;
    known(label)?;
    let end = format!("-----END {label}-----");
    let (body, rest) = after.split_once(&end).ok_or_else(|| format!("A PEM block has no line {end}."))?;
    Ok(Some((Block { label, body }, rest)))
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
            let (block, rest) = next(&text, |_| Ok(())).unwrap().unwrap();
            assert_eq!((block.label, rest), ("PRIVATE KEY", "\n"));
            if length > 0 {
                assert_eq!(block.decode().unwrap().as_slice(), bytes);
            }
        }
    }
}
