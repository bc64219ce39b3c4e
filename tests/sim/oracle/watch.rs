//! Every watcher saw every transition since it began, in order, once.

use super::{History, is_gone};
use crate::server::Told;
use crate::watcher::{Chain, End, Item};
use certmint::domain::{Operation, RequestId};
use certmint::service::watch::Snapshot;
use certmint::store::Revision;
use std::collections::BTreeMap;

pub(super) fn judge(history: &History, chains: &[Chain]) -> Vec<String> {
    chains.iter().flat_map(|chain| Judge { history, chain }.all()).collect()
}

struct Judge<'a> {
    history: &'a History,
    chain: &'a Chain,
}

impl Judge<'_> {
    fn all(&self) -> Vec<String> {
        let mut broken = self.order();
        match self.chain.begun {
            Some(begun) => broken.extend(self.since(begun)),
            None => broken.extend(self.snapshot()),
        }
        broken.extend(self.end());
        broken.into_iter().map(|what| format!("{what}: {}", self.told())).collect()
    }

    fn events(&self) -> impl Iterator<Item = Revision> {
        self.chain.items.iter().filter_map(|item| match item {
            Item::Event(at, _) => Some(*at),
            Item::Snapshot(_) | Item::Resumed => None,
        })
    }

    /// Those of the connection that had the snapshot.
    fn first_events(&self) -> impl Iterator<Item = Revision> {
        let first = self.chain.items.iter().take_while(|item| !matches!(item, Item::Resumed));
        first.filter_map(|item| if let Item::Event(at, _) = item { Some(*at) } else { None })
    }

    /// Up to where the chain has to know everything.
    fn through(&self) -> Option<Revision> {
        match self.chain.end {
            End::Over => Some(Revision::MAX),
            End::Lost | End::Finished => self.chain.position,
        }
    }

    fn concerned(&self, told: &Told) -> bool {
        let names = &self.chain.names;
        names.is_empty() || names.iter().any(|name| name.key() == told.transition.operation.certificate.key())
    }

    /// Snapshot first; events as they are in the log, and upwards.
    fn order(&self) -> Vec<String> {
        let mut broken = Vec::new();
        let mut last = 0;
        for item in &self.chain.items {
            match item {
                Item::Snapshot(operation) => {
                    let was = self.history.operation(operation.request_id);
                    let was = was.filter(|told| !is_gone(&told.transition));
                    if last > 0 || !was.into_iter().any(|told| told.transition.operation == **operation) {
                        broken.push(format!("a snapshot of {} that never was, or late", operation.request_id));
                    }
                }
                Item::Event(at, transition) => {
                    let known = self.history.all.iter().find(|told| told.at == *at);
                    if *at <= last || known.is_none_or(|told| told.transition != **transition) {
                        broken.push(format!("the event {at} after {last} is not that of the log"));
                    }
                    last = *at;
                }
                Item::Resumed => {}
            }
        }
        broken
    }

    /// A chain that began with a token: everything after it.
    fn since(&self, begun: Revision) -> Option<String> {
        let through = self.through()?;
        let due = self.history.all.iter().filter(|told| told.at > begun && told.at <= through && self.concerned(told));
        let due: Vec<Revision> = due.map(|told| told.at).collect();
        let seen: Vec<Revision> = self.events().collect();
        (seen != due).then(|| format!("after {begun} it saw {seen:?} of {due:?}"))
    }

    /// A chain that began with a snapshot: of each operation its state and all that came after.
    fn snapshot(&self) -> Vec<String> {
        let Some(through) = self.through() else { return vec![] };
        let mut shown: BTreeMap<RequestId, &Operation> = BTreeMap::new();
        let mut broken = Vec::new();
        for item in &self.chain.items {
            if let Item::Snapshot(operation) = item
                && shown.insert(operation.request_id, operation).is_some()
            {
                broken.push(format!("{} is twice in the snapshot", operation.request_id));
            }
        }
        for id in self.history.of.keys() {
            let all: Vec<&Told> =
                self.history.operation(*id).filter(|told| told.at <= through && self.concerned(told)).collect();
            let seen = |told: &&&Told| self.events().any(|at| at == told.at);
            let missing: Vec<&&Told> = all.iter().filter(|told| !seen(told)).collect();
            let problem = match shown.get(id) {
                Some(state) => missing.iter().any(|told| told.transition.operation.revision > state.revision),
                None => missing.last().is_some_and(|last| !self.may_be_unknown(last, *id)),
            };
            let twice = shown.get(id).is_some_and(|state| {
                self.first_events().any(|at| {
                    all.iter().any(|told| told.at == at && told.transition.operation.revision <= state.revision)
                })
            });
            if problem || twice {
                let shown = shown.get(id).map(|operation| operation.revision);
                let missing: Vec<Revision> = missing.iter().map(|told| told.at).collect();
                broken.push(format!("of {id} the snapshot had {shown:?}, and {missing:?} are missing or came twice"));
            }
        }
        broken
    }

    /// What came before the stream was opened and was over before, or while, the snapshot was read.
    fn may_be_unknown(&self, last_missing: &Told, id: RequestId) -> bool {
        let over = |told: &Told| {
            let transition = &told.transition;
            is_gone(transition) || self.chain.snapshot == Snapshot::InProgress && !transition.operation.in_progress()
        };
        let before = last_missing.at <= self.chain.opened;
        let none = self.chain.snapshot == Snapshot::None;
        before
            && (none || {
                let settled = self.chain.settled.unwrap_or(Revision::MAX);
                let mut since =
                    self.history.operation(id).filter(|told| told.at >= last_missing.at && told.at <= settled);
                since.any(over)
            })
    }

    /// Who is connected at the end has caught up; who was told that all is over, all was over.
    fn end(&self) -> Option<String> {
        match self.chain.end {
            End::Over if !self.chain.caught_up => Some("it never caught up".to_owned()),
            End::Finished => {
                let ids = self.chain.items.iter().filter_map(|item| match item {
                    Item::Snapshot(operation) => Some(operation.request_id),
                    Item::Event(_, transition) => Some(transition.operation.request_id),
                    Item::Resumed => None,
                });
                let position = self.chain.position.unwrap_or(0);
                let open = |id: &RequestId| {
                    let last = self.history.operation(*id).rfind(|told| told.at <= position);
                    last.is_some_and(|told| !is_gone(&told.transition) && told.transition.operation.in_progress())
                };
                let mut ids = ids;
                ids.find(open).map(|id| format!("it was finished, and {id} had not ended"))
            }
            End::Over | End::Lost => None,
        }
    }

    fn told(&self) -> String {
        let Chain { names, snapshot, begun, opened, settled, items, position, caught_up, end } = self.chain;
        let items: Vec<String> = items
            .iter()
            .map(|item| match item {
                Item::Snapshot(operation) => format!("snapshot {}/{}", operation.request_id, operation.revision),
                Item::Resumed => "resumed".to_owned(),
                Item::Event(at, transition) => {
                    format!("{at} {}/{}", transition.operation.request_id, transition.operation.revision)
                }
            })
            .collect();
        format!(
            "{names:?} {snapshot:?} begun {begun:?} opened {opened:?} settled {settled:?} at {position:?} caught up {caught_up} {end:?} {items:?}"
        )
    }
}
