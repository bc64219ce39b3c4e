//! Subject names and alternative names as DER types (RFC 5280 sections 4.1.2.4 and 4.2.1.6).

use super::asn1::{OID, SEQUENCE, SET, tlv};
use super::oid::oid_from_text;
use crate::domain::attribute_type::{AttributeType, Form, is_printable};
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::subject::{Attribute, AttributeValue, DistinguishedName};
use crate::domain::{Error, Result};
use const_oid::ObjectIdentifier;
use der::asn1::{Any, Ia5String};
use der::{Decode, Encode, Tag};
use std::net::IpAddr;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

/// The user principal name of Active Directory, an `otherName` in UTF-8.
pub const UPN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

/// The name in DER order: text has the most specific part first, DER has it last (RFC 4514 section
/// 2.1). Text is PrintableString where its characters allow, else UTF8String (contract section 5).
///
/// Encoded: the types of the X.509 library have no room for the object identifiers that X.660 allows.
pub fn subject_name(name: &DistinguishedName) -> Result<Any> {
    let parts = name.parts.iter().rev().map(|part| relative_name(part)).collect::<Result<Vec<_>>>()?;
    Any::new(Tag::Sequence, parts.concat()).map_err(|_| Error::field("policy.x509_props.subject", "It is too long."))
}

/// The alternative names in the order that Key Vault writes them: rfc822Name, UPN, dNSName, URI,
/// iPAddress (contract section 5).
pub fn general_names(names: &SubjectAlternativeNames) -> Result<Vec<GeneralName>> {
    let SubjectAlternativeNames { emails, dns_names, upns, uris, ip_addresses, shown_empty: _ } = names;
    let mut all = Vec::with_capacity(names.len());
    for email in emails {
        all.push(GeneralName::Rfc822Name(ia5("emails", email)?));
    }
    for upn in upns {
        let value = Any::new(Tag::Utf8String, upn.as_bytes()).map_err(|_| unfit("upns", upn))?;
        all.push(GeneralName::OtherName(OtherName { type_id: UPN, value }));
    }
    for name in dns_names {
        all.push(GeneralName::DnsName(ia5("dns_names", name)?));
    }
    for uri in uris {
        all.push(GeneralName::UniformResourceIdentifier(ia5("uris", &with_path(uri))?));
    }
    for address in ip_addresses {
        let address: IpAddr = address.parse().map_err(|_| unfit("ipAddresses", address))?;
        all.push(address.into());
    }
    Ok(all)
}

/// A set, in the order of its encoded elements (X.690 section 11.6).
fn relative_name(part: &[Attribute]) -> Result<Vec<u8>> {
    let mut attributes = part.iter().map(attribute).collect::<Result<Vec<_>>>()?;
    attributes.sort();
    if attributes.windows(2).any(|pair| pair[0] == pair[1]) {
        let problem = "One part of the name contains the same attribute twice.";
        return Err(Error::field("policy.x509_props.subject", problem));
    }
    Ok(tlv(SET, &[&attributes.concat()]))
}

/// AttributeTypeAndValue, DER.
fn attribute(attribute: &Attribute) -> Result<Vec<u8>> {
    let Attribute { oid, value } = attribute;
    let unfit = |problem: &str| {
        Error::field("policy.x509_props.subject", format!("The value of the attribute {oid} {problem}."))
    };
    let value = match value {
        AttributeValue::Der(der) => Any::from_der(der).map_err(|_| unfit("is not DER"))?,
        AttributeValue::Text(text) => {
            let printable = text.chars().all(is_printable);
            let tag = match AttributeType::of(oid).map_or(Form::Directory, |known| known.form) {
                Form::Printable | Form::Country if !printable => {
                    return Err(unfit("holds a character that PrintableString does not have"));
                }
                Form::Ascii | Form::Email if !text.is_ascii() => return Err(unfit("is not ASCII")),
                Form::Ascii | Form::Email => Tag::Ia5String,
                Form::Directory if !printable => Tag::Utf8String,
                Form::Printable | Form::Country | Form::Directory => Tag::PrintableString,
            };
            Any::new(tag, text.as_bytes()).map_err(|_| unfit("is too long"))?
        }
    };
    let value = value.to_der().map_err(|_| unfit("is too long"))?;
    let oid = oid_from_text(oid)
        .ok_or_else(|| Error::field("policy.x509_props.subject", format!("{oid} is not an object identifier.")))?;
    Ok(tlv(SEQUENCE, &[&tlv(OID, &[&oid]), &value]))
}

fn ia5(member: &str, text: &str) -> Result<Ia5String> {
    Ia5String::new(text).map_err(|_| unfit(member, text))
}

fn unfit(member: &str, text: &str) -> Error {
    let shown: String = text.chars().take(60).collect();
    Error::field(format!("policy.x509_props.sans.{member}"), format!("\"{}\" cannot be encoded.", shown.escape_debug()))
}

/// Schemes whose URIs always have a path (URL Standard, "special scheme"). `spiffe` is none of them:
/// a trust domain with a path of `/` is no SPIFFE ID any more.
const WITH_PATH: [&str; 5] = ["http", "https", "ftp", "ws", "wss"];

