//! Errors for missing versions, backups and chains, in the recorded words.

use crate::ca::{Ca, x5c};
use crate::client::Client;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

const NONE: &str = "a76827a18b63421c917da80f28e9913d";
const ZERO: &str = "00000000000000000000000000000000";

#[tokio::test]
async fn an_unknown_version_is_named_whether_its_certificate_is_there_or_not() {
    let client = Client::start().await;
    client.issued("web").await;
    for name in ["web", "none"] {
        for version in [NONE, ZERO] {
            let words =
                format!("A certificate with (name/id) {name}/versions/{version} was not found in this key vault.");
            for request in ["GET", "PATCH"] {
                let reply = client.send(&format!("{request} /certificates/{name}/{version}"), "").await;
                reply.is_refusal(404, "CertificateNotFound", &words);
            }
            let reply = client.send(&format!("GET /secrets/{name}/{version}"), "").await;
            reply.is_refusal(404, "SecretNotFound", &format!("A secret with (name/id) {name}/{version} was not found"));
            let reply = client.send(&format!("GET /keys/{name}/{version}"), "").await;
            reply.is_refusal(404, "KeyNotFound", &format!("A key with (name/id) {name}/{version} was not found"));
        }
    }
    for (path, code) in
        [("certificates", "CertificateNotFound"), ("secrets", "SecretNotFound"), ("keys", "KeyNotFound")]
    {
        client.send(&format!("GET /{path}/none"), "").await.is_refusal(404, code, "(name/id) none was not found");
    }
}

#[tokio::test]
async fn an_id_of_zeros_is_an_id_that_nothing_has() {
    let client = Client::start().await;
    client.create("web", "Unknown").await;
    let reply = client.send(&format!("GET /certificates/web/pending?request_id={ZERO}"), "").await;
    reply.is_refusal(404, "PendingCertificateNotFound", "Pending certificate not found: web");
    let reply = client.send("GET /certificates/web/0", "").await;
    reply.is_refusal(400, "BadParameter", "It has 32 hexadecimal digits.");
}

#[tokio::test]
async fn a_damaged_backup_has_no_version_and_a_text_that_is_none_is_corrupt() {
    let client = Client::start().await;
    client.issued("web").await;
    let backup = client.must("POST /certificates/web/backup", "").await["value"].as_str().unwrap().to_owned();
    let bytes = URL_SAFE_NO_PAD.decode(&backup).unwrap();
    let changed = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1;
        URL_SAFE_NO_PAD.encode(bytes)
    };
    let restore =
        async |value: &str| client.send("POST /certificates/restore", &json!({ "value": value }).to_string()).await;
    let zeros = URL_SAFE_NO_PAD.encode([0; 4728]);
    for damaged in
        [zeros, changed(bytes.len() - 1), changed(bytes.len() / 2), URL_SAFE_NO_PAD.encode(&bytes[..bytes.len() - 1])]
    {
        let words = "Backup blob contains invalid or corrupt version.";
        restore(&damaged).await.is_refusal(400, "Malformed backup blob", words);
    }
    for none in ["no backup!", &URL_SAFE_NO_PAD.encode("not a backup"), "AA?", "_w"] {
        restore(none).await.is_refusal(400, "Malformed backup blob", "Backup blob is corrupt.");
    }
}

#[tokio::test]
async fn of_several_certificates_none_is_the_leaf_and_of_one_the_key_is_another() {
    let client = Client::start().await;
    client.create("web", "Unknown").await;
    let other = client.create("other", "Unknown").await;
    let ca = Ca::new();
    let leaf = ca.sign(other["csr"].as_str().unwrap(), 3);
    let merge = "POST /certificates/web/pending/merge";
    let reply = client.send(merge, &x5c(&[&leaf])).await;
    reply.is_refusal(400, "BadParameter", "The public key of the end-entity certificate in the specified");
    let reply = client.send(merge, &x5c(&[&leaf, &ca.certificate()])).await;
    reply.is_refusal(400, "BadParameter", "Unable to parse X5c certificate chain and locate leaf certificate");
    assert_eq!(client.must("GET /certificates/web/pending", "").await["status"], "inProgress");
}
