//! What must hold after every run, whenever the process died.

use crate::crash::harness::Harness;
use crate::crash::scenarios::{FIRST, SECOND, Scenario};
use certmint::domain::pending::{Transition, TransitionKind};
use certmint::domain::{RequestId, Status};
use serde::Deserialize;

/// The form of stored bodies.
#[derive(Deserialize)]
struct Body {
    value: Transition,
}

/// The events of one operation in the log.
struct Story {
    revisions: Vec<u64>,
    kinds: Vec<TransitionKind>,
    last: Status,
}

async fn story(harness: &Harness, id: &str) -> Story {
    let store = harness.open();
    let id = RequestId::parse(id).unwrap();
    let page = store.events(0, 10_000).await.unwrap();
    let mut story = Story { revisions: vec![], kinds: vec![], last: Status::InProgress };
    for event in page.events {
        let Body { value } = serde_json::from_slice(&event.body).unwrap();
        if value.operation.request_id == id {
            story.revisions.push(value.operation.revision);
            story.kinds.push(value.kind);
            story.last = value.operation.status();
        }
    }
    story
}

async fn versions(harness: &Harness) -> usize {
    harness.open().list("versions/", "", 100).await.unwrap().len()
}

/// `Err` says what is broken.
pub(crate) async fn check(harness: &Harness, scenario: Scenario) -> Result<(), String> {
    use TransitionKind as K;
    let first = story(harness, FIRST).await;
    told_once(&first)?;
    let (kinds, last, made) = match scenario {
        Scenario::Issue | Scenario::Merge => (vec![K::Created, K::Updated], Status::Completed, 1),
        Scenario::Cancel => (vec![K::Created, K::Updated, K::Updated], Status::Cancelled, 0),
        Scenario::Delete => (vec![K::Created, K::Deleted], Status::InProgress, 0),
        Scenario::Overwrite => (vec![K::Created, K::Updated, K::Overwritten], Status::Failed, 1),
    };
    expect("the transitions", &first.kinds, &kinds)?;
    expect("the last status", &first.last, &last)?;
    expect("the number of versions", &versions(harness).await, &made)?;
    if scenario == Scenario::Overwrite {
        let second = story(harness, SECOND).await;
        told_once(&second)?;
        expect("the end of the second operation", &second.last, &Status::Completed)?;
    }
    let books = harness.books.lock().unwrap();
    // A crash right before the order leaves nothing to cancel; never are there two.
    let allowed = match scenario {
        Scenario::Merge => 0..=0,
        Scenario::Cancel | Scenario::Delete => 0..=1,
        Scenario::Issue | Scenario::Overwrite => 1..=1,
    };
    let orders: usize = books.orders.values().sum();
    if !allowed.contains(&orders) {
        return Err(format!("the number of orders: {orders}, not {allowed:?}"));
    }
    let cancelled = usize::from(matches!(scenario, Scenario::Cancel | Scenario::Delete));
    expect("the number of cancelled orders", &books.cancelled.len(), &cancelled)
}

fn told_once(story: &Story) -> Result<(), String> {
    let expected: Vec<u64> = (1..=story.revisions.len() as u64).collect();
    expect("the revisions of the operation", &story.revisions, &expected)
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}, not {expected:?}")) }
}
