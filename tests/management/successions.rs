//! The next CA of an issuer, made and activated by the worker before the present one ends; and CAs below those of other
//! issuers.

use crate::management::cas::{authorities, days, install, name, notices};
use crate::management::harness::{Harness, create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::authority::AuthorityState;
use certmint::domain::authority::AuthorityState::{Active, Next, Requested, Retired};
use certmint::domain::issued::Door;
use certmint::domain::policy::KeyType;
use certmint::domain::profile::{ProfileText, ProfilesInput};
use certmint::domain::{IssuerInput, Reason};
use certmint::service::{AuthorityView, CaOptions, ListIssued, NewAuthority, Parent, Service, ServiceOptions};
use std::collections::BTreeMap;
use std::time::Duration;

/// A CA that is valid for a year: the next one is made after 152 days, and signs after 182.
async fn set(harness: &Harness, issuer: &str, options: &[(&str, &str)]) {
    let mut input = IssuerInput { provider: Some("LocalCA".to_owned()), ..IssuerInput::default() };
    input.options = BTreeMap::from([("validity_months".to_owned(), "12".to_owned())]);
    input.options.extend(options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    if options.contains(&("parent", "external")) {
        input.options.remove("validity_months");
    }
    ask!(harness.service, issuers.set_issuer((vault(), name(issuer)), input)).unwrap();
    begin(harness).await;
}

async fn begin(harness: &Harness) {
    harness.service.certificate_authorities().begin_successions().await.unwrap();
    harness.work().await;
}

async fn states(harness: &Harness, issuer: &str) -> Vec<(u32, AuthorityState)> {
    authorities(harness, issuer).await.iter().map(|it| (it.record.generation, it.state)).collect()
}

async fn of_state(harness: &Harness, issuer: &str, state: AuthorityState) -> AuthorityView {
    authorities(harness, issuer).await.into_iter().find(|it| it.state == state).unwrap()
}

#[tokio::test]
async fn the_next_root_is_made_announced_and_signs_before_certificates_would_be_cut() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[("subject", "CN=Corp Root, O=Corp"), ("key_type", "P-384")]).await;
    days(&harness, 151).await;
    assert_eq!((states(&harness, "corp").await, notices(&harness, "corp").await), (vec![(1, Active)], String::new()));
    days(&harness, 2).await;
    assert_eq!(states(&harness, "corp").await, [(1, Active), (2, Next)]);
    let next = of_state(&harness, "corp", Next).await;
    assert_eq!((next.subject.as_str(), next.key_type), ("CN=Corp Root 2, O=Corp", "P-384"));
    assert!(next.record.above.cross.is_some(), "the root that signs vouches for it");
    assert!(
        notices(&harness, "corp").await.contains("the next CA signs from 2027-"),
        "{}",
        notices(&harness, "corp").await
    );
    days(&harness, 28).await;
    assert_eq!(states(&harness, "corp").await, [(1, Active), (2, Next)]);
    days(&harness, 3).await;
    assert_eq!(states(&harness, "corp").await, [(1, Retired), (2, Active)]);
    assert_eq!(notices(&harness, "corp").await, "");
    // It is followed in turn.
    days(&harness, 125).await;
    assert_eq!(states(&harness, "corp").await, [(1, Retired), (2, Active), (3, Next)]);
    assert_eq!(of_state(&harness, "corp", Next).await.subject, "CN=Corp Root 3, O=Corp");
}

#[tokio::test]
async fn a_profile_says_how_long_certificates_live() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[]).await;
    let text = ProfileText { max_validity: Some("P10D".to_owned()), ..ProfileText::default() };
    let profiles =
        ProfilesInput { profiles: BTreeMap::from([("job".to_owned(), Some(text))]), default: Some("job".to_owned()) };
    let input = IssuerInput { profiles, ..IssuerInput::default() };
    ask!(harness.service, issuers.update_issuer((vault(), name("corp")), input)).unwrap();
    days(&harness, 324).await;
    assert_eq!(states(&harness, "corp").await, [(1, Active)]);
    days(&harness, 3).await;
    assert_eq!(states(&harness, "corp").await, [(1, Active), (2, Next)]);
}

