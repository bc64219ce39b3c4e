//! The gRPC contract: what `build.rs` makes of `proto/`, the descriptor set that reflection serves,
//! and the Debug of messages that hold secrets.

mod hidden;
pub mod plugin;

use hidden::Hidden;
use prost::Message;
use std::fmt;

/// Messages, clients and servers of the package `certmint.v1`.
#[expect(
    clippy::allow_attributes,
    clippy::disallowed_types,
    clippy::doc_lazy_continuation,
    clippy::large_enum_variant,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("certmint.v1");
}

/// The encoded `FileDescriptorSet` of the contract and its imports, with comments and custom options.
pub const DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/certmint.fds.bin"));

/// A method of the contract, with its options of ours.
#[derive(Clone, Debug)]
pub struct ContractMethod {
    /// `certmint.v1.CertificateService.GetPending`.
    pub name: String,
    /// The Azure Key Vault URIs of its `rest` option (`GET /certificates/{certificate_name}/pending`); none where the
    /// method has no such URI.
    pub rest: Vec<String>,
    /// Its `action` option (`Microsoft.KeyVault/vaults/certificates/read`).
    pub action: String,
}

/// The methods of the contract that have Azure Key Vault URIs and those that have none, each by its full name, in the
/// order of the contract.
pub fn rest_options() -> Vec<(String, Vec<String>)> {
    methods().into_iter().map(|method| (method.name, method.rest)).collect()
}

/// Every method of the contract, in its order.
#[expect(clippy::expect_used, reason = "the bytes are a part of the program, and a test decodes them")]
pub fn methods() -> Vec<ContractMethod> {
    let set = RestSet::decode(DESCRIPTOR_SET).expect("the descriptor set of the build is well-formed");
    let mut methods = Vec::new();
    for file in set.files {
        for service in file.services {
            for method in service.methods {
                let name = format!("{}.{}.{}", file.package, service.name, method.name);
                let RestMethodOptions { rest, action } = method.options.unwrap_or_default();
                methods.push(ContractMethod { name, rest, action });
            }
        }
    }
    methods
}

// The parts of google/protobuf/descriptor.proto that lead to the options `rest` and `action`. prost-types cannot
// be used: it drops options that it does not know.

#[derive(Clone, PartialEq, Message)]
struct RestSet {
    #[prost(message, repeated, tag = "1")]
    files: Vec<RestFile>,
}

#[derive(Clone, PartialEq, Message)]
struct RestFile {
    #[prost(string, tag = "2")]
    package: String,
    #[prost(message, repeated, tag = "6")]
    services: Vec<RestService>,
}

#[derive(Clone, PartialEq, Message)]
struct RestService {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<RestMethod>,
}

#[derive(Clone, PartialEq, Message)]
struct RestMethod {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "4")]
    options: Option<RestMethodOptions>,
}

#[derive(Clone, PartialEq, Message)]
struct RestMethodOptions {
    #[prost(string, repeated, tag = "50100")]
    rest: Vec<String>,
    #[prost(string, tag = "50101")]
    action: String,
}

impl fmt::Debug for v1::IssuerCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account_id, password } = self;
        f.debug_struct("IssuerCredentials")
            .field("account_id", account_id)
            .field("password", &Hidden(password.len()))
            .finish()
    }
}

impl fmt::Debug for v1::MergeCertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vault_name, certificate_name, x509_certificates, attributes, tags, request_id } = self;
        let hidden: Vec<Hidden> = x509_certificates.iter().map(|entry| Hidden(entry.len())).collect();
        f.debug_struct("MergeCertificateRequest")
            .field("vault_name", vault_name)
            .field("certificate_name", certificate_name)
            .field("x509_certificates", &hidden)
            .field("attributes", attributes)
            .field("tags", tags)
            .field("request_id", request_id)
            .finish()
    }
}

impl fmt::Debug for v1::BackupCertificateResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value } = self;
        f.debug_struct("BackupCertificateResponse").field("value", &Hidden(value.len())).finish()
    }
}

