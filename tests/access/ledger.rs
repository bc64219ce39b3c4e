//! The audit ledger over both APIs: every change has a record of its commit, secrets, keys and refusals are recorded before
//! their answers, and what was changed in the store shows.

use crate::ca::Ca;
use crate::kit::{ADMIN, Server, Shared, create, policy};
use certmint::clock::{Clock, SystemClock};
use certmint::proto::v1::audit_service_client::AuditServiceClient;
use certmint::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use certmint::proto::v1::certificate_authority_service_client::CertificateAuthorityServiceClient;
use certmint::proto::v1::import_certificate_request::Bundle;
use certmint::proto::v1::key_service_client::KeyServiceClient;
use certmint::proto::v1::revoke_certificate_request::Which;
use certmint::proto::v1::secret_service_client::SecretServiceClient;
use certmint::proto::v1::vault_service_client::VaultServiceClient;
use certmint::proto::v1::*;
use certmint::service::{AuditOptions, AuditVerifier};
use certmint::store::{Batch, Delete, Put};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Value};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::process::Command;

const KEY_AND_CERTIFICATE: &str = include_str!("../data/seeds/pem/plain.pem");
/// A member of the private key in it.
fn secret_line() -> &'static str {
    KEY_AND_CERTIFICATE.lines().nth(1).unwrap()
}

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

fn name() -> String {
    "web".to_owned()
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

/// A request in DER signed as that of a CA, and a CA with its key as PEM, both by openssl.
fn outside_ca(csr: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split_whitespace()).output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    };
    std::fs::write(path("ext"), "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n").unwrap();
    std::fs::write(path("csr"), csr).unwrap();
    openssl(&format!("ecparam -name prime256v1 -genkey -noout -out {}", path("key")));
    openssl(&format!("req -x509 -new -key {} -subj /CN=Outside -days 90 -out {}", path("key"), path("ca")));
    openssl(&format!("x509 -in {} -outform DER -out {}", path("ca"), path("ca.der")));
    openssl(&format!(
        "x509 -req -inform DER -in {} -CA {} -CAkey {} -CAcreateserial -days 60 -extfile {} -outform DER -out {}",
        path("csr"),
        path("ca"),
        path("key"),
        path("ext"),
        path("leaf")
    ));
    let read = |name: &str| std::fs::read(path(name)).unwrap();
    (read("leaf"), read("ca.der"), [read("key"), read("ca")].concat())
}

async fn pending(server: &Server) -> PendingOperation {
    let request = GetPendingRequest { certificate_name: name(), ..Default::default() };
    server.client(ADMIN).get_pending(request).await.unwrap().into_inner().operation.unwrap()
}

