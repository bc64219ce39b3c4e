//! Every change that a caller can make without a CA outside, one after the other, by the administrator.

use crate::ca::Ca;
use crate::kit::{ADMIN, Server, create, policy};
use certmint::proto::v1::access_service_client::AccessServiceClient;
use certmint::proto::v1::certificate_admin_service_client::CertificateAdminServiceClient;
use certmint::proto::v1::certificate_authority_service_client::CertificateAuthorityServiceClient;
use certmint::proto::v1::import_certificate_request::Bundle;
use certmint::proto::v1::installation_service_client::InstallationServiceClient;
use certmint::proto::v1::key_service_client::KeyServiceClient;
use certmint::proto::v1::master_key_service_client::MasterKeyServiceClient;
use certmint::proto::v1::renewal_service_client::RenewalServiceClient;
use certmint::proto::v1::revoke_certificate_request::Which;
use certmint::proto::v1::secret_service_client::SecretServiceClient;
use certmint::proto::v1::vault_service_client::VaultServiceClient;
use certmint::proto::v1::webhook_service_client::WebhookServiceClient;
use certmint::proto::v1::*;
use std::process::Command;

const KEY_AND_CERTIFICATE: &str = include_str!("../../data/seeds/pem/plain.pem");
/// A member of the private key in it.
pub(crate) fn secret_line() -> &'static str {
    KEY_AND_CERTIFICATE.lines().nth(1).unwrap()
}

/// The id of the grant that is made.
pub(crate) const GRANT: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";

pub(crate) async fn everything(server: &Server) {
    certificates(server).await;
    issuers(server).await;
    authorities(server).await;
    rights(server).await;
    webhooks(server).await;
    secrets_and_keys(server).await;
}

fn name() -> String {
    "web".to_owned()
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
    installation(server, "leaf").await;
    renewals(server, "leaf").await;
    let version = CertificateRef { certificate_name: "leaf".into(), ..Default::default() };
    let revoke = RevokeCertificateRequest { which: Some(Which::Version(version)), ..Default::default() };
    client.revoke_certificate(revoke).await.unwrap();
}

/// Of a certificate that is issued.
async fn installation(server: &Server, name: &str) {
    let certificate = GetCertificateRequest { certificate_name: name.to_owned(), ..Default::default() };
    let answer = server.client(ADMIN).get_certificate(certificate).await.unwrap().into_inner();
    let report = ReportInstallationRequest {
        certificate_name: name.to_owned(),
        host: "web-1".into(),
        certificate_version: answer.certificate.unwrap().certificate_version,
        state: InstallationState::Installed.into(),
        ..Default::default()
    };
    InstallationServiceClient::new(server.channel(ADMIN)).report_installation(report).await.unwrap();
}

/// Of a certificate that is issued.
async fn renewals(server: &Server, name: &str) {
    let mut client = RenewalServiceClient::new(server.channel(ADMIN));
    let certificate_name = || name.to_owned();
    let pause = PauseRenewalRequest { certificate_name: certificate_name(), ..Default::default() };
    client.pause_renewal(pause).await.unwrap();
    let resume = ResumeRenewalRequest { certificate_name: certificate_name(), ..Default::default() };
    client.resume_renewal(resume).await.unwrap();
    let window =
        SetRenewalWindowRequest { certificate_name: certificate_name(), window: "always".into(), ..Default::default() };
    client.set_renewal_window(window).await.unwrap();
    client.set_vault_renewal_window(SetVaultRenewalWindowRequest::default()).await.unwrap();
    client.pause_vault_renewals(PauseVaultRenewalsRequest::default()).await.unwrap();
    client.resume_vault_renewals(ResumeVaultRenewalsRequest::default()).await.unwrap();
    let renew = RenewCertificateRequest { certificate_name: certificate_name(), ..Default::default() };
    client.renew_certificate(renew).await.unwrap();
    server.issued(name).await;
}

async fn rights(server: &Server) {
    let mut client = AccessServiceClient::new(server.channel(ADMIN));
    let actions = vec!["Microsoft.KeyVault/vaults/certificates/read".to_owned()];
    client.set_role(SetRoleRequest { name: "Renewer".into(), actions, ..Default::default() }).await.unwrap();
    let grant = CreateGrantRequest {
        grant_id: GRANT.into(),
        principal: "token:other".into(),
        role: "Renewer".into(),
        vault_name: "two".into(),
        names: vec!["shop-*".into()],
        note: "for a while".into(),
        ..Default::default()
    };
    client.create_grant(grant).await.unwrap();
    client.delete_grant(DeleteGrantRequest { grant_id: GRANT.into() }).await.unwrap();
    client.delete_role(DeleteRoleRequest { role: "Renewer".into() }).await.unwrap();
    let mut client = MasterKeyServiceClient::new(server.channel(ADMIN));
    client.reseal(ResealRequest::default()).await.unwrap();
    client.stop_reseal(StopResealRequest {}).await.unwrap();
}

/// A receiver at which nobody listens is as good as another.
async fn webhooks(server: &Server) {
    let mut client = WebhookServiceClient::new(server.channel(ADMIN));
    let webhook_name = || "hooks".to_owned();
    let webhook = Some(Webhook { url: "http://127.0.0.1:1/".into(), ..Default::default() });
    let set = SetWebhookRequest { webhook_name: webhook_name(), webhook, ..Default::default() };
    client.set_webhook(set).await.unwrap();
    let test = TestWebhookRequest { webhook_name: webhook_name(), ..Default::default() };
    assert!(!client.test_webhook(test).await.unwrap().into_inner().taken);
    client.pause_webhook(PauseWebhookRequest { webhook_name: webhook_name(), ..Default::default() }).await.unwrap();
    client.resume_webhook(ResumeWebhookRequest { webhook_name: webhook_name(), ..Default::default() }).await.unwrap();
    client.redeliver(RedeliverRequest { webhook_name: webhook_name(), ..Default::default() }).await.unwrap();
    client.delete_webhook(DeleteWebhookRequest { webhook_name: webhook_name(), ..Default::default() }).await.unwrap();
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
