//! What the fake server says of renewals.
#![expect(clippy::disallowed_types, reason = "a server answers with tonic::Status")]

use crate::fake::{REQUEST_ID, operation};
use crate::service::Service;
use certmint::proto::v1::renewal_service_server::RenewalService;
use certmint::proto::v1::*;
use tonic::{Request, Response, Status};

fn renewal(name: &str, issuer: &str, state: RenewalState) -> Renewal {
    Renewal {
        certificate_name: name.into(),
        issuer_name: issuer.into(),
        state: state.into(),
        reason: "80 % of its life.".into(),
        ..Default::default()
    }
}

#[tonic::async_trait]
impl RenewalService for Service {
    async fn renew_certificate(
        &self,
        request: Request<RenewCertificateRequest>,
    ) -> Result<Response<RenewCertificateResponse>, Status> {
        let request = request.into_inner();
        let name = request.certificate_name.clone();
        let mut answered = operation(&name, PendingStatus::InProgress, 1);
        answered.trigger = RenewalTrigger::Manual.into();
        answered.batch.clone_from(&request.batch);
        self.part.lock().unwrap().renewed.push(request);
        if name == "busy" {
            return Err(Status::aborted("an operation is in progress"));
        }
        Ok(Response::new(RenewCertificateResponse { operation: Some(answered), resume_token: "token".into() }))
    }

    async fn list_renewals(
        &self,
        request: Request<ListRenewalsRequest>,
    ) -> Result<Response<ListRenewalsResponse>, Status> {
        let ListRenewalsRequest { issuer, include_unplanned, .. } = request.into_inner();
        let mut renewals = vec![renewal("web", "ca", RenewalState::Planned)];
        if include_unplanned {
            renewals.push(renewal("busy", &issuer, RenewalState::Unplanned));
        }
        Ok(Response::new(ListRenewalsResponse { renewals, next_page_token: String::new() }))
    }

    async fn pause_renewal(
        &self,
        request: Request<PauseRenewalRequest>,
    ) -> Result<Response<PauseRenewalResponse>, Status> {
        let PauseRenewalRequest { certificate_name, reason, .. } = request.into_inner();
        let paused = Renewal { reason, ..renewal(&certificate_name, "ca", RenewalState::Paused) };
        Ok(Response::new(PauseRenewalResponse { renewal: Some(paused) }))
    }

    async fn resume_renewal(
        &self,
        request: Request<ResumeRenewalRequest>,
    ) -> Result<Response<ResumeRenewalResponse>, Status> {
        let name = request.into_inner().certificate_name;
        let resumed = Renewal { request_id: REQUEST_ID.into(), ..renewal(&name, "ca", RenewalState::Planned) };
        Ok(Response::new(ResumeRenewalResponse { renewal: Some(resumed) }))
    }

    async fn set_renewal_window(
        &self,
        request: Request<SetRenewalWindowRequest>,
    ) -> Result<Response<SetRenewalWindowResponse>, Status> {
        let SetRenewalWindowRequest { certificate_name: name, window: maintenance_window, .. } = request.into_inner();
        let renewal = Renewal { maintenance_window, ..renewal(&name, "ca", RenewalState::Planned) };
        Ok(Response::new(SetRenewalWindowResponse { renewal: Some(renewal) }))
    }

    async fn get_vault_renewals(
        &self,
        request: Request<GetVaultRenewalsRequest>,
    ) -> Result<Response<GetVaultRenewalsResponse>, Status> {
        let renewals = VaultRenewals { vault_name: request.into_inner().vault_name, ..Default::default() };
        Ok(Response::new(GetVaultRenewalsResponse { renewals: Some(renewals) }))
    }

    async fn set_vault_renewal_window(
        &self,
        request: Request<SetVaultRenewalWindowRequest>,
    ) -> Result<Response<SetVaultRenewalWindowResponse>, Status> {
        let SetVaultRenewalWindowRequest { vault_name, window: maintenance_window } = request.into_inner();
        let renewals = VaultRenewals { vault_name, maintenance_window, ..Default::default() };
        Ok(Response::new(SetVaultRenewalWindowResponse { renewals: Some(renewals) }))
    }

    async fn pause_vault_renewals(
        &self,
        request: Request<PauseVaultRenewalsRequest>,
    ) -> Result<Response<PauseVaultRenewalsResponse>, Status> {
        let PauseVaultRenewalsRequest { vault_name, reason: pause_reason } = request.into_inner();
        let pause_time = Some(prost_types::Timestamp { seconds: 1_796_000_000, nanos: 0 });
        let renewals = VaultRenewals { vault_name, pause_time, pause_reason, ..Default::default() };
        Ok(Response::new(PauseVaultRenewalsResponse { renewals: Some(renewals) }))
    }

    async fn resume_vault_renewals(
        &self,
        request: Request<ResumeVaultRenewalsRequest>,
    ) -> Result<Response<ResumeVaultRenewalsResponse>, Status> {
        let renewals = VaultRenewals { vault_name: request.into_inner().vault_name, ..Default::default() };
        Ok(Response::new(ResumeVaultRenewalsResponse { renewals: Some(renewals) }))
    }
}
