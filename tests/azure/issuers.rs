//! Issuer objects: set, change, read, list, delete; the certificates of a built-in CA.

use crate::client::{Client, policy};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::process::Command;

const FULL: &str = r#"{"provider":"Test","credentials":{"account_id":"keyvaultuser","pwd":"hunter2"},
    "org_details":{"admin_details":[{"first_name":"Jane","last_name":"Doe","email":"admin@contoso.com","phone":"4256666666"}]},
    "attributes":{"enabled":true}}"#;

const ANSWER: &str = r#"
    200
    content-type: application/json; charset=utf-8
    {"id":"https://v1.localhost:8443/certificates/issuers/issuer01","provider":"Test",
    "credentials":{"account_id":"keyvaultuser"},
    "org_details":{"zip":0,"admin_details":[{"first_name":"Jane","last_name":"Doe","email":"admin@contoso.com","phone":"4256666666"}]},
    "attributes":{"enabled":true,"created":<time>,"updated":<time>}}
"#;

#[tokio::test]
async fn an_issuer_is_set_read_and_deleted_and_its_password_is_never_returned() {
    let client = Client::start().await;
    client.send("PUT /certificates/issuers/issuer01", FULL).await.is(ANSWER);
    client.send("GET /certificates/issuers/ISSUER01", "").await.is(ANSWER);
    client.send("DELETE /certificates/issuers/issuer01", "").await.is(ANSWER);
    client.send("GET /certificates/issuers/issuer01", "").await.is(r#"
        404
        content-type: application/json; charset=utf-8
        {"error":{"code":"CertificateIssuerNotFound","message":"Issuer not found"}}
    "#);
}

#[tokio::test]
async fn empty_objects_of_a_change_clear_nothing() {
    let client = Client::start().await;
    client.must("PUT /certificates/issuers/issuer01", FULL).await;
    let empty = r#"{"credentials":{},"org_details":{},"attributes":{}}"#;
    client.send("PATCH /certificates/issuers/issuer01", empty).await.is(ANSWER);
}

#[tokio::test]
async fn a_change_changes_what_it_names() {
    let client = Client::start().await;
    client.must("PUT /certificates/issuers/issuer01", FULL).await;
    let change = r#"{"credentials":{"account_id":"xboxuser"},"org_details":{"id":"7"},"attributes":{"enabled":false}}"#;
    let issuer = client.must("PATCH /certificates/issuers/issuer01", change).await;
    assert_eq!(issuer["credentials"], serde_json::json!({"account_id": "xboxuser"}));
    assert_eq!((&issuer["org_details"]["id"], &issuer["attributes"]["enabled"]), (&"7".into(), &false.into()));
    assert_eq!(issuer["org_details"]["admin_details"][0]["first_name"], "Jane");
}

#[tokio::test]
async fn a_provider_that_is_missing_or_unknown_is_refused() {
    let client = Client::start().await;
    let request = "PUT /certificates/issuers/issuer01";
    client.send(request, "{}").await.is_refusal(
        400,
        "BadParameter",
        "Property provider has invalid value. It is required",
    );
    client.send(request, r#"{"provider":"Nobody"}"#).await.is_refusal(400, "BadParameter", "Nobody is not a provider");
}

#[tokio::test]
async fn the_list_comes_in_pages() {
    let client = Client::start().await;
    for number in 0..5 {
        client.test_issuer(&format!("issuer0{number}"), "complete").await;
    }
    let first = client.must("GET /certificates/issuers?maxresults=2", "").await;
    let id = |number| format!("https://v1.localhost:8443/certificates/issuers/issuer0{number}");
    let items = [0, 1].map(|number| serde_json::json!({"id": id(number), "provider": "Test"}));
    assert_eq!(first["value"], serde_json::json!(items));
    let next = first["nextLink"].as_str().unwrap();
    assert!(next.starts_with("https://v1.localhost:8443/certificates/issuers?api-version=7.4&$skiptoken="), "{next}");
    assert!(next.ends_with("&maxresults=2"), "{next}");
    let mut next = Some("/certificates/issuers?api-version=7.4&maxresults=2".to_owned());
    let mut seen = 0;
    while let Some(path) = next {
        // Clients encode the name of the parameter again.
        let path = path.replace("$skiptoken", "%24skiptoken");
        let page = client.raw(&format!("GET {path}"), &[("authorization", "Bearer t")], "").await.json();
        seen += page["value"].as_array().unwrap().len();
        next = page["nextLink"].as_str().map(|link| link.strip_prefix("https://v1.localhost:8443").unwrap().to_owned());
    }
    assert_eq!(seen, 5);
}

#[tokio::test]
async fn an_empty_list_has_a_next_link_of_null() {
    let client = Client::start().await;
    client.send("GET /certificates/issuers", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"value":[],"nextLink":null}
    "#);
}

#[tokio::test]
async fn a_bad_page_is_refused() {
    let client = Client::start().await;
    for size in ["0", "26", "x"] {
        let reply = client.send(&format!("GET /certificates/issuers?maxresults={size}"), "").await;
        reply.is_refusal(400, "BadParameter", "Property maxresults has invalid value.");
    }
    let reply = client.send("GET /certificates/issuers?$skiptoken=a/b", "").await;
    reply.is_refusal(400, "BadParameter", "Invalid page token; omit it to start from the first page.");
}

#[tokio::test]
async fn a_built_in_ca_signs_and_hands_out_its_root() {
    let client = Client::start().await;
    client.must("PUT /certificates/issuers/house", r#"{"provider":"LocalCA"}"#).await;
    let reply = client.send("GET /certificates/issuers/house/ca", "").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/x-pem-file")));
    let root = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(root.path(), &reply.body).unwrap();
    client.must("POST /certificates/mycert1/create", &policy("house")).await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    let bundle = client.must("GET /certificates/mycert1", "").await;
    let leaf = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(leaf.path(), crate::ca::pem(&STANDARD.decode(bundle["cer"].as_str().unwrap()).unwrap())).unwrap();
    let output = Command::new("openssl").args(["verify", "-CAfile"]).args([root.path(), leaf.path()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn an_issuer_without_a_ca_has_none_to_hand_out() {
    let client = Client::start().await;
    client.test_issuer("issuer01", "complete").await;
    let reply = client.send("GET /certificates/issuers/issuer01/ca", "").await;
    reply.is_refusal(404, "CertificateIssuerNotFound", "has no CA on this server");
}
