//! The secret and key views of the fake server.

use crate::fake::REQUEST_ID;
use crate::service::Service;
use aws_lc_rs::digest;
use certmint::proto::v1::key_service_server::KeyService;
use certmint::proto::v1::secret::Content;
use certmint::proto::v1::secret_service_server::SecretService;
use certmint::proto::v1::*;
use tonic::{Request, Response, Status};

pub(crate) const PEM: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";

#[tonic::async_trait]
impl SecretService for Service {
    /// `pfx` is PKCS#12 unless PEM is asked for, the others are PEM.
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Result<Response<GetSecretResponse>, Status> {
        let GetSecretRequest { secret_name, secret_version, out_content_type, .. } = request.into_inner();
        let pkcs12 = secret_name == "pfx" && out_content_type.is_empty();
        let content = if pkcs12 { Content::Pkcs12(vec![0x30, 1, 7].into()) } else { Content::Pem(PEM.into()) };
        let form = if pkcs12 { "application/x-pkcs12" } else { "application/x-pem-file" };
        let secret = Secret {
            secret_name,
            secret_version,
            content: Some(content),
            content_type: form.into(),
            ..Default::default()
        };
        Ok(Response::new(GetSecretResponse { secret: Some(secret) }))
    }

    async fn list_secrets(&self, _: Request<ListSecretsRequest>) -> Result<Response<ListSecretsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn list_secret_versions(
        &self,
        _: Request<ListSecretVersionsRequest>,
    ) -> Result<Response<ListSecretVersionsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}

/// What this server takes for a signature: the digest with the name of the algorithm behind it.
fn signature(algorithm: SignatureAlgorithm, digest: &[u8]) -> Vec<u8> {
    [digest, algorithm.as_str_name().as_bytes()].concat()
}

/// The signature that the server makes of a message.
pub(crate) fn signed(algorithm: SignatureAlgorithm, message: &[u8]) -> Vec<u8> {
    signature(algorithm, digest::digest(&digest::SHA256, message).as_ref())
}

#[tonic::async_trait]
impl KeyService for Service {
    /// On P-256.
    async fn get_key(&self, request: Request<GetKeyRequest>) -> Result<Response<GetKeyResponse>, Status> {
        let key = JsonWebKey {
            key_type: KeyType::Ec.into(),
            curve: KeyCurve::P256.into(),
            key_operations: vec![KeyOperation::Sign.into(), KeyOperation::Verify.into()],
            x: vec![1; 32].into(),
            y: vec![2; 32].into(),
            ..Default::default()
        };
        let key_name = request.into_inner().key_name;
        let key = Key { key: Some(key), key_name, key_version: REQUEST_ID.into(), ..Default::default() };
        Ok(Response::new(GetKeyResponse { key: Some(key) }))
    }

    async fn sign(&self, request: Request<SignRequest>) -> Result<Response<SignResponse>, Status> {
        let request = request.into_inner();
        let key_id = format!("{}/{}", request.key_name, request.key_version);
        let signature = signature(request.algorithm(), &request.digest).into();
        Ok(Response::new(SignResponse { key_id, signature }))
    }

    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<VerifyResponse>, Status> {
        let request = request.into_inner();
        let valid = signature(request.algorithm(), &request.digest) == request.signature;
        Ok(Response::new(VerifyResponse { valid }))
    }

    async fn list_keys(&self, _: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn list_key_versions(
        &self,
        _: Request<ListKeyVersionsRequest>,
    ) -> Result<Response<ListKeyVersionsResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn encrypt(&self, _: Request<EncryptRequest>) -> Result<Response<EncryptResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn decrypt(&self, _: Request<DecryptRequest>) -> Result<Response<DecryptResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn wrap_key(&self, _: Request<WrapKeyRequest>) -> Result<Response<WrapKeyResponse>, Status> {
        Ok(Response::new(Default::default()))
    }

    async fn unwrap_key(&self, _: Request<UnwrapKeyRequest>) -> Result<Response<UnwrapKeyResponse>, Status> {
        Ok(Response::new(Default::default()))
    }
}
