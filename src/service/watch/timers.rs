//! Timers of a stream: its heartbeats, and when and why it ends.

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
    /// How long this stream stays after `closing`, so that those of a server that stops do not all come back at once.
    drain_delay: Duration,
    /// When it goes, once `closing` was seen.
    leaves: Option<Instant>,
    /// Both run through all messages: resetting them for each would cost more than the message.
    closed: Pin<Box<WaitForCancellationFutureOwned>>,
    alarm: Pin<Box<Sleep>>,
}

impl Timers {
    pub(super) fn new(request: &WatchRequest, limits: &WatchLimits, id: u64, closing: CancellationToken) -> Self {
        let now = Instant::now();
        let heartbeat =
            request.heartbeat.unwrap_or(limits.heartbeat).clamp(limits.heartbeat_least, limits.heartbeat_most);
        // Spread by the stream's number, so that streams opened together do not act together.
        let part = (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) as f64 / f64::from(1 << 24);
        let share = 0.9 + 0.2 * part;
        let heartbeat = heartbeat.mul_f64(share);
        let beat = now + heartbeat;
        let age = now + limits.max_age.mul_f64(share);
        let deadline = request.deadline.map(|patience| now + patience);
        let closed = Box::pin(closing.clone().cancelled_owned());
        let alarm = Box::pin(sleep_until(earliest(beat, age, deadline)));
        let drain_delay = limits.drain_spread.mul_f64(part);
        Self { heartbeat, beat, age, deadline, closing, drain_delay, leaves: None, closed, alarm }
    }

    /// Something was sent: the next heartbeat is a whole interval away.
    pub(super) fn sent(&mut self) {
        self.beat = Instant::now() + self.heartbeat;
    }

    /// Why the stream has to end now, if it has to. Asked between messages too: a log that never
    /// rests must not keep a stream open.
    pub(super) fn over(&mut self) -> Option<Error> {
        let now = Instant::now();
        if self.closing.is_cancelled() && *self.leaves.get_or_insert(now + self.drain_delay) <= now {
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
            // Brought forward by the closing alone.
            let next = self.next();
            if next < self.alarm.deadline() {
                self.alarm.as_mut().reset(next);
            }
            tokio::select! {
                biased; // one order, so that a simulation repeats itself
                () = &mut self.closed, if self.leaves.is_none() => self.leaves = Some(Instant::now() + self.drain_delay),
                () = &mut self.alarm => {}
            }
            // What was sent since the alarm was set has put the heartbeat off.
            let next = self.next();
            if next <= Instant::now() {
                return;
            }
            self.alarm.as_mut().reset(next);
        }
    }

    /// When there is something to do.
    fn next(&self) -> Instant {
        let next = earliest(self.beat, self.age, self.deadline);
        self.leaves.map_or(next, |leaves| leaves.min(next))
    }
}

fn earliest(beat: Instant, age: Instant, deadline: Option<Instant>) -> Instant {
    let earliest = beat.min(age);
    deadline.map_or(earliest, |deadline| deadline.min(earliest))
}

pub(super) fn draining() -> Error {
    Error::new(
        Reason::ServerDraining,
        "The server is closing this stream. Open it again and resume with the last token.",
    )
    .retry_after(Duration::from_millis(500))
}

fn too_old() -> Error {
    Error::new(Reason::WatchMaxAge, "The stream reached its maximum age. Open it again and resume with the last token.")
        .retry_after(Duration::from_millis(100))
}

fn deadline_exceeded() -> Error {
    Error::new(
        Reason::DeadlineExceeded,
        "The deadline of the call passed. Open the stream again without one, and resume with the last token.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> WatchRequest {
        WatchRequest::default()
    }

    /// How long after the closing each stream of a few hundred goes.
    async fn ends(spread: Duration, busy: bool) -> Vec<Duration> {
        let limits = WatchLimits { drain_spread: spread, ..WatchLimits::default() };
        let mut ends = Vec::new();
        for id in 1..=400 {
            let closing = CancellationToken::new();
            let mut timers = Timers::new(&everything(), &limits, id, closing.clone());
            assert!(timers.over().is_none());
            closing.cancel();
            let begun = Instant::now();
            while timers.over().is_none() {
                if busy { tokio::time::sleep(Duration::from_millis(10)).await } else { timers.rang().await }
            }
            assert_eq!(timers.over().unwrap().reason, Reason::ServerDraining);
            ends.push(begun.elapsed());
        }
        ends
    }

    #[tokio::test(start_paused = true)]
    async fn streams_of_a_server_that_stops_go_one_after_the_other() {
        // Whether a stream waits for its wake or has so much to send that it never does.
        for busy in [false, true] {
            let ends = ends(Duration::from_secs(10), busy).await;
            assert!(ends.iter().all(|end| *end <= Duration::from_millis(10_050)), "{ends:?}");
            for second in 0..10 {
                let within = |end: &&Duration| (second..second + 1).contains(&end.as_secs());
                let count = ends.iter().filter(within).count();
                assert!((25..=55).contains(&count), "{count} of 400 go in second {second}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_spread_streams_go_at_once() {
        assert!(ends(Duration::ZERO, false).await.iter().all(Duration::is_zero));
    }
}
