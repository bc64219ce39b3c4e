//! Names of unsupported encryptions and digests.

use super::super::asn1::{Element, OID, SEQUENCE};
use super::super::oid::oid_text;

/// Names by object identifier, of what programs offer.
const NAMES: [(&str, &str); 40] = [
    ("1.2.840.113549.1.5.1", "DES with MD2"),
    ("1.2.840.113549.1.5.3", "DES with MD5 (PBES1)"),
    ("1.2.840.113549.1.5.4", "RC2 with MD2 (PBES1)"),
    ("1.2.840.113549.1.5.6", "RC2 with MD5 (PBES1)"),
    ("1.2.840.113549.1.5.10", "DES with SHA-1 (PBES1)"),
    ("1.2.840.113549.1.5.11", "RC2 with SHA-1 (PBES1)"),
    ("1.2.840.113549.1.12.1.1", "RC4 of 128 bits"),
    ("1.2.840.113549.1.12.1.2", "RC4 of 40 bits"),
    ("1.3.6.1.4.1.11591.4.11", "scrypt"),
    ("1.3.14.3.2.7", "DES in PBES2"),
    ("1.2.840.113549.3.2", "RC2 in PBES2"),
    ("1.2.840.113549.3.4", "RC4 in PBES2"),
    ("1.2.840.113549.3.9", "RC5 in PBES2"),
    ("1.2.392.200011.61.1.1.1.2", "Camellia-128 in PBES2"),
    ("1.2.392.200011.61.1.1.1.3", "Camellia-192 in PBES2"),
    ("1.2.392.200011.61.1.1.1.4", "Camellia-256 in PBES2"),
    ("1.2.410.200004.1.4", "SEED in PBES2"),
    ("1.2.410.200046.1.1.2", "ARIA-128 in PBES2"),
    ("1.2.410.200046.1.1.7", "ARIA-192 in PBES2"),
    ("1.2.410.200046.1.1.12", "ARIA-256 in PBES2"),
    ("2.16.840.1.101.3.4.1.6", "AES-128-GCM in PBES2"),
    ("2.16.840.1.101.3.4.1.26", "AES-192-GCM in PBES2"),
    ("2.16.840.1.101.3.4.1.46", "AES-256-GCM in PBES2"),
    ("1.2.643.2.2.21", "GOST 28147-89 in PBES2"),
    ("1.2.643.7.1.1.5.2.2", "Kuznyechik in PBES2"),
    ("1.2.156.10197.1.104.2", "SM4 in PBES2"),
    ("1.2.840.113549.2.5", "the digest MD5"),
    ("1.2.840.113549.2.6", "HMAC with MD5"),
    ("1.2.840.113549.2.12", "HMAC with SHA-512/224"),
    ("1.2.840.113549.2.13", "HMAC with SHA-512/256"),
    ("2.16.840.1.101.3.4.2.5", "the digest SHA-512/224"),
    ("2.16.840.1.101.3.4.2.6", "the digest SHA-512/256"),
    ("2.16.840.1.101.3.4.2.7", "the digest SHA3-224"),
    ("2.16.840.1.101.3.4.2.8", "the digest SHA3-256"),
    ("2.16.840.1.101.3.4.2.9", "the digest SHA3-384"),
    ("2.16.840.1.101.3.4.2.10", "the digest SHA3-512"),
    ("1.2.643.7.1.1.2.2", "the digest Streebog-256"),
    ("1.2.643.7.1.1.2.3", "the digest Streebog-512"),
    ("1.2.840.113549.1.7.3", "encryption for a certificate (PKCS#7 EnvelopedData)"),
    ("1.2.840.113549.1.7.2", "a signature in the place of a MAC (PKCS#7 SignedData)"),
];

/// The name of an object identifier, or its number.
pub(super) fn scheme_name(oid: Element<'_>) -> String {
    let Some(number) = oid_text(oid.content).filter(|_| oid.tag == OID) else {
        return "no algorithm is named".to_owned();
    };
    match NAMES.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("the algorithm {number}"),
    }
}

/// The name of an AlgorithmIdentifier.
pub(super) fn algorithm_name(algorithm: Element<'_>) -> String {
    match algorithm.children_of(SEQUENCE).and_then(|parts| parts.first().copied()) {
        Some(oid) => scheme_name(oid),
        None => "no algorithm is named".to_owned(),
    }
}
