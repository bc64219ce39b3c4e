//! Following pending operations: a cursor over the durable log. There is no queue per subscriber, so nothing overflows:
//! a slow subscriber reads the log from the store.

mod counts;
mod filter;
pub(super) mod hub;
mod index;
mod open;
mod ring;
mod sight;
mod stream;
mod timers;
mod token;

pub(super) use counts::seen;
pub use filter::{Snapshot, WatchRequest};
pub use hub::{Hub, WatchLimits};
pub use open::Watch;
pub use ring::LogEvent;
pub use stream::{Bookmark, WatchItem, WatchStream};
pub(crate) use token::reads_a_resume_token;

use crate::domain::Operation;

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
