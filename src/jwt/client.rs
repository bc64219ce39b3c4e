//! Federated clients: programs that are known by issuer, subject and audience of their token.

use super::audience::check_own;
use super::claims::texts;
use super::options::FederatedOptions;
use super::refusal::shown;
use super::token::Claims;
use crate::domain::access::PrincipalName;
use serde_json::Value;
use std::sync::Arc;

/// Most clients of one issuer.
pub(super) const MAX_CLIENTS: usize = 10_000;
/// Longest id, subject and audience.
const MAX_ID: usize = 64;
const MAX_TEXT: usize = 1024;

/// A client, and the token that is its.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Client {
    pub(super) id: String,
    /// `client:ID`.
    pub(super) principal: Arc<str>,
    subject: String,
    audience: String,
}

impl Client {
    /// # Errors
    /// The setting and what is wrong with it.
    pub(super) fn of(options: &FederatedOptions) -> Result<Self, String> {
        let FederatedOptions { id, provider: _, subject, audience } = options;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(plain) {
            return Err(format!("id: write up to {MAX_ID} letters, digits, -, _ and ."));
        }
        for (setting, text) in [("subject", subject), ("audience", audience)] {
            if text.is_empty() || text.len() > MAX_TEXT || text.chars().any(char::is_control) {
                return Err(format!(
                    "{setting}: `{}` is not a value of a token: write 1 to {MAX_TEXT} bytes without control characters",
                    shown(text)
                ));
            }
        }
        check_own(audience, true).map_err(|problem| format!("audience: {problem}"))?;
        let principal =
            PrincipalName::parse(&format!("client:{id}")).map_err(|error| format!("id: {}", error.message))?;
        Ok(Self { id: id.clone(), principal: principal.into(), subject: subject.clone(), audience: audience.clone() })
    }

    /// Whether they differ. A token that names the audiences of both is the first one's.
    pub(super) fn is_apart(&self, other: &Self) -> bool {
        self.subject != other.subject || self.audience != other.audience
    }

    /// Whether a token with these claims is this client's.
    pub(super) fn is_of(&self, claims: &Claims) -> bool {
        let is_subject = claims.get("sub").and_then(Value::as_str) == Some(self.subject.as_str());
        is_subject && claims.get("aud").is_some_and(|aud| texts(aud).any(|one| one == self.audience))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_audiences_of_other_services_a_client_has_the_exchange_alone() {
        let of = |audience: &str| {
            let text = format!("id = 'ci'\nprovider = 'corp'\nsubject = 'a'\naudience = '{audience}'");
            Client::of(&toml::from_str(&text).unwrap())
        };
        for good in ["api://AzureADTokenExchange", "https://certmint.example", "sts.amazonaws.com"] {
            assert!(of(good).is_ok(), "{good}");
        }
        for bad in ["https://vault.azure.net", "https://Management.azure.com/", "https://graph.microsoft.com"] {
            let told = of(bad).unwrap_err();
            assert!(told.starts_with(&format!("audience: {bad} is the audience of another service")), "{told}");
        }
    }
}
