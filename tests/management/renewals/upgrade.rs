//! Stores of versions that do not renew, and replicas of those beside this one.

use super::asked_for::wanted;
use super::{DAY, request, start};
use crate::management::harness::{Harness, named, vault};
use crate::permit::ask;
use certmint::service::{ServiceOptions, UpdateRequest, record_body};
use certmint::store::{Batch, Put, Store};
use serde_json::Value;

/// Writes the entry as a version without renewals does.
async fn write_as_before(harness: &Harness, name: &str) {
    write_without(harness, name, &["renewal"]).await;
}

async fn write_without(harness: &Harness, name: &str, members: &[&str]) {
    let key = format!("certificates/default/{name}");
    let record = harness.store.get(&key).await.unwrap().unwrap();
    let mut body: Value = serde_json::from_slice(&record.body).unwrap();
    for member in members {
        body["value"].as_object_mut().unwrap().remove(*member);
    }
    let body = record_body(&harness.sealer, &key, &body["value"]);
    let put = Put { key, expected: Some(record.revision), body, due: None };
    harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
}

#[tokio::test]
async fn entries_of_before_get_their_due_times() {
    let harness = start().await;
    for name in ["a", "b"] {
        harness.issued(request(name, "Self")).await;
    }
    let planned = harness.due("a").await;
    write_as_before(&harness, "a").await;
    assert_eq!(harness.due("a").await, None);
    let renewals = harness.service.renewals();
    assert_eq!(renewals.adopt_renewals().await.unwrap(), 1);
    assert_eq!(harness.due("a").await, planned);
    assert_eq!(renewals.adopt_renewals().await.unwrap(), 0);
}

#[tokio::test]
async fn what_is_overdue_at_an_upgrade_is_spread_and_nothing_expires_for_it() {
    let harness = start().await;
    let names: Vec<String> = (0..30).map(|number| format!("n{number}")).collect();
    for name in &names {
        harness.issued(request(name, "Self")).await;
    }
    for name in &names {
        write_as_before(&harness, name).await;
    }
    harness.later(320).await;
    assert_eq!(harness.service.renewals().adopt_renewals().await.unwrap(), 30);
    let now = harness.now();
    let mut at = Vec::new();
    for name in &names {
        at.push(harness.due(name).await.unwrap().0 - now.0);
    }
    let hour = 3_600_000;
    assert!(at.iter().all(|at| (0..=12 * hour).contains(at)), "{at:?}");
    // Chance may leave any one quarter of them empty, but puts them all into three hours only once in 10^16 times.
    assert!(at.iter().max().unwrap() - at.iter().min().unwrap() > 3 * hour, "{at:?}");
    harness.clock.advance(DAY);
    harness.work().await;
    for _ in 0..40 {
        harness.clock.advance(std::time::Duration::from_secs(1));
        harness.work().await;
    }
    for name in &names {
        assert_eq!(harness.versions(name).await, 2, "{name}");
    }
    // With an hour left there is no time for that.
    harness.issued(request("late", "Self")).await;
    let end = harness.certificate("late").await.issued.unwrap().expires;
    harness.clock.set(end.minus(std::time::Duration::from_secs(3600)));
    write_as_before(&harness, "late").await;
    harness.service.renewals().adopt_renewals().await.unwrap();
    let wait = harness.due("late").await.unwrap().0 - harness.now().0;
    assert!(wait <= hour / 4, "{wait}");
}

#[tokio::test]
async fn what_expired_long_ago_is_spread_too() {
    let harness = start().await;
    let names: Vec<String> = (0..20).map(|number| format!("n{number}")).collect();
    for name in &names {
        harness.issued(request(name, "Self")).await;
        write_as_before(&harness, name).await;
    }
    harness.later(500).await;
    assert_eq!(harness.service.renewals().adopt_renewals().await.unwrap(), 20);
    let hour = 3_600_000;
    let mut at = Vec::new();
    for name in &names {
        at.push(harness.due(name).await.unwrap().0 - harness.now().0);
    }
    assert!(at.iter().all(|at| (0..=12 * hour).contains(at)), "{at:?}");
    assert!(at.iter().max().unwrap() - at.iter().min().unwrap() > 3 * hour, "{at:?}");
}

/// As where the settings of before named a later time.
#[tokio::test]
async fn what_is_due_later_than_by_the_settings_of_now_is_due_by_those() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    let planned = harness.due("web").await.unwrap();
    let record = harness.store.get("certificates/default/web").await.unwrap().unwrap();
    let later = Some(planned.plus(20 * DAY));
    let put = Put { key: record.key, expected: Some(record.revision), body: record.body, due: later };
    harness.store.commit(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
    let renewals = harness.service.renewals();
    assert_eq!(renewals.adopt_renewals().await.unwrap(), 1);
    assert_eq!(harness.due("web").await, Some(planned));
    // One that is claimed is left alone.
    harness.clock.set(planned);
    let claimed = harness.service.jobs().claim(64).await.unwrap();
    assert!(claimed.iter().any(|due| due.key() == "certificates/default/web"), "{claimed:?}");
    assert!(harness.due("web").await > Some(planned));
    assert_eq!(renewals.adopt_renewals().await.unwrap(), 0);
}

/// The clock was years ahead, and right again after a restart: no process saw it jump.
#[tokio::test]
async fn a_clock_that_was_wrong_before_a_restart_stops_no_renewal() {
    let harness = start().await;
    harness.test_issuer("complete").await;
    harness.issued(request("web", "ca")).await;
    harness.test_issuer("fail").await;
    harness.later(300).await;
    let back = harness.now();
    harness.later(3650).await;
    harness.clock.set(back);
    harness.test_issuer("complete").await;
    let restarted = harness.neighbour(ServiceOptions::default()).await;
    assert!(harness.due("web").await.unwrap() > back.plus(3000 * DAY));
    assert_eq!(restarted.renewals().adopt_renewals().await.unwrap(), 1);
    harness.clock.advance(DAY / 2);
    for _ in 0..5 {
        for due in restarted.jobs().claim(9).await.unwrap() {
            restarted.jobs().step(due).await.unwrap();
        }
    }
    assert_eq!(harness.versions("web").await, 2);
}

#[tokio::test]
async fn a_replica_of_before_that_writes_an_entry_stops_its_renewal_only_until_the_next_look() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    harness.later(280).await;
    write_as_before(&harness, "web").await;
    harness.later(15).await;
    assert_eq!(harness.versions("web").await, 1);
    harness.service.renewals().adopt_renewals().await.unwrap();
    harness.until_due("web").await;
    assert_eq!(harness.versions("web").await, 2);
}

/// The first releases kept nothing of the newest version in the entry.
#[tokio::test]
async fn a_renewal_on_request_keeps_what_the_version_of_an_old_entry_has() {
    let harness = start().await;
    harness.issued(request("web", "Self")).await;
    let disable = UpdateRequest {
        vault: vault(),
        name: named("web"),
        version: None,
        policy: None,
        enabled: Some(false),
        tags: None,
    };
    ask!(harness.service, certificates.update_certificate(disable)).unwrap();
    write_without(&harness, "web", &["renewal", "summary"]).await;
    ask!(harness.service, renewals.renew(wanted("web"))).unwrap();
    harness.work().await;
    assert_eq!(harness.versions("web").await, 2);
    let issued = harness.certificate("web").await.issued.unwrap();
    assert!(!issued.enabled && issued.tags.unwrap().contains_key("team"));
}
