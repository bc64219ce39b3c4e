//! One row per rule: a change to a valid policy, the member that the error names, and its text.

use super::*;
use crate::domain::policy::KeyType;
use crate::domain::policy_input::LifetimeActionInput;

type Change = fn(&mut PolicyInput);

fn good() -> PolicyInput {
    PolicyInput { subject: Some("CN=a.example".into()), issuer_name: Some("Self".into()), ..PolicyInput::default() }
}

fn texts(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|text| (*text).to_owned()).collect())
}

fn dns(names: &[&str]) -> Option<SubjectAlternativeNames> {
    Some(SubjectAlternativeNames { dns_names: texts(names).unwrap(), ..Default::default() })
}

fn judged(change: Change) -> Result<Policy> {
    let mut input = good();
    change(&mut input);
    input.complete(Timestamp(0))
}

#[test]
fn every_rule_refuses_by_the_member_and_with_the_cure() {
    let rows: &[(Change, &str, &str)] = &[
        // Names.
        (|p| p.subject = Some(String::new()), "x509_props.subject", "Either a subject or"),
        (|p| p.subject = Some("  ".into()), "x509_props.subject", "Either a subject or"),
        (|p| (p.subject, p.sans) = (None, dns(&["a.example"])), "x509_props.subject", "such as CN=example.com"),
        (
            |p| (p.subject, p.sans) = (Some(" ".into()), dns(&["a.example"])),
            "x509_props.subject",
            "such as CN=example.com",
        ),
        (|p| p.subject = Some("a.example".into()), "x509_props.subject", "Missing = after"),
        (|p| p.subject = Some("CN=".into()), "x509_props.subject", "CN has no value"),
        (|p| p.subject = Some("CN=a,,O=b".into()), "x509_props.subject", "is missing"),
        (|p| p.subject = Some("CN=a, C=USA".into()), "x509_props.subject", "two letters"),
        (|p| p.subject = Some("CN=a, C=1A".into()), "x509_props.subject", "two letters"),
        (|p| p.subject = Some(format!("CN={}", "a".repeat(65))), "x509_props.subject", "longer than 64"),
        (|p| p.subject = Some(format!("CN=a,O={}", "a".repeat(65))), "x509_props.subject", "longer than 64"),
        (|p| p.subject = Some(format!("CN=a,1.2.3={}", "a".repeat(200))), "x509_props.subject", "Longer than 200"),
        (|p| p.subject = Some("CN=a+CN=b".into()), "x509_props.subject", "same attribute twice"),
        (|p| p.subject = Some("CN=a\n".into()), "x509_props.subject", "U+000A"),
        (|p| p.subject = Some("CN=a\\0Ab".into()), "x509_props.subject", "U+000A"),
        (|p| p.subject = Some("CN=a\u{1b}[2J".into()), "x509_props.subject", "U+001B"),
        (|p| p.subject = Some("CN=\\E2\\80\\AEa".into()), "x509_props.subject", "U+202E"),
        (|p| p.subject = Some("CN=#0c03610a62".into()), "x509_props.subject", "U+000A"),
        (|p| p.subject = Some("1.2.3=#1e04006120 2e".replace(' ', "")), "x509_props.subject", "U+202E"),
        (|p| p.subject = Some("CN=a\u{200b}".into()), "x509_props.subject", "U+200B"),
        (|p| p.subject = Some("CN=a\\00".into()), "x509_props.subject", "zero byte"),
        (|p| p.subject = Some("CN=\\ a".into()), "x509_props.subject", "begins or ends with a space"),
        (|p| p.subject = Some("CN=\"a \"".into()), "x509_props.subject", "begins or ends with a space"),
        (|p| p.subject = Some("CN=a, E=nobody".into()), "x509_props.subject", "name@host"),
        (|p| p.sans = dns(&["10.0.0.1"]), "x509_props.sans.dns_names[0]", "ipAddresses"),
        (|p| p.sans = dns(&["a.example", "https://a.example"]), "x509_props.sans.dns_names[1]", "uris"),
        (|p| p.sans = dns(&["a.example."]), "x509_props.sans.dns_names[0]", "dot"),
        (|p| p.sans = dns(&vec!["a.example"; 251]), "x509_props.sans", "at most 250"),
        (
            |p| p.sans = Some(SubjectAlternativeNames { uris: vec!["http://[::1".into()], ..Default::default() }),
            "x509_props.sans.uris[0]",
            "IPv6",
        ),
        (
            |p| p.sans = Some(SubjectAlternativeNames { emails: vec!["a@*.x".into()], ..Default::default() }),
            "x509_props.sans.emails[0]",
            "host is wrong",
        ),
        (
            |p| p.sans = Some(SubjectAlternativeNames { upns: vec!["u".into()], ..Default::default() }),
            "x509_props.sans.upns[0]",
            "user@suffix",
        ),
        (
            |p| p.sans = Some(SubjectAlternativeNames { ip_addresses: vec!["::1/64".into()], ..Default::default() }),
            "x509_props.sans.ipAddresses[0]",
            "network",
        ),
        // Purposes and usages.
        (|p| p.ekus = texts(&["1.3.6.1.5.5.7.3.1", "serverAuth"]), "x509_props.ekus[1]", "object identifier"),
        (|p| p.ekus = Some(vec!["1.2.3".into(); 101]), "x509_props.ekus", "More than 100"),
        (|p| p.key_usage = texts(&["digitalSignature", "signing"]), "x509_props.key_usage[1]", "not a key usage"),
        (|p| p.key_usage = texts(&["keyCertSign"]), "x509_props.key_usage", "basic_constraints.ca to true"),
        (
            |p| p.key_usage = texts(&["keyAgreement", "keyCertSign"]),
            "x509_props.key_usage",
            "basic_constraints.ca to true",
        ),
        (
            |p| p.key_usage = texts(&["keyAgreement"]),
            "x509_props.key_usage",
            "An RSA key supports none of these usages: use one or more of",
        ),
        (
            |p| (p.kty, p.key_usage) = (Some("EC".into()), texts(&["keyEncipherment", "dataEncipherment"])),
            "x509_props.key_usage",
            "An EC key supports none of these usages: use one or more of",
        ),
        (
            |p| (p.kty, p.key_usage) = (Some("EC".into()), texts(&["digitalSignature", "encipherOnly"])),
            "x509_props.key_usage",
            "keyAgreement",
        ),
        (|p| p.key_usage = texts(&["digitalSignature", "decipherOnly"]), "x509_props.key_usage", "keyAgreement"),
        (
            |p| (p.ca, p.key_usage) = (Some(true), texts(&["digitalSignature"])),
            "x509_props.key_usage",
            "add keyCertSign",
        ),
        // The others.
        (|p| p.validity_months = Some(0), "x509_props.validity_months", "1 to 1200"),
        (|p| p.validity_months = Some(1201), "x509_props.validity_months", "1 to 1200"),
        (|p| p.key_size = Some(0), "key_props.key_size", "2048, 3072 or 4096"),
        (|p| (p.kty, p.curve) = (Some("RSA".into()), Some("P-256".into())), "key_props.crv", "leave crv out"),
        (|p| (p.kty, p.key_size) = (Some("EC".into()), Some(0)), "key_props.key_size", "256, 384 or 521"),
        (|p| p.content_type = Some("text/plain".into()), "secret_props.contentType", "x-pem-file"),
        (|p| p.issuer_name = Some("a b".into()), "issuer.name", "not an issuer name"),
        (|p| p.certificate_type = Some("OV\nSSL".into()), "issuer.cty", "U+000A"),
        (|p| p.certificate_type = Some("x".repeat(257)), "issuer.cty", "256"),
        (
            |p| p.lifetime_actions = Some(vec![LifetimeActionInput::default()]),
            "lifetime_actions[0].trigger",
            "lifetime_percentage",
        ),
    ];
    for (index, (change, path, words)) in rows.iter().enumerate() {
        let error = judged(*change).expect_err(&format!("row {index}, {path}: {words}"));
        let named = error.details.iter().any(|detail| {
            matches!(detail, Detail::Field { path: found, problem } if *found == format!("policy.{path}") && problem.contains(words))
        });
        assert!(named, "row {index}, {path}: {words}: {error:?}");
    }
}

