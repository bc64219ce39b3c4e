//! What algorithms of signatures and keys are called in messages.

use super::asn1::OID;
use super::key_form;
use super::oid::oid_text;
use super::signature::Pss;
use super::x509::{Algorithm, PublicKeyInfo};
use der::asn1::ObjectIdentifier;

/// By the object identifier in dotted form (RFC 5912, RFC 8410, NIST CSOR).
const NAMES: [(&str, &str); 35] = [
    ("1.2.840.113549.1.1.1", "RSA"),
    ("1.2.840.113549.1.1.2", "RSA with MD2"),
    ("1.2.840.113549.1.1.4", "RSA with MD5"),
    ("1.2.840.113549.1.1.5", "RSA with SHA-1"),
    ("1.2.840.113549.1.1.10", "RSA-PSS"),
    ("1.2.840.113549.1.1.11", "RSA with SHA-256"),
    ("1.2.840.113549.1.1.12", "RSA with SHA-384"),
    ("1.2.840.113549.1.1.13", "RSA with SHA-512"),
    ("1.2.840.113549.1.1.14", "RSA with SHA-224"),
    ("1.2.840.10045.2.1", "EC"),
    ("1.2.840.10045.4.1", "ECDSA with SHA-1"),
    ("1.2.840.10045.4.3.1", "ECDSA with SHA-224"),
    ("1.2.840.10045.4.3.2", "ECDSA with SHA-256"),
    ("1.2.840.10045.4.3.3", "ECDSA with SHA-384"),
    ("1.2.840.10045.4.3.4", "ECDSA with SHA-512"),
    ("1.2.840.10040.4.1", "DSA"),
    ("1.2.840.10040.4.3", "DSA with SHA-1"),
    ("1.3.14.3.2.26", "SHA-1"),
    ("2.16.840.1.101.3.4.2.1", "SHA-256"),
    ("2.16.840.1.101.3.4.2.2", "SHA-384"),
    ("2.16.840.1.101.3.4.2.3", "SHA-512"),
    ("2.16.840.1.101.3.4.2.4", "SHA-224"),
    ("2.16.840.1.101.3.4.2.6", "SHA-512/256"),
    ("2.16.840.1.101.3.4.2.8", "SHA3-256"),
    ("2.16.840.1.101.3.4.3.1", "DSA with SHA-224"),
    ("2.16.840.1.101.3.4.3.2", "DSA with SHA-256"),
    ("2.16.840.1.101.3.4.3.10", "ECDSA with SHA3-256"),
    ("2.16.840.1.101.3.4.3.11", "ECDSA with SHA3-384"),
    ("2.16.840.1.101.3.4.3.14", "RSA with SHA3-256"),
    ("2.16.840.1.101.3.4.3.17", "ML-DSA-44"),
    ("2.16.840.1.101.3.4.3.18", "ML-DSA-65"),
    ("2.16.840.1.101.3.4.3.19", "ML-DSA-87"),
    ("1.3.101.112", "Ed25519"),
    ("1.3.101.113", "Ed448"),
    ("1.2.643.7.1.1.3.2", "GOST R 34.10-2012"),
];

fn name(oid: &str) -> Option<&'static str> {
    NAMES.iter().find(|(known, _)| *known == oid).map(|(_, name)| *name)
}

/// The algorithm of a signature, with what of its parameters decides whether it can be checked, and its object
/// identifier.
pub(crate) fn of_signature(algorithm: &Algorithm<'_>) -> String {
    let oid = algorithm.text();
    let hash = |hash: ObjectIdentifier| name(&hash.to_string()).map_or_else(|| hash.to_string(), str::to_owned);
    match (name(&oid), algorithm.parameters.and_then(Pss::read)) {
        (Some(known @ "RSA-PSS"), Some(Pss { hash: digest, mask_hash, .. })) => {
            format!("{known} with {} and MGF1 with {} ({oid})", hash(digest), hash(mask_hash))
        }
        (Some(known), _) => format!("{known} ({oid})"),
        (None, _) => oid,
    }
}

/// The kind of a key: with its curve, or its size, and with what of its form programs do not support.
pub(crate) fn of_key(key: &PublicKeyInfo<'_>) -> String {
    let oid = key.algorithm.text();
    let known = match name(&oid) {
        None => return oid,
        Some("EC") => return of_ec(key),
        Some(known) => known,
    };
    match key_form::rsa_sizes(key.bits).filter(|_| known.starts_with("RSA")) {
        Some((size, exponent)) if exponent > key_form::MAX_EXPONENT_BITS => {
            format!("{known} of {size} bits with a public exponent of {exponent} bits ({oid})")
        }
        Some((size, _)) => format!("{known} of {size} bits ({oid})"),
        None => format!("{known} ({oid})"),
    }
}

fn of_ec(key: &PublicKeyInfo<'_>) -> String {
    let curve = key.algorithm.parameters.filter(|curve| curve.tag == OID).and_then(|curve| oid_text(curve.content));
    let curve = curve.map_or(String::new(), |oid| match key_form::curve_name(&oid) {
        Some(name) => format!(" on the curve {name} ({oid})"),
        None => format!(" on the curve {oid}"),
    });
    let form = key_form::of_ec(key).map_or(String::new(), |form| format!(", written {form}"));
    format!("EC{curve}{form}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_another_algorithm() {
        for (index, (oid, name)) in NAMES.iter().enumerate() {
            let others = NAMES.iter().enumerate().filter(|(other, _)| *other != index);
            assert!(others.into_iter().all(|(_, (other, word))| other != oid && word != name), "{oid} {name}");
            assert!(super::super::oid::oid_from_text(oid).is_some(), "{oid}");
        }
    }
}
