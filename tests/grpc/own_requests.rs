//! A create with the caller's own signing request over gRPC, and what both APIs say of such a certificate.

use crate::own_request::{OwnKey, P256, pem};
use crate::refusal;
use crate::requests::{ID, certificate, create_as, get};
use crate::server::Server;
use certmint::proto::v1::secret::Content;
use certmint::proto::v1::watch_pending_response::Payload;
use certmint::proto::v1::*;

async fn with_ca() -> Server {
    let server = Server::start().await;
    let issuer = Some(Issuer { provider: "LocalCA".into(), ..Issuer::default() });
    let set = SetIssuerRequest { issuer_name: "corp".into(), issuer, ..SetIssuerRequest::default() };
    server.issuers().await.set_issuer(set).await.unwrap();
    server
}

/// Without a policy of its own but for the issuer.
fn create(name: &str, csr: Vec<u8>) -> CreateCertificateRequest {
    let issuer = Some(IssuerParameters { name: "corp".into(), ..Default::default() });
    let policy = Some(CertificatePolicy { issuer, ..Default::default() });
    CreateCertificateRequest { certificate_name: name.into(), policy, csr: Some(csr.into()), ..Default::default() }
}

async fn completed(server: &Server, token: String) -> PendingOperation {
    let request = WatchPendingRequest {
        certificate_names: vec!["web".into()],
        resume_token: token,
        until_terminal: true,
        include_csr: true,
        ..Default::default()
    };
    let mut stream = server.certificates().await.watch_pending(request).await.unwrap().into_inner();
    let mut last = None;
    while let Some(message) = stream.message().await.unwrap() {
        if let Some(Payload::Event(event)) = message.payload {
            last = event.operation;
        }
    }
    last.unwrap()
}

#[tokio::test]
async fn the_stream_tells_of_the_callers_request_and_the_secret_has_no_key() {
    let (server, own) = (with_ca().await, OwnKey::new(P256));
    let csr = own.csr("/CN=web.example", &["subjectAltName=DNS:web.example"], "");
    let created =
        server.certificates().await.create_certificate(create("web", csr.clone())).await.unwrap().into_inner();
    assert_eq!(created.operation.unwrap().csr, csr);
    let operation = completed(&server, created.resume_token).await;
    assert_eq!((operation.status(), operation.csr.to_vec()), (PendingStatus::Completed, csr));
    let found = server.certificates().await.get_certificate(certificate("web")).await.unwrap().into_inner();
    let found = found.certificate.unwrap();
    assert_eq!(own.public_key_of(&found.cer), own.public_key());
    assert_eq!(found.policy.unwrap().key_properties.unwrap().exportable, Some(false));
    let asked = GetSecretRequest { secret_name: "web".into(), ..Default::default() };
    let secret = server.secrets().await.get_secret(asked).await.unwrap().into_inner().secret.unwrap();
    let Some(Content::Pem(text)) = secret.content else { panic!("no PEM") };
    assert!(text.contains("BEGIN CERTIFICATE") && !text.contains("PRIVATE KEY"), "{text}");
    let asked = GetKeyRequest { key_name: "web".into(), ..Default::default() };
    let key = server.keys().await.get_key(asked).await.unwrap().into_inner().key.unwrap();
    assert_eq!(key.key.unwrap().key_operations, [i32::from(KeyOperation::Verify)]);
    let algorithm = SignatureAlgorithm::Es256.into();
    let sign = SignRequest { key_name: "web".into(), algorithm, digest: vec![7; 32].into(), ..Default::default() };
    let refused = server.keys().await.sign(sign).await.unwrap_err();
    assert_eq!(refusal::common(&refused).0, "KEY_OPERATION_FORBIDDEN");
    assert!(refused.message().contains("its private key is not on this server"), "{}", refused.message());
}

#[tokio::test]
async fn a_repeat_with_the_same_request_in_another_form_answers_the_first() {
    let (server, own) = (with_ca().await, OwnKey::new(P256));
    let csr = own.csr("/CN=web.example", &[], "");
    let with = |csr: &[u8]| CreateCertificateRequest {
        csr: Some(csr.to_vec().into()),
        policy: None,
        ..create_as("web", "Unknown", ID)
    };
    let mut client = server.certificates().await;
    let first = client.create_certificate(with(&csr)).await.unwrap().into_inner().operation.unwrap();
    let again = client.create_certificate(with(pem(&csr).as_bytes())).await.unwrap().into_inner().operation.unwrap();
    assert_eq!(first, again);
    for other in [own.csr("/CN=web.example", &[], ""), Vec::new()] {
        let refused = client.create_certificate(with(&other)).await.unwrap_err();
        assert_eq!(refusal::common(&refused).0, "REQUEST_ID_REUSED");
    }
    assert_eq!(client.get_pending(get("web")).await.unwrap().into_inner().operation.unwrap().csr, csr);
}
