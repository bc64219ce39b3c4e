//! Reading certificates: the placeholder, the newest version, one version.

use crate::client::{Client, policy};

const EC_POLICY: &str = r#""policy":{"id":"https://v1.localhost:8443/certificates/mycert1/policy",
    "key_props":{"exportable":true,"kty":"EC","key_size":256,"reuse_key":false,"crv":"P-256"},
    "secret_props":{"contentType":"application/x-pkcs12"},
    "x509_props":{"subject":"CN=mycert1.example","ekus":["1.3.6.1.5.5.7.3.1","1.3.6.1.5.5.7.3.2"],
    "key_usage":["digitalSignature"],"validity_months":12,"basic_constraints":{"ca":false}},
    "lifetime_actions":[{"trigger":{"lifetime_percentage":80},"action":{"action_type":"ACTION"}}],
    "issuer":{"name":"ISSUER"},"attributes":{"enabled":true,"created":<time>,"updated":<time>}},"#;

const PLACEHOLDER_HEAD: &str = r#"
    200
    content-type: application/json; charset=utf-8
    {"id":"https://v1.localhost:8443/certificates/mycert1/<1>",
    "attributes":{"enabled":false,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>,
    "recoveryLevel":"Recoverable+Purgeable","recoverableDays":90}"#;

#[tokio::test]
async fn before_the_first_completion_there_is_a_disabled_placeholder() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    let policy = EC_POLICY.replace("ACTION", "EmailContacts").replace("ISSUER", "Unknown");
    let expected = format!(
        "{PLACEHOLDER_HEAD},\n{policy}\n\"pending\":{{\"id\":\"https://v1.localhost:8443/certificates/mycert1/pending\"}}}}"
    );
    client.send("GET /certificates/mycert1", "").await.is(&expected);
}

#[tokio::test]
async fn the_placeholder_projects_its_validity() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    let attributes = client.must("GET /certificates/mycert1", "").await["attributes"].clone();
    let time = |name: &str| attributes[name].as_i64().unwrap();
    assert_eq!(time("nbf"), time("created") - 600);
    assert!((365..=366).contains(&((time("exp") - time("created")) / 86_400)));
}

#[tokio::test]
async fn the_version_of_the_placeholder_has_neither_policy_nor_pending() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    let bundle = client.must("GET /certificates/mycert1", "").await;
    let path = bundle["id"].as_str().unwrap().strip_prefix("https://v1.localhost:8443").unwrap();
    client.send(&format!("GET {path}"), "").await.is(&format!("{PLACEHOLDER_HEAD}\n}}"));
}

