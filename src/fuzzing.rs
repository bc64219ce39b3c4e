//! Entry points for fuzzing: they parse untrusted input as the server does and drop the result. Used by `make fuzz` and
//! by the tests that run the same bytes. Each function returns whether the bytes were accepted.

use crate::domain::policy::{ContentType, Policy};
use crate::domain::{PolicyInput, RequestId, Timestamp, VaultName, Version};
use crate::keys::certificate::{self, Request};
use crate::keys::{
    CallerCertificate, ImportLimits, KeyPair, MasterKeys, Sealer, backup as form, chain, import, jwk, request_reader,
    rounds,
};
use crate::{domain, service, transport};
use der::asn1::BitString;
use der::{Decode, Encode};
use std::sync::{Arc, OnceLock};
use x509_cert::request::{CertReq, CertReqInfo};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

/// A kind of input. Its seeds are the files of `tests/data/seeds/{name}`.
#[derive(Clone, Copy)]
pub struct Target {
    pub name: &'static str,
    pub read: fn(&[u8]) -> bool,
}

/// Every kind of input; `fuzz/Cargo.toml` has a target of the same name for each.
pub const TARGETS: [Target; 13] = [
    Target { name: "backup", read: backup },
    Target { name: "backup_inside", read: backup_inside },
    Target { name: "csr", read: csr },
    Target { name: "json", read: json },
    Target { name: "jwks", read: jwks },
    Target { name: "jwt", read: jwt },
    Target { name: "pem", read: pem },
    Target { name: "pfx", read: pfx },
    Target { name: "pkcs7", read: pkcs7 },
    Target { name: "protobuf", read: protobuf },
    Target { name: "record", read: record },
    Target { name: "token", read: token },
    Target { name: "x509", read: x509 },
];

/// The master key that the seeds of `backup` were sealed with. It guards nothing else.
pub const MASTER_KEY: &str = "fuzzing AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The password of the seeds that have one.
const PASSWORD: &str = "secret";

/// All inputs are read at one instant, so that each does the same whenever it is read.
fn now() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000)
}

/// A PKCS#12 file in DER or whatever else is read in its place, as an import and as a chain, with a password and
/// without.
pub fn pfx(bytes: &[u8]) -> bool {
    let imported = [PASSWORD, ""].map(|password| imports(bytes, password));
    imported.contains(&true) | parse(bytes).is_ok()
}

/// PEM text, or base64 of it, as an import and as a chain.
pub fn pem(bytes: &[u8]) -> bool {
    let imported = [PASSWORD, ""].map(|password| imports(bytes, password));
    imported.contains(&true) | parse(bytes).is_ok()
}

fn imports(bytes: &[u8], password: &str) -> bool {
    rounds::asked_for([bytes], ImportLimits::default().rounds);
    let Ok(import::Imported { key, chain, facts, form }) =
        import::read(bytes, password, false, now(), ImportLimits::default())
    else {
        return false;
    };
    let policy = PolicyInput::default().imported(&facts, form, now());
    // What is kept of it has to be readable again.
    policy.is_ok() && jwk::of_certificate(&chain.leaf).is_ok() && KeyPair::from_pkcs8(&key.to_pkcs8()).is_ok()
}

fn parse(bytes: &[u8]) -> domain::Result<Vec<Vec<u8>>> {
    chain::parse(&[bytes.to_vec()], ImportLimits::default())
}

/// Certificates in a PKCS#7 file.
pub fn pkcs7(bytes: &[u8]) -> bool {
    parse(bytes).is_ok()
}

/// Certificates in any form: each of them is taken for the leaf of the others, and for that of a caller.
pub fn x509(bytes: &[u8]) -> bool {
    let mut read = CallerCertificate::read(bytes).is_ok();
    let Ok(certificates) = parse(bytes) else { return read };
    for leaf in certificates.iter().take(4) {
        read |= CallerCertificate::read(leaf).is_ok();
        let Some(request) = request_of(leaf) else { continue };
        for preserve_order in [false, true] {
            let merged = chain::merge_order(&certificates, &request, preserve_order, now());
            read |= merged.is_ok_and(|merged| jwk::of_certificate(&merged.leaf).is_ok());
        }
        read |= chain::check_issued(&certificates, &request, policy(), now()).is_ok();
    }
    read
}

