//! Who calls, as grants name it: `kind:id`, so that nobody gets another's name by choosing his own.

use crate::domain::{Error, Result};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// Longest name; it stands in logs, errors and lists.
const MAX_NAME: usize = 255;

/// The kinds that a grant may name. Nobody is in a group yet: their callers come with tokens of other issuers.
const KINDS: [&str; 2] = ["token", "group"];

/// A principal, or a group of them. Cheap to clone.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PrincipalName(Arc<str>);

impl PrincipalName {
    /// `token:NAME` for a line of the tokens file, `group:NAME` for a group. Up to 255 bytes of printable ASCII without
    /// spaces and quotes.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |problem: &str| {
            let shown: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
            Err(Error::field("principal", format!("`{shown}`: {problem}")))
        };
        if text.len() > MAX_NAME || !text.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"'`".contains(&byte)) {
            return refused("a principal has up to 255 printable ASCII characters without spaces and quotes.");
        }
        let known = text.split_once(':').is_some_and(|(kind, id)| KINDS.contains(&kind) && !id.is_empty());
        if !known {
            return refused("write token:NAME for a line of the tokens file, or group:NAME.");
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
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
        for good in ["token:ci", "token:deploy@ci", "group:entra:shop-team"] {
            assert_eq!(PrincipalName::parse(good).unwrap().as_str(), good);
        }
        for bad in
            ["", "ci", "token:", ":ci", "Token:ci", "user:ci", "token:a b", "token:\"a\"", "token:ä", "token:a\n"]
        {
            assert!(PrincipalName::parse(bad).is_err(), "{bad}");
        }
        assert!(PrincipalName::parse(&format!("token:{}", "x".repeat(250))).is_err());
    }
}
