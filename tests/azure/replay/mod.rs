//! Recorded exchanges of the real service, sent to ours. Each answer is compared member by member; what differs stands
//! with its reason in `docs/compatibility.md`, and nowhere else: a difference that is not there fails, and so does one
//! that no longer occurs.

pub(crate) mod compare;
mod der;
mod held;
mod newer;
mod node;
mod play;
mod table;
pub(crate) mod tree;

use play::Seen;
use std::collections::BTreeSet;

#[tokio::test]
async fn recorded_exchanges_get_the_same_answers_except_for_the_listed_differences() {
    let mut seen = Seen::new();
    node::play(&mut seen).await;
    newer::play(&mut seen).await;
    let left_out = table::left_out();
    for id in play::all() {
        let told = if left_out.contains(&id) { "played and left out" } else { "neither played nor left out" };
        assert_ne!(seen.contains_key(&id), left_out.contains(&id), "{id:?} is {told}");
    }
    let found: BTreeSet<_> = seen.iter().flat_map(|(id, found)| found.iter().map(|it| table::row(*id, it))).collect();
    let known = table::known();
    let lines = |rows: Vec<&(play::Id, String, String, String)>| {
        let line = |((list, index), member, theirs, ours): &(play::Id, String, String, String)| {
            format!("| {list} {index} | {member} | `{theirs}` | `{ours}` | |")
        };
        rows.into_iter().map(line).collect::<Vec<_>>().join("\n")
    };
    let (new, gone) = (lines(found.difference(&known).collect()), lines(known.difference(&found).collect()));
    assert!(new.is_empty() && gone.is_empty(), "not told:\n{new}\n\nno longer so:\n{gone}");
}
