//! The services of the fake server.

use crate::fake::{Item, Part, bookmark, draining, operation, refusal, refusal_with};
use certmint::clock::{Clock, SystemClock};
use certmint::proto::v1::certificate_admin_service_server::CertificateAdminService;
use certmint::proto::v1::certificate_service_server::CertificateService;
use certmint::proto::v1::vault_service_server::VaultService;
use certmint::proto::v1::*;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status};

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) part: Arc<Mutex<Part>>,
    pub(crate) csr: Vec<u8>,
    pub(crate) chain: Vec<Vec<u8>>,
}

impl Service {
    fn part(&self) -> std::sync::MutexGuard<'_, Part> {
        self.part.lock().unwrap()
    }

    fn operation(&self, name: &str) -> PendingOperation {
        PendingOperation { csr: self.csr.clone().into(), ..operation(name, PendingStatus::InProgress, 1) }
    }

    fn certificate(&self, name: &str) -> Certificate {
        let issued = name != "placeholder";
        Certificate {
            certificate_name: name.into(),
            certificate_version: "00ff".into(),
            cer: if issued { self.chain[0].clone().into() } else { Default::default() },
            chain: if issued { vec![self.chain[1].clone().into()] } else { Vec::new() },
            thumbprint: vec![0xab, 0x01].into(),
            attributes: Some(CertificateAttributes { enabled: Some(issued), ..Default::default() }),
            ..Default::default()
        }
    }
}

fn missing(name: &str) -> Status {
    refusal_with(Code::NotFound, "PENDING_NOT_FOUND", "Pending certificate not found: none", |details| {
        details.set_resource_info("pending", name, "", "");
    })
}

/// The management commands are tested against a real server (`management.rs`).
fn not_asked() -> Status {
    Status::unimplemented("this server is not asked for that")
}

#[tonic::async_trait]
impl CertificateService for Service {
    type WatchPendingStream = Pin<Box<dyn Stream<Item = Item> + Send>>;

    async fn create_certificate(
        &self,
        request: Request<CreateCertificateRequest>,
    ) -> Result<Response<CreateCertificateResponse>, Status> {
        let token = request.metadata().get("authorization").map(|it| it.to_str().unwrap().to_owned());
        let request = request.into_inner();
        let name = request.certificate_name.clone();
        let mut part = self.part();
        part.tokens.push(token);
        part.created.push(request);
        match name.as_str() {
            "busy" => Err(refusal(Code::Aborted, "PENDING_IN_PROGRESS", "An operation is in progress.")),
            "bad" => Err(refusal_with(Code::InvalidArgument, "BAD_PARAMETER", "The policy is wrong.", |details| {
                details.add_bad_request_violation("policy.x509_properties.subject", "not an X.500 name");
            })),
            _ => Ok(Response::new(CreateCertificateResponse {
                operation: Some(self.operation(&name)),
                resume_token: "t-create".into(),
            })),
        }
    }

    async fn get_pending(&self, request: Request<GetPendingRequest>) -> Result<Response<GetPendingResponse>, Status> {
        let name = request.into_inner().certificate_name;
        let refused = {
            let mut part = self.part();
            part.reads += 1;
            part.refusals.pop_front()
        };
        if let Some(status) = refused {
            return Err(status);
        }
        match name.as_str() {
            "none" => return Err(missing(&name)),
            "slow" => tokio::time::sleep(Duration::from_secs(600)).await,
            _ => {}
        }
        Ok(Response::new(GetPendingResponse { operation: Some(self.operation(&name)), resume_token: "t-get".into() }))
    }

    async fn list_pending(
        &self,
        request: Request<ListPendingRequest>,
    ) -> Result<Response<ListPendingResponse>, Status> {
        let listed = self.part().listed.clone();
        if !listed.is_empty() {
            return Ok(Response::new(ListPendingResponse { operations: listed, ..Default::default() }));
        }
        let (name, next) = match request.into_inner().page_token.as_str() {
            "" => ("first", "page-2"),
            "page-2" => ("second", ""),
            other => return Err(Status::invalid_argument(other)),
        };
        Ok(Response::new(ListPendingResponse {
            operations: vec![self.operation(name)],
            next_page_token: next.into(),
            resume_token: "t-list".into(),
        }))
    }

