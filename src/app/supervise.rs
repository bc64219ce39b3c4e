//! Supervision of the background tasks. A server without one of them would look healthy but do half of its work, so the
//! end of any task ends the process, and its supervisor restarts it.

use std::collections::HashMap;
use std::future::Future;
use tokio::task::{Id, JoinError, JoinSet};

/// Tasks that run as long as the server does.
#[derive(Debug, Default)]
pub(super) struct Background {
    tasks: JoinSet<()>,
    names: HashMap<Id, Task>,
}

#[derive(Clone, Copy, Debug)]
struct Task {
    name: &'static str,
    /// It has an end of its own.
    once: bool,
}

impl Background {
    /// A task that may end only at shutdown.
    pub(super) fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.add(Task { name, once: false }, task);
    }

    /// A task that has something to do once.
    pub(super) fn spawn_once(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.add(Task { name, once: true }, task);
    }

    fn add(&mut self, named: Task, task: impl Future<Output = ()> + Send + 'static) {
        let id = self.tasks.spawn(task).id();
        self.names.insert(id, named);
    }

    /// Waits for a task that panicked or ended before shutdown, and returns its name.
    pub(super) async fn failed(&mut self) -> &'static str {
        loop {
            match self.next().await {
                Some((Task { name, .. }, Err(error))) => {
                    tracing::error!(task = name, %error, "a background task failed");
                    return name;
                }
                Some((Task { name, once: false }, Ok(()))) => return name,
                Some((Task { once: true, .. }, Ok(()))) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Waits for all of them after shutdown was requested.
    pub(super) async fn end(mut self) {
        while let Some((Task { name, .. }, ended)) = self.next().await {
            if let Err(error) = ended {
                tracing::error!(task = name, %error, "a background task failed");
            }
        }
    }

    async fn next(&mut self) -> Option<(Task, Result<(), JoinError>)> {
        let (id, ended) = match self.tasks.join_next_with_id().await? {
            Ok((id, ())) => (id, Ok(())),
            Err(error) => (error.id(), Err(error)),
        };
        Some((self.names.remove(&id).unwrap_or(Task { name: "unknown", once: false }), ended))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[tokio::test]
    async fn a_task_that_panics_or_returns_is_named() {
        let mut background = Background::default();
        background.spawn("stays", pending());
        background.spawn("returns", async {});
        assert_eq!(background.failed().await, "returns");
        background.spawn("panics", async { panic!("a defect") });
        assert_eq!(background.failed().await, "panics");
    }

    #[tokio::test]
    async fn a_task_that_has_an_end_may_end_but_not_panic() {
        let mut background = Background::default();
        background.spawn_once("done", async {});
        background.spawn_once("panics", async { panic!("a defect") });
        assert_eq!(background.failed().await, "panics");
        background.end().await;
    }
}
