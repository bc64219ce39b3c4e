//! What a request and a policy say together: a row for each agreement and each contradiction.

use super::*;

fn facts() -> RequestFacts {
    RequestFacts {
        public_key: Vec::new(),
        key_type: KeyType::P384,
        subject: "CN=web.example, O=Example".into(),
        sans: dns(&["web.example", "www.example"]),
        ekus: Some(vec!["1.3.6.1.5.5.7.3.1".into()]),
        key_usage: Some(vec![KeyUsage::DigitalSignature]),
        ca: None,
        others: Vec::new(),
    }
}

fn dns(names: &[&str]) -> Option<SubjectAlternativeNames> {
    let dns_names = names.iter().map(|name| (*name).to_owned()).collect();
    Some(SubjectAlternativeNames { dns_names, ..Default::default() })
}

fn texts(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|text| (*text).to_owned()).collect())
}

const NOW: Timestamp = Timestamp(7);

#[test]
fn what_the_caller_does_not_say_comes_from_the_request() {
    let policy = PolicyInput::default().requested(&facts(), NOW).unwrap();
    assert_eq!(policy.x509.subject, "CN=web.example, O=Example");
    assert_eq!((policy.x509.sans, policy.x509.ekus), (facts().sans, facts().ekus.unwrap()));
    assert_eq!(policy.x509.key_usage, [KeyUsage::DigitalSignature]);
    let key = policy.key;
    assert_eq!((key.key_type, key.exportable, key.reuse_key), (KeyType::P384, false, false));
    assert_eq!(policy.content_type, ContentType::Pem);
    assert_eq!(policy.lifetime_actions.len(), 1);
    assert_eq!(policy.lifetime_actions[0].action, Action::EmailContacts);
    assert!(policy.issuer.is_manual());
}