/// A request for the key of a certificate. No one checks its signature: it stands for our own.
fn request_of(leaf: &[u8]) -> Option<Vec<u8>> {
    let public_key = SubjectPublicKeyInfoOwned::from_der(&jwk::of_certificate(leaf).ok()?.der).ok()?;
    let algorithm = public_key.algorithm.clone();
    let version = x509_cert::request::Version::V1;
    let info = CertReqInfo { version, subject: Default::default(), public_key, attributes: Default::default() };
    CertReq { info, algorithm, signature: BitString::from_bytes(&[]).ok()? }.to_der().ok()
}

/// A certificate signing request: read as a caller's own, and its key gets a certificate, which is then merged.
pub fn csr(bytes: &[u8]) -> bool {
    let as_chain = parse(bytes);
    if let Ok(facts) = request_reader::der(bytes).and_then(|der| request_reader::read(&der)) {
        // What is made of it is a policy that can be signed.
        let made = PolicyInput::default().requested(&facts, now());
        debug_assert!(made.is_err() || made.is_ok_and(|policy| !policy.key.exportable && policy.judge().is_ok()));
    }
    debug_assert!(as_chain.is_err() || CertReq::from_der(bytes).is_err(), "a request is no certificate");
    let Ok(public_key) = certificate::requested_key(bytes) else { return false };
    let (request_id, version) = (RequestId::from_uuid(uuid::Uuid::nil()), Version::from_uuid(uuid::Uuid::nil()));
    let request = Request { policy: policy(), public_key: &public_key, request_id, version, created: now() };
    certificate::self_signed(&request, signer())
        .is_ok_and(|leaf| chain::merge_order(&[leaf], bytes, false, now()).is_ok())
}

/// The body of a request over REST, as every kind of body that there is.
pub fn json(bytes: &[u8]) -> bool {
    transport::rest::reads_a_body(bytes, policy(), now())
}

/// A message of the gRPC contract, as every kind of request that holds more than names.
pub fn protobuf(bytes: &[u8]) -> bool {
    transport::grpc::reads_a_message(bytes, policy(), now())
}

/// A backup as it is sent.
pub fn backup(bytes: &[u8]) -> bool {
    service::reads_a_backup(sealer(), bytes, &VaultName::default_vault())
}

/// What stands inside of a backup: what is sealed by somebody who has the master key.
pub fn backup_inside(bytes: &[u8]) -> bool {
    form::enclose(sealer(), bytes).is_ok_and(|sealed| backup(&sealed))
}

/// A record of a store: its key on the first line, then its body.
pub fn record(bytes: &[u8]) -> bool {
    service::reads_a_record(sealer(), bytes)
}

/// A token of another issuer, in its parts.
pub fn jwt(bytes: &[u8]) -> bool {
    crate::jwt::reads_token(bytes)
}

/// The keys of an issuer.
pub fn jwks(bytes: &[u8]) -> bool {
    crate::jwt::reads_key_set(bytes)
}

/// The token of a page of a list, or of a place in a watch.
pub fn token(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|token| {
        service::reads_a_page_token(sealer(), token) | service::watch::reads_a_resume_token(EPOCH, token)
    })
}

/// The log of the seeds of `token`.
const EPOCH: &str = "fuzzing";

fn sealer() -> &'static Arc<Sealer> {
    static SEALER: OnceLock<Arc<Sealer>> = OnceLock::new();
    SEALER.get_or_init(|| {
        Arc::new(Sealer::new(MasterKeys::from_text(MASTER_KEY).unwrap_or_else(|_| MasterKeys::random())))
    })
}

#[expect(clippy::expect_used, reason = "no input reaches it, and every test of this file calls it")]
fn signer() -> &'static KeyPair {
    static KEY: OnceLock<KeyPair> = OnceLock::new();
    KEY.get_or_init(|| KeyPair::generate(domain::policy::KeyType::P256).expect("a P-256 key can be made"))
}

/// A stored policy, for what is compared with one or changes one.
#[expect(clippy::expect_used, reason = "no input reaches it, and every test of this file calls it")]
fn policy() -> &'static Policy {
    static POLICY: OnceLock<Policy> = OnceLock::new();
    POLICY.get_or_init(|| {
        let input = PolicyInput {
            kty: Some("EC".to_owned()),
            subject: Some("CN=fuzzing.example".to_owned()),
            content_type: Some(ContentType::Pem.media_type().to_owned()),
            ..PolicyInput::default()
        };
        input.complete(now()).expect("the policy is a good one")
    })
}
