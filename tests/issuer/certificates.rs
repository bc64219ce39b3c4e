//! What is inside the certificates that certmint signs: read by another library, verified by OpenSSL.

use crate::openssl::OpenSsl;
use crate::orders::{Harness, KEY_TYPES, NOW, named};
use certmint::domain::PolicyInput;
use certmint::domain::policy::KeyType;
use certmint::domain::san::SubjectAlternativeNames;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

fn read(der: &[u8]) -> X509Certificate<'_> {
    let (rest, certificate) = X509Certificate::from_der(der).unwrap();
    assert!(rest.is_empty());
    certificate
}

fn all_names() -> SubjectAlternativeNames {
    SubjectAlternativeNames {
        emails: vec!["a@b.example".into()],
        dns_names: vec!["a.example".into(), "*.a.example".into()],
        upns: vec!["user@b.example".into()],
        uris: vec!["https://a.example".into(), "urn:a:b".into()],
        ip_addresses: vec!["10.0.0.1".into(), "2001:db8::1".into()],
        ..SubjectAlternativeNames::default()
    }
}

/// Object identifiers of the extensions in order, with their criticality.
fn extensions(certificate: &X509Certificate<'_>) -> Vec<(String, bool)> {
    certificate.extensions().iter().map(|e| (e.oid.to_id_string(), e.critical)).collect()
}

const KEY_USAGE: &str = "2.5.29.15";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
const ALTERNATIVE_NAMES: &str = "2.5.29.17";
const AUTHORITY_KEY: &str = "2.5.29.35";
const SUBJECT_KEY: &str = "2.5.29.14";

fn expected(list: &[(&str, bool)]) -> Vec<(String, bool)> {
    list.iter().map(|(oid, critical)| ((*oid).to_owned(), *critical)).collect()
}

fn key_ids(certificate: &X509Certificate<'_>) -> (Vec<u8>, Vec<u8>) {
    let (mut authority, mut subject) = (Vec::new(), Vec::new());
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                assert!(id.authority_cert_issuer.is_none() && id.authority_cert_serial.is_none());
                authority = id.key_identifier.as_ref().unwrap().0.to_vec();
            }
            ParsedExtension::SubjectKeyIdentifier(id) => subject = id.0.to_vec(),
            _ => {}
        }
    }
    (authority, subject)
}

#[tokio::test]
async fn a_self_signed_certificate_is_that_of_key_vault() {
    let harness = Harness::new();
    let input = PolicyInput { sans: Some(all_names()), ..named("CN=www.a.example, O=Example Org, C=CH") };
    let chain = harness.issue(&harness.order(KeyType::Rsa2048, input, None)).await;
    assert_eq!(chain.len(), 1);
    let certificate = read(&chain[0]);
    assert_eq!(certificate.version.0, 2);
    assert_eq!(certificate.raw_serial().len(), 16);
    assert!((0x40..0x80).contains(&certificate.raw_serial()[0]));
    assert_eq!(certificate.subject().to_string(), "C=CH, O=Example Org, CN=www.a.example");
    assert_eq!(certificate.subject().as_raw(), certificate.issuer().as_raw());
    assert_eq!(certificate.validity().not_before.timestamp(), NOW.seconds() - 600);
    assert_eq!(certificate.validity().not_after.timestamp(), NOW.plus_months(12).seconds());
    assert_eq!(
        extensions(&certificate),
        expected(&[
            (KEY_USAGE, true),
            (BASIC_CONSTRAINTS, false),
            (EXTENDED_KEY_USAGE, false),
            (ALTERNATIVE_NAMES, false),
            (AUTHORITY_KEY, false),
            (SUBJECT_KEY, false),
        ])
    );
    let (authority, subject) = key_ids(&certificate);
    assert_eq!(authority, subject);
    assert_eq!(subject.len(), 20);
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.digital_signature() && usage.key_encipherment());
    assert_eq!(usage.flags.count_ones(), 2);
    let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && purposes.client_auth && !purposes.any);
    assert!(!certificate.is_ca());
    certificate.verify_signature(None).unwrap();
}