#[test]
fn what_clients_of_key_vault_send_is_accepted() {
    let all = ["cRLSign", "dataEncipherment", "digitalSignature", "keyAgreement", "keyCertSign", "keyEncipherment"];
    let rows: &[Change] = &[
        |_| {},
        |p| p.subject = Some("CN=*.example.com".into()),
        |p| p.subject = Some("CN=a, CN=Users, OU=x, OU=x, DC=corp, DC=example".into()),
        |p| p.subject = Some("E=test@contoso.com, CN=Test, OU=Test, O=Contoso, L=Redmond, S=WA, C=US".into()),
        |p| p.subject = Some("CN=株式会社, O=شركة, C=jp".into()),
        |p| (p.subject, p.sans, p.issuer_name) = (None, dns(&["a.example"]), Some("corp".into())),
        |p| (p.subject, p.sans, p.issuer_name) = (None, dns(&["a.example"]), None),
        |p| p.sans = Some(SubjectAlternativeNames::default()),
        |p| p.sans = dns(&["localhost"]),
        |p| p.ekus = texts(&[]),
        |p| p.key_usage = texts(&[]),
        |p| (p.issuer_name, p.key_usage) = (Some("Unknown".into()), texts(&["cRLSign", "keyCertSign"])),
        |p| p.ca = Some(true),
        |p| (p.ca, p.key_usage) = (Some(true), texts(&[])),
        |p| (p.ca, p.key_usage) = (Some(true), texts(&["keyCertSign"])),
    ];
    for (index, change) in rows.iter().enumerate() {
        if let Err(error) = judged(*change) {
            panic!("row {index}: {error}");
        }
    }
    for kty in ["RSA", "EC"] {
        let input = PolicyInput { kty: Some(kty.into()), key_usage: texts(&all), ..good() };
        assert_eq!(input.complete(Timestamp(0)).unwrap().x509.key_usage.len(), all.len(), "{kty}");
    }
}

