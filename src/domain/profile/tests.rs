//! The rules of profiles: what is read, what is allowed, and what a refusal names.

use super::*;
use crate::domain::granted::Granted;
use crate::domain::policy::Policy;
use crate::domain::policy_input::PolicyInput;
use crate::domain::san::SubjectAlternativeNames;
use crate::domain::{RequestFacts, Timestamp};

const NOW: Timestamp = Timestamp(1_795_428_000_000);

/// The example of the documentation.
fn server() -> ProfileText {
    let text = r#"{"max_validity":"P90D","validity":"P30D","names":{"dns":["*.corp.example","corp.example"],"ip":["10.0.0.0/8"]},
        "keys":["EC-P256","EC-P384","RSA-2048+"],"ekus":["1.3.6.1.5.5.7.3.1"],"key_usage":["digitalSignature","keyEncipherment"],
        "max_names":3,"revocation":"auto"}"#;
    let text: BTreeMap<String, serde_json::Value> = serde_json::from_str(text).unwrap();
    serde_json::from_value(serde_json::to_value(text).unwrap()).unwrap()
}

fn profile(text: &ProfileText) -> Profile {
    Profile::parse("server", text).unwrap()
}

fn dns(names: &[&str]) -> Option<SubjectAlternativeNames> {
    let dns_names = names.iter().map(|name| (*name).to_owned()).collect();
    Some(SubjectAlternativeNames { dns_names, ..Default::default() })
}

fn texts(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|text| (*text).to_owned()).collect())
}

fn good() -> PolicyInput {
    PolicyInput {
        subject: Some("CN=web.corp.example".into()),
        sans: dns(&["web.corp.example"]),
        curve: Some("P-256".into()),
        issuer_name: Some("corp".into()),
        ..PolicyInput::default()
    }
}

fn granted(text: &ProfileText, input: PolicyInput) -> Result<(Policy, Granted)> {
    let profile = profile(text);
    let named = input.validity_months.is_some();
    profile.grant(profile.complete(input).complete(NOW).unwrap(), named, NOW)
}

#[test]
fn what_is_not_said_is_the_profiles_and_the_validity_is_cut() {
    let (policy, grant) = granted(&server(), good()).unwrap();
    assert_eq!(policy.x509.ekus, ["1.3.6.1.5.5.7.3.1"]);
    assert_eq!(policy.x509.key_usage, [KeyUsage::DigitalSignature, KeyUsage::KeyEncipherment]);
    assert_eq!((grant.seconds, policy.x509.validity_months), (Some(30 * 86_400), 1));
    assert_eq!((grant.revocation, grant.must_staple, grant.profile.as_str()), (Revocation::Auto, false, "server"));
    for (months, seconds, shown) in [(2, None, 2), (12, Some(90 * 86_400), 3), (1, None, 1)] {
        let (policy, grant) = granted(&server(), PolicyInput { validity_months: Some(months), ..good() }).unwrap();
        assert_eq!((grant.seconds, policy.x509.validity_months), (seconds, shown), "{months}");
    }
    let hours = ProfileText { max_validity: Some("PT8H".into()), validity: None, ..server() };
    let (policy, grant) = granted(&hours, PolicyInput { validity_months: Some(12), ..good() }).unwrap();
    assert_eq!((grant.seconds, policy.x509.validity_months), (Some(8 * 3600), 1));
    assert_eq!(grant.end(Timestamp(0), Timestamp(1)), Timestamp(8 * 3_600_000));
    // Longer than the default of Key Vault, which the request did not choose.
    let years = ProfileText { max_validity: None, validity: Some("P730D".into()), ..server() };
    let (policy, grant) = granted(&years, good()).unwrap();
    assert_eq!((grant.seconds, policy.x509.validity_months), (Some(730 * 86_400), 24));
}

