//! The gRPC API over the real listener: TLS, HTTP/2, and clients that hide nothing.

#[path = "../support/around.rs"]
mod around;
#[path = "../azure/ca.rs"]
mod ca;
#[path = "../support/own_request.rs"]
mod own_request;
#[expect(dead_code, reason = "the tests of the REST API use the rest")]
#[path = "../azure/pfx.rs"]
mod pfx;
#[path = "../support/troubled.rs"]
mod troubled;

mod apis;
mod background;
mod both;
mod credentials;
mod crypto;
mod deadlines;
mod errors;
mod fields;
mod health;
mod installations;
mod own_requests;
mod policies;
mod protocol;
mod race;
mod raw;
mod reflection;
mod refusal;
mod renewals;
mod requests;
mod rest;
mod rich;
mod server;
mod turns;
mod watch;
mod web;
