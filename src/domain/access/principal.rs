//! Who calls, as grants name it: `kind:id`, so that nobody gets another's name by choosing his own.

use super::given::shown;
use super::spiffe::trust_domain;
use crate::domain::{Error, Result};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Longest name; it stands in logs, errors and lists.
const MAX_NAME: usize = 255;

/// The kinds whose id is one text.
const PLAIN_KINDS: [&str; 2] = ["token", "client"];

/// A principal, or a group of them. Cheap to clone.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PrincipalName(Arc<str>);

impl PrincipalName {
    /// `token:NAME` for a line of the tokens file, `jwt:ISSUER:ID` for a caller with a token of another issuer,
    /// `client:ID` for a federated client, `group:ISSUER:VALUE` for those whose token names a group, `spiffe://DOMAIN/PATH`
    /// and `x509:NAME:ID` for callers with a client certificate. Up to 255 bytes of printable ASCII without spaces and
    /// quotes.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |problem: &str| Err(Error::field("principal", format!("`{}`: {problem}", shown(text))));
        if text.len() > MAX_NAME || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'`".contains(&byte)) {
            return refused("a principal has up to 255 printable ASCII characters without spaces and quotes.");
        }
        let known = text.split_once(':').is_some_and(|(kind, id)| {
            // Of another issuer it is the name here, and the id there.
            let parted = || id.split_once(':').is_some_and(|(issuer, id)| !issuer.is_empty() && !id.is_empty());
            match kind {
                "jwt" | "group" | "x509" => parted(),
                "spiffe" => trust_domain(text).is_some(),
                kind => PLAIN_KINDS.contains(&kind) && !id.is_empty(),
            }
        });
        if !known {
            return refused(
                "write token:NAME for a line of the tokens file, jwt:ISSUER:ID for a caller of [[auth.jwt]], \
                 client:ID for a [[auth.client]], group:ISSUER:VALUE for a group of its callers, spiffe://DOMAIN/PATH for a \
                 client certificate of [[auth.spiffe]], or x509:NAME:ID for one of [[auth.x509]].",
            );
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<PrincipalName> for Arc<str> {
    fn from(name: PrincipalName) -> Self {
        name.0
    }
}

/// The groups that a principal is in. Cheap to clone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Groups(Option<Arc<[PrincipalName]>>);

impl Groups {
    pub fn iter(&self) -> impl Iterator<Item = &PrincipalName> {
        self.0.iter().flat_map(|groups| groups.iter())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|group| group.as_str() == name)
    }
}

impl FromIterator<PrincipalName> for Groups {
    fn from_iter<I: IntoIterator<Item = PrincipalName>>(groups: I) -> Self {
        let groups: Vec<PrincipalName> = groups.into_iter().collect();
        // Most callers have none, and hold nothing for them.
        Self((!groups.is_empty()).then(|| groups.into()))
    }
}

impl Borrow<str> for PrincipalName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PrincipalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_has_a_kind_and_an_id() {
        for good in [
            "token:ci",
            "token:deploy@ci",
            "group:entra:shop-team",
            "jwt:k8s:system:serviceaccount:shop:web",
            "client:deploy",
            "spiffe://corp.example/ns/shop/sa/web",
            "x509:corp:web.shop.example",
            "x509:corp:CN=web,O=Example\\20Corp",
        ] {
            assert_eq!(PrincipalName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "ci",
            "token:",
            "jwt:ci",
            "jwt:ci:",
            "group:shop",
            "group:corp:",
            "group::shop",
            "jwt::ci",
            ":ci",
            "Token:ci",
            "spiffe:corp",
            "spiffe://corp.example",
            "spiffe://Corp.example/web",
            "x509:corp",
            "x509:corp:",
            "user:ci",
            "token:a b",
            "token:\"a\"",
            "token:ä",
            "token:a\n",
        ] {
            assert!(PrincipalName::parse(bad).is_err(), "{bad}");
        }
        assert!(PrincipalName::parse(&format!("token:{}", "x".repeat(250))).is_err());
    }
}
