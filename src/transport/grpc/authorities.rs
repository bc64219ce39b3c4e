//! `certmint.v1.CertificateAuthorityService`: the certificate authorities inside the server, and what they signed.

use super::call::{Call, filled, optional_version};
use super::ceremonies::authority;
use super::certificates::{open, page_size};
use super::policy::time;
use crate::domain::issued::{IssuedContent, IssuedFor, IssuedRecord, IssuedState};
use crate::domain::{
    CertificateName, Error, IssuerName, Result, Revocation, RevocationReason, Serial, Timestamp, VaultName,
};
use crate::proto::v1;
use crate::service::{
    IssuedFilter, IssuedRef, IssuedView, ListAuthorities, ListIssued, RevokeRequest, RevokeWhich, Revoked, Service,
};
use tonic::Request;

/// Handles the calls of one service.
pub(super) struct Authorities(pub(super) Service);

impl Call {
    /// The issuer that a message names, if it names one.
    fn optional_issuer(&self, vault: &VaultName, name: &str) -> Result<Option<IssuerName>> {
        filled(name.to_owned()).map(|name| self.issuer(vault, &name)).transpose()
    }
}

fn issued(view: IssuedView) -> v1::IssuedCertificate {
    let IssuedView { issued, crl_expected } = view;
    let IssuedRecord { authority, serial, state, tbs: _, cer, asked, content, created, revocation } = issued;
    let IssuedFor { vault, issuer, certificate, version, request_id, principal, door, profile } = asked;
    let IssuedContent { subject, names, not_before, not_after, key: _ } = content;
    let state = match state {
        IssuedState::Intended => v1::IssuedState::Intended,
        IssuedState::Issued => v1::IssuedState::Issued,
        IssuedState::Abandoned => v1::IssuedState::Abandoned,
    };
    v1::IssuedCertificate {
        vault_name: vault.to_string(),
        issuer_name: issuer.to_string(),
        authority,
        serial: serial.to_string(),
        state: state.into(),
        certificate_name: certificate.map(|name| name.to_string()).unwrap_or_default(),
        certificate_version: version.map(|version| version.to_string()).unwrap_or_default(),
        request_id: request_id.map(|id| id.to_string()).unwrap_or_default(),
        principal,
        door: door.word().to_owned(),
        profile,
        subject,
        names,
        not_before: Some(time(not_before)),
        not_after: Some(time(not_after)),
        create_time: Some(time(created)),
        cer: cer.map(|cer| cer.0.into()).unwrap_or_default(),
        revocation: revocation.map(|revocation| self::revocation(revocation, crl_expected)),
    }
}

fn revocation(revocation: Revocation, crl_expected: Option<Timestamp>) -> v1::Revocation {
    let Revocation { time: at, reason, invalidity_time, by, crl } = revocation;
    v1::Revocation {
        time: Some(time(at)),
        reason: reason.number().into(),
        invalidity_time: invalidity_time.map(time),
        principal: by,
        crl_number: crl.unwrap_or_default(),
        crl_expected: crl_expected.map(time),
    }
}

/// The states that a list may be asked for.
fn filter(state: i32, revoked: bool) -> Result<Option<IssuedFilter>> {
    let state = match v1::IssuedState::try_from(state) {
        Ok(v1::IssuedState::Unspecified) => None,
        Ok(v1::IssuedState::Intended) => Some(IssuedState::Intended),
        Ok(v1::IssuedState::Issued) => Some(IssuedState::Issued),
        Ok(v1::IssuedState::Abandoned) => Some(IssuedState::Abandoned),
        Err(_) => return Err(Error::field("state", format!("{state} is not a state."))),
    };
    match (state, revoked) {
        (Some(_), true) => Err(Error::field("revoked", "Ask for a state, or for what was revoked, not for both.")),
        (None, true) => Ok(Some(IssuedFilter::Revoked)),
        (state, false) => Ok(state.map(IssuedFilter::State)),
    }
}

pub(super) fn at(time: prost_types::Timestamp) -> Timestamp {
    Timestamp(time.seconds.saturating_mul(1000).saturating_add(i64::from(time.nanos / 1_000_000)))
}

