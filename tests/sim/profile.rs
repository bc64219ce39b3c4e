//! The faults of a seed. Each run has some faults often and others never: a run with
//! a little of everything would hide what only shows when one thing happens all the time.

use crate::dice::Dice;
use crate::replica::DEADLINE;
use std::time::Duration;

/// Chances are in percent.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    pub(crate) replicas: usize,
    pub(crate) callers: usize,
    pub(crate) acts: usize,
    pub(crate) names: usize,
    pub(crate) watchers: usize,
    pub(crate) store: Weather,
    pub(crate) authority: Weather,
    /// Pokes after a commit that reach another replica.
    pub(crate) pokes: usize,
    /// How long a replica runs before it crashes or is stopped.
    pub(crate) life: Option<Duration>,
    /// The clocks of the replicas stand this far apart, and jump as far.
    pub(crate) skew: Duration,
    pub(crate) jumps: bool,
    pub(crate) trims: bool,
    /// A caller or a watcher goes away before he has his answer.
    pub(crate) impatience: usize,
    pub(crate) lease: Duration,
    pub(crate) poll: Duration,
    pub(crate) concurrency: usize,
    pub(crate) ring: usize,
    pub(crate) page: usize,
    pub(crate) max_age: Duration,
    /// When an issuer has to have decided.
    pub(crate) deadline: Duration,
    /// Over how long streams close.
    pub(crate) spread: Duration,
}

/// What may happen to a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    /// Some milliseconds on the way there or back.
    pub(crate) delay: usize,
    /// Seconds, more than a lease now and then.
    pub(crate) stall: usize,
    pub(crate) fail_before: usize,
    /// It was done, and the answer is a failure.
    pub(crate) fail_after: usize,
    /// The answer is a failure, and it is done later.
    pub(crate) ghost: usize,
}

impl Weather {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            delay: dice.one_of(&[0, 20, 60, 90]),
            stall: dice.one_of(&[0, 0, 1, 5]),
            fail_before: dice.one_of(&[0, 0, 2, 15]),
            fail_after: dice.one_of(&[0, 0, 2, 15]),
            ghost: dice.one_of(&[0, 0, 0, 5]),
        }
    }
}

impl Profile {
    /// A lease keeps two steps of one operation apart only where clocks differ by less than the
    /// part of it that no call of an issuer uses.
    pub(crate) fn clocks_agree(&self) -> bool {
        self.skew * 10 <= self.lease
    }

    pub(crate) fn draw(dice: &mut Dice) -> Self {
        let seconds = Duration::from_secs;
        Self {
            replicas: 1 + dice.below(3),
            callers: 2 + dice.below(4),
            acts: 3 + dice.below(6),
            names: 1 + dice.below(3),
            watchers: 1 + dice.below(3),
            store: Weather::draw(dice),
            authority: Weather::draw(dice),
            pokes: dice.one_of(&[0, 50, 100]),
            life: dice.one_of(&[None, Some(seconds(2)), Some(seconds(10)), Some(seconds(40))]),
            skew: dice.one_of(&[Duration::ZERO, seconds(1), seconds(30), seconds(300)]),
            jumps: dice.percent(30),
            trims: dice.percent(30),
            impatience: dice.one_of(&[0, 0, 10, 30]),
            lease: dice.one_of(&[seconds(5), seconds(20), seconds(90)]),
            poll: dice.one_of(&[seconds(1), seconds(4)]),
            concurrency: dice.one_of(&[1, 2, 8]),
            ring: dice.one_of(&[1, 4, 1000]),
            page: dice.one_of(&[1, 3, 100]),
            max_age: dice.one_of(&[seconds(7), seconds(60), seconds(3600)]),
            deadline: dice.one_of(&[DEADLINE, DEADLINE, seconds(5), seconds(25)]),
            spread: dice.one_of(&[Duration::ZERO, seconds(2)]),
        }
    }
}
