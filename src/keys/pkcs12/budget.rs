//! A budget for key derivation over all input of one request, since the sender chooses the iteration counts.

use super::encryption::Unreadable;
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Rounds that may still be spent, and what was derived with those that were.
pub(crate) struct Budget {
    left: u64,
    exceeded: bool,
    known: HashMap<Derivation, Zeroizing<Vec<u8>>>,
    /// The form of the password that was right last.
    pub(super) form: usize,
}

/// What a derived key follows from, the password apart.
#[derive(Eq, Hash, PartialEq)]
pub(super) struct Derivation {
    /// The function with its hash and purpose.
    pub(super) function: (&'static str, usize, u8),
    pub(super) form: usize,
    pub(super) salt: Vec<u8>,
    pub(super) iterations: u32,
    pub(super) length: usize,
}

impl Budget {
    /// What costs some hundredths of a second.
    pub(crate) const FEW: u64 = 50_000;

    pub(crate) fn of(rounds: u64) -> Self {
        Self { left: rounds, exceeded: false, known: HashMap::new(), form: 0 }
    }

    /// Whether more was asked for than there was.
    pub(crate) fn is_exceeded(&self) -> bool {
        self.exceeded
    }

    /// What `derive` gives, which is paid for once: files repeat their salts. One round makes as
    /// much as the hash is long (`blocks`: how many times that is needed). Each begins by hashing the salt, which may be
    /// as long as the file: 64 bytes of it cost as much as a round.
    pub(super) fn derive(
        &mut self,
        what: Derivation,
        blocks: usize,
        derive: impl FnOnce() -> Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        if let Some(key) = self.known.get(&what) {
            return Ok(key.clone());
        }
        let rounds = u64::from(what.iterations) + what.salt.len() as u64 / 64;
        let cost = rounds.saturating_mul(blocks as u64);
        let Some(left) = self.left.checked_sub(cost) else {
            self.exceeded = true;
            return Err(Unreadable::TooCostly);
        };
        self.left = left;
        let key = derive();
        self.known.insert(what, key.clone());
        Ok(key)
    }
}
