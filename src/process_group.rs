//! Programs that this process runs, and those that they start: where one is given up, all of them end.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;

/// The group of a program that was started as the first of one (`process_group(0)`). All of it is killed where this is
/// dropped before the program has ended.
pub(crate) struct ProcessGroup(Option<u32>);

impl ProcessGroup {
    /// That of a program that was just started.
    pub(crate) fn of(child: &Child) -> Self {
        Self(child.id())
    }

    /// What it left running, such as a daemon, goes on.
    pub(crate) fn has_ended(mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        let leader = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        if let Some(leader) = leader {
            // It may have ended by now.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }
}
