//! Soft delete: delete, read, list, recover, purge.

use crate::client::{Client, policy};
use serde_json::{Value, json};

const TAIL: &str = r#"
    "id":"https://v1.localhost:8443/certificates/web/<1>",
    "kid":"https://v1.localhost:8443/keys/web/<1>",
    "sid":"https://v1.localhost:8443/secrets/web/<1>",
    "x5t":"<x5t>","cer":"<cer>",
    "attributes":{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>,
    "recoveryLevel":"Recoverable+Purgeable","recoverableDays":90},
    "policy":{"id":"https://v1.localhost:8443/certificates/web/policy",
    "key_props":{"exportable":true,"kty":"EC","key_size":256,"reuse_key":false,"crv":"P-256"},
    "secret_props":{"contentType":"application/x-pkcs12"},
    "x509_props":{"subject":"CN=mycert1.example","ekus":["1.3.6.1.5.5.7.3.1","1.3.6.1.5.5.7.3.2"],
    "key_usage":["digitalSignature"],"validity_months":12,"basic_constraints":{"ca":false}},
    "lifetime_actions":[{"trigger":{"lifetime_percentage":80},"action":{"action_type":"AutoRenew"}}],
    "issuer":{"name":"Self"},"attributes":{"enabled":true,"created":<time>,"updated":<time>}},
    "pending":{"id":"https://v1.localhost:8443/certificates/web/pending"}}
"#;

const HEAD: &str = r#"
    200
    content-type: application/json; charset=utf-8
"#;

const DELETED: &str = r#"{"recoveryId":"https://v1.localhost:8443/deletedcertificates/web","deletedDate":<time>,"scheduledPurgeDate":<time>,"#;

const GONE: &str = r#"
    404
    content-type: application/json; charset=utf-8
    {"error":{"code":"CertificateNotFound","message":"Deleted Certificate not found: web"}}
"#;

const NOT_THERE: &str = r#"
    404
    content-type: application/json; charset=utf-8
    {"error":{"code":"CertificateNotFound","message":"A certificate with (name/id) web was not found in this key vault. If you recently deleted this certificate you may be able to recover it using the correct recovery command. For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"}}
"#;

const TAKEN: &str = r#"
    409
    content-type: application/json; charset=utf-8
    {"error":{"code":"Conflict","message":"Certificate web is currently in a deleted but recoverable state, and its name cannot be reused; in this state, the certificate can only be recovered or purged.","innererror":{"code":"ObjectIsDeletedButRecoverable"}}}
"#;

#[tokio::test]
async fn a_deleted_certificate_says_where_to_recover_it_and_when_it_goes() {
    let client = Client::start().await;
    client.issued("web").await;
    let expected = format!("{HEAD}{DELETED}{TAIL}");
    let reply = client.send("DELETE /certificates/web", "").await;
    reply.is(&expected);
    let date = |member: &str| reply.json()[member].as_i64().unwrap();
    assert_eq!(date("scheduledPurgeDate") - date("deletedDate"), 90 * 86_400);
    client.send("GET /deletedcertificates/WEB", "").await.is(&expected);
}

#[tokio::test]
async fn what_is_deleted_is_nowhere_else() {
    let client = Client::start().await;
    let version = crate::client::path(&client.issued("web").await["id"]);
    client.must("DELETE /certificates/web", "").await;
    for path in ["/certificates/web", "/certificates/web/policy"] {
        client.send(&format!("GET {path}"), "").await.is(NOT_THERE);
    }
    let words = version.replace("/certificates/web/", "web/versions/") + " was not found";
    client.send(&format!("GET {version}"), "").await.is_refusal(404, "CertificateNotFound", &words);
    for request in ["DELETE /certificates/web", "PATCH /certificates/web", "POST /certificates/web/backup"] {
        client.send(request, "").await.is(NOT_THERE);
    }
    for request in ["GET /certificates/web/pending", "DELETE /certificates/web/pending"] {
        client.send(request, "").await.is_refusal(404, "PendingCertificateNotFound", "web");
    }
    let list = client.must("GET /certificates?includePending=true", "").await;
    assert_eq!(list["value"], json!([]));
}

