//! What strangers send and what is handed out: certificates with their keys, in every form, and mutations of each.

mod import;
#[path = "support/mutation.rs"]
mod mutation;
mod parsers;
#[path = "support/seeds.rs"]
mod seeds;
