//! When a stream speaks without an event, and when and why it ends.

use super::filter::WatchRequest;
use super::hub::WatchLimits;
use crate::domain::{Error, Reason};
use std::pin::Pin;
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// The clocks of one stream.
pub(super) struct Timers {
    heartbeat: Duration,
    beat: Instant,
    age: Instant,
    deadline: Option<Instant>,
    closing: CancellationToken,
    /// Both wait through all messages: setting them anew for each would cost more than the message.
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    alarm: Pin<Box<Sleep>>,
}

impl Timers {
    pub(super) fn new(request: &WatchRequest, limits: &WatchLimits, id: u64, closing: CancellationToken) -> Self {
        let now = Instant::now();
        let heartbeat =
            request.heartbeat.unwrap_or(limits.heartbeat).clamp(limits.heartbeat_least, limits.heartbeat_most);
        // Spread by the stream's number, so that streams opened together do not act together.
        let share = 0.9 + 0.2 * ((id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / f64::from(1 << 24));
        let heartbeat = heartbeat.mul_f64(share);
        let beat = now + heartbeat;
        let age = now + limits.max_age.mul_f64(share);
        let deadline = request.deadline.map(|patience| now + patience);
        let closed = Box::pin(closing.clone().cancelled_owned());
        let alarm = Box::pin(sleep_until(earliest(beat, age, deadline)));
        Self { heartbeat, beat, age, deadline, closing, closed, alarm }
    }

    /// Something was sent: the next heartbeat is a whole interval away.
    pub(super) fn sent(&mut self) {
        self.beat = Instant::now() + self.heartbeat;
    }

    /// Why the stream has to end now, if it has to. Asked between messages too: a log that never
    /// rests must not keep a stream open.
    pub(super) fn over(&self) -> Option<Error> {
        let now = Instant::now();
        if self.closing.is_cancelled() {
            Some(draining())
        } else if self.deadline.is_some_and(|deadline| deadline <= now) {
            Some(deadline_exceeded())
        } else if self.age <= now {
            Some(too_old())
        } else {
            None
        }
    }

    pub(super) fn beat_is_due(&self) -> bool {
        self.beat <= Instant::now()
    }

    /// Ends when a heartbeat is due or the stream has to end.
    pub(super) async fn rang(&mut self) {
        loop {
            tokio::select! {
                biased; // one order, so that a simulation repeats itself
                () = &mut self.closed => return,
                () = &mut self.alarm => {}
            }
            // What was sent since the alarm was set has put the heartbeat off.
            let next = earliest(self.beat, self.age, self.deadline);
            if next <= Instant::now() {
                return;
            }
            self.alarm.as_mut().reset(next);
        }
    }
}

fn earliest(beat: Instant, age: Instant, deadline: Option<Instant>) -> Instant {
    let earliest = beat.min(age);
    deadline.map_or(earliest, |deadline| deadline.min(earliest))
}

pub(super) fn draining() -> Error {
    Error::new(Reason::ServerDraining, "The server closes this stream. Open it again and resume with the last token.")
        .retry_after(Duration::from_millis(500))
}

fn too_old() -> Error {
    Error::new(
        Reason::WatchMaxAge,
        "The stream was open for long enough. Open it again and resume with the last token.",
    )
    .retry_after(Duration::from_millis(100))
}

fn deadline_exceeded() -> Error {
    Error::new(
        Reason::DeadlineExceeded,
        "The deadline of the call passed. Open the stream again without one, and resume with the last token.",
    )
}
