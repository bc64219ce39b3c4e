//! An empty member is not a missing one: it is returned as it was sent, and nothing is added.

use crate::client::Client;
use crate::pfx::{P256, Pfx};
use serde_json::{Value, json};

async fn sans(client: &Client, name: &str) -> Value {
    client.must(&format!("GET /certificates/{name}/policy"), "").await["x509_props"]["sans"].clone()
}

async fn created(client: &Client, name: &str, x509: &str) {
    let body = format!(r#"{{"policy":{{"key_props":{{"kty":"EC"}},"x509_props":{x509},"issuer":{{"name":"Self"}}}}}}"#);
    client.must(&format!("POST /certificates/{name}/create"), &body).await;
    assert_eq!(client.ended(name).await["status"], "completed");
}

#[tokio::test]
async fn lists_of_names_come_back_as_they_were_sent() {
    let client = Client::start().await;
    for (name, sent, shown) in [
        ("absent", "null", Value::Null),
        ("empty", "{}", json!({})),
        ("one", r#"{"dns_names":[]}"#, json!({"dns_names": []})),
        (
            "two",
            r#"{"emails":[],"dns_names":["a.example"],"upns":null}"#,
            json!({"emails": [], "dns_names": ["a.example"]}),
        ),
        (
            "all",
            r#"{"emails":[],"dns_names":[],"upns":[],"uris":[],"ipAddresses":[]}"#,
            json!({"emails": [], "dns_names": [], "upns": [], "uris": [], "ipAddresses": []}),
        ),
    ] {
        created(&client, name, &format!(r#"{{"subject":"CN=a","sans":{sent}}}"#)).await;
        assert_eq!(sans(&client, name).await, shown, "{name}");
    }
}

#[tokio::test]
async fn an_empty_list_in_a_change_removes_the_names_and_an_empty_object_does_not() {
    let client = Client::start().await;
    created(&client, "web", r#"{"subject":"CN=a","sans":{"dns_names":["a.example"]}}"#).await;
    client.must("PATCH /certificates/web/policy", r#"{"x509_props":{"sans":{}}}"#).await;
    assert_eq!(sans(&client, "web").await, json!({"dns_names": ["a.example"]}));
    client.must("PATCH /certificates/web/policy", r#"{"x509_props":{"sans":{"dns_names":[]}}}"#).await;
    assert_eq!(sans(&client, "web").await, json!({"dns_names": []}));
    assert_eq!(client.must("POST /certificates/web/create", "{}").await["status"], "inProgress");
}

#[tokio::test]
async fn a_policy_without_a_subject_shows_none() {
    let client = Client::start().await;
    // What signs itself has one.
    let policy = json!({"key_props": {"kty": "EC"}, "x509_props": {"sans": {"dns_names": ["a.example"]}},
        "issuer": {"name": "Unknown"}});
    client.must("POST /certificates/web/create", &json!({ "policy": policy }).to_string()).await;
    let policy = client.must("GET /certificates/web/policy", "").await;
    assert_eq!(policy["x509_props"].get("subject"), None);
}

/// Clients of 2019 took three lists for three kinds of names in an imported certificate, because the service answers
/// all of them.
#[tokio::test]
async fn the_policy_of_an_import_shows_each_list_where_the_certificate_has_names() {
    let client = Client::start().await;
    for (extension, shown) in [
        (
            "subjectAltName=DNS:a.example,DNS:b.example",
            json!({"emails": [], "dns_names": ["a.example", "b.example"], "upns": []}),
        ),
        ("subjectAltName=email:a@b.example", json!({"emails": ["a@b.example"], "dns_names": [], "upns": []})),
        (
            "subjectAltName=DNS:a.example,IP:192.0.2.1",
            json!({"emails": [], "dns_names": ["a.example"], "upns": [], "ipAddresses": ["192.0.2.1"]}),
        ),
    ] {
        let body = json!({"value": Pfx::new(P256, &format!("-addext {extension}")).pem()}).to_string();
        let bundle = client.must("POST /certificates/web/import", &body).await;
        assert_eq!(bundle["policy"]["x509_props"]["sans"], shown, "{extension}");
        assert_eq!(sans(&client, "web").await, shown, "{extension}");
    }
    let body = json!({"value": Pfx::new(P256, "").pem()}).to_string();
    let bundle = client.must("POST /certificates/web/import", &body).await;
    assert_eq!(bundle["policy"]["x509_props"].get("sans"), None);
}

#[tokio::test]
async fn a_restore_brings_no_empty_names_back() {
    let client = Client::start().await;
    for (name, sent, shown) in [
        ("empty", "{}", Value::Null),
        ("list", r#"{"dns_names":[]}"#, Value::Null),
        ("named", r#"{"emails":[],"dns_names":["a.example"]}"#, json!({"emails": [], "dns_names": ["a.example"]})),
    ] {
        created(&client, name, &format!(r#"{{"subject":"CN=a","sans":{sent}}}"#)).await;
        let backup = client.must(&format!("POST /certificates/{name}/backup"), "").await;
        client.must(&format!("DELETE /certificates/{name}"), "").await;
        let purged = client.send(&format!("DELETE /deletedcertificates/{name}"), "").await;
        assert_eq!(purged.status, 204);
        let restored = client.must("POST /certificates/restore", &backup.to_string()).await;
        assert_eq!(restored["policy"]["x509_props"]["sans"], shown, "{name}");
        assert_eq!(sans(&client, name).await, shown, "{name}");
    }
}

#[tokio::test]
async fn an_issuer_shows_what_was_set_and_no_more() {
    let client = Client::start().await;
    for (sent, credentials, organization) in [
        (json!({"provider": "Test"}), None, None),
        (json!({"provider": "Test", "credentials": {}, "org_details": {}}), None, None),
        (json!({"provider": "Test", "credentials": {"account_id": "a"}}), Some(json!({"account_id": "a"})), None),
        (json!({"provider": "Test", "credentials": {"pwd": "hunter2"}}), Some(json!({})), None),
        (json!({"provider": "Test", "org_details": {"id": "o"}}), None, Some(json!({"id": "o", "zip": 0}))),
        (
            json!({"provider": "Test", "org_details": {"admin_details": []}}),
            None,
            Some(json!({"zip": 0, "admin_details": []})),
        ),
        (
            json!({"provider": "Test", "org_details": {"admin_details": [{"email": "a@b.example"}]}}),
            None,
            Some(json!({"zip": 0, "admin_details": [{"email": "a@b.example"}]})),
        ),
    ] {
        let set = client.must("PUT /certificates/issuers/ca", &sent.to_string()).await;
        assert_eq!(
            (set.get("credentials"), set.get("org_details")),
            (credentials.as_ref(), organization.as_ref()),
            "{sent}"
        );
        assert_eq!(client.must("GET /certificates/issuers/ca", "").await, set);
    }
}

/// The last administrator goes with a list that says so; what a change does not name stays.
#[tokio::test]
async fn an_empty_list_of_administrators_in_a_change_removes_them() {
    let client = Client::start().await;
    let set = r#"{"provider":"Test","org_details":{"id":"o","admin_details":[{"email":"a@b.example"}]}}"#;
    client.must("PUT /certificates/issuers/ca", set).await;
    for unnamed in
        [r#"{"org_details":{}}"#, r#"{"org_details":{"id":"o"}}"#, r#"{"org_details":{"admin_details":null}}"#]
    {
        let issuer = client.must("PATCH /certificates/issuers/ca", unnamed).await;
        assert_eq!(issuer["org_details"]["admin_details"], json!([{"email": "a@b.example"}]), "{unnamed}");
    }
    let issuer = client.must("PATCH /certificates/issuers/ca", r#"{"org_details":{"admin_details":[]}}"#).await;
    assert_eq!(issuer["org_details"], json!({"id": "o", "zip": 0, "admin_details": []}));
}
