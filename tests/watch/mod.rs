//! The watch against its own log: a randomised run that an oracle checks afterwards, and the ways that a stream can
//! end.

mod dice;
mod ends;

mod harness;
mod model;
mod oracle;
mod random_run;
mod replica;
mod unreadable;
mod watcher;
mod writer;
