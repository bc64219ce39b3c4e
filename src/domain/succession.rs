//! When a CA is followed by its next one. A certificate never outlives its CA, so the next one has to sign before the
//! longest of them would be cut, and has to be known to clients before it signs.

use super::Timestamp;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The longest certificate of a CA without rules: what Key Vault gives where nothing is said.
pub const USUAL_LEAF: Duration = Duration::from_secs(366 * 24 * 3600);

/// The times of a CA before its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Succession {
    /// The next CA is made, and published.
    pub made: Timestamp,
    /// The next CA signs: from here on a certificate of this one would be cut.
    pub signs: Timestamp,
    /// For so long it is published before it signs.
    pub announced: Duration,
    /// The end of this CA.
    pub ends: Timestamp,
}

impl Succession {
    /// For a CA that is valid from `begins` to `ends`, whose longest certificate lives for `longest`, and whose next CA
    /// is published for `announce` before it signs. Both are cut for CAs that live no longer themselves: the first half
    /// of the life of a CA has no next one that signs, and its first quarter none at all.
    pub fn of(begins: Timestamp, ends: Timestamp, longest: Duration, announce: Duration) -> Self {
        let life = Duration::from_millis(u64::try_from(ends.0.saturating_sub(begins.0)).unwrap_or(0));
        let announced = announce.min(life / 4);
        let signs = ends.minus(longest.min(life / 2));
        Self { made: signs.minus(announced), signs, announced, ends }
    }

    /// When a next CA signs that was made at `made`. One that was made late is announced for as long, but at most for
    /// half of what was left.
    pub fn signs_when_made(&self, made: Timestamp) -> Timestamp {
        let left = u64::try_from(self.ends.0.saturating_sub(made.0)).unwrap_or(0);
        let announced = made.plus(self.announced).min(made.plus(Duration::from_millis(left / 2)));
        announced.max(self.signs)
    }

    /// When it is looked at next, with a next CA that was made at `made`: what its rules say may change meanwhile.
    pub fn next_look(&self, now: Timestamp, made: Option<Timestamp>) -> Timestamp {
        let tomorrow = now.plus(DAY);
        let times = [Some(self.made), Some(self.signs), made.map(|made| self.signs_when_made(made))];
        times.into_iter().flatten().filter(|at| *at > now).fold(tomorrow, Timestamp::min)
    }

    /// Whether a CA that ends at `end` can take its place.
    pub fn is_outlived_by(&self, end: Timestamp) -> bool {
        end > self.ends.plus(DAY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(days: i64) -> Timestamp {
        Timestamp(days * 24 * 3600 * 1000)
    }

    fn of(life: i64, longest: u32, announce: u32) -> Succession {
        Succession::of(days(0), days(life), DAY * longest, DAY * announce)
    }

    #[test]
    fn the_next_ca_is_made_an_announcement_before_certificates_would_be_cut() {
        let it = of(7300, 90, 30);
        assert_eq!((it.signs, it.made), (days(7210), days(7180)));
        assert_eq!(it.signs_when_made(it.made), it.signs);
        // One that is made late is announced all the same.
        assert_eq!(it.signs_when_made(days(7200)), days(7230));
        assert_eq!(it.signs_when_made(days(7290)), days(7295));
    }

    #[test]
    fn a_ca_that_lives_shorter_than_its_certificates_has_its_time_nevertheless() {
        let it = of(30, 366, 30);
        assert_eq!((it.signs, it.announced), (days(15), DAY * 30 / 4));
        assert!(it.made > days(7) && it.made < days(8));
        // Its next one does not need another one at once.
        let next = Succession::of(it.made, it.made.plus(DAY * 30), DAY * 366, DAY * 30);
        assert!(next.made >= it.signs);
    }

    #[test]
    fn it_is_looked_at_each_day_and_at_its_times() {
        let it = of(7300, 90, 30);
        assert_eq!(it.next_look(days(10), None), days(11));
        assert_eq!(it.next_look(Timestamp(it.made.0 - 5), None), it.made);
        assert_eq!(it.next_look(Timestamp(it.signs.0 - 5), None), it.signs);
        assert_eq!(it.next_look(days(7299), None), days(7300));
        // And when a next one signs that was made late.
        let made = Timestamp(days(7210).0 - 5);
        assert_eq!(it.next_look(Timestamp(days(7240).0 - 10), Some(made)), it.signs_when_made(made));
        let short = of(4, 366, 30);
        assert_eq!(short.next_look(days(3), Some(days(3))), Timestamp(days(3).0 + 12 * 3_600_000));
    }
}
