//! The end of lines of the audit ledger: by their age, and by how many bytes there are.

use crate::management::harness::{Harness, create, named, vault};
use crate::permit::ask;
use certmint::service::{AuditOptions, ServiceOptions};
use certmint::store::{Batch, Put, Store};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const HOUR: Duration = Duration::from_secs(3600);
/// Lines that are read at once when they are removed.
const STEP: usize = 500;

async fn recorded(options: AuditOptions) -> Harness {
    let harness = Harness::new(ServiceOptions { audit: options, ..ServiceOptions::default() }).await;
    harness.service.audit().begin().await.unwrap();
    harness
}

async fn changes(harness: &Harness, count: usize) {
    for _ in 0..count {
        ask!(harness.service, creations.create(create("web", "Unknown"))).unwrap();
        ask!(harness.service, deletions.delete_certificate((vault(), named("web")))).unwrap();
        ask!(harness.service, deletions.purge_certificate((vault(), named("web")))).unwrap();
        harness.work().await;
    }
}

/// The keys of the lines, which begin with their time.
async fn lines(harness: &Harness) -> Vec<String> {
    harness.store.keys().await.into_iter().filter(|key| key.starts_with("audit/")).collect()
}

/// Removes what is to be removed.
async fn trim(harness: &Harness, weigh: bool) {
    while harness.service.audit().trim(weigh, &CancellationToken::new()).await.unwrap() {}
}

#[tokio::test]
async fn lines_go_with_their_age_also_behind_many_that_cannot_be_read() {
    let harness = recorded(AuditOptions { retention: HOUR, ..AuditOptions::default() }).await;
    changes(&harness, 3).await;
    let old = lines(&harness).await;
    assert!(old.len() >= 9, "{old:?}");
    // Older than all others, and more than are read at once.
    let damaged = |number: usize| Put {
        key: format!("audit/{:015}/0123456789abcdef/{number:012}", 1_000),
        expected: None,
        body: b"damaged".to_vec(),
        due: None,
    };
    let puts = (0..STEP + 20).map(damaged).collect();
    harness.store.commit(Batch { puts, ..Batch::default() }).await.unwrap();
    trim(&harness, false).await;
    assert_eq!(lines(&harness).await.len(), old.len() + STEP + 20, "nothing is an hour old");
    harness.clock.advance(2 * HOUR);
    changes(&harness, 1).await;
    trim(&harness, false).await;
    let left = lines(&harness).await;
    assert!(!left.iter().any(|key| old.contains(key)), "the old ones are gone: {left:?}");
    let unread = left.iter().filter(|key| key.starts_with(&format!("audit/{:015}/", 1_000))).count();
    assert_eq!(unread, STEP + 20, "what cannot be read stays for whoever looks into it");
    assert!(left.len() > unread + 3, "the new ones stay, and what was removed has a line");
    let trims = harness.store.body(left.last().unwrap()).await.unwrap();
    assert_eq!((&trims["value"]["kind"], &trims["value"]["count"]), (&"trim".into(), &old.len().into()), "{trims}");
}

#[tokio::test]
async fn above_its_bytes_the_oldest_hours_go() {
    let harness = recorded(AuditOptions { retention_bytes: 1, ..AuditOptions::default() }).await;
    changes(&harness, 2).await;
    let first = lines(&harness).await;
    harness.clock.advance(2 * HOUR);
    // The sizes of hours are stored with what signs the lines.
    harness.service.audit().end().await;
    changes(&harness, 1).await;
    trim(&harness, false).await;
    assert!(lines(&harness).await.starts_with(&first), "it was not weighed");
    trim(&harness, true).await;
    let left = lines(&harness).await;
    assert!(!left.iter().any(|key| first.contains(key)), "{left:?}");
    assert!(left.len() > 3, "the current hour stays: {left:?}");
    let hours: Vec<_> =
        harness.store.keys().await.into_iter().filter(|key| key.starts_with("audit-volumes/")).collect();
    assert!(hours.len() <= 1, "counts of hours without lines are gone: {hours:?}");
}
