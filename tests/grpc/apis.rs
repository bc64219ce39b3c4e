//! Imports, secrets, keys and backups over gRPC: what is wrong with a request, its limits, and its deadline.

use crate::pfx::{P256, Pfx, RSA};
use crate::raw::Call;
use crate::refusal;
use crate::requests;
use crate::server::Server;
use certmint::limits::Limits;
use certmint::proto::v1::import_certificate_request::Bundle;
use certmint::proto::v1::*;
use prost::Message;
use std::time::Instant;
use tonic::{Code, Request};

const NAME: &str = "web";

fn import(bundle: Option<Bundle>, password: &str) -> ImportCertificateRequest {
    ImportCertificateRequest {
        certificate_name: NAME.into(),
        bundle,
        password: password.into(),
        ..ImportCertificateRequest::default()
    }
}

fn pem(files: &Pfx) -> ImportCertificateRequest {
    import(Some(Bundle::Pem(files.pem())), "")
}

#[tokio::test]
async fn an_import_without_a_bundle_says_what_is_missing() {
    let server = Server::start().await;
    refusal::is(
        server.certificates().await.import_certificate(import(None, "")).await,
        "InvalidArgument: Property bundle has invalid value. It is required: pkcs12 or pem.
         reason: BAD_PARAMETER of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         field: bundle: It is required: pkcs12 or pem.",
    );
}

#[tokio::test]
async fn a_bundle_that_cannot_be_read_says_why_and_where() {
    let server = Server::start().await;
    let mut certificates = server.certificates().await;
    refusal::is(
        certificates.import_certificate(import(Some(Bundle::Pkcs12(vec![0x30, 0].into())), "")).await,
        "InvalidArgument: The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format. It is damaged.
         reason: BAD_PARAMETER of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         field: value: The specified PKCS#12 X.509 certificate content can not be read. Please check if certificate is in valid PKCS#12 format. It is damaged.",
    );
    let files = Pfx::new(P256, "");
    let keyless = import(Some(Bundle::Pem(files.text("cert.pem"))), "");
    let refused = certificates.import_certificate(keyless).await.unwrap_err();
    assert!(refused.message().contains("It holds no private key"), "{refused}");
    let other = Pfx::new(P256, "");
    let mixed = import(Some(Bundle::Pem(files.text("key.pem") + &other.text("cert.pem"))), "");
    assert_eq!(refusal::reason(&certificates.import_certificate(mixed).await.unwrap_err()), "MERGE_KEY_MISMATCH");
    let long = import(Some(Bundle::Pem(files.pem())), &"é".repeat(201));
    let refused = certificates.import_certificate(long).await.unwrap_err();
    assert!(refused.message().contains("longer than 200 characters"), "{refused}");
    // Either member may hold either form.
    let turned = import(Some(Bundle::Pkcs12(files.pem().into_bytes().into())), "");
    certificates.import_certificate(turned).await.unwrap();
}

#[tokio::test]
async fn a_bundle_over_the_limit_is_not_read() {
    let server = Server::start().await;
    let mut certificates = server.certificates().await;
    let message = certificates.import_certificate(import(Some(Bundle::Pem("x".repeat(1 << 20))), "")).await;
    assert_eq!(refusal::reason(&message.unwrap_err()), "MESSAGE_TOO_LARGE");
    // The message is allowed here, the file is not.
    let server = Server::limited(Limits { request_body_bytes: 2 << 20, ..Limits::default() }).await;
    let file = import(Some(Bundle::Pem("x".repeat((1 << 20) + 1))), "");
    let refused = server.certificates().await.import_certificate(file).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("more than 1 MiB"), "{refused}");
}

#[tokio::test]
async fn imports_beyond_the_queue_are_told_to_retry() {
    let server = Server::limited(Limits { key_queue: 1, ..Limits::default() }).await;
    let files = Pfx::new(P256, "");
    let slow = slow(&files);
    // Connected before the first one begins, so that they come together.
    let mut clients = Vec::new();
    for _ in 0..12 {
        clients.push(server.certificates().await);
    }
    let mut all = tokio::task::JoinSet::new();
    for (number, mut certificates) in clients.into_iter().enumerate() {
        let request = ImportCertificateRequest { certificate_name: format!("web{number}"), ..slow.clone() };
        all.spawn(
            async move { certificates.import_certificate(request).await.map_err(|status| refusal::reason(&status)) },
        );
    }
    let all = all.join_all().await;
    let throttled = all.iter().filter(|answer| answer.as_ref().is_err_and(|reason| reason == "THROTTLED")).count();
    let good = all.iter().filter(|answer| answer.is_ok()).count();
    assert!(throttled > 0 && good > 0 && throttled + good == all.len(), "{all:?}");
}

