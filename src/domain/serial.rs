//! Serial numbers of certificates, in every spelling in which people have them.

use super::{Error, Result, text};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Longest serial number, in bytes (RFC 5280 section 4.1.2.2).
const MAX_BYTES: usize = 20;
/// Longest text that is read as one.
const MAX_TEXT: usize = 100;

/// A serial number: positive, at most 20 bytes. `Display` and the stored form are hex digits in lower case, two for
/// each byte, without leading zero bytes.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Serial(Vec<u8>);

impl Serial {
    /// From the bytes of a number, the highest first; `None` for zero, and for one that is too long.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let first = bytes.iter().position(|byte| *byte != 0)?;
        (bytes.len() - first <= MAX_BYTES).then(|| Self(bytes[first..].to_vec()))
    }

    /// From bytes that were drawn at random. The first byte becomes `0x40..0x7f`, so that the number is positive and
    /// always 16 bytes long; 126 bits stay.
    pub fn random(mut bytes: [u8; 16]) -> Self {
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Self(bytes.to_vec())
    }

    /// The bytes of the number, the highest first.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What a text may mean: hex digits, with colons, hyphens, spaces or `0x` or without, in any case; or a decimal
    /// number. Digits alone may be either: hex comes first, as most programs write it so.
    ///
    /// # Errors
    /// Where it is neither.
    pub fn spellings(given: &str) -> Result<Vec<Self>> {
        let refused = || {
            Error::field(
                "serial",
                format!(
                    "{} is no serial number: send hex digits, with colons or without, or a decimal number of at most {MAX_BYTES} bytes.",
                    text::shown(given)
                ),
            )
        };
        if given.len() > MAX_TEXT {
            return Err(refused());
        }
        let plain = given.trim();
        let marked = plain.strip_prefix("0x").or(plain.strip_prefix("0X"));
        let digits: String = marked.unwrap_or(plain).chars().filter(|c| !matches!(c, ':' | '-' | ' ')).collect();
        let only_digits = marked.is_none() && plain.bytes().all(|byte| byte.is_ascii_digit());
        let hex = of_hex(&digits);
        let decimal = only_digits.then(|| of_decimal(&digits)).flatten();
        let found: Vec<Self> = hex.into_iter().chain(decimal).collect();
        if found.is_empty() { Err(refused()) } else { Ok(found) }
    }
}

fn of_hex(digits: &str) -> Option<Serial> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let even = if digits.len().is_multiple_of(2) { digits.to_owned() } else { format!("0{digits}") };
    let bytes = (0..even.len()).step_by(2).map(|at| u8::from_str_radix(&even[at..at + 2], 16).ok());
    Serial::new(&bytes.collect::<Option<Vec<u8>>>()?)
}

fn of_decimal(digits: &str) -> Option<Serial> {
    // The lowest byte first.
    let mut bytes: Vec<u8> = Vec::new();
    for digit in digits.bytes() {
        let mut carry = u16::from(digit - b'0');
        for byte in &mut bytes {
            carry += u16::from(*byte) * 10;
            *byte = (carry & 0xff).try_into().unwrap_or(0);
            carry >>= 8;
        }
        if carry > 0 {
            bytes.push(carry.try_into().ok()?);
        }
    }
    bytes.reverse();
    Serial::new(&bytes)
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::hex(&self.0))
    }
}

impl Serialize for Serial {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Serial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        of_hex(&text).ok_or_else(|| serde::de::Error::custom("not a serial number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_serial_number_is_read() {
        let serial = Serial::new(&[0, 0x4a, 0x3f, 0x0b]).unwrap();
        for given in ["4a3f0b", "4A3F0B", "4A:3F:0B", "004a3f0b", "0x4A3f0B", " 4a 3f 0b ", "4a-3f-0b", "00:4a:3f:0b"] {
            assert_eq!(Serial::spellings(given).unwrap(), std::slice::from_ref(&serial), "{given}");
        }
        let both = Serial::spellings("4865803").unwrap();
        assert_eq!(both, [Serial::new(&[0x04, 0x86, 0x58, 0x03]).unwrap(), serial]);
        let longest = "f".repeat(40);
        assert_eq!(Serial::spellings(&longest).unwrap()[0].to_string(), longest);
        let decimal = "1461501637330902918203684832716283019655932542975";
        assert!(Serial::spellings(decimal).unwrap().contains(&Serial::new(&[0xff; 20]).unwrap()));
    }

    #[test]
    fn what_is_no_serial_number_is_refused() {
        for given in ["", "0", "00:00", "g", "4a.3f", "-", "0x", &"f".repeat(41), &"1".repeat(101), "４"] {
            assert!(Serial::spellings(given).is_err(), "{given}");
        }
        let message = Serial::spellings("zz").unwrap_err().message;
        assert!(message.contains(" \"zz\" is no serial number"), "{message}");
    }

    #[test]
    fn a_random_one_is_positive_and_never_shorter() {
        for bytes in [[0; 16], [0xff; 16]] {
            let serial = Serial::random(bytes);
            assert!(serial.bytes().len() == 16 && (0x40..0x80).contains(&serial.bytes()[0]));
        }
        let stored = serde_json::to_value(Serial::random([0xab; 16])).unwrap();
        assert_eq!(serde_json::from_value::<Serial>(stored).unwrap(), Serial::random([0xab; 16]));
    }
}
