//! The audit ledger over both APIs: every change has a record of its commit, secrets, keys and refusals are recorded before
//! their answers, and what was changed in the store shows.

mod changes;

use crate::kit::{ADMIN, Server, Shared};
use certmint::clock::{Clock, SystemClock};
use certmint::proto::v1::audit_service_client::AuditServiceClient;
use certmint::proto::v1::*;
use certmint::service::{AuditOptions, AuditVerifier};
use certmint::store::{Batch, Delete, Put};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use serde_json::Value as Json;
use std::collections::BTreeSet;

/// Methods that change something only where a CA outside has an account.
const NEED_AN_ACCOUNT: [&str; 2] =
    ["CertificateAdminService/RotateIssuerKey", "CertificateAdminService/DeactivateIssuer"];

async fn records(server: &Server, request: ListAuditRequest) -> Vec<AuditRecord> {
    let mut client = AuditServiceClient::new(server.channel(ADMIN));
    let (mut all, mut request) = (Vec::new(), ListAuditRequest { page_size: 7, ..request });
    loop {
        let page = client.list_audit(request.clone()).await.unwrap().into_inner();
        all.extend(page.records);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

async fn everything(server: &Server) -> Vec<AuditRecord> {
    records(server, ListAuditRequest { vault_name: "-".into(), ..Default::default() }).await
}

/// The lines of requests as `operation vault/name decision outcome`.
fn told(records: &[AuditRecord]) -> Vec<String> {
    let requests = records.iter().filter(|record| record.kind == "request");
    requests
        .map(|it| {
            let operation = it.operation.trim_start_matches("certmint.v1.");
            format!("{} {operation} {}/{} {} {}", it.principal, it.vault_name, it.name, it.decision, it.outcome)
        })
        .collect()
}

/// Every method of the contract that changes something or gives a key away; `None` where it only reads.
fn changing_methods() -> BTreeSet<String> {
    let set = prost_types::FileDescriptorSet::decode(certmint::proto::DESCRIPTOR_SET).unwrap();
    let mut methods = BTreeSet::new();
    for file in set.file.iter().filter(|file| file.package() == "certmint.v1") {
        for service in &file.service {
            for method in &service.method {
                let level = method.options.as_ref().map(|options| options.idempotency_level());
                if level != Some(prost_types::method_options::IdempotencyLevel::NoSideEffects) {
                    methods.insert(format!("{}/{}", service.name(), method.name()));
                }
            }
        }
    }
    methods
}

#[tokio::test]
async fn every_method_that_changes_something_leaves_a_record() {
    let server = Server::audited("", Shared::default(), AuditOptions::default()).await;
    changes::everything(&server).await;
    let all = everything(&server).await;
    let lines = told(&all);
    let recorded: BTreeSet<String> = all
        .iter()
        .filter(|record| record.principal == "token:admin")
        .map(|record| record.operation.trim_start_matches("certmint.v1.").to_owned())
        .collect();
    let without: Vec<String> = changing_methods()
        .into_iter()
        .filter(|method| !recorded.contains(method) && !NEED_AN_ACCOUNT.contains(&method.as_str()))
        .collect();
    assert!(without.is_empty(), "methods that left no record: {without:?}\n{lines:#?}");
    for line in [
        "token:admin CertificateService/CreateCertificate default/web allow created",
        "token:admin CertificateService/MergeCertificate default/web allow completed",
        "token:admin CertificateService/DeleteCertificate default/web allow done",
        "token:admin SecretService/GetSecret default/web allow OK",
        "token:admin KeyService/Sign default/web allow OK",
        "token:admin KeyService/UnwrapKey default/web allow FAILED_PRECONDITION",
        "token:admin CertificateAdminService/SetContacts default/ allow done",
        "token:admin VaultService/CreateVault two/ allow done",
        &format!("token:admin AccessService/CreateGrant two/{} allow done", changes::GRANT),
        &format!("token:admin AccessService/DeleteGrant two/{} allow done", changes::GRANT),
    ] {
        assert!(lines.iter().any(|told| told == line), "no line {line}\n{lines:#?}");
    }
    // What the service did by itself.
    let issued = |it: &&AuditRecord| it.kind == "service" && it.principal == "certmint" && it.name == "leaf";
    assert!(all.iter().filter(issued).any(|it| it.operation == "issuance" && it.outcome == "completed"));
    let secret = all.iter().find(|it| it.operation.ends_with("/GetSecret")).unwrap();
    let line: Json = serde_json::from_str(&secret.line).unwrap();
    assert_eq!((&line["with_key"], &line["grant"]), (&true.into(), &"administrator-1".into()), "{line}");
    let detail = |operation: &str| {
        let record = all.iter().find(|it| it.operation.ends_with(operation)).unwrap();
        serde_json::from_str::<Json>(&record.line).unwrap()["detail"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(detail("/CreateGrant"), "token:other: Renewer on two/shop-*");
    assert_eq!(detail("/SetRole"), "Renewer: Microsoft.KeyVault/vaults/certificates/read");
    assert!(detail("/RevokeCertificate").ends_with(" unspecified"), "{}", detail("/RevokeCertificate"));
    let created = all.iter().find(|it| it.operation.ends_with("/CreateCertificate")).unwrap();
    let line: Json = serde_json::from_str(&created.line).unwrap();
    assert_eq!((&line["names"][0], &line["issuer"]), (&"CN=a.example".into(), &"Unknown".into()), "{line}");
    assert!(line["request_id"].as_str().unwrap().len() == 32, "{line}");
    let text: String = all.iter().map(|record| record.line.as_str()).collect();
    assert!(!text.contains(changes::secret_line()) && !text.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn every_method_that_is_refused_to_a_caller_leaves_a_record() {
    let server = Server::audited("", Shared::default(), AuditOptions::default()).await;
    let pool = DescriptorPool::decode(certmint::proto::DESCRIPTOR_SET).unwrap();
    let mut expected = BTreeSet::new();
    for service in pool.services().filter(|service| service.full_name().starts_with("certmint.v1.")) {
        for method in service.methods() {
            let path = format!("{}/{}", service.full_name(), method.name());
            let mut message = DynamicMessage::new(method.input());
            for field in ["certificate_name", "secret_name", "key_name", "issuer_name"] {
                if method.input().get_field_by_name(field).is_some_and(|field| !field.is_list()) {
                    message.set_field_by_name(field, Value::String("web".to_owned()));
                }
            }
            if path.ends_with("/CreateVault") {
                message.set_field_by_name("vault_name", Value::String("new".to_owned()));
            }
            let (_, reason) = server.call_raw("nobody", &path, &message.encode_to_vec()).await;
            if reason == "ACCESS_DENIED" {
                expected.insert(path);
            }
        }
    }
    assert!(expected.len() > 60, "{}", expected.len());
    let filter = ListAuditRequest {
        vault_name: "-".into(),
        principal: "token:nobody".into(),
        decision: "deny".into(),
        ..Default::default()
    };
    let denied: BTreeSet<String> = records(&server, filter).await.into_iter().map(|it| it.operation).collect();
    let without: Vec<&String> = expected.difference(&denied).collect();
    assert!(without.is_empty(), "refusals without a record: {without:?}");
}

/// What a caller without a right may send as often as he likes costs neither the disk nor the others.
#[tokio::test]
async fn a_flood_of_refusals_is_counted_and_hides_those_of_nobody_else() {
    let audit = AuditOptions { refusals_per_minute: 8, ..AuditOptions::default() };
    let server = Server::audited("", Shared::default(), audit).await;
    for number in 0..100 {
        let request = match number % 4 {
            0 => "GET /secrets/web",
            1 => "GET /secrets/no_name",
            2 => "DELETE /certificates/web",
            _ => "GET /certificates",
        };
        let status = server.send("nobody", request, "").await.status;
        assert!(matches!(status, 400 | 403), "{request}: {status}");
    }
    server.send("shop", "GET /secrets/web", "").await;
    server.must(ADMIN, "PUT /certificates/contacts", r#"{"contacts":[{"email":"ann@b.example"}]}"#).await;
    server.service.audit().end().await;
    let all = everything(&server).await;
    let of = |principal: &str, kind: &str| all.iter().filter(|it| it.principal == principal && it.kind == kind).count();
    assert_eq!((of("token:nobody", "request"), of("token:shop", "request")), (4, 1), "{:#?}", told(&all));
    assert_eq!((of("token:admin", "request"), of("token:shop", "refused")), (1, 0), "{:#?}", told(&all));
    let more = all.iter().find(|it| it.kind == "refused").unwrap();
    let line: Json = serde_json::from_str(&more.line).unwrap();
    assert_eq!((line["principal"].as_str(), line["count"].as_u64()), (Some("token:nobody"), Some(96)), "{line}");
    assert_eq!(more.decision, "deny");
}

#[tokio::test]
async fn every_route_leaves_the_record_of_its_method() {
    let server = Server::audited("", Shared::default(), AuditOptions::default()).await;
    let description: Json = serde_json::from_slice(certmint::transport::rest::OPENAPI).unwrap();
    let (mut refused, mut answered) = (0, Vec::new());
    for (path, methods) in description["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys().map(|method| method.to_uppercase()) {
            let place = path
                .replace("{certificate_name}", "web")
                .replace("{issuer_name}", "web")
                .replace("{secret_name}", "web")
                .replace("{key_name}", "web")
                .replace("{serial}", "4a");
            let place = place
                .split('/')
                .map(|part| if part.starts_with('{') { "0123456789abcdef0123456789abcdef" } else { part });
            let place = place.collect::<Vec<_>>().join("/");
            let reply = server.send("nobody", &format!("{method} {place}"), "{}").await;
            if reply.status == 403 {
                refused += 1;
            } else {
                answered.push(format!("{method} {path}"));
            }
        }
    }
    let filter = ListAuditRequest { principal: "token:nobody".into(), decision: "deny".into(), ..Default::default() };
    let denied = records(&server, filter).await;
    assert_eq!((denied.len(), denied.iter().all(|it| it.outcome == "403")), (refused, true), "{:#?}", told(&denied));
    // Everybody may ask about his own rights, and a backup is opened before it is known whose it is.
    answered.retain(|route| !route.contains("/providers/Microsoft.Authorization/"));
    assert!(answered.len() <= 1 && refused > 60, "{refused}, without {answered:?}");
    let of_contract = denied.iter().filter(|it| it.operation.starts_with("certmint.v1.")).count();
    assert!(of_contract > 30, "{of_contract}");
}

#[tokio::test]
async fn what_only_reads_is_recorded_where_all_is() {
    let quiet = Server::audited("", Shared::default(), AuditOptions::default()).await;
    let all = AuditOptions { level: certmint::service::AuditLevel::All, ..AuditOptions::default() };
    let loud = Server::audited("", Shared::default(), all).await;
    for server in [&quiet, &loud] {
        server.send(ADMIN, "GET /certificates", "").await;
        server.send(ADMIN, "GET /certificates/none", "").await;
        server.send(ADMIN, "DELETE /certificates/none", "").await;
        server.send("unknown", "GET /certificates", "").await;
    }
    assert_eq!(told(&everything(&quiet).await), Vec::<String>::new());
    assert_eq!(
        told(&everything(&loud).await),
        [
            "token:admin CertificateService/ListCertificates default/ allow 200",
            "token:admin CertificateService/GetCertificate default/none allow 404",
            "token:admin CertificateService/DeleteCertificate default/none allow 404",
        ]
    );
}

#[tokio::test]
async fn an_auditor_finds_what_his_grants_reach() {
    let grants = "[[grant]]\nprincipal = \"token:reader\"\nrole = \"certmint Auditor\"\nvault = \"default\"\nnames = [\"web\"]\n";
    let server = Server::audited(grants, Shared::default(), AuditOptions::default()).await;
    server.issue(&["web", "other"]).await;
    server.send("shop", "GET /secrets/web", "").await;
    let mut reader = AuditServiceClient::new(server.channel("reader"));
    let all = ListAuditRequest { vault_name: "-".into(), ..Default::default() };
    let seen = reader.list_audit(all.clone()).await.unwrap().into_inner().records;
    assert!(seen.iter().all(|it| it.name == "web") && seen.len() >= 3, "{:#?}", told(&seen));
    let mut nobody = AuditServiceClient::new(server.channel("nobody"));
    assert_eq!(nobody.list_audit(all.clone()).await.unwrap_err().code(), tonic::Code::PermissionDenied);
    let found = |request: ListAuditRequest| async { told(&records(&server, request).await) };
    let denied = ["token:shop SecretService/GetSecret default/web deny 403"];
    assert_eq!(found(ListAuditRequest { decision: "deny".into(), ..all.clone() }).await[..1], denied);
    let by_method = ListAuditRequest { action: "GetSecret".into(), ..Default::default() };
    assert_eq!(found(by_method).await, denied);
    let action = "Microsoft.KeyVault/vaults/secrets/getSecret/action".to_owned();
    assert_eq!(found(ListAuditRequest { action, name: "WEB".into(), ..all.clone() }).await, denied);
    let now = prost_types::Timestamp { seconds: SystemClock.now().seconds() + 60, nanos: 0 };
    assert!(found(ListAuditRequest { since: Some(now), ..all.clone() }).await.is_empty());
    assert!(!found(ListAuditRequest { until: Some(now), ..all.clone() }).await.is_empty());
    let settled = records(&server, ListAuditRequest { settled_only: true, ..all.clone() }).await;
    let latest = SystemClock.now().seconds() - 10;
    assert!(settled.iter().all(|record| record.time.as_ref().unwrap().seconds <= latest), "{settled:#?}");
    let wrong = reader.list_audit(ListAuditRequest { decision: "no".into(), ..all }).await.unwrap_err();
    assert_eq!(wrong.code(), tonic::Code::InvalidArgument);
}

/// What the lines and the keys of the server show.
async fn verified(server: &Server) -> certmint::service::AuditReport {
    let mut client = AuditServiceClient::new(server.channel(ADMIN));
    let keys = client.list_audit_keys(ListAuditKeysRequest {}).await.unwrap().into_inner().keys;
    let mut verifier = AuditVerifier::new(keys.into_iter().map(|key| key.public_key.to_vec()).collect(), false);
    for record in everything(server).await {
        verifier.line(&record.seq.to_string(), record.line.as_bytes());
    }
    verifier.finish()
}

#[tokio::test]
async fn a_ledger_that_was_changed_in_the_store_is_found_out() {
    let shared = Shared::default();
    let server = Server::audited("", shared.clone(), AuditOptions::default()).await;
    server.service.audit().begin().await.unwrap();
    server.issue(&["a", "b", "c"]).await;
    // Conflicts leave lines that are made and not written.
    let again = (0..8).map(|_| server.send(ADMIN, "POST /certificates/a/create", ""));
    futures_util::future::join_all(again).await;
    // Nothing is written after the end.
    server.issued("a").await;
    server.send(ADMIN, "GET /secrets/a", "").await;
    server.service.audit().end().await;
    let report = verified(&server).await;
    assert!(report.is_whole() && report.verified == 1 && report.notes.is_empty(), "{report:?}");

    let lines = shared.store().list("audit/", "", 1000).await.unwrap();
    let is_created =
        |record: &&certmint::store::Record| String::from_utf8_lossy(&record.body).contains("/CreateCertificate");
    let gone = lines.iter().filter(is_created).nth(1).unwrap();
    let deletes = vec![Delete { key: gone.key.clone(), expected: gone.revision }];
    shared.store().commit(Batch { deletes, ..Batch::default() }).await.unwrap();
    let report = verified(&server).await;
    assert!(report.problems[0].contains("missing"), "{report:?}");

    // Brought back with another content, it is refused by its code, and missing as before.
    let body = String::from_utf8(gone.body.clone()).unwrap().replace("token:admin", "token:other");
    let puts = vec![Put { key: gone.key.clone(), expected: None, body: body.into_bytes(), due: None }];
    shared.store().commit(Batch { puts, ..Batch::default() }).await.unwrap();
    assert!(!verified(&server).await.is_whole());

    // As it was, all is well.
    let changed = shared.store().get(&gone.key).await.unwrap().unwrap();
    let puts =
        vec![Put { key: gone.key.clone(), expected: Some(changed.revision), body: gone.body.clone(), due: None }];
    shared.store().commit(Batch { puts, ..Batch::default() }).await.unwrap();
    assert!(verified(&server).await.is_whole());
}
