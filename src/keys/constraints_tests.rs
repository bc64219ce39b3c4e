//! Which names constraints cover and exclude, and whichever certificate above a leaf or a CA has them.

use super::*;
use crate::domain::PolicyInput;
use crate::keys::asn1::tlv;

#[test]
fn subtrees_cover_what_rfc_5280_says() {
    let dns = |name: &str| AskedName::Dns(name.to_owned());
    let email = |name: &str| AskedName::Email(name.to_owned());
    let uri = |name: &str| AskedName::Uri(name.to_owned());
    let address = |name: &str| AskedName::Address(name.parse().unwrap());
    for (tag, base, name, is_in) in [
        (0x82, &b"corp.example"[..], dns("corp.example"), true),
        (0x82, b"corp.example", dns("a.b.CORP.example"), true),
        (0x82, b"corp.example", dns("*.corp.example"), true),
        (0x82, b"corp.example", dns("notcorp.example"), false),
        (0x82, b".corp.example", dns("a.corp.example"), true),
        (0x82, b".corp.example", dns("corp.example"), false),
        (0x82, b"", dns("any"), true),
        (0x81, b"corp.example", email("a@corp.example"), true),
        (0x81, b"corp.example", email("a@b.corp.example"), false),
        (0x81, b".corp.example", email("a@b.corp.example"), true),
        (0x81, b"a@corp.example", email("a@CORP.example"), true),
        (0x81, b"a@corp.example", email("A@corp.example"), false),
        (0x86, b"corp.example", uri("https://corp.example:8443/x"), true),
        (0x86, b"corp.example", uri("https://a.corp.example/"), false),
        (0x86, b".corp.example", uri("https://a.corp.example/"), true),
        (0x86, b"", uri("https://10.0.0.1/"), false),
        (0x87, &[10, 0, 0, 0, 255, 0, 0, 0], address("10.9.8.7"), true),
        (0x87, &[10, 0, 0, 0, 255, 0, 0, 0], address("11.9.8.7"), false),
        (0x87, &[10, 0, 0, 0, 255, 0, 0, 0], address("::1"), false),
        (0x87, &[0; 32], address("::1"), true),
        (0x87, &[10, 0, 0], address("10.0.0.1"), false),
    ] {
        let der = tlv(tag, &[base]);
        let element = Element::parse(&der).unwrap();
        assert_eq!(covers(&element, &name), is_in, "{tag:x} {}", String::from_utf8_lossy(base));
        // What is covered is always excluded.
        assert!(!is_in || reaches(&element, &name), "{tag:x} {}", String::from_utf8_lossy(base));
    }
}

#[test]
fn what_may_become_an_excluded_name_is_excluded() {
    let dns = |name: &str| AskedName::Dns(name.to_owned());
    let uri = |name: &str| AskedName::Uri(name.to_owned());
    for (tag, base, name, is_excluded) in [
        (0x82, "a.corp.example", dns("*.corp.example"), true),
        (0x82, "a.corp.example", dns("*.CORP.example."), true),
        (0x82, "A.corp.example", dns("*.corp.example"), true),
        (0x82, "a.corp.example", dns("*.example"), false),
        (0x82, "b.a.corp.example", dns("*.corp.example"), false),
        (0x82, ".corp.example", dns("*.example"), false),
        (0x82, "a.corp.example", dns("corp.example"), false),
        (0x82, "a.corp.example", dns("b.corp.example"), false),
        (0x86, "corp.example", uri("urn:uuid:8f1b3a6e"), true),
        (0x86, "corp.example", uri("https://10.0.0.1/"), true),
        (0x86, "corp.example", uri("https://[::1]/"), true),
        (0x86, "corp.example", uri("https://other.example/"), false),
        (0xa0, "", AskedName::Other, true),
    ] {
        let der = tlv(tag, &[base.as_bytes()]);
        let element = Element::parse(&der).unwrap();
        assert_eq!(reaches(&element, &name), is_excluded, "{base}");
    }
}

/// A CA certificate with such nameConstraints: bases of permitted and of excluded subtrees.
fn ca(name: &str, permitted: &[Vec<u8>], excluded: &[Vec<u8>]) -> Blob {
    let subtrees = |tag: u8, bases: &[Vec<u8>]| {
        let each: Vec<u8> = bases.iter().flat_map(|base| tlv(SEQUENCE, &[base])).collect();
        if each.is_empty() { each } else { tlv(tag, &[&each]) }
    };
    with_extension(name, &tlv(SEQUENCE, &[&subtrees(context(0), permitted), &subtrees(context(1), excluded)]))
}

fn with_extension(name: &str, value: &[u8]) -> Blob {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::OrganizationName, "Corp");
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    if !value.is_empty() {
        let oid = [2, 5, 29, 30];
        params.custom_extensions = vec![rcgen::CustomExtension::from_oid_content(&oid, value.to_vec())];
    }
    let key = rcgen::KeyPair::generate().unwrap();
    Blob(params.self_signed(&key).unwrap().der().to_vec())
}

fn name_of(text: &str) -> Vec<u8> {
    let name = crate::domain::subject::DistinguishedName::parse(text).unwrap();
    names::subject_name(&name).unwrap().to_der().unwrap()
}

fn policy(subject: &str, sans: SubjectAlternativeNames) -> Policy {
    let input = PolicyInput { subject: Some("CN=a".to_owned()), ..PolicyInput::default() };
    let mut policy = input.complete(crate::domain::Timestamp(0)).unwrap();
    (policy.x509.subject, policy.x509.sans) = (subject.to_owned(), Some(sans));
    policy
}

