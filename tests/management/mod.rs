//! The management of certificates below the REST API: the gRPC calls, what happens with time and
//! after crashes, and how much work each call makes of many records.

mod above;
mod authorities;
mod cas;
mod generations;
mod grpc;
mod harness;
mod installations;
mod issued;
mod lists;
mod long_calls;
mod many_versions;
mod million;
mod operators;
mod parked;
mod providers;
mod races;
mod renewals;
mod revocation_lists;
mod revoked_meanwhile;
mod scheduled_purge;
mod set_back;
mod snapshots;
mod successions;
mod trail;
mod vaults;
mod webhooks;
mod withdrawn;
