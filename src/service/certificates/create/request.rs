//! What a caller asks for, and what makes two requests the same one.

use crate::domain::{CertificateName, Error, PolicyInput, RequestId, Result, Tags, VaultName};
use crate::keys::digest;
use crate::service::access::Target;
use crate::service::records;

/// What a caller asks for.
#[derive(Clone, Debug)]
pub struct CreateRequest {
    pub vault: VaultName,
    pub name: CertificateName,
    /// `None` keeps the policy that the certificate has.
    pub policy: Option<PolicyInput>,
    /// The caller's own signing request (PKCS#10) as a file has it: DER, PEM, or the base64 of either. `None`: a key and
    /// a request are made here.
    pub csr: Option<Vec<u8>>,
    pub enabled: Option<bool>,
    pub tags: Option<Tags>,
    pub preserve_cert_order: Option<bool>,
    /// Chosen by the caller to make the call safe to repeat.
    pub request_id: Option<RequestId>,
    /// What a REST client calls its request; a repeat with the same value and the same content is
    /// recognised for a while.
    pub client_request_id: Option<String>,
}

impl Target for CreateRequest {
    fn vault(&self) -> Option<&VaultName> {
        Some(&self.vault)
    }

    fn name(&self) -> Option<&str> {
        Some(self.name.as_str())
    }
}

/// What makes two requests the same one: the caller's signing request in DER, whatever form it came in; and the batch of
/// a renewal, which a creation has not.
pub(super) fn fingerprint(request: &CreateRequest, csr: Option<&[u8]>, renewal: Option<&str>) -> Result<String> {
    let CreateRequest {
        vault,
        name,
        policy,
        csr: _,
        enabled,
        tags,
        preserve_cert_order,
        request_id: _,
        client_request_id: _,
    } = request;
    let parts =
        serde_json::to_vec(&(vault, name.key(), policy, enabled, tags, preserve_cert_order)).map_err(|error| {
            tracing::error!(%error, "a request could not be written as JSON");
            Error::internal()
        })?;
    // Without a signing request there is no second part, not an empty one: as in releases that knew of none, whose
    // callers repeat their requests across an upgrade.
    let renewal = renewal.into_iter().flat_map(|batch| [b"renewal".as_slice(), batch.as_bytes()]);
    let parts: Vec<&[u8]> = std::iter::once(parts.as_slice()).chain(csr).chain(renewal).collect();
    Ok(records::hex(&digest::sha256(&parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_without_a_csr_has_the_fingerprint_of_earlier_releases() {
        let request = CreateRequest {
            vault: VaultName::default_vault(),
            name: CertificateName::parse("Web").unwrap(),
            policy: None,
            csr: None,
            enabled: None,
            tags: None,
            preserve_cert_order: None,
            request_id: None,
            client_request_id: None,
        };
        let written = format!(r#"["{}","web",null,null,null,null]"#, request.vault);
        let before = records::hex(&digest::sha256(&[written.as_bytes()]));
        assert_eq!(fingerprint(&request, None, None).unwrap(), before);
        assert_ne!(fingerprint(&request, Some(b"csr"), None).unwrap(), before);
    }
}
