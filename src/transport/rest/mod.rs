//! The Key Vault API: the REST API of Azure Key Vault certificates over the use cases.
//!
//! Every request passes the same stages: credentials, host, path, version, route, body, use case, response.
//! Authentication comes first in every mode (contract rule 9), except on the token paths.

mod address;
mod answer;
mod audited;
mod authorization;
mod authorization_routes;
mod backup;
mod base64;
mod body;
mod body_limit;
mod call;
mod certificates;
mod challenge;
mod contacts;
mod deleted;
mod failure;
mod gateway;
mod identity;
mod issuers;
mod list;
mod material;
mod material_routes;
mod model;
mod objects;
mod paging;
mod pending;
mod reading;
mod routes;
mod update;
mod watch;

pub(super) use answer::CLIENT_REQUEST_ID;
pub use challenge::Challenge;
pub(super) use failure::refused;
pub use gateway::{Api, router};
pub(crate) use reading::reads_a_body;
pub use routes::{Endpoint, ROUTES, Route};

use super::auth::Auth;
use super::host::Hosts;
use tokio_util::sync::CancellationToken;

/// The versions of the API that are answered, all alike: what a client may ask for differs between
/// them, what it gets does not (contract section 1).
pub const API_VERSIONS: [&str; 18] = [
    "2016-10-01",
    "7.0",
    "7.1",
    "7.2",
    "7.3",
    "7.4",
    "7.5",
    "7.6-preview.1",
    "7.6-preview.2",
    "7.6",
    "2025-06-01-preview",
    "2025-06-01",
    "2025-07-01",
    "2026-01-01-preview",
    "2026-03-01-preview",
    LATEST_API_VERSION,
    "2026-05-01-preview",
    "2026-07-01-preview",
];

/// The version of the API that a client named, in the form that is given back; `None` for one that was never there.
/// Clients of previews write `7.6-preview`, with a number or without.
pub(super) fn api_version(given: &str) -> Option<String> {
    let given = given.to_ascii_lowercase();
    let number = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let preview = || {
        let (version, preview) = given.split_once("-preview")?;
        let suffix = preview.is_empty() || preview.strip_prefix('.').is_some_and(number);
        let dated = version.len() > 3;
        (suffix && (version.starts_with("7.") || dated && preview.is_empty()) && API_VERSIONS.contains(&version))
            .then_some(())
    };
    (API_VERSIONS.contains(&given.as_str()) || preview().is_some()).then_some(given)
}

/// The description of this API (OpenAPI 3.1): `openapi.json` beside this file, without white space. Tests hold it
/// against the routes, and play its examples.
pub const OPENAPI: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/openapi.json"));

/// The newest version that is no preview.
pub const LATEST_API_VERSION: &str = "2026-04-01";

/// How the gateway behaves, beside the limits of its service.
#[derive(Clone, Debug)]
pub struct RestOptions {
    pub auth: Auth,
    /// A host `{vault}.{base_domain}` names a vault.
    pub base_domain: String,
    /// The hosts that requests are answered for.
    pub hosts: Hosts,
    /// Ends the event streams, for the stop of the server.
    pub closing: CancellationToken,
    /// Where clients without a token are sent.
    pub challenge: Challenge,
}

impl RestOptions {
    pub fn new(auth: Auth) -> Self {
        let (base_domain, challenge) = ("localhost".to_owned(), Challenge::default());
        Self { auth, base_domain, hosts: Hosts::Any, closing: CancellationToken::new(), challenge }
    }
}
