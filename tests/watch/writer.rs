//! A random caller that creates, cancels and deletes.

use crate::dice::Dice;
use crate::harness::{ISSUERS, Life, VAULTS};
use crate::permit::permit;
use certmint::domain::{CertificateName, PolicyInput, Reason, RequestId, VaultName};
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
            match life
                .service
                .creations()
                .create(permit(&life.service, request(vault.clone(), name, issuer)).await)
                .await
            {
                Ok(created) => return Some((vault, created.operation.request_id)),
                Err(error) => error,
            }
        }
        6..8 => match life.service.pending().cancel(permit(&life.service, expected.clone()).await).await {
            Ok(_) => return None,
            Err(error) => error,
        },
        _ => match life.service.pending().delete_pending(permit(&life.service, expected.clone()).await).await {
            Ok(_) => return None,
            Err(error) => error,
        },
    };
    let usual = [Reason::PendingInProgress, Reason::PendingNotFound, Reason::PendingNotInProgress];
    assert!(usual.contains(&refused.reason), "{refused:?}");
    None
}

pub(crate) fn request(vault: VaultName, name: CertificateName, issuer: &str) -> CreateRequest {
    let policy = PolicyInput {
        kty: Some("EC".to_owned()),
        subject: Some("CN=watch.example".to_owned()),
        issuer_name: Some(issuer.to_owned()),
        ..PolicyInput::default()
    };
    CreateRequest {
        csr: None,
        vault,
        name,
        policy: Some(policy),
        enabled: None,
        tags: None,
        preserve_cert_order: None,
        request_id: None,
        client_request_id: None,
    }
}