impl fmt::Debug for v1::RestoreCertificateRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { vault_name, value } = self;
        f.debug_struct("RestoreCertificateRequest")
            .field("vault_name", vault_name)
            .field("value", &Hidden(value.len()))
            .finish()
    }
}

/// The name of a code as the gRPC specification writes it.
pub(crate) fn code_name(code: tonic::Code) -> &'static str {
    use tonic::Code;
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::FileDescriptorSet;

    #[test]
    fn the_rest_options_survive_into_the_descriptor_set() {
        let listed: Vec<String> = rest_options()
            .into_iter()
            .map(|(method, uris)| format!("{} = {}", method.trim_start_matches("certmint.v1."), uris.join(", ")))
            .collect();
        assert_eq!(
            listed,
            [
                "AccessService.CreateGrant = ",
                "AccessService.GetGrant = ",
                "AccessService.DeleteGrant = ",
                "AccessService.SetRole = ",
                "AccessService.GetRole = ",
                "AccessService.DeleteRole = ",
                "AccessService.ListGrants = ",
                "AccessService.ListRoles = ",
                "AccessService.CheckAccess = ",
                "AccessService.WhoAmI = ",
                "AuditService.ListAudit = ",
                "AuditService.ListAuditKeys = ",
                "CertificateAuthorityService.ListAuthorities = ",
                "CertificateAuthorityService.CreateAuthority = ",
                "CertificateAuthorityService.GetAuthorityRequest = ",
                "CertificateAuthorityService.InstallAuthority = ",
                "CertificateAuthorityService.ImportAuthority = ",
                "CertificateAuthorityService.ActivateAuthority = ",
                "CertificateAuthorityService.RetireAuthority = ",
                "CertificateAuthorityService.GetIssuedCertificate = ",
                "CertificateAuthorityService.ListIssuedCertificates = ",
                "CertificateAuthorityService.RevokeCertificate = ",
                "CertificateService.CreateCertificate = POST /certificates/{certificate_name}/create",
                "CertificateService.GetPending = GET /certificates/{certificate_name}/pending",
                "CertificateService.ListPending = ",
                "CertificateService.CancelPending = PATCH /certificates/{certificate_name}/pending",
                "CertificateService.DeletePending = DELETE /certificates/{certificate_name}/pending",
                "CertificateService.MergeCertificate = POST /certificates/{certificate_name}/pending/merge",
                "CertificateService.WatchPending = ",
                "CertificateService.ImportCertificate = POST /certificates/{certificate_name}/import",
                "CertificateService.GetCertificate = \
                 GET /certificates/{certificate_name}/{certificate_version}, GET /certificates/{certificate_name}",
                "CertificateService.ListCertificates = GET /certificates",
                "CertificateService.ListCertificateVersions = GET /certificates/{certificate_name}/versions",
                "CertificateService.UpdateCertificate = \
                 PATCH /certificates/{certificate_name}/{certificate_version}, PATCH /certificates/{certificate_name}",
                "CertificateService.DeleteCertificate = DELETE /certificates/{certificate_name}",
                "CertificateService.GetDeletedCertificate = GET /deletedcertificates/{certificate_name}",
                "CertificateService.ListDeletedCertificates = GET /deletedcertificates",
                "CertificateService.RecoverDeletedCertificate = POST /deletedcertificates/{certificate_name}/recover",
                "CertificateService.PurgeDeletedCertificate = DELETE /deletedcertificates/{certificate_name}",
                "CertificateService.BackupCertificate = POST /certificates/{certificate_name}/backup",
                "CertificateService.RestoreCertificate = POST /certificates/restore",
                "CertificateService.GetCertificatePolicy = GET /certificates/{certificate_name}/policy",
                "CertificateService.UpdateCertificatePolicy = PATCH /certificates/{certificate_name}/policy",
                "CertificateAdminService.SetIssuer = PUT /certificates/issuers/{issuer_name}",
                "CertificateAdminService.UpdateIssuer = PATCH /certificates/issuers/{issuer_name}",
                "CertificateAdminService.GetIssuer = GET /certificates/issuers/{issuer_name}",
                "CertificateAdminService.ListIssuers = GET /certificates/issuers",
                "CertificateAdminService.DeleteIssuer = DELETE /certificates/issuers/{issuer_name}",
                "CertificateAdminService.CheckIssuer = ",
                "CertificateAdminService.PauseIssuer = ",
                "CertificateAdminService.ResumeIssuer = ",
                "CertificateAdminService.RotateIssuerKey = ",
                "CertificateAdminService.DeactivateIssuer = ",
                "CertificateAdminService.ListProviders = ",
                "CertificateAdminService.SetContacts = PUT /certificates/contacts",
                "CertificateAdminService.GetContacts = GET /certificates/contacts",
                "CertificateAdminService.DeleteContacts = DELETE /certificates/contacts",
                "InstallationService.ReportInstallation = ",
                "InstallationService.ListInstallations = ",
                "KeyService.GetKey = GET /keys/{key_name}/{key_version}, GET /keys/{key_name}",
                "KeyService.ListKeys = GET /keys",
                "KeyService.ListKeyVersions = GET /keys/{key_name}/versions",
                "KeyService.Sign = POST /keys/{key_name}/{key_version}/sign, POST /keys/{key_name}/sign",
                "KeyService.Verify = POST /keys/{key_name}/{key_version}/verify, POST /keys/{key_name}/verify",
                "KeyService.Encrypt = POST /keys/{key_name}/{key_version}/encrypt, POST /keys/{key_name}/encrypt",
                "KeyService.Decrypt = POST /keys/{key_name}/{key_version}/decrypt, POST /keys/{key_name}/decrypt",
                "KeyService.WrapKey = POST /keys/{key_name}/{key_version}/wrapkey, POST /keys/{key_name}/wrapkey",
                "KeyService.UnwrapKey = POST /keys/{key_name}/{key_version}/unwrapkey, POST /keys/{key_name}/unwrapkey",
                "MasterKeyService.Reseal = ",
                "MasterKeyService.StopReseal = ",
                "MasterKeyService.GetMasterKeys = ",
                "RenewalService.RenewCertificate = ",
                "RenewalService.ListRenewals = ",
                "RenewalService.PauseRenewal = ",
                "RenewalService.ResumeRenewal = ",
                "RenewalService.SetRenewalWindow = ",
                "RenewalService.GetVaultRenewals = ",
                "RenewalService.SetVaultRenewalWindow = ",
                "RenewalService.PauseVaultRenewals = ",
                "RenewalService.ResumeVaultRenewals = ",
                "SecretService.GetSecret = GET /secrets/{secret_name}/{secret_version}, GET /secrets/{secret_name}",
                "SecretService.ListSecrets = GET /secrets",
                "SecretService.ListSecretVersions = GET /secrets/{secret_name}/versions",
                "VaultService.CreateVault = ",
                "VaultService.GetVault = ",
                "VaultService.ListVaults = ",
                "WebhookService.SetWebhook = ",
                "WebhookService.GetWebhook = ",
                "WebhookService.ListWebhooks = ",
                "WebhookService.DeleteWebhook = ",
                "WebhookService.PauseWebhook = ",
                "WebhookService.ResumeWebhook = ",
                "WebhookService.TestWebhook = ",
                "WebhookService.ListDeliveries = ",
                "WebhookService.Redeliver = ",
            ]
        );
    }

    #[test]
    fn the_descriptor_set_has_comments_and_imports() {
        let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
        let names: Vec<&str> = set.file.iter().map(|file| file.name()).collect();
        assert!(names.contains(&"certmint/v1/errors.proto"), "{names:?}");
        assert!(names.contains(&"google/protobuf/timestamp.proto"), "{names:?}");
        let ours = set.file.iter().filter(|file| file.package() == "certmint.v1");
        for file in ours {
            let comments = file.source_code_info.iter().flat_map(|info| &info.location);
            assert!(comments.clone().any(|location| location.leading_comments.is_some()), "{}", file.name());
        }
    }

    #[test]
    fn no_debug_output_holds_a_secret_option() {
        let secret_options = [("eab_hmac".to_owned(), "correct horse".to_owned())].into();
        let issuer = v1::Issuer { secret_options, issuer_name: "le".into(), ..Default::default() };
        let set = v1::SetIssuerRequest { issuer: Some(issuer.clone()), ..Default::default() };
        for text in [format!("{issuer:?}"), format!("{set:#?}")] {
            assert!(text.contains("eab_hmac") && text.contains("\"le\"") && !text.contains("horse"), "{text}");
        }
    }

    #[test]
    fn no_debug_output_holds_what_signs_a_webhook() {
        let secret_headers = [("authorization".to_owned(), "correct horse".to_owned())].into();
        let set = v1::SetWebhookRequest { secret: "whsec_horse".into(), secret_headers, ..Default::default() };
        let answer = v1::SetWebhookResponse { secret: "whsec_horse".into(), ..Default::default() };
        for text in [format!("{set:?}"), format!("{answer:#?}")] {
            assert!(text.contains("(hidden)") && !text.contains("horse"), "{text}");
        }
    }

    #[test]
    fn no_debug_output_holds_a_password() {
        let password = "correct horse battery staple";
        let credentials = v1::IssuerCredentials { account_id: "account-7".into(), password: password.into() };
        let issuer = v1::Issuer { credentials: Some(credentials.clone()), ..Default::default() };
        let set = v1::SetIssuerRequest { issuer: Some(issuer.clone()), ..Default::default() };
        let update = v1::UpdateIssuerRequest { issuer: Some(issuer.clone()), ..Default::default() };
        let shown = [
            format!("{credentials:?}"),
            format!("{credentials:#?}"),
            format!("{issuer:?}"),
            format!("{set:?}"),
            format!("{update:?}"),
            format!("{:?}", tonic::Request::new(set.clone())),
        ];
        for text in shown {
            assert!(text.contains("account-7") && text.contains("(hidden)"), "{text}");
            assert!(!text.contains("horse"), "{text}");
        }
    }

    #[test]
    fn no_debug_output_holds_what_a_merge_sends() {
        let request = v1::MergeCertificateRequest {
            certificate_name: "web".into(),
            x509_certificates: vec![b"-----BEGIN PRIVATE KEY-----".as_slice().into()],
            ..Default::default()
        };
        let text = format!("{request:?}");
        assert!(text.contains("\"web\"") && text.contains("[(hidden)]"), "{text}");
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }

    #[test]
    fn no_debug_output_holds_a_backup() {
        let value = bytes::Bytes::from_static(b"certmint-backup");
        let response = v1::BackupCertificateResponse { value: value.clone() };
        let request = v1::RestoreCertificateRequest { vault_name: "team-a".into(), value };
        for text in [format!("{response:?}"), format!("{request:?}")] {
            assert!(text.contains("(hidden)") && !text.contains("certmint"), "{text}");
        }
    }

    /// A new secret field has to come with a Debug of its own.
    #[test]
    fn only_messages_with_a_debug_of_their_own_have_a_field_called_password() {
        let set = FileDescriptorSet::decode(DESCRIPTOR_SET).unwrap();
        let messages =
            set.file.iter().filter(|file| file.package() == "certmint.v1").flat_map(|file| &file.message_type);
        let holders: Vec<&str> = messages
            .filter(|message| message.field.iter().any(|field| field.name().contains("password")))
            .map(|message| message.name())
            .collect();
        assert_eq!(holders, ["ImportAuthorityRequest", "ImportCertificateRequest", "IssuerCredentials"]);
    }
}