#[test]
fn a_certificate_gets_only_supported_usages() {
    let signed = |kty: &str, ca: bool| {
        let usages = KeyUsage::ALL.iter().map(|usage| usage.name().to_owned()).collect();
        let input = PolicyInput { kty: Some(kty.into()), ca: Some(ca), key_usage: Some(usages), ..good() };
        let policy = input.complete(Timestamp(0)).unwrap();
        let names: Vec<_> = policy.x509.usages_to_sign(policy.key.key_type).into_iter().map(KeyUsage::name).collect();
        names.join(" ")
    };
    assert_eq!(signed("RSA", false), "cRLSign dataEncipherment digitalSignature keyEncipherment nonRepudiation");
    assert_eq!(
        signed("RSA", true),
        "cRLSign dataEncipherment digitalSignature keyCertSign keyEncipherment nonRepudiation"
    );
    assert_eq!(signed("EC", false), "cRLSign digitalSignature keyAgreement nonRepudiation");
}

#[test]
fn a_ca_without_a_list_of_usages_gets_those_of_a_ca() {
    let silent = judged(|p| (p.ca, p.key_usage) = (Some(true), texts(&[]))).unwrap().x509;
    assert_eq!(silent.key_usage, []);
    assert_eq!(silent.usages_to_sign(KeyType::P256), [KeyUsage::CrlSign, KeyUsage::KeyCertSign]);
    let policy = judged(|p| p.ca = Some(true)).unwrap();
    assert_eq!(policy.x509.key_usage, [KeyUsage::CrlSign, KeyUsage::DigitalSignature, KeyUsage::KeyCertSign]);
}

