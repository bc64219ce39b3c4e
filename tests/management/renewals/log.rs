//! What the log of a built-in CA says of renewals.

use super::asked_for::wanted;
use super::{request, start};
use crate::management::harness::{Harness, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::IssuerName;
use certmint::domain::issued::Door;
use certmint::service::ListIssued;
use std::time::Duration;

/// By which way each was asked for, and who asked, from the first one on.
async fn log(harness: &Harness) -> Vec<(Door, String)> {
    let wanted = ListIssued {
        vault: vault(),
        issuer: Some(IssuerName::parse("ca").unwrap()),
        since: None,
        until: None,
        name: Some(named("web")),
        filter: None,
        page_size: 100,
        page_token: String::new(),
    };
    let wanted = permit(&harness.service, wanted).await;
    let mut issued = harness.service.certificate_authorities().list_issued(wanted).await.unwrap().issued;
    issued.sort_by_key(|view| view.issued.created);
    issued.into_iter().map(|view| (view.issued.asked.door, view.issued.asked.principal)).collect()
}

#[tokio::test]
async fn the_log_of_a_ca_says_what_was_a_renewal_and_who_asked_for_it() {
    let harness = start().await;
    harness.local_ca().await;
    harness.issued(request("web", "ca")).await;
    let caller = log(&harness).await.remove(0).1;
    assert!(!caller.is_empty());
    harness.later(293).await;
    harness.clock.advance(Duration::from_secs(60));
    ask!(harness.service, renewals.renew(wanted("web"))).unwrap();
    harness.work().await;
    assert_eq!(harness.versions("web").await, 3);
    let expected = [(Door::Create, caller.clone()), (Door::Renewal, String::new()), (Door::Renewal, caller)];
    assert_eq!(log(&harness).await, expected);
}
