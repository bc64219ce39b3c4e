//! The command line as scripts see it: the real binary against a fake server.
#![expect(clippy::disallowed_types, reason = "the server of these tests answers with statuses")]

mod authorities;
mod calls;
mod doctor;
mod errors;
mod fake;
mod fake_access;
mod fake_audit;
mod fake_authorities;
mod fake_master_keys;
mod fake_material;
mod fake_renewals;
mod management;
mod master_keys;
mod material;
mod own_requests;
mod profiles;
mod renewals;
mod rights;
mod service;
mod wait;
mod watch;
