//! Permits and requests for the use cases that a test calls itself.

use certmint::domain::{CertificateName, DataAction, PolicyInput, VaultName};
use certmint::service::{Caller, CreateRequest, Permit, Service, Target};

/// What the caller `test` may ask for: everything.
pub(crate) async fn permit<T: Target>(service: &Service, target: T) -> Permit<T> {
    service.access().check(&Caller::new("test", None), DataAction::CertificatesRead, target).await.unwrap()
}

/// Asks a use case: `ask!(service, deletions.purge_certificate(target, more…))`.
macro_rules! ask {
    ($service:expr, $subject:ident.$method:ident($target:expr $(, $more:expr)*)) => {
        $service.$subject().$method($crate::permit::permit(&$service, $target).await $(, $more)*).await
    };
}
pub(crate) use ask;

/// A certificate with a key that costs little.
pub(crate) fn new_certificate(vault: VaultName, name: &str, issuer: &str) -> CreateRequest {
    CreateRequest {
        vault,
        name: CertificateName::parse(name).unwrap(),
        policy: Some(PolicyInput {
            kty: Some("EC".to_owned()),
            subject: Some("CN=a".to_owned()),
            issuer_name: Some(issuer.to_owned()),
            ..PolicyInput::default()
        }),
        enabled: None,
        tags: None,
        preserve_cert_order: None,
        csr: None,
        request_id: None,
        client_request_id: None,
    }
}
