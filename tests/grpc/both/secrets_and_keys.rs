//! The secret view and the key view of certificates, over either API of the server.

use super::api::{Api, Refused, Said, Side, said};
use super::manage::{base64url, from_base64url, with_length};
use certmint::proto::v1::*;
use serde_json::{Value, json};

/// What a key does with a text.
#[derive(Clone, Copy, Debug)]
pub(super) enum Use {
    Encrypt,
    Decrypt,
    WrapKey,
    UnwrapKey,
}

impl Api<'_> {
    /// With an empty version the newest, with an empty form that of the policy.
    pub(super) async fn secret(&mut self, name: &str, version: &str, form: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let query = if form.is_empty() { String::new() } else { format!("?outContentType={form}") };
                said(&rest.send(&format!("GET /secrets/{name}/{version}{query}"), &Value::Null).await)
            }
            Side::Grpc(grpc) => {
                let request = GetSecretRequest {
                    secret_name: name.into(),
                    secret_version: version.into(),
                    out_content_type: form.into(),
                    ..Default::default()
                };
                let answer = grpc.secrets.get_secret(request).await;
                grpc.told(answer, |words, answer| words.secret(answer.secret.unwrap()))
            }
        };
        self.note(said)
    }

    /// With an empty version the newest.
    pub(super) async fn key(&mut self, name: &str, version: &str) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => said(&rest.send(&format!("GET /keys/{name}/{version}"), &Value::Null).await),
            Side::Grpc(grpc) => {
                let request =
                    GetKeyRequest { key_name: name.into(), key_version: version.into(), ..Default::default() };
                let answer = grpc.keys.get_key(request).await;
                grpc.told(answer, |words, answer| words.key(answer.key.unwrap()))
            }
        };
        self.note(said)
    }

    /// The signature; where the algorithm is a random one, only its length is compared.
    pub(super) async fn sign(
        &mut self,
        name: &str,
        version: &str,
        alg: &str,
        digest: &[u8],
    ) -> Result<Vec<u8>, Refused> {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let body = json!({"alg": alg, "value": base64url(digest)});
                said(&rest.send(&format!("POST /keys/{name}/{version}/sign"), &body).await)
            }
            Side::Grpc(grpc) => {
                let request = SignRequest {
                    key_name: name.into(),
                    key_version: version.into(),
                    algorithm: signature_algorithm(alg),
                    digest: digest.to_vec().into(),
                    ..Default::default()
                };
                let answer = grpc.keys.sign(request).await;
                grpc.told(
                    answer,
                    |_, SignResponse { key_id, signature }| json!({"kid": key_id, "value": base64url(&signature)}),
                )
            }
        };
        let signature = said.clone().map(|said| from_base64url(&said["value"]));
        self.note_as(if alg.starts_with("RS") { said } else { said.map(|said| with_length(said, "value")) });
        signature
    }

    pub(super) async fn verify(&mut self, name: &str, alg: &str, digest: &[u8], signature: &[u8]) -> Said {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let body = json!({"alg": alg, "digest": base64url(digest), "value": base64url(signature)});
                said(&rest.send(&format!("POST /keys/{name}/verify"), &body).await)
            }
            Side::Grpc(grpc) => {
                let request = VerifyRequest {
                    key_name: name.into(),
                    algorithm: signature_algorithm(alg),
                    digest: digest.to_vec().into(),
                    signature: signature.to_vec().into(),
                    ..Default::default()
                };
                let answer = grpc.keys.verify(request).await;
                grpc.told(answer, |_, VerifyResponse { valid }| json!({ "value": valid }))
            }
        };
        self.note(said)
    }

    /// What came out; of what is encrypted only the length is compared.
    pub(super) async fn use_key(&mut self, what: Use, name: &str, alg: &str, text: &[u8]) -> Result<Vec<u8>, Refused> {
        let said = match &mut self.side {
            Side::Rest(rest) => {
                let path = match what {
                    Use::Encrypt => "encrypt",
                    Use::Decrypt => "decrypt",
                    Use::WrapKey => "wrapkey",
                    Use::UnwrapKey => "unwrapkey",
                };
                let body = json!({"alg": alg, "value": base64url(text)});
                said(&rest.send(&format!("POST /keys/{name}/{path}"), &body).await)
            }
            Side::Grpc(grpc) => {
                let (key_name, algorithm, text) = (name.to_owned(), encryption_algorithm(alg), text.to_vec().into());
                let (vault_name, key_version) = (String::new(), String::new());
                let result = |kid: String, value: bytes::Bytes| json!({"kid": kid, "value": base64url(&value)});
                match what {
                    Use::Encrypt => {
                        let request = EncryptRequest { vault_name, key_name, key_version, algorithm, plaintext: text };
                        let answer = grpc.keys.encrypt(request).await;
                        grpc.told(answer, |_, EncryptResponse { key_id, ciphertext }| result(key_id, ciphertext))
                    }
                    Use::Decrypt => {
                        let request = DecryptRequest { vault_name, key_name, key_version, algorithm, ciphertext: text };
                        let answer = grpc.keys.decrypt(request).await;
                        grpc.told(answer, |_, DecryptResponse { key_id, plaintext }| result(key_id, plaintext))
                    }
                    Use::WrapKey => {
                        let request = WrapKeyRequest { vault_name, key_name, key_version, algorithm, key: text };
                        let answer = grpc.keys.wrap_key(request).await;
                        grpc.told(answer, |_, WrapKeyResponse { key_id, encrypted_key }| result(key_id, encrypted_key))
                    }
                    Use::UnwrapKey => {
                        let request =
                            UnwrapKeyRequest { vault_name, key_name, key_version, algorithm, encrypted_key: text };
                        let answer = grpc.keys.unwrap_key(request).await;
                        grpc.told(answer, |_, UnwrapKeyResponse { key_id, key }| result(key_id, key))
                    }
                }
            }
        };
        let value = said.clone().map(|said| from_base64url(&said["value"]));
        let random = matches!(what, Use::Encrypt | Use::WrapKey);
        self.note_as(if random { said.map(|said| with_length(said, "value")) } else { said });
        value
    }
}

fn signature_algorithm(alg: &str) -> i32 {
    let name = format!("SIGNATURE_ALGORITHM_{}", alg.to_ascii_uppercase());
    SignatureAlgorithm::from_str_name(&name).unwrap_or_else(|| panic!("{name}")).into()
}

fn encryption_algorithm(alg: &str) -> i32 {
    match alg {
        "RSA1_5" => EncryptionAlgorithm::Rsa15,
        "RSA-OAEP" => EncryptionAlgorithm::RsaOaep,
        "RSA-OAEP-256" => EncryptionAlgorithm::RsaOaep256,
        other => panic!("{other}"),
    }
    .into()
}