impl Authorities {
    pub(super) async fn list(
        &self,
        request: Request<v1::ListAuthoritiesRequest>,
    ) -> Result<v1::ListAuthoritiesResponse> {
        let (call, message) = open(request)?;
        let v1::ListAuthoritiesRequest { vault_name, issuer_name } = message;
        let vault = call.vault(&vault_name).await?;
        let issuer = call.optional_issuer(&vault, &issuer_name)?;
        let wanted = ListAuthorities { vault, issuer };
        let wanted = call.permit(wanted).await?;
        let found = self.0.certificate_authorities().authorities(&wanted).await?;
        Ok(v1::ListAuthoritiesResponse { authorities: found.into_iter().map(authority).collect() })
    }

    pub(super) async fn get(
        &self,
        request: Request<v1::GetIssuedCertificateRequest>,
    ) -> Result<v1::GetIssuedCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::GetIssuedCertificateRequest { vault_name, issuer_name, serial } = message;
        let vault = call.vault(&vault_name).await?;
        let issuer = call.optional_issuer(&vault, &issuer_name)?;
        let wanted = IssuedRef { vault, issuer, serial: Serial::spellings(&serial)? };
        let wanted = call.permit(wanted).await?;
        let found = self.0.certificate_authorities().issued(&wanted).await?;
        Ok(v1::GetIssuedCertificateResponse { certificate: Some(issued(found)) })
    }

    pub(super) async fn list_of(
        &self,
        request: Request<v1::ListIssuedCertificatesRequest>,
    ) -> Result<v1::ListIssuedCertificatesResponse> {
        let (call, message) = open(request)?;
        let v1::ListIssuedCertificatesRequest {
            vault_name,
            issuer_name,
            since,
            until,
            certificate_name,
            state,
            revoked,
            page_size: size,
            page_token,
        } = message;
        let vault = call.vault(&vault_name).await?;
        let issuer = call.optional_issuer(&vault, &issuer_name)?;
        let wanted = ListIssued {
            vault,
            issuer,
            since: since.map(at),
            until: until.map(at),
            name: filled(certificate_name).map(|name| CertificateName::parse(&name)).transpose()?,
            filter: filter(state, revoked)?,
            page_size: page_size(size)?,
            page_token,
        };
        let page = self.0.certificate_authorities().list_issued(call.permit(wanted).await?).await?;
        Ok(v1::ListIssuedCertificatesResponse {
            certificates: page.issued.into_iter().map(issued).collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn revoke(
        &self,
        request: Request<v1::RevokeCertificateRequest>,
    ) -> Result<v1::RevokeCertificateResponse> {
        use v1::revoke_certificate_request::Which;
        let (call, message) = open(request)?;
        let v1::RevokeCertificateRequest { vault_name, which, reason, invalidity_time, disable } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let which = match which {
            Some(Which::Version(v1::CertificateRef { certificate_name, certificate_version })) => {
                let name = call.certificate(&vault, &certificate_name)?;
                RevokeWhich::Version(name, optional_version("certificate_version", &certificate_version)?)
            }
            Some(Which::Serial(v1::IssuedRef { issuer_name, serial })) => {
                RevokeWhich::Serial(call.optional_issuer(&vault, &issuer_name)?, Serial::spellings(&serial)?)
            }
            Some(Which::Certificate(der)) => RevokeWhich::Certificate(der.to_vec()),
            None => return Err(Error::field("which", "Name a version, a serial number or a certificate.")),
        };
        let reason = RevocationReason::of_number(reason)
            .ok_or_else(|| Error::field("reason", format!("{reason} is none: use 0, 1, 3, 4, 5 or 9.")))?;
        let wanted = RevokeRequest { vault, which, reason, invalidity_time: invalidity_time.map(at), disable };
        let wanted = call.permit(wanted).await?;
        let Revoked { certificate, same_key } =
            self.0.certificate_authorities().revoke(wanted, self.0.certificates()).await?;
        Ok(v1::RevokeCertificateResponse {
            certificate: Some(issued(certificate)),
            same_key: same_key.into_iter().map(issued).collect(),
        })
    }
}
