//! The REST API against the documents: raw requests in, whole responses out, over a real service.

#[path = "../support/around.rs"]
mod around;
#[path = "../support/mutation.rs"]
mod mutation;
#[path = "../support/own_request.rs"]
mod own_request;
#[path = "../support/seeds.rs"]
mod seeds;
#[path = "../support/mod.rs"]
mod support;
#[path = "../support/troubled.rs"]
mod troubled;

mod backups;
mod bad_bodies;
mod bad_chains;
mod bad_policies;
mod bad_requests;
mod body_shapes;
mod built_in_ca;
mod ca;
mod certificates;
mod client;
mod contacts;
mod deleted;
mod empty_and_absent;
mod faults;
mod identity;
mod import;
mod issuers;
mod keys;
mod lists;
mod mutated_bodies;
mod new_versions;
mod not_found;
mod openapi;
mod own_request_refusals;
mod own_requests;
mod pfx;
mod policies;
mod policy_rules;
mod profiles;
mod repeats;
mod replay;
mod request_forms;
mod s01_create_with_an_issuer;
mod s02_pending_in_progress;
mod s03_pending_completed;
mod s04_pending_cancelled_or_failed;
mod s05_pending_deleted_or_overwritten;
mod s06_create_while_in_progress;
mod s07_merge_with_an_issuer;
mod s08_request_cancellation;
mod s09_delete_pending;
mod s10_create_manually;
mod s11_merge;
mod secrets;
mod swagger;
mod updates;
mod vault_rules;
mod vaults;
mod watch;
