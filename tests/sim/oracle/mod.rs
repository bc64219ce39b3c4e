//! The oracle: compares what callers and watchers saw with what was committed.

mod acknowledged;
mod ends;
mod log;
mod watch;

pub(crate) use ends::{everything_ended, nothing_is_due};

use crate::harness::Harness;
use crate::server::Told;
use crate::watcher::Chain;
use certmint::domain::RequestId;
use certmint::domain::pending::{Transition, TransitionKind};
use std::collections::BTreeMap;

/// All transitions, and those of each operation, as indices.
pub(crate) struct History {
    pub(crate) all: Vec<Told>,
    pub(crate) of: BTreeMap<RequestId, Vec<usize>>,
}

impl History {
    pub(crate) fn of(harness: &Harness) -> Self {
        let all = harness.server.history();
        let mut of: BTreeMap<RequestId, Vec<usize>> = BTreeMap::new();
        for (index, told) in all.iter().enumerate() {
            of.entry(told.transition.operation.request_id).or_default().push(index);
        }
        Self { all, of }
    }

    pub(crate) fn operation(&self, id: RequestId) -> impl DoubleEndedIterator<Item = &Told> {
        self.of.get(&id).into_iter().flatten().map(|index| &self.all[*index])
    }
}

pub(crate) fn is_gone(transition: &Transition) -> bool {
    matches!(transition.kind, TransitionKind::Deleted | TransitionKind::Overwritten)
}

/// Tells the harness what is broken.
pub(crate) async fn judge(harness: &Harness, chains: &[Chain]) {
    let history = History::of(harness);
    for Told { transition, .. } in &history.all {
        harness.note(format!("told {:?} {:?}", transition.kind, transition.operation.status()));
    }
    for chain in chains {
        harness.note(format!("chain {:?} of {}", chain.end, chain.items.len()));
    }
    for told in [log::judge(&history), acknowledged::judge(harness, &history), watch::judge(&history, chains)] {
        told.into_iter().for_each(|what| harness.broken(what));
    }
    ends::versions_and_orders(harness, &history).await.into_iter().for_each(|what| harness.broken(what));
}
