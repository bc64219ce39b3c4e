//! Policies of which no certificate can be made, and unknown issuers.

use super::Play;
use super::outcome::Tried;
use crate::requests::{create, policy};
use crate::server::Server;
use certmint::proto::v1::*;
use serde_json::{Value, json};

pub(super) const CASES: &[(&str, Play)] = &[
    ("a subject that is not an X.500 name, or too long", |server| Box::pin(subjects(server))),
    ("neither a subject nor an alternative name", |server| Box::pin(nameless(server))),
    ("an invalid alternative name", |server| Box::pin(alternative_names(server))),
    ("members that contradict each other", |server| Box::pin(members_against_each_other(server))),
    ("an unknown key type, size or curve", |server| Box::pin(keys(server))),
    ("a validity out of range", |server| Box::pin(validities(server))),
    ("more than 15 tags, or a long one", |server| Box::pin(tags(server))),
    ("an issuer that does not exist", |server| Box::pin(no_issuer(server))),
    ("an issuer that is disabled", |server| Box::pin(disabled_issuer(server))),
    ("an issuer of an unknown provider, or of none", |server| Box::pin(providers(server))),
];

/// A policy with this X.509 part.
fn with(x509_properties: X509Properties) -> CertificatePolicy {
    CertificatePolicy { x509_properties: Some(x509_properties), ..policy("Unknown") }
}

fn with_key(key_properties: KeyProperties) -> CertificatePolicy {
    CertificatePolicy { key_properties: Some(key_properties), ..policy("Unknown") }
}

fn named(subject: &str) -> X509Properties {
    X509Properties { subject: subject.into(), ..X509Properties::default() }
}

/// Creates with the same policy over both APIs; nothing must be left behind.
async fn created(server: &Server, policies: Vec<(Value, CertificatePolicy)>) -> Tried {
    let mut tried = Tried::default();
    let mut client = server.certificates().await;
    for (by_rest, by_grpc) in policies {
        let body = json!({ "policy": by_rest }).to_string();
        tried.rest(&server.rest("localhost").send("POST /certificates/mycert1/create", body).await);
        let request = CreateCertificateRequest { policy: Some(by_grpc), ..create("mycert1", "Unknown") };
        tried.grpc(client.create_certificate(request).await);
    }
    let left = client.list_pending(ListPendingRequest::default()).await.unwrap().into_inner();
    assert_eq!(left.operations, []);
    tried
}

async fn subjects(server: &Server) -> Tried {
    let long = format!("CN={}", "x".repeat(200));
    let subjects = ["nonsense", "CN", "=x", "CN=a,", "FOO=x", long.as_str()];
    let policies = subjects.map(|subject| (json!({"x509_props": {"subject": subject}}), with(named(subject))));
    created(server, policies.into()).await
}

async fn nameless(server: &Server) -> Tried {
    let sans = X509Properties {
        subject_alternative_names: Some(SubjectAlternativeNames::default()),
        ..X509Properties::default()
    };
    let policies = vec![
        (json!({}), CertificatePolicy::default()),
        (json!({"x509_props": {"subject": ""}}), with(named(""))),
        (json!({"x509_props": {"sans": {}}}), with(sans)),
    ];
    created(server, policies).await
}

