//! Whether a revocation list is one of a CA, and good now.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use rustls::pki_types::CertificateDer;
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

const RSA_SHA256: &str = "1.2.840.113549.1.1.11";
const RSA_SHA384: &str = "1.2.840.113549.1.1.12";
const RSA_SHA512: &str = "1.2.840.113549.1.1.13";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";

/// What is wrong with a list (CertificateList, DER) at a time in seconds since 1970; `None` if one of the CAs signed it.
pub(super) fn problem_of(list: &[u8], signers: &[CertificateDer<'_>], now: i64) -> Option<String> {
    let Ok(list) = <CertificateList>::from_der(list) else { return Some("it is no list in DER".to_owned()) };
    let tbs = &list.tbs_cert_list;
    let read = signers.iter().filter_map(|der| <Certificate>::from_der(der).ok());
    let of_name: Vec<Certificate> = read.filter(|ca| ca.tbs_certificate().subject() == &tbs.issuer).collect();
    if of_name.is_empty() {
        return Some(format!("it is of \"{}\", and no certificate of --signer has that name", tbs.issuer));
    }
    let Ok(signed) = tbs.to_der() else { return Some("it cannot be read".to_owned()) };
    let is_signed = |ca: &Certificate| {
        let key = ca.tbs_certificate().subject_public_key_info();
        let algorithm = algorithm(&list.signature_algorithm.oid, key)?;
        let key = UnparsedPublicKey::new(algorithm, key.subject_public_key.raw_bytes());
        key.verify(&signed, list.signature.raw_bytes()).ok()
    };
    if !of_name.iter().any(|ca| is_signed(ca).is_some()) {
        return Some("the CA of --signer did not sign it".to_owned());
    }
    let ends = tbs.next_update.map(|time| time.to_unix_duration().as_secs());
    match ends.map(|ends| i64::try_from(ends).unwrap_or(i64::MAX)) {
        Some(ends) if ends <= now => Some("it has expired: a newer one is not published".to_owned()),
        _ => None,
    }
}

/// How a signature of this kind is verified with this key; `None` where they do not belong together.
fn algorithm(
    signature: &ObjectIdentifier,
    key: &SubjectPublicKeyInfoOwned,
) -> Option<&'static dyn VerificationAlgorithm> {
    let curve = key.algorithm.parameters.as_ref().and_then(|it| it.decode_as::<ObjectIdentifier>().ok());
    let curve = curve.map(|curve| curve.to_string()).unwrap_or_default();
    Some(match (signature.to_string().as_str(), curve.as_str()) {
        (RSA_SHA256, "") => &RSA_PKCS1_2048_8192_SHA256,
        (RSA_SHA384, "") => &RSA_PKCS1_2048_8192_SHA384,
        (RSA_SHA512, "") => &RSA_PKCS1_2048_8192_SHA512,
        (ECDSA_SHA256, P256) => &ECDSA_P256_SHA256_ASN1,
        (ECDSA_SHA384, P256) => &ECDSA_P256_SHA384_ASN1,
        (ECDSA_SHA256, P384) => &ECDSA_P384_SHA256_ASN1,
        (ECDSA_SHA384, P384) => &ECDSA_P384_SHA384_ASN1,
        _ => return None,
    })
}
