//! A caller's own signing request that no certificate is made for.

use super::Play;
use super::outcome::Tried;
use crate::own_request::{OwnKey, P256, pem};
use crate::requests::{certificate, policy};
use crate::server::Server;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::proto::v1::*;
use serde_json::{Value, json};

pub(super) const CASES: &[(&str, Play)] = &[
    (
        "an invalid `csr`, one that its key did not sign, or one with a key or a request that is not supported",
        |server| Box::pin(unusable(server)),
    ),
    ("a `csr` that asks for more than the policy has", |server| Box::pin(wider(server))),
    ("a `csr` for an issuer that signs with the private key", |server| Box::pin(own_issuer(server))),
    ("a policy with another key than the `csr` has, or an exportable or reused one", |server| {
        Box::pin(other_keys(server))
    }),
    ("an operation with the private key of a certificate that was created with a `csr`", |server| {
        Box::pin(no_key(server))
    }),
];

async fn created(server: &Server, csr: &[u8], by_rest: Value, by_grpc: CertificatePolicy, tried: &mut Tried) {
    let text = match std::str::from_utf8(csr) {
        Ok(text) => text.to_owned(),
        Err(_) => STANDARD.encode(csr),
    };
    let body = json!({"csr": text, "policy": by_rest}).to_string();
    tried.rest(&server.rest("localhost").send("POST /certificates/by-rest/create", body).await);
    let request = CreateCertificateRequest {
        certificate_name: "by-grpc".into(),
        policy: Some(by_grpc),
        csr: Some(csr.to_vec().into()),
        ..CreateCertificateRequest::default()
    };
    tried.grpc(server.certificates().await.create_certificate(request).await);
}

fn own_policy(issuer: &str) -> (Value, CertificatePolicy) {
    let policy = CertificatePolicy { x509_properties: None, key_properties: None, ..policy(issuer) };
    (json!({"issuer": {"name": issuer}}), policy)
}

async fn unusable(server: &Server) -> Tried {
    let own = OwnKey::new(P256);
    let good = own.csr("/CN=web.example", &[], "");
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    let inputs = [
        // A variable of a script that has no value.
        Vec::new(),
        b"nonsense!".to_vec(),
        good[..good.len() - 5].to_vec(),
        changed,
        pem(&good).replace("CERTIFICATE REQUEST", "PRIVATE KEY").into_bytes(),
        OwnKey::new("ED25519").csr("/CN=web.example", &[], ""),
        own.csr("/CN=web.example", &[], "-sha1"),
        own.csr("/CN=web.example", &["basicConstraints=CA:TRUE"], ""),
        own.csr("/CN=web.example", &["subjectAltName=RID:1.2.3"], ""),
        own.csr("/", &[], ""),
    ];
    let mut tried = Tried::default();
    for csr in inputs {
        let (by_rest, by_grpc) = own_policy("Unknown");
        created(server, &csr, by_rest, by_grpc, &mut tried).await;
    }
    tried
}

async fn wider(server: &Server) -> Tried {
    let csr = OwnKey::new(P256).csr("/CN=web.example", &["subjectAltName=DNS:web.example,DNS:more.example"], "");
    let sans = SubjectAlternativeNames { dns_names: vec!["web.example".into()], ..Default::default() };
    let x509 = X509Properties { subject_alternative_names: Some(sans), ..Default::default() };
    let (_, by_grpc) = own_policy("Unknown");
    let by_grpc = CertificatePolicy { x509_properties: Some(x509), ..by_grpc };
    let mut tried = Tried::default();
    let by_rest = json!({"x509_props": {"sans": {"dns_names": ["web.example"]}}});
    created(server, &csr, by_rest, by_grpc, &mut tried).await;
    tried
}

async fn own_issuer(server: &Server) -> Tried {
    let csr = OwnKey::new(P256).csr("/CN=web.example", &[], "");
    server.issuers().await.set_issuer(crate::requests::test_issuer("house", "complete")).await.unwrap();
    let mut tried = Tried::default();
    for issuer in ["Self", "house"] {
        let (by_rest, by_grpc) = own_policy(issuer);
        created(server, &csr, by_rest, by_grpc, &mut tried).await;
    }
    tried
}

async fn other_keys(server: &Server) -> Tried {
    let csr = OwnKey::new(P256).csr("/CN=web.example", &[], "");
    let mut tried = Tried::default();
    for (by_rest, key) in [
        (json!({"kty": "RSA"}), KeyProperties { key_type: KeyType::Rsa.into(), ..Default::default() }),
        (json!({"crv": "P-384"}), KeyProperties { curve: KeyCurve::P384.into(), ..Default::default() }),
        (json!({"exportable": true}), KeyProperties { exportable: Some(true), ..Default::default() }),
        (json!({"reuse_key": true}), KeyProperties { reuse_key: Some(true), ..Default::default() }),
    ] {
        let by_grpc = CertificatePolicy { key_properties: Some(key), ..own_policy("Unknown").1 };
        created(server, &csr, json!({"key_props": by_rest}), by_grpc, &mut tried).await;
    }
    tried
}

async fn no_key(server: &Server) -> Tried {
    let own = OwnKey::new("RSA -pkeyopt rsa_keygen_bits:2048");
    let issuer = Some(Issuer { provider: "LocalCA".into(), ..Issuer::default() });
    let set = SetIssuerRequest { issuer_name: "corp".into(), issuer, ..SetIssuerRequest::default() };
    server.issuers().await.set_issuer(set).await.unwrap();
    let (by_rest, by_grpc) = own_policy("corp");
    created(server, &own.csr("/CN=web.example", &[], ""), by_rest, by_grpc, &mut Tried::default()).await;
    let version = loop {
        let found = server.certificates().await.get_certificate(certificate("by-grpc")).await.unwrap().into_inner();
        let found = found.certificate.unwrap();
        if !found.cer.is_empty() {
            break found.certificate_version;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    let mut tried = Tried::default();
    let sign = json!({"alg": "RS256", "value": STANDARD.encode([7; 32]).trim_end_matches('=')}).to_string();
    let path = format!("POST /keys/by-grpc/{version}/sign");
    tried.rest(&server.rest("localhost").send(&path, sign).await);
    let algorithm = SignatureAlgorithm::Rs256.into();
    let sign = SignRequest { key_name: "by-grpc".into(), algorithm, digest: vec![7; 32].into(), ..Default::default() };
    tried.grpc(server.keys().await.sign(sign).await);
    let algorithm = EncryptionAlgorithm::RsaOaep256.into();
    let decrypt =
        DecryptRequest { key_name: "by-grpc".into(), algorithm, ciphertext: vec![7; 256].into(), ..Default::default() };
    tried.grpc(server.keys().await.decrypt(decrypt).await);
    tried
}
