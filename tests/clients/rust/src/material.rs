//! Import, secrets and keys, with the cryptography of aws-lc.

use crate::authority::{parse, public_key, self_signed};
use crate::harness::*;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, EcdsaKeyPair, RsaKeyPair, UnparsedPublicKey, VerificationAlgorithm};
use aws_lc_rs::{digest, rsa};
use azure_core::base64;
use azure_security_keyvault_certificates::models::*;
use azure_security_keyvault_keys::KeyClient;
use azure_security_keyvault_keys::models as keys;
use azure_security_keyvault_secrets::models as secrets;
use futures::TryStreamExt;
use p12_keystore::{Certificate as P12Certificate, KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use std::io::Write;
use std::process::{Command, Stdio};

const MESSAGE: &[u8] = b"thirty-two bytes of a secret key";

fn rsa_key() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

/// An import of a key with a certificate of its own.
pub(crate) fn pfx(name: &str, key: &KeyPair, password: &str) -> ImportCertificateParameters {
    let certificate = P12Certificate::from_der(&self_signed(name, key)).unwrap();
    let chain = PrivateKeyChain::new(vec![1], PrivateKey::from_der(key.serialized_der()).unwrap(), [certificate]);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    ImportCertificateParameters {
        base64_encoded_certificate: Some(base64::encode(store.writer(password).write().unwrap())),
        password: Some(password.into()),
        ..Default::default()
    }
}

/// Checks that a PKCS#8 key belongs to a certificate, by a signature.
fn signs(key: &[u8], certificate: &[u8]) {
    let (point, random) = (parse(certificate).public_key().subject_public_key.data.to_vec(), SystemRandom::new());
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, key) {
        let signature = pair.sign(&random, MESSAGE).unwrap();
        verifies(&signature::ECDSA_P256_SHA256_ASN1, &point, signature.as_ref());
    } else {
        let pair = RsaKeyPair::from_pkcs8(key).unwrap();
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&signature::RSA_PKCS1_SHA256, &random, MESSAGE, &mut signature).unwrap();
        verifies(&signature::RSA_PKCS1_2048_8192_SHA256, &point, &signature);
    }
}

#[track_caller]
fn verifies(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], signature: &[u8]) {
    UnparsedPublicKey::new(algorithm, key).verify(MESSAGE, signature).unwrap();
}

/// The secret is a PFX without a password; its key signs for its certificate.
fn opens(value: &str, certificate: &[u8]) {
    let file = base64::decode(value).unwrap();
    // p12-keystore knows no file without any password, as Key Vault writes it; OpenSSL does.
    let der = |commands: &str| {
        let commands = format!("openssl pkcs12 -passin pass: -nodes {commands}");
        let mut openssl =
            Command::new("sh").args(["-c", &commands]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        openssl.stdin.take().unwrap().write_all(&file).unwrap();
        let output = openssl.wait_with_output().unwrap();
        assert!(output.status.success());
        output.stdout
    };
    assert_eq!(der("-clcerts -nokeys | openssl x509 -outform DER"), certificate);
    signs(&der("-nocerts | openssl pkcs8 -topk8 -nocrypt -outform DER"), certificate);
}

#[tokio::test]
async fn a_pfx_goes_in_and_comes_out_with_its_key() {
    for (name, key) in [("rsa", rsa_key()), ("ec", KeyPair::generate().unwrap())] {
        let import = pfx(name, &key, "secret").try_into().unwrap();
        let imported = certificates("rust-apis").import_certificate(name, import, None).await.unwrap();
        let imported = imported.into_model().unwrap();
        let der = imported.cer.unwrap();
        assert_eq!(parse(&der).subject().to_string(), format!("CN={name}"));
        let subject = imported.policy.unwrap().x509_certificate_properties.unwrap().subject;
        assert_eq!(subject, Some(format!("CN={name}")));
        let thumbprint = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &der);
        assert_eq!(imported.x509_thumbprint.as_deref(), Some(thumbprint.as_ref()));

        let version = imported.sid.unwrap().rsplit('/').next().map(ToOwned::to_owned);
        let options = secrets::SecretClientGetSecretOptions { secret_version: version, ..Default::default() };
        let secret = secrets("rust-apis").get_secret(name, Some(options)).await.unwrap();
        let secret = secret.into_model().unwrap();
        assert_eq!((secret.content_type.as_deref(), secret.managed), (Some("application/x-pkcs12"), Some(true)));
        opens(&secret.value.unwrap(), &der);
    }
}

