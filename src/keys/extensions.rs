//! The X.509 extensions of a policy, for requests and for certificates.

use super::asn1::{OID, SEQUENCE, tlv};
use super::defect;
use super::names::general_names;
use super::oid::oid_from_text;
use crate::domain::policy::{KeyUsage as Usage, Policy};
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{Error, Result};
use const_oid::{AssociatedOid, ObjectIdentifier};
use der::Encode;
use der::asn1::OctetString;
use der::flagset::FlagSet;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName};

/// The purpose of a time stamping authority.
pub const TIME_STAMPING: &str = "1.3.6.1.5.5.7.3.8";

/// The TLS features that a server promises (RFC 7633), and the value with status_request alone.
const TLS_FEATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.1.24");
const MUST_STAPLE: [u8; 5] = [0x30, 3, 2, 1, 5];

/// What a request asks for, in the order that Key Vault writes it: keyUsage, extKeyUsage,
/// subjectAltName, basicConstraints (contract section 5). Empty lists ask for nothing; of the usages it asks for those
/// that a certificate of the policy may say.
pub fn requested(policy: &Policy) -> Result<Vec<Extension>> {
    let x509 = &policy.x509;
    let mut all = Vec::with_capacity(4);
    all.extend(key_usage(&x509.usages_to_sign(policy.key.key_type))?);
    all.extend(extended_key_usage(&x509.ekus)?);
    if let Some(sans) = &x509.sans {
        all.extend(subject_alternative_names(sans, x509.subject.trim().is_empty())?);
    }
    all.push(basic_constraints(x509.ca, false)?);
    Ok(all)
}

/// What a certificate says, in any order: what its request asks for. The purpose of time stamps alone makes its
/// extension critical (RFC 3161 section 2.3).
pub fn granted(policy: &Policy) -> Result<Vec<Extension>> {
    let mut all = requested(policy)?;
    if policy.x509.ekus == [TIME_STAMPING] {
        all.iter_mut().filter(|extension| extension.extn_id == ExtendedKeyUsage::OID).for_each(|e| e.critical = true);
    }
    if policy.granted.as_ref().is_some_and(|granted| granted.must_staple) {
        let extn_value = OctetString::new(MUST_STAPLE).map_err(defect("an extension could not be encoded"))?;
        all.push(Extension { extn_id: TLS_FEATURE, critical: false, extn_value });
    }
    if policy.x509.ca {
        // RFC 5280 section 4.2.1.9: critical in a certificate that may sign others.
        all.iter_mut().filter(|extension| extension.extn_id == BasicConstraints::OID).for_each(|e| e.critical = true);
    }
    Ok(all)
}

/// Critical; none for an empty list, as the extension must set at least one bit (RFC 5280 section
/// 4.2.1.3).
pub fn key_usage(usages: &[Usage]) -> Result<Option<Extension>> {
    if usages.is_empty() {
        return Ok(None);
    }
    let bits = usages.iter().fold(FlagSet::default(), |bits, usage| bits | flag(*usage));
    extension(true, &KeyUsage(bits)).map(Some)
}

/// Not critical; none for an empty list. Each purpose is an object identifier in dotted form.
pub fn extended_key_usage(purposes: &[String]) -> Result<Option<Extension>> {
    if purposes.is_empty() {
        return Ok(None);
    }
    let mut value = Vec::new();
    for text in purposes {
        let oid = oid_from_text(text).ok_or_else(|| {
            Error::field("policy.x509_props.ekus", format!("{text} is not an object identifier of up to 1,024 bytes."))
        })?;
        value.extend(tlv(OID, &[&oid]));
    }
    let failed = "an extension of a certificate could not be encoded";
    let extn_value = OctetString::new(tlv(SEQUENCE, &[&value])).map_err(defect(failed))?;
    Ok(Some(Extension { extn_id: ExtendedKeyUsage::OID, critical: false, extn_value }))
}

/// Critical where the subject is empty (RFC 5280 section 4.2.1.6); none where there are no names.
pub fn subject_alternative_names(names: &SubjectAlternativeNames, critical: bool) -> Result<Option<Extension>> {
    if names.is_empty() {
        return Ok(None);
    }
    extension(critical, &SubjectAltName(general_names(names)?)).map(Some)
}

/// An empty sequence where it is not a CA.
pub fn basic_constraints(ca: bool, critical: bool) -> Result<Extension> {
    extension(critical, &BasicConstraints { ca, path_len_constraint: None })
}

