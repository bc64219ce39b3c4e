//! Requests and keys as others see them: read by another library and by OpenSSL, and compared with
//! a request that Key Vault made.

use certmint::domain::policy::KeyType;
use certmint::domain::san::SubjectAlternativeNames;
use certmint::domain::{Policy, PolicyInput, Timestamp, VaultName};
use certmint::keys::request::certificate_request;
use certmint::keys::{Caller, KeyOptions, KeyPair, Keys, MasterKeys, SealContext, SealedKey, Sealer};
use certmint::limits::Limits;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;

const ALL: [KeyType; 7] =
    [KeyType::Rsa2048, KeyType::Rsa3072, KeyType::Rsa4096, KeyType::P256, KeyType::P384, KeyType::P521, KeyType::P256K];

fn input(key_type: KeyType, subject: &str) -> PolicyInput {
    PolicyInput {
        kty: Some(key_type.kty().into()),
        curve: key_type.curve().map(Into::into),
        key_size: Some(key_type.bits().into()),
        subject: Some(subject.into()),
        ..Default::default()
    }
}

fn complete(input: PolicyInput) -> Policy {
    input.complete(Timestamp(0)).unwrap()
}

fn request(policy: &Policy) -> Vec<u8> {
    certificate_request(&KeyPair::generate(policy.key.key_type).unwrap(), policy).unwrap()
}

