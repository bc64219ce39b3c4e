//! Errors of imports, keys and secrets.

use super::Play;
use super::outcome::Tried;
use crate::ca::{Ca, pem};
use crate::pfx::{P256, Pfx, RSA};
use crate::server::Server;
use base64::{Engine, engine::general_purpose::STANDARD, engine::general_purpose::URL_SAFE_NO_PAD};
use certmint::proto::v1::import_certificate_request::Bundle;
use certmint::proto::v1::*;
use serde_json::{Value, json};

pub(super) const CASES: &[(&str, Play)] = &[
    ("an import without a value", |server| Box::pin(nothing(server))),
    ("an import that is not base64", |server| Box::pin(no_base64(server))),
    ("an import with a wrong password, too many rounds, no key, several keys", |server| Box::pin(unreadable(server))),
    ("an imported key of another size", |server| Box::pin(small_key(server))),
    ("an imported certificate of another key", |server| Box::pin(another_key(server))),
    ("an expired import", |server| Box::pin(expired(server))),
    ("an algorithm of another kind of key", |server| Box::pin(wrong_algorithm(server))),
    ("a digest, a text or a ciphertext of the wrong length", |server| Box::pin(wrong_length(server))),
    ("an operation that is not in `key_ops`", |server| Box::pin(forbidden(server))),
    ("a disabled version, as a secret or a key", |server| Box::pin(disabled(server))),
    ("a write on the secret or key of a certificate", |server| Box::pin(writes(server))),
];

fn import(bundle: Bundle, password: &str) -> ImportCertificateRequest {
    ImportCertificateRequest {
        certificate_name: "web".into(),
        bundle: Some(bundle),
        password: password.into(),
        ..Default::default()
    }
}

async fn by_rest(server: &Server, body: Value) -> crate::rest::Reply {
    server.rest("localhost").send("POST /certificates/web/import", body.to_string()).await
}

/// The same text over both APIs.
async fn texts(server: &Server, texts: &[&str]) -> Tried {
    let mut tried = Tried::default();
    for text in texts {
        tried.rest(&by_rest(server, json!({ "value": text })).await);
        let request = import(Bundle::Pem((*text).to_owned()), "");
        tried.grpc(server.certificates().await.import_certificate(request).await);
    }
    tried
}

/// An import that has to succeed.
async fn imported(server: &Server, files: &Pfx) {
    let request = import(Bundle::Pem(files.pem()), "");
    server.certificates().await.import_certificate(request).await.unwrap();
}

async fn nothing(server: &Server) -> Tried {
    let mut tried = texts(server, &["", "  \n"]).await;
    tried.rest(&by_rest(server, json!({})).await);
    let nothing = ImportCertificateRequest { bundle: None, ..import(Bundle::Pem(String::new()), "") };
    tried.grpc(server.certificates().await.import_certificate(nothing).await);
    tried
}

async fn no_base64(server: &Server) -> Tried {
    texts(server, &["no base64!", "{}", "é"]).await
}

async fn unreadable(server: &Server) -> Tried {
    let (files, other) = (Pfx::new(P256, ""), Pfx::new(P256, ""));
    let keys = files.pem() + &other.text("key.pem");
    let mut tried = texts(server, &[&files.text("cert.pem"), &keys]).await;
    let locked = files.base64("secret", "");
    let costly = files.base64("secret", "-nomac -iter 9000000 -certpbe NONE");
    for (value, password) in [(&locked, "Secret"), (&locked, ""), (&costly, "secret")] {
        tried.rest(&by_rest(server, json!({"value": value, "pwd": password})).await);
        let request = import(Bundle::Pkcs12(STANDARD.decode(value).unwrap().into()), password);
        tried.grpc(server.certificates().await.import_certificate(request).await);
    }
    tried
}

async fn small_key(server: &Server) -> Tried {
    texts(server, &[&Pfx::new("rsa:1024", "").pem()]).await
}

async fn another_key(server: &Server) -> Tried {
    let (files, other) = (Pfx::new(P256, ""), Pfx::new(P256, ""));
    texts(server, &[&(files.text("key.pem") + &other.text("cert.pem"))]).await
}

async fn expired(server: &Server) -> Tried {
    let files = Pfx::new(P256, "");
    files.openssl("req -new -key key.pem -subj /CN=old -outform DER -out old.csr");
    let leaf = Ca::new().sign(&STANDARD.encode(files.read("old.csr")), -1);
    texts(server, &[&(files.text("key.pem") + &pem(&leaf))]).await
}

