//! What rules allow and refuse, each refusal with the member and the value that it names.

use super::*;
use crate::domain::policy::KeyType;
use crate::domain::san::SubjectAlternativeNames;

fn rules() -> Rules {
    Rules::parse(&RulesInput {
        dns: vec!["shop.example".into(), "*.shop.example".into()],
        ip: vec!["10.1.0.0/16".into()],
        uri: vec!["spiffe://corp.example/ns/shop/*".into()],
        subject: BTreeMap::from([("O".into(), vec!["Example Corp".into()])]),
        key_types: vec!["EC".into()],
        max_validity_months: Some(3),
        ekus: vec!["serverAuth".into()],
        ..RulesInput::default()
    })
    .unwrap()
}

fn requested<'a>(subject: &'a str, sans: &'a SubjectAlternativeNames) -> Requested<'a> {
    Requested {
        issuer: "Unknown",
        subject,
        sans: Some(sans),
        key_type: KeyType::P256,
        validity_months: 3,
        ekus: &[],
        exportable: false,
        reuse_key: false,
        ca: false,
        other_names: false,
    }
}

fn refused(rules: &Rules, requested: &Requested<'_>) -> String {
    rules.violation(requested).map(|Violation { member, value }| format!("{member} {value}")).unwrap_or_default()
}

#[test]
fn what_is_named_is_allowed_and_nothing_else() {
    let (rules, none) = (rules(), SubjectAlternativeNames::default());
    let sans = SubjectAlternativeNames {
        dns_names: vec!["web.shop.example".into()],
        ip_addresses: vec!["10.1.2.3".into(), "::ffff:10.1.2.4".into()],
        uris: vec!["spiffe://corp.example/ns/shop/web".into()],
        ..none.clone()
    };
    let eku = ["1.3.6.1.5.5.7.3.1".to_owned()];
    let good = Requested { ekus: &eku, ..requested("CN=shop.example, O=Example Corp", &sans) };
    assert_eq!(refused(&rules, &good), "");
    for (subject, problem) in [
        ("CN=evilshop.example", "policy.x509_props.subject CN=evilshop.example"),
        ("O=Example Corp, OU=x", "policy.x509_props.subject OU=x"),
        ("O=Other", "policy.x509_props.subject O=Other"),
        ("CN=John", "policy.x509_props.subject CN=John"),
        ("CN=10.2.0.1", "policy.x509_props.subject CN=10.2.0.1"),
        ("CN=*.shop.example", "policy.x509_props.subject CN=*.shop.example"),
        ("CN=10.1.0.1", ""),
    ] {
        assert_eq!(refused(&rules, &requested(subject, &none)), problem, "{subject}");
    }
    let names = |change: fn(&mut SubjectAlternativeNames)| {
        let mut sans = SubjectAlternativeNames::default();
        change(&mut sans);
        refused(&rules, &requested("CN=shop.example", &sans))
    };
    assert_eq!(
        names(|sans| sans.dns_names.push("*.shop.example".into())),
        "policy.x509_props.sans.dns_names *.shop.example"
    );
    assert_eq!(names(|sans| sans.ip_addresses.push("10.2.0.1".into())), "policy.x509_props.sans.ipAddresses 10.2.0.1");
    assert_eq!(names(|sans| sans.emails.push("a@shop.example".into())), "policy.x509_props.sans.emails a@shop.example");
    assert_eq!(names(|sans| sans.upns.push("a@shop.example".into())), "policy.x509_props.sans.upns a@shop.example");
    assert!(names(|sans| sans.uris.push("spiffe://corp.example/ns/x".into())).contains("sans.uris"));
    let base = requested("CN=shop.example", &none);
    let oid = ["1.3.6.1.5.5.7.3.3".to_owned()];
    for (wrong, problem) in [
        (Requested { key_type: KeyType::Rsa2048, ..base }, "policy.key_props.kty RSA"),
        (Requested { validity_months: 4, ..base }, "policy.x509_props.validity_months 4 (at most 3)"),
        (Requested { exportable: true, ..base }, "policy.key_props.exportable true"),
        (Requested { reuse_key: true, ..base }, "policy.key_props.reuse_key true"),
        (Requested { ca: true, ..base }, "policy.x509_props.basic_constraints.ca true"),
        (Requested { ekus: &oid, ..base }, "policy.x509_props.ekus codeSigning"),
    ] {
        assert_eq!(refused(&rules, &wrong), problem);
    }
    assert!(refused(&rules, &Requested { other_names: true, ..base }).contains("no rule can allow"));
}

#[test]
fn a_certificate_without_usages_is_good_for_any_and_has_to_be_allowed_so() {
    let none = SubjectAlternativeNames::default();
    let asked =
        |rules: &Rules, issuer, ca| refused(rules, &Requested { issuer, ca, ..requested("CN=shop.example", &none) });
    let limited = rules();
    let problem = "policy.x509_props.ekus an empty list, which is any usage,";
    assert_eq!((asked(&limited, "Self", false).as_str(), asked(&limited, "corp", false).as_str()), (problem, problem));
    assert_eq!(asked(&limited, "unknown", false), "", "what is signed elsewhere has what is decided there");
    for (ekus, ca) in [(&["serverAuth"][..], true), (&["serverAuth", "anyExtendedKeyUsage"], false), (&[], false)] {
        let ekus = ekus.iter().map(|name| (*name).to_owned()).collect();
        let other = RulesInput { ekus, ca: true, ..limited.input().clone() };
        assert_eq!(asked(&Rules::parse(&other).unwrap(), "Self", ca), "", "{other:?}");
    }
}

#[test]
fn a_star_for_the_common_name_lets_no_host_name_in() {
    let any = RulesInput { subject: BTreeMap::from([("CN".into(), vec!["*".into()])]), ..RulesInput::default() };
    let (any, none) = (Rules::parse(&any).unwrap(), SubjectAlternativeNames::default());
    assert_eq!(refused(&any, &requested("CN=John Doe", &none)), "");
    assert_eq!(refused(&any, &requested("CN=evil.example", &none)), "policy.x509_props.subject CN=evil.example");
    // The last is evil.example as a UTF8String.
    for hidden in ["CN=evil.example.", "CN=\"evil.example \"", "CN=#0c0c6576696c2e6578616d706c65"] {
        assert!(refused(&any, &requested(hidden, &none)).starts_with("policy.x509_props.subject CN="), "{hidden}");
    }
}

#[test]
fn rules_that_are_wrong_name_the_member() {
    let problem = |input: RulesInput| Rules::parse(&input).unwrap_err().message;
    for (input, member) in [
        (RulesInput { dns: vec!["a b".into()], ..RulesInput::default() }, "rules.dns"),
        (RulesInput { ip: vec!["10.0.0.1/8".into()], ..RulesInput::default() }, "rules.ip"),
        (RulesInput { key_types: vec!["DSA".into()], ..RulesInput::default() }, "rules.key_types"),
        (RulesInput { ekus: vec!["server".into()], ..RulesInput::default() }, "rules.ekus"),
        (RulesInput { max_validity_months: Some(0), ..RulesInput::default() }, "rules.max_validity_months"),
        (
            RulesInput { subject: BTreeMap::from([("Z".into(), vec!["x".into()])]), ..RulesInput::default() },
            "rules.subject",
        ),
    ] {
        let message = problem(input);
        assert!(message.contains(&format!("Property {member} has invalid value.")), "{message}");
    }
}
