//! Files of `tests/data/import`, as programs and people made them.

use crate::import::tools::{DAY_OF_GIVEN, Folder, given, parse};
use certmint::domain::policy::ContentType;
use certmint::keys::ImportLimits;
use certmint::keys::chain::{check_issued, merge_order};
use certmint::keys::import::{Imported, read};
use x509_parser::prelude::{FromDer, X509Certificate};

fn import(name: &str) -> Imported {
    read(&given(name), "pw", false, DAY_OF_GIVEN, ImportLimits::default())
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn subject(der: &[u8]) -> String {
    X509Certificate::from_der(der).unwrap().1.subject().to_string()
}

fn subjects(imported: &Imported) -> Vec<String> {
    std::iter::once(&imported.chain.leaf).chain(&imported.chain.rest).map(|der| subject(der)).collect()
}

#[test]
fn every_file_is_taken() {
    for (name, form, certificates) in [
        ("eight-zero-bytes.p12", ContentType::Pkcs12, 3),
        ("firefox-600000-rounds.p12", ContentType::Pkcs12, 1),
        ("gnutls-with-chain.p12", ContentType::Pkcs12, 2),
        ("pbmac1-key-of-256-bytes.p12", ContentType::Pkcs12, 3),
        ("certtool-in-pem.p12", ContentType::Pkcs12, 1),
        ("latin-1-comment.pem", ContentType::Pem, 1),
        ("pkcs7-labelled-certificate.pem", ContentType::Pem, 3),
        ("with-dh-parameters.pem", ContentType::Pem, 1),
        ("uuid-extension.pem", ContentType::Pem, 1),
        ("uuid-other-name.pem", ContentType::Pem, 1),
    ] {
        let imported = import(name);
        assert_eq!((imported.form, 1 + imported.chain.rest.len()), (form, certificates), "{name}");
    }
}

#[test]
fn the_certificate_of_the_key_is_the_one_that_the_file_names() {
    let imported = import("two-certificates-of-one-key.p12");
    let folder = Folder::with_chain(crate::import::tools::P256);
    folder.write("two.p12", &given("two-certificates-of-one-key.p12"));
    folder.openssl("pkcs12 -in two.p12 -passin pass:pw -nokeys -clcerts -out leaf.pem");
    assert_eq!(imported.chain.leaf, folder.der("leaf"));
    // The one that is not named lives longer, and is kept.
    let other = imported.chain.rest.iter().find(|der| subject(der) == "CN=www.example").unwrap();
    let expiry = |der: &[u8]| X509Certificate::from_der(der).unwrap().1.validity().not_after.timestamp();
    assert!(expiry(other) > expiry(&imported.chain.leaf));
}

#[test]
fn a_placeholder_behind_the_certificate_is_not_in_its_place() {
    let imported = import("issued-then-placeholder.pem");
    assert_eq!(subjects(&imported), ["CN=www.example", "CN=Trial Intermediate", "CN=placeholder.self"]);
}

#[test]
fn a_chain_whose_signatures_cannot_be_checked_is_ordered_by_names() {
    for (name, root) in [("brainpool-root-first.pem", "brainpool"), ("pss-root-first.pem", "pss")] {
        let names = subjects(&import(name));
        assert_eq!(names.last().unwrap(), &format!("CN=Root-{root}"), "{names:?}");
        assert_eq!(names.len(), 3);
    }
}

#[test]
fn the_certificate_of_a_ca_that_signs_with_pss_is_merged() {
    let chain = parse(&[given("pss-chain.pem")]).unwrap();
    let key = X509Certificate::from_der(&chain[0]).unwrap().1.public_key().raw.to_vec();
    let length = |bytes: usize| u16::try_from(bytes).unwrap().to_be_bytes();
    let info = [&[2, 1, 0, 0x30, 0][..], &key].concat();
    let info = [&[0x30, 0x82], &length(info.len())[..], &info].concat();
    let request = [&[0x30, 0x82], &length(info.len())[..], &info].concat();
    let ordered = merge_order(&chain, &request, false, DAY_OF_GIVEN).unwrap();
    assert_eq!((ordered.leaf, ordered.rest), (chain[0].clone(), chain[1..].to_vec()));
    let policy = certmint::domain::PolicyInput { subject: Some("CN=a".into()), ..Default::default() };
    let policy = policy.complete(DAY_OF_GIVEN).unwrap();
    assert!(check_issued(&chain, &request, &policy, DAY_OF_GIVEN).is_ok());
}

#[test]
fn a_ca_certificate_with_an_unknown_extension_is_a_certificate() {
    assert_eq!(parse(&[given("uuid-extension-of-a-ca.pem")]).unwrap().len(), 1);
}