/// The maximum number of rounds of key derivation.
fn slow(files: &Pfx) -> ImportCertificateRequest {
    files.openssl("pkcs12 -export -inkey key.pem -in cert.pem -passout pass:secret -nomac -certpbe NONE -iter 900000 -out slow.p12");
    import(Some(Bundle::Pkcs12(files.read("slow.p12").into())), "secret")
}

/// The caller has gone: what his file still costs is spent, and stored is nothing.
#[tokio::test]
async fn an_import_whose_deadline_passes_stores_nothing() {
    let server = Server::start().await;
    let slow = slow(&Pfx::new(P256, ""));
    let begun = Instant::now();
    server
        .certificates()
        .await
        .import_certificate(ImportCertificateRequest { certificate_name: "whole".into(), ..slow.clone() })
        .await
        .unwrap();
    let whole = begun.elapsed();
    let call = Call::to("CertificateService/ImportCertificate").header("grpc-timeout", "20m");
    let answer = call.whole(&server.h2().await, &slow).await;
    assert_eq!(refusal::reason(&refusal::status_of(&answer)), "DEADLINE_EXCEEDED");
    tokio::time::sleep(whole * 2).await;
    let read = server.certificates().await.get_certificate(requests::certificate(NAME)).await;
    assert_eq!(refusal::reason(&read.unwrap_err()), "CERTIFICATE_NOT_FOUND");
}

#[tokio::test]
async fn a_message_that_does_not_come_is_not_waited_for() {
    let server = Server::start().await;
    for method in [
        "CertificateService/ImportCertificate",
        "CertificateService/RestoreCertificate",
        "CertificateService/BackupCertificate",
        "SecretService/GetSecret",
        "KeyService/Sign",
        "KeyService/UnwrapKey",
    ] {
        let call = Call::to(method).header("grpc-timeout", "100m");
        let (answer, _message) = call.open(&server.h2().await).await;
        let (parts, _) = crate::server::soon("the refusal", answer).await.unwrap().into_parts();
        assert_eq!(refusal::reason(&refusal::in_headers(&parts.headers)), "DEADLINE_EXCEEDED", "{method}");
    }
}

#[tokio::test]
async fn a_secret_in_another_form_is_refused_in_the_words_of_the_contract() {
    let server = Server::start().await;
    server.certificates().await.import_certificate(pem(&Pfx::new(P256, ""))).await.unwrap();
    let mut secrets = server.secrets().await;
    let request = |form: &str| GetSecretRequest {
        secret_name: NAME.into(),
        out_content_type: form.into(),
        ..GetSecretRequest::default()
    };
    refusal::is(
        secrets.get_secret(request("application/json")).await,
        "InvalidArgument: Property out_content_type has invalid value. Use application/x-pem-file, or leave it out for the form of the policy.
         reason: BAD_PARAMETER of certmint.v1
         azureCode: BadParameter
         httpStatus: 400
         field: out_content_type: Use application/x-pem-file, or leave it out for the form of the policy.",
    );
    let as_pfx = secrets.get_secret(request("application/x-pkcs12")).await.unwrap_err();
    assert!(refusal::shown(&as_pfx).contains("field: out_content_type: A secret stored as"), "{as_pfx}");
    let page = ListSecretsRequest { page_token: "_".into(), ..ListSecretsRequest::default() };
    assert_eq!(refusal::reason(&secrets.list_secrets(page).await.unwrap_err()), "BAD_PARAMETER");
    let page = ListSecretVersionsRequest { secret_name: NAME.into(), page_size: 1001, ..Default::default() };
    assert_eq!(refusal::reason(&secrets.list_secret_versions(page).await.unwrap_err()), "BAD_PARAMETER");
}

