//! Where a claim starts its scan. A claimed record leaves its old index entry behind until the database vacuums, which
//! a long transaction (a dump) prevents: from the beginning, every claim would scan all entries claimed before it.

use crate::domain::Timestamp;
use std::time::{Duration, Instant};

/// Due times so close to the present are always looked at: a write takes a moment from its due time to its commit.
const MARGIN: Duration = Duration::from_secs(10);

/// A look from the beginning finds what came to be due behind the others (a clock that was set back, a claim of
/// somebody else that was rolled back). It is made this often, unless that is a larger part of the time than a tenth.
const WHOLE_EVERY: Duration = Duration::from_secs(1);
const SHARE: u32 = 10;

/// However long a look took, it may have been a pause of the database or of the network: work behind the horizon waits
/// no longer than this.
const WHOLE_AT_MOST: Duration = Duration::from_secs(60);

/// The lowest due time that a claim asks for, learnt from the claims before it.
#[derive(Debug, Default)]
pub(super) struct VisibilityHorizon {
    due: i64,
    /// When the next scan from the beginning is due; at once if there was none yet.
    whole: Option<Instant>,
}

/// One look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) lowest: i64,
    begun: Instant,
}

impl VisibilityHorizon {
    pub(super) fn look(&self, now: Timestamp, at: Instant) -> Look {
        let whole = self.whole.is_none_or(|whole| at >= whole);
        Look { lowest: if whole { i64::MIN } else { self.due.min(now.minus(MARGIN).0) }, begun: at }
    }

    /// `last` is a due time up to which a full claim took everything; where a claim was not full, there is nothing left
    /// below the present.
    pub(super) fn looked(&mut self, look: Look, now: Timestamp, last: Option<i64>, at: Instant) {
        self.due = last.unwrap_or(now.0);
        if look.lowest == i64::MIN {
            self.whole = Some(next_whole(look, at));
        }
    }

    /// The database gave a look from the beginning up, because it took too long: the next ones begin near the present,
    /// so that what comes due is claimed meanwhile.
    pub(super) fn failed(&mut self, look: Look, now: Timestamp, at: Instant) {
        if look.lowest == i64::MIN {
            self.whole = Some(next_whole(look, at));
            // The first look of this process: nothing was learnt yet.
            if self.due == 0 {
                self.due = now.minus(MARGIN).0;
            }
        }
    }
}

fn next_whole(look: Look, at: Instant) -> Instant {
    at + (at.duration_since(look.begun) * SHARE).clamp(WHOLE_EVERY, WHOLE_AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn a_claim_goes_on_where_the_one_before_it_ended() {
        let (mut horizon, begin) = (VisibilityHorizon::default(), Instant::now());
        let first = horizon.look(NOW, begin);
        assert_eq!(first.lowest, i64::MIN);
        horizon.looked(first, NOW, Some(500_000), begin);
        assert_eq!(horizon.look(NOW, begin).lowest, 500_000);
        horizon.looked(horizon.look(NOW, begin), NOW, Some(995_000), begin);
        assert_eq!(horizon.look(NOW, begin).lowest, 990_000, "what was written a moment ago would be passed over");
        horizon.looked(horizon.look(NOW, begin), NOW, None, begin);
        assert_eq!(horizon.look(NOW.plus(MARGIN), begin).lowest, 1_000_000);
    }

    #[test]
    fn a_look_from_the_beginning_comes_round_and_takes_no_more_than_a_tenth_of_the_time() {
        let (mut horizon, begin) = (VisibilityHorizon::default(), Instant::now());
        horizon.looked(horizon.look(NOW, begin), NOW, Some(7), begin + Duration::from_millis(5));
        let lowest =
            |horizon: &VisibilityHorizon, after| horizon.look(NOW, begin + Duration::from_millis(after)).lowest;
        assert_eq!((lowest(&horizon, 1004), lowest(&horizon, 1005)), (7, i64::MIN));
        horizon.looked(horizon.look(NOW, begin + WHOLE_EVERY * 2), NOW, Some(9), begin + WHOLE_EVERY * 3);
        assert_eq!((lowest(&horizon, 12_999), lowest(&horizon, 13_000)), (9, i64::MIN));
    }

    #[test]
    fn a_look_that_was_given_up_or_paused_holds_the_next_ones_up_for_a_minute_at_most() {
        let (mut horizon, begin) = (VisibilityHorizon::default(), Instant::now());
        let lowest = |horizon: &VisibilityHorizon, after| horizon.look(NOW, begin + Duration::from_secs(after)).lowest;
        horizon.failed(horizon.look(NOW, begin), NOW, begin + Duration::from_secs(10));
        assert_eq!((lowest(&horizon, 69), lowest(&horizon, 70)), (990_000, i64::MIN));
        horizon.looked(
            horizon.look(NOW, begin + Duration::from_secs(70)),
            NOW,
            Some(7),
            begin + Duration::from_secs(85),
        );
        assert_eq!((lowest(&horizon, 144), lowest(&horizon, 145)), (7, i64::MIN));
        horizon.failed(horizon.look(NOW, begin + Duration::from_secs(145)), NOW, begin + Duration::from_secs(155));
        assert_eq!(lowest(&horizon, 156), 7, "what a claim left behind is not forgotten");
    }

    #[test]
    fn a_clock_that_was_set_back_moves_the_floor_too() {
        let (mut horizon, begin) = (VisibilityHorizon::default(), Instant::now());
        horizon.looked(horizon.look(NOW, begin), NOW, None, begin);
        assert_eq!(horizon.look(Timestamp(400_000), begin).lowest, 390_000);
    }
}
