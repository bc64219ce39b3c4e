//! `certmint.v1.InstallationService`: what hosts have installed.

use super::authorities::at;
use super::call::of_field;
use super::certificates::{open, page_size};
use super::policy::time;
use crate::domain::installation::{Installation, InstallationState};
use crate::domain::{Error, HostName, Result, Version};
use crate::proto::v1;
use crate::service::{InstallationView, Installations, ReportInstallation, Service};
use tonic::Request;

/// Handles the calls of one service.
pub(super) struct InstallationCalls(pub(super) Service);

fn installation(view: InstallationView) -> v1::Installation {
    let InstallationView { installation, newest } = view;
    let Installation { vault, certificate, host, version, state, message, since, reported, principal } = installation;
    let state = match state {
        InstallationState::Installed => v1::InstallationState::Installed,
        InstallationState::ReloadFailed => v1::InstallationState::ReloadFailed,
        InstallationState::Refused => v1::InstallationState::Refused,
    };
    v1::Installation {
        vault_name: vault.to_string(),
        certificate_name: certificate.to_string(),
        host: host.to_string(),
        certificate_version: version.to_string(),
        newest,
        state: state.into(),
        message,
        since_time: Some(time(since)),
        report_time: Some(time(reported)),
        principal,
    }
}

fn state(number: i32) -> Result<InstallationState> {
    match v1::InstallationState::try_from(number) {
        Ok(v1::InstallationState::Installed) => Ok(InstallationState::Installed),
        Ok(v1::InstallationState::ReloadFailed) => Ok(InstallationState::ReloadFailed),
        Ok(v1::InstallationState::Refused) => Ok(InstallationState::Refused),
        Ok(v1::InstallationState::Unspecified) | Err(_) => {
            Err(Error::field("state", "It is INSTALLED, RELOAD_FAILED or REFUSED."))
        }
    }
}

impl InstallationCalls {
    pub(super) async fn report(
        &self,
        request: Request<v1::ReportInstallationRequest>,
    ) -> Result<v1::ReportInstallationResponse> {
        let (call, message) = open(request)?;
        let v1::ReportInstallationRequest {
            vault_name,
            certificate_name,
            host,
            certificate_version,
            state: how,
            message,
            since_time,
        } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let wanted = ReportInstallation {
            vault,
            name,
            host: HostName::parse(&host)?,
            version: of_field("certificate_version", Version::parse(&certificate_version))?,
            state: state(how)?,
            message,
            since: since_time.map(at),
        };
        let view = Installations::of(&self.0).report(call.permit(wanted).await?).await?;
        Ok(v1::ReportInstallationResponse { installation: Some(installation(view)) })
    }

    pub(super) async fn list(
        &self,
        request: Request<v1::ListInstallationsRequest>,
    ) -> Result<v1::ListInstallationsResponse> {
        let (call, message) = open(request)?;
        let v1::ListInstallationsRequest { vault_name, certificate_name, page_size: size, page_token } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let size = page_size(size)?;
        let page = Installations::of(&self.0).list(call.permit((vault, name)).await?, size, &page_token).await?;
        Ok(v1::ListInstallationsResponse {
            installations: page.installations.into_iter().map(installation).collect(),
            next_page_token: page.next_page_token,
        })
    }
}
