//! The built-in CA: its own certificates, and leaves that other programs verify.

use crate::openssl::OpenSsl;
use crate::orders::{Harness, KEY_TYPES, NOW, issuer, named};
use certmint::domain::issuer::Organization;
use certmint::domain::policy::{KeyType, KeyUsage};
use certmint::domain::san::SubjectAlternativeNames;
use certmint::domain::{IssuerName, PolicyInput, VaultName};
use certmint::issuer::{FailureClass, Step};
use certmint::keys::authority::{Plan, common_name, create_authority};
use certmint::keys::chain::thumbprint;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::{FromDer, X509Certificate};

fn input() -> PolicyInput {
    let sans = SubjectAlternativeNames { dns_names: vec!["www.a.example".into()], ..Default::default() };
    PolicyInput { sans: Some(sans), ..named("CN=www.a.example") }
}

fn key_ids(certificate: &X509Certificate<'_>) -> (Vec<u8>, Vec<u8>) {
    let (mut authority, mut subject) = (Vec::new(), Vec::new());
    for extension in certificate.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => authority = id.key_identifier.as_ref().unwrap().0.to_vec(),
            ParsedExtension::SubjectKeyIdentifier(id) => subject = id.0.to_vec(),
            _ => {}
        }
    }
    (authority, subject)
}

#[tokio::test]
async fn openssl_verifies_leaves_of_every_kind_of_key_strictly() {
    let (harness, openssl) = (Harness::new(), OpenSsl::new());
    for (with_intermediate, ca_key) in
        [(false, KeyType::P256), (true, KeyType::P384), (true, KeyType::Rsa3072), (false, KeyType::Rsa4096)]
    {
        let config = harness.local_ca(with_intermediate, ca_key, Some("Example CA"));
        for key_type in KEY_TYPES {
            let chain = harness.issue(&harness.order(key_type, input(), Some(config.clone()))).await;
            assert_eq!(chain.len(), if with_intermediate { 3 } else { 2 });
            for (index, der) in chain.iter().enumerate() {
                openssl.write("one.der", der);
                openssl.run(&format!("x509 -inform DER -in one.der -out {index}.pem"));
            }
            let untrusted = if with_intermediate { "-untrusted 1.pem" } else { "" };
            let root = chain.len() - 1;
            for purpose in ["sslserver", "sslclient"] {
                openssl.run(&format!(
                    "verify -x509_strict -check_ss_sig -purpose {purpose} -verify_hostname www.a.example -attime {} -CAfile {root}.pem {untrusted} 0.pem",
                    NOW.seconds()
                ));
            }
            let (ok, text) = openssl.ask(&format!(
                "verify -verify_hostname other.example -attime {} -CAfile {root}.pem {untrusted} 0.pem",
                NOW.seconds()
            ));
            assert!(!ok && text.contains("hostname mismatch"), "{text}");
        }
    }
}

#[tokio::test]
async fn the_certificates_are_linked_by_key_identifiers_and_bounded_by_path_lengths() {
    let harness = Harness::new();
    let config = harness.local_ca(true, KeyType::P256, Some("Example CA"));
    let chain = harness.issue(&harness.order(KeyType::P256, input(), Some(config))).await;
    let [leaf, middle, root] = [0, 1, 2].map(|index: usize| X509Certificate::from_der(&chain[index]).unwrap().1);
    assert_eq!(root.subject().to_string(), "CN=Example CA");
    assert_eq!(middle.subject().to_string(), "CN=Example CA Issuing");
    let ids = [&leaf, &middle, &root].map(key_ids);
    assert_eq!(ids[0].0, ids[1].1);
    assert_eq!(ids[1].0, ids[2].1);
    assert_eq!(ids[2].0, ids[2].1);
    for (certificate, (_, subject)) in [&leaf, &middle, &root].into_iter().zip(&ids) {
        // Which is SHA-1 of the bits of the key (RFC 5280 section 4.2.1.2); `thumbprint` is any SHA-1.
        assert_eq!(subject[..], thumbprint(&certificate.public_key().subject_public_key.data));
    }
    for (certificate, length) in [(&middle, 0), (&root, 2)] {
        let constraints = certificate.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(length));
        let usage = certificate.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert_eq!(usage.value.flags.count_ones(), 2);
        assert_eq!(certificate.raw_serial().len(), 16);
        assert_eq!(certificate.validity().not_before.timestamp(), NOW.seconds() - 600);
        assert_eq!(certificate.validity().not_after.timestamp(), NOW.plus_months(240).seconds());
    }
    assert!(!leaf.is_ca());
}

