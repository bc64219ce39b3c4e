//! `certmint.v1.RenewalService`: what is renewed when, and renewing on request.

use super::authorities::at;
use super::call::chosen_id;
use super::certificates::{open, page_size};
use super::policy::time;
use super::reply;
use crate::domain::renewal::{Because, Held, NotRenewed, VaultRenewals};
use crate::domain::{RenewalTrigger, Result};
use crate::proto::v1;
use crate::service::{ListRenewals, RenewRequest, RenewalState, RenewalView, Service, WholeVault};
use tonic::Request;

/// Handles the calls of one service.
pub(super) struct RenewalCalls(pub(super) Service);

fn renewal(view: RenewalView) -> v1::Renewal {
    let RenewalView { vault, name, version, issuer, expires, state, plan, maintenance, renewal } = view;
    let because = plan.as_ref().map(|plan| plan.because);
    let reason = match (&state, because) {
        (RenewalState::Paused(pause), _) if pause.reason.is_empty() => "Its renewals are paused.".to_owned(),
        (RenewalState::Paused(pause), _) => format!("Its renewals are paused: {}", pause.reason),
        (RenewalState::Unplanned(why), _) => not_renewed(why).to_owned(),
        (_, Some(Because::Window)) => "The CA gave a window.".to_owned(),
        (_, Some(Because::Percentage(percentage))) => format!("{percentage} % of its life."),
        (_, Some(Because::Days(days))) if plan.as_ref().is_some_and(|plan| plan.is_half_of_the_life(days)) => {
            format!("Half of its life: {days} days before its end would be sooner.")
        }
        (_, Some(Because::Days(days))) => format!("{days} days before its end."),
        (_, None) => String::new(),
    };
    let trigger = because.map(|because| match because {
        Because::Window => RenewalTrigger::Ari,
        Because::Percentage(_) | Because::Days(_) => RenewalTrigger::Lifetime,
    });
    let state = match state {
        RenewalState::Planned => v1::RenewalState::Planned,
        RenewalState::Due => v1::RenewalState::Due,
        RenewalState::InProgress(_) => v1::RenewalState::InProgress,
        RenewalState::Paused(_) => v1::RenewalState::Paused,
        RenewalState::Unplanned(_) => v1::RenewalState::Unplanned,
    };
    let window = renewal.window.as_ref();
    v1::Renewal {
        vault_name: vault.to_string(),
        certificate_name: name.to_string(),
        certificate_version: version.to_string(),
        issuer_name: issuer,
        expire_time: Some(time(expires)),
        state: state.into(),
        trigger: trigger.map_or(0, |trigger| reply::trigger(trigger).into()),
        reason,
        plan_time: plan.as_ref().map(|plan| time(plan.planned)),
        next_try_time: plan.as_ref().map(|plan| time(plan.renew_at)),
        window_start_time: window.map(|window| time(window.start)),
        window_end_time: window.map(|window| time(window.end)),
        window_explanation: window.and_then(|window| window.explanation.clone()).unwrap_or_default(),
        attempts: i32::try_from(renewal.tries.count).unwrap_or(i32::MAX),
        request_id: renewal.tries.request_id.map(|id| id.to_string()).unwrap_or_default(),
        note: renewal.tries.note,
        maintenance_window: maintenance.unwrap_or_default(),
    }
}

fn of_vault(renewals: VaultRenewals) -> v1::VaultRenewals {
    let VaultRenewals { vault, maintenance, paused } = renewals;
    v1::VaultRenewals {
        vault_name: vault.to_string(),
        maintenance_window: maintenance.unwrap_or_default(),
        pause_time: paused.as_ref().map(|pause| time(pause.since)),
        pause_reason: paused.map(|pause| pause.reason).unwrap_or_default(),
    }
}

fn not_renewed(why: &NotRenewed) -> &'static str {
    match why {
        NotRenewed::Gone => "It is deleted.",
        NotRenewed::NoVersion => "No version was completed.",
        NotRenewed::Disabled => "Its newest version is disabled.",
        NotRenewed::NoAutoRenew => "Its policy has no AutoRenew.",
        NotRenewed::NoIssuer => "Its issuer is Unknown: a person brings its certificates.",
        NotRenewed::Held(Held::CallersKey) => "Its key is the caller's own, who makes the next request.",
        NotRenewed::Paused(_) => "Its renewals are paused.",
    }
}

