//! Every method of the contract that has a URI, in successes and in refusals. The list of what has to be compared is
//! the contract itself.

use super::api::{Api, Refused, csr, version};
use super::compared::{Seen, compare};
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
use certmint::domain::RetentionDays;
use certmint::service::{ServiceOptions, VaultOptions};
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

async fn imports(api: &mut Api<'_>) {
    let modern = Import { password: "secret", ..Import::default() };
    let imported = api.import(NAME, &seed("pfx/modern.p12"), modern).await.unwrap();
    assert_eq!(imported["cer"], STANDARD.encode(seed("x509/leaf.der")));
    let exported = Import { policy: Some((PEM, true)), preserve_cert_order: Some(true), ..Import::default() };
    api.import(NAME, &seed("pem/plain.pem"), exported).await.unwrap();
    let disabled = Import { enabled: Some(false), ..modern };
    api.import("locked", &seed("pem/locked.pem"), disabled).await.unwrap();
    api.certificate(NAME, "").await.unwrap();
    api.policy(NAME).await.unwrap();
    // And what is refused.
    let wrong = Import { password: "Secret", ..Import::default() };
    for (bundle, import) in [
        (seed("pfx/modern.p12"), wrong),
        (seed("pem/locked.pem"), wrong),
        (seed("x509/leaf.der"), Import::default()),
        (b"-----BEGIN NOTHING-----\n-----END NOTHING-----\n".to_vec(), Import::default()),
        (seed("pem/plain.pem"), Import { policy: Some(("text/plain", true)), ..Import::default() }),
    ] {
        assert_eq!(api.import(NAME, &bundle, import).await.as_ref().map_err(status), Err(400));
    }
    let long = "x".repeat(201);
    api.import(NAME, &seed("pem/plain.pem"), Import { password: &long, ..modern }).await.unwrap_err();
    api.import("bad_name", &seed("pem/plain.pem"), modern).await.unwrap_err();
    api.create("waiting", "Unknown", Wanted::Ec).await.unwrap();
    let taken = api.import("waiting", &seed("pem/plain.pem"), Import::default()).await;
    assert_eq!(taken.as_ref().map_err(status), Err(409));
}

async fn operations(api: &mut Api<'_>) {
    let ca = Ca::new();
    let authority = ca.certificate();
    let created = api.create(NAME, "Unknown", Wanted::Full).await;
    api.create(NAME, "Unknown", Wanted::Full).await.unwrap_err();
    api.cancel(NAME, OTHER_ID).await.unwrap_err();
    api.merge(NAME, &[&authority]).await.unwrap_err();
    let leaf = ca.sign(&csr(&created), 30);
    api.merge(NAME, &[&leaf, &authority]).await.unwrap();
    api.pending(NAME, "").await.unwrap();
    api.certificate(NAME, "").await.unwrap();
    api.pending(NONE, "").await.unwrap_err();
    api.certificate(NONE, "").await.unwrap_err();
    // A new version, by the policy that is there; it goes once more, and is given up.
    let again = api.create_again(NAME).await.unwrap();
    assert_eq!(again["status"], "inProgress");
    api.cancel(NAME, "").await.unwrap();
    assert_eq!(api.ended(NAME).await.unwrap()["status"], "cancelled");
    api.delete(NAME, "").await.unwrap();
    api.delete(NAME, "").await.unwrap_err();
    api.create_again(NONE).await.unwrap_err();
}

async fn new_versions(api: &mut Api<'_>) {
    api.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    let first = api.certificate(NAME, "").await;
    let signs_itself = PolicyChange { issuer: Some("Self"), reuse_key: Some(true), ..PolicyChange::default() };
    api.update_policy(NAME, signs_itself).await.unwrap();
    api.create_again(NAME).await.unwrap();
    assert_eq!(api.ended(NAME).await.unwrap()["status"], "completed");
    let second = api.certificate(NAME, "").await;
    assert_ne!(version(&first), version(&second));
    api.certificate(NAME, &version(&first)).await.unwrap();
    api.list(List::Versions(NAME), 1).await.unwrap();
    // The key is the old one.
    let [old, new] = [api.key(NAME, &version(&first)).await, api.key(NAME, &version(&second)).await];
    assert_eq!(old.unwrap()["key"]["x"], new.unwrap()["key"]["x"]);
}

