//! Work with files, which may be on a network: nobody waits for it without end.

use std::time::Duration;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, spawn_blocking};

/// How long it is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// One piece of work at a time, in one thread: where a file keeps its reader, no second one is sent after it.
#[derive(Debug)]
pub(super) struct Patient<T>(Mutex<Option<JoinHandle<T>>>);

impl<T> Default for Patient<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Send + 'static> Patient<T> {
    /// Does it, after what still runs from before.
    ///
    /// # Errors
    /// Where it takes longer than five seconds. It is not begun then, or goes on by itself.
    pub(super) async fn run(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let done = async {
            let mut running = self.0.lock().await;
            if let Some(before) = running.as_mut() {
                // Its result is an old one.
                drop(before.await);
                *running = None;
            }
            let done = running.insert(spawn_blocking(work)).await;
            *running = None;
            done.map_err(|error| error.to_string())
        };
        let late = |_| format!("a file was not read or written within {} s", PATIENCE.as_secs());
        tokio::time::timeout(PATIENCE, done).await.map_err(late)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn work_that_does_not_end_is_waited_for_a_while_and_not_done_twice() {
        let patient = Patient::<&str>::default();
        let (release, gate) = mpsc::channel::<()>();
        // The clock stands still while a thread works, and is moved by hand.
        let late = || tokio::time::advance(PATIENCE + Duration::from_secs(1));
        let hangs = move || gate.recv().map_or("gone", |()| "first");
        let (first, ()) = tokio::join!(patient.run(hangs), late());
        assert_eq!(first.unwrap_err(), "a file was not read or written within 5 s");
        let (second, ()) = tokio::join!(patient.run(|| panic!("a second thread")), late());
        assert!(second.is_err());
        release.send(()).unwrap();
        assert_eq!(patient.run(|| "third").await.as_deref(), Ok("third"));
        assert!(patient.run(|| panic!("a defect")).await.is_err());
        assert_eq!(patient.run(|| "fourth").await.as_deref(), Ok("fourth"));
    }
}
