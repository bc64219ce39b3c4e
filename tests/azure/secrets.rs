//! The secret view: the certificate with its key, and what it refuses.

use crate::ca::{Ca, x5c};
use crate::client::{Client, HOST};
use crate::pfx::{P256, Pfx, RSA};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

/// Creates `mycert1`, self-signed.
async fn created(client: &Client, policy: &Value) -> Value {
    client.must("POST /certificates/mycert1/create", &json!({"policy": policy}).to_string()).await;
    assert_eq!(client.ended("mycert1").await["status"], "completed");
    client.must("GET /certificates/mycert1", "").await
}

fn policy(content_type: &str, exportable: bool) -> Value {
    json!({"key_props": {"kty": "EC", "exportable": exportable}, "secret_props": {"contentType": content_type},
        "x509_props": {"subject": "CN=a"}, "issuer": {"name": "Self"}})
}

fn path(bundle: &Value, member: &str) -> String {
    bundle[member].as_str().unwrap().strip_prefix(&format!("https://{HOST}")).unwrap().to_owned()
}

#[tokio::test]
async fn the_answer_is_a_pfx_that_openssl_opens_and_whose_key_is_that_of_the_certificate() {
    let client = Client::start().await;
    let bundle = created(&client, &policy("application/x-pkcs12", true)).await;
    let reply = client.send(&format!("GET {}", path(&bundle, "sid")), "").await;
    let value = reply.json()["value"].as_str().unwrap().to_owned();
    let shown = reply.shown().replace(&value, "<value>");
    assert_eq!(
        shown,
        "200\ncontent-type: application/json; charset=utf-8\n{\"value\":\"<value>\",\"contentType\":\"application/x-pkcs12\",\"id\":\"https://v1.localhost:8443/secrets/mycert1/<1>\",\"managed\":true,\"attributes\":{\"enabled\":true,\"nbf\":<time>,\"exp\":<time>,\"created\":<time>,\"updated\":<time>,\"recoveryLevel\":\"Recoverable+Purgeable\",\"recoverableDays\":90},\"kid\":\"https://v1.localhost:8443/keys/mycert1/<1>\"}"
    );
    let files = Pfx::new(P256, "");
    files.keep(&bundle);
    files.write("secret.p12", &STANDARD.decode(&value).unwrap());
    files.openssl("pkcs12 -in secret.p12 -passin pass: -nodes -nocerts -out secret.key");
    files.openssl("pkey -in secret.key -pubout -out secret.pub");
    assert_eq!(files.text("secret.pub"), files.text("pub.pem"));
    for newest in ["GET /secrets/mycert1", "GET /secrets/mycert1/"] {
        assert_eq!(client.must(newest, "").await["value"], value.as_str(), "the same bytes each time");
    }
}

#[tokio::test]
async fn pem_is_the_key_then_the_chain_from_the_leaf_to_the_root() {
    let client = Client::start().await;
    let policy = json!({"key_props": {"kty": "EC"}, "secret_props": {"contentType": "application/x-pem-file"},
        "x509_props": {"subject": "CN=a"}, "issuer": {"name": "Unknown"}});
    let operation = client.must("POST /certificates/mycert1/create", &json!({"policy": policy}).to_string()).await;
    let ca = Ca::new();
    let leaf = ca.sign(operation["csr"].as_str().unwrap(), 30);
    client.must("POST /certificates/mycert1/pending/merge", &x5c(&[&ca.certificate(), &leaf])).await;
    let secret = client.must("GET /secrets/mycert1", "").await;
    assert_eq!(secret["contentType"], "application/x-pem-file");
    let text = secret["value"].as_str().unwrap();
    assert!(text.starts_with("-----BEGIN PRIVATE KEY-----\n"), "{text}");
    assert!(text.ends_with(&(crate::ca::pem(&leaf) + &crate::ca::pem(&ca.certificate()))), "{text}");
    assert!(!text.contains('\r') && text.lines().all(|line| line.len() <= 64));
}

