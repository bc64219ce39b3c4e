//! When renewals begin, and what they make.

use super::{DAY, auto_renew, list, request, start, with, with_names};
use crate::management::harness::{create, named, vault};
use crate::permit::{ask, permit};
use certmint::domain::renewal::NotRenewed;
use certmint::domain::{PolicyInput, RenewalTrigger, Status, Version};
use certmint::service::{
    Due, PendingRef, RenewalOptions, RenewalState, Service, ServiceOptions, UpdateRequest, VersionRef,
};
use certmint::store::Store;
use std::num::NonZeroU32;
use std::time::Duration;

#[tokio::test]
async fn a_certificate_is_renewed_at_its_share_of_the_life_with_its_tags_and_a_new_key() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    let first = harness.certificate("web").await;
    harness.later(280).await;
    assert_eq!(harness.versions("web").await, 1, "80 % of 365 days are 292");
    harness.later(13).await;
    let second = harness.certificate("web").await;
    assert_ne!(first.version, second.version);
    let (old, new) = (first.issued.unwrap(), second.issued.unwrap());
    assert_eq!((&old.tags, old.enabled), (&new.tags, new.enabled));
    assert!(new.tags.unwrap().contains_key("team"));
    assert_ne!(old.cer, new.cer);
    let operation = harness.pending("web").await;
    let renews = operation.renews.clone().unwrap();
    assert_eq!((renews.trigger, renews.replaces), (RenewalTrigger::Lifetime, old.version));
    assert_eq!((operation.status(), operation.version), (Status::Completed, new.version));
    // And the next one, in a leap year.
    harness.later(295).await;
    assert_eq!(harness.versions("web").await, 3);
}

#[tokio::test]
async fn the_old_version_is_handed_out_until_the_new_one_is_complete() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    let first = harness.certificate("web").await.version;
    harness.test_issuer("hold").await;
    harness.later(293).await;
    assert_eq!(harness.pending("web").await.status(), Status::InProgress);
    assert_eq!(harness.certificate("web").await.version, first);
    assert!(matches!(harness.renewal("web").await.state, RenewalState::InProgress(_)));
}

#[tokio::test]
async fn a_key_is_used_again_where_the_policy_says_so() {
    let harness = start().await;
    let mut again = request("web", "Self");
    again.policy = again.policy.map(|policy| PolicyInput { reuse_key: Some(true), ..policy });
    harness.issued(again).await;
    let key = async || {
        let wanted = permit(&harness.service, VersionRef { vault: vault(), name: named("web"), version: None }).await;
        format!("{:?}", harness.service.materials().key(&wanted).await.unwrap().public)
    };
    let before = key().await;
    harness.later(293).await;
    assert_eq!(harness.versions("web").await, 2);
    assert_eq!(before, key().await);
}

#[tokio::test]
async fn two_replicas_renew_once() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    let other = harness.neighbour(ServiceOptions::default()).await;
    harness.clock.advance(293 * DAY);
    let one = harness.service.jobs().claim(9).await.unwrap();
    // Its lease ends before it has begun: both have the certificate, and begin at once.
    harness.clock.advance(Duration::from_secs(91));
    let two = other.jobs().claim(9).await.unwrap();
    let steps = async |service: &Service, claimed: Vec<Due>| {
        let mut of_it = claimed.into_iter().filter(|due| due.key() == "certificates/default/web");
        service.jobs().step(of_it.next().unwrap()).await.unwrap();
    };
    tokio::join!(steps(&harness.service, one), steps(&other, two));
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
    harness.clock.advance(Duration::from_secs(91));
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
}

