//! Which authority of an issuer signs, after others were given up or its name went to another CA; and what is published
//! while the store does not answer.

use crate::management::harness::{Harness, vault};
use crate::permit::permit;
use certmint::domain::authority::AuthorityState;
use certmint::domain::policy::KeyType;
use certmint::domain::{IssuerInput, IssuerName, Reason};
use certmint::service::{
    AuthorityRef, AuthorityView, BaseUrl, CaOptions, Ceremony, ListAuthorities, NewAuthority, Parent, ServiceOptions,
};
use certmint::store::{Batch, Delete, Record, Store};
use std::time::Duration;

fn corp() -> IssuerName {
    IssuerName::parse("corp").unwrap()
}

async fn set(harness: &Harness, provider: &str, account_id: Option<&str>) {
    let input = IssuerInput {
        provider: Some(provider.to_owned()),
        account_id: account_id.map(str::to_owned),
        ..IssuerInput::default()
    };
    harness.service.issuers().set_issuer(permit(&harness.service, (vault(), corp())).await, input).await.unwrap();
}

async fn delete(harness: &Harness) {
    harness.service.issuers().delete_issuer(permit(&harness.service, (vault(), corp())).await).await.unwrap();
}

/// As versions did that knew nothing of what waits.
async fn delete_as_before(harness: &Harness) {
    let Record { key, revision, .. } = harness.store.get("issuers/default/corp").await.unwrap().unwrap();
    let deletes = vec![Delete { key, expected: revision }];
    harness.store.commit(Batch { deletes, ..Batch::default() }).await.unwrap();
}

async fn wanted_of(harness: &Harness, issuer: IssuerName, parent: Parent) -> certmint::domain::Result<Ceremony> {
    let key_type = KeyType::P256;
    let wanted = NewAuthority { vault: vault(), issuer, parent, subject: None, key_type, validity_months: 240 };
    let wanted = permit(&harness.service, wanted).await;
    harness.service.certificate_authorities().create_authority(wanted).await
}

async fn next(harness: &Harness, parent: Parent) {
    wanted_of(harness, corp(), parent).await.unwrap();
}

fn any() -> AuthorityRef {
    AuthorityRef { vault: vault(), issuer: corp(), authority: None }
}

async fn authorities(harness: &Harness) -> Vec<AuthorityView> {
    let wanted = permit(&harness.service, ListAuthorities { vault: vault(), issuer: Some(corp()) }).await;
    harness.service.certificate_authorities().authorities(&wanted).await.unwrap()
}

async fn states(harness: &Harness) -> Vec<(u32, AuthorityState)> {
    let mut all: Vec<_> = authorities(harness).await.iter().map(|it| (it.record.generation, it.state)).collect();
    all.sort_by_key(|(generation, _)| *generation);
    all
}

#[tokio::test]
async fn attach_brings_back_what_signed_and_not_what_was_given_up() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "LocalCA", None).await;
    next(&harness, Parent::OwnRoot).await;
    delete(&harness).await;
    assert_eq!(states(&harness).await, [(1, AuthorityState::Retired), (2, AuthorityState::Retired)]);
    // Nor is it what the deleted issuer hands out.
    let chain = harness.service.authorities().ca(permit(&harness.service, (vault(), corp())).await).await.unwrap();
    assert_eq!(chain, authorities(&harness).await[0].record.chain);
    set(&harness, "LocalCA", Some("attach")).await;
    assert_eq!(states(&harness).await, [(1, AuthorityState::Active), (2, AuthorityState::Retired)]);
}

#[tokio::test]
async fn an_authority_that_waited_does_not_take_an_issuer_of_another_ca() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "LocalCA", None).await;
    next(&harness, Parent::OwnRoot).await;
    delete_as_before(&harness).await;
    set(&harness, "Test", None).await;
    let service = &harness.service;
    let refused = service.certificate_authorities().activate_authority(permit(service, any()).await).await.unwrap_err();
    assert_eq!(refused.reason, Reason::BadParameter, "{refused:?}");
    let issuer = service.issuers().issuer(permit(service, (vault(), corp())).await).await.unwrap();
    assert_eq!((issuer.provider.as_str(), issuer.authority.is_none()), ("Test", true));
    assert_eq!(states(&harness).await, [(1, AuthorityState::Active), (2, AuthorityState::Next)]);
}

