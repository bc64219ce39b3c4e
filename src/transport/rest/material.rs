//! The secret and key views of certificates: reading, lists, and the operations of a key.

use super::answer::{Answer, json};
use super::failure::Failure;
use super::gateway::Call;
use super::issuers::page_size;
use super::model::material::{
    KeyAnswer, KeyItem, KeyResultAnswer, MaterialList, SecretAnswer, SecretItem, VerifyAnswer,
};
use super::model::requests::KeyOperationBody;
use crate::domain::policy::ContentType;
use crate::domain::{CertificateName, EncryptionAlgorithm, Error, KeyOperation, Reason, SignatureAlgorithm, Version};
use crate::service::{KeyResult, VersionPage, VersionRef};
use axum::body::Body;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine, alphabet::Alphabet};
use http::StatusCode;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use zeroize::Zeroizing;

pub(super) async fn secret(call: &Call<'_>, name: &str, version: &str) -> Result<Answer, Failure> {
    let wanted = wanted(call, name, version)?;
    let form = call.address.query("outContentType").map(form).transpose()?;
    let view = call.service.secret(&call.caller(), &wanted, form).await?;
    call.note(|about| about.secret(&view));
    Ok(Answer::json(StatusCode::OK, json(&SecretAnswer::new(&view, &call.links))))
}

pub(super) async fn secrets(call: &Call<'_>) -> Result<Answer, Failure> {
    let (size, token) = paging(call)?;
    let page = call.service.secrets(&call.vault(), size, token).await?;
    Ok(list(call, "secrets", &[], &page, size, |item| SecretItem::new(item, page.recovery, false, &call.links)))
}

pub(super) async fn secret_versions(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let ((size, token), name) = (paging(call)?, CertificateName::parse(name)?);
    let page = call.service.secret_versions(&call.vault(), &name, size, token).await?;
    let path = [name.as_str(), "versions"];
    Ok(list(call, "secrets", &path, &page, size, |item| SecretItem::new(item, page.recovery, true, &call.links)))
}

pub(super) async fn key(call: &Call<'_>, name: &str, version: &str) -> Result<Answer, Failure> {
    let view = call.service.key(&wanted(call, name, version)?).await?;
    Ok(Answer::json(StatusCode::OK, json(&KeyAnswer::new(&view, &call.links))))
}

pub(super) async fn keys(call: &Call<'_>) -> Result<Answer, Failure> {
    let (size, token) = paging(call)?;
    let page = call.service.keys(&call.vault(), size, token).await?;
    Ok(list(call, "keys", &[], &page, size, |item| KeyItem::new(item, page.recovery, false, &call.links)))
}

pub(super) async fn key_versions(call: &Call<'_>, name: &str) -> Result<Answer, Failure> {
    let ((size, token), name) = (paging(call)?, CertificateName::parse(name)?);
    let page = call.service.key_versions(&call.vault(), &name, size, token).await?;
    let path = [name.as_str(), "versions"];
    Ok(list(call, "keys", &path, &page, size, |item| KeyItem::new(item, page.recovery, true, &call.links)))
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
    let caller = call.caller();
    let result = match operation {
        KeyOperation::Sign => call.service.sign(&caller, &wanted, signature_algorithm(&alg)?, value.to_vec()).await?,
        KeyOperation::Verify => {
            let digest = bytes("digest", digest)?.to_vec();
            let valid =
                call.service.verify(&caller, &wanted, signature_algorithm(&alg)?, digest, value.to_vec()).await?;
            return Ok(Answer::json(StatusCode::OK, json(&VerifyAnswer { value: valid })));
        }
        KeyOperation::Encrypt | KeyOperation::WrapKey => {
            call.service.encrypt(&caller, &wanted, operation, encryption_algorithm(&alg)?, value).await?
        }
        KeyOperation::Decrypt | KeyOperation::UnwrapKey => {
            call.service.decrypt(&caller, &wanted, operation, encryption_algorithm(&alg)?, value.to_vec()).await?
        }
    };
    let KeyResult { version, bytes } = result;
    call.note(|about| about.version = Some(version));
    let answer = KeyResultAnswer {
        kid: call.links.id("keys", &[wanted.name.as_str(), &version.to_string()]),
        value: URL_SAFE_NO_PAD.encode(&*bytes),
    };
    Ok(Answer::json(StatusCode::OK, json(&answer)))
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
    match call.service.certificate(&call.vault(), &name).await {
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

fn paging<'a>(call: &'a Call<'_>) -> Result<(usize, &'a str), Error> {
    Ok((page_size(call.address.query("maxresults"))?, call.address.query("$skiptoken").unwrap_or_default()))
}

fn list<'a, T: Serialize>(
    call: &Call<'_>,
    collection: &str,
    path: &[&str],
    page: &'a VersionPage,
    size: usize,
    item: impl Fn(&'a crate::domain::Certificate) -> T,
) -> Answer {
    let next_link = (!page.next_page_token.is_empty()).then(|| {
        let token = utf8_percent_encode(&page.next_page_token, NON_ALPHANUMERIC);
        format!("{}&$skiptoken={token}&maxresults={size}", call.links.url(collection, path))
    });
    let value = page.certificates.iter().map(item).collect();
    Answer::json(StatusCode::OK, json(&MaterialList { value, next_link }))
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
    let alphabet: &Alphabet = if text.contains(['+', '/']) { &STANDARD } else { &URL_SAFE };
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
        .decode(text.as_bytes())
        .map(Zeroizing::new)
        .map_err(|_| Error::field(member, "It is not base64url (RFC 4648 section 5)."))
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
