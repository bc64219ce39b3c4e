//! What a profile decided of a certificate beside its policy, kept with the operation: the writer of certificates asks it.

use super::Timestamp;
use super::text::shown;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What the policy of an operation cannot say.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Granted {
    /// The profile's name.
    pub profile: String,
    /// From the beginning of the operation, in seconds; `None`: the months of the policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    #[serde(default)]
    pub revocation: Revocation,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must_staple: bool,
}

/// How the status of a certificate can be found out.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Revocation {
    /// Nowhere for less than seven days (`noRevAvail`, RFC 9608), else wherever it is published.
    #[default]
    Auto,
    /// In lists alone.
    Crl,
    /// By OCSP alone.
    Ocsp,
    /// The certificate does not say.
    None,
}

impl Granted {
    /// When a certificate ends that begins with an operation, and would end at `by_policy`.
    pub fn end(&self, created: Timestamp, by_policy: Timestamp) -> Timestamp {
        self.seconds.map_or(by_policy, |seconds| created.plus(Duration::from_secs(seconds)))
    }
}

impl Revocation {
    pub(in crate::domain) fn parse(text: Option<&str>) -> Result<Self, String> {
        match text {
            None | Some("" | "auto") => Ok(Self::Auto),
            Some("crl") => Ok(Self::Crl),
            Some("ocsp") => Ok(Self::Ocsp),
            Some("none") => Ok(Self::None),
            Some(other) => Err(format!("{} is none: use auto, crl, ocsp or none.", shown(other))),
        }
    }
}
