//! The services of the contract: which function answers which method.
#![expect(clippy::disallowed_types, reason = "this is where tonic::Status belongs")]

use super::status::status;
use super::{
    access, admin, audit, authorities, certificates, installations, keys, master_keys, renewals, secrets, vaults,
    webhooks,
};
use crate::domain::Error;
use crate::proto::v1;
use crate::proto::v1::access_service_server::AccessService;
use crate::proto::v1::audit_service_server::AuditService;
use crate::proto::v1::certificate_admin_service_server::CertificateAdminService;
use crate::proto::v1::certificate_authority_service_server::CertificateAuthorityService;
use crate::proto::v1::certificate_service_server::CertificateService;
use crate::proto::v1::installation_service_server::InstallationService;
use crate::proto::v1::key_service_server::KeyService;
use crate::proto::v1::master_key_service_server::MasterKeyService;
use crate::proto::v1::renewal_service_server::RenewalService;
use crate::proto::v1::secret_service_server::SecretService;
use crate::proto::v1::vault_service_server::VaultService;
use crate::proto::v1::webhook_service_server::WebhookService;
use tonic::{Request, Response, Status};

/// `method: Request -> Response = the function of ours`.
macro_rules! service {
    ($service:ident for $handler:ty {
        $($method:ident: $request:ident -> $response:ident = $function:ident;)*
    } $($more:tt)*) => {
        #[tonic::async_trait]
        impl $service for $handler {
            $(async fn $method(&self, request: Request<v1::$request>) -> Result<Response<v1::$response>, Status> {
                self.$function(request).await.map(Response::new).map_err(status)
            })*

            $($more)*
        }
    };
}

service! {
    CertificateService for certificates::Certificates {
        create_certificate: CreateCertificateRequest -> CreateCertificateResponse = create;
        get_pending: GetPendingRequest -> GetPendingResponse = get;
        list_pending: ListPendingRequest -> ListPendingResponse = list;
        cancel_pending: CancelPendingRequest -> CancelPendingResponse = cancel;
        delete_pending: DeletePendingRequest -> DeletePendingResponse = delete;
        merge_certificate: MergeCertificateRequest -> MergeCertificateResponse = merge;
        import_certificate: ImportCertificateRequest -> ImportCertificateResponse = import;
        get_certificate: GetCertificateRequest -> GetCertificateResponse = certificate;
        list_certificates: ListCertificatesRequest -> ListCertificatesResponse = listed;
        list_certificate_versions: ListCertificateVersionsRequest -> ListCertificateVersionsResponse = versions;
        update_certificate: UpdateCertificateRequest -> UpdateCertificateResponse = update;
        delete_certificate: DeleteCertificateRequest -> DeleteCertificateResponse = remove;
        get_deleted_certificate: GetDeletedCertificateRequest -> GetDeletedCertificateResponse = deleted;
        list_deleted_certificates: ListDeletedCertificatesRequest -> ListDeletedCertificatesResponse = list_deleted;
        recover_deleted_certificate: RecoverDeletedCertificateRequest -> RecoverDeletedCertificateResponse = recover;
        purge_deleted_certificate: PurgeDeletedCertificateRequest -> PurgeDeletedCertificateResponse = purge;
        backup_certificate: BackupCertificateRequest -> BackupCertificateResponse = backup;
        restore_certificate: RestoreCertificateRequest -> RestoreCertificateResponse = restore;
        get_certificate_policy: GetCertificatePolicyRequest -> GetCertificatePolicyResponse = policy;
        update_certificate_policy: UpdateCertificatePolicyRequest -> UpdateCertificatePolicyResponse = update_policy;
    }

    type WatchPendingStream = tonic::codegen::BoxStream<v1::WatchPendingResponse>;

    /// `dispatch` answers this method itself, with messages that are encoded once for all streams.
    async fn watch_pending(
        &self,
        _: Request<v1::WatchPendingRequest>,
    ) -> Result<Response<Self::WatchPendingStream>, Status> {
        tracing::error!("a watch bypassed its own handler");
        Err(status(Error::internal()))
    }
}

service! {
    CertificateAdminService for admin::Admin {
        set_issuer: SetIssuerRequest -> SetIssuerResponse = set;
        update_issuer: UpdateIssuerRequest -> UpdateIssuerResponse = update;
        get_issuer: GetIssuerRequest -> GetIssuerResponse = get;
        list_issuers: ListIssuersRequest -> ListIssuersResponse = list;
        delete_issuer: DeleteIssuerRequest -> DeleteIssuerResponse = delete;
        check_issuer: CheckIssuerRequest -> CheckIssuerResponse = check;
        pause_issuer: PauseIssuerRequest -> PauseIssuerResponse = pause;
        resume_issuer: ResumeIssuerRequest -> ResumeIssuerResponse = resume;
        rotate_issuer_key: RotateIssuerKeyRequest -> RotateIssuerKeyResponse = rotate;
        deactivate_issuer: DeactivateIssuerRequest -> DeactivateIssuerResponse = deactivate;
        list_providers: ListProvidersRequest -> ListProvidersResponse = providers;
        set_contacts: SetContactsRequest -> SetContactsResponse = set_contacts_of;
        get_contacts: GetContactsRequest -> GetContactsResponse = contacts_of;
        delete_contacts: DeleteContactsRequest -> DeleteContactsResponse = delete_contacts_of;
    }
}

service! {
    VaultService for vaults::VaultCalls {
        create_vault: CreateVaultRequest -> CreateVaultResponse = create;
        get_vault: GetVaultRequest -> GetVaultResponse = get;
        list_vaults: ListVaultsRequest -> ListVaultsResponse = list;
    }
}