#[tokio::test]
async fn nothing_is_made_where_the_setting_says_so() {
    let ca = CaOptions { next_ca: false, ..CaOptions::default() };
    let harness = Harness::new(ServiceOptions { ca, ..ServiceOptions::default() }).await;
    set(&harness, "corp", &[]).await;
    harness.later(300).await;
    begin(&harness).await;
    assert_eq!(states(&harness, "corp").await, [(1, Active)]);
    assert!(notices(&harness, "corp").await.contains("certmint ca create"), "{}", notices(&harness, "corp").await);
}

#[tokio::test]
async fn two_replicas_make_one_next_ca() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[]).await;
    let other = harness.neighbour(ServiceOptions::default()).await;
    harness.clock.advance(Duration::from_secs(153 * 86_400));
    let one = harness.service.jobs().claim(64).await.unwrap();
    // The first one is slow: its claim is over when the other one looks.
    harness.clock.advance(Duration::from_secs(3600));
    let two = other.jobs().claim(64).await.unwrap();
    let key = |due: &certmint::service::Due| due.key().starts_with("authorities/");
    assert!(one.iter().any(key) && two.iter().any(key));
    let run = async |service: &Service, all: Vec<certmint::service::Due>| {
        for due in all {
            // Who comes second is told so, or finds it done.
            let _ = service.jobs().step(due).await;
        }
    };
    tokio::join!(run(&harness.service, one), run(&other, two));
    harness.clock.advance(Duration::from_secs(3600));
    harness.work().await;
    assert_eq!(states(&harness, "corp").await, [(1, Active), (2, Next)]);
}

#[tokio::test]
async fn of_two_calls_at_once_one_makes_the_next_ca() {
    let harness = Harness::new(ServiceOptions::default()).await;
    for (issuer, there) in [("corp", true), ("none", false)] {
        if there {
            set(&harness, issuer, &[]).await;
        }
        let create = async |parent: Parent| {
            let wanted = NewAuthority {
                vault: vault(),
                issuer: name(issuer),
                parent,
                subject: None,
                key_type: KeyType::P256,
                validity_months: 12,
            };
            let wanted = permit(&harness.service, wanted).await;
            harness.service.certificate_authorities().create_authority(wanted).await
        };
        harness.store.let_two_meet(&format!("issuers/default/{issuer}"));
        let (one, two) = tokio::join!(create(Parent::OwnRoot), create(Parent::External));
        assert!(one.is_ok() != two.is_ok(), "{issuer}: {one:?} {two:?}");
        let made = authorities(&harness, issuer).await.len();
        assert_eq!(made, if there { 2 } else { 1 }, "{issuer}");
    }
}

#[tokio::test]
async fn a_ca_below_that_of_another_issuer_signs_is_logged_there_and_is_followed() {
    let base_url = certmint::service::BaseUrl::try_from("http://pki.example".to_owned()).ok();
    let ca = CaOptions { base_url, ..CaOptions::default() };
    let harness = Harness::new(ServiceOptions { ca, ..ServiceOptions::default() }).await;
    set(&harness, "root", &[("subject", "CN=Corp Root"), ("validity_months", "120")]).await;
    set(&harness, "issuing", &[("parent", "root"), ("subject", "CN=Corp Issuing 1, O=Corp")]).await;
    let made = of_state(&harness, "issuing", Active).await;
    let root = of_state(&harness, "root", Active).await;
    assert_eq!((made.subject.as_str(), &made.record.chain[1..]), ("CN=Corp Issuing 1, O=Corp", &root.record.chain[..]));
    let read = x509_parser::parse_x509_certificate(&made.record.chain[0].0).unwrap().1;
    assert_eq!(read.basic_constraints().unwrap().unwrap().value.path_len_constraint, Some(0));
    let text = format!("{:?}", read.extensions());
    assert!(text.contains(&format!("http://pki.example/crl/{}.crl", root.id)), "{text}");
    // The log of the root has it, so that it can be revoked.
    let wanted = ListIssued {
        vault: vault(),
        issuer: Some(name("root")),
        since: None,
        until: None,
        name: None,
        filter: None,
        page_size: 100,
        page_token: String::new(),
    };
    let page = harness.service.certificate_authorities().list_issued(permit(&harness.service, wanted).await).await;
    let log = page.unwrap().issued;
    assert!(
        log.iter()
            .any(|it| it.issued.asked.door == Door::Authority && it.issued.cer.as_ref() == made.record.chain.first())
    );
    // A leaf is handed out with the way up.
    ask!(harness.service, creations.create(create("web", "issuing"))).unwrap();
    harness.work().await;
    let web = ask!(harness.service, certificates.certificate((vault(), named("web")))).unwrap();
    assert_eq!(web.issued.unwrap().chain, made.record.chain);
    // Setting it again says the same, and no other parent.
    set(&harness, "issuing", &[("parent", "root"), ("subject", "CN=Corp Issuing 1, O=Corp")]).await;
    for (parent, problem) in [("external", "another parent"), ("issuing", "another parent")] {
        let mut input = IssuerInput { provider: Some("LocalCA".to_owned()), ..IssuerInput::default() };
        input.options = BTreeMap::from([("parent".to_owned(), parent.to_owned())]);
        let refused = ask!(harness.service, issuers.set_issuer((vault(), name("issuing")), input)).unwrap_err();
        assert!(refused.reason == Reason::BadParameter && refused.message.contains(problem), "{refused:?}");
    }
    days(&harness, 153).await;
    assert_eq!(states(&harness, "issuing").await, [(1, Active), (2, Next)]);
    let next = of_state(&harness, "issuing", Next).await;
    assert_eq!(
        (next.subject.as_str(), next.record.chain.last()),
        ("CN=Corp Issuing 2, O=Corp", root.record.chain.first())
    );
    days(&harness, 31).await;
    assert_eq!(states(&harness, "issuing").await, [(1, Retired), (2, Active)]);
}

