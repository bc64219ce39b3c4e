//! The watch against its own log: a randomised run that an oracle judges afterwards, and the ends
//! that a stream can have.

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
