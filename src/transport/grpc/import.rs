//! Translation of `ImportCertificate`.

use super::certificates::{enabled, tags};
use super::{call::Call, policy};
use crate::domain::{Error, Result};
use crate::proto::v1::{self, import_certificate_request::Bundle};
use crate::service::ImportRequest;
use bytes::Bytes;
use zeroize::{Zeroize, Zeroizing};

/// What a message asks for.
pub(super) async fn request(call: &Call, message: v1::ImportCertificateRequest) -> Result<ImportRequest> {
    let v1::ImportCertificateRequest {
        vault_name,
        certificate_name,
        bundle,
        password,
        policy: given,
        attributes,
        tags: labels,
        preserve_cert_order,
    } = message;
    let vault = call.vault(&vault_name).await?;
    let name = call.certificate(&vault, &certificate_name)?;
    let value = match bundle {
        Some(Bundle::Pkcs12(bytes)) => own(bytes),
        Some(Bundle::Pem(text)) => Zeroizing::new(text.into_bytes()),
        None => return Err(Error::field("bundle", "It is required: pkcs12 or pem.")),
    };
    Ok(ImportRequest {
        vault,
        name,
        value,
        password: Zeroizing::new(password),
        policy: given.map(policy::input).transpose()?,
        enabled: enabled(attributes),
        tags: tags(labels),
        preserve_cert_order,
    })
}

/// A copy that is wiped, and the message wiped where nobody else holds a part of its buffer.
fn own(bytes: Bytes) -> Zeroizing<Vec<u8>> {
    let copy = Zeroizing::new(bytes.to_vec());
    if let Ok(mut message) = bytes.try_into_mut() {
        message.as_mut().zeroize();
    }
    copy
}
