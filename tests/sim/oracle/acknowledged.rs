//! Acknowledged results match what happened.

use super::{History, is_gone};
use crate::harness::{Harness, Observed, Sight};
use crate::server::Told;
use certmint::domain::pending::{Transition, TransitionKind};
use certmint::domain::{RequestId, Status};
use std::collections::BTreeMap;

pub(super) fn judge(harness: &Harness, history: &History) -> Vec<String> {
    let knowledge = harness.knowledge.lock().unwrap();
    let mut broken = Vec::new();
    let mut expect = |ids: &[RequestId], what: &str, happened: fn(&Transition) -> bool| {
        for id in ids {
            if !history.operation(*id).any(|told| happened(&told.transition)) {
                broken.push(format!("{id} was acknowledged as {what}, and was not"));
            }
        }
    };
    expect(&knowledge.created, "created", |transition| transition.kind == TransitionKind::Created);
    expect(&knowledge.cancelled, "to be cancelled", |transition| transition.operation.cancellation_requested);
    expect(&knowledge.deleted, "deleted", |transition| transition.kind == TransitionKind::Deleted);
    expect(&knowledge.merged, "merged", |transition| transition.operation.status() == Status::Completed);
    broken.extend(overwritten_by_itself(history, &knowledge.acts));
    for (id, revision, token) in &knowledge.tokens {
        let later = history.operation(*id).find(|told| told.transition.operation.revision > *revision);
        if later.is_some_and(|told| told.at <= *token) {
            broken.push(format!("{id} was shown in revision {revision} with the token {token}, which hides {later:?}"));
        }
    }
    let states = States::of(history);
    for observed in &knowledge.observed {
        if !states.of_name(observed).any(|state| agrees(state, &observed.what)) {
            broken.push(format!("never true while it was asked: {observed:?}"));
        }
    }
    broken
}

/// A repeat of a creation that is recognised by an id does not begin again what has ended.
fn overwritten_by_itself(history: &History, acts: &[bool]) -> Vec<String> {
    let act = |told: &Told| {
        let number = told.transition.operation.issuer.certificate_type.as_ref()?;
        number.parse::<usize>().ok().filter(|number| acts.get(*number) == Some(&true))
    };
    let pairs = history.all.windows(2).filter(|pair| pair[0].transition.kind == TransitionKind::Overwritten);
    let same = pairs.filter(|pair| act(&pair[0]).is_some() && act(&pair[0]) == act(&pair[1]));
    same.map(|pair| format!("{} was begun again by its own repeat", pair[0].transition.operation.request_id)).collect()
}

/// Of each name: from which transition on which operation was there, and in which state.
struct States<'h>(BTreeMap<String, Vec<(usize, Option<&'h Transition>)>>);

impl<'h> States<'h> {
    fn of(history: &'h History) -> Self {
        let mut states: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (index, told) in history.all.iter().enumerate() {
            let transition = &told.transition;
            let state = (!is_gone(transition)).then_some(transition);
            states.entry(transition.operation.certificate.key()).or_default().push((index + 1, state));
        }
        Self(states)
    }

    /// The states while the question was asked, the one at its beginning first.
    fn of_name(&self, observed: &Observed) -> impl Iterator<Item = Option<&'h Transition>> {
        let states = self.0.get(&observed.name.key()).map_or(&[][..], Vec::as_slice);
        let first = states.iter().rev().find(|(since, _)| *since <= observed.from).and_then(|(_, state)| *state);
        let within = |since: usize| since > observed.from && since <= observed.to;
        let later: Vec<_> = states.iter().filter(|(since, _)| within(*since)).map(|(_, state)| *state).collect();
        std::iter::once(first).chain(later)
    }
}

fn agrees(state: Option<&Transition>, seen: &Sight) -> bool {
    let operation = state.map(|transition| &transition.operation);
    match seen {
        Sight::There(id, revision) => {
            operation.is_some_and(|operation| (operation.request_id, operation.revision) == (*id, *revision))
        }
        Sight::Absent(None) => operation.is_none(),
        Sight::Absent(Some(id)) => operation.is_none_or(|operation| operation.request_id != *id),
        Sight::Busy => operation.is_some_and(|operation| operation.in_progress()),
    }
}
