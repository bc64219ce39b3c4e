//! Permits for the use cases that a test calls itself.

use certmint::domain::DataAction;
use certmint::service::{Caller, Permit, Service, Target};

/// What the caller `test` may ask for: everything.
pub(crate) async fn permit<T: Target>(service: &Service, target: T) -> Permit<T> {
    service.access().check(&Caller::new("test", None), DataAction::CertificatesRead, target).await.unwrap()
}
