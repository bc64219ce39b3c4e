//! Whether a revocation list is one of a CA, good now, and no older than the one before.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey,
    VerificationAlgorithm,
};
use const_oid::db::rfc5280::{ID_CE_AUTHORITY_KEY_IDENTIFIER, ID_CE_CRL_NUMBER, ID_CE_ISSUING_DISTRIBUTION_POINT};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_cert::Certificate;
use x509_cert::crl::CertificateList;
use x509_cert::der::asn1::Uint;
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::spki::SubjectPublicKeyInfoOwned;
use x509_cert::time::Time;

const RSA_SHA256: &str = "1.2.840.113549.1.1.11";
const RSA_SHA384: &str = "1.2.840.113549.1.1.12";
const RSA_SHA512: &str = "1.2.840.113549.1.1.13";
const ECDSA_SHA256: &str = "1.2.840.10045.4.3.2";
const ECDSA_SHA384: &str = "1.2.840.10045.4.3.3";
const P256: &str = "1.2.840.10045.3.1.7";
const P384: &str = "1.3.132.0.34";

/// What is wrong with a list (CertificateList, DER) at a time in seconds since 1970; `None` if one of the CAs signed it, it
/// is good then, and it is no older than those `before` of the same CA. The way to it is plain HTTP: whoever is in between
/// would hide a revocation with a list of the day before.
pub(super) fn problem_of(list: &[u8], signers: &[CertificateDer<'_>], now: i64, before: &[Vec<u8>]) -> Option<String> {
    let list = match signed(list, signers) {
        Ok(list) => list,
        Err(problem) => return Some(problem),
    };
    let tbs = &list.tbs_cert_list;
    if seconds(&tbs.this_update) > now {
        return Some("its time is in the future: compare the clock of this machine".to_owned());
    }
    if tbs.next_update.is_some_and(|ends| seconds(&ends) <= now) {
        return Some("it has expired: a newer one is not published".to_owned());
    }
    // What no CA of these signed was no list for anybody.
    let before = before.iter().filter_map(|der| signed(der, signers).ok());
    let newer = before.filter(|other| scope(other) == scope(&list)).find(|other| is_older(&list, other))?;
    let named = |list| number(list).map_or_else(String::new, |number| format!(", number {number},"));
    Some(format!(
        "it is older{} than the one of the file{}: somebody on the way may hide a revocation, or the CA was set back; remove the file to take it nevertheless",
        named(&list),
        named(&newer).trim_end_matches(','),
    ))
}

/// The lists of a file, PEM or DER.
pub(super) fn lists_of(bytes: &[u8]) -> Vec<Vec<u8>> {
    match bytes.first() {
        Some(0x30) => vec![bytes.to_vec()],
        _ => CertificateRevocationListDer::pem_slice_iter(bytes).flatten().map(|list| list.as_ref().to_vec()).collect(),
    }
}

fn seconds(time: &Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

/// The list, if one of the CAs signed it.
fn signed(list: &[u8], signers: &[CertificateDer<'_>]) -> Result<CertificateList, String> {
    let Ok(list) = <CertificateList>::from_der(list) else { return Err("it is no list in DER".to_owned()) };
    let tbs = &list.tbs_cert_list;
    let read = signers.iter().filter_map(|der| <Certificate>::from_der(der).ok());
    let of_name: Vec<Certificate> = read.filter(|ca| ca.tbs_certificate().subject() == &tbs.issuer).collect();
    if of_name.is_empty() {
        return Err(format!("it is of \"{}\", and no certificate of --signer has that name", tbs.issuer));
    }
    let Ok(bytes) = tbs.to_der() else { return Err("it cannot be read".to_owned()) };
    let is_signed = |ca: &Certificate| {
        let key = ca.tbs_certificate().subject_public_key_info();
        let algorithm = algorithm(&list.signature_algorithm.oid, key)?;
        let key = UnparsedPublicKey::new(algorithm, key.subject_public_key.raw_bytes());
        key.verify(&bytes, list.signature.raw_bytes()).ok()
    };
    match of_name.iter().any(|ca| is_signed(ca).is_some()) {
        true => Ok(list),
        false => Err("the CA of --signer did not sign it".to_owned()),
    }
}

fn extension(list: &CertificateList, oid: ObjectIdentifier) -> Option<Vec<u8>> {
    let mut all = list.tbs_cert_list.crl_extensions.iter().flatten();
    all.find(|extension| extension.extn_id == oid).map(|extension| extension.extn_value.as_bytes().to_vec())
}

/// Which certificates a list is about: a CA may have several, each with numbers of its own (RFC 5280 section 5.2.3).
fn scope(list: &CertificateList) -> (String, Option<Vec<u8>>, Option<Vec<u8>>) {
    let part = extension(list, ID_CE_ISSUING_DISTRIBUTION_POINT);
    (list.tbs_cert_list.issuer.to_string(), extension(list, ID_CE_AUTHORITY_KEY_IDENTIFIER), part)
}

/// The number of a list, in hex without zeros in front.
fn number(list: &CertificateList) -> Option<String> {
    let value = Uint::from_der(&extension(list, ID_CE_CRL_NUMBER)?).ok()?;
    let hex: String = value.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    Some(hex.trim_start_matches('0').to_owned())
}

fn is_older(list: &CertificateList, other: &CertificateList) -> bool {
    match (number(list), number(other)) {
        (Some(one), Some(two)) if one != two => (one.len(), &one) < (two.len(), &two),
        _ => seconds(&list.tbs_cert_list.this_update) < seconds(&other.tbs_cert_list.this_update),
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

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
        CrlIssuingDistributionPoint, DnType, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
        date_time_ymd,
    };

    /// A day of 2027, in seconds since 1970.
    const fn day(day: u8) -> i64 {
        1_798_761_600 + (day as i64 - 1) * 86_400
    }

    struct Ca {
        issuer: Issuer<'static, KeyPair>,
        certificate: CertificateDer<'static>,
    }

    impl Ca {
        fn new(name: &str) -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let key = KeyPair::generate().unwrap();
            let certificate = params.self_signed(&key).unwrap().der().clone();
            Self { issuer: Issuer::new(params, key), certificate }
        }

        /// Of this number, good for a week from a day of January 2027 on.
        fn list(&self, number: u64, from: u8, part: Option<&str>) -> Vec<u8> {
            let point = |uri: &str| CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris: vec![uri.to_owned()] },
                scope: None,
            };
            let params = CertificateRevocationListParams {
                this_update: date_time_ymd(2027, 1, from),
                next_update: date_time_ymd(2027, 1, from + 7),
                crl_number: SerialNumber::from(number),
                issuing_distribution_point: part.map(point),
                revoked_certs: Vec::new(),
                key_identifier_method: KeyIdMethod::Sha256,
            };
            params.signed_by(&self.issuer).unwrap().der().to_vec()
        }
    }

    #[test]
    fn a_list_is_good_in_its_time_and_from_its_ca() {
        let (ca, other) = (Ca::new("One"), Ca::new("Two"));
        let list = ca.list(1, 10, None);
        let problem = |now| problem_of(&list, std::slice::from_ref(&ca.certificate), now, &[]).unwrap_or_default();
        assert_eq!(problem(day(10)), "");
        assert!(problem(day(10) - 1).contains("in the future") && problem(day(17)).contains("expired"));
        let of_other = problem_of(&list, std::slice::from_ref(&other.certificate), day(11), &[]).unwrap();
        assert!(of_other.contains("no certificate of --signer"), "{of_other}");
        let same_name = Ca::new("One");
        let forged = problem_of(&list, std::slice::from_ref(&same_name.certificate), day(11), &[]).unwrap();
        assert!(forged.contains("did not sign"), "{forged}");
    }

    #[test]
    fn a_list_that_is_older_than_the_one_of_the_file_is_refused() {
        let (ca, other) = (Ca::new("One"), Ca::new("Two"));
        let both = [ca.certificate.clone(), other.certificate.clone()];
        let forger = Ca::new("One");
        for (before, is_refused) in [
            (ca.list(0x200, 9, None), true),
            // The same number, which was signed before.
            (ca.list(0xff, 11, None), true),
            (ca.list(0xff, 10, None), false),
            (ca.list(0xfe, 11, None), false),
            // One that has expired was newer all the same.
            (ca.list(0x100, 1, None), true),
            (other.list(0x200, 11, None), false),
            (ca.list(0x200, 11, Some("http://pki.example/crl/a/1.crl")), false),
            (forger.list(0x200, 11, None), false),
            (b"0 is no list".to_vec(), false),
        ] {
            let problem = problem_of(&ca.list(0xff, 10, None), &both, day(12), std::slice::from_ref(&before));
            assert_eq!(problem.is_some_and(|problem| problem.contains("older")), is_refused, "{before:x?}");
        }
    }

    #[test]
    fn the_lists_of_a_file_are_read_in_pem_and_in_der() {
        let ca = Ca::new("One");
        let (one, two) = (ca.list(1, 10, None), ca.list(2, 10, None));
        let text = crate::cli::pem::block("X509 CRL", &one) + &crate::cli::pem::block("X509 CRL", &two);
        assert_eq!(lists_of(text.as_bytes()), [one.clone(), two]);
        assert_eq!(lists_of(&one), std::slice::from_ref(&one));
        assert!(lists_of(b"").is_empty() && lists_of(b"text").is_empty());
    }
}
