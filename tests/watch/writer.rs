//! A random caller that creates, cancels and deletes.

use crate::permit::{ask, new_certificate};
use crate::watch::dice::Dice;
use crate::watch::harness::{ISSUERS, Life, VAULTS};
use certmint::domain::{CertificateName, Reason, RequestId, VaultName};
use certmint::service::{CreateRequest, PendingRef};

#[rustfmt::skip]
pub(crate) const NAMES: [&str; 20] = [
    "web-0", "web-1", "Web-2", "web-30", "web-31", "web-32", "api-0", "api-1", "API-2", "api-3",
    "x", "web", "a", "b", "c", "d", "e", "f", "g", "h",
];

/// One random act; answers the operation that it created.
pub(crate) async fn act(life: &Life, dice: &mut Dice) -> Option<(VaultName, RequestId)> {
    let vault = VaultName::parse(dice.one_of(&VAULTS)).unwrap();
    let name = CertificateName::parse(dice.one_of(&NAMES)).unwrap();
    let expected = PendingRef { vault: vault.clone(), name: name.clone(), request_id: None };
    let refused = match dice.below(10) {
        0..6 => {
            let issuer = dice.one_of(&["Unknown", "Self", ISSUERS[0], ISSUERS[1], ISSUERS[2]]);
            match ask!(life.service, creations.create(request(vault.clone(), name, issuer))) {
                Ok(created) => return Some((vault, created.operation.request_id)),
                Err(error) => error,
            }
        }
        6..8 => match ask!(life.service, pending.cancel(expected.clone())) {
            Ok(_) => return None,
            Err(error) => error,
        },
        _ => match ask!(life.service, pending.delete_pending(expected.clone())) {
            Ok(_) => return None,
            Err(error) => error,
        },
    };
    let usual = [Reason::PendingInProgress, Reason::PendingNotFound, Reason::PendingNotInProgress];
    assert!(usual.contains(&refused.reason), "{refused:?}");
    None
}

pub(crate) fn request(vault: VaultName, name: CertificateName, issuer: &str) -> CreateRequest {
    new_certificate(vault, name.as_str(), issuer)
}