service! {
    SecretService for secrets::Secrets {
        get_secret: GetSecretRequest -> GetSecretResponse = get;
        list_secrets: ListSecretsRequest -> ListSecretsResponse = list;
        list_secret_versions: ListSecretVersionsRequest -> ListSecretVersionsResponse = versions;
    }
}

service! {
    KeyService for keys::Keys {
        get_key: GetKeyRequest -> GetKeyResponse = get;
        list_keys: ListKeysRequest -> ListKeysResponse = list;
        list_key_versions: ListKeyVersionsRequest -> ListKeyVersionsResponse = versions;
        sign: SignRequest -> SignResponse = sign_digest;
        verify: VerifyRequest -> VerifyResponse = verify_signature;
        encrypt: EncryptRequest -> EncryptResponse = encrypt_text;
        decrypt: DecryptRequest -> DecryptResponse = decrypt_text;
        wrap_key: WrapKeyRequest -> WrapKeyResponse = wrap;
        unwrap_key: UnwrapKeyRequest -> UnwrapKeyResponse = unwrap;
    }
}

service! {
    CertificateAuthorityService for authorities::Authorities {
        create_authority: CreateAuthorityRequest -> CreateAuthorityResponse = create;
        get_authority_request: GetAuthorityRequestRequest -> GetAuthorityRequestResponse = request;
        install_authority: InstallAuthorityRequest -> InstallAuthorityResponse = install;
        import_authority: ImportAuthorityRequest -> ImportAuthorityResponse = import;
        activate_authority: ActivateAuthorityRequest -> ActivateAuthorityResponse = activate;
        retire_authority: RetireAuthorityRequest -> RetireAuthorityResponse = retire;
        revoke_certificate: RevokeCertificateRequest -> RevokeCertificateResponse = revoke;
        list_authorities: ListAuthoritiesRequest -> ListAuthoritiesResponse = list;
        get_issued_certificate: GetIssuedCertificateRequest -> GetIssuedCertificateResponse = get;
        list_issued_certificates: ListIssuedCertificatesRequest -> ListIssuedCertificatesResponse = list_of;
    }
}

service! {
    RenewalService for renewals::RenewalCalls {
        renew_certificate: RenewCertificateRequest -> RenewCertificateResponse = renew;
        list_renewals: ListRenewalsRequest -> ListRenewalsResponse = list;
        pause_renewal: PauseRenewalRequest -> PauseRenewalResponse = pause;
        resume_renewal: ResumeRenewalRequest -> ResumeRenewalResponse = resume;
        set_renewal_window: SetRenewalWindowRequest -> SetRenewalWindowResponse = set_window;
        get_vault_renewals: GetVaultRenewalsRequest -> GetVaultRenewalsResponse = vault;
        set_vault_renewal_window: SetVaultRenewalWindowRequest -> SetVaultRenewalWindowResponse = set_vault_window;
        pause_vault_renewals: PauseVaultRenewalsRequest -> PauseVaultRenewalsResponse = pause_vault;
        resume_vault_renewals: ResumeVaultRenewalsRequest -> ResumeVaultRenewalsResponse = resume_vault;
    }
}

service! {
    InstallationService for installations::InstallationCalls {
        report_installation: ReportInstallationRequest -> ReportInstallationResponse = report;
        list_installations: ListInstallationsRequest -> ListInstallationsResponse = list;
    }
}

service! {
    WebhookService for webhooks::WebhookCalls {
        set_webhook: SetWebhookRequest -> SetWebhookResponse = set;
        get_webhook: GetWebhookRequest -> GetWebhookResponse = get;
        list_webhooks: ListWebhooksRequest -> ListWebhooksResponse = list;
        delete_webhook: DeleteWebhookRequest -> DeleteWebhookResponse = delete;
        pause_webhook: PauseWebhookRequest -> PauseWebhookResponse = pause;
        resume_webhook: ResumeWebhookRequest -> ResumeWebhookResponse = resume;
        test_webhook: TestWebhookRequest -> TestWebhookResponse = test;
        list_deliveries: ListDeliveriesRequest -> ListDeliveriesResponse = deliveries;
        redeliver: RedeliverRequest -> RedeliverResponse = redeliver;
    }
}

service! {
    MasterKeyService for master_keys::MasterKeyCalls {
        reseal: ResealRequest -> ResealResponse = reseal;
        stop_reseal: StopResealRequest -> StopResealResponse = stop;
        get_master_keys: GetMasterKeysRequest -> GetMasterKeysResponse = get;
    }
}

service! {
    AccessService for access::AccessCalls {
        who_am_i: WhoAmIRequest -> WhoAmIResponse = who;
        check_access: CheckAccessRequest -> CheckAccessResponse = check;
        list_grants: ListGrantsRequest -> ListGrantsResponse = grants;
        list_roles: ListRolesRequest -> ListRolesResponse = roles;
        create_grant: CreateGrantRequest -> CreateGrantResponse = create_grant;
        get_grant: GetGrantRequest -> GetGrantResponse = grant;
        delete_grant: DeleteGrantRequest -> DeleteGrantResponse = delete_grant;
        set_role: SetRoleRequest -> SetRoleResponse = set_role;
        get_role: GetRoleRequest -> GetRoleResponse = role;
        delete_role: DeleteRoleRequest -> DeleteRoleResponse = delete_role;
    }
}

service! {
    AuditService for audit::AuditCalls {
        list_audit: ListAuditRequest -> ListAuditResponse = list;
        list_audit_keys: ListAuditKeysRequest -> ListAuditKeysResponse = keys;
    }
}
