//! The service below the APIs: what time, crashes, races, damaged records and ends of streams do to it.

#[path = "support/around.rs"]
mod around;
mod crash;
#[path = "support/false_provider.rs"]
mod false_provider;
mod management;
#[path = "support/permit.rs"]
mod permit;
#[path = "support/ports.rs"]
mod ports;
mod records;
#[path = "support/requested_key.rs"]
mod requested_key;
mod watch;