#[tokio::test]
async fn what_is_requested_or_next_of_an_issuer_goes_with_it_and_its_key_too() {
    for parent in [Parent::OwnRoot, Parent::External] {
        let harness = Harness::new(ServiceOptions::default()).await;
        set(&harness, "LocalCA", None).await;
        next(&harness, parent.clone()).await;
        // The CA of another issuer is none of it.
        let other = IssuerName::parse("other").unwrap();
        let input = IssuerInput { provider: Some("LocalCA".to_owned()), ..IssuerInput::default() };
        let set_other = permit(&harness.service, (vault(), other.clone())).await;
        harness.service.issuers().set_issuer(set_other, input).await.unwrap();
        wanted_of(&harness, other.clone(), parent.clone()).await.unwrap();
        delete(&harness).await;
        assert_eq!(states(&harness).await, [(1, AuthorityState::Retired), (2, AuthorityState::Retired)], "{parent:?}");
        // Whoever gets the name meanwhile has nothing of the one before.
        set(&harness, "LocalCA", None).await;
        next(&harness, Parent::External).await;
        let expected =
            [AuthorityState::Retired, AuthorityState::Retired, AuthorityState::Active, AuthorityState::Requested];
        assert_eq!(states(&harness).await.into_iter().map(|it| it.1).collect::<Vec<_>>(), expected, "{parent:?}");
        harness.later(2).await;
        // Its root signed something where it vouched for the next one.
        let first = if parent == Parent::External { AuthorityState::Gone } else { AuthorityState::Retired };
        let expected = [first, AuthorityState::Gone, AuthorityState::Active, AuthorityState::Requested];
        assert_eq!(states(&harness).await.into_iter().map(|it| it.1).collect::<Vec<_>>(), expected, "{parent:?}");
        let of_other = permit(&harness.service, ListAuthorities { vault: vault(), issuer: Some(other) }).await;
        let of_other = harness.service.certificate_authorities().authorities(&of_other).await.unwrap();
        assert!(of_other.len() == 2 && of_other.iter().all(|it| it.record.retired.is_none()), "{of_other:?}");
    }
}

#[tokio::test]
async fn no_issuer_is_set_over_what_waits_of_one_that_an_earlier_version_deleted() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "LocalCA", None).await;
    next(&harness, Parent::OwnRoot).await;
    delete_as_before(&harness).await;
    let service = &harness.service;
    for parent in [None, Some("external")] {
        let mut input = IssuerInput { provider: Some("LocalCA".to_owned()), ..IssuerInput::default() };
        input.options.extend(parent.map(|parent| ("parent".to_owned(), parent.to_owned())));
        let refused = service.issuers().set_issuer(permit(service, (vault(), corp())).await, input).await.unwrap_err();
        assert_eq!(refused.reason, Reason::IssuerInUse, "{parent:?}: {refused:?}");
    }
    service.certificate_authorities().retire_authority(permit(service, any()).await).await.unwrap();
    set(&harness, "LocalCA", None).await;
    assert_eq!(states(&harness).await.last(), Some(&(3, AuthorityState::Active)));
}

#[tokio::test]
async fn a_revocation_list_that_was_read_is_served_while_the_store_does_not_answer() {
    let base_url = BaseUrl::try_from("http://pki.example".to_owned()).ok();
    let ca = CaOptions { base_url, ..CaOptions::default() };
    let harness = Harness::new(ServiceOptions { ca, ..ServiceOptions::default() }).await;
    set(&harness, "LocalCA", None).await;
    harness.work().await;
    let id = authorities(&harness).await[0].id.clone();
    let publications = harness.service.publications();
    let read = publications.crl(&id, None).await.unwrap().unwrap();
    harness.store.put_out_of_reach("crls/");
    // Longer than it is believed without another look.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(publications.crl(&id, None).await.unwrap().unwrap().tag, read.tag);
    assert_eq!(harness.service.publications().crl(&id, None).await.unwrap_err().reason, Reason::StoreUnavailable);
}
