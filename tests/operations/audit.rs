//! The audit lines of requests: the same over both APIs, without secrets.

use crate::clients::{channel, rest, talk, until};
use crate::server::{ALICE, Place, Server};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use certmint::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::import_certificate_request::Bundle;
use certmint::proto::v1::key_service_client::KeyServiceClient;
use certmint::proto::v1::secret_service_client::SecretServiceClient;
use certmint::proto::v1::*;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tonic::{Request, Status};

const KEY_AND_CERTIFICATE: &str = include_str!("../data/seeds/pem/plain.pem");
const DIGEST: [u8; 32] = [7; 32];
/// Lines of one API.
const LINES: usize = 19;

fn bearer(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.metadata_mut().insert("authorization", format!("Bearer {ALICE}").parse().unwrap());
    Ok(request)
}

/// Sends a request over REST, whatever comes of it; the member `value` of the answer.
async fn send(server: &Server, place: &Place, request: &str, body: Value) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    let join = if path.contains('?') { '&' } else { '?' };
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = rest(server, place, Some(ALICE), method, &format!("{path}{join}api-version=7.4"), &body).await;
    let body = answer.split_once("\r\n\r\n").unwrap().1;
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    body["value"].as_str().unwrap_or_default().to_owned()
}

async fn over_rest(server: &Server, place: &Place) -> String {
    let digest = URL_SAFE_NO_PAD.encode(DIGEST);
    let send = async |request: &str, body: Value| send(server, place, request, body).await;
    let policy = json!({"secret_props": {"contentType": "application/x-pem-file"}, "key_props": {"exportable": true}});
    send("POST /certificates/web/import", json!({"value": KEY_AND_CERTIFICATE, "policy": policy})).await;
    let secret = send("GET /secrets/web", Value::Null).await;
    assert!(secret.contains("PRIVATE KEY"));
    send("GET /secrets/web/versions", Value::Null).await;
    send("GET /secrets", Value::Null).await;
    send("GET /keys/web", Value::Null).await;
    let signature = send("POST /keys/web/sign", json!({"alg": "ES256", "value": digest})).await;
    send("POST /keys/web/verify", json!({"alg": "ES256", "digest": digest, "value": signature})).await;
    send("POST /keys/web/encrypt", json!({"alg": "RSA-OAEP", "value": digest})).await;
    send("POST /keys/bad_name/unwrapkey", json!({"alg": "RSA-OAEP", "value": digest})).await;
    let backup = send("POST /certificates/web/backup", Value::Null).await;
    send("POST /certificates/restore", json!({ "value": backup })).await;
    send("POST /certificates/restore", json!({ "value": digest })).await;
    send("DELETE /certificates/web", Value::Null).await;
    send("GET /secrets/web", Value::Null).await;
    send("DELETE /deletedcertificates/web", Value::Null).await;
    send("POST /certificates/restore", json!({ "value": backup })).await;
    send("PATCH /certificates/web", json!({"attributes": {"enabled": false}})).await;
    send("GET /secrets/web", Value::Null).await;
    send("PUT /certificates/issuers/house", json!({"provider": "LocalCA", "credentials": {"pwd": "hunter2"}})).await;
    send("DELETE /certificates/issuers/house", Value::Null).await;
    send("DELETE /certificates/web", Value::Null).await;
    send("DELETE /deletedcertificates/web", Value::Null).await;
    backup
}

