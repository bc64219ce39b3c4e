//! The contents of a certificate, in terms of a policy.

use super::alternative_names::{AlternativeName, alternative_names};
use super::asn1::{BIT_STRING, BOOLEAN, Element, OID, SEQUENCE};
use super::oid::oid_text;
use super::x509::{Extensions, X509};
use super::{jwk, name_text};
use crate::domain::policy::{KeyType, KeyUsage};
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{CertificateFacts, Error};
use const_oid::db::rfc5280::{ID_CE_BASIC_CONSTRAINTS, ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE, ID_CE_SUBJECT_ALT_NAME};
use std::net::IpAddr;

/// Reads subject, names, usages and validity. Extensions and names of kinds that are not known stay
/// in the certificate alone.
///
/// # Errors
/// A sentence that names the extension that can not be read.
pub(crate) fn facts(certificate: &X509<'_>, key_type: KeyType) -> Result<CertificateFacts, String> {
    let Said { ekus, sans, ca, key_usage } = Said::read(&certificate.extensions)?;
    let other_names = sans.iter().flatten().any(|name| matches!(name, AlternativeName::Other(_)));
    Ok(CertificateFacts {
        key_type,
        other_names,
        subject: name_text::text(&certificate.subject),
        sans: sans.map(known_names).filter(|sans| !sans.is_empty()),
        ekus: ekus.unwrap_or_default(),
        key_usage: key_usage.unwrap_or_default(),
        ca: ca.unwrap_or(false),
        not_before: certificate.not_before,
        expires: certificate.not_after,
    })
}

/// The alternative names of the kinds that a policy knows; none where there are none that can be read.
pub(crate) fn names(certificate: &X509<'_>) -> Option<SubjectAlternativeNames> {
    alternative_names(certificate.extension(ID_CE_SUBJECT_ALT_NAME)?).map(known_names)
}

/// What extensions say of what a policy has members for; each `None` where it is absent.
pub(super) struct Said {
    pub(super) sans: Option<Vec<AlternativeName>>,
    pub(super) ekus: Option<Vec<String>>,
    pub(super) key_usage: Option<Vec<KeyUsage>>,
    pub(super) ca: Option<bool>,
}

impl Said {
    /// # Errors
    /// A sentence that names the extension that can not be read.
    pub(super) fn read(extensions: &Extensions<'_>) -> Result<Self, String> {
        let unreadable = |what: &str| format!("Its extension {what} cannot be read.");
        let ekus = extensions.value(ID_CE_EXT_KEY_USAGE);
        let sans = extensions.value(ID_CE_SUBJECT_ALT_NAME);
        let ca = extensions.value(ID_CE_BASIC_CONSTRAINTS);
        Ok(Self {
            ekus: ekus.map(|value| purposes(value).ok_or_else(|| unreadable("extKeyUsage"))).transpose()?,
            sans: sans.map(|value| alternative_names(value).ok_or_else(|| unreadable("subjectAltName"))).transpose()?,
            ca: ca.map(|value| is_ca(value).ok_or_else(|| unreadable("basicConstraints"))).transpose()?,
            key_usage: key_usage(extensions).map_err(|()| unreadable("keyUsage"))?,
        })
    }
}

/// What a certificate of any kind of key that is known here says of itself.
///
/// # Errors
/// A sentence that names what cannot be read.
pub(crate) fn certificate_facts(der: &[u8]) -> Result<CertificateFacts, Error> {
    let certificate =
        X509::read(der).map_err(|part| Error::bad_parameter(format!("The certificate cannot be read: {part}.")))?;
    let key_type = jwk::of_certificate(der)?.key_type;
    facts(&certificate, key_type)
        .map_err(|problem| Error::bad_parameter(format!("The certificate cannot be read. {problem}")))
}

/// The uses that the extension names; `None` where it is absent.
pub(crate) fn key_usage(extensions: &Extensions<'_>) -> Result<Option<Vec<KeyUsage>>, ()> {
    let Some(value) = extensions.value(ID_CE_KEY_USAGE) else { return Ok(None) };
    let bits = Element::parse(value).filter(|value| value.tag == BIT_STRING).ok_or(())?;
    let (_unused, bytes) = bits.content.split_first().ok_or(())?;
    // The bits are numbered from the highest of the first byte on (RFC 5280 section 4.2.1.3).
    let is_set = |usage: KeyUsage| {
        let bit = usage as usize;
        bytes.get(bit / 8).is_some_and(|byte| byte & (0x80 >> (bit % 8)) != 0)
    };
    Ok(Some(KeyUsage::ALL.into_iter().filter(|usage| is_set(*usage)).collect()))
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
pub(super) fn known_names(names: Vec<AlternativeName>) -> SubjectAlternativeNames {
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
