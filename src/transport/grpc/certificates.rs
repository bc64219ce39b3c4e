//! `certmint.v1.CertificateService`, except its stream.

use super::call::{Call, chosen_id, optional_version};
use super::{import, policy, reply, watch};
use crate::domain::{Error, Result, Tags};
use crate::proto::v1;
use crate::service::{CreateRequest, ListPending, MAX_PAGE, MergeRequest, Service};
use std::collections::HashMap;
use tonic::Request;

/// Handles the calls of one service.
pub(super) struct Certificates(pub(super) Service);

/// The surroundings and the message of a call.
pub(super) fn open<T>(request: Request<T>) -> Result<(Call, T)> {
    let (_, mut extensions, message) = request.into_parts();
    Ok((extensions.remove::<Call>().ok_or_else(without_call)?, message))
}

/// `dispatch` puts the surroundings into every request; without them the server is put together wrongly.
pub(super) fn without_call() -> Error {
    tracing::error!("a call has no context");
    Error::internal()
}

pub(super) fn tags(tags: HashMap<String, String>) -> Option<Tags> {
    (!tags.is_empty()).then(|| tags.into_iter().collect())
}

pub(super) fn enabled(attributes: Option<v1::CertificateAttributes>) -> Option<bool> {
    attributes.and_then(|attributes| attributes.enabled)
}

/// The size of a page: 100 by default.
pub(super) fn page_size(asked: i32) -> Result<usize> {
    match usize::try_from(asked) {
        Ok(0) => Ok(100),
        Ok(size) if size <= MAX_PAGE => Ok(size),
        _ => Err(Error::field("page_size", format!("{asked} is out of range: use 1 to {MAX_PAGE}, or 0 for 100."))),
    }
}

impl Certificates {
    pub(super) async fn create(
        &self,
        request: Request<v1::CreateCertificateRequest>,
    ) -> Result<v1::CreateCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::CreateCertificateRequest {
            vault_name,
            certificate_name,
            policy,
            attributes,
            tags: labels,
            preserve_cert_order,
            request_id,
            csr,
        } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let request = CreateRequest {
            vault,
            name,
            policy: policy.map(policy::input).transpose()?,
            csr: csr.map(Into::into),
            enabled: enabled(attributes),
            tags: tags(labels),
            preserve_cert_order,
            request_id: chosen_id(&request_id)?,
            client_request_id: None,
        };
        let created = self.0.creations().create(call.permit(request).await?).await?;
        Ok(v1::CreateCertificateResponse {
            operation: Some(reply::operation(&created.operation, &call.base(), true)),
            resume_token: created.resume_token,
        })
    }

    pub(super) async fn get(&self, request: Request<v1::GetPendingRequest>) -> Result<v1::GetPendingResponse> {
        let (call, message) = open(request)?;
        let v1::GetPendingRequest { vault_name, certificate_name, request_id } = message;
        let wanted = call.pending(&vault_name, &certificate_name, &request_id).await?;
        let (operation, resume_token) = self.0.pending().pending(call.permit(wanted).await?).await?;
        let operation = Some(reply::operation(&operation, &call.base(), true));
        Ok(v1::GetPendingResponse { operation, resume_token })
    }

    pub(super) async fn list(&self, request: Request<v1::ListPendingRequest>) -> Result<v1::ListPendingResponse> {
        let (call, message) = open(request)?;
        let v1::ListPendingRequest { vault_name, certificate_name_prefix, statuses, page_size: size, page_token } =
            message;
        let wanted = ListPending {
            vault: call.vault_or_all(&vault_name).await?,
            prefix: certificate_name_prefix,
            statuses: watch::statuses(&statuses)?,
            page_size: page_size(size)?,
            page_token,
        };
        let page = self.0.pending().list_pending(call.permit(wanted).await?).await?;
        let base = call.base();
        Ok(v1::ListPendingResponse {
            operations: page.operations.iter().map(|operation| reply::operation(operation, &base, true)).collect(),
            next_page_token: page.next_page_token,
            resume_token: page.resume_token,
        })
    }

    pub(super) async fn cancel(&self, request: Request<v1::CancelPendingRequest>) -> Result<v1::CancelPendingResponse> {
        let (call, message) = open(request)?;
        let v1::CancelPendingRequest { vault_name, certificate_name, request_id } = message;
        let wanted = call.pending(&vault_name, &certificate_name, &request_id).await?;
        let (operation, resume_token) = self.0.pending().cancel(call.permit(wanted).await?).await?;
        let operation = Some(reply::operation(&operation, &call.base(), true));
        Ok(v1::CancelPendingResponse { operation, resume_token })
    }

    pub(super) async fn delete(&self, request: Request<v1::DeletePendingRequest>) -> Result<v1::DeletePendingResponse> {
        let (call, message) = open(request)?;
        let v1::DeletePendingRequest { vault_name, certificate_name, request_id } = message;
        let wanted = call.pending(&vault_name, &certificate_name, &request_id).await?;
        let operation = self.0.pending().delete_pending(call.permit(wanted).await?).await?;
        Ok(v1::DeletePendingResponse { operation: Some(reply::operation(&operation, &call.base(), true)) })
    }

    pub(super) async fn merge(
        &self,
        request: Request<v1::MergeCertificateRequest>,
    ) -> Result<v1::MergeCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::MergeCertificateRequest {
            vault_name,
            certificate_name,
            x509_certificates,
            attributes,
            tags: labels,
            request_id,
        } = message;
        let request = MergeRequest {
            wanted: call.pending(&vault_name, &certificate_name, &request_id).await?,
            x5c: x509_certificates.into_iter().map(Into::into).collect(),
            enabled: enabled(attributes),
            tags: tags(labels),
        };
        let view = self.0.pending().merge(call.permit(request).await?).await?;
        Ok(v1::MergeCertificateResponse { certificate: Some(reply::certificate(view, &call.base())) })
    }

    pub(super) async fn import(
        &self,
        request: Request<v1::ImportCertificateRequest>,
    ) -> Result<v1::ImportCertificateResponse> {
        let (call, message) = open(request)?;
        let view = self.0.certificates().import(call.permit(import::request(&call, message).await?).await?).await?;
        Ok(v1::ImportCertificateResponse { certificate: Some(reply::certificate(view, &call.base())) })
    }

    pub(super) async fn certificate(
        &self,
        request: Request<v1::GetCertificateRequest>,
    ) -> Result<v1::GetCertificateResponse> {
        let (call, message) = open(request)?;
        let v1::GetCertificateRequest { vault_name, certificate_name, certificate_version } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.certificate(&vault, &certificate_name)?;
        let version = optional_version("certificate_version", &certificate_version)?;
        let wanted = call.permit((vault, name)).await?;
        let view = match version {
            None => self.0.certificates().certificate(wanted).await?,
            Some(version) => self.0.certificates().certificate_version(wanted, version).await?,
        };
        Ok(v1::GetCertificateResponse { certificate: Some(reply::certificate(view, &call.base())) })
    }
}