    async fn cancel_pending(
        &self,
        request: Request<CancelPendingRequest>,
    ) -> Result<Response<CancelPendingResponse>, Status> {
        let mut operation = self.operation(&request.into_inner().certificate_name);
        operation.cancellation_requested = true;
        Ok(Response::new(CancelPendingResponse { operation: Some(operation), resume_token: "t-cancel".into() }))
    }

    async fn delete_pending(
        &self,
        request: Request<DeletePendingRequest>,
    ) -> Result<Response<DeletePendingResponse>, Status> {
        self.part().deletions += 1;
        match request.into_inner().certificate_name.as_str() {
            "drained" => Err(draining()),
            name => Ok(Response::new(DeletePendingResponse { operation: Some(self.operation(name)) })),
        }
    }

    async fn merge_certificate(
        &self,
        request: Request<MergeCertificateRequest>,
    ) -> Result<Response<MergeCertificateResponse>, Status> {
        let request = request.into_inner();
        let certificate = Some(self.certificate(&request.certificate_name));
        self.part().merged.push(request);
        Ok(Response::new(MergeCertificateResponse { certificate }))
    }

    async fn import_certificate(
        &self,
        request: Request<ImportCertificateRequest>,
    ) -> Result<Response<ImportCertificateResponse>, Status> {
        let request = request.into_inner();
        let certificate = Some(self.certificate(&request.certificate_name));
        self.part().imported.push(request);
        Ok(Response::new(ImportCertificateResponse { certificate }))
    }

    async fn watch_pending(
        &self,
        request: Request<WatchPendingRequest>,
    ) -> Result<Response<Self::WatchPendingStream>, Status> {
        let mut part = self.part();
        part.watched.push(request.into_inner());
        match part.streams.pop_front() {
            // A stream that has nothing but an error is refused at once, as real ones are.
            Some(mut items) if items.len() == 1 && items[0].is_err() => match items.remove(0) {
                Err(status) => Err(status),
                Ok(_) => unreachable!("the guard says so"),
            },
            Some(items) => Ok(Response::new(Box::pin(tokio_stream::iter(items)))),
            None => {
                let now = SystemClock.now().seconds() + part.clock_skew;
                let first = tokio_stream::iter([bookmark(BookmarkReason::CaughtUp, "t-now", now)]);
                Ok(Response::new(Box::pin(first.chain(tokio_stream::pending()))))
            }
        }
    }

    async fn get_certificate(
        &self,
        request: Request<GetCertificateRequest>,
    ) -> Result<Response<GetCertificateResponse>, Status> {
        let certificate = Some(self.certificate(&request.into_inner().certificate_name));
        Ok(Response::new(GetCertificateResponse { certificate }))
    }

    async fn list_certificates(
        &self,
        _: Request<ListCertificatesRequest>,
    ) -> Result<Response<ListCertificatesResponse>, Status> {
        Err(not_asked())
    }

    async fn list_certificate_versions(
        &self,
        _: Request<ListCertificateVersionsRequest>,
    ) -> Result<Response<ListCertificateVersionsResponse>, Status> {
        Err(not_asked())
    }

    async fn update_certificate(
        &self,
        _: Request<UpdateCertificateRequest>,
    ) -> Result<Response<UpdateCertificateResponse>, Status> {
        Err(not_asked())
    }

    async fn delete_certificate(
        &self,
        _: Request<DeleteCertificateRequest>,
    ) -> Result<Response<DeleteCertificateResponse>, Status> {
        Err(not_asked())
    }

    async fn get_deleted_certificate(
        &self,
        _: Request<GetDeletedCertificateRequest>,
    ) -> Result<Response<GetDeletedCertificateResponse>, Status> {
        Err(not_asked())
    }

    async fn list_deleted_certificates(
        &self,
        _: Request<ListDeletedCertificatesRequest>,
    ) -> Result<Response<ListDeletedCertificatesResponse>, Status> {
        Err(not_asked())
    }

    async fn recover_deleted_certificate(
        &self,
        _: Request<RecoverDeletedCertificateRequest>,
    ) -> Result<Response<RecoverDeletedCertificateResponse>, Status> {
        Err(not_asked())
    }

