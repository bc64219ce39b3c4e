//! Scenario 11: merge what the CA returned.

use crate::ca::{Ca, pem, x5c};
use crate::client::Client;
use base64::{Engine, engine::general_purpose::STANDARD};

const CREATE: &str = r#"{"policy":{"key_props":{"exportable":false,"kty":"RSA","key_size":2048,"reuse_key":false},
    "x509_props":{"subject":"CN=MyCertSubject1"},"issuer":{"name":"Unknown"}}}"#;

#[tokio::test]
async fn the_answer_is_the_whole_certificate() {
    let client = Client::start().await;
    let operation = client.must("POST /certificates/mycert1/create", CREATE).await;
    let ca = Ca::new();
    let leaf = ca.sign(operation["csr"].as_str().unwrap(), 30);
    let reply = client.send("POST /certificates/mycert1/pending/merge", &x5c(&[&leaf, &ca.certificate()])).await;
    assert_eq!(reply.json()["cer"], STANDARD.encode(&leaf));
    reply.is(r#"
        201
        content-type: application/json; charset=utf-8
        location: https://v1.localhost:8443/certificates/mycert1?api-version=7.4
        {"id":"https://v1.localhost:8443/certificates/mycert1/<1>",
        "kid":"https://v1.localhost:8443/keys/mycert1/<1>",
        "sid":"https://v1.localhost:8443/secrets/mycert1/<1>",
        "x5t":"<x5t>","cer":"<cer>",
        "attributes":{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>,
        "recoveryLevel":"Recoverable+Purgeable","recoverableDays":90},
        "policy":{"id":"https://v1.localhost:8443/certificates/mycert1/policy",
        "key_props":{"exportable":false,"kty":"RSA","key_size":2048,"reuse_key":false},
        "secret_props":{"contentType":"application/x-pkcs12"},
        "x509_props":{"subject":"CN=MyCertSubject1","ekus":["1.3.6.1.5.5.7.3.1","1.3.6.1.5.5.7.3.2"],
        "key_usage":["digitalSignature","keyEncipherment"],"validity_months":12,"basic_constraints":{"ca":false}},
        "lifetime_actions":[{"trigger":{"lifetime_percentage":80},"action":{"action_type":"EmailContacts"}}],
        "issuer":{"name":"Unknown"},"attributes":{"enabled":true,"created":<time>,"updated":<time>}},
        "pending":{"id":"https://v1.localhost:8443/certificates/mycert1/pending"}}
    "#);
    assert_eq!(client.ended("mycert1").await["status"], "completed");
}

#[tokio::test]
async fn what_people_send_in_the_place_of_a_chain_is_taken() {
    let ca = Ca::new();
    for form in ["der", "der without padding", "pem", "base64 of pem", "pkcs7", "pkcs12", "backwards"] {
        let client = Client::start().await;
        let operation = client.create("mycert1", "Unknown").await;
        let leaf = ca.sign(operation["csr"].as_str().unwrap(), 30);
        let body = match form {
            "der" => x5c(&[&leaf]),
            "der without padding" => {
                serde_json::json!({"x5c": [STANDARD.encode(&leaf).trim_end_matches('=')]}).to_string()
            }
            "pem" => serde_json::json!({"x5c": [pem(&leaf) + &pem(&ca.certificate())]}).to_string(),
            "base64 of pem" => x5c(&[(pem(&leaf) + &pem(&ca.certificate())).as_bytes()]),
            "pkcs7" => x5c(&[&ca.pkcs7(&leaf)]),
            "pkcs12" => x5c(&[&ca.pkcs12(&leaf)]),
            _ => x5c(&[&ca.certificate(), &leaf]),
        };
        let reply = client.send("POST /certificates/mycert1/pending/merge", &body).await;
        assert_eq!(reply.status, 201, "{form}: {}", reply.body);
        assert_eq!(reply.json()["cer"], STANDARD.encode(&leaf), "{form}");
    }
}

#[tokio::test]
async fn tags_and_enabled_of_the_merge_are_kept() {
    let client = Client::start().await;
    let operation = client.create("mycert1", "Unknown").await;
    let leaf = Ca::new().sign(operation["csr"].as_str().unwrap(), 30);
    let body =
        serde_json::json!({"x5c": [STANDARD.encode(leaf)], "attributes": {"enabled": false}, "tags": {"a": "b"}});
    let bundle = client.must("POST /certificates/mycert1/pending/merge", &body.to_string()).await;
    assert_eq!((&bundle["attributes"]["enabled"], &bundle["tags"]), (&false.into(), &serde_json::json!({"a": "b"})));
}
