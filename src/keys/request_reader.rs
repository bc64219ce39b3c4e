//! Signing requests that callers make themselves (PKCS#10, RFC 2986), as files have them: what they ask for, and whether
//! the caller has the key.

use super::alternative_names::AlternativeName;
use super::asn1::{BIT_STRING, Element, INTEGER, OID, SEQUENCE, SET, context};
use super::facts::{Said, known_names};
use super::oid::oid_text;
use super::reader::{Kind, Shape, shape, without_padding};
use super::signature::{self, Verdict};
use super::x509::{Algorithm, Extension, Extensions, PublicKeyInfo, bits};
use super::x509_name::Name;
use super::{algorithm_name, jwk, name_text, pem};
use crate::domain::requested_policy::{CSR, MUST_STAPLE};
use crate::domain::{Error, KeyNumbers, RequestFacts, Result};
use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{
    ID_CE_BASIC_CONSTRAINTS, ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE, ID_CE_SUBJECT_ALT_NAME, ID_CE_SUBJECT_KEY_IDENTIFIER,
};
use const_oid::db::rfc5912::SHA_1_WITH_RSA_ENCRYPTION;
use std::collections::HashSet;

/// Longest request in DER, in bytes: one with 250 long names fits.
pub const MAX_REQUEST: usize = 64 * 1024;
/// Base64 may be wrapped around PEM or DER once.
const MAX_WRAPS: u8 = 1;

/// The attribute with the extensions (RFC 2985 section 5.4.2), and the same as Windows writes it.
const EXTENSION_REQUESTS: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14"), ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.2.1.14")];
/// ECDSA with SHA-1 (RFC 3279 section 2.2.3).
const ECDSA_WITH_SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.1");
/// A password for the CA (RFC 2985 section 5.4.1).
const CHALLENGE_PASSWORD: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.7");

/// What a policy has a member for.
const READ: [ObjectIdentifier; 4] =
    [ID_CE_SUBJECT_ALT_NAME, ID_CE_KEY_USAGE, ID_CE_EXT_KEY_USAGE, ID_CE_BASIC_CONSTRAINTS];

/// Extensions that give a certificate neither names nor powers, and that programs add by themselves: the identifier of
/// the key, which the CA chooses, and hints for CAs and mail programs of Windows and Netscape.
const HINTS: [ObjectIdentifier; 7] = [
    ID_CE_SUBJECT_KEY_IDENTIFIER,
    // S/MIME capabilities.
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.15"),
    // Template name, template, application policies.
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.7"),
    ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.21.10"),
    // Certificate type, comment.
    ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.1"),
    ObjectIdentifier::new_unwrap("2.16.840.1.113730.1.13"),
];

/// What a few others are called.
const NAMES: [(&str, &str); 6] = [
    ("1.3.6.1.5.5.7.1.24", MUST_STAPLE),
    ("2.5.29.32", "certificatePolicies"),
    ("2.5.29.31", "cRLDistributionPoints"),
    ("2.5.29.30", "nameConstraints"),
    ("1.3.6.1.5.5.7.1.1", "authorityInfoAccess"),
    ("1.3.6.1.5.5.7.48.1.5", "ocsp-nocheck"),
];

fn refused(problem: impl Into<String>) -> Error {
    Error::field(CSR, problem)
}

/// The request in DER, out of DER, PEM, or the base64 of either. Its signature is not checked yet.
///
/// # Errors
/// `BadParameter`, with what was found in its place.
pub fn der(value: &[u8]) -> Result<Vec<u8>> {
    let found = unwrapped(value, MAX_WRAPS)?;
    if found.len() > MAX_REQUEST {
        return Err(refused(format!("It has {} bytes: at most {MAX_REQUEST} are read.", found.len())));
    }
    Ok(found)
}

fn unwrapped(value: &[u8], wraps: u8) -> Result<Vec<u8>> {
    match shape(value, wraps > 0) {
        Shape::Empty => Err(refused("It is empty: send a PKCS#10 request in PEM or DER.")),
        Shape::Der(der) => request(der),
        Shape::Pem(text) => in_pem(text),
        Shape::Base64(bytes) => unwrapped(&bytes, wraps - 1),
        Shape::Foreign(what) => Err(refused(what)),
        Shape::Json(_) | Shape::Other(_) => {
            Err(refused("It is no PKCS#10 request: send one in PEM or DER, over REST in PEM or the base64 of DER."))
        }
    }
}