async fn changes(api: &mut Api<'_>) {
    api.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    let old = version(&api.certificate(NAME, "").await);
    api.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    let tags: &[(&str, &str)] = &[("a", "1"), ("b", "2")];
    let policy = Some(PolicyChange { validity_months: Some(7), ..PolicyChange::default() });
    api.update(NAME, "", Change { tags: Some(tags), enabled: Some(false), ..Change::default() }).await.unwrap();
    api.update(NAME, "", Change { tags: Some(&[]), enabled: Some(true), policy, ..Change::default() }).await.unwrap();
    api.update(NAME, &old, Change { tags: Some(tags), ..Change::default() }).await.unwrap();
    api.update(NAME, &old, Change { policy, ..Change::default() }).await.unwrap();
    api.update(NAME, "", Change { not_before: Some(1), ..Change::default() }).await.unwrap();
    api.update(NAME, "", Change::default()).await.unwrap();
    api.certificate(NAME, "").await.unwrap();
    let names = PolicyChange { dns_names: &["a.example"], issuer: Some("Self"), ..PolicyChange::default() };
    api.update_policy(NAME, names).await.unwrap();
    api.update_policy(NAME, PolicyChange::default()).await.unwrap();
    api.policy(NAME).await.unwrap();
    // And what is refused.
    api.update(NONE, "", Change::default()).await.unwrap_err();
    api.update(NAME, OTHER_ID, Change::default()).await.unwrap_err();
    api.update(NAME, "1", Change::default()).await.unwrap_err();
    let long = "x".repeat(300);
    api.update(NAME, "", Change { tags: Some(&[("a", &long)]), ..Change::default() }).await.unwrap_err();
    for wrong in [
        PolicyChange { validity_months: Some(-1), ..PolicyChange::default() },
        PolicyChange { dns_names: &["not a name"], ..PolicyChange::default() },
    ] {
        api.update_policy(NAME, wrong).await.unwrap_err();
    }
    api.update_policy(NONE, names).await.unwrap_err();
    api.policy(NONE).await.unwrap_err();
}