/// A replica that is slow holds its claim beyond the lease, and another one was faster.
#[tokio::test]
async fn a_late_replica_renews_nothing_that_was_renewed() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.clock.advance(293 * DAY);
    let late = harness.service.jobs().claim(9).await.unwrap();
    assert!(late.iter().any(|due| due.key() == "certificates/default/web"), "{late:?}");
    harness.clock.advance(Duration::from_secs(120));
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
    for due in late {
        harness.service.jobs().step(due).await.unwrap();
    }
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn what_nobody_asked_to_renew_stays() {
    let harness = start().await;
    for name in ["mails", "unknown", "disabled", "deleted", "paused"] {
        harness.issued(request(name, "Self")).await;
    }
    let mut mails = auto_renew(80);
    mails.lifetime_actions.as_mut().unwrap()[0].action = Some("EmailContacts".into());
    harness.change("mails", mails).await;
    harness.change("unknown", PolicyInput { issuer_name: Some("Unknown".into()), ..PolicyInput::default() }).await;
    let disable = UpdateRequest {
        vault: vault(),
        name: named("disabled"),
        version: None,
        policy: None,
        enabled: Some(false),
        tags: None,
    };
    ask!(harness.service, certificates.update_certificate(disable.clone())).unwrap();
    harness.delete("deleted").await;
    ask!(harness.service, renewals.pause((vault(), named("paused")), "moves")).unwrap();
    harness.later(360).await;
    for name in ["mails", "unknown", "disabled", "paused"] {
        assert_eq!((harness.versions(name).await, harness.due(name).await), (1, None), "{name}");
    }
    assert_eq!(harness.renewal("mails").await.state, RenewalState::Unplanned(NotRenewed::NoAutoRenew));
    assert_eq!(harness.renewal("unknown").await.state, RenewalState::Unplanned(NotRenewed::NoIssuer));
    assert_eq!(harness.renewal("disabled").await.state, RenewalState::Unplanned(NotRenewed::Disabled));
    assert!(matches!(harness.renewal("paused").await.state, RenewalState::Paused(pause) if pause.reason == "moves"));
    let listed = list(&harness.service, |_| {}).await;
    assert_eq!(listed.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["paused"]);
    // Each is renewed as soon as nothing stands against it.
    ask!(harness.service, certificates.update_certificate(UpdateRequest { enabled: Some(true), ..disable })).unwrap();
    ask!(harness.service, renewals.resume((vault(), named("paused")))).unwrap();
    harness.change("mails", auto_renew(80)).await;
    // One a second begins at an issuer.
    for _ in 0..5 {
        harness.work().await;
        harness.clock.advance(Duration::from_secs(1));
    }
    for name in ["mails", "disabled", "paused"] {
        assert_eq!(harness.versions(name).await, 2, "{name}");
    }
}

#[tokio::test]
async fn a_deleted_certificate_is_renewed_once_it_is_recovered() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.later(280).await;
    harness.delete("web").await;
    assert_eq!(harness.due("web").await, None);
    harness.later(20).await;
    ask!(harness.service, deletions.recover_certificate((vault(), named("web")))).unwrap();
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn an_operation_in_progress_postpones_a_renewal_and_so_does_one_that_waits_for_a_merge() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    ask!(harness.service, creations.create(create("web", "Unknown"))).unwrap();
    harness.change("web", PolicyInput { issuer_name: Some("Self".into()), ..auto_renew(80) }).await;
    harness.later(293).await;
    assert_eq!(harness.versions("web").await, 1);
    assert!(harness.note("web").await.contains("is in progress"), "{}", harness.note("web").await);
    assert_eq!(harness.renewal("web").await.renewal.tries.count, 0, "it was no attempt");
    let wanted = PendingRef { vault: vault(), name: named("web"), request_id: None };
    ask!(harness.service, pending.delete_pending(wanted)).unwrap();
    harness.until_due("web").await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn the_key_of_a_caller_is_renewed_by_nobody_else() {
    let harness = start().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let csr = params.serialize_request(&key).unwrap().der().to_vec();
    harness.local_ca().await;
    let mut own = create("own", "ca");
    own.csr = Some(csr);
    own.policy = Some(PolicyInput { issuer_name: Some("ca".into()), ..PolicyInput::default() });
    harness.issued(own).await;
    assert_eq!(harness.renewal("own").await.state, RenewalState::Unplanned(NotRenewed::NoAutoRenew));
    // Somebody asks for it all the same.
    harness.change("own", auto_renew(80)).await;
    harness.later(293).await;
    assert_eq!((harness.versions("own").await, harness.due("own").await), (1, None));
    assert!(matches!(harness.renewal("own").await.state, RenewalState::Unplanned(NotRenewed::Held(_))));
}

