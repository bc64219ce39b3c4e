//! Profiles of a built-in CA over REST: set, shown, changed, chosen, and what they allow.

use crate::client::Client;
use crate::own_request::{OwnKey, P256, pem};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

const CORP: &str = "/certificates/issuers/corp";
const CREATE: &str = "POST /certificates/mycert1/create";

fn server() -> Value {
    json!({"max_validity": "P90D", "validity": "P30D", "names": {"dns": ["*.corp.example"], "ip": ["10.0.0.0/8"]},
        "keys": ["EC-P256", "EC-P384", "RSA-2048+"], "ekus": ["1.3.6.1.5.5.7.3.1"], "subject": "from-request",
        "max_names": 100, "revocation": "auto", "must_staple": false})
}

async fn with(profiles: Value) -> Client {
    let client = Client::start().await;
    let body = json!({"provider": "LocalCA", "profiles": profiles}).to_string();
    client.must(&format!("PUT {CORP}"), &body).await;
    client
}

fn create(cty: Option<&str>, x509: Value) -> String {
    let mut props = json!({"subject": "CN=web.corp.example", "sans": {"dns_names": ["web.corp.example"]}});
    for (member, value) in x509.as_object().unwrap() {
        props[member] = value.clone();
    }
    let mut issuer = json!({"name": "corp"});
    if let Some(cty) = cty {
        issuer["cty"] = cty.into();
    }
    json!({"policy": {"key_props": {"kty": "EC"}, "x509_props": props, "issuer": issuer}}).to_string()
}

/// The newest certificate as OpenSSL prints it, and its bundle.
async fn issued(client: &Client, own: &OwnKey) -> (String, Value) {
    let operation = client.ended("mycert1").await;
    assert_eq!(operation["status"], "completed", "{operation}");
    let bundle = client.must("GET /certificates/mycert1", "").await;
    std::fs::write(own.path("leaf.der"), STANDARD.decode(bundle["cer"].as_str().unwrap()).unwrap()).unwrap();
    (own.run("openssl", "x509 -inform DER -in leaf.der -noout -text"), bundle)
}

fn lives(bundle: &Value) -> i64 {
    let attributes = &bundle["attributes"];
    // Ten minutes before the operation to its end.
    attributes["exp"].as_i64().unwrap() - attributes["nbf"].as_i64().unwrap() - 600
}

#[tokio::test]
async fn profiles_are_shown_as_they_were_set_and_stay_until_they_are_removed() {
    let client = with(json!({"server": server(), "job": {"max_validity": "PT8H"}})).await;
    let shown = client.must(&format!("GET {CORP}"), "").await;
    assert_eq!(shown["profiles"], json!({"server": server(), "job": {"max_validity": "PT8H"}}));
    assert!(shown.get("options").is_none() && shown.get("default_profile").is_none(), "{shown}");
    // A client of Key Vault that knows nothing of them.
    for (method, body) in [
        ("PUT", json!({"provider": "LocalCA"})),
        ("PUT", json!({"provider": "LocalCA", "profiles": {}, "default_profile": null})),
        ("PATCH", json!({"attributes": {"enabled": true}})),
    ] {
        client.must(&format!("{method} {CORP}"), &body.to_string()).await;
        assert_eq!(client.must(&format!("GET {CORP}"), "").await["profiles"], shown["profiles"], "{method} {body}");
    }
    let change =
        json!({"profiles": {"job": null, "mail": {"ekus": ["1.3.6.1.5.5.7.3.4"]}}, "default_profile": "server"});
    let changed = client.must(&format!("PATCH {CORP}"), &change.to_string()).await;
    assert_eq!(changed["profiles"], json!({"server": server(), "mail": {"ekus": ["1.3.6.1.5.5.7.3.4"]}}));
    assert_eq!(changed["default_profile"], "server");
    client.must(&format!("PATCH {CORP}"), &json!({"profiles": {"server": null}}).to_string()).await;
    let left = client.must(&format!("PATCH {CORP}"), &json!({"profiles": {"mail": null}}).to_string()).await;
    assert!(left.get("profiles").is_none() && left.get("default_profile").is_none(), "{left}");
}

