//! What all measurements share: servers as processes of their own, clients, load, and the table.

mod clients;
mod load;
mod process;
mod report;
mod server;

pub(crate) use clients::{Http, channel, client_tls};
pub(crate) use load::{Caller, Run, drive};
pub(crate) use process::{Process, binary, own_cpu};
pub(crate) use report::{Report, Row, time};
pub(crate) use server::Server;

/// Whatever went wrong; a measurement has no answer to it but to end.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
