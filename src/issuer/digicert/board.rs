//! What changed among all orders of a key: one call tells for every order that waits, so that a
//! thousand of them cost as much as one.

use super::api::Api;
use super::problem::{Failure, Verdict};
use super::wire;
use crate::domain::Timestamp;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// An answer is good for this long.
const FRESH: Duration = Duration::from_secs(60);
/// Asked for at least, so that orders that looked a little earlier need no call of their own.
const LEAST: Duration = Duration::from_secs(15 * 60);
/// The API looks back a week at most.
const MOST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Clocks differ, and lists lag behind.
const MARGIN: Duration = Duration::from_secs(120);
/// More keys than this start with an empty memory again, which costs calls alone.
const KEYS: usize = 1024;

/// Whether an order changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum News {
    Changed,
    /// Nothing until then.
    None {
        until: Timestamp,
    },
    /// The list does not tell: the order itself does.
    Unknown,
}

#[derive(Default)]
struct List {
    from: Timestamp,
    to: Option<Timestamp>,
    changed: HashSet<u64>,
}

/// The lists of all keys. One for the process; holds nothing that a crash would lose.
#[derive(Default)]
pub(super) struct Board(Mutex<HashMap<String, Arc<tokio::sync::Mutex<List>>>>);

impl Board {
    /// Whether the order changed after `since`.
    pub(super) async fn news(&self, api: &Api, order: u64, since: Timestamp) -> Result<News, Failure> {
        let list = self.list(api.credential());
        // Held over the call: whoever comes meanwhile reads its answer.
        let mut list = list.lock().await;
        let now = api.clock.now();
        let fresh = list.to.is_some_and(|to| to <= now && to.plus(FRESH) > now) && list.from <= since;
        if !fresh {
            let back = Duration::from_millis(u64::try_from(now.0.saturating_sub(since.0)).unwrap_or_default());
            let back = (back + MARGIN).max(LEAST);
            if back > MOST {
                return Ok(News::Unknown);
            }
            let path = format!("/order/certificate/status-changes?seconds={}", back.as_secs());
            let found: wire::Found = match api.get(&path).await {
                Ok(found) => found,
                Err(failure @ Failure::Refused { status: 400..=499, .. }) => match failure.verdict() {
                    // A key may be allowed to read its orders and not this list.
                    Verdict::Misconfigured(_) | Verdict::Rejected(_) | Verdict::Missing(_) | Verdict::NotNow(_) => {
                        return Ok(News::Unknown);
                    }
                    Verdict::Retry { after, message: _, unsure: _ } => {
                        return Err(Failure::Limit(after.unwrap_or(FRESH)));
                    }
                },
                Err(failure) => return Err(failure),
            };
            let whole = found
                .page
                .as_ref()
                .and_then(|page| page.total)
                .is_none_or(|total| usize::try_from(total).is_ok_and(|total| total <= found.orders.len()));
            if !whole {
                return Ok(News::Unknown);
            }
            *list = List {
                from: now.minus(back.saturating_sub(MARGIN)),
                to: Some(now),
                changed: found.orders.iter().filter_map(|order| order.order_id).collect(),
            };
        }
        if list.changed.contains(&order) {
            return Ok(News::Changed);
        }
        Ok(News::None { until: list.to.unwrap_or(since) })
    }

    fn list(&self, key: String) -> Arc<tokio::sync::Mutex<List>> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lists.len() >= KEYS && !lists.contains_key(&key) {
            lists.clear();
        }
        Arc::clone(lists.entry(key).or_default())
    }
}