/// Any extension from its value.
pub fn extension<V: AssociatedOid + Encode>(critical: bool, value: &V) -> Result<Extension> {
    let value = value
        .to_der()
        .and_then(OctetString::new)
        .map_err(defect("an extension of a certificate could not be encoded"))?;
    Ok(Extension { extn_id: V::OID, critical, extn_value: value })
}

pub(crate) fn flag(usage: Usage) -> KeyUsages {
    match usage {
        Usage::DigitalSignature => KeyUsages::DigitalSignature,
        Usage::NonRepudiation => KeyUsages::NonRepudiation,
        Usage::KeyEncipherment => KeyUsages::KeyEncipherment,
        Usage::DataEncipherment => KeyUsages::DataEncipherment,
        Usage::KeyAgreement => KeyUsages::KeyAgreement,
        Usage::KeyCertSign => KeyUsages::KeyCertSign,
        Usage::CrlSign => KeyUsages::CRLSign,
        Usage::EncipherOnly => KeyUsages::EncipherOnly,
        Usage::DecipherOnly => KeyUsages::DecipherOnly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{PolicyInput, Timestamp};

    fn policy(input: PolicyInput) -> Policy {
        input.complete(Timestamp(0)).unwrap()
    }

    fn sans() -> Option<SubjectAlternativeNames> {
        Some(SubjectAlternativeNames { dns_names: vec!["a.example".into()], ..Default::default() })
    }

    fn summary(policy: &Policy) -> Vec<(String, bool)> {
        requested(policy).unwrap().iter().map(|e| (e.extn_id.to_string(), e.critical)).collect()
    }

    #[test]
    fn the_order_is_that_of_key_vault() {
        let policy = policy(PolicyInput { subject: Some("CN=a".into()), sans: sans(), ..Default::default() });
        let expected = [("2.5.29.15", true), ("2.5.29.37", false), ("2.5.29.17", false), ("2.5.29.19", false)];
        assert_eq!(summary(&policy), expected.map(|(oid, critical)| (oid.to_owned(), critical)));
    }

    #[test]
    fn alternative_names_are_critical_without_a_subject() {
        let policy = policy(PolicyInput { subject: Some(" ".into()), sans: sans(), ..Default::default() });
        assert!(summary(&policy).contains(&("2.5.29.17".to_owned(), true)));
    }

    #[test]
    fn empty_lists_ask_for_nothing() {
        let policy = policy(PolicyInput {
            subject: Some("CN=a".into()),
            sans: Some(SubjectAlternativeNames::default()),
            ekus: Some(Vec::new()),
            key_usage: Some(Vec::new()),
            ..Default::default()
        });
        assert_eq!(summary(&policy), [("2.5.29.19".to_owned(), false)]);
    }

    #[test]
    fn a_request_asks_for_no_usage_that_contradicts_its_key_or_its_constraints() {
        let usages = |kty: &str, ca: bool| {
            let key_usage = ["digitalSignature", "keyAgreement", "keyCertSign", "keyEncipherment"].map(str::to_owned);
            let input = PolicyInput {
                subject: Some("CN=a".into()),
                kty: Some(kty.into()),
                ca: Some(ca),
                key_usage: Some(key_usage.into()),
                ..Default::default()
            };
            let all = requested(&policy(input)).unwrap();
            all.iter().find(|extension| extension.extn_id == KeyUsage::OID).unwrap().extn_value.as_bytes().to_vec()
        };
        assert_eq!(usages("RSA", false), [3, 2, 5, 0b1010_0000], "digitalSignature and keyEncipherment");
        assert_eq!(usages("RSA", true), [3, 2, 2, 0b1010_0100], "and keyCertSign");
        assert_eq!(usages("EC", false), [3, 2, 3, 0b1000_1000], "digitalSignature and keyAgreement");
    }

    #[test]
    fn every_key_usage_sets_its_bit() {
        for usage in Usage::ALL {
            let value = key_usage(&[usage]).unwrap().unwrap().extn_value.into_bytes();
            let bit = usage as usize;
            assert_eq!(value[3 + bit / 8], 0x80 >> (bit % 8), "{usage:?}");
            assert_eq!(usize::from(value[2]), 7 - bit % 8, "{usage:?} has no more bits than it needs");
        }
    }

    #[test]
    fn a_ca_says_so() {
        assert_eq!(basic_constraints(false, false).unwrap().extn_value.as_bytes(), [0x30, 0]);
        assert_eq!(basic_constraints(true, false).unwrap().extn_value.as_bytes(), [0x30, 3, 1, 1, 0xff]);
    }
}