#[tokio::test]
async fn a_key_refuses_what_it_cannot_do_and_what_it_may_not() {
    let server = Server::start().await;
    let files = Pfx::new(RSA, "-addext keyUsage=digitalSignature");
    server.certificates().await.import_certificate(pem(&files)).await.unwrap();
    let mut keys = server.keys().await;
    let sign = |algorithm: i32, length: usize| SignRequest {
        key_name: NAME.into(),
        algorithm,
        digest: vec![7; length].into(),
        ..SignRequest::default()
    };
    let rs256 = i32::from(SignatureAlgorithm::Rs256);
    for (request, words) in [
        (sign(0, 32), "0 is not an algorithm of this method."),
        (sign(99, 32), "99 is not an algorithm of this method."),
        (sign(SignatureAlgorithm::Es256.into(), 32), "ES256 does not fit the key, which is RSA. Use RS256"),
        (sign(rs256, 31), "31 bytes. RS256 requires 32 bytes"),
        (sign(rs256, 0), "0 bytes. RS256 requires 32 bytes"),
        (sign(rs256, 100_000), "100000 bytes. RS256 requires 32 bytes"),
    ] {
        let refused = keys.sign(request).await.unwrap_err();
        assert_eq!(refusal::reason(&refused), "BAD_PARAMETER");
        assert!(refused.message().contains(words), "{refused}");
    }
    let decrypt = DecryptRequest {
        key_name: NAME.into(),
        algorithm: EncryptionAlgorithm::RsaOaep.into(),
        ciphertext: vec![7; 256].into(),
        ..DecryptRequest::default()
    };
    refusal::is(
        keys.decrypt(decrypt).await,
        "FailedPrecondition: Operation decrypt is not permitted on this key.
         reason: KEY_OPERATION_FORBIDDEN of certmint.v1
         azureCode: Forbidden
         httpStatus: 403
         precondition: KEY_OPERATION_FORBIDDEN web: Operation decrypt is not permitted on this key.",
    );
    let missing = SignRequest { key_name: "none".into(), ..sign(rs256, 32) };
    assert_eq!(refusal::reason(&keys.sign(missing).await.unwrap_err()), "KEY_NOT_FOUND");
    let bad = SignRequest { key_version: "newest".into(), ..sign(rs256, 32) };
    assert_eq!(refusal::reason(&keys.sign(bad).await.unwrap_err()), "BAD_PARAMETER");
}

#[tokio::test]
async fn a_backup_over_the_limit_is_refused_on_its_way_out_and_in() {
    let server = Server::limited(Limits { backup_bytes: 1000, ..Limits::default() }).await;
    let mut certificates = server.certificates().await;
    certificates.import_certificate(pem(&Pfx::new(RSA, ""))).await.unwrap();
    let request = BackupCertificateRequest { certificate_name: NAME.into(), ..Default::default() };
    let refused = certificates.backup_certificate(request).await.unwrap_err();
    assert_eq!(refusal::reason(&refused), "BAD_PARAMETER");
    assert!(refused.message().contains("more than 1000 bytes"), "{refused}");
    let restore = |length: usize| RestoreCertificateRequest { value: vec![1; length].into(), ..Default::default() };
    let refused = certificates.restore_certificate(restore(1001)).await.unwrap_err();
    assert!(refused.message().contains("1001 bytes") && refused.message().contains("up to 1000"), "{refused}");
    let refused = certificates.restore_certificate(restore(1000)).await.unwrap_err();
    assert_eq!(refusal::reason(&refused), "MALFORMED_BACKUP");
}

/// Calls that read nothing leave nothing of what they brought in an error.
#[tokio::test]
async fn no_refusal_holds_a_password_or_a_key() {
    let server = Server::start().await;
    let files = Pfx::new(P256, "");
    let secret = files.text("key.pem").lines().nth(1).unwrap().to_owned();
    let mut certificates = server.certificates().await;
    let damaged = files.pem().replace("END CERTIFICATE", "END NOTHING");
    for request in [
        import(Some(Bundle::Pem(damaged)), "hunter2"),
        import(Some(Bundle::Pem(files.text("key.pem"))), "hunter2"),
        import(Some(Bundle::Pkcs12(files.read("key.pem").into())), "hunter2"),
    ] {
        let refused = certificates.import_certificate(Request::new(request.clone())).await.unwrap_err();
        for shown in [refusal::shown(&refused), format!("{request:?}")] {
            assert!(!shown.contains("hunter2") && !shown.contains(&secret), "{shown}");
        }
        assert!(!request.encode_to_vec().is_empty());
    }
}
