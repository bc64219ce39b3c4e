//! The only source of randomness: the generator of aws-lc, seeded by the operating system.

use crate::domain::Timestamp;
use uuid::{Builder, Uuid};

/// Fills the slice with random bytes that are fit for keys.
#[expect(clippy::expect_used, reason = "without randomness nothing may go on; aws-lc aborts before it answers this")]
pub fn fill(bytes: &mut [u8]) {
    aws_lc_rs::rand::fill(bytes).expect("the generator of random numbers works");
}

/// A random identifier (UUID version 4, RFC 9562 section 5.4), for request ids and versions.
pub fn random_id() -> Uuid {
    let mut bytes = [0; 16];
    fill(&mut bytes);
    Builder::from_random_bytes(bytes).into_uuid()
}

/// The identifier with the time in front (UUID version 7, RFC 9562 section 5.7), so that ids sort as they were made; 74
/// bits of `id` stay.
pub fn in_order(id: Uuid, at: Timestamp) -> Uuid {
    let mut rest = [0; 10];
    rest.copy_from_slice(&id.as_bytes()[6..]);
    Builder::from_unix_timestamp_millis(at.0.max(0).unsigned_abs(), &rest).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_version_4_and_differ() {
        let ids: HashSet<Uuid> = (0..1000).map(|_| random_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.get_version_num() == 4));
    }

    #[test]
    fn ids_in_order_sort_by_their_time_and_differ_within_it() {
        let ids: Vec<Uuid> = (0..1000).map(|at| in_order(random_id(), Timestamp(at / 10))).collect();
        assert!(ids.chunks(10).is_sorted_by(|earlier, later| earlier.iter().max() < later.iter().min()));
        assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }
}