#[test]
fn every_rule_is_named_that_is_broken() {
    type Change = fn(&mut PolicyInput);
    let rows: &[(Change, &str)] = &[
        (|p| p.sans = dns(&["web.other.example"]), "the name web.other.example is not allowed"),
        (|p| p.sans = dns(&["a.b.corp.example"]), "the name a.b.corp.example is not allowed"),
        (|p| p.sans = dns(&["evilcorp.example"]), "the name evilcorp.example is not allowed"),
        (|p| p.sans = dns(&["*.corp.example"]), "the wildcard *.corp.example is not allowed"),
        (
            |p| p.subject = Some("CN=evil.other.example".into()),
            "the name evil.other.example is not allowed as a common name",
        ),
        (|p| p.subject = Some("CN=web.corp.example,CN=evil".into()), "the name evil is not allowed as a common name"),
        (|p| p.subject = Some("CN=192.0.2.1".into()), "the name 192.0.2.1 is not allowed as a common name"),
        (
            |p| p.subject = Some("CN=*.corp.example".into()),
            "the wildcard *.corp.example is not allowed (names.wildcards) as",
        ),
        (|p| p.subject = Some("CN=#0c0c6576696c2e6578616d706c65".into()), "the name evil.example is not allowed as"),
        (
            |p| p.subject = Some("CN=a b,E=a@other.example".into()),
            "the name a@other.example is not allowed in the subject",
        ),
        (|p| p.sans.as_mut().unwrap().ip_addresses = vec!["192.0.2.1".into()], "the name 192.0.2.1 is not allowed"),
        (|p| p.sans.as_mut().unwrap().ip_addresses = vec!["::ffff:192.0.2.1".into()], "is not allowed"),
        (|p| p.sans.as_mut().unwrap().emails = vec!["a@corp.example".into()], "the name a@corp.example is not allowed"),
        (
            |p| p.sans.as_mut().unwrap().uris = vec!["https://corp.example".into()],
            "the name https://corp.example is not",
        ),
        (
            |p| p.sans = dns(&["a.corp.example", "b.corp.example", "c.corp.example", "d.corp.example"]),
            "4 names are more than max_names, 3",
        ),
        (|p| p.curve = Some("P-521".into()), "keys are EC-P256, EC-P384, RSA-2048+, not EC-P521"),
        (
            |p| p.ekus = texts(&["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]),
            "the extended key usage 1.3.6.1.5.5.7.3.2 is not allowed",
        ),
        (|p| p.ekus = texts(&[]), "without extended key usages"),
        (
            |p| p.key_usage = texts(&["digitalSignature", "nonRepudiation"]),
            "the key usage nonRepudiation is not allowed",
        ),
        (|p| p.key_usage = texts(&[]), "without key usages"),
    ];
    for (change, words) in rows {
        let mut input = good();
        change(&mut input);
        let error = granted(&server(), input).expect_err(words);
        assert!(error.message.starts_with("The profile server of the issuer does not allow it: "), "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    let input =
        PolicyInput { ekus: texts(&["1.2.3"]), sans: dns(&["x.example"]), curve: Some("P-521".into()), ..good() };
    let error = granted(&server(), input).unwrap_err();
    assert_eq!(error.message.matches("; ").count(), 2, "{error}");
}

#[test]
fn what_the_rules_allow_passes() {
    let addresses = |list: &[&str]| SubjectAlternativeNames {
        ip_addresses: list.iter().map(|text| (*text).to_owned()).collect(),
        ..Default::default()
    };
    for input in [
        PolicyInput { sans: dns(&["WEB.Corp.Example", "corp.example"]), ..good() },
        PolicyInput { subject: Some("CN=Web Team,O=Corp".into()), ..good() },
        PolicyInput {
            subject: Some("CN=10.1.2.3".into()),
            sans: Some(addresses(&["10.255.0.1", "::ffff:10.0.0.1"])),
            ..good()
        },
        PolicyInput { curve: None, kty: Some("RSA".into()), key_size: Some(4096), ..good() },
        PolicyInput { subject: None, ..good() },
    ] {
        granted(&server(), input).unwrap();
    }
    let names = NamesText {
        emails: texts(&["@corp.example", "one@x.example"]),
        uris: texts(&["spiffe://corp.example/ns/web/*"]),
        upns: texts(&["@corp.example"]),
        wildcards: Some(true),
        ..server().names.unwrap()
    };
    let wide = ProfileText { names: Some(names), max_names: None, ..server() };
    let sans = |email: &str, uri: &str| SubjectAlternativeNames {
        emails: vec![email.into()],
        uris: vec![uri.into()],
        upns: vec!["a@CORP.example".into()],
        dns_names: vec!["*.corp.example".into()],
        ..Default::default()
    };
    let with = |email: &str, uri: &str| granted(&wide, PolicyInput { sans: Some(sans(email, uri)), ..good() });
    with("a@Corp.example", "spiffe://corp.example/ns/web/a").unwrap();
    with("one@x.example", "spiffe://corp.example/ns/web/a/b?c").unwrap();
    for (email, uri) in [
        ("a@sub.corp.example", "spiffe://corp.example/ns/web/a"),
        ("two@x.example", "spiffe://corp.example/ns/web/a"),
        ("a@corp.example", "spiffe://corp.example/ns/web/"),
        ("a@corp.example", "spiffe://corp.example/ns/web/../db"),
        ("a@corp.example", "spiffe://corp.example/ns/web/%2e%2e/db"),
        ("a@corp.example", "spiffe://corp.example/ns/db"),
    ] {
        with(email, uri).unwrap_err();
    }
}

#[test]
fn the_subject_follows_its_rule() {
    let first = ProfileText { subject: Some("cn-from-first-name".into()), o: Some("Corp, Inc".into()), ..server() };
    let (policy, _) = granted(&first, PolicyInput { subject: None, ..good() }).unwrap();
    assert_eq!(policy.x509.subject, "CN=web.corp.example,O=Corp\\, Inc");
    granted(&first, PolicyInput { subject: Some(policy.x509.subject), ..good() }).unwrap();
    for other in ["CN=web.corp.example", "CN=x.corp.example,O=Corp\\, Inc"] {
        let error = granted(&first, PolicyInput { subject: Some(other.into()), ..good() }).unwrap_err();
        assert!(error.message.contains("the subject must be empty or CN=web.corp.example,O=Corp\\, Inc"), "{error}");
    }
    let empty = ProfileText { subject: Some("empty".into()), ..server() };
    granted(&empty, PolicyInput { subject: None, ..good() }).unwrap();
    assert!(granted(&empty, good()).unwrap_err().message.contains("the subject must be empty"));
    let of_corp = ProfileText { o: Some("Corp".into()), ..server() };
    granted(&of_corp, PolicyInput { subject: Some("CN=web.corp.example,O=Corp".into()), ..good() }).unwrap();
    assert!(granted(&of_corp, good()).unwrap_err().message.contains("the subject must have O=Corp"));
    let two = PolicyInput { subject: Some("CN=web.corp.example,O=Corp,O=Other".into()), ..good() };
    granted(&of_corp, two).unwrap_err();
}

#[test]
fn a_callers_request_is_within_the_profile() {
    let facts = RequestFacts {
        public_key: Vec::new(),
        key_type: KeyType::P256,
        subject: "CN=web.corp.example".into(),
        sans: dns(&["web.corp.example"]),
        ekus: texts(&["1.3.6.1.5.5.7.3.1"]),
        key_usage: None,
        ca: None,
        others: Vec::new(),
    };
    let profile = profile(&server());
    let policy = profile.complete(PolicyInput::default()).requested(&facts, NOW).unwrap();
    assert_eq!(profile.grant(policy, false, NOW).unwrap().1.seconds, Some(30 * 86_400));
    let client = RequestFacts { ekus: texts(&["1.3.6.1.5.5.7.3.2"]), ..facts };
    profile.complete(PolicyInput::default()).requested(&client, NOW).unwrap_err();
}

#[test]
fn a_rule_that_cannot_be_read_is_named() {
    let names = |change: fn(&mut NamesText)| {
        let mut names = NamesText::default();
        change(&mut names);
        ProfileText { names: Some(names), ..ProfileText::default() }
    };
    let text = ProfileText::default;
    for (text, member) in [
        (ProfileText { max_validity: Some("90d".into()), ..text() }, "max_validity"),
        (ProfileText { validity: Some("P1Y".into()), ..text() }, "validity"),
        (ProfileText { validity: Some("P2D".into()), max_validity: Some("P1D".into()), ..text() }, "validity"),
        (ProfileText { keys: texts(&["EC-P256+"]), ..text() }, "keys[0]"),
        (ProfileText { keys: texts(&["EC-P256", "RSA-1024"]), ..text() }, "keys[1]"),
        (ProfileText { ekus: texts(&["serverAuth"]), ..text() }, "ekus[0]"),
        (ProfileText { ekus: texts(&["1.3.6.1.5.5.7.3.9"]), ..text() }, "ekus[0]"),
        (ProfileText { ekus: texts(&["2.5.29.37.0"]), ..text() }, "ekus[0]"),
        (ProfileText { ekus: texts(&[]), ..text() }, "ekus"),
        (ProfileText { key_usage: texts(&["sign"]), ..text() }, "key_usage[0]"),
        (ProfileText { key_usage: texts(&[]), ..text() }, "key_usage"),
        (ProfileText { subject: Some("any".into()), ..text() }, "subject"),
        (ProfileText { subject: Some("empty".into()), o: Some("Corp".into()), ..text() }, "o"),
        (ProfileText { o: Some("x".repeat(65)), ..text() }, "o"),
        (ProfileText { o: Some("Corp\u{202e}".into()), ..text() }, "o"),
        (ProfileText { o: Some(" Corp".into()), ..text() }, "o"),
        (ProfileText { max_names: Some(0), ..text() }, "max_names"),
        (ProfileText { revocation: Some("delta".into()), ..text() }, "revocation"),
        (names(|n| n.dns = texts(&["*.*.example"])), "names.dns[0]"),
        (names(|n| n.dns = texts(&["10.0.0.1"])), "names.dns[0]"),
        (names(|n| n.ip = texts(&["10.0.0.0/8", "10.0.0.1/8"])), "names.ip[1]"),
        (names(|n| n.ip = texts(&["10.0.0.0/33"])), "names.ip[0]"),
        (names(|n| n.emails = texts(&["corp.example"])), "names.emails[0]"),
        (names(|n| n.uris = texts(&["*"])), "names.uris[0]"),
        (names(|n| n.uris = texts(&["https://*.corp.example/"])), "names.uris[0]"),
        (names(|n| n.upns = texts(&["a@"])), "names.upns[0]"),
    ] {
        let error = Profile::parse("server", &text).expect_err(member);
        let path = format!("Property profiles.server.{member} has invalid value. ");
        assert!(error.message.starts_with(&path), "{member}: {error}");
    }
    for name in ["", "a b", "a/b", &"x".repeat(65)] {
        assert!(Profile::parse(name, &text()).is_err(), "{name}");
    }
    assert!(
        serde_json::from_str::<ProfileText>(r#"{"max_validty":"P1D"}"#).is_err(),
        "an unknown rule is not passed over"
    );
}

#[test]
fn one_profile_is_chosen_by_the_certificate_type_or_the_default() {
    let none = Profiles::default();
    assert_eq!(none.chosen(Some("OV-SSL")), Ok(None), "without profiles there are no rules");
    let set = |name: &str, text| ProfilesInput { profiles: [(name.to_owned(), text)].into(), default: None };
    let profiles = none.changed(&set("server", Some(server()))).unwrap();
    assert_eq!(profiles.chosen(Some("server")).unwrap().unwrap().name(), "server");
    let refused = |profiles: &Profiles, wanted: Option<&str>, words: &str| {
        let error = profiles.chosen(wanted).unwrap_err();
        assert!(error.message.contains("policy.issuer.cty") && error.message.contains(words), "{error}");
    };
    refused(&profiles, None, "name one of server");
    refused(&profiles, Some("client"), "\"client\" is not a profile of the issuer: use one of server");
    let default = ProfilesInput { default: Some("server".into()), ..ProfilesInput::default() };
    let profiles = profiles.changed(&default).unwrap().changed(&set("client", Some(server()))).unwrap();
    assert_eq!(profiles.chosen(None).unwrap().unwrap().name(), "server");
    let profiles = profiles.changed(&set("server", None)).unwrap();
    refused(&profiles, None, "name one of client");
    assert!(profiles.clone().changed(&default).is_err(), "a default that is not there");
    assert!(profiles.changed(&set("client", None)).unwrap().is_empty());
}

#[test]
fn durations_are_those_of_iso_8601_with_a_fixed_length() {
    for (text, seconds, written) in [
        ("P90D", 7_776_000, "P90D"),
        ("P1W", 604_800, "P7D"),
        ("PT8H", 28_800, "PT8H"),
        ("P1DT12H30M5S", 131_405, "P1DT12H30M5S"),
        ("PT60S", 60, "PT1M"),
        ("PT36H", 129_600, "P1DT12H"),
    ] {
        let lifetime = Lifetime::parse(text).unwrap();
        assert_eq!((lifetime.seconds(), lifetime.to_string().as_str()), (seconds, written));
        assert_eq!(Lifetime::parse(&lifetime.to_string()), Ok(lifetime));
    }
    for bad in [
        "", "P", "PT", "P1", "90D", "P1Y", "P1M", "PT1D", "P1H", "PD", "P1D1D", "PT1M1H", "P-1D", "P1.5D", "P0D",
        "PT59S", "P99999D", "P1Dx",
    ] {
        assert!(Lifetime::parse(bad).is_err(), "{bad}");
    }
    let long = format!("P{}D", "0".repeat(10_000));
    assert!(Lifetime::parse(&long).unwrap_err().len() < 200, "an error shows the beginning of a long text");
}
