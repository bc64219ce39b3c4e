//! `GET` and `PATCH /certificates/{name}/policy`.

use crate::client::Client;
use serde_json::json;

const POLICY: &str = r#"
    200
    content-type: application/json; charset=utf-8
    {"id":"https://v1.localhost:8443/certificates/web/policy",
    "key_props":{"exportable":false,"kty":"EC","key_size":384,"reuse_key":true,"crv":"P-384"},
    "secret_props":{"contentType":"application/x-pem-file"},
    "x509_props":{"subject":"CN=a","sans":{"dns_names":["a.example"]},"ekus":["1.3.6.1.5.5.7.3.1"],
    "key_usage":["digitalSignature"],"validity_months":6,"basic_constraints":{"ca":false}},
    "lifetime_actions":[{"trigger":{"days_before_expiry":30},"action":{"action_type":"EmailContacts"}}],
    "issuer":{"name":"Unknown","cty":"OV-SSL"},"attributes":{"enabled":true,"created":<time>,"updated":<time>}}
"#;

async fn client() -> Client {
    let client = Client::start().await;
    let body = r#"{"policy":{"key_props":{"kty":"EC","crv":"P-384","exportable":false,"reuse_key":true},
        "secret_props":{"contentType":"application/x-pem-file"},
        "x509_props":{"subject":"CN=a","sans":{"dns_names":["a.example"]},"ekus":["1.3.6.1.5.5.7.3.1"],"validity_months":6},
        "lifetime_actions":[{"trigger":{"days_before_expiry":30},"action":{"action_type":"EmailContacts"}}],
        "issuer":{"name":"Unknown","cty":"OV-SSL"}}}"#;
    client.must("POST /certificates/web/create", body).await;
    client
}

#[tokio::test]
async fn a_policy_is_read_before_any_version_exists() {
    let client = client().await;
    client.send("GET /certificates/WEB/policy", "").await.is(POLICY);
}

#[tokio::test]
async fn a_change_changes_what_it_names() {
    let client = client().await;
    client
        .send("PATCH /certificates/web/policy", r#"{"issuer":{"name":"Self"}}"#)
        .await
        .is(&POLICY.replace(r#""name":"Unknown""#, r#""name":"Self""#));
    let policy = client
        .must("PATCH /certificates/web/policy", r#"{"x509_props":{"ekus":[],"sans":{"emails":["a@b.example"]}}}"#)
        .await;
    assert_eq!(policy["x509_props"]["ekus"], json!([]));
    assert_eq!(policy["x509_props"]["sans"], json!({"emails": ["a@b.example"]}));
    assert_eq!(policy["x509_props"]["subject"], "CN=a");
    assert_eq!(client.must("GET /certificates/web/policy", "").await, policy);
    assert_eq!(client.must("GET /certificates/web", "").await["policy"], policy);
}

#[tokio::test]
async fn empty_objects_clear_nothing() {
    let client = client().await;
    let empty = r#"{"key_props":{},"secret_props":{},"x509_props":{"sans":{}},"issuer":{},"attributes":{}}"#;
    for body in [empty, "{}", "", r#"{"x509_props":null,"lifetime_actions":null}"#] {
        client.send("PATCH /certificates/web/policy", body).await.is(POLICY);
    }
}

#[tokio::test]
async fn a_new_version_follows_the_changed_policy() {
    let client = Client::start().await;
    client.issued("web").await;
    client
        .must("PATCH /certificates/web/policy", r#"{"key_props":{"crv":"P-384"},"x509_props":{"subject":"CN=b"}}"#)
        .await;
    client.must("POST /certificates/web/create", "{}").await;
    client.ended("web").await;
    let bundle = client.must("GET /certificates/web", "").await;
    assert_eq!(
        (&bundle["policy"]["key_props"]["key_size"], &bundle["policy"]["x509_props"]["subject"]),
        (&json!(384), &json!("CN=b"))
    );
    let der =
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bundle["cer"].as_str().unwrap()).unwrap();
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).unwrap();
    assert_eq!(certificate.subject().to_string(), "CN=b");
}

#[tokio::test]
async fn a_policy_that_would_be_wrong_is_refused_and_stays_as_it_was() {
    let client = client().await;
    for (body, words) in [
        (r#"{"x509_props":{"subject":"nonsense"}}"#, "policy.x509_props.subject"),
        (r#"{"x509_props":{"validity_months":1}}"#, "policy.lifetime_actions[0].trigger.days_before_expiry"),
        (r#"{"key_props":{"key_size":2048}}"#, "policy.key_props.key_size"),
        (r#"{"key_props":{"kty":"RSA-HSM"}}"#, "hardware security module"),
    ] {
        client.send("PATCH /certificates/web/policy", body).await.is_refusal(400, "BadParameter", words);
    }
    client.send("GET /certificates/web/policy", "").await.is(POLICY);
}

#[tokio::test]
async fn a_policy_of_nothing_is_not_found() {
    let client = Client::start().await;
    for request in ["GET /certificates/web/policy", "PATCH /certificates/web/policy"] {
        client.send(request, "").await.is(r#"
            404
            content-type: application/json; charset=utf-8
            {"error":{"code":"CertificateNotFound","message":"A certificate with (name/id) web was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"}}
        "#);
    }
    client.send("PUT /certificates/web/policy", "").await.is_refusal(405, "MethodNotAllowed", "HTTP PUT not allowed");
}

/// An issuer can be deleted while certificates refer to it, so a policy may name one that is not there.
#[tokio::test]
async fn a_policy_may_name_an_issuer_that_is_not_there_yet() {
    let client = client().await;
    let policy = client.must("PATCH /certificates/web/policy", r#"{"issuer":{"name":"later"}}"#).await;
    assert_eq!(policy["issuer"]["name"], "later");
    client.must("DELETE /certificates/web/pending", "").await;
    let create = "POST /certificates/web/create";
    client.send(create, "{}").await.is_refusal(400, "BadParameter", "There is no issuer named later");
    client.test_issuer("later", "").await;
    client.must(create, "{}").await;
    assert_eq!(client.ended("web").await["status"], "completed");
}
