//! The contents of a certificate, in terms of a policy.

use super::alternative_names::{AlternativeName, alternative_names};
use super::asn1::{BIT_STRING, BOOLEAN, Element, OID, SEQUENCE};
use super::name_text;
use super::oid::oid_text;
use super::x509::X509;
use crate::domain::CertificateFacts;
use crate::domain::policy::{KeyType, KeyUsage};
use crate::domain::san::SubjectAlternativeNames;
use const_oid::db::rfc5280::{ID_CE_BASIC_CONSTRAINTS, ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE, ID_CE_SUBJECT_ALT_NAME};
use std::net::IpAddr;

/// Reads subject, names, usages and validity. Extensions and names of kinds that are not known stay
/// in the certificate alone.
///
/// # Errors
/// A sentence that names the extension that can not be read.
pub(crate) fn facts(certificate: &X509<'_>, key_type: KeyType) -> Result<CertificateFacts, String> {
    let unreadable = |what: &str| format!("Its extension {what} cannot be read.");
    let ekus = match certificate.extension(ID_CE_EXT_KEY_USAGE) {
        Some(value) => purposes(value).ok_or_else(|| unreadable("extKeyUsage"))?,
        None => Vec::new(),
    };
    let sans = match certificate.extension(ID_CE_SUBJECT_ALT_NAME) {
        Some(value) => alternative_names(value).ok_or_else(|| unreadable("subjectAltName"))?,
        None => Vec::new(),
    };
    let ca = match certificate.extension(ID_CE_BASIC_CONSTRAINTS) {
        Some(value) => is_ca(value).ok_or_else(|| unreadable("basicConstraints"))?,
        None => false,
    };
    Ok(CertificateFacts {
        key_type,
        subject: name_text::text(&certificate.subject),
        sans: Some(known_names(sans)).filter(|sans| !sans.is_empty()),
        ekus,
        key_usage: key_usage(certificate).map_err(|()| unreadable("keyUsage"))?,
        ca,
        not_before: certificate.not_before,
        expires: certificate.not_after,
    })
}

/// The uses that the extension names; none where it is absent.
pub(crate) fn key_usage(certificate: &X509<'_>) -> Result<Vec<KeyUsage>, ()> {
    let Some(value) = certificate.extension(ID_CE_KEY_USAGE) else { return Ok(Vec::new()) };
    let bits = Element::parse(value).filter(|value| value.tag == BIT_STRING).ok_or(())?;
    let (_unused, bytes) = bits.content.split_first().ok_or(())?;
    // The bits are numbered from the highest of the first byte on (RFC 5280 section 4.2.1.3).
    let is_set = |usage: KeyUsage| {
        let bit = usage as usize;
        bytes.get(bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    };
    Ok(KeyUsage::ALL.into_iter().filter(|usage| is_set(*usage)).collect())
}

fn purposes(value: &[u8]) -> Option<Vec<String>> {
    let purposes = Element::parse(value)?.children_of(SEQUENCE)?;
    purposes.iter().map(|purpose| oid_text(purpose.content).filter(|_| purpose.tag == OID)).collect()
}

/// A default that is written out, and a path length if there is no CA, are read all the same.
fn is_ca(value: &[u8]) -> Option<bool> {
    let parts = Element::parse(value)?.children_of(SEQUENCE)?;
    Some(parts.first().is_some_and(|first| first.tag == BOOLEAN && first.content.iter().any(|byte| *byte != 0)))
}

/// The kinds that a policy knows; others stay in the certificate alone.
fn known_names(names: Vec<AlternativeName>) -> SubjectAlternativeNames {
    let mut found = SubjectAlternativeNames::default();
    for name in names {
        match name {
            AlternativeName::Email(text) => found.emails.push(text),
            AlternativeName::Dns(text) => found.dns_names.push(text),
            AlternativeName::Uri(text) => found.uris.push(text),
            AlternativeName::Upn(text) => found.upns.push(text),
            AlternativeName::Address(bytes) => {
                let v4 = || <[u8; 4]>::try_from(bytes.as_slice()).map(IpAddr::from);
                let v6 = || <[u8; 16]>::try_from(bytes.as_slice()).map(IpAddr::from);
                found.ip_addresses.extend(v4().or_else(|_| v6()).map(|address| address.to_string()));
            }
            AlternativeName::Other(_) => {}
        }
    }
    found
}
