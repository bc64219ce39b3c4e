//! Both APIs of one server side by side: the eleven scenarios and every other call of the contract, and their answers
//! compared member by member.

mod all;
mod api;
mod compared;
mod heard;
mod issuer_calls;
mod issuers;
mod lists;
mod manage;
mod policies;
mod profiles;
mod scenarios;
mod secrets_and_keys;
mod translated;