impl RenewalCalls {
    pub(super) async fn renew(
        &self,
        request: Request<v1::RenewCertificateRequest>,
    ) -> Result<v1::RenewCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::RenewCertificateRequest { vault_name, certificate_name, request_id, batch } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let wanted = RenewRequest { vault, name, request_id: chosen_id(&request_id)?, client_request_id: None, batch };
        let created = self.0.renewals().renew(call.permit(wanted).await?).await?;
        Ok(v1::RenewCertificateResponse {
            operation: Some(reply::operation(&created.operation, &call.base(), true)),
            resume_token: created.resume_token,
        })
    }

    pub(super) async fn list(&self, request: Request<v1::ListRenewalsRequest>) -> Result<v1::ListRenewalsResponse> {
        let (call, message) = open(request)?;
        let v1::ListRenewalsRequest { vault_name, issuer, due_before, include_unplanned, page_size: size, page_token } =
            message;
        let wanted = ListRenewals {
            vault: call.vault(&vault_name).await?,
            issuer,
            due_before: due_before.map(at),
            include_unplanned,
            page_size: page_size(size)?,
            page_token,
        };
        let page = self.0.renewals().list(call.permit(wanted).await?).await?;
        Ok(v1::ListRenewalsResponse {
            renewals: page.renewals.into_iter().map(renewal).collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn pause(&self, request: Request<v1::PauseRenewalRequest>) -> Result<v1::PauseRenewalResponse> {
        let (call, message) = open(request)?;
        let v1::PauseRenewalRequest { vault_name, certificate_name, reason } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let view = self.0.renewals().pause(call.permit((vault, name)).await?, &reason).await?;
        Ok(v1::PauseRenewalResponse { renewal: Some(renewal(view)) })
    }

    pub(super) async fn resume(&self, request: Request<v1::ResumeRenewalRequest>) -> Result<v1::ResumeRenewalResponse> {
        let (call, message) = open(request)?;
        let v1::ResumeRenewalRequest { vault_name, certificate_name } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let view = self.0.renewals().resume(call.permit((vault, name)).await?).await?;
        Ok(v1::ResumeRenewalResponse { renewal: Some(renewal(view)) })
    }

    pub(super) async fn set_window(
        &self,
        request: Request<v1::SetRenewalWindowRequest>,
    ) -> Result<v1::SetRenewalWindowResponse> {
        let (call, message) = open(request)?;
        let v1::SetRenewalWindowRequest { vault_name, certificate_name, window } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let view = self.0.renewals().set_window(call.permit((vault, name)).await?, &window).await?;
        Ok(v1::SetRenewalWindowResponse { renewal: Some(renewal(view)) })
    }

    pub(super) async fn vault(
        &self,
        request: Request<v1::GetVaultRenewalsRequest>,
    ) -> Result<v1::GetVaultRenewalsResponse> {
        let (call, v1::GetVaultRenewalsRequest { vault_name }) = open(request)?;
        let wanted = call.permit(call.vault(&vault_name).await?).await?;
        Ok(v1::GetVaultRenewalsResponse { renewals: Some(of_vault(self.0.renewals().of_vault(wanted).await?)) })
    }

    pub(super) async fn set_vault_window(
        &self,
        request: Request<v1::SetVaultRenewalWindowRequest>,
    ) -> Result<v1::SetVaultRenewalWindowResponse> {
        let (call, v1::SetVaultRenewalWindowRequest { vault_name, window }) = open(request)?;
        let wanted = call.permit(WholeVault(call.vault(&vault_name).await?)).await?;
        let renewals = self.0.renewals().set_vault_window(wanted, &window).await?;
        Ok(v1::SetVaultRenewalWindowResponse { renewals: Some(of_vault(renewals)) })
    }

    pub(super) async fn pause_vault(
        &self,
        request: Request<v1::PauseVaultRenewalsRequest>,
    ) -> Result<v1::PauseVaultRenewalsResponse> {
        let (call, v1::PauseVaultRenewalsRequest { vault_name, reason }) = open(request)?;
        let wanted = call.permit(WholeVault(call.vault(&vault_name).await?)).await?;
        let renewals = self.0.renewals().pause_vault(wanted, &reason).await?;
        Ok(v1::PauseVaultRenewalsResponse { renewals: Some(of_vault(renewals)) })
    }

    pub(super) async fn resume_vault(
        &self,
        request: Request<v1::ResumeVaultRenewalsRequest>,
    ) -> Result<v1::ResumeVaultRenewalsResponse> {
        let (call, v1::ResumeVaultRenewalsRequest { vault_name }) = open(request)?;
        let wanted = call.permit(WholeVault(call.vault(&vault_name).await?)).await?;
        let renewals = self.0.renewals().resume_vault(wanted).await?;
        Ok(v1::ResumeVaultRenewalsResponse { renewals: Some(of_vault(renewals)) })
    }
}
