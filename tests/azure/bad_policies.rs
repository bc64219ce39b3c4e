//! Errors for policies of which no certificate can be made.

use crate::client::{Client, policy};

const CREATE: &str = "POST /certificates/mycert1/create";

async fn refused(policy: &str, words: &str) {
    let client = Client::start().await;
    let reply = client.send(CREATE, &format!("{{\"policy\":{policy}}}")).await;
    reply.is_refusal(400, "BadParameter", words);
    client.send("GET /certificates/mycert1/pending", "").await.is_refusal(404, "PendingCertificateNotFound", "");
}

#[tokio::test]
async fn a_subject_that_is_no_name() {
    refused(
        r#"{"x509_props":{"subject":"nonsense"}}"#,
        "Property policy.x509_props.subject has invalid value. Invalid X.500 distinguished name",
    )
    .await;
}

#[tokio::test]
async fn a_subject_that_is_too_long() {
    let subject = format!("CN={}", "x".repeat(200));
    refused(&format!(r#"{{"x509_props":{{"subject":"{subject}"}}}}"#), "Longer than 200 characters").await;
}

#[tokio::test]
async fn no_subject_and_no_alternative_name() {
    for policy in ["{}", "null", r#"{"x509_props":{"subject":""}}"#, r#"{"x509_props":{"sans":{}}}"#] {
        refused(policy, "Either a subject or a subject alternative name is needed.").await;
    }
}

#[tokio::test]
async fn an_alternative_name_that_is_none() {
    refused(
        r#"{"x509_props":{"subject":"CN=a","sans":{"dns_names":["a..b"]}}}"#,
        "policy.x509_props.sans.dns_names[0]",
    )
    .await;
    refused(r#"{"x509_props":{"subject":"CN=a","sans":{"ipAddresses":["1.2.3"]}}}"#, "sans.ipAddresses[0]").await;
}

#[tokio::test]
async fn a_key_type_that_is_not_known() {
    refused(r#"{"key_props":{"kty":"DSA"},"x509_props":{"subject":"CN=a"}}"#, "policy.key_props.kty").await;
    refused(r#"{"key_props":{"kty":"RSA-HSM"},"x509_props":{"subject":"CN=a"}}"#, "hardware security module").await;
}

#[tokio::test]
async fn a_key_size_that_is_not_known() {
    for size in ["1024", "2047", "8192", "-1", "0"] {
        let policy = format!(r#"{{"key_props":{{"kty":"RSA","key_size":{size}}},"x509_props":{{"subject":"CN=a"}}}}"#);
        refused(&policy, "use 2048, 3072 or 4096").await;
    }
    refused(
        r#"{"key_props":{"kty":"EC","crv":"P-192"},"x509_props":{"subject":"CN=a"}}"#,
        "P-256, P-384, P-521 or P-256K",
    )
    .await;
}

#[tokio::test]
async fn a_validity_out_of_range() {
    for months in ["0", "-1", "1201", "9223372036854775807"] {
        let policy = format!(r#"{{"x509_props":{{"subject":"CN=a","validity_months":{months}}}}}"#);
        refused(&policy, "policy.x509_props.validity_months").await;
    }
}

#[tokio::test]
async fn all_that_is_wrong_is_named_at_once() {
    let policy = r#"{"key_props":{"key_size":7},"x509_props":{"subject":"CN=a","validity_months":0,"ekus":["x"]}}"#;
    refused(policy, "Property policy.key_props.key_size").await;
    refused(policy, "Property policy.x509_props.validity_months").await;
    refused(policy, "Property policy.x509_props.ekus[0]").await;
}

#[tokio::test]
async fn an_issuer_that_does_not_exist() {
    let client = Client::start().await;
    let reply = client.send(CREATE, &policy("nobody")).await;
    reply.is_refusal(400, "BadParameter", "There is no issuer named nobody in this vault");
}

#[tokio::test]
async fn an_issuer_that_is_disabled() {
    let client = Client::start().await;
    client.must("PUT /certificates/issuers/off", r#"{"provider":"Test","attributes":{"enabled":false}}"#).await;
    client.send(CREATE, &policy("off")).await.is_refusal(400, "BadParameter", "The issuer off is disabled");
}

#[tokio::test]
async fn too_many_tags() {
    let client = Client::start().await;
    let tags: serde_json::Map<_, _> = (0..16).map(|n| (format!("t{n}"), "v".into())).collect();
    let body = serde_json::json!({"policy": {"x509_props": {"subject": "CN=a"}}, "tags": tags});
    client.send(CREATE, &body.to_string()).await.is_refusal(400, "BadParameter", "at most 15");
}