async fn over_grpc(server: &Server, place: &Place) {
    let channel = channel(server, place).await;
    let mut certificates = CertificateServiceClient::with_interceptor(channel.clone(), bearer);
    let mut admin = CertificateAdminServiceClient::with_interceptor(channel.clone(), bearer);
    let mut secrets = SecretServiceClient::with_interceptor(channel.clone(), bearer);
    let mut keys = KeyServiceClient::with_interceptor(channel, bearer);
    let name = || "web".to_owned();
    let secret = || GetSecretRequest { secret_name: name(), ..GetSecretRequest::default() };
    let import = ImportCertificateRequest {
        certificate_name: name(),
        bundle: Some(Bundle::Pem(KEY_AND_CERTIFICATE.into())),
        policy: Some(CertificatePolicy {
            secret_properties: Some(SecretProperties { content_type: "application/x-pem-file".into() }),
            key_properties: Some(KeyProperties { exportable: Some(true), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    };
    certificates.import_certificate(import).await.unwrap();
    secrets.get_secret(secret()).await.unwrap();
    let versions = ListSecretVersionsRequest { secret_name: name(), ..Default::default() };
    secrets.list_secret_versions(versions).await.unwrap();
    secrets.list_secrets(ListSecretsRequest::default()).await.unwrap();
    keys.get_key(GetKeyRequest { key_name: name(), ..Default::default() }).await.unwrap();
    let (algorithm, digest) = (SignatureAlgorithm::Es256.into(), DIGEST.to_vec().into());
    let sign = SignRequest { key_name: name(), algorithm, digest, ..Default::default() };
    let SignRequest { digest, .. } = sign.clone();
    let signature = keys.sign(sign).await.unwrap().into_inner().signature;
    keys.verify(VerifyRequest { key_name: name(), algorithm, digest, signature, ..Default::default() }).await.unwrap();
    let algorithm = EncryptionAlgorithm::RsaOaep.into();
    let encrypt =
        EncryptRequest { key_name: name(), algorithm, plaintext: DIGEST.to_vec().into(), ..Default::default() };
    keys.encrypt(encrypt).await.unwrap_err();
    let encrypted_key = DIGEST.to_vec().into();
    let unwrap = UnwrapKeyRequest { key_name: "bad_name".into(), algorithm, encrypted_key, ..Default::default() };
    keys.unwrap_key(unwrap).await.unwrap_err();
    let backup = BackupCertificateRequest { certificate_name: name(), ..Default::default() };
    let value = certificates.backup_certificate(backup).await.unwrap().into_inner().value;
    let restore = RestoreCertificateRequest { value, ..Default::default() };
    certificates.restore_certificate(restore.clone()).await.unwrap_err();
    let damaged = RestoreCertificateRequest { value: DIGEST.to_vec().into(), ..Default::default() };
    certificates.restore_certificate(damaged).await.unwrap_err();
    let delete = DeleteCertificateRequest { certificate_name: name(), ..Default::default() };
    let purge = PurgeDeletedCertificateRequest { certificate_name: name(), ..Default::default() };
    certificates.delete_certificate(delete.clone()).await.unwrap();
    secrets.get_secret(secret()).await.unwrap_err();
    certificates.purge_deleted_certificate(purge.clone()).await.unwrap();
    certificates.restore_certificate(restore).await.unwrap();
    let disabled = UpdateCertificateRequest {
        certificate_name: name(),
        attributes: Some(CertificateAttributes { enabled: Some(false), ..Default::default() }),
        ..Default::default()
    };
    certificates.update_certificate(disabled).await.unwrap();
    secrets.get_secret(secret()).await.unwrap_err();
    let issuer = Issuer {
        provider: "LocalCA".into(),
        credentials: Some(IssuerCredentials { password: "hunter2".into(), ..Default::default() }),
        ..Default::default()
    };
    let set = SetIssuerRequest { issuer_name: "house".into(), issuer: Some(issuer), ..Default::default() };
    admin.set_issuer(set).await.unwrap();
    admin.delete_issuer(DeleteIssuerRequest { issuer_name: "house".into(), ..Default::default() }).await.unwrap();
    certificates.delete_certificate(delete).await.unwrap();
    certificates.purge_deleted_certificate(purge).await.unwrap();
}

/// A line in words that do not depend on the API; the names of the members first.
fn told(line: &Value, versions: &mut Vec<String>) -> String {
    let text = |member: &str| line[member].as_str().unwrap_or_default().to_owned();
    let (action, outcome) = (text("action"), text("outcome"));
    let (action, outcome) = if text("api") == "rest" {
        let uri = format!("{} {action}", text("method"));
        let methods = certmint::proto::rest_options();
        let (name, _) = methods.iter().find(|(_, uris)| uris.contains(&uri)).unwrap_or_else(|| panic!("{uri}"));
        let (service, method) = name.rsplit_once('.').unwrap();
        (format!("{service}/{method}"), outcome.parse::<u16>().unwrap())
    } else {
        assert_eq!(text("method"), "POST");
        (action, 0)
    };
    let version = line["version"].as_str().map(|version| {
        let known = versions.iter().position(|known| known == version);
        known.unwrap_or_else(|| {
            versions.push(version.to_owned());
            versions.len() - 1
        })
    });
    let outcome = match (outcome, text("outcome").as_str()) {
        (200..300, _) | (_, "OK") => "done",
        _ => "refused",
    };
    let (principal, vault, name) = (text("principal"), text("vault"), text("name"));
    format!("{principal} {action} {vault}/{name} {version:?} {:?} {outcome}", line["with_key"].as_bool())
}

#[tokio::test]
async fn both_apis_leave_the_same_lines_of_changes_secrets_and_keys() {
    let place = Place::new("");
    let server = place.start();
    let backup = over_rest(&server, &place).await;
    over_grpc(&server, &place).await;
    let count = || server.log().matches("certmint::audit").count();
    until("all lines", async || count() >= 2 * LINES).await;
    let log = server.log();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |api: &str| {
        let mut versions = Vec::new();
        let lines = lines.iter().filter(|line| line["target"] == "certmint::audit" && line["api"] == api);
        lines.map(|line| told(line, &mut versions)).collect::<Vec<String>>()
    };
    let (by_rest, by_grpc) = (of("rest"), of("grpc"));
    assert_eq!(by_rest, by_grpc);
    assert_eq!(by_rest.len(), LINES, "{by_rest:#?}");
    for line in [
        "token:alice certmint.v1.SecretService/GetSecret default/web Some(0) Some(true) done",
        "token:alice certmint.v1.SecretService/GetSecret default/web None None refused",
        "token:alice certmint.v1.KeyService/Sign default/web Some(0) None done",
        "token:alice certmint.v1.KeyService/Encrypt default/web None None refused",
        "token:alice certmint.v1.KeyService/UnwrapKey default/ None None refused",
        "token:alice certmint.v1.CertificateService/RestoreCertificate default/web None None refused",
        "token:alice certmint.v1.CertificateService/RestoreCertificate default/ None None refused",
        "token:alice certmint.v1.CertificateService/RestoreCertificate default/web None None done",
        "token:alice certmint.v1.CertificateAdminService/SetIssuer default/house None None done",
    ] {
        assert!(by_rest.iter().any(|told| told == line), "no line {line}\n{by_rest:#?}");
    }
    // Nothing that is secret is in the whole log.
    let mut secrets: BTreeSet<&str> = KEY_AND_CERTIFICATE.lines().skip(1).take(2).collect();
    secrets.extend(["hunter2", "PRIVATE KEY", &backup[..40], ALICE]);
    for secret in secrets {
        assert!(secret.len() > 6 && !log.contains(secret), "{secret} is in the log");
    }
}

#[tokio::test]
async fn a_caller_that_disconnects_before_the_response_is_audited() {
    const KEYS: usize = 8;
    let place = Place::new("");
    let server = place.start();
    let body = r#"{"policy":{"key_props":{"kty":"RSA","key_size":4096},"x509_props":{"subject":"CN=a"},"issuer":{"name":"Self"}}}"#;
    let client = CertificateServiceClient::with_interceptor(channel(&server, &place).await, bearer);
    let begun = Instant::now();
    let over_rest = async |round: u32, patience: Duration| {
        let path = |i: usize| format!("/certificates/rest{round}-{i}/create?api-version=7.4");
        let paths: Vec<String> = (0..KEYS).map(path).collect();
        let calls = paths.iter().map(|path| rest(&server, &place, Some(ALICE), "POST", path, body));
        join_all(calls.map(|call| tokio::time::timeout(patience, call))).await;
    };
    let over_grpc = async |round: u32, patience: Duration| {
        let calls = (0..KEYS).map(|i| {
            let mut client = client.clone();
            let key = KeyProperties { key_type: KeyType::Rsa.into(), key_size: 4096, ..Default::default() };
            let create = CreateCertificateRequest {
                certificate_name: format!("grpc{round}-{i}"),
                policy: Some(CertificatePolicy {
                    key_properties: Some(key),
                    x509_properties: Some(X509Properties { subject: "CN=a".into(), ..Default::default() }),
                    issuer: Some(IssuerParameters { name: "Self".into(), ..Default::default() }),
                    ..Default::default()
                }),
                ..Default::default()
            };
            async move { tokio::time::timeout(patience, client.create_certificate(create)).await.map(|_| ()) }
        });
        join_all(calls).await;
    };
    let line = |outcome: &str, name: &str| {
        let log = server.log();
        let mut lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.any(|line| line["outcome"] == outcome && line["name"].as_str().is_some_and(|it| it.starts_with(name)))
    };
    // A fast machine makes a key before its caller has gone, a slow one has not read the request by then: callers of
    // every patience come, until the lines are there.
    for round in 0.. {
        let patience = Duration::from_millis(100 << (round % 6));
        match (line("499", "rest"), line("CANCELLED", "grpc")) {
            (true, true) => break,
            (false, _) => over_rest(round, patience).await,
            (true, false) => over_grpc(round, patience).await,
        }
        assert!(begun.elapsed() < Duration::from_secs(180), "no line of a caller that has gone:\n{}", server.log());
    }
}

#[tokio::test]
async fn a_line_says_which_method_a_request_with_an_override_is() {
    let place = Place::new("");
    let server = place.start();
    for (method, asked) in [("POST", "DELETE"), ("POST", "patch"), ("DELETE", "PATCH"), ("POST", "BREW")] {
        let head = format!("{method} /certificates/{method}-{asked}?api-version=7.4 HTTP/1.1\r\nhost: localhost\r\n");
        let headers = format!("authorization: Bearer {ALICE}\r\nx-http-method: {asked}\r\ncontent-length: 2\r\n");
        let headers = format!("{headers}content-type: application/json\r\nconnection: close\r\n\r\n{{}}");
        talk(&server, &place, format!("{head}{headers}").as_bytes()).await;
    }
    let methods = || {
        let log = server.log();
        let lines = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let lines = lines.filter(|line| line["target"] == "certmint::audit");
        lines.map(|line| line["method"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    until("all lines", async || methods().len() >= 4).await;
    assert_eq!(methods(), ["DELETE", "PATCH", "DELETE", "POST"]);
}
