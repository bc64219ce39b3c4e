//! Every method of the contract that has a URI, in successes and in refusals. The list of what has to be compared is
//! the contract itself.

use super::compared::{Seen, compare};
use super::face::{Face, Refused, csr, version};
use super::issuer_calls::IssuerInput;
use super::lists::List;
use super::manage::{Change, Import};
use super::policies::{PolicyChange, Wanted};
use super::secrets_and_keys::Use;
use super::translated::GRPC_ALONE;
use crate::ca::Ca;
use crate::requests::OTHER_ID;
use crate::server::{Server, Setup};
use base64::{Engine, engine::general_purpose::STANDARD};
use certmint::domain::{RetentionDays, VaultSettings};
use certmint::service::{Limits, VaultOptions};
use futures_util::FutureExt;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::Path;

const PEM: &str = "application/x-pem-file";
const PFX: &str = "application/x-pkcs12";
const NAME: &str = "web";
/// A name of nothing.
const NONE: &str = "none";

fn seed(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/seeds").join(name)).unwrap()
}

/// A key of RSA with its certificate, which may do everything that such a key can.
fn rsa() -> Vec<u8> {
    crate::pfx::Pfx::new(crate::pfx::RSA, "").pem().into_bytes()
}

fn status(refused: &Refused) -> u16 {
    refused.http
}

async fn imports(face: &mut Face<'_>) {
    let modern = Import { password: "secret", ..Import::default() };
    let imported = face.import(NAME, &seed("pfx/modern.p12"), modern).await.unwrap();
    assert_eq!(imported["cer"], STANDARD.encode(seed("x509/leaf.der")));
    let exported = Import { policy: Some((PEM, true)), preserve_cert_order: Some(true), ..Import::default() };
    face.import(NAME, &seed("pem/plain.pem"), exported).await.unwrap();
    let disabled = Import { enabled: Some(false), ..modern };
    face.import("locked", &seed("pem/locked.pem"), disabled).await.unwrap();
    face.certificate(NAME, "").await.unwrap();
    face.policy(NAME).await.unwrap();
    // And what is refused.
    let wrong = Import { password: "Secret", ..Import::default() };
    for (bundle, import) in [
        (seed("pfx/modern.p12"), wrong),
        (seed("pem/locked.pem"), wrong),
        (seed("x509/leaf.der"), Import::default()),
        (b"-----BEGIN NOTHING-----\n-----END NOTHING-----\n".to_vec(), Import::default()),
        (seed("pem/plain.pem"), Import { policy: Some(("text/plain", true)), ..Import::default() }),
    ] {
        assert_eq!(face.import(NAME, &bundle, import).await.as_ref().map_err(status), Err(400));
    }
    let long = "x".repeat(201);
    face.import(NAME, &seed("pem/plain.pem"), Import { password: &long, ..modern }).await.unwrap_err();
    face.import("bad_name", &seed("pem/plain.pem"), modern).await.unwrap_err();
    face.create("waiting", "Unknown", Wanted::Ec).await.unwrap();
    let taken = face.import("waiting", &seed("pem/plain.pem"), Import::default()).await;
    assert_eq!(taken.as_ref().map_err(status), Err(409));
}

async fn operations(face: &mut Face<'_>) {
    let ca = Ca::new();
    let authority = ca.certificate();
    let created = face.create(NAME, "Unknown", Wanted::Full).await;
    face.create(NAME, "Unknown", Wanted::Full).await.unwrap_err();
    face.cancel(NAME, OTHER_ID).await.unwrap_err();
    face.merge(NAME, &[&authority]).await.unwrap_err();
    let leaf = ca.sign(&csr(&created), 30);
    face.merge(NAME, &[&leaf, &authority]).await.unwrap();
    face.pending(NAME, "").await.unwrap();
    face.certificate(NAME, "").await.unwrap();
    face.pending(NONE, "").await.unwrap_err();
    face.certificate(NONE, "").await.unwrap_err();
    // A new version, by the policy that is there; it goes once more, and is given up.
    let again = face.create_again(NAME).await.unwrap();
    assert_eq!(again["status"], "inProgress");
    face.cancel(NAME, "").await.unwrap();
    assert_eq!(face.ended(NAME).await.unwrap()["status"], "cancelled");
    face.delete(NAME, "").await.unwrap();
    face.delete(NAME, "").await.unwrap_err();
    face.create_again(NONE).await.unwrap_err();
}

