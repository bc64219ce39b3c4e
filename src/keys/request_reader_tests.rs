//! Requests of other writers, and what is done to them on the way.

use super::*;
use crate::domain::policy::{KeyType, KeyUsage};
use crate::domain::{PolicyInput, Timestamp};
use crate::keys::{KeyPair, certificate, request};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyUsagePurpose, SanType};

fn by_rcgen() -> Vec<u8> {
    let mut params = CertificateParams::new(vec!["web.example".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::IpAddress([192, 0, 2, 1].into()));
    params.distinguished_name.push(DnType::CommonName, "web.example");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.serialize_request(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

#[test]
fn a_request_of_another_writer_is_read() {
    let facts = read(&by_rcgen()).unwrap();
    assert_eq!(facts.key_type, KeyType::P256);
    assert!(facts.subject.contains("CN=web.example"), "{}", facts.subject);
    let sans = facts.sans.unwrap();
    assert_eq!((sans.dns_names, sans.ip_addresses), (vec!["web.example".to_owned()], vec!["192.0.2.1".to_owned()]));
    assert_eq!(facts.ekus.unwrap(), ["1.3.6.1.5.5.7.3.1"]);
    assert_eq!(facts.key_usage.unwrap(), [KeyUsage::DigitalSignature]);
    assert!(facts.others.is_empty());
}

#[test]
fn our_own_request_of_every_key_type_is_read_back() {
    for (kty, size, curve, key_type) in [
        ("RSA", Some(2048), None, KeyType::Rsa2048),
        ("EC", None, Some("P-384"), KeyType::P384),
        ("EC", None, Some("P-521"), KeyType::P521),
        ("EC", None, Some("P-256K"), KeyType::P256K),
    ] {
        let input = PolicyInput {
            kty: Some(kty.into()),
            key_size: size,
            curve: curve.map(Into::into),
            subject: Some("CN=web.example, O=Example".into()),
            ..PolicyInput::default()
        };
        let policy = input.complete(Timestamp(0)).unwrap();
        let key = KeyPair::generate(key_type).unwrap();
        let facts = read(&request::certificate_request(&key, &policy).unwrap()).unwrap();
        assert_eq!((facts.key_type, &facts.public_key), (key_type, &key.public_key_der()));
        let again = PolicyInput::default().requested(&facts, Timestamp(0)).unwrap();
        assert_eq!(again.x509, policy.x509, "{key_type:?}");
    }
}

#[test]
fn no_byte_can_be_changed() {
    let der = by_rcgen();
    for at in 0..der.len() {
        let mut changed = der.clone();
        changed[at] ^= 1;
        assert!(read(&changed).is_err(), "byte {at} does not matter");
        assert!(read(&der[..at]).is_err(), "cut after {at}");
    }
}

#[test]
fn a_key_is_the_same_bytes_however_its_request_writes_it() {
    let key = KeyPair::generate(KeyType::Rsa2048).unwrap();
    let policy = PolicyInput { subject: Some("CN=a".into()), ..PolicyInput::default() }.complete(Timestamp(0)).unwrap();
    let whole = request::certificate_request(&key, &policy).unwrap();
    let bits = PublicKeyInfo::of_request(&whole).unwrap().bits.to_vec();
    use crate::keys::asn1::tlv;
    let oid = tlv(OID, &[const_oid::db::rfc5912::RSA_ENCRYPTION.as_bytes()]);
    let sha_256 =
        tlv(SEQUENCE, &[&tlv(OID, &[const_oid::db::rfc5912::SHA_256_WITH_RSA_ENCRYPTION.as_bytes()]), &[5, 0]]);
    let without_null = tlv(SEQUENCE, &[&oid]);
    let not_in_der = [&[SEQUENCE, 0x80][..], &oid, &[5, 0, 0, 0]].concat();
    for algorithm in [without_null, not_in_der] {
        let loose = tlv(SEQUENCE, &[&algorithm, &tlv(BIT_STRING, &[&[0], &bits])]);
        let info = tlv(SEQUENCE, &[&[INTEGER, 1, 0], &[SEQUENCE, 0], &loose]);
        let signature = tlv(BIT_STRING, &[&[0], &key.sign(&info).unwrap()]);
        let csr = tlv(SEQUENCE, &[&info, &sha_256, &signature]);
        let facts = read(&csr).unwrap();
        assert_eq!(facts.key_type, KeyType::Rsa2048, "attributes may be missing too");
        assert_eq!(facts.public_key, key.public_key_der(), "by which a compromised key is found");
        assert_eq!(certificate::requested_key(&csr).unwrap(), key.public_key_der());
    }
}

#[test]
fn what_is_too_long_is_not_read() {
    let long = crate::keys::asn1::tlv(SEQUENCE, &[&vec![0; MAX_REQUEST]]);
    assert!(der(&long).is_err());
    assert_eq!(der(&by_rcgen()).map(|_| ()), Ok(()));
}
