//! How many requests go to each webhook at the same time: a receiver that is slow or gone holds up nobody else.

use crate::domain::{Timestamp, WebhookId};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests to one webhook at the same time.
const AT_ONCE: usize = 8;
/// How long a delivery waits for its turn where others are sent fast.
const TURN: Duration = Duration::from_millis(250);
/// A receiver that let nothing end for this long is slow.
const SLOW: Duration = Duration::from_secs(1);
/// When the next look is at what found no place.
const AGAIN: Duration = Duration::from_secs(2);
/// From so many failures in a row on one request at a time is sent, to see whether the receiver is back.
const FAILING: u32 = 3;
/// The longest wait between those.
const LONGEST: Duration = Duration::from_secs(300);
/// Webhooks that are remembered.
const MOST: usize = 10_000;

/// The webhooks that this process sends to.
#[derive(Default)]
pub(super) struct Lanes(Mutex<HashMap<WebhookId, Lane>>);

struct Lane {
    places: Arc<Semaphore>,
    failures: u32,
    /// While it fails, nothing is sent before then.
    closed_until: Timestamp,
    last_end: Timestamp,
}

/// Whether a delivery may be sent.
pub(super) enum Turn {
    /// As long as this is held.
    Now(OwnedSemaphorePermit),
    /// It is looked at again then.
    At(Timestamp),
}

impl Lanes {
    /// The turn of a delivery.
    pub(super) async fn turn(&self, webhook: WebhookId, now: Timestamp) -> Turn {
        let (places, is_slow) = {
            let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if all.len() >= MOST && !all.contains_key(&webhook) {
                all.retain(|_, lane| lane.places.available_permits() < AT_ONCE);
            }
            let lane = all.entry(webhook).or_insert_with(|| Lane::new(now));
            if now < lane.closed_until {
                return Turn::At(lane.closed_until);
            }
            let is_probed = lane.failures >= FAILING && lane.places.available_permits() < AT_ONCE;
            if is_probed {
                return Turn::At(now.plus(AGAIN));
            }
            (lane.places.clone(), lane.last_end.plus(SLOW) <= now)
        };
        if let Ok(place) = places.clone().try_acquire_owned() {
            return Turn::Now(place);
        }
        if is_slow {
            return Turn::At(now.plus(AGAIN));
        }
        match tokio::time::timeout(TURN, places.acquire_owned()).await {
            Ok(Ok(place)) => Turn::Now(place),
            _ => Turn::At(now.plus(AGAIN)),
        }
    }

    /// How a request ended. Answers whether the receiver is back after failures.
    pub(super) fn ended(&self, webhook: WebhookId, taken: bool, now: Timestamp, first_retry: Duration) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lane) = all.get_mut(&webhook) else { return false };
        lane.last_end = now;
        let was_failing = lane.failures >= FAILING;
        if taken {
            (lane.failures, lane.closed_until) = (0, Timestamp(0));
            return was_failing;
        }
        lane.failures = lane.failures.saturating_add(1);
        if let Some(over) = lane.failures.checked_sub(FAILING) {
            let wait = first_retry.saturating_mul(1 << over.min(16)).min(LONGEST);
            lane.closed_until = now.plus(wait);
        }
        false
    }

    /// Nothing is known against the webhook any more.
    pub(super) fn open(&self, webhook: WebhookId) {
        if let Some(lane) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&webhook) {
            (lane.failures, lane.closed_until) = (0, Timestamp(0));
        }
    }
}

impl Lane {
    fn new(now: Timestamp) -> Self {
        Self { places: Arc::new(Semaphore::new(AT_ONCE)), failures: 0, closed_until: Timestamp(0), last_end: now }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u128) -> WebhookId {
        WebhookId::from_uuid(uuid::Uuid::from_u128(number))
    }

    const FIRST: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_full_lane_of_a_slow_receiver_makes_nobody_wait() {
        let (lanes, first, now) = (Lanes::default(), id(1), Timestamp(10_000));
        let mut held = Vec::new();
        for _ in 0..AT_ONCE {
            held.push(lanes.turn(first, now).await);
        }
        assert!(held.iter().all(|turn| matches!(turn, Turn::Now(_))));
        let later = now.plus(SLOW);
        let begun = tokio::time::Instant::now();
        assert!(matches!(lanes.turn(first, later).await, Turn::At(at) if at > later));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(matches!(lanes.turn(id(2), later).await, Turn::Now(_)), "another webhook");
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_that_fails_is_tried_by_one_request_at_a_time_less_and_less_often() {
        let (lanes, first, mut now) = (Lanes::default(), id(1), Timestamp(10_000));
        for _ in 0..FAILING {
            assert!(matches!(lanes.turn(first, now).await, Turn::Now(_)));
            assert!(!lanes.ended(first, false, now, FIRST));
        }
        assert!(matches!(lanes.turn(first, now).await, Turn::At(at) if at == now.plus(FIRST)));
        now = now.plus(FIRST);
        let probe = lanes.turn(first, now).await;
        assert!(matches!(probe, Turn::Now(_)));
        assert!(matches!(lanes.turn(first, now).await, Turn::At(_)), "one probe is enough");
        drop(probe);
        lanes.ended(first, false, now, FIRST);
        assert!(matches!(lanes.turn(first, now).await, Turn::At(at) if at == now.plus(2 * FIRST)));
        now = now.plus(2 * FIRST);
        assert!(matches!(lanes.turn(first, now).await, Turn::Now(_)));
        assert!(lanes.ended(first, true, now, FIRST), "it is back");
        assert!(matches!(lanes.turn(first, now).await, Turn::Now(_)));
    }
}