async fn certificates(server: &Server) {
    let mut client = server.client(ADMIN);
    let certificate_name = name;
    let ca = Ca::new();
    client.create_certificate(create("web", "Unknown")).await.unwrap();
    let leaf = ca.sign(&base64(&pending(server).await.csr), 30);
    let x509_certificates = vec![leaf.into(), ca.certificate().into()];
    let merge = MergeCertificateRequest { certificate_name: name(), x509_certificates, ..Default::default() };
    client.merge_certificate(merge).await.unwrap();
    client.create_certificate(create("web", "Unknown")).await.unwrap();
    let cancel = CancelPendingRequest { certificate_name: name(), ..Default::default() };
    client.cancel_pending(cancel).await.unwrap();
    let delete = DeletePendingRequest { certificate_name: name(), ..Default::default() };
    client.delete_pending(delete).await.unwrap();
    let import = ImportCertificateRequest {
        certificate_name: name(),
        bundle: Some(Bundle::Pem(KEY_AND_CERTIFICATE.into())),
        policy: Some(CertificatePolicy {
            key_properties: Some(KeyProperties { exportable: Some(true), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    };
    client.import_certificate(import).await.unwrap();
    let attributes = Some(CertificateAttributes { enabled: Some(true), ..Default::default() });
    let tags = std::collections::HashMap::from([("a".to_owned(), "b".to_owned())]);
    let update = UpdateCertificateRequest { certificate_name: name(), attributes, tags, ..Default::default() };
    client.update_certificate(update).await.unwrap();
    let policy = Some(CertificatePolicy {
        x509_properties: Some(X509Properties { validity_months: 7, ..Default::default() }),
        ..Default::default()
    });
    let update = UpdateCertificatePolicyRequest { certificate_name: name(), policy, ..Default::default() };
    client.update_certificate_policy(update).await.unwrap();
    let backup = BackupCertificateRequest { certificate_name: name(), ..Default::default() };
    let value = client.backup_certificate(backup).await.unwrap().into_inner().value;
    let delete = || DeleteCertificateRequest { certificate_name: certificate_name(), ..Default::default() };
    client.delete_certificate(delete()).await.unwrap();
    let recover = RecoverDeletedCertificateRequest { certificate_name: name(), ..Default::default() };
    client.recover_deleted_certificate(recover).await.unwrap();
    client.delete_certificate(delete()).await.unwrap();
    let purge = PurgeDeletedCertificateRequest { certificate_name: name(), ..Default::default() };
    client.purge_deleted_certificate(purge).await.unwrap();
    client.restore_certificate(RestoreCertificateRequest { value, ..Default::default() }).await.unwrap();
}

async fn issuers(server: &Server) {
    let mut client = CertificateAdminServiceClient::new(server.channel(ADMIN));
    let issuer_name = || "house".to_owned();
    let issuer = |account: &str| Issuer {
        provider: "LocalCA".into(),
        credentials: Some(IssuerCredentials { account_id: account.into(), ..Default::default() }),
        ..Default::default()
    };
    let set = SetIssuerRequest { issuer_name: issuer_name(), issuer: Some(issuer("")), ..Default::default() };
    client.set_issuer(set).await.unwrap();
    let administrators = vec![AdministratorDetails { email: "a@b.example".into(), ..Default::default() }];
    let organization = Some(OrganizationDetails { administrators, ..Default::default() });
    let issuer = Some(Issuer { organization, ..Default::default() });
    let update = UpdateIssuerRequest { issuer_name: issuer_name(), issuer, ..Default::default() };
    client.update_issuer(update).await.unwrap();
    let reason = "maintenance".to_owned();
    client.pause_issuer(PauseIssuerRequest { issuer_name: issuer_name(), reason, ..Default::default() }).await.unwrap();
    client.resume_issuer(ResumeIssuerRequest { issuer_name: issuer_name(), ..Default::default() }).await.unwrap();
    client.delete_issuer(DeleteIssuerRequest { issuer_name: issuer_name(), ..Default::default() }).await.unwrap();
    let contacts = vec![Contact { email: "ann@b.example".into(), ..Default::default() }];
    let contacts = Some(Contacts { contacts, ..Default::default() });
    client.set_contacts(SetContactsRequest { contacts, ..Default::default() }).await.unwrap();
    client.delete_contacts(DeleteContactsRequest::default()).await.unwrap();
    let mut client = VaultServiceClient::new(server.channel(ADMIN));
    client.create_vault(CreateVaultRequest { vault_name: "two".into(), ..Default::default() }).await.unwrap();
}

async fn authorities(server: &Server) {
    let mut client = CertificateAuthorityServiceClient::new(server.channel(ADMIN));
    let request = |issuer: &str, parent: AuthorityParent| CreateAuthorityRequest {
        issuer_name: issuer.into(),
        parent: parent.into(),
        ..Default::default()
    };
    client.create_authority(request("own", AuthorityParent::Unspecified)).await.unwrap();
    client.create_authority(request("own", AuthorityParent::Unspecified)).await.unwrap();
    let activate = ActivateAuthorityRequest { issuer_name: "own".into(), ..Default::default() };
    client.activate_authority(activate).await.unwrap();
    client.create_authority(request("own", AuthorityParent::Unspecified)).await.unwrap();
    client.retire_authority(RetireAuthorityRequest { issuer_name: "own".into(), ..Default::default() }).await.unwrap();
    client.create_authority(request("below", AuthorityParent::External)).await.unwrap();
    let wanted = GetAuthorityRequestRequest { issuer_name: "below".into(), ..Default::default() };
    let csr = client.get_authority_request(wanted).await.unwrap().into_inner().csr;
    let (leaf, above, with_key) = outside_ca(&csr);
    let certificates = vec![leaf.into(), above.into()];
    let install = InstallAuthorityRequest { issuer_name: "below".into(), certificates, ..Default::default() };
    client.install_authority(install).await.unwrap();
    let import = ImportAuthorityRequest { issuer_name: "taken".into(), value: with_key.into(), ..Default::default() };
    client.import_authority(import).await.unwrap();
    server.must(ADMIN, "POST /certificates/leaf/create", &policy("own")).await;
    server.issued("leaf").await;
    let version = CertificateRef { certificate_name: "leaf".into(), ..Default::default() };
    let revoke = RevokeCertificateRequest { which: Some(Which::Version(version)), ..Default::default() };
    client.revoke_certificate(revoke).await.unwrap();
}

async fn secrets_and_keys(server: &Server) {
    let mut client = SecretServiceClient::new(server.channel(ADMIN));
    let secret = GetSecretRequest { secret_name: name(), ..Default::default() };
    client.get_secret(secret).await.unwrap();
    let mut client = KeyServiceClient::new(server.channel(ADMIN));
    let (algorithm, digest) = (SignatureAlgorithm::Es256.into(), vec![7; 32]);
    let sign = SignRequest { key_name: name(), algorithm, digest: digest.clone().into(), ..Default::default() };
    let signature = client.sign(sign).await.unwrap().into_inner().signature;
    let verify = VerifyRequest { key_name: name(), algorithm, digest: digest.into(), signature, ..Default::default() };
    client.verify(verify).await.unwrap();
    // A key of an elliptic curve encrypts nothing: what is refused is recorded, too.
    let algorithm = EncryptionAlgorithm::RsaOaep.into();
    let bytes = || vec![1; 32].into();
    let encrypt = EncryptRequest { key_name: name(), algorithm, plaintext: bytes(), ..Default::default() };
    client.encrypt(encrypt).await.unwrap_err();
    let decrypt = DecryptRequest { key_name: name(), algorithm, ciphertext: bytes(), ..Default::default() };
    client.decrypt(decrypt).await.unwrap_err();
    let wrap = WrapKeyRequest { key_name: name(), algorithm, key: bytes(), ..Default::default() };
    client.wrap_key(wrap).await.unwrap_err();
    let unwrap = UnwrapKeyRequest { key_name: name(), algorithm, encrypted_key: bytes(), ..Default::default() };
    client.unwrap_key(unwrap).await.unwrap_err();
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[tokio::test]
async fn every_method_that_changes_something_leaves_a_record() {
    let server = Server::audited("", Shared::default(), AuditOptions::default()).await;
    certificates(&server).await;
    issuers(&server).await;
    authorities(&server).await;
    secrets_and_keys(&server).await;
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
    ] {
        assert!(lines.iter().any(|told| told == line), "no line {line}\n{lines:#?}");
    }
    // What the service did by itself.
    let issued = |it: &&AuditRecord| it.kind == "service" && it.principal == "certmint" && it.name == "leaf";
    assert!(all.iter().filter(issued).any(|it| it.operation == "issuance" && it.outcome == "completed"));
    let secret = all.iter().find(|it| it.operation.ends_with("/GetSecret")).unwrap();
    let line: Json = serde_json::from_str(&secret.line).unwrap();
    assert_eq!((&line["with_key"], &line["grant"]), (&true.into(), &"administrator-1".into()), "{line}");
    let created = all.iter().find(|it| it.operation.ends_with("/CreateCertificate")).unwrap();
    let line: Json = serde_json::from_str(&created.line).unwrap();
    assert_eq!((&line["names"][0], &line["issuer"]), (&"CN=a.example".into(), &"Unknown".into()), "{line}");
    assert!(line["request_id"].as_str().unwrap().len() == 32, "{line}");
    let text: String = all.iter().map(|record| record.line.as_str()).collect();
    assert!(!text.contains(secret_line()) && !text.contains("PRIVATE KEY"));
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

#[tokio::test]
async fn every_route_leaves_the_record_of_its_method() {
    let server = Server::audited("", Shared::default(), AuditOptions::default()).await;
    let description: Json = serde_json::from_slice(certmint::transport::rest::OPENAPI).unwrap();
    let (mut routes, mut refused) = (0, 0);
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
            routes += 1;
            refused += usize::from(reply.status == 403);
        }
    }
    let filter = ListAuditRequest { principal: "token:nobody".into(), decision: "deny".into(), ..Default::default() };
    let denied = records(&server, filter).await;
    assert_eq!((denied.len(), denied.iter().all(|it| it.outcome == "403")), (refused, true), "{:#?}", told(&denied));
    assert!(refused + 1 >= routes, "{refused} of {routes}");
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
    assert!(found(ListAuditRequest { settled_only: true, ..all.clone() }).await.is_empty());
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
