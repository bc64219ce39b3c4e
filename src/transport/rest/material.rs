//! The secret and key views of certificates: reading, lists, and the operations of a key.

use super::answer::{Answer, json};
use super::base64;
use super::call::Call;
use super::failure::Failure;
use super::model::material::{KeyAnswer, KeyItem, KeyResultAnswer, SecretAnswer, SecretItem, VerifyAnswer};
use super::model::requests::KeyOperationBody;
use crate::domain::policy::ContentType;
use crate::domain::{CertificateName, EncryptionAlgorithm, Error, KeyOperation, Reason, SignatureAlgorithm, Version};
use crate::service::{KeyResult, VersionPage, VersionRef};
use ::base64::Engine;
use ::base64::engine::general_purpose::URL_SAFE_NO_PAD;
use axum::body::Body;
use http::StatusCode;
use serde::Serialize;
use zeroize::Zeroizing;

pub(super) async fn secret(call: &Call<'_>, name: &str, version: &str) -> Result<Answer, Failure> {
    let wanted = wanted(call, name, version)?;
    let form = call.address.query("outContentType").map(form).transpose()?;
    let view = call.service.materials().secret(&call.permit(wanted).await?, form).await?;
    call.note(|about| about.secret(&view));
    Ok(Answer::secret(StatusCode::OK, &SecretAnswer::new(&view, &call.links)))
}

pub(super) async fn secrets(call: &Call<'_>) -> Result<Answer, Failure> {
    let (size, token) = call.page()?;
    let page = call.service.materials().secrets(call.permit(call.vault()).await?, size, token).await?;
    Ok(list(call, "secrets", &[], &page, |item| SecretItem::new(item, page.recovery, false, &call.links)))
}

pub(super) async fn secret_versions(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let ((size, token), name) = (call.page()?, CertificateName::parse(name)?);
    let page =
        call.service.materials().secret_versions(call.permit((call.vault(), name.clone())).await?, size, token).await?;
    let path = [name.as_str(), "versions"];
    Ok(list(call, "secrets", &path, &page, |item| SecretItem::new(item, page.recovery, true, &call.links)))
}

pub(super) async fn key(call: &Call<'_>, name: &str, version: &str) -> Result<Answer, Failure> {
    let view = call.service.materials().key(&call.permit(wanted(call, name, version)?).await?).await?;
    Ok(Answer::json(StatusCode::OK, json(&KeyAnswer::new(&view, &call.links))))
}

pub(super) async fn keys(call: &Call<'_>) -> Result<Answer, Failure> {
    let (size, token) = call.page()?;
    let page = call.service.materials().keys(call.permit(call.vault()).await?, size, token).await?;
    Ok(list(call, "keys", &[], &page, |item| KeyItem::new(item, page.recovery, false, &call.links)))
}

pub(super) async fn key_versions(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let ((size, token), name) = (call.page()?, CertificateName::parse(name)?);
    let page =
        call.service.materials().key_versions(call.permit((call.vault(), name.clone())).await?, size, token).await?;
    let path = [name.as_str(), "versions"];
    Ok(list(call, "keys", &path, &page, |item| KeyItem::new(item, page.recovery, true, &call.links)))
}

pub(super) async fn use_key(
    call: &Call<'_>,
    operation: KeyOperation,
    name: &str,
    version: &str,
    body: &mut Body,
) -> Result<Answer, Failure> {
    let wanted = wanted(call, name, version)?;
    let KeyOperationBody { alg, value, digest } = call.body(body).await?;
    let alg = alg.ok_or_else(|| required("alg"))?;
    let value = bytes("value", value)?;
    let wanted = call.permit(wanted).await?;
    let result = match operation {
        KeyOperation::Sign => {
            call.service.materials().sign(&wanted, signature_algorithm(&alg)?, value.to_vec()).await?
        }
        KeyOperation::Verify => {
            let digest = bytes("digest", digest)?.to_vec();
            let valid =
                call.service.materials().verify(&wanted, signature_algorithm(&alg)?, digest, value.to_vec()).await?;
            return Ok(Answer::json(StatusCode::OK, json(&VerifyAnswer { value: valid })));
        }
        KeyOperation::Encrypt | KeyOperation::WrapKey => {
            call.service.materials().encrypt(&wanted, operation, encryption_algorithm(&alg)?, value).await?
        }
        KeyOperation::Decrypt | KeyOperation::UnwrapKey => {
            call.service.materials().decrypt(&wanted, operation, encryption_algorithm(&alg)?, value.to_vec()).await?
        }
    };
    let KeyResult { version, bytes } = result;
    call.note(|about| about.version = Some(version));
    // What was decrypted may be a key.
    let value = Zeroizing::new(URL_SAFE_NO_PAD.encode(&*bytes));
    let kid = call.links.id("keys", &[wanted.name.as_str(), &version.to_string()]);
    Ok(Answer::secret(StatusCode::OK, &KeyResultAnswer { kid, value: &value }))
}

