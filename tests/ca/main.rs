//! The private CA as its operators and its clients meet it: the server as a process, the command line, REST with curl, and
//! OpenSSL, GnuTLS and Java as those who have to believe or refuse its certificates.

mod ceremonies;
mod compromised;
mod crash;
mod hierarchy;
mod log;
mod page;
#[path = "../support/ports.rs"]
mod ports;
#[path = "../support/postgres.rs"]
mod postgres;
mod revocation;
#[expect(dead_code, reason = "other test binaries use the rest")]
#[path = "../operations/server.rs"]
mod server;
mod tools;
mod world;