#[test]
fn each_certificate_above_constrains_each_kind_of_name() {
    let sans = SubjectAlternativeNames::default;
    let dns = |name: &str| SubjectAlternativeNames { dns_names: vec![name.to_owned()], ..sans() };
    let email = |name: &str| SubjectAlternativeNames { emails: vec![name.to_owned()], ..sans() };
    let uri = |name: &str| SubjectAlternativeNames { uris: vec![name.to_owned()], ..sans() };
    let upn = |name: &str| SubjectAlternativeNames { upns: vec![name.to_owned()], ..sans() };
    let address = |name: &str| SubjectAlternativeNames { ip_addresses: vec![name.to_owned()], ..sans() };
    let of = |tag: u8, base: &str| vec![tlv(tag, &[base.as_bytes()])];
    let directory = |text: &str| vec![tlv(DIRECTORY, &[&name_of(text)])];
    let other = vec![tlv(0xa0, &[&tlv(0x06, &[&[0x2b, 6, 1]])])];
    let net = vec![tlv(ADDRESS, &[&[10, 0, 0, 0, 255, 0, 0, 0]])];
    let none = Vec::new;
    for (permitted, excluded, subject, sans, is_signed) in [
        (of(0x82, "corp.example"), none(), "O=Corp", dns("a.corp.example"), true),
        (of(0x82, "corp.example"), none(), "O=Corp", dns("a.example"), false),
        // Both at once: what is excluded is so among what is permitted.
        (of(0x82, "corp.example"), of(0x82, "a.corp.example"), "O=Corp", dns("b.corp.example"), true),
        (of(0x82, "corp.example"), of(0x82, "a.corp.example"), "O=Corp", dns("a.corp.example"), false),
        (of(0x82, "corp.example"), of(0x82, "a.corp.example"), "O=Corp", dns("*.corp.example"), false),
        // A common name counts where there is no host name.
        (of(0x82, "corp.example"), none(), "CN=a.example", sans(), false),
        (of(0x82, "corp.example"), none(), "CN=a.corp.example", sans(), true),
        (of(0x82, "corp.example"), none(), "CN=a.example", dns("a.corp.example"), true),
        (of(0x82, "corp.example"), none(), "CN=Somebody", sans(), true),
        (of(0x81, "corp.example"), none(), "O=Corp", email("a@corp.example"), true),
        (of(0x81, "corp.example"), none(), "O=Corp", email("a@example"), false),
        (of(0x81, "corp.example"), none(), "E=a@example", sans(), false),
        (of(0x86, ".corp.example"), none(), "O=Corp", uri("https://a.corp.example/"), true),
        (of(0x86, ".corp.example"), none(), "O=Corp", uri("https://a.example/"), false),
        (of(0x86, ".corp.example"), none(), "O=Corp", uri("urn:a"), false),
        (none(), of(0x86, ".corp.example"), "O=Corp", uri("urn:a"), false),
        (net.clone(), none(), "O=Corp", address("10.1.2.3"), true),
        (net.clone(), none(), "O=Corp", address("11.1.2.3"), false),
        (none(), net, "O=Corp", address("10.1.2.3"), false),
        (directory("O=Corp"), none(), "CN=a, O=Corp", sans(), true),
        (directory("O=Corp"), none(), "CN=a, O=Other", sans(), false),
        (none(), directory("O=Corp"), "CN=a, O=Corp", sans(), false),
        (none(), other, "O=Corp", upn("a@corp.example"), false),
    ] {
        let (constrained, free) = (ca("Constrained", &permitted, &excluded), with_extension("Free", &[]));
        let policy = policy(subject, sans);
        // Whichever of the two has them.
        for chain in [[constrained.clone(), free.clone()], [free, constrained]] {
            let checked = check(&policy, &chain);
            assert_eq!(checked.is_ok(), is_signed, "{:?} {checked:?}", policy.x509);
            if let Err(error) = checked {
                assert!(error.message.contains("CN=Constrained"), "{error}");
            }
        }
    }
}

#[test]
fn constraints_that_cannot_be_read_let_nothing_be_signed() {
    let free = with_extension("Free", &[]);
    for value in [&[4, 0][..], &[0x30, 2, 0x82, 0], &[0x30, 4, 0xa0, 2, 5, 0]] {
        let chain = [free.clone(), with_extension("Unreadable", value)];
        let sans = SubjectAlternativeNames::default();
        assert!(check(&policy("O=Corp", sans), &chain).is_err(), "{value:x?}");
        assert!(refusal_of_ca(&name_of("O=Corp"), &chain).is_err(), "{value:x?}");
        assert!(warnings(&chain[1].0).is_err(), "{value:x?}");
    }
}

#[test]
fn a_ca_below_has_a_name_that_each_certificate_above_permits() {
    let corp = || vec![tlv(DIRECTORY, &[&name_of("O=Corp")])];
    let (permits, excludes) = (ca("Permits", &corp(), &[]), ca("Excludes", &[], &corp()));
    let free = with_extension("Free", &[]);
    for (chain, subject, is_signed) in [
        ([free.clone(), permits.clone()], "CN=Servers, O=Corp", true),
        ([free.clone(), permits.clone()], "CN=Servers", false),
        ([permits.clone(), free.clone()], "CN=Servers, O=Other", false),
        ([free.clone(), excludes.clone()], "CN=Servers, O=Corp", false),
        ([excludes, free], "CN=Servers, O=Other", true),
    ] {
        let refusal = refusal_of_ca(&name_of(subject), &chain).unwrap();
        assert_eq!(refusal.is_none(), is_signed, "{subject}: {refusal:?}");
    }
    let said = warnings(&permits.0).unwrap().join(" ");
    assert!(said.contains("OCSP"), "{said}");
}