#[tokio::test]
async fn a_parent_that_signs_no_cas_is_refused_and_leaves_nothing() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "root", &[]).await;
    set(&harness, "middle", &[("parent", "root")]).await;
    for (parent, problem) in [
        ("middle", "path length"),
        ("none", "no issuer none"),
        ("corp", "the issuer itself"),
        ("a/b", "options.parent"),
    ] {
        let mut input = IssuerInput { provider: Some("LocalCA".to_owned()), ..IssuerInput::default() };
        input.options = BTreeMap::from([("parent".to_owned(), parent.to_owned())]);
        let refused = ask!(harness.service, issuers.set_issuer((vault(), name("corp")), input)).unwrap_err();
        assert_eq!(refused.reason, Reason::BadParameter, "{refused:?}");
        assert!(format!("{refused:?}").contains(problem), "{parent}: {refused:?}");
        let there = ask!(harness.service, issuers.issuer((vault(), name("corp"))));
        assert_eq!(there.unwrap_err().reason, Reason::IssuerNotFound, "{parent}");
    }
}

#[tokio::test]
async fn the_request_for_the_next_ca_under_a_root_elsewhere_is_made_and_waits_visibly() {
    let harness = Harness::new(ServiceOptions::default()).await;
    set(&harness, "corp", &[("parent", "external"), ("subject", "CN=Issuing")]).await;
    assert_eq!(states(&harness, "corp").await, [(1, Requested)]);
    assert!(notices(&harness, "corp").await.contains("certmint ca csr"));
    install(&harness, "corp").await;
    assert_eq!(states(&harness, "corp").await, [(1, Active)]);
    days(&harness, 200).await;
    assert_eq!(states(&harness, "corp").await, [(1, Active), (2, Requested)]);
    let notices = notices(&harness, "corp").await;
    assert!(notices.contains("the request for the next CA waits"), "{notices}");
    // Operators see it with the issuer, too.
    let issuer = ask!(harness.service, issuers.issuer((vault(), name("corp")))).unwrap();
    let control = harness.service.issuers().control();
    let health = control.issuers_health(&permit(&harness.service, vault()).await, &[issuer]).await.unwrap();
    assert!(health[0].notice.contains("the request for the next CA waits"), "{health:?}");
    let verdict = control.try_issuer(permit(&harness.service, (vault(), name("corp"))).await).await.unwrap();
    assert!(verdict.warnings.iter().any(|it| it.contains("certmint ca csr")), "{verdict:?}");
    harness.service.certificate_authorities().measure().await.unwrap();
    assert!(harness.service.metrics().text().contains("certmint_ca_requests_waiting 1"));
}