async fn alternative_names(server: &Server) -> Tried {
    let with_sans = |names: SubjectAlternativeNames| {
        with(X509Properties { subject_alternative_names: Some(names), ..named("CN=a") })
    };
    let list = |name: &str| vec![name.to_owned()];
    let policy = |member: &str, name: &str| {
        let mut sans = json!({});
        sans[member] = json!([name]);
        json!({"x509_props": {"subject": "CN=a", "sans": sans}})
    };
    let none = SubjectAlternativeNames::default;
    let policies = vec![
        (policy("dns_names", "a..b"), with_sans(SubjectAlternativeNames { dns_names: list("a..b"), ..none() })),
        (policy("emails", "nobody"), with_sans(SubjectAlternativeNames { emails: list("nobody"), ..none() })),
        (policy("uris", "no uri"), with_sans(SubjectAlternativeNames { uris: list("no uri"), ..none() })),
        (policy("ipAddresses", "1.2.3"), with_sans(SubjectAlternativeNames { ip_addresses: list("1.2.3"), ..none() })),
        (policy("upns", ""), with_sans(SubjectAlternativeNames { upns: list(""), ..none() })),
        (policy("dns_names", "10.0.0.1"), with_sans(SubjectAlternativeNames { dns_names: list("10.0.0.1"), ..none() })),
        (
            policy("dns_names", "https://a"),
            with_sans(SubjectAlternativeNames { dns_names: list("https://a"), ..none() }),
        ),
        (policy("uris", "http://[::1"), with_sans(SubjectAlternativeNames { uris: list("http://[::1"), ..none() })),
        (policy("emails", "a..b@x"), with_sans(SubjectAlternativeNames { emails: list("a..b@x"), ..none() })),
        (policy("emails", "a@*.x"), with_sans(SubjectAlternativeNames { emails: list("a@*.x"), ..none() })),
        (policy("upns", "u\u{202e}@x"), with_sans(SubjectAlternativeNames { upns: list("u\u{202e}@x"), ..none() })),
    ];
    created(server, policies).await
}

/// What is asked of the certificate as a whole, for a key on P-256: whoever issues it, and what a certificate that signs
/// itself needs beside that.
async fn members_against_each_other(server: &Server) -> Tried {
    let usages = |usages: &[KeyUsage], ca: bool| X509Properties {
        key_usages: usages.iter().map(|usage| (*usage).into()).collect(),
        basic_constraints: Some(BasicConstraints { ca: Some(ca) }),
        ..named("CN=a")
    };
    let asked = |x509: &Value, issuer: &str| json!({"key_props": {"kty": "EC"}, "x509_props": x509, "issuer": {"name": issuer}});
    let by_rest =
        |words: &[&str], ca: bool| json!({"subject": "CN=a", "key_usage": words, "basic_constraints": {"ca": ca}});
    let nameless = X509Properties {
        subject_alternative_names: Some(SubjectAlternativeNames {
            dns_names: vec!["a.example".into()],
            ..SubjectAlternativeNames::default()
        }),
        ..X509Properties::default()
    };
    let policies = [
        (by_rest(&["keyCertSign"], false), usages(&[KeyUsage::KeyCertSign], false)),
        (by_rest(&["digitalSignature"], true), usages(&[KeyUsage::DigitalSignature], true)),
        (by_rest(&["keyEncipherment"], false), usages(&[KeyUsage::KeyEncipherment], false)),
        (
            by_rest(&["digitalSignature", "encipherOnly"], false),
            usages(&[KeyUsage::DigitalSignature, KeyUsage::EncipherOnly], false),
        ),
        (json!({"subject": "CN=a\nb"}), named("CN=a\nb")),
    ];
    let issuer = Some(Issuer { provider: "LocalCA".into(), ..Issuer::default() });
    let set = SetIssuerRequest { issuer_name: "corp".into(), issuer, ..SetIssuerRequest::default() };
    server.issuers().await.set_issuer(set).await.unwrap();
    let by_grpc = |issuer: &str, x509: &X509Properties| CertificatePolicy {
        x509_properties: Some(x509.clone()),
        ..policy(issuer)
    };
    let both = |issuer: &'static str| {
        policies.iter().map(move |(x509, message)| (asked(x509, issuer), by_grpc(issuer, message))).collect::<Vec<_>>()
    };
    let mut all: Vec<_> = ["Self", "Unknown", "corp"].into_iter().flat_map(both).collect();
    all.push((asked(&json!({"sans": {"dns_names": ["a.example"]}}), "Self"), by_grpc("Self", &nameless)));
    created(server, all).await
}

