//! The end of a certificate before its time (RFC 5280 section 5.3).

use super::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// An entry stays on the lists until one was made after the end of its certificate (RFC 5280 section 3.3): for so long
/// after that end every list has it.
pub const LISTED_AFTER_THE_END: Duration = Duration::from_secs(2 * 24 * 3600);

/// Why a certificate was revoked: the reasons of RFC 5280 section 5.3.1 that a CA of this server gives. A hold, and
/// reasons that concern CAs, are not among them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RevocationReason {
    Unspecified,
    KeyCompromise,
    AffiliationChanged,
    Superseded,
    CessationOfOperation,
    PrivilegeWithdrawn,
}

impl RevocationReason {
    pub const ALL: [Self; 6] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The number of the CRLReason.
    pub const fn number(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    /// The reason of a number.
    pub fn of_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| i32::from(reason.number()) == number)
    }

    /// The identifier of the CRLReason.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }

    /// The reason of a word, in any case.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word().eq_ignore_ascii_case(word))
    }
}

/// That a certificate was revoked.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Revocation {
    pub time: Timestamp,
    pub reason: RevocationReason,
    /// Since when the key is known or suspected to be in other hands (RFC 5280 section 5.3.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invalidity_time: Option<Timestamp>,
    /// The principal that asked for it.
    pub by: String,
    /// The number of the first CRL with it, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crl: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_word_and_its_number() {
        for reason in RevocationReason::ALL {
            assert_eq!(RevocationReason::parse(&reason.word().to_uppercase()), Some(reason));
            assert_eq!(RevocationReason::of_number(reason.number().into()), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.word());
        }
        for none in [2, 6, 7, 8, 10, -1] {
            assert_eq!(RevocationReason::of_number(none), None);
        }
        assert_eq!(RevocationReason::parse("certificateHold"), None);
    }
}