#[tokio::test]
async fn a_leaf_never_outlives_the_authority() {
    let harness = Harness::new();
    let config = harness.local_ca(false, KeyType::P256, None);
    let input = PolicyInput { validity_months: Some(1200), ..input() };
    let chain = harness.issue(&harness.order(KeyType::P256, input, Some(config))).await;
    let leaf = X509Certificate::from_der(&chain[0]).unwrap().1;
    assert_eq!(leaf.validity().not_after.timestamp(), NOW.plus_months(240).seconds());
}

#[tokio::test]
async fn a_leaf_has_the_uses_of_the_policy_that_its_key_can_do() {
    let harness = Harness::new();
    let config = harness.local_ca(false, KeyType::P256, None);
    let uses = KeyUsage::ALL.iter().filter(|usage| !matches!(usage, KeyUsage::KeyCertSign | KeyUsage::CrlSign));
    let uses: Vec<String> = uses.map(|usage| usage.name().to_owned()).collect();
    // Encipher only and decipher only exclude each other: neither is signed.
    for (key_type, count) in [(KeyType::P256, 3), (KeyType::Rsa2048, 4)] {
        let ekus = vec!["1.3.6.1.5.5.7.3.4".to_owned()];
        let input = PolicyInput { key_usage: Some(uses.clone()), ekus: Some(ekus), ..input() };
        let chain = harness.issue(&harness.order(key_type, input, Some(config.clone()))).await;
        let leaf = X509Certificate::from_der(&chain[0]).unwrap().1;
        let usage = leaf.key_usage().unwrap().unwrap().value;
        assert_eq!((usage.flags.count_ones(), usage.key_agreement()), (count, key_type == KeyType::P256));
        let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
        assert!(purposes.email_protection && !purposes.server_auth);
    }
}

