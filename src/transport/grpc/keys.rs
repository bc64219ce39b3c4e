//! `certmint.v1.KeyService`.

use super::call::Call;
use super::certificates::{open, page_size};
use super::policy::{key_curve, key_type};
use super::reply;
use super::secrets::{Fields, wanted};
use crate::domain::{
    Certificate, EncryptionAlgorithm, Error, KeyNumbers, KeyOperation, Recovery, Result, SignatureAlgorithm,
};
use crate::proto::v1;
use crate::service::{KeyResult, KeyView, Permit, Service, VersionRef};
use bytes::Bytes;
use tonic::Request;
use zeroize::Zeroizing;

/// Handles the calls of one service.
pub(super) struct Keys(pub(super) Service);

const KEY: Fields = Fields { name: "key_name", version: "key_version" };

/// The surroundings of a call, the key that it names, and the fields that follow.
macro_rules! opened {
    ($request:expr, $message:path { $($field:ident),+ }) => {{
        let (call, message) = open($request)?;
        let $message { vault_name, key_name, key_version, $($field),+ } = message;
        let wanted = wanted(&call, &KEY, &vault_name, &key_name, &key_version).await?;
        (call, wanted, $($field),+)
    }};
}

impl Keys {
    pub(super) async fn get(&self, request: Request<v1::GetKeyRequest>) -> Result<v1::GetKeyResponse> {
        let (call, message) = open(request)?;
        let v1::GetKeyRequest { vault_name, key_name, key_version } = message;
        let view = self.0.materials().key(&wanted(&call, &KEY, &vault_name, &key_name, &key_version).await?).await?;
        Ok(v1::GetKeyResponse { key: Some(key(view, &call.base())) })
    }

