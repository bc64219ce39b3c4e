//! `PATCH /certificates/{name}[/{version}]`.

use crate::client::{Client, path};
use serde_json::{Value, json};

const BUNDLE: &str = r#"
    200
    content-type: application/json; charset=utf-8
    {"id":"https://v1.localhost:8443/certificates/web/<1>",
    "kid":"https://v1.localhost:8443/keys/web/<1>",
    "sid":"https://v1.localhost:8443/secrets/web/<1>",
    "x5t":"<x5t>","cer":"<cer>",
    "attributes":{"enabled":false,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>,
    "recoveryLevel":"Recoverable+Purgeable","recoverableDays":90},
    "tags":{"tag1":"value1"},"#;

#[tokio::test]
async fn tags_and_enabled_change_through_the_newest_version_and_the_answer_is_whole() {
    let client = Client::start().await;
    client.issued("web").await;
    let change = r#"{"attributes":{"enabled":false},"tags":{"tag1":"value1"}}"#;
    let reply = client.send("PATCH /certificates/web/", change).await;
    reply.is(&format!(
        r#"{BUNDLE}
        "policy":{{"id":"https://v1.localhost:8443/certificates/web/policy",
        "key_props":{{"exportable":true,"kty":"EC","key_size":256,"reuse_key":false,"crv":"P-256"}},
        "secret_props":{{"contentType":"application/x-pkcs12"}},
        "x509_props":{{"subject":"CN=mycert1.example","ekus":["1.3.6.1.5.5.7.3.1","1.3.6.1.5.5.7.3.2"],
        "key_usage":["digitalSignature"],"validity_months":12,"basic_constraints":{{"ca":false}}}},
        "lifetime_actions":[{{"trigger":{{"lifetime_percentage":80}},"action":{{"action_type":"AutoRenew"}}}}],
        "issuer":{{"name":"Self"}},"attributes":{{"enabled":true,"created":<time>,"updated":<time>}}}},
        "pending":{{"id":"https://v1.localhost:8443/certificates/web/pending"}}}}"#
    ));
    assert_eq!(client.must("GET /certificates/web", "").await, reply.json());
    let item = client.must("GET /certificates", "").await["value"][0].clone();
    assert_eq!((&item["attributes"]["enabled"], &item["tags"]), (&json!(false), &json!({"tag1": "value1"})));
}

