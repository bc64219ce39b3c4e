//! The MAC of a PKCS #12 file: HMAC under a key of RFC 7292 appendix B, and PBMAC1 (RFC 9579).

use super::super::asn1::{Element, SEQUENCE};
use super::budget::Budget;
use super::encryption::{Hash, Hmac, Input, PURPOSE_MAC, Password, Unreadable, pbkdf2_key};
use super::schemes::{algorithm_name, scheme_name};
use aws_lc_rs::hmac;
use const_oid::db::rfc5912;
use der::asn1::ObjectIdentifier;

const PBMAC1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.14");

/// Longest key of PBMAC1 in bytes. RFC 9579 sets no bound, and programs write up to 256; the budget
/// bounds what a key costs.
const MAX_KEY: u32 = 4096;

/// Checks MacData over the AuthenticatedSafe.
pub(super) fn check(
    mac: Element<'_>,
    content: &[u8],
    password: Password<'_>,
    budget: &mut Budget,
) -> Result<(), Unreadable> {
    let parts = mac.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [info, salt, rest @ ..] = &parts[..] else { return Err(Unreadable::Format) };
    let info = info.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [algorithm, tag] = info[..] else { return Err(Unreadable::Format) };
    let tag = tag.octets().ok_or(Unreadable::Format)?;
    let algorithm = algorithm.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [name, parameters @ ..] = &algorithm[..] else { return Err(Unreadable::Format) };
    if name.is_oid(PBMAC1) {
        let parameters = parameters.first().ok_or(Unreadable::Format)?;
        return pbmac1(*parameters, content, &tag, password, budget);
    }
    let (hash, algorithm) = by_hash(*name).ok_or_else(|| Unreadable::Scheme(scheme_name(*name)))?;
    let salt = salt.octets().ok_or(Unreadable::Format)?;
    // Absent is 1 (RFC 7292 section 4).
    let iterations = rest.first().map_or(Some(1), Element::unsigned).filter(|count| *count > 0);
    let iterations = iterations.ok_or(Unreadable::Format)?;
    for (form, password) in password.forms(budget.form) {
        let input = Input { form, password: &password, salt: &salt, iterations };
        let key = hash.derive_within(budget, &input, PURPOSE_MAC, hash.length)?;
        if hmac::verify(&hmac::Key::new(algorithm, &key), content, &tag).is_ok() {
            budget.form = form;
            return Ok(());
        }
    }
    Err(Unreadable::Password)
}

fn pbmac1(
    parameters: Element<'_>,
    content: &[u8],
    tag: &[u8],
    password: Password<'_>,
    budget: &mut Budget,
) -> Result<(), Unreadable> {
    let parameters = parameters.children_of(SEQUENCE).ok_or(Unreadable::Format)?;
    let [derivation, scheme] = parameters[..] else { return Err(Unreadable::Format) };
    let algorithm = Hmac::of(scheme).ok_or_else(|| Unreadable::Scheme(algorithm_name(scheme)))?.algorithm;
    let length = key_length(derivation).filter(|length| *length > 0).ok_or(Unreadable::Format)?;
    if length > MAX_KEY {
        return Err(Unreadable::Scheme(format!("PBMAC1 with a key of {length} bytes (at most {MAX_KEY} are)")));
    }
    let length = usize::try_from(length).map_err(|_| Unreadable::Format)?;
    let key = pbkdf2_key(derivation, password, length, budget)?;
    hmac::verify(&hmac::Key::new(algorithm, &key), content, tag).map_err(|_| Unreadable::Password)
}

/// `keyLength` of the PBKDF2 parameters, which PBMAC1 must have (RFC 9579 section 4).
fn key_length(derivation: Element<'_>) -> Option<u32> {
    derivation.children_of(SEQUENCE)?.get(1)?.children_of(SEQUENCE)?.get(2)?.unsigned()
}

fn by_hash(name: Element<'_>) -> Option<(Hash, hmac::Algorithm)> {
    [
        (rfc5912::ID_SHA_1, Hash::SHA1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        (rfc5912::ID_SHA_224, Hash::SHA224, hmac::HMAC_SHA224),
        (rfc5912::ID_SHA_256, Hash::SHA256, hmac::HMAC_SHA256),
        (rfc5912::ID_SHA_384, Hash::SHA384, hmac::HMAC_SHA384),
        (rfc5912::ID_SHA_512, Hash::SHA512, hmac::HMAC_SHA512),
    ]
    .into_iter()
    .find(|(oid, ..)| name.is_oid(*oid))
    .map(|(_, hash, algorithm)| (hash, algorithm))
}
