//! Errors of lists, changes, deletions and backups.

use super::Play;
use super::outcome::Tried;
use crate::pfx::{P256, Pfx};
use crate::requests::create;
use crate::server::Server;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use certmint::keys::backup::{Blobs, Form, write};
use certmint::keys::{MasterKeys, Sealer};
use certmint::proto::v1::import_certificate_request::Bundle;
use certmint::proto::v1::*;
use serde_json::{Value, json};

pub(super) const CASES: &[(&str, Play)] = &[
    ("a page token of another list, vault or filter", |server| Box::pin(page_token(server))),
    ("`includePending` other than `true` and `false`", |server| Box::pin(include_pending(server))),
    ("a change after which the policy would be wrong; nothing is stored", |server| Box::pin(wrong_policy(server))),
    ("contacts without an email address, or more than 100", |server| Box::pin(contacts(server))),
    ("create, import or restore under the name of a deleted certificate", |server| Box::pin(taken(server))),
    ("a backup of a certificate without a completed version", |server| Box::pin(nothing_to_save(server))),
    ("a restore over a certificate that is there", |server| Box::pin(in_use(server))),
    ("a backup that is cut, changed, or of another master key", |server| Box::pin(damaged(server))),
    ("a backup that is not base64", |server| Box::pin(no_base64(server))),
    ("a backup over the limit", |server| Box::pin(too_large(server))),
];

fn pem(files: &Pfx) -> ImportCertificateRequest {
    ImportCertificateRequest {
        certificate_name: "web".into(),
        bundle: Some(Bundle::Pem(files.pem())),
        ..Default::default()
    }
}

async fn imported(server: &Server) -> Certificate {
    let answer = server.certificates().await.import_certificate(pem(&Pfx::new(P256, ""))).await;
    answer.unwrap().into_inner().certificate.unwrap()
}

async fn backup(server: &Server) -> Vec<u8> {
    let request = BackupCertificateRequest { certificate_name: "web".into(), ..Default::default() };
    server.certificates().await.backup_certificate(request).await.unwrap().into_inner().value.into()
}

/// A restore over both APIs.
async fn restore(server: &Server, tried: &mut Tried, value: &[u8]) {
    let body = json!({"value": URL_SAFE_NO_PAD.encode(value)});
    tried.rest(&server.rest("localhost").send("POST /certificates/restore", body.to_string()).await);
    let request = RestoreCertificateRequest { value: value.to_vec().into(), ..Default::default() };
    tried.grpc(server.certificates().await.restore_certificate(request).await);
}

async fn patch(server: &Server, tried: &mut Tried, path: &str, body: Value) {
    tried.rest(&server.rest("localhost").send(&format!("PATCH /certificates/web{path}"), body.to_string()).await);
}

async fn page_token(server: &Server) -> Tried {
    let mut tried = Tried::default();
    imported(server).await;
    let mut client = server.certificates().await;
    client.create_certificate(create("another", "Unknown")).await.unwrap();
    let first = ListCertificatesRequest { page_size: 1, include_pending: true, ..Default::default() };
    let token = client.list_certificates(first).await.unwrap().into_inner().next_page_token;
    assert!(!token.is_empty());
    let uri = format!("GET /certificates/web/versions?$skiptoken={token}");
    tried.rest(&server.rest("localhost").send(&uri, "").await);
    let request =
        ListCertificateVersionsRequest { certificate_name: "web".into(), page_token: token, ..Default::default() };
    tried.grpc(server.certificates().await.list_certificate_versions(request).await);
    tried
}

async fn include_pending(server: &Server) -> Tried {
    let mut tried = Tried::default();
    tried.rest(&server.rest("localhost").send("GET /certificates?includePending=maybe", "").await);
    tried
}

fn months(validity_months: i32) -> Option<CertificatePolicy> {
    let x509_properties = Some(X509Properties { validity_months, ..Default::default() });
    Some(CertificatePolicy { x509_properties, ..Default::default() })
}

