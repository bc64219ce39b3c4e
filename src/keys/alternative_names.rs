//! Alternative names in certificates (RFC 5280 section 4.2.1.6): the kinds that a policy supports, and any others.

use super::asn1::{Element, SEQUENCE};
use super::names::UPN;
use super::x509_name::{latin_1, text};
use std::net::IpAddr;

/// A GeneralName.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AlternativeName {
    Email(String),
    Dns(String),
    Uri(String),
    /// A user principal name of Active Directory.
    Upn(String),
    /// Four or sixteen bytes in a good one.
    Address(Vec<u8>),
    /// With its tag, as it is.
    Other(Vec<u8>),
}

/// The names of the extension; none where it is not a list.
pub(crate) fn alternative_names(value: &[u8]) -> Option<Vec<AlternativeName>> {
    Some(Element::parse(value)?.children_of(SEQUENCE)?.into_iter().map(AlternativeName::of).collect())
}

impl AlternativeName {
    pub(crate) fn of(name: Element<'_>) -> Self {
        let ascii = || match std::str::from_utf8(name.content) {
            Ok(text) => text.to_owned(),
            Err(_) => latin_1(name.content),
        };
        match name.tag {
            0x81 => Self::Email(ascii()),
            0x82 => Self::Dns(ascii()),
            0x86 => Self::Uri(ascii()),
            0x87 => Self::Address(name.content.to_vec()),
            0xa0 => upn(name).map_or_else(|| Self::Other(name.whole.to_vec()), Self::Upn),
            _ => Self::Other(name.whole.to_vec()),
        }
    }

    /// Whether both mean the same name.
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dns(one), Self::Dns(other)) | (Self::Email(one), Self::Email(other)) => {
                one.eq_ignore_ascii_case(other)
            }
            (Self::Uri(one), Self::Uri(other)) => one.trim_end_matches('/') == other.trim_end_matches('/'),
            (one, other) => one == other,
        }
    }

    /// As a person knows it.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Email(text) | Self::Dns(text) | Self::Uri(text) | Self::Upn(text) => text.clone(),
            Self::Address(bytes) => match bytes.len() {
                4 => <[u8; 4]>::try_from(bytes.as_slice()).map(|bytes| IpAddr::from(bytes).to_string()),
                _ => <[u8; 16]>::try_from(bytes.as_slice()).map(|bytes| IpAddr::from(bytes).to_string()),
            }
            .unwrap_or_else(|_| "(address)".to_owned()),
            Self::Other(der) => format!("{der:02x?}"),
        }
    }
}

fn upn(name: Element<'_>) -> Option<String> {
    let parts = name.children()?;
    let [kind, value] = parts[..] else { return None };
    text(value.explicit(0)?).filter(|_| kind.is_oid(UPN))
}
