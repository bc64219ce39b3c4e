//! The watch against its own log: a randomised run that an oracle checks afterwards, and the ways that a stream can
//! end.

#[path = "../support/around.rs"]
mod around;
mod dice;
mod ends;

mod harness;
mod model;
mod oracle;
#[path = "../support/permit.rs"]
mod permit;
mod random_run;
mod replica;
mod unreadable;
mod watcher;
mod writer;
