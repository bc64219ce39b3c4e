//! Whether a private key matches a public one, without the full key validation, which takes longer than a signature.

use super::KeyPair;
use super::asn1::{BIT_STRING, Element, INTEGER, OCTET_STRING, SEQUENCE, context};
use const_oid::db::rfc5912::{ID_EC_PUBLIC_KEY, RSA_ENCRYPTION};
use der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

/// `pkcs8` was sealed by this server, or comes from one, so its own public part is believed; `public_key` is a
/// SubjectPublicKeyInfo.
pub(super) fn belongs(pkcs8: &[u8], public_key: &[u8]) -> bool {
    let Ok(public) = SubjectPublicKeyInfoRef::from_der(public_key) else { return false };
    let Some(bits) = public.subject_public_key.as_bytes() else { return false };
    match of_rsa_or_ec(pkcs8) {
        Some((rsa, own)) => own == bits && public.algorithm.oid == if rsa { RSA_ENCRYPTION } else { ID_EC_PUBLIC_KEY },
        // An EC key may come without its public part (RFC 5915 section 3).
        None => KeyPair::from_pkcs8(pkcs8).is_ok_and(|key| key.public_key_der() == public_key),
    }
}

/// The SubjectPublicKeyInfo (DER) of a certificate. Nothing else of it is read, so it does not matter what a strict
/// reader would say of the rest.
pub(crate) fn of_certificate(der: &[u8]) -> Option<Vec<u8>> {
    let certificate = Element::parse(der)?.children_of(SEQUENCE)?;
    let fields = certificate.first()?.children_of(SEQUENCE)?;
    // [0] version, where it is there; serial number, signature, issuer, validity, subject (RFC 5280 section 4.1).
    let before = 5 + usize::from(fields.first()?.tag == context(0));
    let key = fields.get(before)?;
    (key.tag == SEQUENCE).then(|| key.whole.to_vec())
}

/// Whether it is an RSA key, and its public key as the bits of a SubjectPublicKeyInfo hold it.
fn of_rsa_or_ec(pkcs8: &[u8]) -> Option<(bool, Vec<u8>)> {
    let parts = Element::parse(pkcs8)?.children_of(SEQUENCE)?;
    let [_version, algorithm, key, ..] = parts[..] else { return None };
    let oid = *algorithm.children_of(SEQUENCE)?.first()?;
    let inner = (key.tag == OCTET_STRING).then(|| Element::parse(key.content))??.children_of(SEQUENCE)?;
    if oid.is_oid(RSA_ENCRYPTION) {
        // RSAPrivateKey begins with version, modulus and exponent; RSAPublicKey is the latter two (RFC 8017 appendix
        // A.1).
        let [_, modulus, exponent, ..] = inner[..] else { return None };
        if modulus.tag != INTEGER || exponent.tag != INTEGER {
            return None;
        }
        return Some((true, sequence(&[modulus.whole, exponent.whole].concat())));
    }
    let public = inner.iter().find(|part| part.tag == context(1))?.explicit(1)?;
    let point = (oid.is_oid(ID_EC_PUBLIC_KEY) && public.tag == BIT_STRING).then_some(public.content)?;
    Some((false, point.strip_prefix(&[0])?.to_vec()))
}

/// A SEQUENCE around up to 65,535 bytes.
fn sequence(content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let [_, _, .., high, low] = length.to_be_bytes();
    let mut out = vec![SEQUENCE];
    match length {
        0..0x80 => out.push(low),
        0x80..0x100 => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::policy::KeyType;

    #[test]
    fn each_kind_of_key_belongs_to_its_own_public_key_alone() {
        for key_type in
            [KeyType::Rsa2048, KeyType::Rsa3072, KeyType::P256, KeyType::P384, KeyType::P521, KeyType::P256K]
        {
            let (one, other) = (KeyPair::generate(key_type).unwrap(), KeyPair::generate(key_type).unwrap());
            assert!(of_rsa_or_ec(&one.to_pkcs8()).is_some(), "{key_type:?}");
            assert!(belongs(&one.to_pkcs8(), &one.public_key_der()), "{key_type:?}");
            assert!(!belongs(&one.to_pkcs8(), &other.public_key_der()), "{key_type:?}");
            assert!(!belongs(&one.to_pkcs8(), b""), "{key_type:?}");
        }
    }

    #[test]
    fn a_certificate_names_its_public_key() {
        let key = rcgen::KeyPair::generate().unwrap();
        let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        use rcgen::PublicKeyData;
        assert_eq!(of_certificate(certificate.der()).unwrap(), key.subject_public_key_info());
        assert_eq!(of_certificate(b"none"), None);
    }

    #[test]
    fn what_is_no_key_belongs_to_nothing() {
        let key = KeyPair::generate(KeyType::P256).unwrap();
        assert!(!belongs(b"", &key.public_key_der()));
        assert!(!belongs(&key.to_pkcs8()[..40], &key.public_key_der()));
    }
}
