//! `certmint.v1.SecretService`.

use super::call::{Call, filled, optional_version};
use super::certificates::{open, page_size};
use super::reply;
use crate::domain::policy::ContentType;
use crate::domain::{Certificate, Error, Recovery, Result};
use crate::proto::v1;
use crate::proto::v1::secret::Content;
use crate::service::{Permit, SecretView, Service, VersionRef};
use base64::{Engine, engine::general_purpose::STANDARD};
use tonic::Request;

/// Handles the calls of one service.
pub(super) struct Secrets(pub(super) Service);

impl Secrets {
    pub(super) async fn get(&self, request: Request<v1::GetSecretRequest>) -> Result<v1::GetSecretResponse> {
        let (call, message) = open(request)?;
        let v1::GetSecretRequest { vault_name, secret_name, secret_version, out_content_type } = message;
        let wanted = wanted(&call, &SECRET, &vault_name, &secret_name, &secret_version).await?;
        let form = filled(out_content_type).map(|text| form(&text)).transpose()?;
        let view = self.0.materials().secret(&wanted, form).await?;
        call.note(|about| about.secret(&view));
        Ok(v1::GetSecretResponse { secret: Some(secret(view, &call.base())?) })
    }

    pub(super) async fn list(&self, request: Request<v1::ListSecretsRequest>) -> Result<v1::ListSecretsResponse> {
        let (call, message) = open(request)?;
        let v1::ListSecretsRequest { vault_name, page_size: size, page_token } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let page = self.0.materials().secrets(call.permit(vault).await?, page_size(size)?, &page_token).await?;
        let base = call.base();
        Ok(v1::ListSecretsResponse {
            secrets: page
                .certificates
                .into_iter()
                .map(|certificate| item(certificate, page.recovery, &base, false))
                .collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn versions(
        &self,
        request: Request<v1::ListSecretVersionsRequest>,
    ) -> Result<v1::ListSecretVersionsResponse> {
        let (call, message) = open(request)?;
        let v1::ListSecretVersionsRequest { vault_name, secret_name, page_size: size, page_token } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.named("secret_name", &vault, &secret_name)?;
        let page = self
            .0
            .materials()
            .secret_versions(call.permit((vault, name)).await?, page_size(size)?, &page_token)
            .await?;
        let base = call.base();
        Ok(v1::ListSecretVersionsResponse {
            secrets: page
                .certificates
                .into_iter()
                .map(|certificate| item(certificate, page.recovery, &base, true))
                .collect(),
            next_page_token: page.next_page_token,
        })
    }
}

/// The fields of a message that name a version.
pub(super) struct Fields {
    pub(super) name: &'static str,
    pub(super) version: &'static str,
}

const SECRET: Fields = Fields { name: "secret_name", version: "secret_version" };

/// A version that a call names; an empty one is the newest.
pub(super) async fn wanted(
    call: &Call,
    fields: &Fields,
    vault: &str,
    name: &str,
    version: &str,
) -> Result<Permit<VersionRef>> {
    let vault = call.vault(vault).await?;
    let name = call.named(fields.name, &vault, name)?;
    let version = optional_version(fields.version, version)?;
    call.note(|about| about.version = version);
    call.permit(VersionRef { vault, name, version }).await
}

fn form(text: &str) -> Result<ContentType> {
    ContentType::parse(text).ok_or_else(|| {
        Error::field("out_content_type", "Use application/x-pem-file, or leave it out for the form of the policy.")
    })
}

fn secret(view: SecretView, base: &str) -> Result<v1::Secret> {
    let SecretView { certificate, form, value, recovery } = view;
    let content = match form {
        ContentType::Pem => Content::Pem(value.to_string()),
        ContentType::Pkcs12 => Content::Pkcs12(
            STANDARD
                .decode(value.as_bytes())
                .map_err(|error| {
                    tracing::error!(%error, "a PKCS#12 secret is not base64");
                    Error::internal()
                })?
                .into(),
        ),
    };
    let Certificate { vault, name, version, .. } = &certificate;
    Ok(v1::Secret {
        id: format!("{base}/secrets/{name}/{version}"),
        vault_name: vault.to_string(),
        secret_name: name.to_string(),
        secret_version: version.to_string(),
        content: Some(content),
        content_type: form.media_type().to_owned(),
        attributes: Some(reply::version_attributes(&certificate, recovery)),
        key_id: format!("{base}/keys/{name}/{version}"),
        tags: certificate.tags.unwrap_or_default().into_iter().collect(),
    })
}

fn item(certificate: Certificate, recovery: Recovery, base: &str, with_version: bool) -> v1::SecretItem {
    let (name, version) = (certificate.name.to_string(), certificate.version.to_string());
    let id = format!("{base}/secrets/{name}");
    v1::SecretItem {
        id: if with_version { format!("{id}/{version}") } else { id },
        secret_name: name,
        secret_version: version,
        content_type: certificate.content_type.media_type().to_owned(),
        attributes: Some(reply::version_attributes(&certificate, recovery)),
        tags: certificate.tags.unwrap_or_default().into_iter().collect(),
    }
}
