//! The gRPC face over the real listener: TLS, HTTP/2, and clients that hide nothing.

#[path = "../azure/ca.rs"]
mod ca;

mod background;
mod both;
mod deadlines;
mod errors;
mod health;
mod protocol;
mod race;
mod raw;
mod reflection;
mod refusal;
mod requests;
mod rest;
mod rich;
mod server;
mod troubled;
mod watch;
mod web;
