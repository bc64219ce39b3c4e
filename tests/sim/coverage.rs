//! Coverage of the runs: a run without faults proves nothing.

use std::collections::BTreeMap;

/// A part of a line of the trace, for each thing that has to have happened.
const THINGS: [&str; 21] = [
    " starts",
    " crashes",
    " stops",
    " clock ",
    " order ",
    " cancel ",
    "fails before",
    "though done: After true",
    "though done: Ghost true",
    "repeats ",
    "was changed by another writer",
    "created ",
    "merged ",
    "told Updated Completed",
    "told Updated Failed",
    "told Updated Cancelled",
    "told Overwritten",
    "told Deleted InProgress",
    "chain Over",
    "chain Lost",
    "chain Finished",
];

/// How often each happened.
#[derive(Debug, Default)]
pub(crate) struct Coverage(BTreeMap<&'static str, usize>);

impl Coverage {
    pub(crate) fn count(&mut self, trace: &[String]) {
        for thing in THINGS {
            *self.0.entry(thing).or_default() += trace.iter().filter(|line| line.contains(thing)).count();
        }
    }

    /// A few seeds need not meet everything.
    pub(crate) fn assert_all(&self, seeds: u64) {
        let never: Vec<_> = self.0.iter().filter(|(_, count)| **count == 0).map(|(thing, _)| thing).collect();
        assert!(seeds < 100 || never.is_empty(), "these runs never met {never:?}");
    }
}
