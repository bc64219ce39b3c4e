//! The unmodified Azure SDK for Rust against a certmint server. `tests/clients/server.py` starts the server and puts
//! its address into the environment; `scripts/sdk-tests.sh rust` runs both.
#![cfg(test)]

mod authority;
mod harness;
mod management;
mod material;
mod scenarios;