/// The first value, which has to be a request; zero bytes and line ends may follow.
fn request(bytes: &[u8]) -> Result<Vec<u8>> {
    let (element, rest) = Element::first(bytes).ok_or_else(|| refused("It is damaged: it cannot be read as DER."))?;
    match Kind::of(&element) {
        Kind::Request if without_padding(rest).is_empty() => Ok(element.whole.to_vec()),
        Kind::Request => Err(refused("Something follows the request: send it alone.")),
        Kind::PrivateKey(_) => Err(refused(HAS_KEY)),
        other => Err(refused(format!("It is {}, not a PKCS#10 request.", other.name()))),
    }
}

const HAS_KEY: &str = "It holds a private key, which stays with you: send the request alone.";

fn in_pem(text: &[u8]) -> Result<Vec<u8>> {
    let (mut rest, mut found) = (text, None);
    while let Some((place, after)) = pem::next(rest) {
        rest = after;
        let label = place.label.unwrap_or_default();
        if label.contains("PRIVATE KEY") {
            return Err(refused(HAS_KEY));
        }
        // OpenSSL writes the parameters of the key beside it.
        if label.contains("PARAMETERS") || place.block.is_err() && place.is_mention {
            continue;
        }
        let block = place.block.map_err(refused)?;
        if found.replace(request(&block.bytes)?).is_some() {
            return Err(refused("It holds more than one request: send one."));
        }
    }
    found.ok_or_else(|| refused("It has no PEM block CERTIFICATE REQUEST."))
}

/// Reads a request in DER and checks that its key signed it. A signature takes about as long to check as any other.
///
/// # Errors
/// `BadParameter`: what cannot be read, a key that no policy can ask for, a signature that is not the key's, and what a
/// policy cannot say.
pub fn read(der: &[u8]) -> Result<RequestFacts> {
    let damaged = |part: &str| refused(format!("It is no PKCS#10 request that can be read: {part}."));
    let outer = Element::parse(der).and_then(|outer| outer.children_of(SEQUENCE));
    let Some([info, algorithm, signature]) = outer.as_deref() else { return Err(damaged("its outer structure")) };
    let parts = info.children_of(SEQUENCE).ok_or_else(|| damaged("its signed part"))?;
    let [version, subject, key, attributes @ ..] = &parts[..] else { return Err(damaged("its signed part")) };
    if version.tag != INTEGER || signature.tag != BIT_STRING {
        return Err(damaged("its signed part"));
    }
    let key = PublicKeyInfo::read(*key).ok_or_else(|| damaged("its public key"))?;
    let Some((key_type, _)) = jwk::numbers(&key).filter(|(_, numbers)| is_sound(numbers)) else {
        return Err(refused(format!(
            "Its key is {}, which is not supported: use RSA with 2048, 3072 or 4096 bits and an odd exponent of 3 or more, or EC on P-256, P-384, P-521 or P-256K with an uncompressed point.",
            algorithm_name::of_key(&key)
        )));
    };
    let algorithm = Algorithm::read(*algorithm).ok_or_else(|| damaged("its signature algorithm"))?;
    let signature = bits(*signature).ok_or_else(|| damaged("its signature"))?;
    check_signature(&key, &algorithm, info.whole, signature)?;
    let subject = Name::read(*subject).ok_or_else(|| damaged("its subject"))?;
    let extensions = match attributes {
        [] => Extensions::default(),
        [attributes] if attributes.tag == context(0) => requested_extensions(attributes)?.unwrap_or_default(),
        _ => return Err(damaged("its attributes")),
    };
    let Said { sans, ekus, key_usage, ca } = Said::read(&extensions).map_err(refused)?;
    if let Some(problem) = sans.iter().flatten().find_map(unknown_name) {
        return Err(refused(problem));
    }
    let others = extensions.0.iter().filter(|extension| !is_any_of(extension, &READ) && !is_any_of(extension, &HINTS));
    Ok(RequestFacts {
        public_key: key.as_certified(),
        key_type,
        subject: name_text::text(&subject),
        sans: sans.map(known_names).filter(|sans| !sans.is_empty()),
        ekus,
        key_usage,
        ca,
        others: others.map(|extension| named(extension.oid)).collect(),
    })
}

