//! The alternative names that a certificate has, which are not always those that its policy asks for.

use crate::proto::v1::{Certificate, SubjectAlternativeNames};
use std::net::IpAddr;
use x509_cert::der::Decode;
use x509_cert::der::asn1::{ObjectIdentifier, Utf8StringRef};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::{GeneralName, OtherName};

/// User principal names of Active Directory (\[MS-WCCE\] section 2.2.2.7.5).
const UPN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

/// DNS names, addresses, e-mail addresses, URIs and user principal names (RFC 5280 section 4.2.1.6), as policies write
/// them and in the order of the certificate. Names of other kinds are left out; none if the extension cannot be read.
pub(super) fn of(certificate: &x509_cert::Certificate) -> Vec<String> {
    match certificate.tbs_certificate().get_extension::<SubjectAltName>() {
        Ok(Some((_critical, names))) => names.0.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

/// The names that a policy asks for.
pub(super) fn wanted(names: &SubjectAlternativeNames) -> impl Iterator<Item = &String> {
    let SubjectAlternativeNames { dns_names, ip_addresses, emails, uris, upns } = names;
    [dns_names, ip_addresses, emails, uris, upns].into_iter().flatten()
}

/// A note where a certificate that was merged lacks names that were asked for; none where it has all, or is not known.
/// A merge may bring other names, but a CA that was given the request alone often drops them unasked.
pub(super) fn missing(merged: &Certificate) -> Option<String> {
    let x509 = x509_cert::Certificate::from_der(&merged.cer).ok()?;
    let asked = merged.policy.as_ref()?.x509_properties.as_ref()?.subject_alternative_names.as_ref()?;
    let has = of(&x509);
    let same = |one: &str, other: &str| {
        let addresses = (one.parse::<IpAddr>(), other.parse::<IpAddr>());
        one.eq_ignore_ascii_case(other) || matches!(addresses, (Ok(one), Ok(other)) if one == other)
    };
    let lacks: Vec<&str> =
        wanted(asked).map(String::as_str).filter(|asked| !has.iter().any(|name| same(name, asked))).collect();
    (!lacks.is_empty()).then(|| {
        format!(
            "the certificate lacks alternative names that were asked for: {}. If its CA dropped them, have it copy the \
             extensions of the signing request (openssl x509 -req: -copy_extensions copy), and create and merge again.",
            lacks.join(", ")
        )
    })
}

fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) | GeneralName::Rfc822Name(name) | GeneralName::UniformResourceIdentifier(name) => {
            Some(name.to_string())
        }
        GeneralName::IpAddress(bytes) => address(bytes.as_bytes()).map(|address| address.to_string()),
        GeneralName::OtherName(OtherName { type_id: UPN, value }) => {
            value.decode_as::<Utf8StringRef<'_>>().ok().map(|name| name.to_string())
        }
        _ => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::v1::{CertificatePolicy, X509Properties};
    use rcgen::{CertificateParams, KeyPair, OtherNameValue, SanType};

    fn merged(has: Vec<SanType>, asked: SubjectAlternativeNames) -> Certificate {
        let mut params = CertificateParams::default();
        params.subject_alt_names = has;
        let cer = params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        let x509 = X509Properties { subject_alternative_names: Some(asked), ..Default::default() };
        let policy = Some(CertificatePolicy { x509_properties: Some(x509), ..Default::default() });
        Certificate { cer: cer.into(), policy, ..Default::default() }
    }

    fn every_kind() -> Vec<SanType> {
        let upn = [1, 3, 6, 1, 4, 1, 311, 20, 2, 3].to_vec();
        vec![
            SanType::DnsName("a.example".try_into().unwrap()),
            SanType::IpAddress("192.0.2.1".parse().unwrap()),
            SanType::IpAddress("2001:db8::1".parse().unwrap()),
            SanType::Rfc822Name("ann@a.example".try_into().unwrap()),
            SanType::URI("spiffe://a.example/x".try_into().unwrap()),
            SanType::OtherName((upn, OtherNameValue::Utf8String("ann@corp.example".to_owned()))),
            SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 99999, 1], OtherNameValue::Utf8String("other".to_owned()))),
        ]
    }

    fn asked(dns: &[&str]) -> SubjectAlternativeNames {
        SubjectAlternativeNames { dns_names: dns.iter().map(|name| (*name).to_owned()).collect(), ..Default::default() }
    }

    #[test]
    fn the_names_are_those_of_the_certificate() {
        let certificate = merged(every_kind(), asked(&["b.example"]));
        let names = of(&x509_cert::Certificate::from_der(&certificate.cer).unwrap());
        let first = ["a.example", "192.0.2.1", "2001:db8::1", "ann@a.example", "spiffe://a.example/x"];
        assert_eq!((&names[..5], &names[5..]), (&first.map(str::to_owned)[..], &["ann@corp.example".to_owned()][..]));
    }

    #[test]
    fn names_that_a_merge_lost_are_told() {
        let note = missing(&merged(Vec::new(), asked(&["a.example", "b.example"]))).unwrap();
        assert!(note.contains("asked for: a.example, b.example.") && note.contains("-copy_extensions copy"), "{note}");
        let note = missing(&merged(every_kind(), asked(&["A.example", "c.example"]))).unwrap();
        assert!(note.contains("asked for: c.example."), "{note}");
    }

    #[test]
    fn a_merge_that_lost_none_gets_no_note() {
        let all = SubjectAlternativeNames {
            dns_names: vec!["A.Example".to_owned()],
            ip_addresses: vec!["2001:DB8:0::1".to_owned(), "192.0.2.1".to_owned()],
            emails: vec!["ann@a.example".to_owned()],
            uris: vec!["spiffe://a.example/x".to_owned()],
            upns: vec!["ann@corp.example".to_owned()],
        };
        assert_eq!(missing(&merged(every_kind(), all)), None);
        assert_eq!(missing(&merged(every_kind(), SubjectAlternativeNames::default())), None);
        assert_eq!(missing(&Certificate::default()), None);
    }
}
