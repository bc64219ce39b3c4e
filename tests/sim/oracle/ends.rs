//! The final state: no operation in progress, nothing due, one version and one order for each
//! operation that completed.

use super::{History, is_gone};
use crate::authority::{Placed, Stage};
use crate::harness::Harness;
use crate::server::read;
use certmint::domain::pending::{Transition, TransitionKind};
use certmint::domain::{CertificateEntry, RequestId, Status, Timestamp, Version};
use certmint::store::Record;
use std::collections::{BTreeMap, BTreeSet};

/// Whether every operation has ended, and the authority has cancelled all that were deleted.
pub(crate) async fn everything_ended(harness: &Harness) -> bool {
    let open = History::of(harness);
    let ended = open.of.keys().all(|id| open.operation(*id).next_back().is_none_or(|told| has_ended(&told.transition)));
    ended && harness.server.all("orders/").await.is_empty()
}

fn has_ended(transition: &Transition) -> bool {
    is_gone(transition) || !transition.operation.in_progress()
}

/// After every operation was deleted and forgotten, at `now`. A certificate is due for its next renewal.
pub(crate) async fn nothing_is_due(harness: &Harness, now: Timestamp) -> Vec<String> {
    let left = harness.server.all("").await.into_iter();
    let is_work = |record: &Record| {
        let renewed_later = record.key.starts_with("certificates/") && record.due.is_some_and(|due| due > now);
        record.due.is_some() && !renewed_later
    };
    let left = left.filter(|record| is_work(record) || record.key.starts_with("pending/"));
    left.map(|record| format!("{} is left, due {:?}", record.key, record.due)).collect()
}

pub(super) async fn versions_and_orders(harness: &Harness, history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let mut completed: BTreeSet<String> = BTreeSet::new();
    let mut latest: BTreeMap<String, Version> = BTreeMap::new();
    for told in &history.all {
        let Transition { kind, operation, .. } = &told.transition;
        if *kind == TransitionKind::Updated && operation.status() == Status::Completed {
            completed.insert(format!(
                "versions/{}/{}/{}",
                operation.vault,
                operation.certificate.key(),
                operation.version
            ));
            latest
                .insert(format!("certificates/{}/{}", operation.vault, operation.certificate.key()), operation.version);
        }
    }
    let stored: BTreeSet<String> = harness.server.all("versions/").await.into_iter().map(|record| record.key).collect();
    for one in stored.symmetric_difference(&completed) {
        broken.push(format!("{one} is stored or completed, and not both"));
    }
    for record in harness.server.all("certificates/").await {
        let entry: CertificateEntry = read(&record.body);
        if entry.latest != latest.get(&record.key).copied() {
            broken.push(format!(
                "{} has the latest version {:?}, not {:?}",
                record.key,
                entry.latest,
                latest.get(&record.key)
            ));
        }
    }
    let mut orders: BTreeMap<RequestId, usize> = BTreeMap::new();
    for placed in harness.authority.orders() {
        *orders.entry(placed.request_id).or_default() += 1;
        broken.extend(judge_order(history, &placed, harness.profile.clocks_agree()));
    }
    broken.extend(
        orders.into_iter().filter(|(_, count)| *count > 1).map(|(id, count)| format!("{count} orders for {id}")),
    );
    for (id, indices) in &history.of {
        let issued = indices.iter().map(|index| &history.all[*index].transition).any(by_issuer);
        let ordered =
            harness.authority.orders().iter().any(|placed| placed.request_id == *id && placed.stage == Stage::Issued);
        if issued && !ordered {
            broken.push(format!("{id} was completed by an authority that did not issue it"));
        }
    }
    broken
}

/// Completed straight out of progress, and not merged by a person.
fn by_issuer(transition: &Transition) -> bool {
    let operation = &transition.operation;
    !operation.issuer.is_manual()
        && operation.status() == Status::Completed
        && transition.kind == TransitionKind::Updated
        && transition.previous == Some(Status::InProgress)
}

fn judge_order(history: &History, placed: &Placed, clocks_agree: bool) -> Option<String> {
    let id = placed.request_id;
    let Some(first) = history.of.get(&id).and_then(|indices| indices.first()) else {
        return Some(format!("an order for {id}, which nobody created"));
    };
    if *first >= placed.told {
        return Some(format!("the order for {id} came before its creation was durable"));
    }
    if history.all[*first].transition.operation.csr.0 != placed.csr {
        return Some(format!("the order for {id} has another request"));
    }
    (clocks_agree && placed.stage == Stage::Open)
        .then(|| format!("the order for {id} is still open, and nobody will end it"))
}
