//! What a certificate says of itself, in the words of a policy.

use super::extensions::flag;
use super::name_text;
use super::names::UPN;
use crate::domain::policy::{KeyType, KeyUsage};
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{CertificateFacts, Timestamp};
use der::{Tag, Tagged};
use std::net::IpAddr;
use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage as KeyUsageExtension, SubjectAltName};

/// Reads subject, names, usages and validity.
///
/// # Errors
/// A sentence that names the extension that can not be read.
pub(crate) fn facts(certificate: &Certificate, key_type: KeyType) -> Result<CertificateFacts, String> {
    let tbs = certificate.tbs_certificate();
    let unreadable = |what: &str| format!("Its extension {what} can not be read.");
    let ekus = tbs.get_extension::<ExtendedKeyUsage>().map_err(|_| unreadable("extKeyUsage"))?;
    let sans = tbs.get_extension::<SubjectAltName>().map_err(|_| unreadable("subjectAltName"))?;
    let constraints = tbs.get_extension::<BasicConstraints>().map_err(|_| unreadable("basicConstraints"))?;
    let validity = tbs.validity();
    Ok(CertificateFacts {
        key_type,
        subject: name_text::text(tbs.subject()),
        sans: sans.map(|(_, SubjectAltName(names))| alternative_names(&names)).filter(|sans| !sans.is_empty()),
        ekus: ekus
            .map(|(_, ExtendedKeyUsage(oids))| oids.iter().map(ToString::to_string).collect())
            .unwrap_or_default(),
        key_usage: key_usage(certificate).map_err(|()| unreadable("keyUsage"))?,
        ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
        not_before: at(validity.not_before),
        expires: at(validity.not_after),
    })
}

/// The uses that the extension names; none where it is absent.
pub(crate) fn key_usage(certificate: &Certificate) -> Result<Vec<KeyUsage>, ()> {
    let found = certificate.tbs_certificate().get_extension::<KeyUsageExtension>().map_err(|_| ())?;
    let Some((_, KeyUsageExtension(bits))) = found else { return Ok(Vec::new()) };
    Ok(KeyUsage::ALL.into_iter().filter(|usage| bits.contains(flag(*usage))).collect())
}

/// The kinds that a policy knows; others stay in the certificate alone.
fn alternative_names(names: &[GeneralName]) -> SubjectAlternativeNames {
    let mut found = SubjectAlternativeNames::default();
    for name in names {
        match name {
            GeneralName::Rfc822Name(text) => found.emails.push(text.to_string()),
            GeneralName::DnsName(text) => found.dns_names.push(text.to_string()),
            GeneralName::UniformResourceIdentifier(text) => found.uris.push(text.to_string()),
            GeneralName::OtherName(other) if other.type_id == UPN && other.value.tag() == Tag::Utf8String => {
                found.upns.extend(String::from_utf8(other.value.value().to_vec()));
            }
            GeneralName::IpAddress(bytes) => {
                let v4 = || <[u8; 4]>::try_from(bytes.as_bytes()).map(IpAddr::from);
                let v6 = || <[u8; 16]>::try_from(bytes.as_bytes()).map(IpAddr::from);
                found.ip_addresses.extend(v4().or_else(|_| v6()).map(|address| address.to_string()));
            }
            _ => {}
        }
    }
    found
}

fn at(time: x509_cert::time::Time) -> Timestamp {
    Timestamp::from_seconds(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
}