#[tokio::test]
async fn a_profile_that_cannot_be_read_changes_nothing() {
    let client = with(json!({"server": server()})).await;
    let before = client.must(&format!("GET {CORP}"), "").await;
    for (change, words) in [
        (json!({"profiles": {"x": {"max_validity": "90d"}}}), "Property profiles.x.max_validity has invalid value."),
        (json!({"profiles": {"x": {"names": {"ip": ["10.0.0.1/8"]}}}}), "Property profiles.x.names.ip[0] has"),
        (json!({"profiles": {"x": {"keys": ["RSA-1024"]}}}), "Property profiles.x.keys[0] has invalid value."),
        (json!({"profiles": {"x": {"ekus": ["1.3.6.1.5.5.7.3.9"]}}}), "Property profiles.x.ekus[0] has invalid value."),
        (json!({"profiles": {"x": {"max_validty": "P1D"}}}), "profiles.x"),
        (json!({"profiles": {"x": {"names": {"dsn": ["a.example"]}}}}), "profiles.x.names"),
        (json!({"profiles": {"x": []}}), "profiles.x"),
        (json!({"profiles": {"a b": {}}}), "not a name of a profile"),
        (
            json!({"default_profile": "nobody"}),
            "Property default_profile has invalid value. \"nobody\" is not a profile",
        ),
        (json!({"options": {"certmint.profiles": "{}"}}), "Set it in the member profiles."),
    ] {
        let reply = client.send(&format!("PATCH {CORP}"), &change.to_string()).await;
        reply.is_refusal(400, "BadParameter", words);
    }
    assert_eq!(client.must(&format!("GET {CORP}"), "").await, before);
    let other = json!({"provider": "Test", "profiles": {"x": {}}}).to_string();
    client.send("PUT /certificates/issuers/test", &other).await.is_refusal(400, "BadParameter", "rules of a LocalCA");
}

