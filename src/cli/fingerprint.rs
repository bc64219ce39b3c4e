//! Fingerprints, as people compare certificates.

use aws_lc_rs::digest::{SHA256, digest};

/// SHA-256 of a certificate in DER, in lower case hex.
pub(super) fn sha256(der: &[u8]) -> String {
    digest(&SHA256, der).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A fingerprint in that form, of 64 hex digits in any case, with colons or without.
pub(super) fn parse(text: &str) -> std::result::Result<String, String> {
    let hex: String = text.chars().filter(|c| *c != ':').collect::<String>().to_ascii_lowercase();
    match hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        true => Ok(hex),
        false => Err("not a SHA-256: 64 hex digits, with or without colons".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_read_as_other_programs_print_it() {
        let plain = "ab".repeat(32);
        let colons = vec!["AB"; 32].join(":");
        assert_eq!((parse(&plain).unwrap(), parse(&colons).unwrap()), (plain.clone(), plain));
        for bad in ["", "ab", &"xy".repeat(32), &"ab".repeat(33)] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
