//! Message authentication codes under keys derived from the master keys: for stored records, which nobody who can write
//! to the database may change or move, and for page tokens.

use super::master_key_lines::is_id;
use super::master_keys::MasterKeys;
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::hmac::{self, HMAC_SHA256};
use std::fmt;

/// Length of a code in bytes: HMAC-SHA-256 (RFC 2104), not truncated.
pub const MAC_LEN: usize = 32;

/// What a code is for. Each purpose has a key of its own (HKDF-SHA-256, RFC 5869), so that no code passes for one of
/// another purpose.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Purpose {
    Record,
    PageToken,
}

impl Purpose {
    const ALL: [Self; 2] = [Self::Record, Self::PageToken];

    /// Never changed: stored codes are verified with it.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Record => b"certmint record 1",
            Self::PageToken => b"certmint page token 1",
        }
    }
}

/// Why a code is not accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Mismatch {
    /// The data or the code was changed.
    Changed,
    /// It was made with a master key that this process does not have.
    UnknownKey,
}

/// Makes codes with the newest master key, verifies with any that is known.
pub struct Authenticator {
    /// In the order of the master keys, the newest last: their ids, and a key for each purpose.
    keys: Vec<(String, [hmac::Key; Purpose::ALL.len()])>,
}

impl fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

impl Authenticator {
    pub(super) fn new(master_keys: &MasterKeys) -> Self {
        let derive = |(id, key): (&str, &[u8; 32])| (id.to_owned(), Purpose::ALL.map(|purpose| derived(key, purpose)));
        Self { keys: master_keys.iter().map(derive).collect() }
    }

    /// The id of the master key that new codes are made with.
    pub fn newest(&self) -> &str {
        self.keys.last().map_or("", |(id, _)| id)
    }

    /// The ids of the master keys, the newest last.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(id, _)| id.as_str())
    }

    /// The code of the parts, each preceded by its length, so that no two lists of parts collide.
    pub fn code(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; MAC_LEN] {
        let mut code = [0; MAC_LEN];
        if let Some((_, keys)) = self.keys.last() {
            code.copy_from_slice(context(&keys[purpose as usize], parts).sign().as_ref());
        }
        code
    }

    /// Whether the master key `id` made this code of the parts. Compares in constant time.
    ///
    /// # Errors
    /// What does not fit.
    pub fn verify(&self, purpose: Purpose, id: &str, parts: &[&[u8]], code: &[u8]) -> Result<(), Mismatch> {
        let known = self.keys.iter().find(|(known, _)| known == id);
        // What can be no id was written by whoever changed the database, and is shown to nobody.
        let (_, keys) = known.ok_or(if is_id(id) { Mismatch::UnknownKey } else { Mismatch::Changed })?;
        let expected = context(&keys[purpose as usize], parts).sign();
        equal(expected.as_ref(), code).then_some(()).ok_or(Mismatch::Changed)
    }

    /// Whether any known master key made a code of the parts that begins with `code`; `code` must not be empty.
    pub fn verifies_truncated(&self, purpose: Purpose, parts: &[&[u8]], code: &[u8]) -> bool {
        !code.is_empty()
            && self.keys.iter().any(|(_, keys)| {
                let expected = context(&keys[purpose as usize], parts).sign();
                expected.as_ref().get(..code.len()).is_some_and(|expected| equal(expected, code))
            })
    }
}

fn equal(one: &[u8], other: &[u8]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

fn context(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Context {
    let mut context = hmac::Context::with_key(key);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context
}

#[expect(clippy::expect_used, reason = "the length is that of the hash, which HKDF always gives")]
fn derived(master_key: &[u8; 32], purpose: Purpose) -> hmac::Key {
    let label = [purpose.label()];
    let extracted = Salt::new(HKDF_SHA256, b"certmint").extract(master_key);
    extracted.expand(&label, HMAC_SHA256).map(hmac::Key::from).expect("HKDF gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "a AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    const SECOND: &str = "b AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn with(text: &str) -> Authenticator {
        Authenticator::new(&MasterKeys::from_text(text).unwrap())
    }

    #[test]
    fn a_code_is_of_its_parts_and_its_purpose_alone() {
        let macs = with(FIRST);
        let code = macs.code(Purpose::Record, &[b"ab", b"c"]);
        assert_eq!(macs.verify(Purpose::Record, "a", &[b"ab", b"c"], &code), Ok(()));
        for parts in [&[&b"a"[..], b"bc"][..], &[b"abc"], &[b"ab", b"c", b""]] {
            assert_eq!(macs.verify(Purpose::Record, "a", parts, &code), Err(Mismatch::Changed));
        }
        assert_eq!(macs.verify(Purpose::PageToken, "a", &[b"ab", b"c"], &code), Err(Mismatch::Changed));
        assert_eq!(macs.verify(Purpose::Record, "a", &[b"ab", b"c"], &code[..31]), Err(Mismatch::Changed));
        assert_eq!(macs.verify(Purpose::Record, "x", &[b"ab", b"c"], &code), Err(Mismatch::UnknownKey));
        for id in ["", "x\u{1b}[2J", "a b", &"x".repeat(33)] {
            assert_eq!(macs.verify(Purpose::Record, id, &[b"ab", b"c"], &code), Err(Mismatch::Changed), "{id:?}");
        }
    }

    #[test]
    fn the_newest_master_key_makes_codes_and_the_older_still_verifies() {
        let old = with(FIRST).code(Purpose::Record, &[b"x"]);
        let rotated = with(&format!("{FIRST}\n{SECOND}"));
        assert_eq!(rotated.verify(Purpose::Record, "a", &[b"x"], &old), Ok(()));
        let new = rotated.code(Purpose::Record, &[b"x"]);
        assert_eq!(rotated.newest(), "b");
        assert_eq!(with(SECOND).verify(Purpose::Record, "b", &[b"x"], &new), Ok(()));
    }

    #[test]
    fn a_truncated_code_verifies_with_any_key_and_an_empty_one_with_none() {
        let old = with(FIRST).code(Purpose::PageToken, &[b"x"]);
        let rotated = with(&format!("{FIRST}\n{SECOND}"));
        assert!(rotated.verifies_truncated(Purpose::PageToken, &[b"x"], &old[..16]));
        assert!(!rotated.verifies_truncated(Purpose::PageToken, &[b"y"], &old[..16]));
        assert!(!rotated.verifies_truncated(Purpose::PageToken, &[b"x"], b""));
    }

    /// Stored records are verified with it for ever. Computed apart, with the HMAC and HKDF of the Python library.
    #[test]
    fn the_derivation_is_that_of_the_first_release() {
        let code = with(FIRST).code(Purpose::Record, &[b"key", b"value"]);
        let hex: String = code.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "14c43d0356f50d68b9db6cade0cb4fd2690acafb9bf2158bea814f2497f46add");
    }
}