    async fn purge_deleted_certificate(
        &self,
        _: Request<PurgeDeletedCertificateRequest>,
    ) -> Result<Response<PurgeDeletedCertificateResponse>, Status> {
        Err(not_asked())
    }

    async fn backup_certificate(
        &self,
        _: Request<BackupCertificateRequest>,
    ) -> Result<Response<BackupCertificateResponse>, Status> {
        Err(not_asked())
    }

    async fn restore_certificate(
        &self,
        _: Request<RestoreCertificateRequest>,
    ) -> Result<Response<RestoreCertificateResponse>, Status> {
        Err(not_asked())
    }

    async fn get_certificate_policy(
        &self,
        _: Request<GetCertificatePolicyRequest>,
    ) -> Result<Response<GetCertificatePolicyResponse>, Status> {
        Err(not_asked())
    }

    async fn update_certificate_policy(
        &self,
        _: Request<UpdateCertificatePolicyRequest>,
    ) -> Result<Response<UpdateCertificatePolicyResponse>, Status> {
        Err(not_asked())
    }
}

impl Service {
    /// The issuer with what a real server never answers left in, to see that it is not printed.
    fn issuer(&self, name: &str) -> Issuer {
        Issuer {
            issuer_name: name.into(),
            provider: "LocalCA".into(),
            credentials: Some(IssuerCredentials { account_id: "account".into(), password: "hunter2".into() }),
            ca_certificates: if name == "remote" {
                Vec::new()
            } else {
                self.chain.iter().cloned().map(Into::into).collect()
            },
            profiles: if name == "old" { Default::default() } else { self.part().profiles.clone() },
            default_profile: self.part().default_profile.clone(),
            ..Default::default()
        }
    }
}

#[tonic::async_trait]
impl CertificateAdminService for Service {
    async fn set_issuer(&self, request: Request<SetIssuerRequest>) -> Result<Response<SetIssuerResponse>, Status> {
        let request = request.into_inner();
        let issuer = Some(self.issuer(&request.issuer_name));
        self.part().set.extend(request.issuer);
        Ok(Response::new(SetIssuerResponse { issuer, warnings: vec!["no port".into()] }))
    }

    async fn update_issuer(
        &self,
        request: Request<UpdateIssuerRequest>,
    ) -> Result<Response<UpdateIssuerResponse>, Status> {
        let request = request.into_inner();
        {
            let mut part = self.part();
            let changed = request.issuer.clone().unwrap_or_default();
            part.profiles.extend(changed.profiles);
            part.profiles.retain(|name, _| !request.removed_profiles.contains(name));
            if !changed.default_profile.is_empty() {
                part.default_profile = changed.default_profile;
            }
        }
        let issuer = Some(self.issuer(&request.issuer_name));
        self.part().updated.push(request);
        Ok(Response::new(UpdateIssuerResponse { issuer, warnings: Vec::new() }))
    }

    async fn get_issuer(&self, request: Request<GetIssuerRequest>) -> Result<Response<GetIssuerResponse>, Status> {
        let issuer = Some(self.issuer(&request.into_inner().issuer_name));
        Ok(Response::new(GetIssuerResponse {
            issuer,
            health: Some(IssuerHealth { open_operations: 2, ..Default::default() }),
        }))
    }

    async fn list_issuers(&self, _: Request<ListIssuersRequest>) -> Result<Response<ListIssuersResponse>, Status> {
        let item = |name: &str| IssuerItem {
            issuer_name: name.into(),
            provider: "LocalCA".into(),
            enabled: true,
            ..Default::default()
        };
        let failed = prost_types::Timestamp { seconds: 1_800_000_000, nanos: 0 };
        let health = IssuerHealth {
            last_failure: Some(failed),
            last_error: "down".into(),
            open_operations: 3,
            ..Default::default()
        };
        let failing = IssuerItem { health: Some(health), ..item("le") };
        let issuers = vec![item("ca"), failing, IssuerItem { paused: true, ..item("p") }];
        Ok(Response::new(ListIssuersResponse { issuers, next_page_token: String::new() }))
    }