#[test]
fn names_and_purposes_are_kept_once() {
    let policy = judged(|p| {
        p.sans = dns(&["a.example", "A.example", "b.example"]);
        p.ekus = texts(&["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]);
        p.key_usage = texts(&["digitalSignature", "DigitalSignature"]);
    });
    let x509 = policy.unwrap().x509;
    assert_eq!(x509.sans.unwrap().dns_names, ["a.example", "b.example"]);
    assert_eq!(x509.ekus, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    assert_eq!(x509.key_usage, [KeyUsage::DigitalSignature]);
}

#[test]
fn problems_are_listed_in_the_order_of_the_members() {
    let error = judged(|p| {
        p.key_usage = texts(&["x"]);
        p.subject = Some("y".into());
        p.validity_months = Some(0);
        p.key_size = Some(7);
    });
    let error = error.unwrap_err();
    let paths = error.details.iter().filter_map(|detail| match detail {
        Detail::Field { path, .. } => Some(path.as_str()),
        _ => None,
    });
    let expected =
        ["key_props.key_size", "x509_props.validity_months", "x509_props.subject", "x509_props.key_usage[0]"];
    assert_eq!(paths.collect::<Vec<_>>(), expected.map(|path| format!("policy.{path}")));
}

#[test]
fn of_what_is_too_much_only_the_limit_is_named() {
    let error = judged(|p| {
        let many = Some(vec!["x".to_owned(); 1000]);
        p.subject = Some(format!("nonsense{}", "+".repeat(1000)));
        p.sans = Some(SubjectAlternativeNames { emails: vec!["x".into(); 1000], ..Default::default() });
        (p.ekus, p.key_usage) = (many.clone(), many);
        p.lifetime_actions = Some(vec![LifetimeActionInput::default(); 1000]);
    });
    let error = error.unwrap_err();
    let problems: Vec<_> = error.details.iter().map(|detail| format!("{detail:?}")).collect();
    assert_eq!(problems.len(), 5, "{problems:?}");
    for limit in ["More than 10 ", "Longer than 200 ", "at most 250 ", "More than 100 "] {
        assert!(problems.iter().any(|problem| problem.contains(limit)), "{limit}: {problems:?}");
    }
}

/// What an import may bring and a creation refuses.
fn imported() -> Policy {
    let mut policy = good().complete(Timestamp(0)).unwrap();
    policy.issuer.name = "Unknown".into();
    policy.x509.subject = format!("CN={}", "a".repeat(65));
    policy.x509.sans = dns(&vec!["a.example"; 300]);
    policy.x509.ekus = vec!["2.25.329800735698586629295641978511506172918".into()];
    policy.x509.key_usage = vec![KeyUsage::EncipherOnly];
    policy.x509.ca = true;
    policy
}

#[test]
fn only_the_members_that_a_change_names_are_checked() {
    let changes: &[Change] = &[
        |p| {
            p.lifetime_actions = Some(vec![LifetimeActionInput {
                days_before_expiry: Some(30),
                action: Some("AutoRenew".into()),
                ..Default::default()
            }])
        },
        |p| p.validity_months = Some(24),
        |p| p.exportable = Some(false),
        |p| p.content_type = Some("application/x-pem-file".into()),
        |p| p.issuer_name = Some("Self".into()),
        |p| p.enabled = Some(false),
        |p| p.ekus = Some(Vec::new()),
        |p| p.sans = dns(&["a.example"]),
        |p| p.subject = Some("CN=a".into()),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut input = PolicyInput::default();
        change(&mut input);
        if let Err(error) = input.change(&imported(), Timestamp(1)) {
            panic!("row {index}: {error}");
        }
    }
    let renamed = PolicyInput { issuer_name: Some("Self".into()), ..PolicyInput::default() };
    let changed = renamed.change(&imported(), Timestamp(1)).unwrap();
    assert_eq!((changed.x509.sans.as_ref().unwrap().len(), &changed.x509.ekus), (300, &imported().x509.ekus));
}

#[test]
fn a_change_is_checked_against_the_stored_policy() {
    let refused = |stored: &Policy, change: Change, words: &str| {
        let mut input = PolicyInput::default();
        change(&mut input);
        let error = input.change(stored, Timestamp(1)).unwrap_err();
        assert!(error.message.contains(words), "{error}");
    };
    let nameless = PolicyInput { subject: None, sans: dns(&["a.example"]), issuer_name: None, ..good() };
    let nameless = nameless.complete(Timestamp(0)).unwrap();
    refused(&nameless, |p| p.issuer_name = Some("self".into()), "needs a subject");
    refused(&nameless, |p| p.sans = Some(SubjectAlternativeNames::default()), "Either a subject or");
    let plain = good().complete(Timestamp(0)).unwrap();
    refused(&plain, |p| p.ca = Some(true), "add keyCertSign");
    refused(&plain, |p| p.subject = Some(String::new()), "Either a subject or");
    let encipher = PolicyInput { key_usage: texts(&["keyEncipherment"]), ..good() }.complete(Timestamp(0)).unwrap();
    refused(&encipher, |p| p.kty = Some("EC".into()), "An EC key supports none of these usages");
    let signs = PolicyInput { ca: Some(true), key_usage: texts(&["keyCertSign"]), ..good() };
    refused(&signs.complete(Timestamp(0)).unwrap(), |p| p.ca = Some(false), "is for the certificate of a CA");
}

#[test]
fn members_are_judged_against_each_other_whoever_issues() {
    let rows: &[(Change, &str)] = &[
        (|p| p.key_usage = texts(&["keyCertSign"]), "basic_constraints.ca to true"),
        (|p| (p.ca, p.key_usage) = (Some(true), texts(&["digitalSignature"])), "add keyCertSign"),
        (|p| p.key_usage = texts(&["digitalSignature", "encipherOnly"]), "keyAgreement"),
        (|p| p.key_usage = texts(&["keyAgreement"]), "An RSA key supports none of these usages"),
        (|p| p.subject = None, "Either a subject or"),
    ];
    for issuer in ["Self", "Unknown", "corp"] {
        for (change, words) in rows {
            let mut input = PolicyInput { issuer_name: Some(issuer.into()), ..good() };
            change(&mut input);
            let error = input.complete(Timestamp(0)).expect_err(words);
            assert!(error.message.contains(words), "{issuer}: {error}");
        }
    }
}

#[test]
fn a_version_after_an_import_is_checked_as_a_whole() {
    let error = imported().renewed(Timestamp(1)).unwrap_err();
    assert!(error.details.len() >= 4, "{error:?}");
    let renewed = good().complete(Timestamp(0)).unwrap().renewed(Timestamp(1)).unwrap();
    assert_eq!((renewed.created, renewed.updated), (Timestamp(0), Timestamp(1)));
}