#[tokio::test]
async fn the_name_stays_taken_until_it_is_purged() {
    let client = Client::start().await;
    client.issued("web").await;
    client.must("DELETE /certificates/web", "").await;
    client.send("POST /certificates/WEB/create", &policy("Self")).await.is(TAKEN);
    let reply = client.send("DELETE /deletedcertificates/web", "").await;
    assert_eq!((reply.status, reply.body.as_str(), reply.header("content-type")), (204, "", None));
    client.send("GET /deletedcertificates/web", "").await.is(GONE);
    client.send("DELETE /deletedcertificates/web", "").await.is(GONE);
    client.send("POST /deletedcertificates/web/recover", "").await.is(NOT_THERE);
    let new = client.issued("web").await;
    assert_eq!(new["tags"], Value::Null);
    let versions = client.must("GET /certificates/web/versions", "").await;
    assert_eq!(versions["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_recovered_certificate_is_as_it_was() {
    let client = Client::start().await;
    client.issued("web").await;
    client.issued("web").await;
    client.must("PATCH /certificates/web", r#"{"tags":{"a":"1"}}"#).await;
    let before = client.must("GET /certificates/web", "").await;
    let versions = client.must("GET /certificates/web/versions", "").await;
    client.must("DELETE /certificates/web", "").await;
    let recovered = client.must("POST /deletedcertificates/web/recover", "").await;
    assert_eq!(recovered, before);
    assert_eq!(client.must("GET /certificates/web/", "").await, before);
    assert_eq!(client.must("GET /certificates/web/versions", "").await, versions);
    assert_eq!(client.must("GET /certificates/web/pending", "").await["status"], "completed");
    client.send("GET /deletedcertificates/web", "").await.is(GONE);
    client.send("POST /deletedcertificates/web/recover", "").await.is(NOT_THERE);
    // And it stays usable: a new version, and another deletion.
    client.issued("web").await;
    client.must("DELETE /certificates/web", "").await;
}

#[tokio::test]
async fn deleted_certificates_are_listed_with_their_dates() {
    let client = Client::start().await;
    client.issued("web").await;
    client.issued("api").await;
    client.create("never", "Unknown").await;
    for name in ["web", "never"] {
        client.must(&format!("DELETE /certificates/{name}"), "").await;
    }
    client.send("GET /deletedcertificates", "").await.is(&format!(
        r#"{HEAD}{{"value":[{DELETED}
        "id":"https://v1.localhost:8443/certificates/web","x5t":"<x5t>",
        "attributes":{{"enabled":true,"nbf":<time>,"exp":<time>,"created":<time>,"updated":<time>,
        "recoveryLevel":"Recoverable+Purgeable","recoverableDays":90}}}}],
        "nextLink":null}}"#
    ));
    let all = client.must("GET /deletedcertificates?includePending=true&maxresults=1", "").await;
    assert_eq!(all["value"][0]["recoveryId"], "https://v1.localhost:8443/deletedcertificates/never");
    let next = all["nextLink"].as_str().unwrap();
    let (list, rest) = next.split_once("&$skiptoken=").unwrap();
    assert_eq!(list, "https://v1.localhost:8443/deletedcertificates?api-version=7.4");
    let (token, rest) = rest.split_once('&').unwrap();
    assert_eq!(rest, "maxresults=1&includePending=true");
    let rest = client.must(&format!("GET /deletedcertificates?includePending=true&$skiptoken={token}"), "").await;
    assert_eq!((rest["value"].as_array().unwrap().len(), &rest["nextLink"]), (1, &Value::Null));
    let live = client.must("GET /certificates?includePending=true", "").await;
    assert_eq!(live["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_request_that_waits_for_a_merge_sleeps_and_wakes_with_its_certificate() {
    let client = Client::start().await;
    let ca = crate::ca::Ca::new();
    let operation = client.create("web", "Unknown").await;
    let deleted = client.must("DELETE /certificates/web", "").await;
    assert_eq!(deleted["pending"]["id"], "https://v1.localhost:8443/certificates/web/pending");
    assert_eq!(deleted["attributes"]["enabled"], false);
    let merge = crate::ca::x5c(&[&ca.sign(operation["csr"].as_str().unwrap(), 3)]);
    let reply = client.send("POST /certificates/web/pending/merge", &merge).await;
    reply.is_refusal(404, "PendingCertificateNotFound", "web");
    client.must("POST /deletedcertificates/web/recover", "").await;
    let again = client.must("GET /certificates/web/pending", "").await;
    assert_eq!(again, operation);
    client.must("POST /certificates/web/pending/merge", &merge).await;
}

/// Recorded in 2020. What signs itself has no order elsewhere that would have to be withdrawn.
#[tokio::test]
async fn what_signs_itself_keeps_its_operation_and_goes_on_after_the_recovery() {
    let client = Client::start().await;
    for name in ["a", "b", "c", "d"] {
        let operation = client.create(name, "Self").await;
        let deleted = client.must(&format!("DELETE /certificates/{name}"), "").await;
        let pending = json!({"id": format!("https://v1.localhost:8443/certificates/{name}/pending")});
        assert_eq!(deleted["pending"], pending);
        let again = client.must(&format!("GET /deletedcertificates/{name}"), "").await;
        assert_eq!(again["pending"], pending);
        client.must(&format!("POST /deletedcertificates/{name}/recover"), "").await;
        let ended = client.ended(name).await;
        assert_eq!((&ended["status"], &ended["request_id"]), (&json!("completed"), &operation["request_id"]));
        assert_eq!(client.must(&format!("GET /certificates/{name}"), "").await["attributes"]["enabled"], true);
    }
}

#[tokio::test]
async fn what_an_issuer_works_on_is_given_up() {
    let client = Client::start().await;
    client.issued("web").await;
    client.test_issuer("slow", "hold").await;
    client.create("web", "slow").await;
    let deleted = client.must("DELETE /certificates/web", "").await;
    assert_eq!(deleted["pending"], Value::Null);
    let recovered = client.must("POST /deletedcertificates/web/recover", "").await;
    assert_eq!((&recovered["pending"], &recovered["attributes"]["enabled"]), (&Value::Null, &json!(true)));
    client.send("GET /certificates/web/pending", "").await.is_refusal(404, "PendingCertificateNotFound", "web");
    client.issued("web").await;
}

#[tokio::test]
async fn what_is_not_there_cannot_be_deleted_or_recovered() {
    let client = Client::start().await;
    client.send("DELETE /certificates/web", "").await.is(NOT_THERE);
    client.send("GET /deletedcertificates/web", "").await.is(GONE);
    client.send("DELETE /deletedcertificates/web", "").await.is(GONE);
    client.send("POST /deletedcertificates/web/recover", "").await.is(NOT_THERE);
    client.issued("web").await;
    client.send("GET /deletedcertificates/web", "").await.is(GONE);
    client.send("DELETE /deletedcertificates/web", "").await.is(GONE);
    client.send("POST /deletedcertificates/web/recover", "").await.is(NOT_THERE);
    client.send("GET /deletedcertificates/a_b", "").await.is_refusal(400, "BadParameter", "invalid name");
    client.send("POST /deletedcertificates/web", "").await.is_refusal(405, "MethodNotAllowed", "HTTP POST not allowed");
}
