//! Which commits leave a record, and what it says of them.

use super::facts::Facts;
use super::scope::{Asks, Scope, of_service};
use crate::domain::pending::TransitionKind;
use crate::service::records::{Kind, Place, decode_event};
use crate::store::Batch;

/// The job of renewals. What it begins is a transition; without one it writes only when a certificate is looked at again,
/// and why, into its entry.
pub(in crate::service) const RENEWAL: &str = "renewal";
/// The job that brings records under the newest master key, which changes nothing of what they say. Its beginning and its
/// end have lines.
pub(in crate::service) const RESEAL: &str = "reseal";

/// What is recorded of a commit; `None` of one that only keeps books: when to ask an issuer again, what was asked.
///
/// Every commit of a request that changes something is recorded, and every commit that makes a transition or touches what
/// callers see, whoever it is for.
pub(super) fn facts(scope: Option<&Scope>, batch: &Batch) -> Option<Facts> {
    let asks = scope.and_then(Scope::asks);
    let puts = batch.puts.iter().map(|put| put.key.as_str());
    let keys = puts.chain(batch.deletes.iter().map(|delete| delete.key.as_str()));
    let place = keys.filter_map(Place::of).find(|place| is_told(place.kind));
    let keeps_books = scope.is_some_and(|scope| scope.is_job(RENEWAL) || scope.is_job(RESEAL));
    if asks != Some(Asks::Change) && (place.is_none() || keeps_books) && batch.events.is_empty() {
        return None;
    }
    let mut facts = scope.map_or_else(|| of_service("upkeep"), Scope::facts);
    facts.outcome = "done".to_owned();
    let (mut vault, mut name) = place.map_or(("", ""), |place| match place.kind {
        Kind::Reseal => ("", ""),
        Kind::Revoked | Kind::Crl | Kind::Responder | Kind::Grant | Kind::Role | Kind::AuditKey => ("", place.vault),
        _ => (place.vault, place.name),
    });
    // What it became is last; before it there may be what it replaced.
    let last = batch.events.last().and_then(|event| decode_event(event).ok());
    if let Some(transition) = &last {
        let operation = &transition.operation;
        facts.request_id = operation.request_id.to_string();
        (vault, name) = (operation.vault.as_str(), operation.certificate.as_str());
        facts.outcome = match transition.kind {
            TransitionKind::Created => "created",
            TransitionKind::Deleted => "deleted",
            TransitionKind::Overwritten => "overwritten",
            TransitionKind::Updated if operation.in_progress() => "updated",
            TransitionKind::Updated => operation.status().word(),
        }
        .to_owned();
    }
    if asks.is_none() || facts.vault.is_empty() {
        vault.clone_into(&mut facts.vault);
    }
    if asks.is_none() || facts.name.is_empty() {
        name.clone_into(&mut facts.name);
    }
    Some(facts)
}

/// Whether a record of this kind is something that callers see, or decides over them.
fn is_told(kind: Kind) -> bool {
    match kind {
        Kind::Certificate
        | Kind::Version
        | Kind::Deleted
        | Kind::Contacts
        | Kind::VaultRenewals
        | Kind::Vault
        | Kind::Issuer
        | Kind::Authority
        | Kind::Revoked
        | Kind::Crl
        | Kind::Responder
        | Kind::Grant
        | Kind::Role
        | Kind::Installation
        | Kind::Webhook
        | Kind::AuditKey
        | Kind::Reseal => true,
        Kind::Pending
        | Kind::Suspended
        | Kind::AbandonedOrder
        | Kind::Request
        | Kind::Repeat
        | Kind::Purging
        | Kind::Issued
        | Kind::IssuedByTime
        | Kind::IssuedByKey
        | Kind::IssuedAdoption
        | Kind::IssuerState
        | Kind::IssuerHealth
        | Kind::RightsChanges
        | Kind::Challenge
        | Kind::AuditLine
        | Kind::AuditVolume
        | Kind::Replica
        | Kind::Parked
        | Kind::ExpiryWatch
        | Kind::Delivery
        | Kind::DeadLetter
        | Kind::Meta => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Put;
    use std::sync::Arc;

    fn batch(key: &str) -> Batch {
        let put = Put { key: key.to_owned(), expected: None, body: Vec::new(), due: None };
        Batch { puts: vec![put], ..Batch::default() }
    }

    fn request(asks: Asks) -> Arc<Scope> {
        Scope::request(
            move || asks,
            || Facts { principal: "token:ci".into(), vault: "shop".into(), ..Facts::default() },
        )
    }

    #[test]
    fn what_callers_see_is_told_whoever_changes_it() {
        let told = facts(None, &batch("versions/shop/web/12")).unwrap();
        assert_eq!(
            (told.principal.as_str(), told.vault.as_str(), told.name.as_str(), told.outcome.as_str()),
            ("certmint", "shop", "web", "done")
        );
        let told = facts(Some(&Scope::job("crl")), &batch("crls/ab/0")).unwrap();
        assert_eq!((told.operation.as_str(), told.vault.as_str(), told.name.as_str()), ("crl", "", "ab"));
        let told = facts(Some(&request(Asks::Read)), &batch("vaults/shop")).unwrap();
        assert_eq!((told.principal.as_str(), told.vault.as_str()), ("token:ci", "shop"));
    }

    #[test]
    fn what_only_keeps_books_is_told_of_a_request_that_changes_something_alone() {
        assert_eq!(facts(None, &batch("pending/shop/web")), None);
        assert_eq!(facts(Some(&request(Asks::Read)), &batch("issuer-health/shop/corp")), None);
        // A renewal that is put off.
        assert_eq!(facts(Some(&Scope::job(RENEWAL)), &batch("certificates/shop/web")), None);
        assert_eq!(facts(Some(&Scope::job(RESEAL)), &batch("versions/shop/web/12")), None);
        assert!(facts(Some(&Scope::job("retention")), &batch("certificates/shop/web")).is_some());
        let told = facts(Some(&request(Asks::Change)), &batch("issuer-states/shop/corp")).unwrap();
        assert_eq!((told.principal.as_str(), told.vault.as_str(), told.name.as_str()), ("token:ci", "shop", ""));
    }
}