#[tokio::test]
async fn a_key_that_is_not_exportable_stays() {
    for (content_type, member) in [("application/x-pem-file", "pem"), ("application/x-pkcs12", "pfx")] {
        let client = Client::start().await;
        let bundle = created(&client, &policy(content_type, false)).await;
        let value = client.must("GET /secrets/mycert1", "").await["value"].as_str().unwrap().to_owned();
        let der = STANDARD.decode(bundle["cer"].as_str().unwrap()).unwrap();
        if member == "pem" {
            assert_eq!(value, crate::ca::pem(&der));
            continue;
        }
        let files = Pfx::new(P256, "");
        files.write("secret.p12", &STANDARD.decode(&value).unwrap());
        let said = files.openssl("pkcs12 -in secret.p12 -passin pass: -nodes");
        assert!(said.contains("BEGIN CERTIFICATE") && !said.contains("PRIVATE KEY"), "{said}");
    }
}

#[tokio::test]
async fn a_pfx_is_answered_as_pem_where_that_is_asked_for() {
    let client = Client::start().await;
    created(&client, &policy("application/x-pkcs12", true)).await;
    let pem = client.must("GET /secrets/mycert1?outContentType=application/x-pem-file", "").await;
    assert_eq!(pem["contentType"], "application/x-pem-file");
    assert!(pem["value"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    let same = client.must("GET /secrets/mycert1?outContentType=application%2Fx-pkcs12", "").await;
    assert_eq!(same, client.must("GET /secrets/mycert1", "").await);
    client.send("GET /secrets/mycert1?outContentType=text/plain", "").await.is_refusal(
        400,
        "BadParameter",
        "Property outContentType",
    );
}

#[tokio::test]
async fn a_pem_is_not_answered_as_pfx() {
    let client = Client::start().await;
    created(&client, &policy("application/x-pem-file", true)).await;
    client.send("GET /secrets/mycert1?outContentType=application/x-pkcs12", "").await.is_refusal(
        400,
        "BadParameter",
        "Property outContentType",
    );
}

#[tokio::test]
async fn an_imported_certificate_comes_out_as_it_came_in() {
    let client = Client::start().await;
    let pfx = Pfx::new(RSA, "");
    client.must("POST /certificates/mycert1/import", &json!({"value": pfx.pem()}).to_string()).await;
    let value = client.must("GET /secrets/mycert1", "").await["value"].as_str().unwrap().to_owned();
    assert_eq!(value, pfx.pem());
}

#[tokio::test]
async fn a_disabled_secret_is_refused() {
    let client = Client::start().await;
    let body = json!({"value": Pfx::new(P256, "").pem(), "attributes": {"enabled": false}});
    client.must("POST /certificates/mycert1/import", &body.to_string()).await;
    client.send("GET /secrets/mycert1", "").await.is(r#"
        403
        content-type: application/json; charset=utf-8
        {"error":{"code":"Forbidden","message":"Operation get is not allowed on a disabled secret.","innererror":{"code":"SecretDisabled"}}}
    "#);
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let client = Client::start().await;
    client.create("mycert1", "Unknown").await;
    let words = "A secret with (name/id) mycert1 was not found in this key vault. If you recently deleted this secret you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182";
    client.send("GET /secrets/mycert1", "").await.is_refusal(404, "SecretNotFound", words);
    client.send("GET /secrets/my_cert", "").await.is_refusal(400, "BadParameter", "invalid name");
    client.send("GET /secrets/mycert1/1", "").await.is_refusal(400, "BadParameter", "version");
}

#[tokio::test]
async fn the_list_shows_the_newest_versions_as_managed() {
    let client = Client::start().await;
    client.create("pending", "Unknown").await;
    let body = json!({"value": Pfx::new(P256, "").pem(), "tags": {"a": "b"}});
    client.must("POST /certificates/mycert1/import", &body.to_string()).await;
    client.send("GET /secrets", "").await.is(r#"
        200
        content-type: application/json; charset=utf-8
        {"value":[{"contentType":"application/x-pem-file","id":"https://v1.localhost:8443/secrets/mycert1","managed":true,
        "attributes":{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>,
        "recoveryLevel":"Recoverable+Purgeable","recoverableDays":90},"tags":{"a":"b"}}],"nextLink":null}
    "#);
}

/// Follows the links of a list; answers the identifiers of each page.
async fn pages(client: &Client, first: &str, member: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut next = format!("GET {first}");
    loop {
        let page = client.must(&next, "").await;
        let ids = page["value"].as_array().unwrap().iter();
        found.push(ids.map(|item| item[member].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect());
        let Some(link) = page["nextLink"].as_str() else { return found };
        let link = link.strip_prefix(&format!("https://{HOST}")).unwrap().replace("api-version=7.4&", "");
        next = format!("GET {link}");
    }
}

#[tokio::test]
async fn lists_come_in_pages_that_link_to_the_next() {
    let client = Client::start().await;
    let pfx = Pfx::new(P256, "");
    for name in ["c", "a", "e", "B", "d"] {
        client.must(&format!("POST /certificates/{name}/import"), &pfx.body()).await;
    }
    for (collection, member) in [("secrets", "id"), ("keys", "kid")] {
        let found = pages(&client, &format!("/{collection}?maxresults=2"), member).await;
        assert_eq!(found, [vec!["a", "B"], vec!["c", "d"], vec!["e"]]);
        let whole = pages(&client, &format!("/{collection}"), member).await;
        assert_eq!(whole, [["a", "B", "c", "d", "e"]]);
        for bad in ["maxresults=0", "maxresults=26"] {
            client.send(&format!("GET /{collection}?{bad}"), "").await.is_refusal(400, "BadParameter", "Property");
        }
        for bad in ["$skiptoken=a_b", "%24skiptoken=%2F"] {
            let reply = client.send(&format!("GET /{collection}?{bad}"), "").await;
            reply.is_refusal(400, "BadParameter", "Invalid page token; omit it to start from the first page.");
        }
    }
}

#[tokio::test]
async fn the_versions_of_one_come_in_pages_too() {
    let client = Client::start().await;
    let pfx = Pfx::new(P256, "");
    let mut imported = Vec::new();
    for _ in 0..5 {
        let bundle = client.must("POST /certificates/mycert1/import", &pfx.body()).await;
        imported.push(bundle["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned());
    }
    imported.sort();
    for (collection, member) in [("secrets", "id"), ("keys", "kid")] {
        let found = pages(&client, &format!("/{collection}/mycert1/versions?maxresults=2"), member).await;
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
        assert_eq!(found.concat(), imported);
    }
}

#[tokio::test]
async fn writes_are_refused_since_the_certificate_owns_the_secret() {
    let client = Client::start().await;
    client.must("POST /certificates/mycert1/import", &Pfx::new(P256, "").body()).await;
    client.send("DELETE /secrets/mycert1", "").await.is(r#"
        403
        content-type: application/json; charset=utf-8
        {"error":{"code":"Forbidden","message":"Operation \"delete\" is not allowed on this secret, since it is associated with a certificate. Perform the operation on the corresponding certificate. For more information refer to https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates#composition-of-a-certificate","innererror":{"code":"SecretManagedByKeyVault"}}}
    "#);
    for (request, operation) in [
        ("PUT /secrets/mycert1", "set"),
        ("PATCH /secrets/mycert1", "update"),
        ("PATCH /secrets/mycert1/a76827a18b63421c917da80f28e9913d", "update"),
        ("POST /secrets/mycert1/backup", "backup"),
    ] {
        let words = format!("Operation \"{operation}\" is not allowed on this secret");
        client.send(request, r#"{"value":"x"}"#).await.is_refusal(403, "Forbidden", &words);
    }
    client.send("PUT /secrets/other", r#"{"value":"x"}"#).await.is_refusal(501, "NotSupported", "are not supported");
}

#[tokio::test]
async fn nothing_leaks_from_one_vault_to_another() {
    let client = Client::start().await;
    client.must("POST /certificates/mycert1/import", &Pfx::new(P256, "").body()).await;
    let other = [("authorization", "Bearer token"), ("host", "v2.localhost:8443")];
    for (path, code) in [("/secrets/mycert1", "SecretNotFound"), ("/keys/mycert1", "KeyNotFound")] {
        client.raw(&format!("GET {path}?api-version=7.4"), &other, "").await.is_refusal(404, code, "mycert1");
    }
    for collection in ["secrets", "keys"] {
        let list = client.raw(&format!("GET /{collection}?api-version=7.4"), &other, "").await;
        assert_eq!(list.body, r#"{"value":[],"nextLink":null}"#);
    }
}

#[tokio::test]
async fn a_deleted_certificate_has_neither_api_until_it_is_recovered() {
    let client = Client::start().await;
    let body = Pfx::new(P256, "").body();
    let bundle = client.must("POST /certificates/mycert1/import", &body).await;
    client.must("DELETE /certificates/mycert1", "").await;
    for request in ["GET /secrets/mycert1".to_owned(), format!("GET {}", path(&bundle, "sid"))] {
        client.send(&request, "").await.is_refusal(404, "SecretNotFound", "mycert1");
    }
    client.send(&format!("GET {}", path(&bundle, "kid")), "").await.is_refusal(404, "KeyNotFound", "mycert1");
    for list in ["GET /secrets", "GET /secrets/mycert1/versions"] {
        assert_eq!(client.must(list, "").await["value"], json!([]));
    }
    client.send("POST /certificates/mycert1/import", &body).await.is_refusal(
        409,
        "Conflict",
        "currently in a deleted but recoverable state",
    );
    client.must("POST /deletedcertificates/mycert1/recover", "").await;
    client.must(&format!("GET {}", path(&bundle, "sid")), "").await;
}

#[tokio::test]
async fn a_restored_certificate_has_the_same_secret_and_the_same_operations() {
    let client = Client::start().await;
    let body = json!({"value": Pfx::new(RSA, "-addext keyUsage=digitalSignature").pem()});
    client.must("POST /certificates/mycert1/import", &body.to_string()).await;
    let (secret, key) = (client.must("GET /secrets/mycert1", "").await, client.must("GET /keys/mycert1", "").await);
    let backup = client.must("POST /certificates/mycert1/backup", "").await;
    client.must("DELETE /certificates/mycert1", "").await;
    client.send("DELETE /deletedcertificates/mycert1", "").await;
    client.must("POST /certificates/restore", &backup.to_string()).await;
    assert_eq!(client.must("GET /secrets/mycert1", "").await["value"], secret["value"]);
    assert_eq!(client.must("GET /keys/mycert1", "").await["key"], key["key"]);
}

#[tokio::test]
async fn an_imported_certificate_is_listed_and_can_be_changed() {
    let client = Client::start().await;
    client.must("POST /certificates/mycert1/import", &Pfx::new(P256, "").body()).await;
    let list = client.must("GET /certificates", "").await;
    assert_eq!(
        (list["value"].as_array().unwrap().len(), &list["value"][0]["attributes"]["enabled"]),
        (1, &json!(true))
    );
    client.must("PATCH /certificates/mycert1", r#"{"attributes":{"enabled":false}}"#).await;
    client.send("GET /secrets/mycert1", "").await.is_refusal(403, "Forbidden", "disabled secret");
    client.send("GET /keys/mycert1", "").await.is_refusal(403, "Forbidden", "disabled key");
}