#[tokio::test]
async fn a_renewal_that_would_lose_names_fails_and_says_so() {
    let harness = start().await;
    harness.local_ca().await;
    harness.issued(with_names(request("web", "ca"), &["a.example", "b.example"])).await;
    harness.change("web", PolicyInput { sans: Some(super::names_of(&["a.example"])), ..PolicyInput::default() }).await;
    harness.later(294).await;
    let operation = harness.pending("web").await;
    assert_eq!((operation.status(), harness.versions("web").await), (Status::Failed, 1));
    let message = &operation.error().unwrap().message;
    assert!(message.contains("b.example") && message.contains("create a new version"), "{message}");
    assert_eq!(harness.note("web").await, *message);
    // As it says.
    harness.issued(with_names(request("web", "ca"), &["a.example"])).await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn no_more_begin_at_an_issuer_in_a_minute_than_may_and_the_soonest_to_expire_go_first() {
    let per_minute = NonZeroU32::new(6).unwrap();
    let harness = with(RenewalOptions { per_issuer_per_minute: per_minute, ..RenewalOptions::default() }).await;
    let names: Vec<String> = (0..10).map(|number| format!("n{number}")).collect();
    for name in &names {
        harness.issued(request(name, "Self")).await;
        // The first one to be due meets nobody and begins at once: that is n0, though each is due up to twelve hours
        // sooner or later than at its share of the life.
        harness.clock.advance(if name == "n0" { 2 * DAY } else { Duration::from_secs(60) });
    }
    harness.later(300).await;
    let renewed = async || {
        let mut renewed = Vec::new();
        for name in &names {
            if harness.versions(name).await > 1 {
                renewed.push(name.clone());
            }
        }
        renewed
    };
    let at_once = renewed().await.len();
    assert!((1..=2).contains(&at_once), "{at_once}");
    assert!(harness.note("n9").await.contains("per_issuer_per_minute"));
    for _ in 0..60 {
        harness.clock.advance(Duration::from_secs(1));
        harness.work().await;
    }
    let after = renewed().await;
    assert!((6..=8).contains(&after.len()), "{after:?}");
    assert!(after.contains(&"n1".to_owned()) && !after.contains(&"n9".to_owned()), "{after:?}");
    for _ in 0..60 {
        harness.clock.advance(Duration::from_secs(1));
        harness.work().await;
    }
    assert_eq!(renewed().await.len(), 10);
}

#[tokio::test]
async fn while_they_are_switched_off_none_begins_and_afterwards_all_do() {
    let off = RenewalOptions { enabled: false, ..RenewalOptions::default() };
    let harness = with(off).await;
    harness.issued(request("web", "Self")).await;
    harness.later(300).await;
    assert_eq!(harness.versions("web").await, 1);
    assert_eq!(harness.renewal("web").await.state, RenewalState::Due);
    assert_eq!(harness.note("web").await, "Renewals are switched off (renewal.enabled).");
    let on = harness.neighbour(ServiceOptions::default()).await;
    harness.clock.advance(Duration::from_secs(3600));
    for _ in 0..5 {
        for due in on.jobs().claim(9).await.unwrap() {
            on.jobs().step(due).await.unwrap();
        }
    }
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_clock_that_was_wrong_for_a_while_stops_no_renewal() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    let planned = harness.due("web").await;
    harness.test_issuer("fail").await;
    harness.later(300).await;
    let back = harness.now();
    // Ten years ahead, a renewal fails, and is put off from there.
    harness.later(3650).await;
    assert!(harness.due("web").await > planned);
    harness.clock.set(back);
    harness.test_issuer("complete").await;
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_list_shows_what_is_due_when_page_by_page() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    for name in ["a", "b", "c"] {
        harness.issued(request(name, "Self")).await;
    }
    harness.issued(request("other", "ca")).await;
    harness.change("b", auto_renew(50)).await;
    let all = list(&harness.service, |_| {}).await;
    assert_eq!(all.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "other"]);
    assert!(all.iter().all(super::is_planned));
    let of_issuer = list(&harness.service, |wanted| wanted.issuer = "CA".into()).await;
    assert_eq!(of_issuer.len(), 1);
    let soon = harness.now().plus(200 * DAY);
    let soon = list(&harness.service, |wanted| wanted.due_before = Some(soon)).await;
    assert_eq!(soon.iter().map(|view| view.name.as_str()).collect::<Vec<_>>(), ["b"]);
    let version: Version = all[0].version;
    assert_eq!(version, harness.certificate("a").await.version);
}

#[tokio::test]
async fn what_is_due_lies_in_the_entry_alone() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    let before = harness.store.keys().await.len();
    assert!(harness.due("web").await.is_some());
    harness.later(293).await;
    let record = harness.store.get("certificates/default/web").await.unwrap().unwrap();
    let body: serde_json::Value = serde_json::from_slice(&record.body).unwrap();
    assert!(body["value"].get("renewal").is_none(), "of the new version nothing was tried");
    assert_eq!(harness.store.keys().await.len(), before + 1, "a version");
}