#[tokio::test]
async fn the_answer_about_one_version_has_pending_and_no_policy() {
    let client = Client::start().await;
    let id = client.issued("web").await["id"].clone();
    let change = r#"{"attributes":{"enabled":false},"tags":{"tag1":"value1"}}"#;
    let reply = client.send(&format!("PATCH {}", path(&id)), change).await;
    reply.is(&format!(r#"{BUNDLE}"pending":{{"id":"https://v1.localhost:8443/certificates/web/pending"}}}}"#));
}

#[tokio::test]
async fn an_older_version_changes_alone() {
    let client = Client::start().await;
    let old = path(&client.issued("web").await["id"]);
    client.issued("web").await;
    let changed = client.must(&format!("PATCH {old}"), r#"{"tags":{"old":"1"}}"#).await;
    assert_eq!(changed["tags"], json!({"old": "1"}));
    assert_eq!(client.must(&format!("GET {old}"), "").await["tags"], json!({"old": "1"}));
    assert_eq!(client.must("GET /certificates/web", "").await["tags"], Value::Null);
    assert_eq!(client.must("GET /certificates", "").await["value"][0]["tags"], Value::Null);
}

#[tokio::test]
async fn tags_replace_all_tags_and_an_empty_object_clears_them() {
    let client = Client::start().await;
    client.issued("web").await;
    client.must("PATCH /certificates/web", r#"{"tags":{"a":"1","b":"2"}}"#).await;
    let changed = client.must("PATCH /certificates/web", r#"{"tags":{"b":"3"}}"#).await;
    assert_eq!(changed["tags"], json!({"b": "3"}));
    for nothing in [r#"{"tags":null}"#, "{}", "", r#"{"attributes":{}}"#] {
        assert_eq!(client.must("PATCH /certificates/web", nothing).await, changed, "{nothing}");
    }
    let cleared = client.must("PATCH /certificates/web", r#"{"tags":{}}"#).await;
    assert_eq!(cleared["tags"], json!({}));
}

/// Recorded in 2019 for others than the certificate has.
#[tokio::test]
async fn dates_are_accepted_and_are_those_of_the_certificate() {
    let client = Client::start().await;
    let bundle = client.issued("web").await;
    let (nbf, exp) = (&bundle["attributes"]["nbf"], &bundle["attributes"]["exp"]);
    let same = format!(r#"{{"attributes":{{"enabled":false,"nbf":{nbf},"exp":{exp}}},"tags":{{}}}}"#);
    let changed = client.must(&format!("PATCH {}", path(&bundle["id"])), &same).await;
    assert_eq!((&changed["attributes"]["nbf"], &changed["attributes"]["enabled"]), (nbf, &json!(false)));
    client.create("pending", "Unknown").await;
    let before = client.must("GET /certificates/pending", "").await["attributes"].clone();
    for body in [r#"{"attributes":{"nbf":1}}"#, r#"{"attributes":{"exp":1,"nbf":2}}"#] {
        let changed = client.must("PATCH /certificates/web", body).await;
        assert_eq!((&changed["attributes"]["nbf"], &changed["attributes"]["exp"]), (nbf, exp), "{body}");
        assert_eq!(client.must("PATCH /certificates/pending", body).await["attributes"], before, "{body}");
    }
}

/// A client that knows an older version must not be cut off by a renewal.
#[tokio::test]
async fn the_policy_changes_through_any_version() {
    let client = Client::start().await;
    let old = path(&client.issued("web").await["id"]);
    let new = path(&client.issued("web").await["id"]);
    for (days, version) in [(10, &new), (11, &old)] {
        let change = format!(
            r#"{{"policy":{{"lifetime_actions":[{{"trigger":{{"days_before_expiry":{days}}},"action":{{"action_type":"EmailContacts"}}}}],
            "x509_props":{{"sans":{{}}}},"key_props":{{}},"issuer":{{}}}}}}"#
        );
        client.must(&format!("PATCH {version}"), &change).await;
        let policy = client.must("GET /certificates/web/policy", "").await;
        let expected = json!([{"trigger": {"days_before_expiry": days}, "action": {"action_type": "EmailContacts"}}]);
        assert_eq!(
            (&policy["lifetime_actions"], &policy["x509_props"]["subject"]),
            (&expected, &json!("CN=mycert1.example"))
        );
    }
}

#[tokio::test]
async fn a_placeholder_hands_its_changes_on_to_the_version_that_comes() {
    let client = Client::start().await;
    let ca = crate::ca::Ca::new();
    let operation = client.create("web", "Unknown").await;
    let changed = client.must("PATCH /certificates/web", r#"{"tags":{"a":"1"},"attributes":{"enabled":false}}"#).await;
    assert_eq!((&changed["tags"], &changed["attributes"]["enabled"]), (&json!({"a": "1"}), &json!(false)));
    let leaf = ca.sign(operation["csr"].as_str().unwrap(), 3);
    let merged = client.must("POST /certificates/web/pending/merge", &crate::ca::x5c(&[&leaf])).await;
    assert_eq!((&merged["tags"], &merged["attributes"]["enabled"]), (&json!({"a": "1"}), &json!(false)));
}

#[tokio::test]
async fn an_issuer_at_work_is_not_disturbed_by_a_change() {
    let client = Client::start().await;
    client.test_issuer("slow", "hold").await;
    client.create("web", "slow").await;
    client.must("PATCH /certificates/web", r#"{"tags":{"a":"1"}}"#).await;
    client.must("PATCH /certificates/web/pending", r#"{"cancellation_requested":true}"#).await;
    assert_eq!(client.ended("web").await["status"], "cancelled");
}

#[tokio::test]
async fn what_cannot_be_changed_is_refused() {
    let client = Client::start().await;
    let tags = r#"{"tags":{"a":"1"}}"#;
    client.send("PATCH /certificates/web", tags).await.is_refusal(404, "CertificateNotFound", "web was not found");
    client.issued("web").await;
    let other = "PATCH /certificates/web/a76827a18b63421c917da80f28e9913d";
    let words = "web/versions/a76827a18b63421c917da80f28e9913d was not found";
    client.send(other, tags).await.is_refusal(404, "CertificateNotFound", words);
    client.send("PATCH /certificates/web/1", tags).await.is_refusal(400, "BadParameter", "version");
    client.send("PATCH /certificates/contacts", tags).await.is_refusal(400, "BadParameter", "This word is reserved");
    let many: serde_json::Map<String, Value> = (0..16).map(|n| (n.to_string(), json!("x"))).collect();
    let reply = client.send("PATCH /certificates/web", &json!({"tags": many}).to_string()).await;
    reply.is_refusal(400, "BadParameter", "16 tags: at most 15 are allowed");
    client.create("empty", "Unknown").await;
    client.must("DELETE /certificates/empty/pending", "").await;
    let reply = client.send("PATCH /certificates/empty", r#"{"attributes":{"enabled":true}}"#).await;
    reply.is_refusal(400, "BadParameter", "has no version and no pending operation");
}
