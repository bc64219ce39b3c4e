//! Disables core dumps and debugging by other processes of the same user, since memory holds keys and passwords.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Forbids core dumps of this process, and that processes of the same user read its memory (`PR_SET_DUMPABLE`,
/// prctl(2)). Call it once at start. Where the system refuses, the server runs all the same and the log says so.
pub(super) fn forbid() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for (what, done) in [
        ("RLIMIT_CORE", setrlimit(Resource::Core, none)),
        ("PR_SET_DUMPABLE", set_dumpable_behavior(DumpableBehavior::NotDumpable)),
    ] {
        if let Err(error) = done {
            tracing::warn!(
                %error,
                "core dumps could not be disabled ({what}): disable them in the environment that starts the server"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{dumpable_behavior, getrlimit};

    #[test]
    fn a_process_that_holds_keys_leaves_no_core() {
        forbid();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
    }
}