async fn lists(api: &mut Api<'_>) {
    for name in ["a", "b", "C"] {
        api.import(name, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    }
    api.import("b", &seed("pem/plain.pem"), Import::default()).await.unwrap();
    api.create("early", "Unknown", Wanted::Ec).await.unwrap();
    for include_pending in [false, true] {
        for size in [2, 25] {
            api.list(List::Certificates { include_pending }, size).await.unwrap();
        }
    }
    api.list(List::Secrets, 2).await.unwrap();
    api.list(List::Keys, 2).await.unwrap();
    for list in [List::Versions("b"), List::SecretVersions("b"), List::KeyVersions("b")] {
        assert_eq!(api.list(list, 1).await.unwrap().as_array().unwrap().len(), 2);
    }
    for list in [List::Versions(NONE), List::SecretVersions(NONE), List::KeyVersions(NONE)] {
        assert_eq!(api.list(list, 25).await.unwrap().as_array().unwrap().len(), 0);
    }
    for list in [List::Versions("bad_name"), List::SecretVersions("bad_name"), List::KeyVersions("bad_name")] {
        api.list(list, 25).await.unwrap_err();
    }
    api.remove("a").await.unwrap();
    api.remove("b").await.unwrap();
    api.list(List::Deleted, 1).await.unwrap();
    api.list(List::Certificates { include_pending: false }, 25).await.unwrap();
    api.list(List::Secrets, 25).await.unwrap();
}

async fn deletion(api: &mut Api<'_>) {
    api.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
    api.remove(NAME).await.unwrap();
    api.deleted(NAME).await.unwrap();
    for gone in [
        api.certificate(NAME, "").await,
        api.secret(NAME, "", "").await,
        api.key(NAME, "").await,
        api.remove(NAME).await,
        api.policy(NAME).await,
    ] {
        assert_eq!(gone.as_ref().map_err(status), Err(404));
    }
    for taken in
        [api.create(NAME, "Self", Wanted::Ec).await, api.import(NAME, &seed("pem/plain.pem"), Import::default()).await]
    {
        assert_eq!(taken.as_ref().map_err(status), Err(409));
    }
    api.recover(NAME).await.unwrap();
    api.recover(NAME).await.unwrap_err();
    api.deleted(NAME).await.unwrap_err();
    api.purge(NAME).await.unwrap_err();
    api.remove(NAME).await.unwrap();
    api.purge(NAME).await.unwrap();
    api.purge(NAME).await.unwrap_err();
    api.remove(NONE).await.unwrap_err();
    // One that was never completed takes its operation along, and brings it back.
    api.create("early", "Unknown", Wanted::Ec).await.unwrap();
    api.remove("early").await.unwrap();
    api.pending("early", "").await.unwrap_err();
    api.recover("early").await.unwrap();
    api.pending("early", "").await.unwrap();
}

async fn backups(api: &mut Api<'_>) {
    let exported = Import { policy: Some((PFX, true)), ..Import::default() };
    api.import(NAME, &seed("pem/plain.pem"), exported).await.unwrap();
    api.import(NAME, &seed("pem/plain.pem"), exported).await.unwrap();
    let before = api.certificate(NAME, "").await.unwrap();
    let backup = api.backup(NAME).await.unwrap();
    let taken = api.restore(&backup).await;
    assert_eq!(taken.as_ref().map_err(status), Err(409));
    api.remove(NAME).await.unwrap();
    api.restore(&backup).await.unwrap_err();
    api.purge(NAME).await.unwrap();
    assert_eq!(api.restore(&backup).await.unwrap(), before);
    api.list(List::Versions(NAME), 25).await.unwrap();
    let mut damaged = backup.clone();
    damaged[60] ^= 1;
    for wrong in [&damaged[..], &backup[..30], b"nothing", b"certmint-backup\x07"] {
        api.restore(wrong).await.unwrap_err();
    }
    api.backup(NONE).await.unwrap_err();
    api.create("early", "Unknown", Wanted::Ec).await.unwrap();
    api.backup("early").await.unwrap_err();
}

async fn secrets(api: &mut Api<'_>) {
    for (name, policy) in [("pem", (PEM, true)), ("pfx", (PFX, true)), ("closed", (PFX, false))] {
        let import = Import { policy: Some(policy), ..Import::default() };
        api.import(name, &seed("pem/plain.pem"), import).await.unwrap();
        let version = version(&api.certificate(name, "").await);
        api.secret(name, "", "").await.unwrap();
        api.secret(name, &version, PEM).await.unwrap();
    }
    api.secret("pem", "", PFX).await.unwrap_err();
    api.secret("pfx", OTHER_ID, "").await.unwrap_err();
    api.secret("pfx", "1", "").await.unwrap_err();
    api.secret("bad_name", "", "").await.unwrap_err();
    api.secret(NONE, "", "").await.unwrap_err();
    api.create("early", "Unknown", Wanted::Ec).await.unwrap();
    api.secret("early", "", "").await.unwrap_err();
    api.update("pfx", "", Change { enabled: Some(false), ..Change::default() }).await.unwrap();
    let disabled = api.secret("pfx", "", "").await;
    assert_eq!(disabled.as_ref().map_err(status), Err(403));
}

async fn keys(api: &mut Api<'_>, rsa: &[u8]) {
    api.import("rsa", rsa, Import::default()).await.unwrap();
    api.import("ec", &seed("pem/plain.pem"), Import::default()).await.unwrap();
    let version = version(&api.certificate("rsa", "").await);
    api.key("rsa", &version).await.unwrap();
    api.key("ec", "").await.unwrap();
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
        let signature = api.sign(name, version, alg, &digest).await.unwrap();
        assert_eq!(api.verify(name, alg, &digest, &signature).await.unwrap()["value"], true);
        assert_eq!(api.verify(name, alg, &digest, &signature[1..]).await.unwrap()["value"], false);
    }
    for (there, back) in [(Use::Encrypt, Use::Decrypt), (Use::WrapKey, Use::UnwrapKey)] {
        for alg in ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"] {
            let ciphertext = api.use_key(there, "rsa", alg, b"a text").await.unwrap();
            assert_eq!(api.use_key(back, "rsa", alg, &ciphertext).await.unwrap(), b"a text");
            api.use_key(there, "rsa", alg, &[7; 300]).await.unwrap_err();
            api.use_key(back, "rsa", alg, &ciphertext[1..]).await.unwrap_err();
            api.use_key(there, "ec", alg, b"a text").await.unwrap_err();
            api.use_key(back, NONE, alg, &ciphertext).await.unwrap_err();
        }
        api.use_key(back, "rsa", "RSA-OAEP", &[7; 256]).await.unwrap_err();
    }
    for (name, alg, length) in
        [("rsa", "ES256", 32), ("ec", "RS256", 32), ("ec", "ES384", 48), ("rsa", "RS256", 31), (NONE, "RS256", 32)]
    {
        api.sign(name, "", alg, &vec![7; length]).await.unwrap_err();
        api.verify(name, alg, &vec![7; length], &[7; 64]).await.unwrap_err();
    }
    api.sign("rsa", OTHER_ID, "RS256", &[7; 32]).await.unwrap_err();
    api.key(NONE, "").await.unwrap_err();
    api.key("rsa", "1").await.unwrap_err();
    api.update("ec", "", Change { enabled: Some(false), ..Change::default() }).await.unwrap();
    api.key("ec", "").await.unwrap_err();
    assert_eq!(api.sign("ec", "", "ES256", &[7; 32]).await.as_ref().map_err(status), Err(403));
}