/// What OpenSSL says of it, once it has verified the signature.
fn openssl(der: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(["req", "-inform", "DER", "-verify", "-noout", "-text", "-nameopt", "utf8,esc_2253,sep_comma_plus_space"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    child.stdin.take().unwrap().write_all(der).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("verify OK"), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

fn says(text: &str, expected: &str) {
    assert!(text.contains(expected), "no {expected:?} in:\n{text}");
}

#[test]
fn requests_of_every_key_type_verify() {
    for (key_type, algorithm, key) in [
        (KeyType::Rsa2048, "sha256WithRSAEncryption", "Public-Key: (2048 bit)"),
        (KeyType::Rsa3072, "sha256WithRSAEncryption", "Public-Key: (3072 bit)"),
        (KeyType::Rsa4096, "sha256WithRSAEncryption", "Public-Key: (4096 bit)"),
        (KeyType::P256, "ecdsa-with-SHA256", "NIST CURVE: P-256"),
        (KeyType::P384, "ecdsa-with-SHA384", "NIST CURVE: P-384"),
        (KeyType::P521, "ecdsa-with-SHA512", "NIST CURVE: P-521"),
        (KeyType::P256K, "ecdsa-with-SHA256", "ASN1 OID: secp256k1"),
    ] {
        let der = request(&complete(input(key_type, "CN=www.example.com")));
        let text = openssl(&der);
        says(&text, &format!("Signature Algorithm: {algorithm}"));
        says(&text, key);
        let (rest, parsed) = X509CertificationRequest::from_der(&der).unwrap();
        assert!(rest.is_empty());
        // The other library does not know the signatures of these.
        if !matches!(key_type, KeyType::P521 | KeyType::P256K) {
            parsed.verify_signature().unwrap();
        }
        assert_eq!(parsed.certification_request_info.subject.to_string(), "CN=www.example.com");
    }
}

/// The bytes of a request without those that differ from key to key.
fn layout(der: &[u8]) -> Vec<u8> {
    let (_, parsed) = X509CertificationRequest::from_der(der).unwrap();
    let mut bytes = der.to_vec();
    let modulus = &parsed.certification_request_info.subject_pki.subject_public_key.data;
    for varying in [&modulus[9..265], &parsed.signature_value.data] {
        let at = der.windows(varying.len()).position(|window| window == varying).unwrap();
        bytes[at..at + varying.len()].fill(0);
    }
    bytes
}

#[test]
fn a_request_is_byte_for_byte_that_of_key_vault_but_for_key_and_signature() {
    let recorded = include_bytes!("../data/recorded-request.der");
    let ours = request(&complete(PolicyInput { subject: Some("CN=*.microsoft.com".into()), ..Default::default() }));
    assert_ne!(ours, recorded);
    assert_eq!(layout(&ours), layout(recorded));
}

fn every_kind() -> SubjectAlternativeNames {
    SubjectAlternativeNames {
        emails: vec!["a@b.example".into()],
        dns_names: vec!["a.example".into(), "*.a.example".into()],
        upns: vec!["jörg@b.example".into()],
        uris: vec!["https://a.example".into(), "spiffe://trust.example/a".into()],
        ip_addresses: vec!["10.0.0.1".into(), "2001:db8::1".into()],
        ..SubjectAlternativeNames::default()
    }
}

#[test]
fn alternative_names_of_every_kind_are_read_by_others() {
    let der = request(&complete(PolicyInput { sans: Some(every_kind()), ..input(KeyType::P256, "CN=a") }));
    let text = openssl(&der);
    says(&text, "X509v3 Subject Alternative Name: \n");
    says(
        &text,
        "email:a@b.example, othername: UPN::jörg@b.example, DNS:a.example, DNS:*.a.example, \
         URI:https://a.example/, URI:spiffe://trust.example/a, IP Address:10.0.0.1, IP Address:2001:DB8:0:0:0:0:0:1",
    );
    let (_, parsed) = X509CertificationRequest::from_der(&der).unwrap();
    let names = parsed
        .requested_extensions()
        .unwrap()
        .find_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .unwrap();
    assert_eq!(names.len(), 8);
    assert_eq!(names[0], GeneralName::RFC822Name("a@b.example"));
    assert_eq!(names[6], GeneralName::IPAddress(&[10, 0, 0, 1]));
}

#[test]
fn without_a_subject_the_alternative_names_are_critical() {
    let text = openssl(&request(&complete(PolicyInput { sans: Some(every_kind()), ..input(KeyType::P256, "") })));
    says(&text, "Subject: \n");
    says(&text, "X509v3 Subject Alternative Name: critical");
}

#[test]
fn the_subject_is_written_from_the_last_part_to_the_first() {
    for (subject, read) in [
        ("C=US, ST=WA, O=Contoso, CN=www.contoso.com", "CN=www.contoso.com, O=Contoso, ST=WA, C=US"),
        ("CN=a + serialNumber=7, O=b", "O=b, CN=a + serialNumber=7"),
        (r#"O="Contoso, Ltd.";CN=a\2Bb"#, r"CN=a\+b, O=Contoso\, Ltd."),
        ("CN=Bücher Zürich, DC=example, DC=net", "DC=net, DC=example, CN=Bücher Zürich"),
        ("E=a@b.example, 2.5.4.3=#0c0161", "CN=a, emailAddress=a@b.example"),
    ] {
        let text = openssl(&request(&complete(input(KeyType::P256, subject))));
        says(&text, &format!("Subject: {read}\n"));
    }
}

#[test]
fn a_policy_may_ask_for_every_use_and_for_a_ca() {
    let text = openssl(&request(&complete(PolicyInput {
        key_usage: Some(certmint::domain::policy::KeyUsage::ALL.iter().map(|usage| usage.name().into()).collect()),
        ekus: Some(vec!["1.3.6.1.5.5.7.3.3".into(), "1.3.6.1.4.1.32473.1".into()]),
        ca: Some(true),
        ..input(KeyType::P384, "CN=a")
    })));
    says(
        &text,
        // An EC key enciphers nothing: the request leaves those two out.
        "Digital Signature, Non Repudiation, Key Agreement, Certificate Sign, CRL Sign\n",
    );
    says(&text, "Code Signing, 1.3.6.1.4.1.32473.1");
    says(&text, "CA:TRUE");
}

fn keys(ready: u16) -> (Keys, Arc<Sealer>) {
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let options = KeyOptions { workers: 2, ready_rsa_2048: ready, ..KeyOptions::on_demand() };
    let limits = Limits { key_queue: 8, ..Limits::default() };
    (Keys::new(Arc::clone(&sealer), &options, &limits).unwrap(), sealer)
}

fn caller() -> Caller {
    Caller::new("test", None)
}

fn place(id: &str) -> SealContext {
    SealContext::new(&VaultName::default_vault(), "web", id, "key")
}

fn public_key_of(csr: &[u8]) -> Vec<u8> {
    X509CertificationRequest::from_der(csr).unwrap().1.certification_request_info.subject_pki.raw.to_vec()
}

#[tokio::test]
async fn the_sealed_key_is_the_key_of_the_request() {
    let (keys, sealer) = keys(0);
    for key_type in ALL {
        let made = keys.create(&caller(), &complete(input(key_type, "CN=a")), place("1"), None).await.unwrap();
        let key = KeyPair::from_pkcs8(&sealer.open(&made.sealed_key.0, &place("1")).unwrap()).unwrap();
        assert_eq!(key.key_type(), key_type);
        assert_eq!(key.public_key_der(), public_key_of(&made.csr));
        assert!(sealer.open(&made.sealed_key.0, &place("2")).is_err());
        let public_key = public_key_of(&made.csr);
        let sealed = SealedKey { sealed: made.sealed_key, context: place("1"), public_key };
        let opened = keys.with_pkcs8(&caller(), sealed.clone(), |der| Ok(der.to_vec())).await.unwrap();
        assert_eq!(opened, *key.to_pkcs8());
        let other = SealedKey { public_key: KeyPair::generate(key_type).unwrap().public_key_der(), ..sealed };
        let error = keys.with_pkcs8(&caller(), other, |der| Ok(der.to_vec())).await.unwrap_err();
        assert!(error.message.contains("does not belong to the certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_kept_key_is_opened_once_and_only_for_its_place_and_its_certificate() {
    let sealer = Arc::new(Sealer::new(MasterKeys::random()));
    let options = KeyOptions { opened: 2, opened_for: Duration::from_secs(600), ..KeyOptions::on_demand() };
    let keys = Keys::new(Arc::clone(&sealer), &options, &Limits::default()).unwrap();
    for key_type in [KeyType::P256, KeyType::Rsa2048] {
        let key = KeyPair::generate(key_type).unwrap();
        let sealed = sealer.seal(&key.to_pkcs8(), &place("1")).unwrap().into();
        let sealed = SealedKey { sealed, context: place("1"), public_key: key.public_key_der() };
        // Where the key lies in memory: as long as it is kept, no other one lies there.
        let by = caller();
        let used = |sealed: &SealedKey| {
            keys.with_kept_key(&by, key_type, sealed.clone(), |key| {
                Ok((std::ptr::from_ref(key).addr(), key.public_key_der()))
            })
        };
        let first = used(&sealed).await.unwrap();
        assert_eq!(first.1, key.public_key_der());
        assert_eq!(used(&sealed).await.unwrap(), first);
        assert!(used(&SealedKey { context: place("2"), ..sealed.clone() }).await.is_err(), "{key_type:?}");
        let other = KeyPair::generate(key_type).unwrap().public_key_der();
        assert!(used(&SealedKey { public_key: other, ..sealed.clone() }).await.is_err(), "{key_type:?}");
    }
}

#[tokio::test]
async fn a_reused_key_is_the_same_and_sealed_for_its_new_place() {
    let (keys, sealer) = keys(0);
    for key_type in [KeyType::Rsa2048, KeyType::P256] {
        let policy = complete(input(key_type, "CN=a"));
        let old = keys.create(&caller(), &policy, place("1"), None).await.unwrap();
        let public_key = public_key_of(&old.csr);
        let reuse = SealedKey { sealed: old.sealed_key.clone(), context: place("1"), public_key };
        let new = keys.create(&caller(), &policy, place("2"), Some(reuse.clone())).await.unwrap();
        assert_eq!(public_key_of(&new.csr), public_key_of(&old.csr));
        sealer.open(&new.sealed_key.0, &place("2")).unwrap();

        let p384 = complete(input(KeyType::P384, "CN=a"));
        let other = keys.create(&caller(), &p384, place("3"), Some(reuse.clone())).await.unwrap();
        assert_ne!(public_key_of(&other.csr), public_key_of(&old.csr), "a key of another type is not reused");
        let moved = SealedKey { context: place("9"), ..reuse };
        assert!(keys.create(&caller(), &policy, place("4"), Some(moved)).await.is_err());
    }
}

#[tokio::test]
async fn a_burst_of_rsa_requests_is_served_from_the_keys_that_are_ready() {
    let (keys, _) = keys(4);
    let until = Instant::now() + Duration::from_secs(120);
    while keys.load().ready_rsa_2048 < 4 {
        assert!(Instant::now() < until, "the keys were never made: {keys:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let policy = complete(input(KeyType::Rsa2048, "CN=a"));
    let by = caller();
    let made =
        futures_util::future::try_join_all((0..4).map(|_| keys.create(&by, &policy, place("1"), None))).await.unwrap();
    let different: std::collections::HashSet<_> = made.iter().map(|made| public_key_of(&made.csr)).collect();
    assert_eq!(different.len(), 4);
}

#[tokio::test]
async fn requests_beyond_the_queue_are_told_to_retry() {
    let (keys, _) = keys(0);
    let policy = complete(input(KeyType::Rsa2048, "CN=a"));
    let by = caller();
    let answers = futures_util::future::join_all((0..24).map(|_| keys.create(&by, &policy, place("1"), None))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
    assert!(made.len() >= 8, "what waited is served");
    assert!(refused.len() >= 24 - 8 - 2 - 4, "no more than queue and workers are taken: {} refused", refused.len());
    for error in refused.into_iter().map(Result::unwrap_err) {
        assert_eq!(error.reason, certmint::domain::Reason::Throttled);
        assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
    }
}