/// Key Vault writes `https://a.example` as `https://a.example/`, as the URL Standard normalises it.
fn with_path(uri: &str) -> String {
    let special = |scheme: &str| WITH_PATH.iter().any(|known| known.eq_ignore_ascii_case(scheme));
    let Some((scheme, rest)) = uri.split_once("://").filter(|(scheme, _)| special(scheme)) else {
        return uri.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if authority.is_empty() || tail.starts_with('/') {
        return uri.to_owned();
    }
    format!("{scheme}://{authority}/{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::asn1::Element;
    use der::Tagged;

    fn text(oid: &str, value: &str) -> Attribute {
        Attribute { oid: oid.into(), value: AttributeValue::Text(value.into()) }
    }

    /// The tag of the value, and the value with it.
    fn value_of(given: &Attribute) -> (Tag, Vec<u8>) {
        let der = attribute(given).unwrap();
        let value = Element::parse(&der).unwrap().children().unwrap()[1];
        (Any::from_der(value.whole).unwrap().tag(), value.whole.to_vec())
    }

    fn tag_of(oid: &str, value: &str) -> Tag {
        value_of(&text(oid, value)).0
    }

    #[test]
    fn the_der_order_is_the_reverse_of_the_text() {
        let name = DistinguishedName { parts: vec![vec![text("2.5.4.6", "US")], vec![text("2.5.4.3", "www")]] };
        let der = subject_name(&name).unwrap().to_der().unwrap();
        let [common, country] = [&[0x55, 4, 3][..], &[0x55, 4, 6]].map(|oid| der.windows(3).position(|at| at == oid));
        assert!(common.unwrap() < country.unwrap());
    }

    #[test]
    fn an_empty_name_is_an_empty_sequence() {
        assert_eq!(subject_name(&DistinguishedName::default()).unwrap().to_der().unwrap(), [0x30, 0]);
    }

    #[test]
    fn each_attribute_has_its_string_type() {
        assert_eq!(tag_of("2.5.4.3", "www.example.org"), Tag::PrintableString);
        assert_eq!(tag_of("2.5.4.3", "*.example.org"), Tag::Utf8String);
        assert_eq!(tag_of("2.5.4.10", "Zürich"), Tag::Utf8String);
        assert_eq!(tag_of("2.5.4.6", "CH"), Tag::PrintableString);
        assert_eq!(tag_of("0.9.2342.19200300.100.1.25", "example"), Tag::Ia5String);
        assert_eq!(tag_of("1.2.840.113549.1.9.1", "a@b.example"), Tag::Ia5String);
        assert!(attribute(&text("2.5.4.5", "ü")).is_err());
        assert!(attribute(&text("1.2.840.113549.1.9.1", "ü@b.example")).is_err());
    }

    #[test]
    fn a_der_value_is_taken_as_it_is() {
        let given = Attribute { oid: "2.5.4.3".into(), value: AttributeValue::Der(vec![0x0c, 1, b'a']) };
        assert_eq!(value_of(&given).1, [0x0c, 1, b'a']);
        let broken = Attribute { oid: "2.5.4.3".into(), value: AttributeValue::Der(vec![0x0c, 9, b'a']) };
        assert!(attribute(&broken).is_err());
    }

    #[test]
    fn what_the_domain_takes_for_an_attribute_can_be_encoded() {
        let largest = u128::MAX.to_string();
        let edges = ["1.2.0".to_owned(), "2.999.1".into(), format!("2.25.{largest}"), vec!["1"; 128].join(".")];
        for oid in edges {
            assert_eq!(AttributeType::oid_of(&oid).as_ref(), Some(&oid));
            let der = attribute(&text(&oid, "a")).unwrap();
            let written = Element::parse(&der).unwrap().children().unwrap()[0];
            assert_eq!(crate::keys::oid::oid_text(written.content), Some(oid));
        }
        for oid in [format!("2.25.{largest}0"), vec!["1"; 129].join("."), "1.40.1".into(), "1.2.03".into()] {
            assert_eq!(AttributeType::oid_of(&oid), None, "{oid}");
        }
    }

    #[test]
    fn a_uri_without_a_path_gets_one() {
        for (given, written) in [
            ("https://a.example", "https://a.example/"),
            ("https://a.example:8443", "https://a.example:8443/"),
            ("https://a.example?q=1", "https://a.example/?q=1"),
            ("https://a.example#f", "https://a.example/#f"),
            ("https://a.example/b", "https://a.example/b"),
            ("HTTPS://a.example", "HTTPS://a.example/"),
            ("spiffe://trust.example", "spiffe://trust.example"),
            ("spiffe://trust.example/a", "spiffe://trust.example/a"),
            ("urn:uuid:1", "urn:uuid:1"),
            ("file:///etc", "file:///etc"),
            ("mailto:a@b.example?x=://y", "mailto:a@b.example?x=://y"),
        ] {
            assert_eq!(with_path(given), written);
        }
    }

    #[test]
    fn alternative_names_come_in_the_order_of_key_vault() {
        let names = SubjectAlternativeNames {
            emails: vec!["a@b.example".into()],
            dns_names: vec!["a.example".into(), "b.example".into()],
            upns: vec!["ü@b.example".into()],
            uris: vec!["https://a.example".into()],
            ip_addresses: vec!["10.0.0.1".into(), "2001:db8::1".into()],
            ..SubjectAlternativeNames::default()
        };
        let der: Vec<Vec<u8>> = general_names(&names).unwrap().iter().map(|name| name.to_der().unwrap()).collect();
        assert_eq!(der.iter().map(|name| name[0]).collect::<Vec<_>>(), [0x81, 0xa0, 0x82, 0x82, 0x86, 0x87, 0x87]);
        assert_eq!(
            der[1],
            [&[0xa0, 28, 6, 10][..], UPN.as_bytes(), &[0xa0, 14, 0x0c, 12], "ü@b.example".as_bytes()].concat()
        );
        assert_eq!(&der[4][2..], b"https://a.example/");
        assert_eq!(der[5], [0x87, 4, 10, 0, 0, 1]);
        assert_eq!(der[6].len(), 18);
    }
}
