//! Stores of versions that do not renew, and replicas of those beside this one.

use super::{DAY, request, start};
use crate::management::harness::Harness;
use certmint::service::record_body;
use certmint::store::{Batch, Put, Store};
use serde_json::Value;

/// Writes the entry as a version without renewals does.
async fn write_as_before(harness: &Harness, name: &str) {
    let key = format!("certificates/default/{name}");
    let record = harness.store.get(&key).await.unwrap().unwrap();
    let mut body: Value = serde_json::from_slice(&record.body).unwrap();
    body["value"].as_object_mut().unwrap().remove("renewal");
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
    let in_first = at.iter().filter(|at| **at < 3 * hour).count();
    assert!((1..20).contains(&in_first), "{at:?}");
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