/// Keys may do what the policy says, and nothing else.
async fn key_operations(api: &mut Api<'_>) {
    api.create(NAME, "Self", Wanted::Rsa).await.unwrap();
    api.ended(NAME).await.unwrap();
    api.key(NAME, "").await.unwrap();
    let forbidden = api.use_key(Use::Encrypt, NAME, "RSA-OAEP", b"a text").await;
    assert_eq!(forbidden.as_ref().map_err(status), Err(403));
}

async fn issuers(api: &mut Api<'_>) {
    let test = IssuerInput { provider: "Test", account_id: "hold", password: "hunter2", enabled: None };
    for name in ["c", "a", "B"] {
        api.set_issuer(name, test).await.unwrap();
    }
    api.list(List::Issuers, 2).await.unwrap();
    api.list(List::Issuers, 25).await.unwrap();
    api.update_issuer("A", IssuerInput { enabled: Some(false), ..IssuerInput::default() }).await.unwrap();
    api.issuer("a").await.unwrap();
    api.create(NAME, "a", Wanted::Ec).await.unwrap_err();
    api.delete_issuer("a").await.unwrap();
    api.delete_issuer("a").await.unwrap_err();
    api.issuer("a").await.unwrap_err();
    api.update_issuer("a", test).await.unwrap_err();
    api.set_issuer("Self", test).await.unwrap_err();
    api.set_issuer("bad_name", test).await.unwrap_err();
    api.set_issuer("x", IssuerInput { provider: "Nobody", ..test }).await.unwrap_err();
}