async fn new_versions(face: &mut Face<'_>) {
    face.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    let first = face.certificate(NAME, "").await;
    let signs_itself = PolicyChange { issuer: Some("Self"), reuse_key: Some(true), ..PolicyChange::default() };
    face.update_policy(NAME, signs_itself).await.unwrap();
    face.create_again(NAME).await.unwrap();
    assert_eq!(face.ended(NAME).await.unwrap()["status"], "completed");
    let second = face.certificate(NAME, "").await;
    assert_ne!(version(&first), version(&second));
    face.certificate(NAME, &version(&first)).await.unwrap();
    face.list(List::Versions(NAME), 1).await.unwrap();
    // The key is the old one.
    let [old, new] = [face.key(NAME, &version(&first)).await, face.key(NAME, &version(&second)).await];
    assert_eq!(old.unwrap()["key"]["x"], new.unwrap()["key"]["x"]);
}

async fn changes(face: &mut Face<'_>) {
    face.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    let old = version(&face.certificate(NAME, "").await);
    face.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    let tags: &[(&str, &str)] = &[("a", "1"), ("b", "2")];
    let policy = Some(PolicyChange { validity_months: Some(7), ..PolicyChange::default() });
    face.update(NAME, "", Change { tags: Some(tags), enabled: Some(false), ..Change::default() }).await.unwrap();
    face.update(NAME, "", Change { tags: Some(&[]), enabled: Some(true), policy, ..Change::default() }).await.unwrap();
    face.update(NAME, &old, Change { tags: Some(tags), ..Change::default() }).await.unwrap();
    face.update(NAME, &old, Change { policy, ..Change::default() }).await.unwrap();
    face.update(NAME, "", Change { not_before: Some(1), ..Change::default() }).await.unwrap();
    face.update(NAME, "", Change::default()).await.unwrap();
    face.certificate(NAME, "").await.unwrap();
    let names = PolicyChange { dns_names: &["a.example"], issuer: Some("Self"), ..PolicyChange::default() };
    face.update_policy(NAME, names).await.unwrap();
    face.update_policy(NAME, PolicyChange::default()).await.unwrap();
    face.policy(NAME).await.unwrap();
    // And what is refused.
    face.update(NONE, "", Change::default()).await.unwrap_err();
    face.update(NAME, OTHER_ID, Change::default()).await.unwrap_err();
    face.update(NAME, "1", Change::default()).await.unwrap_err();
    let long = "x".repeat(300);
    face.update(NAME, "", Change { tags: Some(&[("a", &long)]), ..Change::default() }).await.unwrap_err();
    for wrong in [
        PolicyChange { validity_months: Some(-1), ..PolicyChange::default() },
        PolicyChange { dns_names: &["not a name"], ..PolicyChange::default() },
    ] {
        face.update_policy(NAME, wrong).await.unwrap_err();
    }
    face.update_policy(NONE, names).await.unwrap_err();
    face.policy(NONE).await.unwrap_err();
}