/// Key Vault's writes on secrets. They belong to a certificate, or there are none.
pub(super) async fn refuse_secret(call: &Call<'_>, name: &str, operation: &str) -> Result<Answer, Failure> {
    owner(call, name, "Secrets").await?;
    Err(Failure::managed(format!(
        "Operation \"{operation}\" is not allowed on this secret, since it is associated with a certificate. Perform the operation on the corresponding certificate. For more information refer to https://docs.microsoft.com/en-us/azure/key-vault/certificates/about-certificates#composition-of-a-certificate"
    )))
}

/// Key Vault's writes on keys, alike.
pub(super) async fn refuse_key(call: &Call<'_>, name: &str, operation: &str) -> Result<Answer, Failure> {
    owner(call, name, "Keys").await?;
    Err(Failure::managed(format!(
        "Operation \"{operation}\" is not allowed on this Key, since it is associated with a certificate."
    )))
}

/// Fails where no certificate has this name.
async fn owner(call: &Call<'_>, name: &str, what: &str) -> Result<(), Failure> {
    let name = CertificateName::parse(name)?;
    match call.service.certificates().certificate(call.permit((call.vault(), name.clone())).await?).await {
        Ok(_) => Ok(()),
        Err(error) if error.reason == Reason::CertificateNotFound => Err(Error::new(
            Reason::NotSupported,
            format!(
                "{what} without a certificate are not supported: create or import a certificate named {name} instead."
            ),
        )
        .into()),
        Err(error) => Err(error.into()),
    }
}

fn wanted(call: &Call<'_>, name: &str, version: &str) -> Result<VersionRef, Error> {
    let name = CertificateName::parse(name)?;
    let version = if version.is_empty() { None } else { Some(Version::parse(version)?) };
    call.note(|about| about.version = version);
    Ok(VersionRef { vault: call.vault(), name, version })
}

fn list<'a, T: Serialize>(
    call: &Call<'_>,
    collection: &str,
    path: &[&str],
    page: &'a VersionPage,
    item: impl Fn(&'a crate::domain::Certificate) -> T,
) -> Answer {
    let value = page.certificates.iter().map(item).collect();
    call.list(value, &call.links.url(collection, path), &page.next_page_token, "")
}

fn form(text: &str) -> Result<ContentType, Error> {
    ContentType::parse(text)
        .ok_or_else(|| Error::field("outContentType", "It can be application/x-pem-file or application/x-pkcs12."))
}

pub(super) fn signature_algorithm(text: &str) -> Result<SignatureAlgorithm, Error> {
    SignatureAlgorithm::parse(text).ok_or_else(|| unknown(&SignatureAlgorithm::ALL.map(SignatureAlgorithm::name)))
}

pub(super) fn encryption_algorithm(text: &str) -> Result<EncryptionAlgorithm, Error> {
    EncryptionAlgorithm::parse(text).ok_or_else(|| unknown(&EncryptionAlgorithm::ALL.map(EncryptionAlgorithm::name)))
}

fn unknown(known: &[&str]) -> Error {
    Error::field("alg", format!("It is not an algorithm of this operation: use {}.", known.join(", ")))
}

fn required(member: &str) -> Error {
    Error::field(member, "It is required.")
}

/// A member in base64url; padding and the standard alphabet are accepted.
pub(super) fn bytes(member: &str, text: Option<String>) -> Result<Zeroizing<Vec<u8>>, Error> {
    let text = Zeroizing::new(text.ok_or_else(|| required(member))?);
    let bytes = base64::decode(text.as_bytes()).map(Zeroizing::new);
    bytes.ok_or_else(|| Error::field(member, "It is not base64url (RFC 4648 section 5)."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_with_and_without_padding() {
        for text in ["-_8", "-_8=", "+/8", "+/8="] {
            assert_eq!(bytes("value", Some(text.into())).unwrap().as_slice(), [0xfb, 0xff], "{text}");
        }
        for bad in ["!", "a b", "-/"] {
            assert!(bytes("value", Some(bad.into())).is_err(), "{bad}");
        }
        assert!(bytes("value", None).unwrap_err().message.contains("Property value"));
    }
}