#[tokio::test]
async fn pem_goes_in_and_comes_out() {
    let key = KeyPair::generate().unwrap();
    let der = self_signed("pem", &key);
    let text = format!("{}{}", key.serialize_pem().replace("\r\n", "\n"), pem("CERTIFICATE", &der));
    let import = ImportCertificateParameters {
        base64_encoded_certificate: Some(text),
        certificate_policy: Some(CertificatePolicy {
            secret_properties: Some(SecretProperties { content_type: Some("application/x-pem-file".into()) }),
            ..policy("Unknown", "pem")
        }),
        ..Default::default()
    };
    certificates("rust-apis").import_certificate("pem", import.try_into().unwrap(), None).await.unwrap();
    let secret = secrets("rust-apis").get_secret("pem", None).await.unwrap().into_model().unwrap();
    assert_eq!(secret.content_type.as_deref(), Some("application/x-pem-file"));
    holds(&secret.value.unwrap(), &der);
}

#[tokio::test]
async fn a_created_certificate_is_a_secret_in_both_forms() {
    let der = issue(&certificates("rust-apis"), "created").await.cer.unwrap();
    let reader = secrets("rust-apis");
    opens(&reader.get_secret("created", None).await.unwrap().into_model().unwrap().value.unwrap(), &der);
    let options = secrets::SecretClientGetSecretOptions {
        out_content_type: Some(secrets::ContentType::Pem),
        ..Default::default()
    };
    let secret = reader.get_secret("created", Some(options)).await.unwrap().into_model().unwrap();
    holds(&secret.value.unwrap(), &der);
}

