//! What clients without credentials are told: where to get a token, and what for (RFC 6750 section 3, in the form of Key
//! Vault).

use super::identity::TENANT;
use crate::transport::host::Host;

/// The members of the challenge that are not those of this server.
#[derive(Clone, Debug, Default)]
pub struct Challenge {
    /// The login service that clients are sent to; `None`: the token endpoint of this server.
    pub authority: Option<String>,
    /// What they ask a token for; `None`: the domain below which the host is.
    pub resource: Option<String>,
}

impl Challenge {
    /// The value of the header. Its form is what the clients' parsers bear: this order, quotes, comma and space (contract
    /// section 2).
    pub(super) fn text(&self, host: &Host) -> String {
        let own = || format!("https://{}/{TENANT}", host.authority());
        let authority = self.authority.clone().unwrap_or_else(own);
        let resource = self.resource(host);
        format!("Bearer authorization=\"{authority}\", resource=\"{resource}\"")
    }

    /// The place that tokens are for.
    pub(super) fn resource(&self, host: &Host) -> String {
        self.resource.clone().unwrap_or_else(|| format!("https://{}", host.parent()))
    }
}
