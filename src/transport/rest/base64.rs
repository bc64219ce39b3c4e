//! Base64 as callers send it: of either alphabet (RFC 4648 sections 4 and 5), padded or not.

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// The bytes; `None` where it is not base64. The two alphabets do not mix.
pub(super) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let alphabet = if text.iter().any(|byte| b"-_".contains(byte)) { &URL_SAFE } else { &STANDARD };
    GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_alphabets_are_read_with_and_without_padding() {
        for text in ["-_8", "-_8=", "+/8", "+/8=", "+/9"] {
            assert_eq!(decode(text.as_bytes()), Some(vec![0xfb, 0xff]), "{text}");
        }
        for bad in ["!", "a b", "-/8", "A"] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }
}
