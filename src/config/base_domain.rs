//! The base domain, below which each vault has a host name.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// A DNS name in lower case without a trailing dot: at most 253 characters, labels of 1 to 63 letters, digits and
/// inner hyphens (RFC 1123 section 2.1).
#[derive(Clone, Debug, Eq, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct BaseDomain(String);

impl BaseDomain {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for BaseDomain {
    fn default() -> Self {
        Self("localhost".to_owned())
    }
}

impl FromStr for BaseDomain {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if name.len() <= 253 && name.split('.').all(is_label) {
            Ok(Self(name))
        } else {
            Err(format!(
                "`{text}` is not a domain: write a DNS name such as vault.example.com, without a scheme or a port"
            ))
        }
    }
}

impl TryFrom<String> for BaseDomain {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for BaseDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_in_any_case_and_others_refused() {
        assert_eq!("Vault.Example.COM.".parse::<BaseDomain>().unwrap().as_str(), "vault.example.com");
        for text in ["", ".", "a..b", "-a.b", "a-.b", "a_b", "https://a", "a:1", "a b", &"a.".repeat(128)] {
            assert!(text.parse::<BaseDomain>().is_err(), "{text}");
        }
    }
}
