//! Unusual real-world certificates: unknown parts are kept as bytes.

use crate::import::tools::{Folder, P256, import};
use certmint::domain::policy::{ContentType, KeyUsage};
use certmint::domain::{PolicyInput, Timestamp};
use certmint::keys::extensions::extended_key_usage;
use certmint::keys::import::Imported;
use certmint::keys::jwk;
use der::Encode;

const UUID: &str = "2.25.329800735698586629295641978511506172918";

#[track_caller]
fn imported(options: &str, extensions: &str) -> Imported {
    let folder = Folder::self_signed(P256, options, extensions);
    let imported = import(&folder.both(), "").unwrap_or_else(|error| panic!("{options} {extensions}: {error}"));
    assert_eq!(imported.chain.leaf, folder.der("leaf"));
    // What is kept of it is read again for every answer, and a policy can hold it.
    jwk::of_certificate(&imported.chain.leaf).unwrap();
    PolicyInput::default().imported(&imported.facts, ContentType::Pem, Timestamp(0)).unwrap();
    imported
}

#[test]
fn object_identifiers_of_every_size_are_read() {
    let far = "2.999.1";
    let large = "1.3.6.1.4.1.99999999999.1";
    let long = format!("1.2{}", ".840".repeat(40));
    for oid in [UUID, far, large, &long] {
        imported("-subj /CN=a", &format!("{oid}=DER:05:00"));
        imported("-subj /CN=a", &format!("{oid}=critical,DER:05:00"));
        let sans = imported("-subj /CN=a", &format!("subjectAltName=DNS:a.example,otherName:{oid};UTF8:x,RID:{oid}"));
        assert_eq!(sans.facts.sans.unwrap().dns_names, ["a.example"], "{oid}");
        let purposes = imported("-subj /CN=a", &format!("extendedKeyUsage=serverAuth,{oid}")).facts.ekus;
        assert_eq!(purposes, ["1.3.6.1.5.5.7.3.1", oid]);
        // And asked for again by a renewal.
        let extension = extended_key_usage(&purposes).unwrap().unwrap().to_der().unwrap();
        let policies = imported("-subj /CN=a", &format!("certificatePolicies={oid}"));
        assert!(!extension.is_empty() && policies.facts.ekus.is_empty());
    }
}

#[test]
fn a_renewal_asks_for_the_same_purposes_in_the_same_bytes() {
    let purposes = ["1.3.6.1.5.5.7.3.1".to_owned(), UUID.to_owned(), "2.999.1".to_owned()];
    let folder = Folder::self_signed(P256, "-subj /CN=a", &format!("extendedKeyUsage={}", purposes.join(",")));
    let value = extended_key_usage(&purposes).unwrap().unwrap().extn_value.into_bytes();
    let der = folder.der("leaf");
    assert!(der.windows(value.len()).any(|window| *window == *value));
    assert!(extended_key_usage(&["1.40.1".to_owned()]).is_err());
}

#[test]
fn serial_numbers_are_of_any_size_and_sign() {
    for serial in ["0", "-5", "0x80", "0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF"] {
        imported(&format!("-subj /CN=a -set_serial {serial}"), "");
    }
}

#[test]
fn the_first_version_has_no_extensions() {
    let folder = Folder::self_signed(P256, "-subj /CN=a", "");
    folder.openssl("req -new -key leaf.key -config request.cnf -subj /CN=old -out leaf.csr");
    folder.openssl("x509 -req -in leaf.csr -signkey leaf.key -days 9 -out leaf.pem");
    assert!(folder.openssl("x509 -in leaf.pem -noout -text").contains("Version: 1 (0x0)"));
    assert_eq!(import(&folder.both(), "").unwrap().facts.subject, "CN=old");
}

#[test]
fn times_beyond_2049_are_read() {
    let facts = imported("-subj /CN=a -days 100000", "").facts;
    assert!(facts.expires > Timestamp::from_seconds(10_000_000_000));
}

#[test]
fn a_subject_may_be_empty_or_in_old_strings() {
    assert_eq!(imported("-subj /", "subjectAltName=critical,DNS:a.example").facts.subject, "");
    for (mask, expected) in [("nombstr", "CN=Z\u{fc}rich"), ("default", "CN=Z\u{fc}rich"), ("pkix", "CN=Z\u{fc}rich")] {
        let folder = Folder::self_signed(P256, "-subj /CN=a", "");
        let config =
            format!("[req]\ndistinguished_name=dn\nstring_mask={mask}\nprompt=no\nutf8=yes\n[dn]\nCN=Z\u{fc}rich\n");
        folder.write("request.cnf", config.as_bytes());
        folder.openssl("req -x509 -new -key leaf.key -config request.cnf -days 9 -out leaf.pem");
        assert_eq!(import(&folder.both(), "").unwrap().facts.subject, expected, "{mask}");
    }
}

#[test]
fn what_is_written_out_though_it_is_the_default_is_read() {
    assert!(!imported("-subj /CN=a", "basicConstraints=DER:30:03:01:01:00").facts.ca);
    assert!(!imported("-subj /CN=a", "basicConstraints=DER:30:06:01:01:00:02:01:00").facts.ca);
    assert!(imported("-subj /CN=a", "basicConstraints=DER:30:03:01:01:01").facts.ca);
    let usage = imported("-subj /CN=a", "keyUsage=DER:03:03:00:A0:00").facts.key_usage;
    assert_eq!(usage, [KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment]);
}

#[test]
fn alternative_names_of_every_kind_are_read_or_kept() {
    // dNSName with a byte of Latin-1, ediPartyName, x400Address, an address of three bytes.
    let names = "30:1a:82:07:61:2e:66:fc:72:2e:78:a5:06:a1:04:0c:02:61:62:a3:02:30:00:87:03:0a:00:00";
    let sans = imported("-subj /CN=a", &format!("subjectAltName=DER:{names}")).facts.sans.unwrap();
    assert_eq!((sans.dns_names, sans.ip_addresses.len()), (vec!["a.f\u{fc}r.x".to_owned()], 0));
    let text = "subjectAltName=dirName:dir,email:a@b.example,URI:urn:x,IP:2001:db8::1,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:u@b\n[dir]\nCN=x";
    let sans = imported("-subj /CN=a", text).facts.sans.unwrap();
    assert_eq!((sans.emails, sans.uris), (vec!["a@b.example".to_owned()], vec!["urn:x".to_owned()]));
    assert_eq!((sans.upns, sans.ip_addresses), (vec!["u@b".to_owned()], vec!["2001:db8::1".to_owned()]));
}

#[test]
fn what_cannot_be_read_is_named() {
    for (extension, name) in [
        ("keyUsage=DER:05:00", "keyUsage"),
        ("extendedKeyUsage=DER:05:00", "extKeyUsage"),
        ("subjectAltName=DER:05:00", "subjectAltName"),
        ("basicConstraints=DER:05:00", "basicConstraints"),
    ] {
        let folder = Folder::self_signed(P256, "-subj /CN=a", extension);
        let error = import(&folder.both(), "").unwrap_err();
        assert!(error.message.contains(&format!("Its extension {name} cannot be read.")), "{error}");
    }
}