#[tokio::test]
async fn every_kind_of_name_reaches_the_certificate() {
    let harness = Harness::new();
    let input = PolicyInput { sans: Some(all_names()), ..named("CN=a") };
    for config in [None, Some(harness.local_ca(true, KeyType::P256, None))] {
        let chain = harness.issue(&harness.order(KeyType::P256, input.clone(), config)).await;
        let certificate = read(&chain[0]);
        let names = certificate.subject_alternative_name().unwrap().unwrap();
        let shown: Vec<String> = names
            .value
            .general_names
            .iter()
            .map(|name| match name {
                GeneralName::OtherName(oid, value) => {
                    // [0] EXPLICIT UTF8String.
                    assert_eq!(value[2], 0x0c);
                    format!("{} {}", oid.to_id_string(), String::from_utf8_lossy(&value[4..]))
                }
                GeneralName::RFC822Name(name) => format!("mail {name}"),
                GeneralName::DNSName(name) => format!("dns {name}"),
                GeneralName::URI(uri) => format!("uri {uri}"),
                GeneralName::IPAddress(bytes) => format!("ip {bytes:?}"),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "mail a@b.example",
                "1.3.6.1.4.1.311.20.2.3 user@b.example",
                "dns a.example",
                "dns *.a.example",
                "uri https://a.example/",
                "uri urn:a:b",
                "ip [10, 0, 0, 1]",
                "ip [32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]",
            ]
        );
    }
}

#[tokio::test]
async fn a_certificate_without_a_subject_has_critical_names() {
    let harness = Harness::new();
    let sans = SubjectAlternativeNames { dns_names: vec!["a.example".into()], ..Default::default() };
    let input = PolicyInput { sans: Some(sans), ..named("") };
    let chain =
        harness.issue(&harness.order(KeyType::P256, input, Some(harness.local_ca(false, KeyType::P256, None)))).await;
    let certificate = read(&chain[0]);
    assert_eq!(certificate.subject().iter().count(), 0);
    assert!(extensions(&certificate).contains(&(ALTERNATIVE_NAMES.to_owned(), true)));
}

#[tokio::test]
async fn times_from_2050_on_are_generalized_times() {
    let harness = Harness::new();
    let input = PolicyInput { validity_months: Some(1200), ..named("CN=a") };
    let chain = harness.issue(&harness.order(KeyType::P256, input, None)).await;
    let expires = b"\x18\x0f21261123100000Z";
    assert!(chain[0].windows(expires.len()).any(|window| window == expires));
    let begins = b"\x17\x0d261123095000Z";
    assert!(chain[0].windows(begins.len()).any(|window| window == begins));
    assert_eq!(read(&chain[0]).validity().not_after.timestamp(), NOW.plus_months(1200).seconds());
}

#[tokio::test]
async fn a_self_signed_ca_says_so_critically() {
    let harness = Harness::new();
    let usages = vec!["keyCertSign".to_owned(), "cRLSign".to_owned()];
    let input = PolicyInput { ca: Some(true), key_usage: Some(usages), ekus: Some(Vec::new()), ..named("CN=Own CA") };
    let chain = harness.issue(&harness.order(KeyType::P384, input, None)).await;
    let certificate = read(&chain[0]);
    assert!(certificate.is_ca());
    assert_eq!(extensions(&certificate)[..2], expected(&[(KEY_USAGE, true), (BASIC_CONSTRAINTS, true)]));
    let usage = certificate.key_usage().unwrap().unwrap().value;
    assert!(usage.key_cert_sign() && usage.crl_sign());
}

#[tokio::test]
async fn openssl_reads_and_verifies_every_key_type() {
    let (harness, openssl) = (Harness::new(), OpenSsl::new());
    for key_type in KEY_TYPES {
        let input = PolicyInput { sans: Some(all_names()), ..named("CN=www.a.example, O=Example Org, C=CH") };
        let chain = harness.issue(&harness.order(key_type, input, None)).await;
        openssl.write("own.der", &chain[0]);
        openssl.run("x509 -inform DER -in own.der -out own.pem");
        let at = NOW.seconds();
        openssl.run(&format!("verify -check_ss_sig -attime {at} -CAfile own.pem own.pem"));
        let text = openssl.run("x509 -in own.pem -noout -text");
        for part in [
            "Version: 3 (0x2)",
            "Not Before: Nov 23 09:50:00 2026 GMT",
            "Not After : Nov 23 10:00:00 2027 GMT",
            "Subject: C = CH, O = Example Org, CN = www.a.example",
            "X509v3 Key Usage: critical",
            "TLS Web Server Authentication, TLS Web Client Authentication",
            "email:a@b.example",
            "DNS:*.a.example",
            "URI:https://a.example/",
            "IP Address:2001:DB8:0:0:0:0:0:1",
            "CA:FALSE",
        ] {
            assert!(text.contains(part), "{key_type:?}: {part}\n{text}");
        }
    }
}
