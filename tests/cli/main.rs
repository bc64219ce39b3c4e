//! The command line as scripts see it: the real binary against a server that plays a part.
#![expect(clippy::disallowed_types, reason = "the server of these tests answers with statuses")]

mod authorities;
mod calls;
mod doctor;
mod errors;
mod faces;
mod fake;
mod management;
mod service;
mod service_faces;
mod wait;
mod watch;