    pub(super) async fn list(&self, request: Request<v1::ListKeysRequest>) -> Result<v1::ListKeysResponse> {
        let (call, message) = open(request)?;
        let v1::ListKeysRequest { vault_name, page_size: size, page_token } = message;
        let vault = call.vault_alone(&vault_name).await?;
        let page = self.0.materials().keys(call.permit(vault).await?, page_size(size)?, &page_token).await?;
        let base = call.base();
        Ok(v1::ListKeysResponse {
            keys: page
                .certificates
                .into_iter()
                .map(|certificate| item(certificate, page.recovery, &base, false))
                .collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn versions(
        &self,
        request: Request<v1::ListKeyVersionsRequest>,
    ) -> Result<v1::ListKeyVersionsResponse> {
        let (call, message) = open(request)?;
        let v1::ListKeyVersionsRequest { vault_name, key_name, page_size: size, page_token } = message;
        let vault = call.vault(&vault_name).await?;
        let name = call.named("key_name", &vault, &key_name)?;
        let page =
            self.0.materials().key_versions(call.permit((vault, name)).await?, page_size(size)?, &page_token).await?;
        let base = call.base();
        Ok(v1::ListKeyVersionsResponse {
            keys: page
                .certificates
                .into_iter()
                .map(|certificate| item(certificate, page.recovery, &base, true))
                .collect(),
            next_page_token: page.next_page_token,
        })
    }

    pub(super) async fn sign_digest(&self, request: Request<v1::SignRequest>) -> Result<v1::SignResponse> {
        let (call, wanted, algorithm, digest) = opened!(request, v1::SignRequest { algorithm, digest });
        let result = self.0.materials().sign(&wanted, signature_algorithm(algorithm)?, digest.into()).await?;
        let (key_id, signature) = named(&call, &wanted, result);
        Ok(v1::SignResponse { key_id, signature })
    }

    pub(super) async fn verify_signature(&self, request: Request<v1::VerifyRequest>) -> Result<v1::VerifyResponse> {
        let (_, wanted, algorithm, digest, signature) =
            opened!(request, v1::VerifyRequest { algorithm, digest, signature });
        let algorithm = signature_algorithm(algorithm)?;
        let valid = self.0.materials().verify(&wanted, algorithm, digest.into(), signature.into()).await?;
        Ok(v1::VerifyResponse { valid })
    }

    pub(super) async fn encrypt_text(&self, request: Request<v1::EncryptRequest>) -> Result<v1::EncryptResponse> {
        let (call, wanted, algorithm, plaintext) = opened!(request, v1::EncryptRequest { algorithm, plaintext });
        let (key_id, ciphertext) = self.seal(&call, &wanted, KeyOperation::Encrypt, algorithm, plaintext).await?;
        Ok(v1::EncryptResponse { key_id, ciphertext })
    }

    pub(super) async fn decrypt_text(&self, request: Request<v1::DecryptRequest>) -> Result<v1::DecryptResponse> {
        let (call, wanted, algorithm, ciphertext) = opened!(request, v1::DecryptRequest { algorithm, ciphertext });
        let (key_id, plaintext) = self.unseal(&call, &wanted, KeyOperation::Decrypt, algorithm, ciphertext).await?;
        Ok(v1::DecryptResponse { key_id, plaintext })
    }

    pub(super) async fn wrap(&self, request: Request<v1::WrapKeyRequest>) -> Result<v1::WrapKeyResponse> {
        let (call, wanted, algorithm, key) = opened!(request, v1::WrapKeyRequest { algorithm, key });
        let (key_id, encrypted_key) = self.seal(&call, &wanted, KeyOperation::WrapKey, algorithm, key).await?;
        Ok(v1::WrapKeyResponse { key_id, encrypted_key })
    }

    pub(super) async fn unwrap(&self, request: Request<v1::UnwrapKeyRequest>) -> Result<v1::UnwrapKeyResponse> {
        let (call, wanted, algorithm, encrypted) = opened!(request, v1::UnwrapKeyRequest { algorithm, encrypted_key });
        let (key_id, key) = self.unseal(&call, &wanted, KeyOperation::UnwrapKey, algorithm, encrypted).await?;
        Ok(v1::UnwrapKeyResponse { key_id, key })
    }

    async fn seal(
        &self,
        call: &Call,
        wanted: &Permit<VersionRef>,
        operation: KeyOperation,
        algorithm: i32,
        plain: Bytes,
    ) -> Result<(String, Bytes)> {
        let plain = Zeroizing::new(plain.to_vec());
        let result = self.0.materials().encrypt(wanted, operation, encryption_algorithm(algorithm)?, plain).await?;
        Ok(named(call, wanted, result))
    }

    async fn unseal(
        &self,
        call: &Call,
        wanted: &Permit<VersionRef>,
        operation: KeyOperation,
        algorithm: i32,
        ciphertext: Bytes,
    ) -> Result<(String, Bytes)> {
        let algorithm = encryption_algorithm(algorithm)?;
        let result = self.0.materials().decrypt(wanted, operation, algorithm, ciphertext.into()).await?;
        Ok(named(call, wanted, result))
    }
}

fn named(call: &Call, wanted: &VersionRef, result: KeyResult) -> (String, Bytes) {
    let KeyResult { version, bytes } = result;
    call.note(|about| about.version = Some(version));
    (format!("{}/keys/{}/{version}", call.base(), wanted.name), Bytes::copy_from_slice(&bytes))
}

pub(super) fn signature_algorithm(number: i32) -> Result<SignatureAlgorithm> {
    use v1::SignatureAlgorithm as W;
    Ok(match W::try_from(number) {
        Ok(W::Rs256) => SignatureAlgorithm::Rs256,
        Ok(W::Rs384) => SignatureAlgorithm::Rs384,
        Ok(W::Rs512) => SignatureAlgorithm::Rs512,
        Ok(W::Ps256) => SignatureAlgorithm::Ps256,
        Ok(W::Ps384) => SignatureAlgorithm::Ps384,
        Ok(W::Ps512) => SignatureAlgorithm::Ps512,
        Ok(W::Es256) => SignatureAlgorithm::Es256,
        Ok(W::Es384) => SignatureAlgorithm::Es384,
        Ok(W::Es512) => SignatureAlgorithm::Es512,
        Ok(W::Es256k) => SignatureAlgorithm::Es256K,
        Ok(W::Rsnull) => SignatureAlgorithm::RsNull,
        Ok(W::Unspecified) | Err(_) => return Err(unknown(number)),
    })
}

pub(super) fn encryption_algorithm(number: i32) -> Result<EncryptionAlgorithm> {
    use v1::EncryptionAlgorithm as W;
    Ok(match W::try_from(number) {
        Ok(W::Rsa15) => EncryptionAlgorithm::Rsa15,
        Ok(W::RsaOaep) => EncryptionAlgorithm::RsaOaep,
        Ok(W::RsaOaep256) => EncryptionAlgorithm::RsaOaep256,
        Ok(W::Unspecified) | Err(_) => return Err(unknown(number)),
    })
}

fn unknown(number: i32) -> Error {
    Error::field("alg", format!("{number} is not an algorithm of this method."))
}

fn operation_number(operation: KeyOperation) -> i32 {
    match operation {
        KeyOperation::Sign => v1::KeyOperation::Sign,
        KeyOperation::Verify => v1::KeyOperation::Verify,
        KeyOperation::WrapKey => v1::KeyOperation::WrapKey,
        KeyOperation::UnwrapKey => v1::KeyOperation::UnwrapKey,
        KeyOperation::Encrypt => v1::KeyOperation::Encrypt,
        KeyOperation::Decrypt => v1::KeyOperation::Decrypt,
    }
    .into()
}

fn key(view: KeyView, base: &str) -> v1::Key {
    let KeyView { certificate, public, operations, recovery } = view;
    let (name, version) = (certificate.name.to_string(), certificate.version.to_string());
    let mut jwk = v1::JsonWebKey {
        key_id: format!("{base}/keys/{name}/{version}"),
        key_type: key_type(public.key_type).into(),
        key_operations: operations.into_iter().map(operation_number).collect(),
        curve: key_curve(public.key_type).into(),
        ..v1::JsonWebKey::default()
    };
    match public.numbers {
        KeyNumbers::Rsa { n, e } => (jwk.n, jwk.e) = (n.into(), e.into()),
        KeyNumbers::Ec { x, y } => (jwk.x, jwk.y) = (x.into(), y.into()),
    }
    v1::Key {
        key: Some(jwk),
        vault_name: certificate.vault.to_string(),
        key_name: name,
        key_version: version,
        attributes: Some(reply::version_attributes(&certificate, recovery)),
        tags: certificate.tags.unwrap_or_default().into_iter().collect(),
    }
}

fn item(certificate: Certificate, recovery: Recovery, base: &str, with_version: bool) -> v1::KeyItem {
    let (name, version) = (certificate.name.to_string(), certificate.version.to_string());
    let id = format!("{base}/keys/{name}");
    v1::KeyItem {
        key_id: if with_version { format!("{id}/{version}") } else { id },
        key_name: name,
        key_version: version,
        attributes: Some(reply::version_attributes(&certificate, recovery)),
        tags: certificate.tags.unwrap_or_default().into_iter().collect(),
    }
}