/// The text is a key and then its certificate.
fn holds(text: &str, certificate: &[u8]) {
    let blocks = x509_parser::pem::Pem::iter_from_buffer(text.as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let [key, leaf] = blocks.as_slice() else { panic!("{} blocks", blocks.len()) };
    assert_eq!((key.label.as_str(), leaf.label.as_str()), ("PRIVATE KEY", "CERTIFICATE"));
    assert_eq!(leaf.contents, certificate);
    signs(&key.contents, certificate);
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = base64::encode(der);
    let lines = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[tokio::test]
async fn secrets_and_keys_are_listed_as_managed() {
    let client = certificates("rust-listed");
    for name in ["one", "one", "two"] {
        issue(&client, name).await;
    }
    let (reader, signer) = (secrets("rust-listed"), keys("rust-listed"));
    let in_secrets = reader.list_secret_properties(None).unwrap().try_collect::<Vec<_>>().await.unwrap();
    let in_keys = signer.list_key_properties(None).unwrap().try_collect::<Vec<_>>().await.unwrap();
    let ids = |api: &str| ["one", "two"].map(|name| Some(format!("{}/{api}/{name}", address("rust-listed"))));
    assert_eq!(in_secrets.iter().map(|item| item.id.clone()).collect::<Vec<_>>(), ids("secrets"));
    assert_eq!(in_keys.iter().map(|item| item.kid.clone()).collect::<Vec<_>>(), ids("keys"));
    assert!(in_secrets.iter().all(|item| item.managed == Some(true)));
    assert!(in_keys.iter().all(|item| item.managed == Some(true)));
    let versions = reader.list_secret_properties_versions("one", None).unwrap();
    assert_eq!(versions.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    let versions = signer.list_key_properties_versions("one", None).unwrap();
    assert_eq!(versions.try_collect::<Vec<_>>().await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_wrong_is_refused() {
    let vault = "rust-refused";
    let (client, reader, signer) = (certificates(vault), secrets(vault), keys(vault));
    let mut wrong = pfx("wrong", &KeyPair::generate().unwrap(), "secret");
    wrong.password = Some("other".into());
    let error = client.import_certificate("wrong", wrong.try_into().unwrap(), None).await;
    assert!(refused(error, 400, "BadParameter").message.unwrap().contains("The password is wrong"));
    refused(reader.get_secret("none", None).await, 404, "SecretNotFound");
    refused(signer.get_key("none", None).await, 404, "KeyNotFound");

    issue(&client, "owned").await;
    let value = secrets::SetSecretParameters { value: Some("x".into()), ..Default::default() };
    let error = refused(reader.set_secret("owned", value.try_into().unwrap(), None).await, 403, "Forbidden");
    assert_eq!(error.inner_error.unwrap().code.as_deref(), Some("SecretManagedByKeyVault"));
    let key = keys::CreateKeyParameters { kty: Some(keys::KeyType::Rsa), ..Default::default() };
    refused(signer.create_key("owned", key.try_into().unwrap(), None).await, 403, "Forbidden");
    let disable = UpdateCertificatePropertiesParameters {
        certificate_attributes: Some(CertificateAttributes { enabled: Some(false), ..Default::default() }),
        ..Default::default()
    };
    client.update_certificate_properties("owned", disable.try_into().unwrap(), None).await.unwrap();
    let error = refused(reader.get_secret("owned", None).await, 403, "Forbidden");
    assert_eq!(error.inner_error.unwrap().code.as_deref(), Some("SecretDisabled"));
    refused(create(&client, "not_a_name", policy("Self", "x")).await, 400, "BadParameter");
}

/// Signs, and lets the server verify, a damaged signature too.
async fn signed(
    client: &KeyClient,
    name: &str,
    algorithm: &keys::SignatureAlgorithm,
    hash: &'static digest::Algorithm,
) -> Vec<u8> {
    let digest = digest::digest(hash, MESSAGE).as_ref().to_vec();
    let parameters =
        keys::SignParameters { algorithm: Some(algorithm.clone()), value: Some(digest.clone()) }.try_into().unwrap();
    let answer = client.sign(name, parameters, None).await.unwrap().into_model().unwrap();
    let version = answer.kid.unwrap().rsplit('/').next().unwrap().to_owned();
    let signature = answer.result.unwrap();
    let mut damaged = signature.clone();
    *damaged.last_mut().unwrap() ^= 1;
    for (candidate, genuine) in [(&signature, true), (&damaged, false)] {
        let parameters = keys::VerifyParameters {
            algorithm: Some(algorithm.clone()),
            digest: Some(digest.clone()),
            signature: Some(candidate.clone()),
        };
        let verdict = client.verify(name, &version, parameters.try_into().unwrap(), None).await.unwrap();
        assert_eq!(verdict.into_model().unwrap().value, Some(genuine));
    }
    signature
}

#[tokio::test]
async fn an_rsa_key_signs_and_verifies() {
    let key = rsa_key();
    let import = pfx("rsa", &key, "secret").try_into().unwrap();
    let imported =
        certificates("rust-keys").import_certificate("rsa", import, None).await.unwrap().into_model().unwrap();
    let der = imported.cer.unwrap();
    let public = parse(&der).public_key().subject_public_key.data.to_vec();
    let client = keys("rust-keys");
    let read = client.get_key("rsa", None).await.unwrap().into_model().unwrap().key.unwrap();
    let parsed = rsa::PublicKey::from_der(&public).unwrap();
    assert_eq!(read.n.unwrap(), parsed.modulus().big_endian_without_leading_zero());
    use keys::SignatureAlgorithm as Name;
    let (sha256, sha384, sha512) = (&digest::SHA256, &digest::SHA384, &digest::SHA512);
    let all: [(Name, _, &'static dyn VerificationAlgorithm); 6] = [
        (Name::Rs256, sha256, &signature::RSA_PKCS1_2048_8192_SHA256),
        (Name::Rs384, sha384, &signature::RSA_PKCS1_2048_8192_SHA384),
        (Name::Rs512, sha512, &signature::RSA_PKCS1_2048_8192_SHA512),
        (Name::Ps256, sha256, &signature::RSA_PSS_2048_8192_SHA256),
        (Name::Ps384, sha384, &signature::RSA_PSS_2048_8192_SHA384),
        (Name::Ps512, sha512, &signature::RSA_PSS_2048_8192_SHA512),
    ];
    for (name, hash, algorithm) in all {
        verifies(algorithm, &public, &signed(&client, "rsa", &name, hash).await);
    }
}

#[tokio::test]
async fn an_ec_key_signs_and_verifies() {
    use keys::SignatureAlgorithm as Name;
    let all: [(&str, CurveName, Name, _, &'static dyn VerificationAlgorithm); 4] = [
        ("p256", CurveName::P256, Name::Es256, &digest::SHA256, &signature::ECDSA_P256_SHA256_FIXED),
        ("p384", CurveName::P384, Name::Es384, &digest::SHA384, &signature::ECDSA_P384_SHA384_FIXED),
        ("p521", CurveName::P521, Name::Es512, &digest::SHA512, &signature::ECDSA_P521_SHA512_FIXED),
        ("p256k", CurveName::P256K, Name::Es256K, &digest::SHA256, &signature::ECDSA_P256K1_SHA256_FIXED),
    ];
    let client = keys("rust-keys");
    for (name, curve, algorithm, hash, verification) in all {
        let mut chosen = policy("Self", name);
        chosen.key_properties.as_mut().unwrap().curve = Some(curve);
        let certificate = begin(&certificates("rust-keys"), name, chosen).await.unwrap().into_model().unwrap();
        let point = parse(certificate.cer.as_ref().unwrap()).public_key().subject_public_key.data.to_vec();
        let read = client.get_key(name, None).await.unwrap().into_model().unwrap().key.unwrap();
        assert_eq!([vec![4], read.x.unwrap(), read.y.unwrap()].concat(), point);
        verifies(verification, &point, &signed(&client, name, &algorithm, hash).await);
    }
}

#[tokio::test]
async fn an_rsa_key_encrypts_and_wraps() {
    let key = rsa_key();
    let import = pfx("wrap", &key, "secret").try_into().unwrap();
    let imported =
        certificates("rust-keys").import_certificate("wrap", import, None).await.unwrap().into_model().unwrap();
    let version = imported.kid.unwrap().rsplit('/').next().unwrap().to_owned();
    let here = Here { public: public_key(&imported.cer.unwrap()), private: key.serialize_der() };
    let client = keys("rust-keys");
    use keys::EncryptionAlgorithm as Name;
    for algorithm in [Name::RsaOaep, Name::RsaOaep256, Name::Rsa1_5] {
        let with = |value: Vec<u8>| {
            keys::KeyOperationParameters {
                algorithm: Some(algorithm.clone()),
                value: Some(value),
                ..Default::default()
            }
            .try_into()
            .unwrap()
        };
        let sealed = here.seal(&algorithm);
        let opened = client.decrypt("wrap", &version, with(sealed.clone()), None).await.unwrap();
        assert_eq!(opened.into_model().unwrap().result.as_deref(), Some(MESSAGE));
        let unwrapped = client.unwrap_key("wrap", &version, with(sealed), None).await.unwrap();
        assert_eq!(unwrapped.into_model().unwrap().result.as_deref(), Some(MESSAGE));
        let encrypted = client.encrypt("wrap", with(MESSAGE.to_vec()), None).await.unwrap();
        assert_eq!(here.open(&algorithm, &encrypted.into_model().unwrap().result.unwrap()), MESSAGE);
        let wrapped = client.wrap_key("wrap", with(MESSAGE.to_vec()), None).await.unwrap();
        assert_eq!(here.open(&algorithm, &wrapped.into_model().unwrap().result.unwrap()), MESSAGE);
    }
}

/// Both halves of an RSA key, used without the server.
struct Here {
    public: Vec<u8>,
    private: Vec<u8>,
}

impl Here {
    fn seal(&self, algorithm: &keys::EncryptionAlgorithm) -> Vec<u8> {
        let (key, mut out) = (rsa::PublicEncryptingKey::from_der(&self.public).unwrap(), vec![0; 256]);
        let length = match oaep(algorithm) {
            Some(form) => {
                let key = rsa::OaepPublicEncryptingKey::new(key).unwrap();
                key.encrypt(form, MESSAGE, &mut out, None).unwrap().len()
            }
            None => rsa::Pkcs1PublicEncryptingKey::new(key).unwrap().encrypt(MESSAGE, &mut out).unwrap().len(),
        };
        out.truncate(length);
        out
    }

    fn open(&self, algorithm: &keys::EncryptionAlgorithm, sealed: &[u8]) -> Vec<u8> {
        let (key, mut out) = (rsa::PrivateDecryptingKey::from_pkcs8(&self.private).unwrap(), vec![0; 256]);
        let length = match oaep(algorithm) {
            Some(form) => {
                let key = rsa::OaepPrivateDecryptingKey::new(key).unwrap();
                key.decrypt(form, sealed, &mut out, None).unwrap().len()
            }
            None => rsa::Pkcs1PrivateDecryptingKey::new(key).unwrap().decrypt(sealed, &mut out).unwrap().len(),
        };
        out.truncate(length);
        out
    }
}

fn oaep(algorithm: &keys::EncryptionAlgorithm) -> Option<&'static rsa::OaepAlgorithm> {
    match algorithm {
        keys::EncryptionAlgorithm::RsaOaep => Some(&rsa::OAEP_SHA1_MGF1SHA1),
        keys::EncryptionAlgorithm::RsaOaep256 => Some(&rsa::OAEP_SHA256_MGF1SHA256),
        _ => None,
    }
}