async fn lists(face: &mut Face<'_>) {
    for name in ["a", "b", "C"] {
        face.import(name, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    }
    face.import("b", &seed("pem/plain.pem"), Import::default()).await.unwrap();
    face.create("early", "Unknown", Wanted::Ec).await.unwrap();
    for include_pending in [false, true] {
        for size in [2, 25] {
            face.list(List::Certificates { include_pending }, size).await.unwrap();
        }
    }
    face.list(List::Secrets, 2).await.unwrap();
    face.list(List::Keys, 2).await.unwrap();
    for list in [List::Versions("b"), List::SecretVersions("b"), List::KeyVersions("b")] {
        assert_eq!(face.list(list, 1).await.unwrap().as_array().unwrap().len(), 2);
    }
    for list in [List::Versions(NONE), List::SecretVersions(NONE), List::KeyVersions(NONE)] {
        assert_eq!(face.list(list, 25).await.unwrap().as_array().unwrap().len(), 0);
    }
    for list in [List::Versions("bad_name"), List::SecretVersions("bad_name"), List::KeyVersions("bad_name")] {
        face.list(list, 25).await.unwrap_err();
    }
    face.remove("a").await.unwrap();
    face.remove("b").await.unwrap();
    face.list(List::Deleted, 1).await.unwrap();
    face.list(List::Certificates { include_pending: false }, 25).await.unwrap();
    face.list(List::Secrets, 25).await.unwrap();
}

async fn deletion(face: &mut Face<'_>) {
    face.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    face.remove(NAME).await.unwrap();
    face.deleted(NAME).await.unwrap();
    for gone in [
        face.certificate(NAME, "").await,
        face.secret(NAME, "", "").await,
        face.key(NAME, "").await,
        face.remove(NAME).await,
        face.policy(NAME).await,
    ] {
        assert_eq!(gone.as_ref().map_err(status), Err(404));
    }
    for taken in [
        face.create(NAME, "Self", Wanted::Ec).await,
        face.import(NAME, &seed("pem/plain.pem"), Import::default()).await,
    ] {
        assert_eq!(taken.as_ref().map_err(status), Err(409));
    }
    face.recover(NAME).await.unwrap();
    face.recover(NAME).await.unwrap_err();
    face.deleted(NAME).await.unwrap_err();
    face.purge(NAME).await.unwrap_err();
    face.remove(NAME).await.unwrap();
    face.purge(NAME).await.unwrap();
    face.purge(NAME).await.unwrap_err();
    face.remove(NONE).await.unwrap_err();
    // One that was never completed takes its operation along, and brings it back.
    face.create("early", "Unknown", Wanted::Ec).await.unwrap();
    face.remove("early").await.unwrap();
    face.pending("early", "").await.unwrap_err();
    face.recover("early").await.unwrap();
    face.pending("early", "").await.unwrap();
}

async fn backups(face: &mut Face<'_>) {
    let exported = Import { policy: Some((PFX, true)), ..Import::default() };
    face.import(NAME, &seed("pem/plain.pem"), exported).await.unwrap();
    face.import(NAME, &seed("pem/plain.pem"), exported).await.unwrap();
    let before = face.certificate(NAME, "").await.unwrap();
    let backup = face.backup(NAME).await.unwrap();
    let taken = face.restore(&backup).await;
    assert_eq!(taken.as_ref().map_err(status), Err(409));
    face.remove(NAME).await.unwrap();
    face.restore(&backup).await.unwrap_err();
    face.purge(NAME).await.unwrap();
    assert_eq!(face.restore(&backup).await.unwrap(), before);
    face.list(List::Versions(NAME), 25).await.unwrap();
    let mut damaged = backup.clone();
    damaged[60] ^= 1;
    for wrong in [&damaged[..], &backup[..30], b"nothing", b"certmint-backup\x07"] {
        face.restore(wrong).await.unwrap_err();
    }
    face.backup(NONE).await.unwrap_err();
    face.create("early", "Unknown", Wanted::Ec).await.unwrap();
    face.backup("early").await.unwrap_err();
}

async fn secrets(face: &mut Face<'_>) {
    for (name, policy) in [("pem", (PEM, true)), ("pfx", (PFX, true)), ("closed", (PFX, false))] {
        let import = Import { policy: Some(policy), ..Import::default() };
        face.import(name, &seed("pem/plain.pem"), import).await.unwrap();
        let version = version(&face.certificate(name, "").await);
        face.secret(name, "", "").await.unwrap();
        face.secret(name, &version, PEM).await.unwrap();
    }
    face.secret("pem", "", PFX).await.unwrap_err();
    face.secret("pfx", OTHER_ID, "").await.unwrap_err();
    face.secret("pfx", "1", "").await.unwrap_err();
    face.secret("bad_name", "", "").await.unwrap_err();
    face.secret(NONE, "", "").await.unwrap_err();
    face.create("early", "Unknown", Wanted::Ec).await.unwrap();
    face.secret("early", "", "").await.unwrap_err();
    face.update("pfx", "", Change { enabled: Some(false), ..Change::default() }).await.unwrap();
    let disabled = face.secret("pfx", "", "").await;
    assert_eq!(disabled.as_ref().map_err(status), Err(403));
}

async fn keys(face: &mut Face<'_>, rsa: &[u8]) {
    face.import("rsa", rsa, Import::default()).await.unwrap();
    face.import("ec", &seed("pem/plain.pem"), Import::default()).await.unwrap();
    let version = version(&face.certificate("rsa", "").await);
    face.key("rsa", &version).await.unwrap();
    face.key("ec", "").await.unwrap();
    for (name, version, alg, length) in [
        ("rsa", "", "RS256", 32),
        ("rsa", &version[..], "RS384", 48),
        ("rsa", "", "RS512", 64),
        ("rsa", "", "PS256", 32),
        ("rsa", "", "PS384", 48),
        ("rsa", "", "PS512", 64),
        ("ec", "", "ES256", 32),
    ] {
        let digest = vec![7; length];
        let signature = face.sign(name, version, alg, &digest).await.unwrap();
        assert_eq!(face.verify(name, alg, &digest, &signature).await.unwrap()["value"], true);
        assert_eq!(face.verify(name, alg, &digest, &signature[1..]).await.unwrap()["value"], false);
    }
    for (there, back) in [(Use::Encrypt, Use::Decrypt), (Use::WrapKey, Use::UnwrapKey)] {
        for alg in ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"] {
            let ciphertext = face.use_key(there, "rsa", alg, b"a text").await.unwrap();
            assert_eq!(face.use_key(back, "rsa", alg, &ciphertext).await.unwrap(), b"a text");
            face.use_key(there, "rsa", alg, &[7; 300]).await.unwrap_err();
            face.use_key(back, "rsa", alg, &ciphertext[1..]).await.unwrap_err();
            face.use_key(there, "ec", alg, b"a text").await.unwrap_err();
            face.use_key(back, NONE, alg, &ciphertext).await.unwrap_err();
        }
        face.use_key(back, "rsa", "RSA-OAEP", &[7; 256]).await.unwrap_err();
    }
    for (name, alg, length) in
        [("rsa", "ES256", 32), ("ec", "RS256", 32), ("ec", "ES384", 48), ("rsa", "RS256", 31), (NONE, "RS256", 32)]
    {
        face.sign(name, "", alg, &vec![7; length]).await.unwrap_err();
        face.verify(name, alg, &vec![7; length], &[7; 64]).await.unwrap_err();
    }
    face.sign("rsa", OTHER_ID, "RS256", &[7; 32]).await.unwrap_err();
    face.key(NONE, "").await.unwrap_err();
    face.key("rsa", "1").await.unwrap_err();
    face.update("ec", "", Change { enabled: Some(false), ..Change::default() }).await.unwrap();
    face.key("ec", "").await.unwrap_err();
    assert_eq!(face.sign("ec", "", "ES256", &[7; 32]).await.as_ref().map_err(status), Err(403));
}

