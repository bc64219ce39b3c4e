//! The management calls of the gRPC contract, through the generated client.
#![expect(clippy::disallowed_types, reason = "a client of the contract gets tonic::Status")]

use crate::management::harness::{Harness, create};
use crate::permit::ask;
use certmint::domain::RetentionDays;
use certmint::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use certmint::proto::v1::certificate_service_client::CertificateServiceClient;
use certmint::proto::v1::vault_service_client::VaultServiceClient;
use certmint::proto::v1::*;
use certmint::service::{ServiceOptions, VaultOptions};
use certmint::transport::grpc::{Api, GrpcOptions, api};
use prost_types::FieldMask;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt;

struct Client {
    harness: Harness,
    certificates: CertificateServiceClient<Api>,
    admin: CertificateAdminServiceClient<Api>,
    vaults: VaultServiceClient<Api>,
}

async fn client_with(limits: ServiceOptions) -> Client {
    let harness = Harness::new(limits).await;
    let api = api(harness.service.clone(), GrpcOptions::default());
    let origin = || "https://localhost:8443".parse().unwrap();
    Client {
        harness,
        certificates: CertificateServiceClient::with_origin(api.clone(), origin()),
        admin: CertificateAdminServiceClient::with_origin(api.clone(), origin()),
        vaults: VaultServiceClient::with_origin(api, origin()),
    }
}

async fn client() -> Client {
    client_with(ServiceOptions::default()).await
}

impl Client {
    async fn get(&mut self, name: &str) -> Result<Certificate, Status> {
        let request = GetCertificateRequest { certificate_name: name.into(), ..Default::default() };
        Ok(self.certificates.get_certificate(request).await?.into_inner().certificate.unwrap())
    }

    async fn update(&mut self, request: UpdateCertificateRequest) -> Result<Certificate, Status> {
        let request = UpdateCertificateRequest { certificate_name: "web".into(), ..request };
        Ok(self.certificates.update_certificate(request).await?.into_inner().certificate.unwrap())
    }

    async fn delete(&mut self, name: &str) -> Result<DeletedCertificate, Status> {
        let request = DeleteCertificateRequest { certificate_name: name.into(), ..Default::default() };
        Ok(self.certificates.delete_certificate(request).await?.into_inner().deleted_certificate.unwrap())
    }

    async fn deleted(&mut self, name: &str) -> Result<DeletedCertificate, Status> {
        let request = GetDeletedCertificateRequest { certificate_name: name.into(), ..Default::default() };
        Ok(self.certificates.get_deleted_certificate(request).await?.into_inner().deleted_certificate.unwrap())
    }

    async fn recover(&mut self, name: &str) -> Result<Certificate, Status> {
        let request = RecoverDeletedCertificateRequest { certificate_name: name.into(), ..Default::default() };
        Ok(self.certificates.recover_deleted_certificate(request).await?.into_inner().certificate.unwrap())
    }

    async fn purge(&mut self, name: &str) -> Result<(), Status> {
        let request = PurgeDeletedCertificateRequest { certificate_name: name.into(), ..Default::default() };
        self.certificates.purge_deleted_certificate(request).await.map(|_| ())
    }

    async fn backup(&mut self, name: &str) -> Result<bytes::Bytes, Status> {
        let request = BackupCertificateRequest { certificate_name: name.into(), ..Default::default() };
        Ok(self.certificates.backup_certificate(request).await?.into_inner().value)
    }

    async fn restore(&mut self, vault: &str, value: bytes::Bytes) -> Result<Certificate, Status> {
        let request = RestoreCertificateRequest { vault_name: vault.into(), value };
        Ok(self.certificates.restore_certificate(request).await?.into_inner().certificate.unwrap())
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, reason: &str, http: &str) -> Status {
    let status = result.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str(), info.metadata["httpStatus"].as_str()), (code, reason, http));
    status
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() })
}

