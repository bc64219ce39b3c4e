//! Whether the counter of revisions can be believed: it lies beside what it counts, and somebody may have changed it.

use super::StoreError;

/// Where no counter comes by counting: half of what a database counts to.
pub(super) const FAR: i64 = i64::MAX / 2;

/// The counter is not one that this store wrote.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the counter of revisions was changed outside certmint: {}, and the log of events ends at {newest}. Restore the \
     store from a backup; or stop all servers and run `certmint new-epoch`, which sets the counter to what is there \
     and lets watchers begin anew",
    head.map_or_else(|| "it is missing".to_owned(), |head| format!("it says {head}"))
)]
pub(super) struct WrongCounter {
    pub(super) head: Option<i64>,
    pub(super) newest: i64,
}

impl From<WrongCounter> for StoreError {
    fn from(wrong: WrongCounter) -> Self {
        Self::Broken(Box::new(wrong))
    }
}

/// A counter is at or above the newest event, below which revisions were given out, and far from the end.
pub(super) fn check(head: Option<i64>, newest: Option<i64>) -> Result<(), WrongCounter> {
    let newest = newest.unwrap_or(0);
    match head {
        Some(head) if (newest.max(0)..FAR).contains(&head) => Ok(()),
        _ => Err(WrongCounter { head, newest }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_believed_from_the_newest_event_to_half_of_all_numbers() {
        for (head, newest) in [(0, None), (7, Some(7)), (9, Some(7)), (FAR - 1, Some(7))] {
            assert_eq!(check(Some(head), newest), Ok(()), "{head} {newest:?}");
        }
        for (head, newest) in [(6, Some(7)), (-1, None), (FAR, None), (i64::MAX, Some(7)), (i64::MIN, None)] {
            let wrong = check(Some(head), newest).unwrap_err().to_string();
            assert!(wrong.contains(&format!("it says {head}")) && wrong.contains("certmint new-epoch"), "{wrong}");
        }
        assert!(
            check(None, Some(7)).unwrap_err().to_string().contains("it is missing, and the log of events ends at 7")
        );
    }
}
