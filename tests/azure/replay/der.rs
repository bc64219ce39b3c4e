//! What a request or certificate is made of, without what differs from key to key: keys, signatures, serial numbers,
//! identifiers of keys, and times.

use base64::{Engine, engine::general_purpose::STANDARD};

/// From here on a number or a string of bytes is random, not a choice.
const LONG: usize = 16;

/// The structure of DER in base64; `None` if it is neither.
pub(super) fn structure(text: &str) -> Option<String> {
    let der = STANDARD.decode(text).ok()?;
    let mut out = String::new();
    (!der.is_empty() && values(&der, &mut out).is_some()).then_some(out)
}

/// Writes every value of a sequence of them.
fn values(mut der: &[u8], out: &mut String) -> Option<()> {
    while let [tag, rest @ ..] = der {
        let (length, rest) = length(rest)?;
        let (value, rest) = rest.split_at_checked(length)?;
        der = rest;
        out.push_str(&format!(" {tag:02x}"));
        match tag {
            // UTCTime and GeneralizedTime.
            0x17 | 0x18 => out.push_str("(time)"),
            _ if tag & 0x20 != 0 => {
                out.push('{');
                values(value, out)?;
                out.push_str(" }");
            }
            0x04 if inside(value, out) => {}
            0x02..=0x04 | 0x80.. if value.len() >= LONG => out.push_str("(long)"),
            _ => out.push_str(&format!("({})", value.iter().map(|byte| format!("{byte:02x}")).collect::<String>())),
        }
    }
    Some(())
}

/// An extension is DER in a string of bytes.
fn inside(value: &[u8], out: &mut String) -> bool {
    let mut found = String::new();
    let is_der = !value.is_empty() && values(value, &mut found).is_some();
    if is_der {
        out.push_str(&format!("[{found} ]"));
    }
    is_der
}

fn length(der: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = der.split_first()?;
    if *first < 0x80 {
        return Some((usize::from(*first), rest));
    }
    let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
    let length = bytes.iter().try_fold(0usize, |sum, byte| sum.checked_mul(256)?.checked_add(usize::from(*byte)))?;
    Some((length, rest))
}

#[test]
fn two_keys_have_one_structure_and_two_subjects_have_not() {
    let request = |subject: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = rcgen::CertificateParams::default();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, subject);
        structure(&STANDARD.encode(parameters.serialize_request(&key).unwrap().der())).unwrap()
    };
    // The signature of an EC key has a length of its own, which does not show.
    assert_eq!(request("a"), request("a"));
    assert_ne!(request("a"), request("b"));
    assert_eq!(structure("no base64"), None);
}