#[tokio::test]
async fn certificates_and_versions_are_listed() {
    let mut client = client().await;
    client.harness.issue_many("web", 2).await;
    ask!(client.harness.service, creations.create(create("early", "Unknown"))).unwrap();
    let newest = client.get("web").await.unwrap();
    let list = client.certificates.list_certificates(ListCertificatesRequest::default()).await.unwrap().into_inner();
    assert_eq!((list.certificates.len(), list.next_page_token.as_str()), (1, ""));
    let item = &list.certificates[0];
    assert_eq!((item.id.as_str(), item.vault_name.as_str()), ("https://localhost:8443/certificates/web", "default"));
    assert_eq!((&item.certificate_version, &item.thumbprint), (&newest.certificate_version, &newest.thumbprint));
    let (ours, theirs) = (item.attributes.unwrap(), newest.attributes.unwrap());
    assert_eq!((ours.not_before, ours.enabled, ours.recoverable_days), (theirs.not_before, theirs.enabled, 0));

    let request = ListCertificatesRequest { include_pending: true, page_size: 1, ..Default::default() };
    let first = client.certificates.list_certificates(request.clone()).await.unwrap().into_inner();
    assert_eq!((first.certificates[0].certificate_name.as_str(), first.certificates[0].thumbprint.len()), ("early", 0));
    let request = ListCertificatesRequest { page_token: first.next_page_token, ..request };
    let second = client.certificates.list_certificates(request).await.unwrap().into_inner();
    assert_eq!((second.certificates[0].certificate_name.as_str(), second.next_page_token.as_str()), ("web", ""));

    let request = ListCertificateVersionsRequest { certificate_name: "web".into(), ..Default::default() };
    let versions = client.certificates.list_certificate_versions(request).await.unwrap().into_inner().certificates;
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().any(|version| version.id == newest.id), "{versions:?}");
}

#[tokio::test]
async fn bad_pages_are_refused() {
    let mut client = client().await;
    let request = ListCertificatesRequest { page_token: "a/b".into(), ..Default::default() };
    refused(client.certificates.list_certificates(request).await, Code::InvalidArgument, "BAD_PARAMETER", "400");
    let request = ListDeletedCertificatesRequest { page_size: 1001, ..Default::default() };
    refused(
        client.certificates.list_deleted_certificates(request).await,
        Code::InvalidArgument,
        "BAD_PARAMETER",
        "400",
    );
    let request = ListCertificateVersionsRequest { certificate_name: "none".into(), ..Default::default() };
    let listed = client.certificates.list_certificate_versions(request).await.unwrap().into_inner();
    assert_eq!(
        (listed.certificates.len(), listed.next_page_token.as_str()),
        (0, ""),
        "an unknown name has no versions"
    );
    let request = ListVaultsRequest { page_token: "_".into(), ..Default::default() };
    refused(client.vaults.list_vaults(request).await, Code::InvalidArgument, "BAD_PARAMETER", "400");
}

