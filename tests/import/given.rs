//! Files of `tests/data/import`, as programs and people made them.

use crate::import::tools::{DAY_OF_GIVEN, Folder, given, parse};
use certmint::domain::Timestamp;
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
        ("pieces-inside-pieces.p12", ContentType::Pkcs12, 1),
        ("salt-of-2000-bytes.p12", ContentType::Pkcs12, 1),
        ("text-behind.p12", ContentType::Pkcs12, 1),
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

/// GnuTLS names every certificate of a key: localKeyID is derived from the key there.
#[test]
fn an_expired_certificate_that_is_named_is_not_in_the_way_of_a_valid_one() {
    for (name, expected) in
        [("gnutls-expired-and-renewed.p12", "CN=renewed.example"), ("named-one-expired.p12", "CN=new")]
    {
        let imported = import(name);
        assert_eq!(subject(&imported.chain.leaf), expected);
        assert!(imported.chain.expires > DAY_OF_GIVEN);
        // The expired one is kept.
        assert_eq!(imported.chain.rest.len(), 1, "{name}");
    }
    let late = Timestamp::from_seconds(2_000_000_000);
    let error = read(&given("named-one-expired.p12"), "pw", false, late, ImportLimits::default()).unwrap_err();
    // Of several the first is told.
    assert!(error.message.contains("CN=old") && error.message.contains("expired on 2021-01-01"), "{error}");
}

/// OpenSSL before 1.1.0 made a character of each byte of UTF-8, and opens its files to this day.
#[test]
fn a_password_beyond_ascii_opens_the_files_of_old_programs() {
    let open = |password: &str| {
        let file = given("openssl-1.0-password-beyond-ascii.p12");
        read(&file, password, false, DAY_OF_GIVEN, ImportLimits::default()).map(|imported| imported.form)
    };
    assert_eq!(open("p\u{e4}ssw\u{f6}rd").unwrap(), ContentType::Pkcs12);
    for wrong in ["passw\u{f6}rd", "p\u{c3}\u{a4}ssw\u{f6}rd", "password", ""] {
        assert!(open(wrong).unwrap_err().message.contains("The password is wrong"), "{wrong}");
    }
}

#[test]
fn what_is_refused_is_told_by_its_reason() {
    for (name, words) in [
        ("key-with-another-password.p12", &["The password is that of the file", "the private key in it"][..]),
        ("signed-in-place-of-a-mac.p12", &["not supported", "a signature in the place of a MAC"]),
        ("bcfks.keystore", &["Bouncy Castle (BCFKS)", "keytool -importkeystore"]),
        ("bks.keystore", &["Bouncy Castle (BKS or UBER)", "keytool -importkeystore"]),
    ] {
        let file = given(&format!("refused/{name}"));
        let error = read(&file, "pw", false, DAY_OF_GIVEN, ImportLimits::default()).unwrap_err();
        assert!(words.iter().all(|word| error.message.contains(word)), "{name}: {error}");
        assert!(!error.message.contains("damaged"), "{error}");
    }
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