#[tokio::test]
async fn a_request_is_under_the_profile_that_it_names() {
    let client = with(json!({"server": server(), "any": {}})).await;
    let own = OwnKey::new(P256);
    let refused = async |cty: Option<&str>, x509: Value, words: &str| {
        client.send(CREATE, &create(cty, x509)).await.is_refusal(400, "BadParameter", words);
    };
    refused(
        None,
        json!({}),
        "Property policy.issuer.cty has invalid value. The issuer has profiles: name one of any, server.",
    )
    .await;
    refused(Some("OV-SSL"), json!({}), "\"OV-SSL\" is not a profile of the issuer: use one of any, server.").await;
    let foreign = json!({"sans": {"dns_names": ["web.other.example"]}, "subject": "CN=evil.example"});
    refused(
        Some("server"),
        foreign,
        "The profile server of the issuer does not allow it: the name web.other.example is not allowed; the name evil.example is not allowed as a common name.",
    )
    .await;
    refused(
        Some("server"),
        json!({"ekus": ["1.3.6.1.5.5.7.3.2"]}),
        "the extended key usage 1.3.6.1.5.5.7.3.2 is not allowed",
    )
    .await;
    client.send("GET /certificates/mycert1", "").await.is_refusal(404, "CertificateNotFound", "");
    client.must(CREATE, &create(Some("server"), json!({}))).await;
    let (text, bundle) = issued(&client, &own).await;
    assert!(text.contains("TLS Web Server Authentication\n") && !text.contains("Client Authentication"), "{text}");
    // One month in most of them, two from the end of January on.
    let months = bundle["policy"]["x509_props"]["validity_months"].as_i64().unwrap();
    assert!(lives(&bundle) == 30 * 86_400 && (1..=2).contains(&months), "{bundle}");
    assert_eq!(bundle["policy"]["issuer"], json!({"name": "corp", "cty": "server"}));
    // The stored policy names it for the next version.
    client.must(CREATE, "{}").await;
    assert_eq!(lives(&issued(&client, &own).await.1), 30 * 86_400);
    client.must(CREATE, &create(Some("server"), json!({"validity_months": 12}))).await;
    let (_, bundle) = issued(&client, &own).await;
    let months = bundle["policy"]["x509_props"]["validity_months"].as_i64().unwrap();
    assert!(lives(&bundle) == 90 * 86_400 && (3..=4).contains(&months), "{bundle}");
    client.must(CREATE, &create(Some("any"), json!({"subject": "CN=evil.example", "sans": null}))).await;
    issued(&client, &own).await;
    client.must(&format!("PATCH {CORP}"), r#"{"default_profile":"server"}"#).await;
    client.send(CREATE, &create(None, json!({"subject": "CN=evil.example"}))).await.is_refusal(
        400,
        "BadParameter",
        "as a common name",
    );
}

#[tokio::test]
async fn a_short_certificate_says_that_nobody_will_revoke_it_and_a_stapled_one_that_it_is() {
    let own = OwnKey::new(P256);
    let client = with(json!({
        "job": {"max_validity": "PT8H"},
        "week": {"max_validity": "P7D"},
        "quiet": {"max_validity": "P1D", "revocation": "none"},
        "staple": {"must_staple": true}
    }))
    .await;
    for (profile, seconds, without_status) in
        [("job", 8 * 3600, true), ("week", 7 * 86_400, false), ("quiet", 86_400, false)]
    {
        client.must(CREATE, &create(Some(profile), json!({}))).await;
        let (text, bundle) = issued(&client, &own).await;
        assert_eq!(lives(&bundle), seconds, "{profile}");
        // With the ten minutes before, seven days are more than a week.
        let says_so = text.contains("No Revocation Available") || text.contains("2.5.29.56");
        assert_eq!(says_so, without_status, "{profile}: {text}");
    }
    client.must(CREATE, &create(Some("staple"), json!({}))).await;
    let (text, _) = issued(&client, &own).await;
    assert!(text.contains("TLS Feature: \n                status_request"), "{text}");
}

#[tokio::test]
async fn a_callers_own_request_is_under_the_profile_too() {
    let client =
        with(json!({"server": server(), "staple": {"must_staple": true, "names": {"dns": ["*.corp.example"]}}})).await;
    let own = OwnKey::new(P256);
    let asked = |csr: &[u8], cty: &str| {
        json!({"csr": pem(csr), "policy": {"issuer": {"name": "corp", "cty": cty}}}).to_string()
    };
    let names = "subjectAltName=DNS:web.corp.example";
    for (extensions, words) in [
        (&["subjectAltName=DNS:web.other.example"][..], "the name web.other.example is not allowed"),
        (&[names, "extendedKeyUsage=clientAuth"], "the policy has 1.3.6.1.5.5.7.3.1"),
        (&[names, "tlsfeature=status_request"], "without tlsFeature (must-staple)"),
    ] {
        let csr = own.csr("/CN=web.corp.example", extensions, "");
        client.send(CREATE, &asked(&csr, "server")).await.is_refusal(400, "BadParameter", words);
    }
    client.send(CREATE, &asked(&own.csr("/CN=evil.example", &[names], ""), "server")).await.is_refusal(
        400,
        "BadParameter",
        "as a common name",
    );
    client.must(CREATE, &asked(&own.csr("/CN=web.corp.example", &[names], ""), "server")).await;
    let (_, bundle) = issued(&client, &own).await;
    assert_eq!(lives(&bundle), 30 * 86_400);
    client.must(CREATE, &asked(&own.csr("/", &[names, "tlsfeature=status_request"], ""), "staple")).await;
    let (text, _) = issued(&client, &own).await;
    assert!(text.contains("TLS Feature"), "{text}");
}

#[tokio::test]
async fn a_subject_is_made_of_the_first_name() {
    let client =
        with(json!({"server": {"subject": "cn-from-first-name", "o": "Corp"}, "bare": {"subject": "empty"}})).await;
    let own = OwnKey::new(P256);
    client.must(CREATE, &create(Some("server"), json!({"subject": ""}))).await;
    let (text, bundle) = issued(&client, &own).await;
    assert!(text.contains("Subject: O = Corp, CN = web.corp.example"), "{text}");
    assert_eq!(bundle["policy"]["x509_props"]["subject"], "CN=web.corp.example,O=Corp");
    client.must(CREATE, &create(Some("bare"), json!({"subject": ""}))).await;
    let (text, _) = issued(&client, &own).await;
    assert!(text.contains("Subject: \n") || text.contains("Subject:\n"), "{text}");
    let reply = client.send(CREATE, &create(Some("bare"), json!({}))).await;
    reply.is_refusal(400, "BadParameter", "the subject must be empty");
}
