//! Import: input, responses and refusals.

use crate::client::{Client, HOST};
use crate::pfx::{P256, Pfx, RSA};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::json;

const IMPORT: &str = "POST /certificates/mycert1/import";

#[tokio::test]
async fn the_answer_is_the_whole_certificate_with_the_policy_that_it_says_of_itself() {
    let client = Client::start().await;
    let pfx = Pfx::new(
        RSA,
        "-addext subjectAltName=DNS:a.example,IP:10.0.0.1 -addext keyUsage=digitalSignature,keyEncipherment -addext extendedKeyUsage=serverAuth",
    );
    client.send(IMPORT, &pfx.body()).await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"id":"https://v1.localhost:8443/certificates/mycert1/<1>",
        "kid":"https://v1.localhost:8443/keys/mycert1/<1>",
        "sid":"https://v1.localhost:8443/secrets/mycert1/<1>",
        "x5t":"<x5t>","cer":"<cer>",
        "attributes":{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>,
        "recoveryLevel":"Recoverable+Purgeable","recoverableDays":90},
        "policy":{"id":"https://v1.localhost:8443/certificates/mycert1/policy",
        "key_props":{"exportable":true,"kty":"RSA","key_size":2048,"reuse_key":false},
        "secret_props":{"contentType":"application/x-pkcs12"},
        "x509_props":{"subject":"CN=web, O=Contoso, S=WA, C=US","sans":{"emails":[],"dns_names":["a.example"],"upns":[],"ipAddresses":["10.0.0.1"]},
        "ekus":["1.3.6.1.5.5.7.3.1"],"key_usage":["digitalSignature","keyEncipherment"],
        "validity_months":12,"basic_constraints":{"ca":true}},
        "lifetime_actions":[{"trigger":{"lifetime_percentage":80},"action":{"action_type":"EmailContacts"}}],
        "issuer":{"name":"Unknown"},"attributes":{"enabled":true,"created":<time>,"updated":<time>}}}
    "#);
}