#[tokio::test]
async fn what_would_give_a_leaf_powers_of_the_ca_is_rejected_with_every_reason() {
    let harness = Harness::new();
    let texts = |list: &[&str]| Some(list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    let rows = [
        (PolicyInput { ca: Some(true), ..input() }, "basic_constraints.ca to false"),
        (
            PolicyInput { key_usage: texts(&["digitalSignature", "keyCertSign"]), ..input() },
            "Only a CA may have keyCertSign:",
        ),
        (PolicyInput { key_usage: texts(&["digitalSignature", "cRLSign"]), ..input() }, "Only a CA may have cRLSign:"),
        (
            PolicyInput { key_usage: texts(&["keyCertSign", "cRLSign"]), ..input() },
            "Only a CA may have keyCertSign and cRLSign:",
        ),
        (PolicyInput { ekus: texts(&["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.9"]), ..input() }, "OCSPSigning"),
        (PolicyInput { ekus: texts(&["2.5.29.37.0"]), ..input() }, "anyExtendedKeyUsage"),
        (PolicyInput { ekus: texts(&["1.3.6.1.5.5.7.3.27"]), ..input() }, "cmcCA"),
        (PolicyInput { ekus: texts(&["1.3.6.1.5.5.7.3.28"]), ..input() }, "cmcRA"),
        (PolicyInput { ekus: texts(&["1.3.6.1.4.1.311.20.2.1"]), ..input() }, "request agent"),
        (
            PolicyInput { ekus: texts(&["1.3.6.1.5.5.7.3.8", "1.3.6.1.5.5.7.3.3"]), ..input() },
            "timeStamping must be the only extended key usage",
        ),
        (named("CN=Example CA"), "CA's own name"),
        (named("CN=EXAMPLE  ca"), "CA's own name"),
        (named("CN=#0c0a4578616d706c65204341"), "CA's own name"),
        (named("CN=Example CA Issuing"), "CA's own name"),
        (
            PolicyInput {
                ekus: texts(&["1.3.6.1.5.5.7.3.9"]),
                key_usage: texts(&["digitalSignature", "keyCertSign"]),
                ..named("CN=example ca")
            },
            "CA's own name",
        ),
    ];
    let config = harness.local_ca(true, KeyType::P256, Some("Example CA"));
    for (input, reason) in rows {
        let order = harness.order(KeyType::P256, input, Some(config.clone()));
        let step = harness.advance(&order).await.unwrap();
        let Step::Failed { class: FailureClass::RequestRejected, message } = step else { panic!("{reason}: {step:?}") };
        assert!(message.starts_with("The built-in CA refuses the request.") && message.contains(reason), "{message}");
    }
}

#[tokio::test]
async fn an_older_policy_is_checked_again_before_it_is_signed() {
    let harness = Harness::new();
    for config in [None, Some(harness.local_ca(false, KeyType::P256, None)), Some(issuer("Test", None))] {
        let mut order = harness.order(KeyType::P256, input(), config);
        order.policy.x509.sans.as_mut().unwrap().dns_names.push("10.0.0.1".into());
        let step = harness.advance(&order).await.unwrap();
        let Step::Failed { class: FailureClass::RequestRejected, message } = step else { panic!("{step:?}") };
        assert!(message.contains("dns_names[1]"), "{message}");
    }
}

#[tokio::test]
async fn nothing_signs_itself_without_a_name() {
    let harness = Harness::new();
    for config in [None, Some(issuer("Test", None))] {
        let order = harness.order(KeyType::P256, PolicyInput { subject: None, ..input() }, config);
        let step = harness.advance(&order).await.unwrap();
        let Step::Failed { class: FailureClass::RequestRejected, message } = step else { panic!("{step:?}") };
        assert!(message.contains("its own issuer"), "{message}");
    }
}

#[tokio::test]
async fn the_purpose_of_time_stamps_alone_is_critical() {
    let harness = Harness::new();
    for config in [None, Some(harness.local_ca(false, KeyType::P256, None))] {
        let input = PolicyInput { ekus: Some(vec!["1.3.6.1.5.5.7.3.8".to_owned()]), ..input() };
        let chain = harness.issue(&harness.order(KeyType::P256, input, config)).await;
        let leaf = X509Certificate::from_der(&chain[0]).unwrap().1;
        let purposes = leaf.extended_key_usage().unwrap().unwrap();
        assert!(purposes.critical && purposes.value.time_stamping);
    }
}

#[tokio::test]
async fn openssl_verifies_strictly_what_asks_for_every_usage_of_terraforms_example() {
    let (harness, openssl) = (Harness::new(), OpenSsl::new());
    let all = ["cRLSign", "dataEncipherment", "digitalSignature", "keyAgreement", "keyCertSign", "keyEncipherment"];
    let input = PolicyInput { key_usage: Some(all.map(str::to_owned).into()), ..input() };
    let chain = harness.issue(&harness.order(KeyType::Rsa2048, input, None)).await;
    openssl.write("own.der", &chain[0]);
    openssl.run("x509 -inform DER -in own.der -out own.pem");
    let text = openssl.run("x509 -in own.pem -noout -text");
    assert!(text.contains("Digital Signature, Key Encipherment, Data Encipherment, CRL Sign"), "{text}");
    assert!(!text.contains("Certificate Sign") && !text.contains("Key Agreement"), "{text}");
    openssl.run(&format!("verify -x509_strict -attime {} -CAfile own.pem own.pem", NOW.seconds()));
}

#[test]
fn the_root_is_named_after_the_organization_or_the_issuer() {
    let harness = Harness::new();
    let create = |issuer: &str, id: Option<&str>| {
        let organization =
            Organization { id: id.map(Into::into), administrators: Vec::new(), without_administrators: false };
        let (vault, issuer) = (VaultName::default_vault(), IssuerName::parse(issuer).unwrap());
        let plan = Plan::new(&common_name(&vault, &issuer, Some(&organization))?);
        create_authority(&harness.sealer, &vault, &issuer, &plan, NOW)
    };
    let name = |issuer: &str, id: Option<&str>| {
        let authority = create(issuer, id).unwrap();
        X509Certificate::from_der(&authority.chain[0].0).unwrap().1.subject().to_string()
    };
    assert_eq!(name("corp", None), "CN=corp CA (default)");
    assert_eq!(name("corp", Some("  ")), "CN=corp CA (default)");
    assert_eq!(name("corp", Some("Zürich Root")), "CN=Zürich Root");
    assert_eq!(name(&"i".repeat(127), None), format!("CN={}", "i".repeat(64)));
    let error = create("corp", Some(&"x".repeat(65))).unwrap_err();
    assert!(error.message.contains("org_details.id"), "{error}");
}
