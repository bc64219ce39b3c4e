//! Describes an unsupported private key, and what to do about it. Each function returns a sentence after a space, or
//! nothing if the bytes do not tell.

use super::asn1::{Element, INTEGER, OCTET_STRING, OID, SEQUENCE, context};
use super::key_form::MAX_EXPONENT_BITS;
use super::oid::oid_text;

/// Algorithms and curves by object identifier.
const NAMES: [(&str, &str); 19] = [
    (
        "1.2.840.113549.1.1.10",
        "an RSA key that is restricted to PSS, which certmint does not keep: have the certificate issued for a plain RSA key",
    ),
    ("1.3.101.112", "an Ed25519 key"),
    ("1.3.101.113", "an Ed448 key"),
    ("1.3.101.110", "an X25519 key, which cannot sign"),
    ("1.3.101.111", "an X448 key, which cannot sign"),
    ("1.2.840.10040.4.1", "a DSA key"),
    ("1.2.840.113549.1.3.1", "a Diffie-Hellman key, which cannot sign"),
    ("1.2.840.10046.2.1", "a Diffie-Hellman key, which cannot sign"),
    ("1.2.643.7.1.1.1.1", "a GOST key"),
    ("2.16.840.1.101.3.4.3.17", "an ML-DSA-44 key"),
    ("2.16.840.1.101.3.4.3.18", "an ML-DSA-65 key"),
    ("2.16.840.1.101.3.4.3.19", "an ML-DSA-87 key"),
    ("1.3.36.3.3.2.8.1.1.7", "an EC key on brainpoolP256r1"),
    ("1.3.36.3.3.2.8.1.1.11", "an EC key on brainpoolP384r1"),
    ("1.3.36.3.3.2.8.1.1.13", "an EC key on brainpoolP512r1"),
    ("1.3.132.0.33", "an EC key on P-224"),
    ("1.2.840.10045.3.1.1", "an EC key on P-192"),
    ("1.2.156.10197.1.301", "an SM2 key"),
    ("1.3.132.0.1", "an EC key on sect163k1"),
];

const EXPLICIT: &str = " It is an EC key whose curve is written out in numbers (explicit parameters). Write it with the name of the curve: openssl pkey -in FILE -ec_param_enc named_curve.";

/// Of a PrivateKeyInfo (RFC 5958 section 2).
pub(super) fn pkcs8(der: &[u8]) -> String {
    let read = || {
        let parts = Element::parse(der)?.children_of(SEQUENCE)?;
        let algorithm = parts.get(1)?.children_of(SEQUENCE)?;
        let oid = algorithm.first().filter(|oid| oid.tag == OID)?;
        let number = oid_text(oid.content)?;
        match number.as_str() {
            "1.2.840.10045.2.1" => curve(algorithm.get(1)?),
            "1.2.840.113549.1.1.1" => {
                let key = parts.get(2).filter(|key| key.tag == OCTET_STRING)?;
                Some(pkcs1(key.content))
            }
            number => Some(named(number, "a key of the algorithm")),
        }
    };
    read().unwrap_or_default()
}

/// Of an RSAPrivateKey (RFC 8017 appendix A.1.2).
pub(super) fn pkcs1(der: &[u8]) -> String {
    let parts = Element::parse(der).and_then(|key| key.children_of(SEQUENCE)).unwrap_or_default();
    let bits = |part: usize| {
        let number = parts.get(part).filter(|number| number.tag == INTEGER)?.content;
        let number = &number[number.iter().take_while(|byte| **byte == 0).count()..];
        Some(number.len() * 8 - usize::try_from(number.first()?.leading_zeros()).ok()?)
    };
    let Some(size) = bits(1) else { return String::new() };
    let kind = format!(" It is an RSA key of {size} bits");
    match bits(2) {
        _ if !matches!(size, 2048 | 3072 | 4096) => format!("{kind}."),
        // RFC 8017 section 3.2.
        _ if parts.len() > 9 => {
            format!("{kind} with more than two primes: have the certificate issued for another key.")
        }
        Some(exponent) if exponent > MAX_EXPONENT_BITS => format!(
            "{kind} with a public exponent of {exponent} bits, and more than {MAX_EXPONENT_BITS} are not supported: have the certificate issued for another key."
        ),
        _ => format!("{kind} whose numbers do not fit together."),
    }
}

/// Of an ECPrivateKey (RFC 5915 section 3).
pub(super) fn sec1(der: &[u8]) -> String {
    let parts = Element::parse(der).and_then(|key| key.children_of(SEQUENCE)).unwrap_or_default();
    match parts.iter().find(|part| part.tag == context(0)).and_then(|part| part.explicit(0)) {
        Some(parameters) => curve(&parameters).unwrap_or_default(),
        None => " It is an EC key that does not name its curve.".to_owned(),
    }
}

fn curve(parameters: &Element<'_>) -> Option<String> {
    match parameters.tag {
        OID => oid_text(parameters.content).map(|number| named(&number, "an EC key on the curve")),
        SEQUENCE => Some(EXPLICIT.to_owned()),
        _ => None,
    }
}

fn named(number: &str, kind: &str) -> String {
    const SUPPORTED: [&str; 4] = ["1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35", "1.3.132.0.10"];
    if SUPPORTED.contains(&number) {
        // The curve is a good one: the key itself is not.
        return String::new();
    }
    match NAMES.iter().find(|(known, _)| *known == number) {
        Some((_, name)) => format!(" It is {name}."),
        None => format!(" It is {kind} {number}."),
    }
}
