//! Chance from a seed (SplitMix64), and how a run is repeated.

use certmint::clock::{Clock, SystemClock};
use std::fmt::Write;
use std::sync::OnceLock;

#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// Dice of this run's seed; another throw for each `what` and `number`.
    pub(crate) fn of(what: &str, number: u64) -> Self {
        let mut dice = Self(seed());
        for byte in what.bytes() {
            dice.0 = dice.next() ^ u64::from(byte);
        }
        dice.0 ^= number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        dice
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    pub(crate) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// 32 hex digits.
    pub(crate) fn request_id(&mut self) -> String {
        let mut id = String::with_capacity(32);
        write!(id, "{:016x}{:016x}", self.next(), self.next()).unwrap();
        id
    }
}

/// `SOAK_SEED`, or one of the time of day, printed.
pub(crate) fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    *SEED.get_or_init(|| {
        let given = std::env::var("SOAK_SEED").ok().map(|text| text.parse().expect("SOAK_SEED is a number"));
        let seed = given.unwrap_or_else(|| SystemClock.now().0.unsigned_abs() % 1_000_000_000);
        eprintln!("soak: seed {seed}");
        seed
    })
}

/// How often a fault is repeated: `SOAK_ROUNDS`, or the short run's `short`.
pub(crate) fn rounds(short: u64) -> u64 {
    long().unwrap_or(short)
}

/// The short run's size, or the long run's.
pub(crate) fn size(short: usize, in_long_run: usize) -> usize {
    if long().is_some() { in_long_run } else { short }
}

fn long() -> Option<u64> {
    std::env::var("SOAK_ROUNDS").ok().map(|text| text.parse().expect("SOAK_ROUNDS is a number"))
}

/// What to type to see it again.
pub(crate) fn how_to_repeat() -> String {
    let rounds = long().map(|rounds| format!("SOAK_ROUNDS={rounds} ")).unwrap_or_default();
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    format!("repeat with: SOAK_SEED={} {rounds}cargo test --locked --test soak {name} -- --nocapture", seed())
}
