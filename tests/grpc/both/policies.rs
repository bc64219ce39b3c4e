//! The policies of the tests, in the format of either API.

use crate::requests::policy;
use certmint::proto::v1::*;
use serde_json::{Value, json};

/// Which certificate is asked for.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// With a P-256 key.
    Ec,
    /// With what the documents' examples have.
    Rsa,
    /// With everything that a policy can say.
    Full,
}

pub(super) fn rest_policy(issuer: &str, expected: Wanted) -> Value {
    let mut policy = match expected {
        Wanted::Ec => json!({"key_props": {"kty": "EC"}, "x509_props": {"subject": "CN=mycert1.example"}}),
        Wanted::Rsa => json!({
            "key_props": {"exportable": false, "kty": "RSA", "key_size": 2048, "reuse_key": false},
            "x509_props": {"subject": "CN=MyCertSubject1"},
        }),
        Wanted::Full => json!({
            "key_props": {"exportable": true, "kty": "EC", "crv": "P-384", "reuse_key": true},
            "secret_props": {"contentType": "application/x-pem-file"},
            "x509_props": {
                "subject": "CN=mycert1.example,O=Example",
                "sans": {
                    "emails": ["a@example.com"], "dns_names": ["a.example", "*.b.example"], "upns": ["u@example.com"],
                    "uris": ["https://a.example/x"], "ipAddresses": ["192.0.2.1", "2001:db8::1"],
                },
                "ekus": ["1.3.6.1.5.5.7.3.1"],
                "key_usage": ["digitalSignature", "cRLSign", "keyCertSign"],
                "validity_months": 3,
                "basic_constraints": {"ca": false},
            },
            "lifetime_actions": [
                {"trigger": {"days_before_expiry": 20}, "action": {"action_type": "AutoRenew"}},
            ],
            "attributes": {"enabled": true},
        }),
    };
    if !issuer.is_empty() {
        policy["issuer"] = json!({"name": issuer, "cty": "OV-SSL", "cert_transparency": true});
    }
    policy
}

pub(super) fn grpc_policy(issuer: &str, expected: Wanted) -> CertificatePolicy {
    let mut asked = match expected {
        Wanted::Ec => policy(issuer),
        Wanted::Rsa => CertificatePolicy {
            key_properties: Some(KeyProperties {
                exportable: Some(false),
                key_type: KeyType::Rsa.into(),
                key_size: 2048,
                reuse_key: Some(false),
                ..KeyProperties::default()
            }),
            x509_properties: Some(X509Properties { subject: "CN=MyCertSubject1".into(), ..Default::default() }),
            ..CertificatePolicy::default()
        },
        Wanted::Full => full(),
    };
    asked.issuer = (!issuer.is_empty()).then(|| IssuerParameters {
        name: issuer.into(),
        certificate_type: "OV-SSL".into(),
        certificate_transparency: Some(true),
    });
    asked
}

fn full() -> CertificatePolicy {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    CertificatePolicy {
        id: String::new(),
        key_properties: Some(KeyProperties {
            exportable: Some(true),
            key_type: KeyType::Ec.into(),
            key_size: 0,
            reuse_key: Some(true),
            curve: KeyCurve::P384.into(),
        }),
        secret_properties: Some(SecretProperties { content_type: "application/x-pem-file".into() }),
        x509_properties: Some(X509Properties {
            subject: "CN=mycert1.example,O=Example".into(),
            ekus: texts(&["1.3.6.1.5.5.7.3.1"]),
            subject_alternative_names: Some(SubjectAlternativeNames {
                emails: texts(&["a@example.com"]),
                dns_names: texts(&["a.example", "*.b.example"]),
                upns: texts(&["u@example.com"]),
                uris: texts(&["https://a.example/x"]),
                ip_addresses: texts(&["192.0.2.1", "2001:db8::1"]),
            }),
            key_usages: vec![KeyUsage::DigitalSignature.into(), KeyUsage::CrlSign.into(), KeyUsage::KeyCertSign.into()],
            validity_months: 3,
            basic_constraints: Some(BasicConstraints { ca: Some(false) }),
        }),
        lifetime_actions: vec![LifetimeAction {
            trigger: Some(lifetime_action::Trigger::DaysBeforeExpiry(20)),
            action: LifetimeActionType::AutoRenew.into(),
        }],
        issuer: None,
        attributes: Some(CertificateAttributes { enabled: Some(true), ..CertificateAttributes::default() }),
    }
}

/// What is changed of a policy.
#[derive(Clone, Copy, Default)]
pub(super) struct PolicyChange<'a> {
    pub(super) issuer: Option<&'a str>,
    pub(super) validity_months: Option<i32>,
    pub(super) dns_names: &'a [&'a str],
    pub(super) reuse_key: Option<bool>,
}

impl PolicyChange<'_> {
    pub(super) fn rest(self) -> Value {
        let Self { issuer, validity_months, dns_names, reuse_key } = self;
        let sans = (!dns_names.is_empty()).then(|| json!({ "dns_names": dns_names }));
        json!({
            "issuer": {"name": issuer},
            "x509_props": {"validity_months": validity_months, "sans": sans},
            "key_props": {"reuse_key": reuse_key},
        })
    }

    pub(super) fn grpc(self) -> CertificatePolicy {
        let Self { issuer, validity_months, dns_names, reuse_key } = self;
        let names = SubjectAlternativeNames {
            dns_names: dns_names.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        };
        CertificatePolicy {
            issuer: issuer.map(|name| IssuerParameters { name: name.into(), ..Default::default() }),
            x509_properties: Some(X509Properties {
                validity_months: validity_months.unwrap_or_default(),
                subject_alternative_names: (!dns_names.is_empty()).then_some(names),
                ..Default::default()
            }),
            key_properties: Some(KeyProperties { reuse_key, ..Default::default() }),
            ..Default::default()
        }
    }
}