/// An exponent of 1 or an even one makes no key, and a modulus has the bits that its length says.
fn is_sound(numbers: &KeyNumbers) -> bool {
    match numbers {
        KeyNumbers::Rsa { n, e } => {
            let long = n.first().is_some_and(|byte| byte & 0x80 != 0) && n.last().is_some_and(|byte| byte & 1 == 1);
            long && e.last().is_some_and(|byte| byte & 1 == 1) && e.as_slice() != [1]
        }
        KeyNumbers::Ec { .. } => true,
    }
}

/// Proof of possession (RFC 2986 section 3).
fn check_signature(key: &PublicKeyInfo<'_>, algorithm: &Algorithm<'_>, signed: &[u8], signature: &[u8]) -> Result<()> {
    if algorithm.is(SHA_1_WITH_RSA_ENCRYPTION) || algorithm.is(ECDSA_WITH_SHA_1) {
        return Err(refused("It is signed with SHA-1, which proves nothing any more: sign it with SHA-256."));
    }
    match signature::verify(key, algorithm, signed, signature) {
        Verdict::Right => Ok(()),
        Verdict::Wrong => Err(refused(
            "Its signature is not the one of its key, so it does not show that you have that key: make the request again.",
        )),
        Verdict::Unchecked(what) => Err(refused(format!(
            "Its signature cannot be checked here: {what} is not supported. Sign it with SHA-256, SHA-384 or SHA-512."
        ))),
    }
}

/// The extensions that the attributes ask for; those about the request itself are passed over.
fn requested_extensions<'a>(attributes: &Element<'a>) -> Result<Option<Extensions<'a>>> {
    let damaged = || refused("It is no PKCS#10 request that can be read: its attributes.");
    let mut found = None;
    for attribute in attributes.children().ok_or_else(damaged)? {
        let parts = attribute.children_of(SEQUENCE).ok_or_else(damaged)?;
        let [kind, values] = parts[..] else { return Err(damaged()) };
        if kind.tag != OID || values.tag != SET {
            return Err(damaged());
        }
        if kind.is_oid(CHALLENGE_PASSWORD) {
            return Err(refused(
                "It holds a challenge password, which everyone who may read the pending certificate would see: make the request without it.",
            ));
        }
        if !EXTENSION_REQUESTS.iter().any(|known| kind.is_oid(*known)) {
            continue;
        }
        let values = values.children().ok_or_else(damaged)?;
        let [list] = values[..] else { return Err(damaged()) };
        let extensions = Extensions::read(list).ok_or_else(|| refused("Its list of extensions cannot be read."))?;
        if found.replace(extensions).is_some() {
            return Err(refused("It has two lists of extensions: put them into one."));
        }
    }
    let mut seen = HashSet::new();
    if let Some(Extensions(all)) = &found
        && let Some(twice) = all.iter().find(|one| !seen.insert(one.oid))
    {
        return Err(refused(format!("It asks twice for the extension {}: ask for it once.", named(twice.oid))));
    }
    Ok(found)
}

/// Why a name cannot stand in a policy.
fn unknown_name(name: &AlternativeName) -> Option<String> {
    match name {
        AlternativeName::Other(der) => {
            let kind = match der.first().map_or(0, |tag| tag & 0x1f) {
                0 => "otherName (but a user principal name)",
                3 => "x400Address",
                4 => "directoryName",
                5 => "ediPartyName",
                8 => "registeredID",
                _ => "unknown",
            };
            Some(format!(
                "It asks for an alternative name of the kind {kind}, which a policy cannot have: leave it out."
            ))
        }
        AlternativeName::Address(bytes) if !matches!(bytes.len(), 4 | 16) => {
            Some("It asks for an IP address that is none: an address has 4 or 16 bytes.".to_owned())
        }
        _ => None,
    }
}

fn is_any_of(extension: &Extension<'_>, known: &[ObjectIdentifier]) -> bool {
    known.iter().any(|known| extension.oid == known.as_bytes())
}

fn named(oid: &[u8]) -> String {
    let oid = oid_text(oid).unwrap_or_else(|| "that is not an object identifier".to_owned());
    match NAMES.iter().find(|(known, _)| *known == oid) {
        Some((_, name)) => format!("{name} ({oid})"),
        None => oid,
    }
}

#[cfg(test)]
#[path = "request_reader_tests.rs"]
mod tests;