async fn wrong_policy(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let before = imported(server).await.policy;
    patch(server, &mut tried, "/policy", json!({"x509_props": {"validity_months": 5000}})).await;
    patch(server, &mut tried, "", json!({"policy": {"x509_props": {"validity_months": 5000}}, "tags": {"a": "1"}}))
        .await;
    let mut certificates = server.certificates().await;
    let request =
        UpdateCertificatePolicyRequest { certificate_name: "web".into(), policy: months(5000), ..Default::default() };
    tried.grpc(certificates.update_certificate_policy(request).await);
    let now = certificates.get_certificate(crate::requests::certificate("web")).await.unwrap().into_inner();
    let now = now.certificate.unwrap();
    assert_eq!((now.policy, now.tags.len()), (before, 0));
    tried
}

async fn contacts(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let (rest, mut admin) = (server.rest("localhost"), server.issuers().await);
    let many: Vec<&str> = vec!["a@b.example"; 101];
    for emails in [&[""][..], &many] {
        let body: Vec<Value> = emails.iter().map(|email| json!({ "email": email })).collect();
        tried.rest(&rest.send("PUT /certificates/contacts", json!({ "contacts": body }).to_string()).await);
        let contact = |email: &&str| Contact { email: (*email).to_owned(), ..Contact::default() };
        let contacts = Contacts { id: String::new(), contacts: emails.iter().map(contact).collect() };
        let request = SetContactsRequest { contacts: Some(contacts), ..Default::default() };
        tried.grpc(admin.set_contacts(request).await);
    }
    tried
}

async fn taken(server: &Server) -> Tried {
    let mut tried = Tried::default();
    imported(server).await;
    let value = backup(server).await;
    let mut certificates = server.certificates().await;
    let request = DeleteCertificateRequest { certificate_name: "web".into(), ..Default::default() };
    certificates.delete_certificate(request).await.unwrap();
    let rest = server.rest("localhost");
    let body = r#"{"policy":{"x509_props":{"subject":"CN=a"}}}"#;
    tried.rest(&rest.send("POST /certificates/web/create", body).await);
    tried.grpc(certificates.create_certificate(create("web", "Self")).await);
    let files = Pfx::new(P256, "");
    let body = json!({"value": files.pem()}).to_string();
    tried.rest(&rest.send("POST /certificates/web/import", body).await);
    tried.grpc(certificates.import_certificate(pem(&files)).await);
    restore(server, &mut tried, &value).await;
    tried
}

async fn nothing_to_save(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let mut certificates = server.certificates().await;
    certificates.create_certificate(create("web", "Unknown")).await.unwrap();
    tried.rest(&server.rest("localhost").send("POST /certificates/web/backup", "").await);
    let request = BackupCertificateRequest { certificate_name: "web".into(), ..Default::default() };
    tried.grpc(certificates.backup_certificate(request).await);
    tried
}

async fn in_use(server: &Server) -> Tried {
    let mut tried = Tried::default();
    imported(server).await;
    let value = backup(server).await;
    restore(server, &mut tried, &value).await;
    tried
}

async fn damaged(server: &Server) -> Tried {
    let mut tried = Tried::default();
    imported(server).await;
    let value = backup(server).await;
    let mut changed = value.clone();
    *changed.last_mut().unwrap() ^= 1;
    let stranger = write(&Sealer::new(MasterKeys::random()), Form::Keys, b"{}", &Blobs::default()).unwrap();
    for value in [&value[..value.len() - 1], &value[..20], &changed, &stranger, b"nothing"] {
        restore(server, &mut tried, value).await;
    }
    tried
}

async fn no_base64(server: &Server) -> Tried {
    let mut tried = Tried::default();
    for value in ["no base64!", "é"] {
        let body = json!({ "value": value }).to_string();
        tried.rest(&server.rest("localhost").send("POST /certificates/restore", body).await);
    }
    tried
}

async fn too_large(server: &Server) -> Tried {
    let mut tried = Tried::default();
    restore(server, &mut tried, &vec![7; (3 << 20) + 1]).await;
    tried
}
