//! A version of a certificate on a host, as the host reported it.

use super::{CertificateName, Error, Result, Timestamp, VaultName, Version, text};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest message, in characters.
pub const MAX_MESSAGE: usize = 500;

/// The name of a host: 1 to 253 letters, digits, dots, dashes and underscores. Case does not matter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HostName(String);

impl HostName {
    /// Checks length and characters.
    pub fn parse(text: &str) -> Result<Self> {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=253).contains(&text.len()) && text.bytes().all(named) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::field("host", "It has 1 to 253 letters, digits, dots, dashes and underscores."))
    }

    /// What compares: the name in lower case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the programs of a host took a version.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallationState {
    /// It is in its files, and its programs know.
    Installed,
    /// It is in its files, and its programs could not be told.
    ReloadFailed,
    /// A check refused it; the files before are in use.
    Refused,
}

impl InstallationState {
    /// For lines that people read.
    pub fn word(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::ReloadFailed => "reload failed",
            Self::Refused => "refused",
        }
    }
}

/// A version on a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Installation {
    pub vault: VaultName,
    pub certificate: CertificateName,
    pub host: HostName,
    pub version: Version,
    pub state: InstallationState,
    /// Why not; empty where it is installed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// By the clock of the host, but never in the future.
    pub since: Timestamp,
    pub reported: Timestamp,
    /// Who reported it.
    pub principal: String,
}

impl Installation {
    /// Whether another report says the same, whenever it was made.
    pub fn says_what(&self, other: &Self) -> bool {
        let Self { vault: _, certificate: _, host: _, version, state, message, since, reported: _, principal } = self;
        (version, state, message, since, principal)
            == (&other.version, &other.state, &other.message, &other.since, &other.principal)
    }
}

/// The message of a report: for people, and from another machine.
pub fn message(text: &str) -> Result<String> {
    if text.chars().count() > MAX_MESSAGE {
        return Err(Error::field("message", format!("It is longer than {MAX_MESSAGE} characters.")));
    }
    match text::problem(text).filter(|_| !text.is_empty()) {
        Some(problem) => Err(Error::field("message", problem)),
        None => Ok(text.trim().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_names_and_messages_are_for_people() {
        for good in ["web-1", "a", "Web_1.shop.example", &"a".repeat(253)] {
            assert!(HostName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a/b", "ä", &"a".repeat(254)] {
            assert!(HostName::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(message(" no such file ").unwrap(), "no such file");
        assert!(message("a\nb").is_err() && message(&"x".repeat(501)).is_err());
    }
}