async fn keys(server: &Server) -> Tried {
    let x509 = json!({"subject": "CN=a"});
    let mut policies = Vec::new();
    for size in [1, 1024, 2047, 8192, -1, i32::MAX] {
        let key = KeyProperties { key_type: KeyType::Rsa.into(), key_size: size, ..KeyProperties::default() };
        policies.push((json!({"key_props": {"kty": "RSA", "key_size": size}, "x509_props": x509}), with_key(key)));
    }
    for (word, key_type) in [("RSA-HSM", KeyType::RsaHsm), ("EC-HSM", KeyType::EcHsm), ("oct", KeyType::Oct)] {
        let key = KeyProperties { key_type: key_type.into(), ..KeyProperties::default() };
        policies.push((json!({"key_props": {"kty": word}, "x509_props": x509}), with_key(key)));
    }
    let key = KeyProperties { key_type: KeyType::Ec.into(), curve: 99, ..KeyProperties::default() };
    policies.push((json!({"key_props": {"kty": "EC", "crv": "P-192"}, "x509_props": x509}), with_key(key)));
    let mut tried = created(server, policies).await;
    let body = json!({"policy": {"key_props": {"kty": "DSA"}, "x509_props": x509}}).to_string();
    tried.rest(&server.rest("localhost").send("POST /certificates/mycert1/create", body).await);
    tried
}

async fn validities(server: &Server) -> Tried {
    let policies = [-1, 1201, i32::MAX, i32::MIN].map(|months| {
        let x509 = X509Properties { validity_months: months, ..named("CN=a") };
        (json!({"x509_props": {"subject": "CN=a", "validity_months": months}}), with(x509))
    });
    created(server, policies.into()).await
}

async fn tags(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let many: Vec<(String, String)> = (0..16).map(|number| (format!("t{number}"), "v".to_owned())).collect();
    let long = vec![("t".to_owned(), "ä".repeat(257))];
    for tags in [many, long, vec![(String::new(), "v".to_owned())]] {
        let members: serde_json::Map<String, Value> =
            tags.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect();
        let body = json!({"policy": {"x509_props": {"subject": "CN=a"}}, "tags": members}).to_string();
        tried.rest(&server.rest("localhost").send("POST /certificates/mycert1/create", body).await);
        let request = CreateCertificateRequest { tags: tags.into_iter().collect(), ..create("mycert1", "Unknown") };
        tried.grpc(server.certificates().await.create_certificate(request).await);
    }
    tried
}

async fn no_issuer(server: &Server) -> Tried {
    let asked = json!({"x509_props": {"subject": "CN=a"}, "issuer": {"name": "nobody"}});
    created(server, vec![(asked, policy("nobody"))]).await
}

async fn disabled_issuer(server: &Server) -> Tried {
    let issuer = Issuer {
        provider: "Test".into(),
        attributes: Some(IssuerAttributes { enabled: Some(false), ..IssuerAttributes::default() }),
        ..Issuer::default()
    };
    let set = SetIssuerRequest { issuer_name: "off".into(), issuer: Some(issuer), ..SetIssuerRequest::default() };
    server.issuers().await.set_issuer(set).await.unwrap();
    let asked = json!({"x509_props": {"subject": "CN=a"}, "issuer": {"name": "off"}});
    created(server, vec![(asked, policy("off"))]).await
}

async fn providers(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for provider in ["", "Nobody", "Self"] {
        let body = if provider.is_empty() { json!({}) } else { json!({"provider": provider}) };
        tried.rest(&server.rest("localhost").send("PUT /certificates/issuers/house", body.to_string()).await);
        let issuer = Some(Issuer { provider: provider.into(), ..Issuer::default() });
        let set = SetIssuerRequest { issuer_name: "house".into(), issuer, ..SetIssuerRequest::default() };
        tried.grpc(server.issuers().await.set_issuer(set).await);
    }
    tried
}