    async fn delete_issuer(
        &self,
        request: Request<DeleteIssuerRequest>,
    ) -> Result<Response<DeleteIssuerResponse>, Status> {
        let request = request.into_inner();
        if request.only_if_idle && request.issuer_name == "busy" {
            return Err(Status::failed_precondition("2 operations are in progress at the issuer busy."));
        }
        let issuer = Some(self.issuer(&request.issuer_name));
        Ok(Response::new(DeleteIssuerResponse { issuer, open_operations: 2 }))
    }

    async fn check_issuer(
        &self,
        request: Request<CheckIssuerRequest>,
    ) -> Result<Response<CheckIssuerResponse>, Status> {
        let verdict = match request.into_inner().issuer_name.as_str() {
            "good" => IssuerVerdict::Good,
            "bad" => IssuerVerdict::Bad,
            _ => IssuerVerdict::Unknown,
        };
        let (message, warnings) = ("What was found.".to_owned(), vec!["no port".to_owned()]);
        Ok(Response::new(CheckIssuerResponse { verdict: verdict.into(), message, warnings }))
    }

    async fn pause_issuer(
        &self,
        request: Request<PauseIssuerRequest>,
    ) -> Result<Response<PauseIssuerResponse>, Status> {
        let PauseIssuerRequest { vault_name: _, issuer_name, reason } = request.into_inner();
        let pause = Some(IssuerPause { since: None, reason });
        let issuer = Some(Issuer { pause, ..self.issuer(&issuer_name) });
        Ok(Response::new(PauseIssuerResponse { issuer }))
    }

    async fn resume_issuer(
        &self,
        request: Request<ResumeIssuerRequest>,
    ) -> Result<Response<ResumeIssuerResponse>, Status> {
        let issuer = Some(self.issuer(&request.into_inner().issuer_name));
        Ok(Response::new(ResumeIssuerResponse { issuer }))
    }

    async fn rotate_issuer_key(
        &self,
        request: Request<RotateIssuerKeyRequest>,
    ) -> Result<Response<RotateIssuerKeyResponse>, Status> {
        let issuer = Some(self.issuer(&request.into_inner().issuer_name));
        Ok(Response::new(RotateIssuerKeyResponse { issuer }))
    }

    async fn deactivate_issuer(
        &self,
        request: Request<DeactivateIssuerRequest>,
    ) -> Result<Response<DeactivateIssuerResponse>, Status> {
        let issuer = Some(self.issuer(&request.into_inner().issuer_name));
        Ok(Response::new(DeactivateIssuerResponse { issuer }))
    }

    async fn list_providers(
        &self,
        _: Request<ListProvidersRequest>,
    ) -> Result<Response<ListProvidersResponse>, Status> {
        let option = IssuerOption {
            name: "zone".into(),
            kind: IssuerOptionKind::Text.into(),
            required: true,
            description: "Where.".into(),
            ..Default::default()
        };
        let only = IssuerProvider {
            name: "OnlyThere".into(),
            summary: "Of this server alone.".into(),
            options: vec![option],
            ..Default::default()
        };
        Ok(Response::new(ListProvidersResponse { providers: vec![only] }))
    }

    async fn set_contacts(&self, _: Request<SetContactsRequest>) -> Result<Response<SetContactsResponse>, Status> {
        Err(not_asked())
    }

    async fn get_contacts(&self, _: Request<GetContactsRequest>) -> Result<Response<GetContactsResponse>, Status> {
        Err(not_asked())
    }

    async fn delete_contacts(
        &self,
        _: Request<DeleteContactsRequest>,
    ) -> Result<Response<DeleteContactsResponse>, Status> {
        Err(not_asked())
    }
}

#[tonic::async_trait]
impl VaultService for Service {
    async fn create_vault(&self, _: Request<CreateVaultRequest>) -> Result<Response<CreateVaultResponse>, Status> {
        Err(not_asked())
    }

    async fn get_vault(&self, _: Request<GetVaultRequest>) -> Result<Response<GetVaultResponse>, Status> {
        Err(not_asked())
    }

    async fn list_vaults(&self, _: Request<ListVaultsRequest>) -> Result<Response<ListVaultsResponse>, Status> {
        Err(not_asked())
    }
}
