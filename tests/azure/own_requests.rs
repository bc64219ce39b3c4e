//! A create with the caller's own signing request: what comes of it, and what is refused.

use crate::ca::{Ca, x5c};
use crate::client::Client;
use crate::own_request::{OwnKey, P256, pem};
use crate::pfx::{self, Pfx};
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

const CREATE: &str = "POST /certificates/mycert1/create";

async fn with_ca() -> Client {
    let client = Client::start().await;
    client.must("PUT /certificates/issuers/corp", r#"{"provider":"LocalCA"}"#).await;
    client
}

fn body(csr: &str, policy: Value) -> String {
    json!({ "csr": csr, "policy": policy }).to_string()
}

fn corp() -> Value {
    json!({"issuer": {"name": "corp"}})
}

/// The certificate of the newest version, which was issued for `own`.
async fn issued(client: &Client, own: &OwnKey) -> Value {
    assert_eq!(client.ended("mycert1").await["status"], "completed", "{}", client.ended("mycert1").await);
    let bundle = client.must("GET /certificates/mycert1", "").await;
    let der = STANDARD.decode(bundle["cer"].as_str().unwrap()).unwrap();
    assert_eq!(own.public_key_of(&der), own.public_key());
    bundle
}

#[tokio::test]
async fn a_local_ca_signs_the_request_and_the_policy_is_made_of_it() {
    let (client, own) = (with_ca().await, OwnKey::new(P256));
    let extensions = [
        "subjectAltName=DNS:web.example,IP:192.0.2.1,email:a@web.example,URI:spiffe://corp.example/web",
        "extendedKeyUsage=serverAuth",
        "keyUsage=critical,digitalSignature",
    ];
    let csr = own.csr("/C=CH/O=Example/CN=web.example", &extensions, "");
    let operation = client.must(CREATE, &body(&STANDARD.encode(&csr), corp())).await;
    assert_eq!((&operation["csr"], &operation["status"]), (&json!(STANDARD.encode(&csr)), &json!("inProgress")));
    let bundle = issued(&client, &own).await;
    assert_eq!(
        bundle["policy"]["x509_props"],
        json!({"subject": "CN=web.example, O=Example, C=CH",
            "sans": {"emails": ["a@web.example"], "dns_names": ["web.example"], "uris": ["spiffe://corp.example/web"], "ipAddresses": ["192.0.2.1"]},
            "ekus": ["1.3.6.1.5.5.7.3.1"], "key_usage": ["digitalSignature"], "validity_months": 12, "basic_constraints": {"ca": false}})
    );
    assert_eq!(
        bundle["policy"]["key_props"],
        json!({"exportable": false, "kty": "EC", "key_size": 256, "reuse_key": false, "crv": "P-256"})
    );
    assert_eq!(bundle["policy"]["secret_props"], json!({"contentType": "application/x-pem-file"}));
    let action = &bundle["policy"]["lifetime_actions"][0]["action"]["action_type"];
    assert_eq!(action, "EmailContacts", "a key that is not here renews nothing");
}

#[tokio::test]
async fn no_private_key_is_here() {
    let client = with_ca().await;
    for (algorithm, operations) in
        [(P256, json!(["verify"])), ("RSA -pkeyopt rsa_keygen_bits:3072", json!(["verify", "wrapKey"]))]
    {
        let own = OwnKey::new(algorithm);
        let csr = own.csr("/CN=web.example", &["subjectAltName=DNS:web.example"], "");
        client.must(CREATE, &body(&STANDARD.encode(&csr), corp())).await;
        let bundle = issued(&client, &own).await;
        let secret = client.must("GET /secrets/mycert1", "").await;
        let text = secret["value"].as_str().unwrap();
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----") && !text.contains("PRIVATE"), "{text}");
        let key = client.must("GET /keys/mycert1", "").await;
        assert_eq!(key["key"]["key_ops"], operations);
        let version = bundle["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let digest = URL_SAFE_NO_PAD.encode([7; 32]);
        for operation in ["sign", "decrypt", "unwrapkey"] {
            let algorithm = if operation == "sign" { "RS256" } else { "RSA-OAEP" };
            let asked = json!({"alg": algorithm, "value": digest}).to_string();
            let reply = client.send(&format!("POST /keys/mycert1/{version}/{operation}"), &asked).await;
            reply.is_refusal(
                403,
                "Forbidden",
                "is not permitted on this key: the certificate was created for the caller's own signing request",
            );
        }
    }
    // What the caller signs, the public half verifies.
    let own = OwnKey::new(P256);
    let csr = own.csr("/CN=web.example", &[], "");
    client.must(CREATE, &body(&STANDARD.encode(&csr), corp())).await;
    issued(&client, &own).await;
    std::fs::write(own.path("text"), b"text").unwrap();
    own.run("openssl", "dgst -sha256 -sign own.key -out text.sig text");
    own.run("openssl", "dgst -sha256 -binary -out text.digest text");
    let read = |name: &str| std::fs::read(own.path(name)).unwrap();
    let signature = raw_signature(&read("text.sig"));
    let asked = json!({"alg": "ES256", "digest": URL_SAFE_NO_PAD.encode(read("text.digest")), "value": URL_SAFE_NO_PAD.encode(signature)});
    let key = client.must("GET /keys/mycert1", "").await;
    let kid = key["key"]["kid"].as_str().unwrap().split_once("/keys/").unwrap().1.to_owned();
    assert_eq!(client.must(&format!("POST /keys/{kid}/verify"), &asked.to_string()).await["value"], true);
}

/// r and s of an ECDSA signature in DER, 32 bytes each.
fn raw_signature(der: &[u8]) -> Vec<u8> {
    let (length, rest) = (usize::from(der[3]), &der[4..]);
    let (r, s) = (&rest[..length], &rest[length + 2..]);
    let fixed = |number: &[u8]| {
        let significant: Vec<u8> = number.iter().copied().skip_while(|byte| *byte == 0).collect();
        [vec![0; 32 - significant.len()], significant].concat()
    };
    [fixed(r), fixed(s)].concat()
}

#[tokio::test]
async fn every_form_of_the_same_request_is_the_same_request() {
    let (client, own) = (with_ca().await, OwnKey::new(P256));
    client.test_issuer("hold", "hold").await;
    let csr = own.csr("/CN=web.example", &["subjectAltName=DNS:web.example"], "");
    let text = format!("made by hand\n{}", pem(&csr));
    let id = ("x-ms-client-request-id", "0e7c6a5e-47a8-4b56-9b51-1f0d8f5e2a11");
    let token = ("authorization", "Bearer token");
    let mut first = None;
    for form in [pem(&csr), text.clone(), STANDARD.encode(&csr), URL_SAFE_NO_PAD.encode(&csr), STANDARD.encode(&text)] {
        let reply = client
            .raw(
                &format!("{CREATE}?api-version=7.4"),
                &[id, token],
                &body(&form, json!({"issuer": {"name": "Unknown"}})),
            )
            .await;
        assert_eq!(reply.status, 202, "{}", reply.body);
        let operation = reply.json();
        assert_eq!(operation["csr"], STANDARD.encode(&csr));
        assert_eq!(&operation["request_id"], first.get_or_insert_with(|| operation["request_id"].clone()));
    }
    // Signed anew it is another request.
    let other = own.csr("/CN=web.example", &["subjectAltName=DNS:web.example"], "");
    assert_ne!(csr, other);
    let reply = client
        .raw(
            &format!("{CREATE}?api-version=7.4"),
            &[id, token],
            &body(&pem(&other), json!({"issuer": {"name": "Unknown"}})),
        )
        .await;
    reply.is_refusal(409, "Forbidden", "while a pending key vault certificate's status is inProgress");
}

#[tokio::test]
async fn what_was_signed_elsewhere_is_merged() {
    let (client, own, ca) = (Client::start().await, OwnKey::new(P256), Ca::new());
    let csr = own.csr("/CN=web.example", &["subjectAltName=DNS:web.example", "1.3.6.1.4.1.99999.1=ASN1:UTF8:x"], "");
    let operation = client.must(CREATE, &json!({ "csr": pem(&csr) }).to_string()).await;
    assert_eq!((&operation["csr"], &operation["issuer"]["name"]), (&json!(STANDARD.encode(&csr)), &json!("Unknown")));
    assert_eq!(client.must("GET /certificates/mycert1/pending", "").await["csr"], operation["csr"]);
    let leaf = ca.sign(operation["csr"].as_str().unwrap(), 30);
    let merge = "POST /certificates/mycert1/pending/merge";
    let stranger = OwnKey::new(P256).csr("/CN=web.example", &[], "");
    let foreign = ca.sign(&STANDARD.encode(&stranger), 30);
    client.send(merge, &x5c(&[&foreign])).await.is_refusal(400, "BadParameter", "does not match");
    assert_eq!(client.send(merge, &x5c(&[&leaf, &ca.certificate()])).await.status, 201);
    issued(&client, &own).await;
    let pem_secret = client.must("GET /secrets/mycert1", "").await["value"].as_str().unwrap().to_owned();
    assert_eq!(pem_secret.matches("BEGIN CERTIFICATE").count(), 2);
}

#[tokio::test]
async fn the_policy_counts_and_the_request_stays_within_it() {
    let (client, own) = (with_ca().await, OwnKey::new(P256));
    let extensions =
        ["subjectAltName=DNS:web.example", "extendedKeyUsage=serverAuth", "keyUsage=critical,digitalSignature"];
    let csr = pem(&own.csr("/CN=web.example", &extensions, ""));
    let sans = |names: &[&str]| json!({ "dns_names": names });
    let with = |x509: Value| json!({"issuer": {"name": "corp"}, "x509_props": x509});
    for (policy, words) in [
        (
            with(json!({"sans": sans(&["other.example"])})),
            "asks for the alternative names web.example, and the policy has other.example",
        ),
        (with(json!({"subject": "CN=other.example"})), "which is not a part of the subject of the policy"),
        (
            with(json!({"ekus": ["1.3.6.1.5.5.7.3.2"]})),
            "extended key usages 1.3.6.1.5.5.7.3.1, and the policy has 1.3.6.1.5.5.7.3.2",
        ),
        (with(json!({"ekus": []})), "and the policy has none"),
        (
            with(json!({"key_usage": ["nonRepudiation"]})),
            "key usages digitalSignature, and the policy has nonRepudiation",
        ),
        (
            json!({"key_props": {"kty": "RSA"}}),
            "Property policy.key_props.kty has invalid value. The key of the request is EC on P-256",
        ),
        (json!({"key_props": {"kty": "EC", "crv": "P-384"}}), "Property policy.key_props.crv has invalid value."),
        (json!({"key_props": {"key_size": 384}}), "Property policy.key_props.key_size has invalid value."),
        (
            json!({"key_props": {"exportable": true}}),
            "Property policy.key_props.exportable has invalid value. The private key of the request is the caller's",
        ),
        (json!({"key_props": {"reuse_key": true}}), "Property policy.key_props.reuse_key has invalid value."),
        (
            json!({"issuer": {"name": "Self"}}),
            "Property csr has invalid value. The issuer signs with the certificate's own private key",
        ),
        (json!({"issuer": {"name": "nobody"}}), "There is no issuer named nobody"),
        (with(json!({"validity_months": 0})), "Property policy.x509_props.validity_months has invalid value."),
    ] {
        client.send(CREATE, &body(&csr, policy)).await.is_refusal(400, "BadParameter", words);
    }
    client.send("GET /certificates/mycert1", "").await.is_refusal(404, "CertificateNotFound", "");
    let policy = json!({"issuer": {"name": "corp"}, "key_props": {"kty": "EC", "crv": "P-256", "exportable": false},
        "lifetime_actions": [{"trigger": {"days_before_expiry": 20}, "action": {"action_type": "AutoRenew"}}],
        "secret_props": {"contentType": "application/x-pkcs12"},
        "x509_props": {"subject": "CN=WEB.example, O=Example", "sans": sans(&["web.example", "www.example"]),
            "ekus": ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"], "key_usage": ["digitalSignature", "nonRepudiation"], "validity_months": 3}});
    client.must(CREATE, &body(&csr, policy)).await;
    let bundle = issued(&client, &own).await;
    std::fs::write(own.path("leaf.der"), STANDARD.decode(bundle["cer"].as_str().unwrap()).unwrap()).unwrap();
    let text = own.run("openssl", "x509 -inform DER -in leaf.der -noout -text");
    for part in [
        "O = Example, CN = WEB.example",
        "DNS:web.example, DNS:www.example",
        "Digital Signature, Non Repudiation",
        "TLS Web Client Authentication",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let actions = &bundle["policy"]["lifetime_actions"];
    assert_eq!(actions, &json!([{"trigger": {"days_before_expiry": 20}, "action": {"action_type": "EmailContacts"}}]));
    let secret = client.must("GET /secrets/mycert1", "").await;
    assert_eq!(secret["contentType"], "application/x-pkcs12");
}

#[tokio::test]
async fn the_stored_policy_counts_where_the_caller_sends_none() {
    let (client, own) = (with_ca().await, OwnKey::new(P256));
    let made_here = json!({"key_props": {"kty": "RSA", "reuse_key": true}, "issuer": {"name": "corp"},
        "x509_props": {"subject": "CN=web.example", "sans": {"dns_names": ["web.example"]}, "validity_months": 2}});
    client.must(CREATE, &json!({ "policy": made_here }).to_string()).await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    let other = own.csr("/CN=web.example", &["subjectAltName=DNS:other.example"], "");
    let alone = |csr: &[u8]| json!({ "csr": pem(csr) }).to_string();
    client.send(CREATE, &alone(&other)).await.is_refusal(
        400,
        "BadParameter",
        "asks for the alternative names other.example",
    );
    let csr = own.csr("/CN=web.example", &["subjectAltName=DNS:web.example"], "");
    client.must(CREATE, &alone(&csr)).await;
    let bundle = issued(&client, &own).await;
    let policy = &bundle["policy"];
    assert_eq!((&policy["issuer"]["name"], &policy["x509_props"]["validity_months"]), (&json!("corp"), &json!(2)));
    assert_eq!(
        policy["key_props"],
        json!({"exportable": false, "kty": "EC", "key_size": 256, "reuse_key": false, "crv": "P-256"})
    );
    // The key is not here to be used again.
    let again = json!({"policy": {"key_props": {"kty": "EC", "reuse_key": true, "exportable": false}, "x509_props": {"subject": "CN=web.example"}}});
    client.send(CREATE, &again.to_string()).await.is_refusal(
        400,
        "BadParameter",
        "Property policy.key_props.reuse_key has invalid value. The key of the newest version is the caller's own",
    );
    // A version with a key of this server can follow, and an import.
    client.must(CREATE, "{}").await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    assert_eq!(client.must("GET /keys/mycert1", "").await["key"]["key_ops"], json!(["sign", "verify"]));
    assert_eq!(client.must("GET /certificates/mycert1/versions", "").await["value"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn such_a_version_is_backed_up_restored_deleted_and_recovered() {
    let (client, own) = (with_ca().await, OwnKey::new(P256));
    client.issued("mycert1").await;
    let csr = own.csr("/CN=web.example", &["subjectAltName=DNS:web.example"], "");
    client.must(CREATE, &body(&pem(&csr), corp())).await;
    let before = issued(&client, &own).await;
    let secret = client.must("GET /secrets/mycert1", "").await;
    client.must("DELETE /certificates/mycert1", "").await;
    client.must("POST /deletedcertificates/mycert1/recover", "").await;
    let value = client.must("POST /certificates/mycert1/backup", "").await["value"].clone();
    let bytes = URL_SAFE_NO_PAD.decode(value.as_str().unwrap()).unwrap();
    assert!(
        bytes.starts_with(b"certmint-backup\x02"),
        "a release that does not know versions without a key refuses it"
    );
    client.must("DELETE /certificates/mycert1", "").await;
    assert_eq!(client.send("DELETE /deletedcertificates/mycert1", "").await.status, 204);
    client.must("POST /certificates/restore", &json!({ "value": value }).to_string()).await;
    let after = client.must("GET /certificates/mycert1", "").await;
    assert_eq!((&after["cer"], &after["policy"]["key_props"]), (&before["cer"], &before["policy"]["key_props"]));
    assert_eq!(client.must("GET /secrets/mycert1", "").await["value"], secret["value"]);
    assert_eq!(client.must("GET /keys/mycert1", "").await["key"]["key_ops"], json!(["verify"]));
    // An import over it brings a key.
    client.must("POST /certificates/mycert1/import", &Pfx::new(pfx::P256, "").body()).await;
    assert_eq!(client.must("GET /keys/mycert1", "").await["key"]["key_ops"], json!(["sign", "verify"]));
}

#[tokio::test]
async fn a_request_in_progress_is_cancelled_deleted_and_overwritten_like_any_other() {
    let (client, own) = (Client::start().await, OwnKey::new(P256));
    let der = own.csr("/CN=web.example", &[], "");
    let csr = body(&pem(&der), json!({"issuer": {"name": "Unknown"}}));
    client.must(CREATE, &csr).await;
    client.send(CREATE, &csr).await.is_refusal(409, "Forbidden", "status is inProgress");
    client.must("PATCH /certificates/mycert1/pending", r#"{"cancellation_requested":true}"#).await;
    assert_eq!(client.ended("mycert1").await["status"], "cancelled");
    client.must(CREATE, &csr).await;
    client.must("DELETE /certificates/mycert1/pending", "").await;
    client.must(CREATE, &csr).await;
    client.must("DELETE /certificates/mycert1", "").await;
    client.must("POST /deletedcertificates/mycert1/recover", "").await;
    let operation = client.must("GET /certificates/mycert1/pending", "").await;
    assert_eq!((&operation["csr"], &operation["status"]), (&json!(STANDARD.encode(&der)), &json!("inProgress")));
}
