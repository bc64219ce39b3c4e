//! The policy rules for every kind of request: creation, change of a policy, change of a certificate, import, and a new
//! version after what is stored.

use crate::client::Client;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::io::Write;
use std::process::{Command, Stdio};

/// Each rule once, as a part of `x509_props`, with the member and the words of the refusal.
fn refused() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (json!({"sans": {"dns_names": ["10.0.0.1"]}}), "sans.dns_names[0]", "put it into ipAddresses"),
        (json!({"sans": {"dns_names": ["https://a.example"]}}), "sans.dns_names[0]", "the URI into uris"),
        (json!({"sans": {"dns_names": ["a.example."]}}), "sans.dns_names[0]", "remove the leading or trailing dot"),
        (json!({"sans": {"dns_names": ["*.*.example"]}}), "sans.dns_names[0]", "whole first label"),
        (json!({"sans": {"uris": ["https://"]}}), "sans.uris[0]", "no host"),
        (json!({"sans": {"uris": ["http://[::1"]}}), "sans.uris[0]", "IPv6"),
        (json!({"sans": {"emails": ["a..b@x.example"]}}), "sans.emails[0]", "single dots"),
        (json!({"sans": {"emails": ["a@*.x"]}}), "sans.emails[0]", "the host is wrong"),
        (json!({"sans": {"upns": ["nobody"]}}), "sans.upns[0]", "user@suffix"),
        (json!({"sans": {"ipAddresses": ["10.0.0.0/8"]}}), "sans.ipAddresses[0]", "not for a network"),
        (json!({"subject": "CN=a\n"}), "subject", "U+000A"),
        (json!({"subject": "CN=\u{202e}a"}), "subject", "U+202E"),
        (json!({"subject": "CN=\\1b[2J"}), "subject", "U+001B"),
        (json!({"subject": "CN=a, C=CHE"}), "subject", "two letters"),
        (json!({"subject": "", "sans": {"dns_names": ["a.example"]}}), "subject", "its own issuer"),
        (json!({"key_usage": ["keyCertSign"]}), "key_usage", "basic_constraints.ca to true"),
        (json!({"key_usage": ["digitalSignature", "encipherOnly"]}), "key_usage", "keyAgreement"),
        (json!({"key_usage": ["keyEncipherment"]}), "key_usage", "An EC key supports none of these usages"),
        (json!({"basic_constraints": {"ca": true}, "key_usage": ["digitalSignature"]}), "key_usage", "add keyCertSign"),
        (json!({"ekus": ["serverAuth"]}), "ekus[0]", "object identifier"),
        (json!({"validity_months": 0}), "validity_months", "1 to 1200"),
    ]
}

fn body(x509: &Value) -> Value {
    let mut props = json!({"subject": "CN=a.example"});
    for (member, value) in x509.as_object().unwrap() {
        props[member] = value.clone();
    }
    json!({"key_props": {"kty": "EC"}, "x509_props": props, "issuer": {"name": "Self"}})
}

#[tokio::test]
async fn every_rule_holds_for_a_creation() {
    let client = Client::start().await;
    for (x509, member, words) in refused() {
        let body = json!({"policy": body(&x509)}).to_string();
        let reply = client.send("POST /certificates/mycert1/create", &body).await;
        reply.is_refusal(400, "BadParameter", &format!("Property policy.x509_props.{member} has invalid value."));
        reply.is_refusal(400, "BadParameter", words);
    }
    client.send("GET /certificates/mycert1/pending", "").await.is_refusal(404, "PendingCertificateNotFound", "");
}

#[tokio::test]
async fn every_rule_holds_for_a_change_of_a_policy_and_of_a_certificate() {
    let client = Client::start().await;
    client.issued("mycert1").await;
    let before = client.must("GET /certificates/mycert1/policy", "").await;
    for (x509, member, words) in refused() {
        let policy = json!({"x509_props": x509});
        for (request, body) in [
            ("PATCH /certificates/mycert1/policy", policy.to_string()),
            ("PATCH /certificates/mycert1", json!({"policy": policy}).to_string()),
        ] {
            let reply = client.send(request, &body).await;
            reply.is_refusal(400, "BadParameter", &format!("Property policy.x509_props.{member} has invalid value."));
            reply.is_refusal(400, "BadParameter", words);
        }
    }
    assert_eq!(client.must("GET /certificates/mycert1/policy", "").await, before);
}

