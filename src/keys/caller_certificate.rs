//! What a certificate says of the one who shows it: its names, and what it is for. Nothing is verified here.

use super::alternative_names::AlternativeName;
use super::facts::Said;
use super::issued::serial_of;
use super::oid::oid_text;
use super::x509::X509;
use super::x509_name::{self, Attribute, Name};
use crate::domain::policy::KeyUsage;
use crate::domain::{Serial, Timestamp};
use std::fmt::Write;

/// Keywords of RFC 4514 section 3; other attributes are written with their object identifiers.
const KEYWORDS: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// What a caller's certificate says.
#[derive(Clone, Debug)]
pub(crate) struct CallerCertificate {
    pub(crate) names: Vec<CallerName>,
    /// RFC 4514, every character escaped that could not stand in the name of a principal; empty for an empty name.
    pub(crate) subject: String,
    /// The name of its issuer (DER).
    pub(crate) issuer: Vec<u8>,
    pub(crate) serial: Serial,
    pub(crate) not_after: Timestamp,
    /// `None` without the extension.
    pub(crate) key_usage: Option<Vec<KeyUsage>>,
    pub(crate) is_ca: bool,
}

/// An alternative name of a kind that a caller may be known by.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum CallerName {
    Uri(String),
    Dns(String),
    Email(String),
}

impl CallerCertificate {
    /// # Errors
    /// The part that cannot be read, as in "its validity".
    pub(crate) fn read(der: &[u8]) -> Result<Self, &'static str> {
        let certificate = X509::read(der)?;
        let said = Said::read(&certificate.extensions).map_err(|_| "one of its extensions")?;
        let Said { sans, ekus: _, key_usage, ca } = said;
        Ok(Self {
            names: sans.unwrap_or_default().into_iter().filter_map(CallerName::of).collect(),
            subject: subject(&certificate.subject),
            issuer: certificate.issuer.whole.to_vec(),
            serial: serial_of(der).ok_or("its serial number")?,
            not_after: certificate.not_after,
            key_usage,
            is_ca: ca == Some(true),
        })
    }
}

impl CallerName {
    fn of(name: AlternativeName) -> Option<Self> {
        match name {
            AlternativeName::Uri(text) => Some(Self::Uri(text)),
            AlternativeName::Dns(text) => Some(Self::Dns(text)),
            AlternativeName::Email(text) => Some(Self::Email(text)),
            AlternativeName::Upn(_) | AlternativeName::Address(_) | AlternativeName::Other(_) => None,
        }
    }
}

/// The name as text (RFC 4514 section 2): the most specific part first.
fn subject(name: &Name<'_>) -> String {
    let parts = name.parts.iter().rev();
    parts.map(|part| part.iter().map(attribute).collect::<Vec<_>>().join("+")).collect::<Vec<_>>().join(",")
}

fn attribute(attribute: &Attribute<'_>) -> String {
    let Attribute { oid, value } = attribute;
    let oid = oid_text(oid).unwrap_or_else(|| "0.0".to_owned());
    let keyword = KEYWORDS.iter().find(|(known, _)| *known == oid).map_or(oid.as_str(), |(_, keyword)| keyword);
    let mut text = format!("{keyword}=");
    match x509_name::text(*value) {
        Some(value) => escape(&value, &mut text),
        None => {
            text.push('#');
            for byte in value.whole {
                // Writing to a String cannot fail.
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
    text
}

/// Two texts are never the same afterwards that were not the same before.
fn escape(value: &str, into: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._:@/*".contains(&byte) {
            into.push(char::from(byte));
        } else {
            let _ = write!(into, "\\{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(change: impl FnOnce(&mut rcgen::CertificateParams)) -> CallerCertificate {
        let mut parameters = rcgen::CertificateParams::default();
        change(&mut parameters);
        let key = rcgen::KeyPair::generate().unwrap();
        CallerCertificate::read(parameters.self_signed(&key).unwrap().der()).unwrap()
    }

    #[test]
    fn subjects_are_written_so_that_no_two_are_the_same() {
        let subject = |parts: &[(rcgen::DnType, &str)]| {
            made(|it| {
                it.distinguished_name = rcgen::DistinguishedName::new();
                for (kind, value) in parts {
                    it.distinguished_name.push(kind.clone(), *value);
                }
            })
            .subject
        };
        use rcgen::DnType::{CommonName, OrganizationName};
        assert_eq!(subject(&[(OrganizationName, "Example Corp"), (CommonName, "shop")]), r"CN=shop,O=Example\20Corp");
        assert_eq!(subject(&[(CommonName, "shop,O=Example")]), r"CN=shop\2CO\3DExample");
        assert_eq!(subject(&[(CommonName, "ä\"'#")]), r"CN=\C3\A4\22\27\23");
        assert_eq!(subject(&[]), "");
    }

    #[test]
    fn names_and_uses_are_read() {
        let read = made(|it| {
            let uri = rcgen::SanType::URI("spiffe://corp.example/web".try_into().unwrap());
            it.subject_alt_names = vec![uri, rcgen::SanType::DnsName("web.example".try_into().unwrap())];
            it.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
        });
        let uri = CallerName::Uri("spiffe://corp.example/web".to_owned());
        assert_eq!(read.names, [uri, CallerName::Dns("web.example".to_owned())]);
        assert_eq!((read.key_usage, read.is_ca), (Some(vec![KeyUsage::DigitalSignature]), false));
        assert!(CallerCertificate::read(b"damaged").is_err());
    }
}