#[test]
fn what_neither_says_is_the_default_of_key_vault() {
    let silent = RequestFacts { ekus: None, key_usage: None, key_type: KeyType::Rsa2048, ..facts() };
    let policy = PolicyInput::default().requested(&silent, NOW).unwrap();
    assert_eq!(policy.x509.ekus, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    assert_eq!(policy.x509.key_usage, [KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment]);
    assert_eq!((policy.x509.validity_months, policy.x509.ca), (12, false));
}

#[test]
fn the_policy_counts_where_the_request_is_within_it() {
    let input = PolicyInput {
        subject: Some("CN=WEB.example,OU=Web,O=Example".into()),
        sans: dns(&["WWW.example", "web.example", "more.example"]),
        ekus: texts(&["1.3.6.1.5.5.7.3.2", "1.3.6.1.5.5.7.3.1"]),
        key_usage: texts(&["nonRepudiation", "DigitalSignature"]),
        kty: Some("EC".into()),
        key_size: Some(384),
        curve: Some("P-384".into()),
        exportable: Some(false),
        reuse_key: Some(false),
        content_type: Some("application/x-pkcs12".into()),
        ..PolicyInput::default()
    };
    let policy = input.clone().requested(&facts(), NOW).unwrap();
    assert_eq!((Some(policy.x509.subject), policy.x509.sans), (input.subject, input.sans));
    assert_eq!((policy.x509.ekus.len(), policy.x509.key_usage.len()), (2, 2));
    assert_eq!(policy.content_type, ContentType::Pkcs12);
}

#[test]
fn names_compare_as_verifiers_compare_them() {
    let names = |ip: &str, email: &str, uri: &str| SubjectAlternativeNames {
        emails: vec![email.into()],
        uris: vec![uri.into()],
        ip_addresses: vec![ip.into()],
        ..Default::default()
    };
    let request = RequestFacts { sans: Some(names("2001:db8::1", "a@x.example", "https://x.example/")), ..facts() };
    let input = |sans| PolicyInput { sans: Some(sans), ..PolicyInput::default() };
    input(names("2001:DB8:0::1", "a@X.example", "https://x.example")).requested(&request, NOW).unwrap();
    for other in [
        names("2001:db8::2", "a@x.example", "https://x.example/"),
        names("2001:db8::1", "A@x.example", "https://x.example/"),
        names("2001:db8::1", "a@x.example", "https://x.example/a"),
    ] {
        input(other).requested(&request, NOW).unwrap_err();
    }
}

#[test]
fn every_difference_is_named_at_once() {
    let input = PolicyInput {
        subject: Some("CN=other.example".into()),
        sans: dns(&["web.example"]),
        ekus: texts(&["1.3.6.1.5.5.7.3.2"]),
        key_usage: texts(&["nonRepudiation"]),
        kty: Some("RSA".into()),
        key_size: Some(2048),
        exportable: Some(true),
        reuse_key: Some(true),
        ..PolicyInput::default()
    };
    let error = input.requested(&RequestFacts { ca: Some(true), ..facts() }, NOW).unwrap_err();
    let problems: Vec<String> = error
        .details
        .iter()
        .map(|detail| match detail {
            Detail::Field { path, problem } => format!("{path}: {problem}"),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [
        "policy.key_props.kty: The key of the request is EC on P-384",
        "policy.key_props.key_size: The key",
        "policy.key_props.exportable: The private key",
        "policy.key_props.reuse_key: The private key",
        "csr: The request has the subject \"CN=web.example, O=Example\"",
        "csr: The request asks for the alternative names web.example, www.example, and the policy has web.example:",
        "csr: It asks for the certificate of a CA",
        "csr: The request asks for the key usages digitalSignature, and the policy has nonRepudiation:",
        "csr: The request asks for the extended key usages 1.3.6.1.5.5.7.3.1, and the policy has 1.3.6.1.5.5.7.3.2:",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, words) in problems.iter().zip(expected) {
        assert!(problem.starts_with(words), "{problem}");
    }
}

#[test]
fn what_is_wrong_with_a_value_is_told_where_it_came_from() {
    let bad = RequestFacts { subject: "CN=a, C=USA".into(), sans: dns(&["a..b"]), ..facts() };
    let error = PolicyInput::default().requested(&bad, NOW).unwrap_err();
    let told = format!("{:?}", error.details);
    assert!(
        told.contains("\"csr\", problem: \"Its subject: ") && told.contains("Its alternative names.dns_names[0]: "),
        "{told}"
    );
    let said = PolicyInput { sans: dns(&["a..b"]), validity_months: Some(0), ..PolicyInput::default() };
    let error = said.requested(&RequestFacts { sans: None, ..facts() }, NOW).unwrap_err();
    let told = format!("{:?}", error.details);
    assert!(told.contains("policy.x509_props.sans.dns_names[0]") && told.contains("validity_months"), "{told}");
}

#[test]
fn the_ca_flag_is_said_by_both_or_by_the_policy() {
    let input = |ca| PolicyInput { ca, key_usage: texts(&[]), ..PolicyInput::default() };
    let request = |ca| RequestFacts { ca, key_usage: None, ..facts() };
    for (said, asked, fits) in [
        (None, Some(false), true),
        (Some(true), Some(true), true),
        (Some(true), None, true),
        (Some(true), Some(false), false),
        (None, Some(true), false),
        (Some(false), Some(true), false),
    ] {
        assert_eq!(input(said).requested(&request(asked), NOW).is_ok(), fits, "{said:?} {asked:?}");
    }
}

#[test]
fn a_stored_policy_counts_but_for_its_key() {
    let stored = PolicyInput {
        subject: Some("CN=web.example,O=Example".into()),
        sans: dns(&["web.example", "www.example"]),
        issuer_name: Some("corp".into()),
        reuse_key: Some(true),
        validity_months: Some(3),
        lifetime_actions: Some(vec![
            LifetimeActionInput {
                lifetime_percentage: Some(50),
                days_before_expiry: None,
                action: Some("AutoRenew".into()),
            },
            LifetimeActionInput {
                lifetime_percentage: Some(50),
                days_before_expiry: None,
                action: Some("EmailContacts".into()),
            },
        ]),
        ..PolicyInput::default()
    };
    let stored = stored.complete(Timestamp(1)).unwrap();
    let policy = stored.requested_again(&facts(), NOW).unwrap();
    assert_eq!((policy.created, policy.updated), (Timestamp(1), NOW));
    assert_eq!((policy.key.key_type, policy.key.exportable, policy.key.reuse_key), (KeyType::P384, false, false));
    assert_eq!((policy.issuer.name.as_str(), policy.x509.validity_months), ("corp", 3));
    assert_eq!(policy.lifetime_actions.len(), 1, "one notice for both");
    let wider = RequestFacts { sans: dns(&["other.example"]), ..facts() };
    stored.requested_again(&wider, NOW).unwrap_err();
}

#[test]
fn names_that_only_the_policy_has_are_found() {
    let input = |sans| PolicyInput { sans, subject: Some("CN=web.example,O=Example".into()), ..PolicyInput::default() };
    let by_name = RequestFacts { sans: None, ..facts() };
    // A common name counts as an alternative name, on either side.
    let policy = input(dns(&["WEB.example"])).requested(&by_name, NOW).unwrap();
    assert_eq!(by_name.lacks(&policy), [""; 0]);
    by_name.names_all_of(&policy).unwrap();
    let policy = input(dns(&["web.example", "more.example"])).requested(&by_name, NOW).unwrap();
    assert_eq!(by_name.lacks(&policy), ["more.example"]);
    let nameless = RequestFacts { subject: String::new(), sans: dns(&["www.example"]), ..facts() };
    let policy = input(dns(&["www.example"])).requested(&nameless, NOW).unwrap();
    assert_eq!(nameless.lacks(&policy), ["web.example"]);
    assert!(nameless.names_all_of(&policy).unwrap_err().message.contains("does not have web.example"));
}

#[test]
fn a_difference_shows_no_whole_text_of_a_stranger() {
    let long = "x".repeat(50_000);
    let facts = RequestFacts { sans: dns(&[&long, "a\u{202e}b.example"]), ..facts() };
    let input = PolicyInput { sans: dns(&["web.example"]), ekus: texts(&[&long]), ..PolicyInput::default() };
    let error = input.requested(&facts, NOW).unwrap_err();
    let shown = format!("{error} {:?}", error.details);
    assert!(shown.contains("asks for the alternative names xxx") && shown.contains("a b.example"), "{shown}");
    assert!(!shown.contains(&long) && !shown.contains('\u{202e}'), "{} characters", shown.len());
}