#[tokio::test]
async fn an_update_writes_what_is_present_or_what_the_mask_names() {
    let mut client = client().await;
    client.harness.issue("web").await;
    let tags = [("a".to_owned(), "1".to_owned())];
    let disabled = CertificateAttributes { enabled: Some(false), ..Default::default() };
    let request = UpdateCertificateRequest {
        tags: tags.clone().into(),
        attributes: Some(disabled),
        update_mask: mask(&["tags"]),
        ..Default::default()
    };
    let updated = client.update(request).await.unwrap();
    assert_eq!((updated.tags.len(), updated.attributes.unwrap().enabled), (1, Some(true)));
    let request = UpdateCertificateRequest { attributes: Some(disabled), ..Default::default() };
    let updated = client.update(request).await.unwrap();
    assert_eq!((updated.tags.len(), updated.attributes.as_ref().unwrap().enabled), (1, Some(false)));
    assert!(updated.policy.is_some() && !updated.pending_id.is_empty());
    let request = UpdateCertificateRequest { update_mask: mask(&["tags"]), ..Default::default() };
    assert_eq!(client.update(request).await.unwrap().tags.len(), 0);

    let version = updated.certificate_version;
    let request = UpdateCertificateRequest {
        certificate_version: version,
        policy: Some(CertificatePolicy {
            lifetime_actions: vec![LifetimeAction {
                trigger: Some(lifetime_action::Trigger::DaysBeforeExpiry(5)),
                action: LifetimeActionType::EmailContacts.into(),
            }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let updated = client.update(request).await.unwrap();
    assert_eq!(updated.policy, None);
    let policy = client.get("web").await.unwrap().policy.unwrap();
    assert_eq!(policy.lifetime_actions[0].trigger, Some(lifetime_action::Trigger::DaysBeforeExpiry(5)));
}

#[tokio::test]
async fn a_bad_update_is_refused_in_the_words_of_the_contract() {
    let mut client = client().await;
    client.harness.issue("web").await;
    let request = UpdateCertificateRequest { update_mask: mask(&["cer"]), ..Default::default() };
    refused(client.update(request).await, Code::InvalidArgument, "BAD_PARAMETER", "400");
    let request = UpdateCertificateRequest {
        certificate_version: "a76827a18b63421c917da80f28e9913d".into(),
        ..Default::default()
    };
    refused(client.update(request).await, Code::NotFound, "CERTIFICATE_NOT_FOUND", "404");
}

#[tokio::test]
async fn the_policy_is_read_and_changed() {
    let mut client = client().await;
    client.harness.issue("web").await;
    let get = GetCertificatePolicyRequest { certificate_name: "web".into(), ..Default::default() };
    let before = client.certificates.get_certificate_policy(get.clone()).await.unwrap().into_inner().policy.unwrap();
    assert_eq!(before.id, "https://localhost:8443/certificates/web/policy");
    assert_eq!(before.x509_properties.as_ref().unwrap().ekus.len(), 2);
    let request = UpdateCertificatePolicyRequest {
        certificate_name: "web".into(),
        policy: Some(CertificatePolicy {
            issuer: Some(IssuerParameters { name: "Unknown".into(), ..Default::default() }),
            ..Default::default()
        }),
        update_mask: mask(&["issuer.name", "x509_properties.ekus"]),
        ..Default::default()
    };
    let after = client.certificates.update_certificate_policy(request).await.unwrap().into_inner().policy.unwrap();
    assert_eq!(after.issuer.as_ref().unwrap().name, "Unknown");
    assert_eq!(after.x509_properties.as_ref().unwrap().ekus, Vec::<String>::new());
    assert_eq!(after.key_properties, before.key_properties);
    let read = client.certificates.get_certificate_policy(get).await.unwrap().into_inner().policy.unwrap();
    assert_eq!(read, after);
    let request = UpdateCertificatePolicyRequest { certificate_name: "web".into(), ..Default::default() };
    let updated = client.certificates.update_certificate_policy(request).await;
    refused(updated, Code::InvalidArgument, "BAD_PARAMETER", "400");
}

#[tokio::test]
async fn a_mask_removes_names_and_a_zero_that_it_names_is_refused() {
    let mut client = client().await;
    client.harness.issue("web").await;
    let names = |names: &[&str]| CertificatePolicy {
        x509_properties: Some(X509Properties {
            subject_alternative_names: Some(SubjectAlternativeNames {
                dns_names: names.iter().map(|name| (*name).to_owned()).collect(),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = |policy: CertificatePolicy, path: &str| UpdateCertificatePolicyRequest {
        certificate_name: "web".into(),
        policy: Some(policy),
        update_mask: mask(&[path]),
        ..Default::default()
    };
    for list in [&["a.example", "A.example"][..], &[]] {
        let change = request(names(list), "x509_properties.subject_alternative_names");
        let after = client.certificates.update_certificate_policy(change).await.unwrap().into_inner().policy.unwrap();
        let kept = after.x509_properties.unwrap().subject_alternative_names.unwrap().dns_names;
        assert_eq!(kept, list.first().map(|name| (*name).to_owned()).into_iter().collect::<Vec<_>>());
    }
    let zero = request(CertificatePolicy::default(), "x509_properties.validity_months");
    refused(client.certificates.update_certificate_policy(zero).await, Code::InvalidArgument, "BAD_PARAMETER", "400");
}

#[tokio::test]
async fn a_certificate_is_deleted_recovered_and_purged() {
    let mut client = client().await;
    client.harness.issue("web").await;
    let before = client.get("web").await.unwrap();
    let attributes = before.attributes.unwrap();
    assert_eq!(attributes.recovery_level(), DeletionRecoveryLevel::RecoverablePurgeable);
    assert_eq!(attributes.recoverable_days, 90);
    let deleted = client.delete("web").await.unwrap();
    assert_eq!(deleted.recovery_id, "https://localhost:8443/deletedcertificates/web");
    assert_eq!(deleted.certificate.as_ref(), Some(&before));
    let days = (deleted.scheduled_purge_time.unwrap().seconds - deleted.deleted_time.unwrap().seconds) / 86_400;
    assert_eq!(days, 90);
    assert_eq!(client.deleted("web").await.unwrap(), deleted);
    refused(client.get("web").await, Code::NotFound, "CERTIFICATE_NOT_FOUND", "404");
    let request = CreateCertificateRequest { certificate_name: "web".into(), ..Default::default() };
    let created = client.certificates.create_certificate(request).await;
    let status = refused(created, Code::FailedPrecondition, "DELETED_BUT_RECOVERABLE", "409");
    assert_eq!(status.get_details_precondition_failure().unwrap().violations[0].r#type, "DELETED_BUT_RECOVERABLE");
    let list = ListDeletedCertificatesRequest::default();
    let list = client.certificates.list_deleted_certificates(list).await.unwrap().into_inner();
    assert_eq!(list.deleted_certificates[0].recovery_id, deleted.recovery_id);
    assert_eq!(list.deleted_certificates[0].item.as_ref().unwrap().certificate_name, "web");
    assert_eq!(client.recover("web").await.unwrap(), before);
    client.delete("web").await.unwrap();
    client.purge("web").await.unwrap();
    for gone in [client.purge("web").await.err(), client.recover("web").await.err(), client.deleted("web").await.err()]
    {
        refused::<()>(Err(gone.unwrap()), Code::NotFound, "CERTIFICATE_NOT_FOUND", "404");
    }
}

#[tokio::test]
async fn a_protected_vault_refuses_to_purge() {
    let (on_demand, retention_days) = (Some(true), RetentionDays::new(7).unwrap());
    let vaults = VaultOptions { on_demand, retention_days, purge_protection: true, ..VaultOptions::default() };
    let mut client = client_with(ServiceOptions { vaults, ..ServiceOptions::default() }).await;
    client.harness.issue("web").await;
    let attributes = client.delete("web").await.unwrap().certificate.unwrap().attributes.unwrap();
    assert_eq!(attributes.recovery_level(), DeletionRecoveryLevel::CustomizedRecoverable);
    assert_eq!(attributes.recoverable_days, 7);
    refused(client.purge("web").await, Code::FailedPrecondition, "PURGE_PROTECTED", "403");
}

#[tokio::test]
async fn a_watcher_sees_deletion_and_recovery() {
    let mut client = client().await;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let service = client.harness.service.clone();
    tokio::spawn(async move { service.watch().tail(stop).await });
    ask!(client.harness.service, creations.create(create("web", "Unknown"))).unwrap();
    let request = WatchPendingRequest {
        certificate_names: vec!["web".into()],
        snapshot: WatchSnapshot::None.into(),
        ..Default::default()
    };
    let mut stream = client.certificates.watch_pending(request).await.unwrap().into_inner();
    client.delete("web").await.unwrap();
    client.recover("web").await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let message = stream.message().await.unwrap().unwrap();
        if let Some(watch_pending_response::Payload::Event(event)) = message.payload {
            let operation = event.operation.clone().unwrap();
            seen.push((event.r#type(), operation.status(), operation.revision));
        }
    }
    let waiting = PendingStatus::InProgress;
    assert_eq!(seen, [(PendingEventType::Deleted, waiting, 2), (PendingEventType::Created, waiting, 3)]);
    let request = GetPendingRequest { certificate_name: "web".into(), ..Default::default() };
    let operation = client.certificates.get_pending(request).await.unwrap().into_inner().operation.unwrap();
    assert_eq!(operation.revision, 3);
}

#[tokio::test]
async fn a_backup_is_restored_into_another_vault() {
    let mut client = client().await;
    client.harness.issue_many("web", 3).await;
    let before = client.get("web").await.unwrap();
    let value = client.backup("web").await.unwrap();
    refused(client.restore("", value.clone()).await, Code::AlreadyExists, "ALREADY_EXISTS", "409");
    let restored = client.restore("v2", value.clone()).await.unwrap();
    assert_eq!((restored.vault_name.as_str(), restored.cer), ("v2", before.cer));
    let mut damaged = value.to_vec();
    damaged[40] ^= 1;
    let status = client.restore("v3", damaged.into()).await;
    refused(status, Code::InvalidArgument, "MALFORMED_BACKUP", "400");
}

/// The limit of messages is raised for backups alone.
#[tokio::test]
async fn a_backup_may_be_larger_than_other_messages() {
    let mut client = client().await;
    let large = bytes::Bytes::from(vec![0; 2 * 1024 * 1024]);
    refused(client.restore("", large.clone()).await, Code::InvalidArgument, "MALFORMED_BACKUP", "400");
    let request = MergeCertificateRequest {
        certificate_name: "web".into(),
        x509_certificates: vec![large],
        ..Default::default()
    };
    refused(client.certificates.merge_certificate(request).await, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "413");
}

#[tokio::test]
async fn contacts_are_set_read_and_deleted() {
    let mut client = client().await;
    let contact = Contact { email: "a@b.example".into(), name: "A".into(), phone: String::new() };
    let contacts = Contacts { id: String::new(), contacts: vec![contact] };
    let request = SetContactsRequest { contacts: Some(contacts.clone()), ..Default::default() };
    let set = client.admin.set_contacts(request).await.unwrap().into_inner().contacts.unwrap();
    assert_eq!(set, Contacts { id: "https://localhost:8443/certificates/contacts".into(), ..contacts });
    let get = client.admin.get_contacts(GetContactsRequest::default()).await.unwrap().into_inner();
    assert_eq!(get.contacts, Some(set.clone()));
    let deleted = client.admin.delete_contacts(DeleteContactsRequest::default()).await.unwrap().into_inner();
    assert_eq!(deleted.contacts, Some(set));
    let get = client.admin.get_contacts(GetContactsRequest::default()).await;
    refused(get, Code::NotFound, "CONTACTS_NOT_FOUND", "404");
    let set = client.admin.set_contacts(SetContactsRequest::default()).await;
    refused(set, Code::InvalidArgument, "BAD_PARAMETER", "400");
}

#[tokio::test]
async fn vaults_are_made_read_and_listed() {
    let vaults = VaultOptions::default();
    let mut client = client_with(ServiceOptions { vaults, ..ServiceOptions::default() }).await;
    let request = |vault: &str| GetVaultRequest { vault_name: vault.into() };
    refused(client.vaults.get_vault(request("team-a")).await, Code::NotFound, "VAULT_NOT_FOUND", "404");
    let listed = ListCertificatesRequest { vault_name: "team-a".into(), ..Default::default() };
    let unknown = client.certificates.list_certificates(listed.clone()).await;
    let status = refused(unknown, Code::NotFound, "VAULT_NOT_FOUND", "404");
    assert_eq!(status.get_details_resource_info().unwrap().resource_name, "team-a");
    let create =
        CreateVaultRequest { vault_name: "Team-A".into(), retention_days: Some(7), purge_protection: Some(true) };
    let made = client.vaults.create_vault(create.clone()).await.unwrap().into_inner().vault.unwrap();
    assert_eq!((made.vault_name.as_str(), made.retention_days, made.purge_protection), ("team-a", 7, true));
    client.certificates.list_certificates(listed).await.unwrap();
    assert_eq!(client.vaults.get_vault(request("team-a")).await.unwrap().into_inner().vault, Some(made.clone()));
    refused(client.vaults.create_vault(create).await, Code::AlreadyExists, "ALREADY_EXISTS", "409");
    let all = client.vaults.list_vaults(ListVaultsRequest::default()).await.unwrap().into_inner().vaults;
    let default = Vault { vault_name: "default".into(), retention_days: 90, purge_protection: false, created: None };
    assert_eq!(all, [default, made]);
    for days in [6, 91, -1] {
        let create = CreateVaultRequest { vault_name: "b".into(), retention_days: Some(days), purge_protection: None };
        refused(client.vaults.create_vault(create).await, Code::InvalidArgument, "BAD_PARAMETER", "400");
    }
}