#[tokio::test]
async fn a_completed_certificate_is_whole_without_a_version_and_short_with_one() {
    let client = Client::start().await;
    client.create("mycert1", "Self").await;
    client.ended("mycert1").await;
    let head = r#"
        200
        content-type: application/json; charset=utf-8
        {"id":"https://v1.localhost:8443/certificates/mycert1/<1>",
        "kid":"https://v1.localhost:8443/keys/mycert1/<1>",
        "sid":"https://v1.localhost:8443/secrets/mycert1/<1>",
        "x5t":"<x5t>","cer":"<cer>",
        "attributes":{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>,
        "recoveryLevel":"Recoverable+Purgeable","recoverableDays":90}"#;
    let policy = EC_POLICY.replace("ACTION", "AutoRenew").replace("ISSUER", "Self");
    let pending = r#""pending":{"id":"https://v1.localhost:8443/certificates/mycert1/pending"}}"#;
    let whole = client.send("GET /certificates/mycert1/", "").await;
    whole.is(&format!("{head},\n{policy}\n{pending}"));
    let id = whole.json()["id"].as_str().unwrap().to_owned();
    let path = id.strip_prefix("https://v1.localhost:8443").unwrap();
    client.send(&format!("GET {path}"), "").await.is(&format!("{head}\n}}"));
}

#[tokio::test]
async fn empty_names_tags_and_order_are_echoed_where_they_were_sent() {
    let client = Client::start().await;
    let body = r#"{"policy":{"key_props":{"kty":"EC"},"x509_props":{"subject":"CN=a","sans":{}},"issuer":{"name":"self"}},
        "tags":{"b":"2","a":"1"},"preserveCertOrder":false}"#;
    let operation = client.must("POST /certificates/mycert1/create", body).await;
    assert_eq!(operation["preserveCertOrder"], false);
    client.ended("mycert1").await;
    let reply = client.send("GET /certificates/mycert1", "").await;
    assert!(reply.body.contains(r#""subject":"CN=a","sans":{},"ekus""#), "{}", reply.body);
    assert!(reply.body.contains(r#""recoverableDays":90},"tags":{"a":"1","b":"2"},"policy""#), "{}", reply.body);
    assert!(reply.body.ends_with(r#"/pending"},"preserveCertOrder":false}"#), "{}", reply.body);
    assert_eq!(reply.json()["policy"]["issuer"]["name"], "self");
}

#[tokio::test]
async fn a_full_policy_is_returned_in_the_format_of_the_service() {
    let client = Client::start().await;
    let body = r#"{"policy":{"key_props":{"kty":"EC","crv":"P-384","exportable":false},
        "secret_props":{"contentType":"application/x-pem-file"},
        "x509_props":{"subject":"CN=a","sans":{"ipAddresses":["10.0.0.1"],"uris":["https://a.example"],
        "upns":["u@a.example"],"dns_names":["a.example"],"emails":["m@a.example"]},
        "ekus":["1.3.6.1.5.5.7.3.1"],"key_usage":["keyCertSign","crlSign"],"validity_months":36,"basic_constraints":{"ca":true}},
        "lifetime_actions":[{"trigger":{"days_before_expiry":30},"action":{"action_type":"AutoRenew"}}],
        "issuer":{"name":"Unknown","cty":"OV-SSL","cert_transparency":false},"attributes":{"enabled":true}}}"#;
    client.must("POST /certificates/mycert1/create", body).await;
    let reply = client.send("GET /certificates/mycert1", "").await;
    let expected = r#"key_props":{"exportable":false,"kty":"EC","key_size":384,"reuse_key":false,"crv":"P-384"},"secret_props":{"contentType":"application/x-pem-file"},"x509_props":{"subject":"CN=a","sans":{"emails":["m@a.example"],"dns_names":["a.example"],"upns":["u@a.example"],"uris":["https://a.example"],"ipAddresses":["10.0.0.1"]},"ekus":["1.3.6.1.5.5.7.3.1"],"key_usage":["cRLSign","keyCertSign"],"validity_months":36,"basic_constraints":{"ca":true}},"lifetime_actions":[{"trigger":{"days_before_expiry":30},"action":{"action_type":"AutoRenew"}}],"issuer":{"name":"Unknown","cty":"OV-SSL","cert_transparency":false},"attributes""#;
    assert!(reply.body.contains(expected), "{}", reply.body);
}

#[tokio::test]
async fn a_new_version_takes_the_policy_that_is_there() {
    let client = Client::start().await;
    client.create("mycert1", "Self").await;
    client.ended("mycert1").await;
    let first = client.must("GET /certificates/mycert1", "").await;
    for body in ["", "{}", r#"{"policy":{"key_props":{},"x509_props":{},"issuer":{},"attributes":{}}}"#] {
        let operation = client.must("POST /certificates/mycert1/create", body).await;
        assert_eq!(operation["issuer"]["name"], "Self");
        client.ended("mycert1").await;
    }
    let last = client.must("GET /certificates/mycert1", "").await;
    assert_ne!(first["id"], last["id"]);
    assert_eq!(first["policy"]["x509_props"], last["policy"]["x509_props"]);
    assert_eq!(first["policy"]["attributes"]["created"], last["policy"]["attributes"]["created"]);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let client = Client::start().await;
    client.send("GET /certificates/mycert1", "").await.is(r#"
        404
        content-type: application/json; charset=utf-8
        {"error":{"code":"CertificateNotFound","message":"A certificate with (name/id) mycert1 was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"}}
    "#);
    client.must("POST /certificates/mycert1/create", &policy("Unknown")).await;
    let other = "GET /certificates/mycert1/a76827a18b63421c917da80f28e9913d";
    client.send(other, "").await.is_refusal(404, "CertificateNotFound", "mycert1");
    client.send("GET /certificates/mycert1/1", "").await.is_refusal(400, "BadParameter", "version");
}
