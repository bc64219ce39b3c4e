//! Kinds of key work, and their expected durations: moving averages of measurements.

use crate::domain::policy::KeyType;
use std::time::Duration;

/// Rounds of key derivation that still count as short work: about ten milliseconds.
const SHORT_ROUNDS: u64 = 10_000;
/// A new measurement counts for one part in so many.
const WEIGHT: f64 = 16.0;
/// How far an average may move from where it began, either way. Callers choose what is measured: without a bound, files
/// that take far longer or shorter than they seem to would spoil the estimates of everybody else.
const RANGE: f64 = 16.0;

/// Which threads do it: a signature must not wait behind a hundred new RSA keys.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lane {
    /// A few milliseconds at most: signing, reading a key.
    Short,
    /// More: new RSA keys, files with many rounds of key derivation.
    Long,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Work {
    /// A new key, and the request that goes to the issuer.
    Generate(KeyType),
    /// The same with a key that was made ahead.
    Ready(KeyType),
    /// The same with the key of an earlier version, if it is of the right type.
    Reuse(KeyType),
    /// Opening a private key, and signing or decrypting with it.
    Use(KeyType),
    /// Reading a file with a certificate and its key; `rounds` of key derivation are expected.
    Import { rounds: u64 },
    /// Reading a file with certificates; `rounds` of key derivation are expected.
    Read { rounds: u64 },
    /// Anything else of about a millisecond: encrypting, verifying, sealing, checking a chain.
    Small,
}

impl Work {
    pub(crate) fn lane(self) -> Lane {
        match self {
            Self::Generate(key_type) | Self::Reuse(key_type) if key_type.is_rsa() => Lane::Long,
            Self::Import { .. } => Lane::Long,
            Self::Read { rounds } if rounds > SHORT_ROUNDS => Lane::Long,
            _ => Lane::Short,
        }
    }
}

/// The average time of one kind of work, in seconds.
#[derive(Clone, Copy, Debug)]
struct Average {
    start: f64,
    value: f64,
}

impl Average {
    const fn of(seconds: f64) -> Self {
        Self { start: seconds, value: seconds }
    }

    fn learn(&mut self, seconds: f64) {
        let moved = self.value + (seconds - self.value) / WEIGHT;
        self.value = moved.clamp(self.start / RANGE, self.start * RANGE);
    }
}

/// What every kind of work is expected to take.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    generate: [Average; 7],
    using: [Average; 7],
    small: Average,
    import: Average,
    round: Average,
}

impl Default for Costs {
    /// As measured on one core of a server of 2024.
    fn default() -> Self {
        let each = |seconds: [f64; 7]| seconds.map(Average::of);
        Self {
            generate: each([0.08, 0.3, 0.9, 0.000_2, 0.001, 0.001_5, 0.001]),
            using: each([0.002, 0.004, 0.008, 0.000_2, 0.001, 0.001_5, 0.001]),
            small: Average::of(0.001),
            import: Average::of(0.003),
            round: Average::of(0.000_001),
        }
    }
}

const fn index(key_type: KeyType) -> usize {
    match key_type {
        KeyType::Rsa2048 => 0,
        KeyType::Rsa3072 => 1,
        KeyType::Rsa4096 => 2,
        KeyType::P256 => 3,
        KeyType::P384 => 4,
        KeyType::P521 => 5,
        KeyType::P256K => 6,
    }
}

#[expect(clippy::cast_precision_loss, reason = "rounds are far below 2^52")]
fn number(rounds: u64) -> f64 {
    rounds as f64
}

impl Costs {
    /// The time of a core that the work is expected to take.
    pub(crate) fn expected(&self, work: Work) -> Duration {
        let seconds = match work {
            Work::Generate(key_type) => self.generate[index(key_type)].value,
            Work::Ready(key_type) | Work::Reuse(key_type) | Work::Use(key_type) => self.using[index(key_type)].value,
            Work::Import { rounds } => self.import.value + number(rounds) * self.round.value,
            Work::Read { rounds } => self.small.value + number(rounds) * self.round.value,
            Work::Small => self.small.value,
        };
        Duration::from_secs_f64(seconds)
    }

    /// What the work took.
    pub(crate) fn learn(&mut self, work: Work, took: Duration) {
        let seconds = took.as_secs_f64();
        match work {
            Work::Generate(key_type) => self.generate[index(key_type)].learn(seconds),
            // Not what an operation with the key takes; and where the old one is of another type, a new one was made.
            Work::Ready(_) | Work::Reuse(_) => {}
            Work::Use(key_type) => self.using[index(key_type)].learn(seconds),
            Work::Import { rounds } | Work::Read { rounds } if rounds > SHORT_ROUNDS => {
                self.round.learn(seconds / number(rounds));
            }
            Work::Import { .. } => self.import.learn(seconds),
            Work::Read { .. } | Work::Small => self.small.learn(seconds),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_follow_measurements() {
        let mut costs = Costs::default();
        for _ in 0..200 {
            costs.learn(Work::Generate(KeyType::Rsa4096), Duration::from_secs(3));
            costs.learn(Work::Import { rounds: 1_000_000 }, Duration::from_secs(2));
        }
        let near = |work, seconds: f64| (costs.expected(work).as_secs_f64() - seconds).abs() < seconds / 50.0;
        assert!(near(Work::Generate(KeyType::Rsa4096), 3.0), "{costs:?}");
        assert!(near(Work::Import { rounds: 3_000_000 }, 6.0), "{costs:?}");
        assert!(near(Work::Generate(KeyType::Rsa2048), 0.08), "other kinds keep theirs: {costs:?}");
    }

    #[test]
    fn an_estimate_stays_in_its_range() {
        let mut costs = Costs::default();
        let file = Work::Import { rounds: 2_000_000 };
        let (before, small) = (costs.expected(file), Work::Import { rounds: 0 });
        for _ in 0..10_000 {
            costs.learn(file, Duration::ZERO);
            costs.learn(small, Duration::from_secs(60));
        }
        assert!(costs.expected(file) >= before / 17);
        assert!(costs.expected(small) <= Duration::from_millis(50));
    }

    #[test]
    fn only_what_takes_milliseconds_runs_on_the_threads_of_signatures() {
        for long in [
            Work::Generate(KeyType::Rsa2048),
            Work::Reuse(KeyType::Rsa4096),
            Work::Import { rounds: 0 },
            Work::Read { rounds: 600_000 },
        ] {
            assert_eq!(long.lane(), Lane::Long, "{long:?}");
        }
        for short in [
            Work::Generate(KeyType::P384),
            Work::Ready(KeyType::Rsa4096),
            Work::Use(KeyType::Rsa4096),
            Work::Read { rounds: 2000 },
            Work::Small,
        ] {
            assert_eq!(short.lane(), Lane::Short, "{short:?}");
        }
    }
}