/// Keys may do what the policy says, and nothing else.
async fn key_operations(face: &mut Face<'_>) {
    face.create(NAME, "Self", Wanted::Rsa).await.unwrap();
    face.ended(NAME).await.unwrap();
    face.key(NAME, "").await.unwrap();
    let forbidden = face.use_key(Use::Encrypt, NAME, "RSA-OAEP", b"a text").await;
    assert_eq!(forbidden.as_ref().map_err(status), Err(403));
}

async fn issuers(face: &mut Face<'_>) {
    let test = IssuerInput { provider: "Test", account_id: "hold", password: "hunter2", enabled: None };
    for name in ["c", "a", "B"] {
        face.set_issuer(name, test).await.unwrap();
    }
    face.list(List::Issuers, 2).await.unwrap();
    face.list(List::Issuers, 25).await.unwrap();
    face.update_issuer("A", IssuerInput { enabled: Some(false), ..IssuerInput::default() }).await.unwrap();
    face.issuer("a").await.unwrap();
    face.create(NAME, "a", Wanted::Ec).await.unwrap_err();
    face.delete_issuer("a").await.unwrap();
    face.delete_issuer("a").await.unwrap_err();
    face.issuer("a").await.unwrap_err();
    face.update_issuer("a", test).await.unwrap_err();
    face.set_issuer("Self", test).await.unwrap_err();
    face.set_issuer("bad_name", test).await.unwrap_err();
    face.set_issuer("x", IssuerInput { provider: "Nobody", ..test }).await.unwrap_err();
}