#[tokio::test]
async fn repeated_names_and_purposes_are_kept_and_signed_once() {
    let client = Client::start().await;
    let x509 = json!({"sans": {"dns_names": ["a.example", "A.example", "b.example"], "ipAddresses": ["::1", "0::1"]},
        "ekus": ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.1"]});
    client.must("POST /certificates/mycert1/create", &json!({"policy": body(&x509)}).to_string()).await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    let bundle = client.must("GET /certificates/mycert1", "").await;
    let stored = &bundle["policy"]["x509_props"];
    assert_eq!(stored["sans"], json!({"dns_names": ["a.example", "b.example"], "ipAddresses": ["::1"]}));
    assert_eq!(stored["ekus"], json!(["1.3.6.1.5.5.7.3.1"]));
    let text = openssl_text(&bundle["cer"]);
    assert!(text.contains("DNS:a.example, DNS:b.example, IP Address:0:0:0:0:0:0:0:1\n"), "{text}");
    assert!(text.contains("TLS Web Server Authentication\n"), "{text}");
}

#[tokio::test]
async fn terraforms_example_is_shown_as_it_was_sent_and_signed_as_it_may_be() {
    let client = Client::start().await;
    let usages =
        json!(["cRLSign", "dataEncipherment", "digitalSignature", "keyAgreement", "keyCertSign", "keyEncipherment"]);
    let policy = json!({"key_props": {"kty": "RSA", "key_size": 2048}, "issuer": {"name": "Self"},
        "x509_props": {"subject": "CN=hello-harness", "key_usage": usages, "validity_months": 12}});
    client.must("POST /certificates/mycert1/create", &json!({"policy": policy}).to_string()).await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    let bundle = client.must("GET /certificates/mycert1", "").await;
    assert_eq!(bundle["policy"]["x509_props"]["key_usage"], usages);
    let text = openssl_text(&bundle["cer"]);
    assert!(text.contains("Digital Signature, Key Encipherment, Data Encipherment, CRL Sign\n"), "{text}");
}

#[tokio::test]
async fn an_empty_list_removes_names_and_an_empty_object_does_not() {
    let client = Client::start().await;
    let x509 = json!({"sans": {"dns_names": ["a.example"], "emails": ["a@b.example"]}});
    client.must("POST /certificates/mycert1/create", &json!({"policy": body(&x509)}).to_string()).await;
    for nothing in [json!({}), json!(null), json!({"dns_names": null})] {
        let change = json!({"x509_props": {"sans": nothing}}).to_string();
        let policy = client.must("PATCH /certificates/mycert1/policy", &change).await;
        assert_eq!(policy["x509_props"]["sans"], x509["sans"], "{nothing}");
    }
    let change = json!({"x509_props": {"sans": {"dns_names": []}}}).to_string();
    for request in ["PATCH /certificates/mycert1/policy", "PATCH /certificates/mycert1"] {
        let change = if request.ends_with("policy") { change.clone() } else { format!(r#"{{"policy":{change}}}"#) };
        client.must(request, &change).await;
        let policy = client.must("GET /certificates/mycert1/policy", "").await;
        assert_eq!(policy["x509_props"]["sans"], json!({"dns_names": []}));
    }
}

#[tokio::test]
async fn imported_members_are_checked_when_they_change_or_are_signed_again() {
    for (file, words) in [
        (include_str!("../data/pem/common-name-of-65-characters.pem"), "longer than 64"),
        (include_str!("../data/pem/300-names.pem"), "at most 250"),
    ] {
        let client = Client::start().await;
        let imported = client.must("POST /certificates/mycert1/import", &json!({"value": file}).to_string()).await;
        let x509 = &imported["policy"]["x509_props"];
        for change in [
            json!({"lifetime_actions": [{"trigger": {"days_before_expiry": 1}, "action": {"action_type": "EmailContacts"}}]}),
            json!({"issuer": {"name": "Self"}}),
            json!({"key_props": {"exportable": false}, "attributes": {"enabled": false}}),
            json!({"x509_props": {"ekus": ["1.3.6.1.5.5.7.3.1"]}}),
        ] {
            client.must("PATCH /certificates/mycert1", &json!({"policy": change}).to_string()).await;
            let changed = client.must("PATCH /certificates/mycert1/policy", &change.to_string()).await;
            assert_eq!(
                (&changed["x509_props"]["subject"], &changed["x509_props"]["sans"]),
                (&x509["subject"], &x509["sans"])
            );
        }
        // Clients read a policy, change one member, and send all of it.
        let mut whole = client.must("GET /certificates/mycert1/policy", "").await;
        for percentage in [70, 71] {
            whole["lifetime_actions"] = json!([
                {"trigger": {"lifetime_percentage": percentage}, "action": {"action_type": "EmailContacts"}}
            ]);
            let (request, body) = match percentage {
                70 => ("PATCH /certificates/mycert1/policy", whole.to_string()),
                _ => ("PATCH /certificates/mycert1", json!({"policy": whole}).to_string()),
            };
            client.must(request, &body).await;
            let changed = client.must("GET /certificates/mycert1/policy", "").await;
            for member in ["key_props", "secret_props", "x509_props", "lifetime_actions", "issuer"] {
                assert_eq!(changed[member], whole[member], "{member}");
            }
        }
        // What becomes different is checked, and so is all of a new version.
        let other = json!({"x509_props": {"subject": format!("CN={}", "b".repeat(65))}}).to_string();
        client.send("PATCH /certificates/mycert1/policy", &other).await.is_refusal(
            400,
            "BadParameter",
            "longer than 64",
        );
        client.send("POST /certificates/mycert1/create", "{}").await.is_refusal(400, "BadParameter", words);
        let cured =
            json!({"x509_props": {"subject": "CN=a.example", "sans": {"dns_names": ["a.example"]}}}).to_string();
        client.must("PATCH /certificates/mycert1/policy", &cured).await;
        client.must("POST /certificates/mycert1/create", "{}").await;
        assert_eq!(client.ended("mycert1").await["status"], "completed");
    }
}

#[tokio::test]
async fn an_import_refuses_the_words_that_a_creation_refuses() {
    let client = Client::start().await;
    let file = include_str!("../data/pem/300-names.pem");
    for (policy, words) in [
        (json!({"issuer": {"name": "a b"}}), "policy.issuer.name"),
        (json!({"issuer": {"name": "Self", "cty": "a\u{202e}"}}), "policy.issuer.cty"),
        (json!({"profile": "server"}), "policy.profile"),
    ] {
        let body = json!({"value": file, "policy": policy}).to_string();
        client.send("POST /certificates/mycert1/import", &body).await.is_refusal(400, "BadParameter", words);
    }
}

/// Nothing is ordered by an import: the next creation looks for the issuer.
#[tokio::test]
async fn an_import_may_name_an_issuer_that_is_not_there() {
    let client = Client::start().await;
    let file = include_str!("../data/pem/common-name-of-65-characters.pem");
    let body = json!({"value": file, "policy": {"issuer": {"name": "nosuch"}}}).to_string();
    let imported = client.must("POST /certificates/mycert1/import", &body).await;
    assert_eq!(imported["policy"]["issuer"]["name"], "nosuch");
    let subject = json!({"x509_props": {"subject": "CN=a.example"}}).to_string();
    client.must("PATCH /certificates/mycert1/policy", &subject).await;
    client.send("POST /certificates/mycert1/create", "{}").await.is_refusal(
        400,
        "BadParameter",
        "no issuer named nosuch",
    );
}

#[tokio::test]
async fn usages_that_exclude_each_other_are_not_signed() {
    let client = Client::start().await;
    let all = json!(["decipherOnly", "digitalSignature", "encipherOnly", "keyAgreement"]);
    let policy = |usages: &Value| {
        json!({"policy": {
            "key_props": {"kty": "EC", "crv": "P-256"},
            "x509_props": {"subject": "CN=a", "key_usage": usages},
            "issuer": {"name": "Self"},
        }})
        .to_string()
    };
    client.must("POST /certificates/mycert1/create", &policy(&all)).await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    let bundle = client.must("GET /certificates/mycert1", "").await;
    assert_eq!(bundle["policy"]["x509_props"]["key_usage"], all);
    let text = openssl_text(&bundle["cer"]);
    assert!(text.contains("Digital Signature, Key Agreement\n"), "{text}");
    let only = json!(["keyAgreement", "encipherOnly", "decipherOnly"]);
    client.send("POST /certificates/mycert1/create", &policy(&only)).await.is_refusal(
        400,
        "BadParameter",
        "exclude each other",
    );
    let one = json!(["keyAgreement", "encipherOnly"]);
    client.must("POST /certificates/mycert1/create", &policy(&one)).await;
}

#[tokio::test]
async fn members_that_are_not_offered_are_refused_by_their_name() {
    let client = Client::start().await;
    let create = "POST /certificates/mycert1/create";
    for (path, change) in [
        ("profile", json!({"profile": "server"})),
        ("validity", json!({"validity": "P7D"})),
        ("options", json!({"options": {"a": 1}})),
        ("policy.profile", json!({"policy": {"profile": "server"}})),
        ("policy.platformManaged", json!({"policy": {"platformManaged": {"certificateUsage": "x"}}})),
        ("policy.issuer.options", json!({"policy": {"issuer": {"options": {"a": 1}}}})),
        ("policy.x509_props.validity", json!({"policy": {"x509_props": {"validity": "P7D"}}})),
        (
            "policy.x509_props.basic_constraints.path_length",
            json!({"policy": {"x509_props": {"basic_constraints": {"path_length": 0}}}}),
        ),
        ("policy.key_properties", json!({"policy": {"key_properties": {"exportable": false}}})),
        ("policy.secret_properties", json!({"policy": {"secret_properties": {"content_type": "PEM"}}})),
        ("policy.x509_properties", json!({"policy": {"x509_properties": {"subject": "CN=a"}}})),
        ("policy.key_props.key_type", json!({"policy": {"key_props": {"key_type": "EC"}}})),
        ("policy.key_props.curve", json!({"policy": {"key_props": {"kty": "EC", "curve": "P-384"}}})),
        ("policy.secret_props.content_type", json!({"policy": {"secret_props": {"content_type": "PEM"}}})),
        (
            "policy.x509_props.subject_alternative_names",
            json!({"policy": {"x509_props": {"subject_alternative_names": {"dns_names": ["a.example"]}}}}),
        ),
        ("policy.x509_props.key_usages", json!({"policy": {"x509_props": {"key_usages": ["DIGITAL_SIGNATURE"]}}})),
        (
            "policy.x509_props.sans.ip_addresses",
            json!({"policy": {"x509_props": {"sans": {"ip_addresses": ["192.0.2.1"]}}}}),
        ),
        ("policy.issuer.certificate_type", json!({"policy": {"issuer": {"certificate_type": "server"}}})),
        ("policy.issuer.certificate_transparency", json!({"policy": {"issuer": {"certificate_transparency": false}}})),
        ("preserve_cert_order", json!({"preserve_cert_order": true})),
    ] {
        let reply = client.send(create, &change.to_string()).await;
        reply.is_refusal(400, "BadParameter", &format!("Property {path} has invalid value. "));
    }
    for (path, change) in [
        ("validity", json!({"provider": "LocalCA", "validity": "P1Y"})),
        ("key_type", json!({"provider": "LocalCA", "key_type": "P-384"})),
        ("organization", json!({"provider": "LocalCA", "organization": {"id": "Example"}})),
        ("org_details.administrators", json!({"provider": "LocalCA", "org_details": {"administrators": [{}]}})),
        ("credentials.password", json!({"provider": "LocalCA", "credentials": {"password": "x"}})),
    ] {
        for method in ["PUT", "PATCH"] {
            let reply = client.send(&format!("{method} /certificates/issuers/house"), &change.to_string()).await;
            reply.is_refusal(400, "BadParameter", &format!("Property {path} has invalid value. "));
        }
    }
    let options = json!({"provider": "LocalCA", "options": {"a": 1}}).to_string();
    let reply = client.send("PUT /certificates/issuers/house", &options).await;
    reply.is_refusal(
        400,
        "BadParameter",
        "Property options.a has invalid value. Unknown option. LocalCA has: key_type, subject, parent, validity_months.",
    );
    let tolerated =
        json!({"policy": body(&json!({"future": 1})), "csr": null, "profile": "", "options": {}, "future": [1]});
    client.must(create, &tolerated.to_string()).await;
}

fn openssl_text(cer: &Value) -> String {
    let der = STANDARD.decode(cer.as_str().unwrap()).unwrap();
    let arguments = ["x509", "-inform", "DER", "-noout", "-text"];
    let mut child =
        Command::new("openssl").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&der).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}