fn body(alg: &str, value: &[u8]) -> String {
    json!({"alg": alg, "value": URL_SAFE_NO_PAD.encode(value)}).to_string()
}

fn sign(algorithm: SignatureAlgorithm, length: usize) -> SignRequest {
    SignRequest {
        key_name: "web".into(),
        algorithm: algorithm.into(),
        digest: vec![7; length].into(),
        ..Default::default()
    }
}

async fn wrong_algorithm(server: &Server) -> Tried {
    let mut tried = Tried::default();
    imported(server, &Pfx::new(P256, "")).await;
    let mut keys = server.keys().await;
    for (algorithm, alg, length) in [(SignatureAlgorithm::Rs256, "RS256", 32), (SignatureAlgorithm::Es384, "ES384", 48)]
    {
        tried.rest(&server.rest("localhost").send("POST /keys/web/sign", body(alg, &vec![7; length])).await);
        tried.grpc(keys.sign(sign(algorithm, length)).await);
    }
    tried
}

async fn wrong_length(server: &Server) -> Tried {
    let mut tried = Tried::default();
    imported(server, &Pfx::new(RSA, "")).await;
    let (rest, mut keys) = (server.rest("localhost"), server.keys().await);
    tried.rest(&rest.send("POST /keys/web/sign", body("RS256", &[7; 31])).await);
    tried.grpc(keys.sign(sign(SignatureAlgorithm::Rs256, 31)).await);
    let algorithm = EncryptionAlgorithm::RsaOaep.into();
    tried.rest(&rest.send("POST /keys/web/encrypt", body("RSA-OAEP", &[7; 215])).await);
    let plaintext = vec![7; 215].into();
    let encrypt = EncryptRequest { key_name: "web".into(), algorithm, plaintext, ..Default::default() };
    tried.grpc(keys.encrypt(encrypt).await);
    tried.rest(&rest.send("POST /keys/web/decrypt", body("RSA-OAEP", &[7; 255])).await);
    let ciphertext = vec![7; 255].into();
    let decrypt = DecryptRequest { key_name: "web".into(), algorithm, ciphertext, ..Default::default() };
    tried.grpc(keys.decrypt(decrypt).await);
    tried
}

async fn forbidden(server: &Server) -> Tried {
    let mut tried = Tried::default();
    imported(server, &Pfx::new(RSA, "-addext keyUsage=digitalSignature")).await;
    tried.rest(&server.rest("localhost").send("POST /keys/web/unwrapkey", body("RSA-OAEP", &[7; 256])).await);
    let algorithm = EncryptionAlgorithm::RsaOaep.into();
    let encrypted_key = vec![7; 256].into();
    let request = UnwrapKeyRequest { key_name: "web".into(), algorithm, encrypted_key, ..Default::default() };
    tried.grpc(server.keys().await.unwrap_key(request).await);
    tried
}

async fn disabled(server: &Server) -> Tried {
    let mut tried = Tried::default();
    let request = ImportCertificateRequest {
        attributes: Some(CertificateAttributes { enabled: Some(false), ..Default::default() }),
        ..import(Bundle::Pem(Pfx::new(P256, "").pem()), "")
    };
    server.certificates().await.import_certificate(request).await.unwrap();
    let rest = server.rest("localhost");
    for request in ["GET /secrets/web", "GET /keys/web"] {
        tried.rest(&rest.send(request, "").await);
    }
    tried.rest(&rest.send("POST /keys/web/sign", body("ES256", &[7; 32])).await);
    let secret = GetSecretRequest { secret_name: "web".into(), ..Default::default() };
    tried.grpc(server.secrets().await.get_secret(secret).await);
    let mut keys = server.keys().await;
    tried.grpc(keys.get_key(GetKeyRequest { key_name: "web".into(), ..Default::default() }).await);
    tried.grpc(keys.sign(sign(SignatureAlgorithm::Es256, 32)).await);
    tried
}

async fn writes(server: &Server) -> Tried {
    let mut tried = Tried::default();
    imported(server, &Pfx::new(P256, "")).await;
    for request in ["PUT /secrets/web", "DELETE /secrets/web", "PATCH /keys/web", "DELETE /keys/web"] {
        tried.rest(&server.rest("localhost").send(request, "{}").await);
    }
    tried
}
