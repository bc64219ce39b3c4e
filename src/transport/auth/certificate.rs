//! The client certificate of a connection, as a caller of requests on it.

use crate::mtls::{Cause, CertificateIdentity, ClientTrust, Shown};
use http::{HeaderMap, header};
use std::sync::Arc;

/// What browsers say with every request of a page to another place (Fetch Metadata).
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What the libraries of Azure say of themselves (`azsdk-python-…`). The first request of each has neither a token nor its
/// body: it is to be answered with a challenge, and never to be carried out.
const AZURE_LIBRARY: &str = "azsdk-";

/// A client certificate that was accepted, and what judges it again.
#[derive(Clone, Debug)]
pub struct Proof {
    pub(super) identity: Arc<CertificateIdentity>,
    trust: Arc<ClientTrust>,
    shown: Arc<Shown>,
}

impl Proof {
    pub(super) async fn of(trust: &Arc<ClientTrust>, shown: &Arc<Shown>) -> Result<Self, Cause> {
        let identity = trust.identify(shown).await?;
        Ok(Self { identity, trust: trust.clone(), shown: shown.clone() })
    }

    /// The trust domain, or the name of the CAs in the configuration.
    pub(in crate::transport) fn provider(&self) -> &str {
        &self.identity.provider
    }

    /// Ends when the certificate is not accepted any more, or stands for somebody else.
    pub(super) async fn over(&self) {
        /// Between two looks, at most: changed files and the end of a certificate are seen this soon.
        const LOOK_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
        loop {
            tokio::time::sleep(self.trust.check_every().min(LOOK_EVERY)).await;
            match self.trust.identify(&self.shown).await {
                Ok(identity) if identity.principal == self.identity.principal => {}
                // The store cannot be asked now: the stream has that from elsewhere.
                Err(Cause::Unavailable) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// Whether a request may be its certificate's: where it has no credentials of its own, does not come from a page, and is
/// not the first half of one. A browser adds certificates by itself, also to what a hostile page sends; a token it does
/// not.
pub(super) fn counts(headers: &HeaderMap) -> bool {
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    ![header::AUTHORIZATION, header::ORIGIN].iter().any(|name| headers.contains_key(name))
        && headers.get(SEC_FETCH_SITE).is_none()
        && !agent.contains(AZURE_LIBRARY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_certificate_counts_where_there_is_no_token_no_page_and_no_half_request() {
        let with = |name: &'static str| HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static("x"))]);
        assert!(counts(&HeaderMap::new()) && counts(&with("user-agent")));
        let azure = HeaderValue::from_static("app azsdk-python-keyvault-certificates/4.11.0 Python/3.12");
        assert!(!counts(&HeaderMap::from_iter([(header::USER_AGENT, azure)])));
        for name in ["authorization", "origin", "sec-fetch-site"] {
            assert!(!counts(&with(name)), "{name}");
        }
    }
}
