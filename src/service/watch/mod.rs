//! Following pending operations: a cursor over the durable log. There is no queue for a
//! subscriber, so nothing overflows and nobody lags: who is slow reads the log from the store.

mod counts;
mod filter;
pub(super) mod hub;
mod index;
mod ring;
mod stream;
mod timers;
mod token;

pub(super) use counts::seen;
pub use filter::{Snapshot, WatchRequest};
pub use hub::{Hub, WatchLimits};
pub use ring::LogEvent;
pub use stream::{Bookmark, WatchItem, WatchStream};

use super::context::Context;
use crate::domain::Operation;
use std::sync::Arc;

/// Follows the log, and opens streams.
#[derive(Clone)]
pub struct Watch {
    context: Arc<Context>,
}

impl Watch {
    pub(super) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

/// Who holds a stream, for the limits.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// The caller, as authentication names him.
    pub principal: String,
    /// The connection that carries the stream.
    pub connection: u64,
}

/// Whether an event or a state that a caller may see matches, and whether it ended.
fn ended(operation: &Operation) -> bool {
    !operation.in_progress()
}
