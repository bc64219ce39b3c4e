//! Tokens that were accepted lately, by their hashes: a signature costs as much as a request.

use super::rules::Identity;
use crate::domain::Timestamp;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Most entries of a half, and about how many bytes they may take; there are two.
const HALF: usize = 5_000;
const HALF_BYTES: usize = 8 * 1024 * 1024;
/// How long a token is believed without another look.
const LIFETIME: Duration = Duration::from_secs(300);

/// The SHA-256 of a token.
pub type TokenHash = [u8; 32];

/// A token that was accepted.
#[derive(Clone, Debug)]
pub struct Accepted {
    pub identity: Arc<Identity>,
    /// Cancelled when the key that signed it is not accepted any longer.
    pub withdrawn: CancellationToken,
}

/// Up to 10,000 results, in 16 MiB. A full half takes the place of the older one: nothing is searched for what to forget.
#[derive(Debug, Default)]
pub(super) struct Cache(Mutex<Halves>);

#[derive(Debug, Default)]
struct Halves {
    young: HashMap<TokenHash, Known>,
    /// What the younger one takes, about.
    bytes: usize,
    old: HashMap<TokenHash, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    accepted: Accepted,
    /// The number of the keys that it was checked with.
    number: u64,
    until: Timestamp,
}

impl Cache {
    /// The caller of a token that was accepted with the keys of this number, and has not expired.
    pub(super) fn find(&self, token: &TokenHash, number: u64, now: Timestamp) -> Option<Accepted> {
        let halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = halves.young.get(token).or_else(|| halves.old.get(token))?;
        (known.number == number && now < known.until).then(|| known.accepted.clone())
    }

    /// Keeps a result that came about with the keys of this number.
    pub(super) fn keep(&self, token: TokenHash, accepted: &Accepted, number: u64, now: Timestamp) {
        let until = accepted.identity.expires.min(now.plus(LIFETIME));
        let known = Known { accepted: accepted.clone(), number, until };
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if halves.young.len() >= HALF || halves.bytes >= HALF_BYTES {
            halves.old = std::mem::take(&mut halves.young);
            halves.bytes = 0;
        }
        halves.bytes += bytes(&accepted.identity);
        halves.young.insert(token, known);
    }
}

/// What an entry takes, about: each text has its place in the heap.
fn bytes(identity: &Identity) -> usize {
    const EACH: usize = 64;
    let groups: usize = identity.groups.iter().map(|group| group.as_str().len() + EACH).sum();
    4 * EACH + identity.principal.len() + groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::{Groups, PrincipalName};

    fn accepted(expires: i64) -> Accepted {
        let expires = Timestamp::from_seconds(expires);
        let identity =
            Identity { principal: "jwt:a:b".into(), provider: "a".into(), groups: Groups::default(), expires };
        Accepted { identity: Arc::new(identity), withdrawn: CancellationToken::new() }
    }

    fn token(number: usize) -> TokenHash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    #[test]
    fn a_result_is_good_for_the_keys_it_came_from_until_the_token_expires_or_five_minutes() {
        let cache = Cache::default();
        let at = Timestamp::from_seconds;
        cache.keep(token(1), &accepted(100), 7, at(0));
        cache.keep(token(2), &accepted(10_000), 7, at(0));
        let has = |number, keys, now| cache.find(&token(number), keys, at(now)).is_some();
        assert!(has(1, 7, 99) && !has(1, 7, 100) && has(2, 7, 299) && !has(2, 7, 300));
        assert!(!has(1, 8, 0), "other keys");
        assert!(!has(3, 7, 0));
    }

    #[test]
    fn callers_in_many_groups_take_no_more_room() {
        let cache = Cache::default();
        let group = |number: usize| PrincipalName::parse(&format!("group:a:{number:0>200}")).unwrap();
        let accepted = accepted(1000);
        let identity = Identity { groups: (0..500).map(group).collect(), ..Identity::clone(&accepted.identity) };
        let accepted = Accepted { identity: Arc::new(identity), ..accepted };
        for number in 0..1000 {
            cache.keep(token(number), &accepted, 1, Timestamp(0));
        }
        let halves = cache.0.lock().unwrap();
        let kept = halves.young.len() + halves.old.len();
        let each = bytes(&accepted.identity);
        assert!(kept * each <= 2 * HALF_BYTES + 2 * each && kept > 50, "{kept}");
    }

    #[test]
    fn it_never_holds_more_than_ten_thousand() {
        let cache = Cache::default();
        for number in 0..25_000 {
            cache.keep(token(number), &accepted(1000), 1, Timestamp(0));
        }
        let halves = cache.0.lock().unwrap();
        assert!(halves.young.len() + halves.old.len() <= 10_000);
        assert!(halves.young.contains_key(&token(24_999)));
    }
}
