//! Shutdown on a signal, in order.

use std::io;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The signals that stop a server, received from the moment this is made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Before it is made, a signal ends the process as the system has it.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// At the first signal `draining` is cancelled, and after `delay` `stop`. A second one ends the process.
    pub(super) async fn stop(mut self, draining: CancellationToken, delay: Duration, stop: CancellationToken) {
        self.any().await;
        tracing::info!(
            delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            "stopping: no longer ready; open requests are drained after the delay; a second signal ends the process \
             at once"
        );
        draining.cancel();
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = self.any() => std::process::exit(130),
        }
        stop.cancel();
        self.any().await;
        std::process::exit(130);
    }

    /// Waits for one of them.
    pub(super) async fn any(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
