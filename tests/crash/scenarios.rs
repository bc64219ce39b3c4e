//! Actions of callers. A caller repeats each one if its response was lost.

use crate::crash::harness::Harness;
use crate::permit::{ask, new_certificate};
use certmint::domain::{
    CertificateName, Error, IssuerInput, IssuerName, Operation, Reason, RequestId, Result, VaultName,
};
use certmint::service::{CreateRequest, MergeRequest, PendingRef, Service};
use std::process::Command;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Scenario {
    Issue,
    Cancel,
    Delete,
    Merge,
    Overwrite,
}

pub(crate) const FIRST: &str = "a76827a18b63421c917da80f28e9913d";
pub(crate) const SECOND: &str = "b76827a18b63421c917da80f28e9913d";

impl Scenario {
    pub(crate) async fn play(self, harness: &Harness, service: &Service) -> Result<()> {
        match self {
            Self::Issue => {
                set_issuer(service, "issues").await?;
                create(service, FIRST, "issues").await?;
                harness.work(service).await
            }
            Self::Cancel => {
                set_issuer(service, "waits").await?;
                create(service, FIRST, "waits").await?;
                one_step(service).await?;
                told(ask!(service, pending.cancel(expected(FIRST))).map(|_| ()), Reason::PendingNotInProgress)?;
                harness.work(service).await
            }
            Self::Delete => {
                set_issuer(service, "waits").await?;
                match create(service, FIRST, "waits").await {
                    // The deletion was done, and only its answer was lost.
                    Err(error) if error.reason == Reason::PendingNotFound => return harness.work(service).await,
                    other => other?,
                };
                one_step(service).await?;
                told(ask!(service, pending.delete_pending(expected(FIRST))).map(|_| ()), Reason::PendingNotFound)?;
                harness.work(service).await
            }
            Self::Merge => {
                create(service, FIRST, "Unknown").await?;
                // A repeated creation returns the first result: only a read shows whether the merge was done.
                let (operation, _) = ask!(service, pending.pending(expected(FIRST)))?;
                if operation.in_progress() {
                    let x5c = vec![signed(&operation.csr.0)];
                    let request = MergeRequest { wanted: expected(FIRST), x5c, enabled: None, tags: None };
                    ask!(service, pending.merge(request))?;
                }
                harness.work(service).await
            }
            Self::Overwrite => {
                set_issuer(service, "refuses").await?;
                match create(service, FIRST, "refuses").await {
                    // The second creation has already taken its place.
                    Err(error) if error.reason == Reason::PendingNotFound => {}
                    other => {
                        other?;
                        harness.work(service).await?;
                    }
                }
                create(service, SECOND, "Self").await?;
                harness.work(service).await
            }
        }
    }
}

pub(crate) fn vault() -> VaultName {
    VaultName::default_vault()
}

pub(crate) fn name() -> CertificateName {
    CertificateName::parse("crash").unwrap()
}

fn expected(id: &str) -> PendingRef {
    PendingRef { vault: vault(), name: name(), request_id: Some(RequestId::parse(id).unwrap()) }
}

/// A repeat gets the result of the first one.
fn told(answer: Result<()>, already: Reason) -> Result<()> {
    match answer {
        Err(Error { reason, .. }) if reason == already => Ok(()),
        other => other,
    }
}

pub(crate) async fn set_issuer(service: &Service, account: &str) -> Result<()> {
    let input = IssuerInput {
        provider: Some("Counting".to_owned()),
        account_id: Some(account.to_owned()),
        ..IssuerInput::default()
    };
    ask!(service, issuers.set_issuer((vault(), IssuerName::parse(account)?), input)).map(|_| ())
}

pub(crate) async fn create(service: &Service, id: &str, issuer: &str) -> Result<Operation> {
    let request_id = Some(RequestId::parse(id)?);
    let request = CreateRequest { request_id, ..new_certificate(vault(), name().as_str(), issuer) };
    ask!(service, creations.create(request)).map(|created| created.operation)
}

/// The order is placed, so that its end has to reach the authority.
pub(crate) async fn one_step(service: &Service) -> Result<()> {
    for due in service.jobs().claim(16).await? {
        service.jobs().step(due).await?;
    }
    Ok(())
}

/// The request signed by a throw-away authority of openssl.
fn signed(csr: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("csr.der"), csr).unwrap();
    let openssl = |arguments: &str| {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Root -days 9999 -keyout ca.key -out ca.pem",
    );
    openssl("x509 -req -inform DER -in csr.der -CA ca.pem -CAkey ca.key -days 9999 -outform DER -out leaf.der");
    std::fs::read(folder.path().join("leaf.der")).unwrap()
}