async fn contacts(api: &mut Api<'_>) {
    api.contacts().await.unwrap_err();
    api.delete_contacts().await.unwrap_err();
    api.set_contacts(&[["a@b.example", "A", "1"], ["c@d.example", "", ""]]).await.unwrap();
    api.contacts().await.unwrap();
    api.set_contacts(&[]).await.unwrap();
    api.contacts().await.unwrap();
    api.set_contacts(&[["a@b.example", "", ""], ["", "B", ""]]).await.unwrap_err();
    api.delete_contacts().await.unwrap();
    api.contacts().await.unwrap_err();
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
const WITHOUT_URI: [&str; 51] = [
    "CertificateService.ListPending",
    "CertificateService.WatchPending",
    "CertificateAdminService.CheckIssuer",
    "CertificateAdminService.PauseIssuer",
    "CertificateAdminService.ResumeIssuer",
    "CertificateAdminService.RotateIssuerKey",
    "CertificateAdminService.DeactivateIssuer",
    "CertificateAdminService.ListProviders",
    "AccessService.WhoAmI",
    "AccessService.CheckAccess",
    "AccessService.ListGrants",
    "AccessService.ListRoles",
    // Azure's form of grants says less than ours; compared in `tests/access`.
    "AccessService.CreateGrant",
    "AccessService.GetGrant",
    "AccessService.DeleteGrant",
    "AccessService.SetRole",
    "AccessService.GetRole",
    "AccessService.DeleteRole",
    "AuditService.ListAudit",
    "AuditService.ListAuditKeys",
    // Their paths are extensions of Key Vault's API, and are compared in `tests/ca`.
    "CertificateAuthorityService.ListAuthorities",
    "CertificateAuthorityService.CreateAuthority",
    "CertificateAuthorityService.GetAuthorityRequest",
    "CertificateAuthorityService.InstallAuthority",
    "CertificateAuthorityService.ImportAuthority",
    "CertificateAuthorityService.ActivateAuthority",
    "CertificateAuthorityService.RetireAuthority",
    "CertificateAuthorityService.GetIssuedCertificate",
    "CertificateAuthorityService.ListIssuedCertificates",
    "CertificateAuthorityService.RevokeCertificate",
    // Compared in `tests/grpc/renewals.rs`.
    "RenewalService.RenewCertificate",
    "RenewalService.ListRenewals",
    "RenewalService.PauseRenewal",
    "RenewalService.ResumeRenewal",
    // Played in `tests/grpc/installations.rs`.
    "InstallationService.ReportInstallation",
    "InstallationService.ListInstallations",
    // Played in `tests/operations/reseal.rs`.
    "MasterKeyService.Reseal",
    "MasterKeyService.StopReseal",
    "MasterKeyService.GetMasterKeys",
    "VaultService.CreateVault",
    "VaultService.GetVault",
    "VaultService.ListVaults",
    // Played in `tests/webhooks`.
    "WebhookService.SetWebhook",
    "WebhookService.GetWebhook",
    "WebhookService.ListWebhooks",
    "WebhookService.DeleteWebhook",
    "WebhookService.PauseWebhook",
    "WebhookService.ResumeWebhook",
    "WebhookService.TestWebhook",
    "WebhookService.ListDeliveries",
    "WebhookService.Redeliver",
];

#[tokio::test]
async fn every_method_with_a_uri_answers_and_refuses_alike() {
    let rsa = rsa();
    let (mut seen, mut failed) = (Vec::new(), Vec::new());
    macro_rules! play {
        ($($scenario:expr),+ $(,)?) => {$(
            let server = Server::start().await;
            // A failure is reported; the others still run.
            match AssertUnwindSafe(compare(&server, $scenario)).catch_unwind().await {
                Ok(compared) => seen.push(compared),
                Err(_) => failed.push(stringify!($scenario)),
            }
        )+};
    }
    play! {
        imports, operations, new_versions, changes, lists, deletion, backups, secrets,
        async |api: &mut Api<'_>| keys(api, &rsa).await, key_operations, issuers, contacts,
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
async fn a_protected_vault_is_protected_on_both_apis() {
    let (on_demand, retention_days) = (Some(true), RetentionDays::new(7).unwrap());
    let vaults = VaultOptions { on_demand, retention_days, purge_protection: true, ..VaultOptions::default() };
    let options = ServiceOptions { vaults, ..ServiceOptions::default() };
    let server = Server::with(Setup { options, ..Setup::default() }).await;
    compare(&server, async |api| {
        api.import(NAME, &seed("pem/plain.pem"), Import::default()).await.unwrap();
        api.remove(NAME).await.unwrap();
        assert_eq!(api.purge(NAME).await.as_ref().map_err(status), Err(403));
        api.recover(NAME).await.unwrap();
    })
    .await;
}
