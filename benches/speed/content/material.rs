//! Certificates with keys for the measurements, made here and brought to the server as a caller would bring them.

use crate::support::{Failure, Http};
use bytes::Bytes;
use http::{Method, StatusCode};
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256};
use serde_json::{Value, json};

/// The type of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    P256,
    Rsa2048,
}

/// A self-signed certificate with its key.
pub(crate) struct Material {
    /// Both in PEM, the key as PKCS#8.
    pub(crate) pem: String,
    /// The key alone.
    pub(crate) pkcs8: Vec<u8>,
}

impl Material {
    pub(crate) fn new(kind: Kind) -> Result<Self, Failure> {
        let key = KeyPair::generate_for(match kind {
            Kind::P256 => &PKCS_ECDSA_P256_SHA256,
            Kind::Rsa2048 => &PKCS_RSA_SHA256,
        })?;
        let mut params = CertificateParams::new(vec!["bench.example".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "bench.example");
        let certificate = params.self_signed(&key)?;
        Ok(Self { pem: key.serialize_pem() + &certificate.pem(), pkcs8: key.serialize_der() })
    }
}

/// The body of an import of `value`, kept in this form.
pub(crate) fn import_body(value: &str, content_type: &str) -> Bytes {
    json!({"value": value, "policy": {"secret_props": {"contentType": content_type}}}).to_string().into()
}

pub(crate) fn path(collection: &str, rest: &str) -> String {
    format!("/{collection}/{rest}api-version=7.4")
}

/// Sends a request that must be answered with 200, and gives the body.
pub(crate) async fn ask(http: &mut Http, method: Method, path: &str, body: Bytes) -> Result<Bytes, Failure> {
    match http.send(method, path, body).await? {
        (StatusCode::OK, body) => Ok(body),
        (status, body) => Err(format!("{path} answered {status}: {}", String::from_utf8_lossy(&body)).into()),
    }
}

/// Imports it under a name.
pub(crate) async fn import(http: &mut Http, name: &str, body: Bytes) -> Result<(), Failure> {
    ask(http, Method::POST, &path("certificates", &format!("{name}/import?")), body).await.map(drop)
}

/// The same certificate as PKCS#12 in base64, as the server hands it out.
pub(crate) async fn as_pkcs12(http: &mut Http, material: &Material) -> Result<String, Failure> {
    import(http, "as-pkcs12", import_body(&material.pem, "application/x-pkcs12")).await?;
    let answer = ask(http, Method::GET, &path("secrets", "as-pkcs12?"), Bytes::new()).await?;
    let answer: Value = serde_json::from_slice(&answer)?;
    Ok(answer["value"].as_str().ok_or("the secret has no value")?.to_owned())
}
