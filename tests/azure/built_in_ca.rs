//! The built-in CA over REST: what it refuses to sign, which settings may change, and what remains after its deletion.

use crate::client::Client;
use serde_json::{Value, json};

const CORP: &str = "/certificates/issuers/corp";

async fn ca(client: &Client) -> String {
    let reply = client.send(&format!("GET {CORP}/ca"), "").await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body
}

/// The subjects of a chain, the root last.
fn subjects(pem: &str) -> Vec<String> {
    let blocks = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes());
    blocks.map(|block| block.unwrap().parse_x509().unwrap().subject().to_string()).collect()
}

fn create(x509: &Value) -> String {
    let mut props = json!({"subject": "CN=a.example"});
    for (member, value) in x509.as_object().unwrap() {
        props[member] = value.clone();
    }
    json!({"policy": {"key_props": {"kty": "EC"}, "x509_props": props, "issuer": {"name": "corp"}}}).to_string()
}

#[tokio::test]
async fn powers_of_the_ca_are_rejected_and_nothing_is_issued() {
    let client = Client::start().await;
    client.must(&format!("PUT {CORP}"), r#"{"provider":"LocalCA","org_details":{"id":"Example Root"}}"#).await;
    for (x509, words) in [
        (json!({"ekus": ["1.3.6.1.5.5.7.3.9"]}), "OCSPSigning"),
        (json!({"ekus": ["1.3.6.1.5.5.7.3.1", "2.5.29.37.0"]}), "anyExtendedKeyUsage"),
        (json!({"key_usage": ["keyCertSign", "cRLSign"]}), "key_usage"),
        (json!({"key_usage": ["digitalSignature", "cRLSign"]}), "key_usage"),
        (json!({"subject": "CN=example root"}), "CA's own name"),
        (json!({"ekus": ["1.3.6.1.5.5.7.3.3"], "key_usage": ["keyAgreement"]}), "codeSigning needs digitalSignature"),
        (json!({"basic_constraints": {"ca": true}}), "basic_constraints.ca"),
    ] {
        client.must("POST /certificates/mycert1/create", &create(&x509)).await;
        let operation = client.ended("mycert1").await;
        assert_eq!((&operation["status"], &operation["error"]["code"]), (&json!("failed"), &json!("Request rejected")));
        let message = operation["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
    let bundle = client.must("GET /certificates/mycert1", "").await;
    assert!(bundle.get("cer").is_none(), "{bundle}");
}

#[tokio::test]
async fn what_is_said_of_a_ca_stays_in_force() {
    let client = Client::start().await;
    let made = json!({"provider": "LocalCA", "credentials": {"account_id": "intermediate"}, "org_details": {"id": "Example Root"}});
    client.must(&format!("PUT {CORP}"), &made.to_string()).await;
    let before = ca(&client).await;
    assert_eq!(subjects(&before), ["CN=Example Root Issuing", "CN=Example Root"]);
    let shown = client.must(&format!("GET {CORP}"), "").await;
    for (change, path) in [
        (json!({"provider": "LocalCA", "org_details": {"id": "Other Root"}}), "org_details.id"),
        (json!({"provider": "LocalCA", "credentials": {"account_id": "root"}}), "credentials.account_id"),
        (json!({"provider": "LocalCA", "credentials": {"account_id": "other"}}), "credentials.account_id"),
        (json!({"provider": "Test"}), "provider"),
    ] {
        for method in ["PUT", "PATCH"] {
            let reply = client.send(&format!("{method} {CORP}"), &change.to_string()).await;
            reply.is_refusal(400, "BadParameter", &format!("Property {path} has invalid value."));
        }
    }
    assert_eq!(client.must(&format!("GET {CORP}"), "").await, shown);
    for change in [
        made.clone(),
        json!({"provider": "OneCertV2-PrivateCA"}),
        json!({"provider": "LocalCA", "org_details": {"admin_details": [{"email": "a@b.example"}]}}),
        json!({"provider": "LocalCA", "attributes": {"enabled": false}}),
    ] {
        for method in ["PATCH", "PUT"] {
            client.must(&format!("{method} {CORP}"), &change.to_string()).await;
        }
    }
    assert_eq!(ca(&client).await, before);
}

#[tokio::test]
async fn a_deleted_ca_is_handed_out_and_the_next_one_has_another_name() {
    let client = Client::start().await;
    let made = r#"{"provider":"LocalCA","org_details":{"id":"Example Root"}}"#;
    client.must(&format!("PUT {CORP}"), made).await;
    let first = ca(&client).await;
    client.must("POST /certificates/mycert1/create", &create(&json!({}))).await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    client.must(&format!("DELETE {CORP}"), "").await;
    client.send(&format!("GET {CORP}"), "").await.is_refusal(404, "CertificateIssuerNotFound", "Issuer not found");
    assert_eq!(ca(&client).await, first);
    client.must(&format!("PUT {CORP}"), made).await;
    let second = ca(&client).await;
    assert_eq!(
        (subjects(&first), subjects(&second)),
        (vec!["CN=Example Root".into()], vec!["CN=Example Root 2".into()])
    );
    // What it was asked to be called is still right of it.
    client.must(&format!("PUT {CORP}"), made).await;
    assert_eq!(ca(&client).await, second);
}

/// The name of the signature algorithm and of the key's algorithm, and how long each certificate lives.
fn forms(pem: &str) -> Vec<(String, usize, i64)> {
    let blocks = x509_parser::pem::Pem::iter_from_buffer(pem.as_bytes());
    blocks
        .map(|block| {
            let block = block.unwrap();
            let certificate = block.parse_x509().unwrap();
            let bits = certificate.public_key().parsed().unwrap().key_size();
            let validity = certificate.validity();
            let days = (validity.not_after.timestamp() - validity.not_before.timestamp()) / 86_400;
            (certificate.signature_algorithm.algorithm.to_id_string(), bits, days)
        })
        .collect()
}

#[tokio::test]
async fn a_ca_has_the_keys_the_subject_and_the_validity_that_were_asked_for() {
    let client = Client::start().await;
    for (key_type, algorithm, bits) in [
        ("P-256", "1.2.840.10045.4.3.2", 256),
        ("P-384", "1.2.840.10045.4.3.3", 384),
        ("RSA-3072", "1.2.840.113549.1.1.11", 3072),
        ("RSA-4096", "1.2.840.113549.1.1.11", 4096),
    ] {
        let options =
            json!({"key_type": key_type, "subject": "CN=Big Root, O=\"Example, Inc.\"", "validity_months": 12});
        let made = json!({"provider": "LocalCA", "credentials": {"account_id": "intermediate"}, "options": options});
        // Key Vault's description knows no options.
        assert_eq!(client.send(&format!("PUT {CORP}"), &made.to_string()).await.status, 200);
        let pem = ca(&client).await;
        let subject = &subjects(&pem)[1];
        assert!(subject.starts_with("O=Example, Inc., CN=Big Root"), "{subject}");
        for (signature, size, days) in forms(&pem) {
            assert_eq!((signature.as_str(), size, days), (algorithm, bits, 365));
        }
        client.must("POST /certificates/mycert1/create", &create(&json!({}))).await;
        assert_eq!(client.ended("mycert1").await["status"], "completed");
        // What is said of it stays true.
        assert_eq!(client.send(&format!("PATCH {CORP}"), &made.to_string()).await.status, 200);
        for (name, value) in
            [("key_type", json!("P-384")), ("subject", json!("CN=Other")), ("validity_months", json!(13))]
        {
            if name == "key_type" && key_type == "P-384" {
                continue;
            }
            let change = json!({"provider": "LocalCA", "options": {name: value}}).to_string();
            let reply = client.send(&format!("PATCH {CORP}"), &change).await;
            reply.is_refusal(400, "BadParameter", &format!("Property options.{name} has invalid value. The "));
        }
        assert_eq!(client.send(&format!("DELETE {CORP}"), "").await.status, 200);
    }
}

#[tokio::test]
async fn options_of_which_no_ca_can_be_made_are_refused() {
    let client = Client::start().await;
    for (options, path) in [
        (json!({"key_type": "RSA-2048"}), "options.key_type"),
        (json!({"validity_months": 0}), "options.validity_months"),
        (json!({"subject": "O=Example"}), "options.subject"),
        (json!({"subject": "CN=a, CN=b"}), "options.subject"),
        (json!({"subject": "CN"}), "options.subject"),
        (json!({"shape": "round"}), "options.shape"),
    ] {
        let body = json!({"provider": "LocalCA", "options": options}).to_string();
        let reply = client.send(&format!("PUT {CORP}"), &body).await;
        reply.is_refusal(400, "BadParameter", &format!("Property {path} has invalid value. "));
    }
    let two = json!({"provider": "LocalCA", "org_details": {"id": "a"}, "options": {"subject": "CN=b"}}).to_string();
    let reply = client.send(&format!("PUT {CORP}"), &two).await;
    reply.is_refusal(400, "BadParameter", "Property options.subject has invalid value. ");
}

#[tokio::test]
async fn the_ca_of_a_deleted_issuer_is_taken_back_where_that_is_asked_for() {
    let client = Client::start().await;
    let attach = json!({"provider": "LocalCA", "credentials": {"account_id": "attach"}}).to_string();
    let reply = client.send(&format!("PUT {CORP}"), &attach).await;
    reply.is_refusal(400, "BadParameter", "Property credentials.account_id has invalid value. There is no CA");
    let made =
        r#"{"provider":"LocalCA","credentials":{"account_id":"intermediate"},"org_details":{"id":"Example Root"}}"#;
    client.must(&format!("PUT {CORP}"), made).await;
    let first = ca(&client).await;
    client.must(&format!("DELETE {CORP}"), "").await;
    let back = client.must(&format!("PUT {CORP}"), &attach).await;
    assert_eq!(back["credentials"]["account_id"], "intermediate");
    assert_eq!(ca(&client).await, first);
    client.must("POST /certificates/mycert1/create", &create(&json!({}))).await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    // It is there: nothing changes.
    assert_eq!(client.must(&format!("PUT {CORP}"), &attach).await["credentials"]["account_id"], "intermediate");
    client.must(&format!("DELETE {CORP}"), "").await;
    assert_eq!(ca(&client).await, first);
}

#[tokio::test]
async fn an_issuer_that_never_was_has_no_ca() {
    let client = Client::start().await;
    client.send(&format!("GET {CORP}/ca"), "").await.is_refusal(404, "CertificateIssuerNotFound", "Issuer not found");
}

#[tokio::test]
async fn the_provider_that_clients_of_azure_know_is_given_back_as_it_came() {
    let client = Client::start().await;
    for (name, provider) in [("a", "OneCertV2-PrivateCA"), ("b", "onecertv2-privateca"), ("c", "LOCALCA")] {
        let body = json!({"provider": provider}).to_string();
        let set = client.must(&format!("PUT /certificates/issuers/{name}"), &body).await;
        assert_eq!(set["provider"], provider);
        assert_eq!(client.must(&format!("GET /certificates/issuers/{name}"), "").await["provider"], provider);
        let body = create(&json!({})).replace("\"corp\"", &format!("\"{name}\""));
        client.must("POST /certificates/mycert1/create", &body).await;
        assert_eq!(client.ended("mycert1").await["status"], "completed");
    }
    let list = client.must("GET /certificates/issuers", "").await;
    let providers: Vec<_> = list["value"].as_array().unwrap().iter().map(|item| &item["provider"]).collect();
    assert_eq!(
        providers,
        ["OneCertV2-PrivateCA", "onecertv2-privateca", "LOCALCA"].map(Value::from).iter().collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn text_that_cannot_be_read_is_refused_wherever_people_read_it() {
    let client = Client::start().await;
    for bad in ["a\nb", "a\u{1b}[31m", "\u{202e}a", "a\0", "a\u{200b}b"] {
        for (path, body) in [
            ("org_details.id", json!({"provider": "LocalCA", "org_details": {"id": bad}})),
            ("credentials.account_id", json!({"provider": "Test", "credentials": {"account_id": bad}})),
            (
                "org_details.admin_details[0].first_name",
                json!({"provider": "Test", "org_details": {"admin_details": [{"first_name": bad}]}}),
            ),
            (
                "org_details.admin_details[0].email",
                json!({"provider": "Test", "org_details": {"admin_details": [{"email": bad}]}}),
            ),
        ] {
            let reply = client.send(&format!("PUT {CORP}"), &body.to_string()).await;
            reply.is_refusal(400, "BadParameter", &format!("Property {path} has invalid value. It contains U+"));
        }
        let contact = json!({"contacts": [{"email": "a@b.example", "name": bad}]}).to_string();
        client.send("PUT /certificates/contacts", &contact).await.is_refusal(400, "BadParameter", "contacts[0].name");
    }
    client.must(&format!("PUT {CORP}"), r#"{"provider":"LocalCA","org_details":{"id":"Zürich 株式会社"}}"#).await;
    assert_eq!(subjects(&ca(&client).await), ["CN=Zürich 株式会社"]);
}