/// The recorded import of a PEM, but for the certificate.
#[tokio::test]
async fn raw_pem_with_a_policy_is_taken_and_the_subject_comes_from_the_certificate() {
    let client = Client::start().await;
    let body = json!({
        "value": Pfx::new(RSA, "-addext basicConstraints=CA:FALSE").pem(),
        "policy": {"secret_props": {"contentType": "application/x-pem-file"}, "x509_props": {"subject": "CN=AzureSDK"},
            "issuer": {"name": "Self"}},
        "attributes": {"enabled": true}, "tags": {"key": "val"}, "preserveCertOrder": false,
    });
    let reply = client.send(IMPORT, &body.to_string()).await;
    let expected = r#""tags":{"key":"val"},"policy":{"id":"https://v1.localhost:8443/certificates/mycert1/policy","key_props":{"exportable":true,"kty":"RSA","key_size":2048,"reuse_key":false},"secret_props":{"contentType":"application/x-pem-file"},"x509_props":{"subject":"CN=web, O=Contoso, S=WA, C=US","ekus":[],"key_usage":[],"validity_months":12,"basic_constraints":{"ca":false}},"lifetime_actions":[{"trigger":{"lifetime_percentage":80},"action":{"action_type":"AutoRenew"}}],"issuer":{"name":"Self"},"#;
    assert!(reply.body.contains(expected), "{}", reply.body);
    assert!(reply.body.ends_with(r#"},"preserveCertOrder":false}"#), "{}", reply.body);
}

#[tokio::test]
async fn what_the_clients_send_is_taken() {
    let client = Client::start().await;
    let pfx = Pfx::new(P256, "");
    let certificate = json!({"value": pfx.base64("", "")})["value"].clone();
    for (form, body, content_type) in [
        ("base64 of a PFX", json!({"value": certificate}), "application/x-pkcs12"),
        ("with a password", serde_json::from_str(&pfx.body()).unwrap(), "application/x-pkcs12"),
        ("raw PEM", json!({"value": pfx.pem()}), "application/x-pem-file"),
        ("base64 of PEM", json!({"value": STANDARD.encode(pfx.pem())}), "application/x-pem-file"),
        (
            "empty objects",
            json!({"value": certificate, "pwd": null, "attributes": {}, "policy": {"key_props": {}, "secret_props": {},
                "x509_props": {"sans": {}}, "issuer": {}, "attributes": {}}}),
            "application/x-pkcs12",
        ),
        (
            "PEM that is to be handed out as PFX",
            json!({"value": pfx.pem(), "policy": {"secret_props": {"contentType": "application/x-pkcs12"}}}),
            "application/x-pkcs12",
        ),
    ] {
        let bundle = client.must(IMPORT, &body.to_string()).await;
        assert_eq!(bundle["policy"]["secret_props"]["contentType"], content_type, "{form}");
        assert_eq!(bundle["policy"]["key_props"]["crv"], "P-256", "{form}");
    }
}

#[tokio::test]
async fn an_import_over_a_certificate_is_a_new_version_of_it() {
    let client = Client::start().await;
    client.create("mycert1", "Self").await;
    client.ended("mycert1").await;
    let first = client.must("GET /certificates/mycert1", "").await;
    let imported = client.must(IMPORT, &Pfx::new(P256, "").body()).await;
    assert_ne!(imported["id"], first["id"]);
    assert_eq!(imported["policy"]["attributes"]["created"], first["policy"]["attributes"]["created"]);
    assert_eq!(client.must("GET /certificates/mycert1", "").await, imported);
    let path = first["id"].as_str().unwrap().strip_prefix(&format!("https://{HOST}")).unwrap();
    assert_eq!(client.must(&format!("GET {path}"), "").await["cer"], first["cer"]);
}

#[tokio::test]
async fn while_a_creation_is_in_progress_an_import_is_refused() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    // Before the file is looked at.
    for body in [Pfx::new(P256, "").body(), r#"{"value":"no base64!"}"#.to_owned()] {
        client.send(IMPORT, &body).await.is(r#"
            409
            content-type: application/json; charset=utf-8
            {"error":{"code":"Forbidden","message":"A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress."}}
        "#);
    }
    assert_eq!(client.must("GET /certificates/mycert1/pending", "").await["status"], "inProgress");
}

#[tokio::test]
async fn an_operation_that_has_ended_is_overwritten() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    client.must("PATCH /certificates/mycert1/pending", r#"{"cancellation_requested":true}"#).await;
    assert_eq!(client.ended("mycert1").await["status"], "cancelled");
    let bundle = client.must(IMPORT, &Pfx::new(P256, "").body()).await;
    assert!(bundle["pending"].is_null(), "{bundle}");
    client.send("GET /certificates/mycert1/pending", "").await.is_refusal(
        404,
        "PendingCertificateNotFound",
        "Pending certificate not found: mycert1",
    );
    let whole = client.must("GET /certificates/mycert1", "").await;
    assert!(whole["pending"].is_null() && whole["attributes"]["enabled"] == true, "{whole}");
}

#[tokio::test]
async fn an_imported_certificate_can_be_created_anew_with_the_policy_that_it_brought() {
    let client = Client::start().await;
    let pfx = Pfx::new(P256, "");
    let body = json!({"value": pfx.pem(), "policy": {"key_props": {"reuse_key": true}, "issuer": {"name": "Self"}}});
    let imported = client.must(IMPORT, &body.to_string()).await;
    client.must("POST /certificates/mycert1/create", "{}").await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    let renewed = client.must("GET /certificates/mycert1", "").await;
    assert_ne!(renewed["cer"], imported["cer"]);
    assert_eq!(renewed["policy"]["x509_props"], imported["policy"]["x509_props"]);
    let key = |bundle: &serde_json::Value| {
        pfx.keep(bundle);
        pfx.text("pub.pem")
    };
    assert_eq!(key(&renewed), key(&imported), "the imported key was used again");
}

#[tokio::test]
async fn object_identifiers_with_arcs_of_128_bits_are_renewed_changed_and_created() {
    const UUID: &str = "2.25.329800735698586629295641978511506172918";
    let client = Client::start().await;
    let pfx = Pfx::new(P256, "");
    pfx.openssl(&format!(
        "req -x509 -key key.pem -out cert.pem -days 9 -subj /{UUID}=x/CN=a -addext extendedKeyUsage={UUID}"
    ));
    let body = json!({"value": pfx.pem(), "policy": {"issuer": {"name": "Self"}}});
    let imported = client.must(IMPORT, &body.to_string()).await;
    assert_eq!(imported["policy"]["x509_props"]["ekus"], json!([UUID]));
    let subject = imported["policy"]["x509_props"]["subject"].clone();
    client
        .must("PATCH /certificates/mycert1/policy", &json!({"x509_props": {"ekus": [UUID, "2.999.1"]}}).to_string())
        .await;
    client.must("POST /certificates/mycert1/create", "{}").await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    let renewed = client.must("GET /certificates/mycert1", "").await;
    pfx.keep(&renewed);
    assert_eq!(renewed["policy"]["x509_props"]["subject"], subject);
    let text = pfx.openssl("x509 -in cert.pem -noout -text -nameopt RFC2253,oid");
    assert!(text.contains(UUID) && text.contains("2.999.1"), "{text}");
    let create = |ekus: &str, subject: &str| {
        let (oids, subject) = (json!([ekus]), json!(subject));
        json!({"policy": {"key_props": {"kty": "EC"}, "issuer": {"name": "Self"},
            "x509_props": {"subject": subject, "ekus": oids}}})
        .to_string()
    };
    let larger = format!("2.25.{}0", u128::MAX);
    for bad in [create(&larger, "CN=a"), create("1.40.1", "CN=a"), create(UUID, &format!("{larger}=x"))] {
        client.send("POST /certificates/other/create", &bad).await.is_refusal(400, "BadParameter", "");
    }
    client.must("POST /certificates/other/create", &create(UUID, &format!("CN=a+{UUID}=b"))).await;
    assert_eq!(client.ended("other").await["status"], "completed");
}

#[tokio::test]
async fn disabled_and_not_exportable_are_what_the_caller_says() {
    let client = Client::start().await;
    let body = json!({"value": Pfx::new(P256, "").pem(), "attributes": {"enabled": false, "nbf": 1, "exp": 2},
        "policy": {"key_props": {"exportable": false}}});
    let bundle = client.must(IMPORT, &body.to_string()).await;
    assert_eq!(bundle["attributes"]["enabled"], false);
    assert_eq!(bundle["policy"]["key_props"]["exportable"], false);
    assert_ne!(bundle["attributes"]["nbf"], 1);
}

async fn refused(body: &serde_json::Value, code: &str, words: &str) {
    let client = Client::start().await;
    client.send(IMPORT, &body.to_string()).await.is_refusal(400, code, words);
    client.send("GET /certificates/mycert1", "").await.is_refusal(404, "CertificateNotFound", "mycert1");
}

#[tokio::test]
async fn nothing_at_all() {
    for body in [json!({}), json!({"value": null}), json!({"value": ""})] {
        refused(&body, "BadParameter", "It is required").await;
    }
    refused(&json!({"value": 1}), "BadParameter", "a string is expected").await;
}

#[tokio::test]
async fn what_is_no_base64() {
    let words = "The specified Base64-encoded PKCS#12 X.509 certificate content can not be read. Please check if certificate is valid, and is correctly Base64 encoded.";
    refused(&json!({"value": "no base64!"}), "BadParameter", words).await;
}

#[tokio::test]
async fn a_wrong_password() {
    let words = "The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format. The password is wrong";
    let value = Pfx::new(P256, "").base64("secret", "");
    for body in [json!({"value": value, "pwd": "other"}), json!({"value": value}), json!({"value": value, "pwd": ""})] {
        refused(&body, "BadParameter", words).await;
    }
    refused(&json!({"value": value, "pwd": "p".repeat(201)}), "BadParameter", "longer than 200 characters").await;
}

#[tokio::test]
async fn a_pem_without_a_key() {
    let words = "The specified PEM X.509 certificate content is in an unexpected format. Please check if certificate is in valid PEM format. It holds no private key";
    refused(&json!({"value": Pfx::new(P256, "").text("cert.pem")}), "BadParameter", words).await;
}

#[tokio::test]
async fn a_key_of_another_certificate() {
    let words = "The public key of the end-entity certificate in the specified X.509 certificate content does not match the public part of the specified private key. Please check if certificate is valid.";
    let value = Pfx::new(P256, "").text("key.pem") + &Pfx::new(P256, "").text("cert.pem");
    refused(&json!({"value": value}), "BadParameter", words).await;
}

#[tokio::test]
async fn several_keys() {
    let value = Pfx::new(P256, "").pem() + &Pfx::new(P256, "").pem();
    refused(&json!({"value": value}), "BadParameter", "It holds several private keys").await;
}

#[tokio::test]
async fn a_key_that_is_not_supported() {
    let value = Pfx::new("rsa:1024", "").base64("", "");
    refused(&json!({"value": value}), "BadParameter", "RSA of 2048, 3072 or 4096 bits").await;
}

#[tokio::test]
async fn an_expired_certificate() {
    let pfx = Pfx::new(P256, "");
    pfx.openssl("req -new -key key.pem -subj /CN=old -out old.csr");
    pfx.openssl("x509 -req -in old.csr -signkey key.pem -days -1 -out cert.pem");
    let words = "The specified X.509 certificate content is invalid. Error: One or more X.509 properties are invalid.";
    refused(&json!({"value": pfx.pem()}), "BadParameter", words).await;
}

#[tokio::test]
async fn policies_that_mean_nothing() {
    let value = Pfx::new(P256, "").pem();
    for (policy, words) in [
        (json!({"key_props": {"kty": "RSA-HSM"}}), "hardware security module"),
        (json!({"secret_props": {"contentType": "text/plain"}}), "policy.secret_props.contentType"),
        (json!({"issuer": {"name": "no body"}}), "policy.issuer.name"),
    ] {
        refused(&json!({"value": value, "policy": policy}), "BadParameter", words).await;
    }
    refused(&json!({"value": value, "tags": {"": "x"}}), "BadParameter", "Property tags").await;
}
