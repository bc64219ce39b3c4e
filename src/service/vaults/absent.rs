//! Recently looked up names without a vault that can be used, so that requests with made-up names do not load the store.

use crate::domain::{Error, VaultName};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// For how long an absence is cached.
const BELIEVED: Duration = Duration::from_secs(1);
/// The most names that are looked up in that time.
const MOST: usize = 256;

/// What to do about a name that is not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Miss {
    /// Ask the store, and note where it has none.
    Ask,
    /// The store was asked a moment ago and has none.
    Absent,
    /// The store was asked a moment ago, and has one that is refused.
    Refused(Error),
    /// So many names were asked for a moment ago that this one is not.
    TooMany,
}

#[derive(Debug, Default)]
pub(super) struct Absent(Mutex<Asked>);

#[derive(Debug, Default)]
struct Asked {
    /// Until when each name is cached, and why it is refused; `None`: it is absent.
    names: HashMap<VaultName, (Instant, Option<Error>)>,
    /// Questions since then.
    window: Option<Instant>,
    questions: usize,
}

impl Absent {
    pub(super) fn ask(&self, name: &VaultName, now: Instant) -> Miss {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, refusal)) = asked.names.get(name).filter(|(until, _)| now < *until) {
            return refusal.clone().map_or(Miss::Absent, Miss::Refused);
        }
        if asked.window.is_none_or(|since| now >= since + BELIEVED) {
            asked.window = Some(now);
            asked.questions = 0;
            asked.names.retain(|_, (until, _)| now < *until);
        }
        if asked.questions == MOST {
            return Miss::TooMany;
        }
        asked.questions += 1;
        Miss::Ask
    }

    /// The store has no vault of this name, or one that is refused.
    pub(super) fn note(&self, name: &VaultName, refusal: Option<Error>, now: Instant) {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.names.insert(name.clone(), (now + BELIEVED, refusal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> VaultName {
        VaultName::parse(&format!("v{number}")).unwrap()
    }

    #[test]
    fn a_name_is_asked_for_once_a_second() {
        let (absent, start) = (Absent::default(), Instant::now());
        assert_eq!(absent.ask(&name(1), start), Miss::Ask);
        absent.note(&name(1), None, start);
        assert_eq!(absent.ask(&name(1), start + BELIEVED / 2), Miss::Absent);
        assert_eq!(absent.ask(&name(2), start + BELIEVED / 2), Miss::Ask);
        assert_eq!(absent.ask(&name(1), start + BELIEVED), Miss::Ask);
    }

    #[test]
    fn names_that_are_made_up_cost_a_bounded_number_of_questions_and_of_bytes() {
        let (absent, start) = (Absent::default(), Instant::now());
        let asked = |from: usize, at: Instant| {
            let one = |number| absent.ask(&name(number), at) == Miss::Ask;
            (from..from + 10_000)
                .filter(|number| one(*number))
                .inspect(|number| absent.note(&name(*number), None, at))
                .count()
        };
        assert_eq!(asked(0, start), MOST);
        assert_eq!(absent.ask(&name(20_000), start), Miss::TooMany);
        assert_eq!(asked(30_000, start + BELIEVED), MOST);
        assert!(absent.0.lock().unwrap().names.len() <= 2 * MOST);
    }
}
