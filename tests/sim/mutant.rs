//! Mutants: deliberate defects that the simulation must find.

/// One defect of one part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mutant {
    /// The store shows a higher revision before a lower one.
    NumbersBeforeCommit,
    /// The store writes whatever is expected of the record.
    IgnoresConflicts,
    /// Of several events of a batch only the first is kept.
    LosesEvents,
    /// The store acknowledges what it did not write.
    LosesCommits,
    /// A deleted operation leaves nobody to tell the authority.
    ForgetsTombstones,
    /// The adapter of the authority takes a new idempotency key for each call.
    OrdersAnew,
    /// The adapter says that it cancelled, without asking.
    PretendsToCancel,
    /// Repeated creations are not recognised.
    ForgetsRepeats,
    /// Replicas rely on pokes that get lost.
    NeverPolls,
}
