//! `WatchPending` over the wire.

mod end;
mod filters;
mod limits;
mod live;
mod refused;
mod resume;
mod slow;
mod snapshot;
pub(crate) mod stream;