async fn contacts(face: &mut Face<'_>) {
    face.contacts().await.unwrap_err();
    face.delete_contacts().await.unwrap_err();
    face.set_contacts(&[["a@b.example", "A", "1"], ["c@d.example", "", ""]]).await.unwrap();
    face.contacts().await.unwrap();
    face.set_contacts(&[]).await.unwrap();
    face.contacts().await.unwrap();
    face.set_contacts(&[["a@b.example", "", ""], ["", "B", ""]]).await.unwrap_err();
    face.delete_contacts().await.unwrap();
    face.contacts().await.unwrap_err();
}

/// What cannot be refused: with a good token and a good page, a list is answered.
const NEVER_REFUSED: [&str; 5] = [
    "CertificateService.ListCertificates",
    "CertificateService.ListDeletedCertificates",
    "SecretService.ListSecrets",
    "KeyService.ListKeys",
    "CertificateAdminService.ListIssuers",
];

/// Methods without a URI: there is nothing to compare them with.
const WITHOUT_URI: [&str; 5] = [
    "CertificateService.ListPending",
    "CertificateService.WatchPending",
    "VaultService.CreateVault",
    "VaultService.GetVault",
    "VaultService.ListVaults",
];

#[tokio::test]
async fn every_method_with_a_uri_answers_and_refuses_alike() {
    let rsa = rsa();
    let (mut seen, mut failed) = (Vec::new(), Vec::new());
    macro_rules! play {
        ($($scenario:expr),+ $(,)?) => {$(
            let server = Server::start().await;
            // One that fails says so; the others are played all the same.
            match AssertUnwindSafe(compare(&server, $scenario)).catch_unwind().await {
                Ok(compared) => seen.push(compared),
                Err(_) => failed.push(stringify!($scenario)),
            }
        )+};
    }
    play! {
        imports, operations, new_versions, changes, lists, deletion, backups, secrets,
        async |face: &mut Face<'_>| keys(face, &rsa).await, key_operations, issuers, contacts,
    }
    assert!(failed.is_empty(), "these scenarios failed: {failed:?}");
    let methods: BTreeSet<&(String, bool)> = seen.iter().flat_map(|Seen { methods, .. }| methods).collect();
    let mut missing = Vec::new();
    for (name, uris) in certmint::proto::rest_options() {
        let name = name.trim_start_matches("certmint.v1.");
        assert_eq!(uris.is_empty(), WITHOUT_URI.contains(&name), "{name}");
        for (good, needed) in [(true, !uris.is_empty()), (false, !uris.is_empty() && !NEVER_REFUSED.contains(&name))] {
            if needed && !methods.contains(&(name.to_owned(), good)) {
                missing.push(format!("{name}: {}", if good { "a success" } else { "a refusal" }));
            }
        }
    }
    assert!(missing.is_empty(), "not compared:\n{}", missing.join("\n"));

    let left_out: BTreeSet<&str> = seen.iter().flat_map(|Seen { left_out, .. }| left_out).copied().collect();
    assert_eq!(left_out, BTreeSet::from(GRPC_ALONE));
    let page = include_str!("../../../docs/api.md");
    for name in GRPC_ALONE {
        let member = name.split_once('.').unwrap().1;
        assert!(member.split(" and ").all(|member| page.contains(&format!("`{member}`"))), "docs/api.md: {name}");
    }
}

#[tokio::test]
async fn a_protected_vault_is_protected_on_both_faces() {
    let defaults = VaultSettings { retention_days: RetentionDays::new(7).unwrap(), purge_protection: true };
    let vaults = VaultOptions { defaults, ..VaultOptions::default() };
    let limits = Limits { vaults, ..Limits::default() };
    let server = Server::with(Setup { limits, ..Setup::default() }).await;
    compare(&server, async |face| {
        face.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
        face.remove(NAME).await.unwrap();
        assert_eq!(face.purge(NAME).await.as_ref().map_err(status), Err(403));
        face.recover(NAME).await.unwrap();
    })
    .await;
}
