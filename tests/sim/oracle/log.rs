//! The log is a valid history.

use super::{History, is_gone};
use certmint::domain::RequestId;
use certmint::domain::pending::{Transition, TransitionKind};
use std::collections::BTreeMap;

pub(super) fn judge(history: &History) -> Vec<String> {
    let mut broken = Vec::new();
    let mut there: BTreeMap<String, RequestId> = BTreeMap::new();
    let mut last: BTreeMap<RequestId, &Transition> = BTreeMap::new();
    let mut before = 0;
    for told in &history.all {
        let transition = &told.transition;
        let operation = &transition.operation;
        let (id, name) = (operation.request_id, operation.certificate.key());
        let mut expect = |holds: bool, what: &str| {
            if !holds {
                broken.push(format!("{what}: {} {:?} of {id} at {}", operation.revision, transition.kind, told.at));
            }
        };
        expect(told.at > before, "the log is out of order");
        before = told.at;
        if transition.kind == TransitionKind::Created {
            expect(!last.contains_key(&id), "created twice");
            expect(there.insert(name, id).is_none(), "two operations for one name");
            expect((operation.revision, transition.previous) == (1, None), "no beginning");
        } else if let Some(previous) = last.get(&id) {
            let known = &previous.operation;
            expect(!is_gone(previous), "something after the end");
            expect(operation.revision == known.revision + 1, "a gap in the revisions");
            expect(transition.previous == Some(known.status()), "another status before");
            expect(is_gone(transition) || transition.kind == TransitionKind::Updated, "an unknown kind");
            expect(there.get(&name) == Some(&id), "a change of what is not there");
            expect(operation.csr == known.csr && operation.version == known.version, "another key or version");
            if transition.kind == TransitionKind::Overwritten {
                expect(!known.in_progress(), "overwritten while in progress");
            } else if transition.kind == TransitionKind::Deleted {
                expect(operation.state == known.state, "another state in the deletion");
            }
            if is_gone(transition) {
                there.remove(&name);
            }
        } else {
            expect(false, "a change of what was never created");
        }
        last.insert(id, transition);
    }
    broken
}
