//! Keys over gRPC, checked with openssl: what was requested, what was exported, what was signed and what was encrypted
//! belong to one key.

use crate::ca::Ca;
use crate::pfx::{P256, Pfx, RSA, digest_of};
use crate::requests;
use crate::server::Server;
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::proto::v1::import_certificate_request::Bundle;
use certmint::proto::v1::secret::Content;
use certmint::proto::v1::*;

const NAME: &str = "web";

async fn import(server: &Server, pfx: &Pfx, exportable: bool) -> Certificate {
    let pkcs12 = STANDARD.decode(pfx.base64("secret", "")).unwrap();
    let request = ImportCertificateRequest {
        certificate_name: NAME.into(),
        bundle: Some(Bundle::Pkcs12(pkcs12.into())),
        password: "secret".into(),
        policy: Some(CertificatePolicy {
            key_properties: Some(KeyProperties { exportable: Some(exportable), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    };
    server.certificates().await.import_certificate(request).await.unwrap().into_inner().certificate.unwrap()
}

async fn secret(server: &Server, form: &str) -> Secret {
    let request = GetSecretRequest { secret_name: NAME.into(), out_content_type: form.into(), ..Default::default() };
    server.secrets().await.get_secret(request).await.unwrap().into_inner().secret.unwrap()
}

async fn sign(server: &Server, algorithm: SignatureAlgorithm, digest: Vec<u8>) -> SignResponse {
    let algorithm = algorithm.into();
    let request = SignRequest { key_name: NAME.into(), algorithm, digest: digest.into(), ..Default::default() };
    server.keys().await.sign(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn the_key_of_a_certificate_is_that_of_its_request_and_signs_for_it() {
    let server = Server::start().await;
    let mut certificates = server.certificates().await;
    let created = certificates.create_certificate(requests::create(NAME, "Unknown")).await.unwrap().into_inner();
    let csr = created.operation.unwrap().csr;
    let files = Pfx::new(P256, "");
    files.write("csr.der", &csr);
    files.openssl("req -inform DER -in csr.der -verify -noout");
    let requested = files.openssl("req -inform DER -in csr.der -pubkey -noout");
    let leaf = Ca::new().sign(&STANDARD.encode(&csr), 30);
    let merged = certificates.merge_certificate(requests::merge(NAME, &[&leaf])).await.unwrap().into_inner();
    let merged = merged.certificate.unwrap();
    files.keep_der(&merged.cer);
    assert_eq!(files.text("pub.pem"), requested);
    let signed = sign(&server, SignatureAlgorithm::Es256, digest_of("ES256", b"message")).await;
    assert_eq!(signed.key_id, merged.key_id);
    files.verify("ES256", b"message", &signed.signature);
}

#[tokio::test]
async fn an_exported_pfx_opens_with_openssl_and_its_key_signs_for_the_certificate() {
    let server = Server::start().await;
    let files = Pfx::new(P256, "");
    let imported = import(&server, &files, true).await;
    files.keep_der(&imported.cer);
    let Some(Content::Pkcs12(pfx)) = secret(&server, "").await.content else { panic!("no PKCS#12") };
    files.write("secret.p12", &pfx);
    files.openssl("pkcs12 -in secret.p12 -passin pass: -nodes -nocerts -out exported.key");
    files.openssl("pkcs12 -in secret.p12 -passin pass: -nokeys -clcerts -out exported.pem");
    assert_eq!(files.openssl("x509 -in exported.pem -pubkey -noout"), files.text("pub.pem"));
    files.write("message", b"message");
    files.openssl("dgst -sha256 -sign exported.key -out signature message");
    let said = files.openssl("dgst -sha256 -verify pub.pem -signature signature message");
    assert!(said.contains("Verified OK"), "{said}");
    // The same key as PEM, in front of its certificate.
    let Some(Content::Pem(text)) = secret(&server, "application/x-pem-file").await.content else { panic!("no PEM") };
    assert!(
        text.starts_with("-----BEGIN PRIVATE KEY-----\n") && !text.contains('\r'),
        "not a PEM that begins with its key"
    );
    files.write("secret.pem", text.as_bytes());
    assert_eq!(files.openssl("pkey -in secret.pem -pubout"), files.text("pub.pem"));
}

#[tokio::test]
async fn a_key_that_is_not_exportable_stays_where_it_is_and_signs_all_the_same() {
    let server = Server::start().await;
    let files = Pfx::new(P256, "");
    let imported = import(&server, &files, false).await;
    files.keep_der(&imported.cer);
    let Some(Content::Pkcs12(pfx)) = secret(&server, "").await.content else { panic!("no PKCS#12") };
    files.write("secret.p12", &pfx);
    let keys = files.openssl("pkcs12 -in secret.p12 -passin pass: -nodes -nocerts");
    assert!(!keys.contains("PRIVATE KEY"), "a key left");
    let Some(Content::Pem(text)) = secret(&server, "application/x-pem-file").await.content else { panic!("no PEM") };
    assert!(!text.contains("PRIVATE KEY"), "a key left");
    let signed = sign(&server, SignatureAlgorithm::Es256, digest_of("ES256", b"message")).await;
    files.verify("ES256", b"message", &signed.signature);
}

#[tokio::test]
async fn signatures_of_every_algorithm_verify_with_openssl() {
    use SignatureAlgorithm::{Es256, Es256k, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
    for (key, algorithms) in [
        (
            RSA,
            &[
                (Rs256, "RS256"),
                (Rs384, "RS384"),
                (Rs512, "RS512"),
                (Ps256, "PS256"),
                (Ps384, "PS384"),
                (Ps512, "PS512"),
            ][..],
        ),
        (P256, &[(Es256, "ES256")]),
        ("ec -pkeyopt ec_paramgen_curve:P-384", &[(Es384, "ES384")]),
        ("ec -pkeyopt ec_paramgen_curve:P-521", &[(Es512, "ES512")]),
        ("ec -pkeyopt ec_paramgen_curve:secp256k1", &[(Es256k, "ES256K")]),
    ] {
        let server = Server::start().await;
        let files = Pfx::new(key, "");
        let imported = import(&server, &files, false).await;
        files.keep_der(&imported.cer);
        for (algorithm, name) in algorithms {
            let digest = digest_of(name, b"message");
            let signature = sign(&server, *algorithm, digest.clone()).await.signature;
            files.verify(name, b"message", &signature);
            for (signature, valid) in [(signature.clone(), true), (signature.slice(1..), false), ("x".into(), false)] {
                let request = VerifyRequest {
                    key_name: NAME.into(),
                    algorithm: (*algorithm).into(),
                    digest: digest.clone().into(),
                    signature,
                    ..Default::default()
                };
                assert_eq!(server.keys().await.verify(request).await.unwrap().into_inner().valid, valid, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn what_openssl_encrypts_is_decrypted_and_the_other_way_round() {
    let server = Server::start().await;
    let files = Pfx::new(RSA, "");
    let imported = import(&server, &files, false).await;
    files.keep_der(&imported.cer);
    files.write("plain", b"a text");
    let mut keys = server.keys().await;
    let (key_name, key_version) = (NAME.to_owned(), imported.certificate_version.clone());
    for (algorithm, options) in [
        (EncryptionAlgorithm::Rsa15, "-pkeyopt rsa_padding_mode:pkcs1"),
        (EncryptionAlgorithm::RsaOaep, "-pkeyopt rsa_padding_mode:oaep"),
        (
            EncryptionAlgorithm::RsaOaep256,
            "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt rsa_mgf1_md:sha256",
        ),
    ] {
        let algorithm = algorithm.into();
        files.openssl(&format!("pkeyutl -encrypt -pubin -inkey pub.pem -in plain -out foreign {options}"));
        let request = DecryptRequest {
            key_name: key_name.clone(),
            key_version: key_version.clone(),
            algorithm,
            ciphertext: files.read("foreign").into(),
            ..Default::default()
        };
        assert_eq!(keys.decrypt(request).await.unwrap().into_inner().plaintext, &b"a text"[..]);
        let request =
            WrapKeyRequest { key_name: key_name.clone(), algorithm, key: (&b"a key"[..]).into(), ..Default::default() };
        let wrapped = keys.wrap_key(request).await.unwrap().into_inner();
        assert_eq!(wrapped.key_id, imported.key_id);
        files.write("wrapped", &wrapped.encrypted_key);
        files.openssl(&format!("pkeyutl -decrypt -inkey key.pem -in wrapped -out opened {options}"));
        assert_eq!(files.read("opened"), b"a key");
    }
}

#[tokio::test]
async fn a_backup_brings_the_key_back_into_another_vault() {
    let server = Server::start().await;
    let files = Pfx::new(P256, "");
    let imported = import(&server, &files, false).await;
    files.keep_der(&imported.cer);
    let mut certificates = server.certificates().await;
    let request = BackupCertificateRequest { certificate_name: NAME.into(), ..Default::default() };
    let value = certificates.backup_certificate(request).await.unwrap().into_inner().value;
    // A key in it would show as such.
    let key = files.openssl("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
    assert_eq!(key, "");
    let secret = &files.read("key.der")[40..60];
    assert!(!value.windows(secret.len()).any(|window| window == secret), "the key can be read in the backup");
    let request = RestoreCertificateRequest { vault_name: "elsewhere".into(), value };
    let restored = certificates.restore_certificate(request).await.unwrap().into_inner().certificate.unwrap();
    assert_eq!((restored.cer, restored.vault_name.as_str()), (imported.cer, "elsewhere"));
    let request = SignRequest {
        vault_name: "elsewhere".into(),
        key_name: NAME.into(),
        algorithm: SignatureAlgorithm::Es256.into(),
        digest: digest_of("ES256", b"message").into(),
        ..Default::default()
    };
    let signed = server.keys().await.sign(request).await.unwrap().into_inner();
    files.verify("ES256", b"message", &signed.signature);
}
