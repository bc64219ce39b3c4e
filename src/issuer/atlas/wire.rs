//! What the HVCA API answers, as far as it is read.

use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Login {
    pub(super) access_token: String,
}

/// Of `GET /certificates/{serial}`.
#[derive(Deserialize)]
pub(super) struct Certificate {
    /// PEM.
    pub(super) certificate: String,
    /// `ISSUED` or `REVOKED`.
    pub(super) status: String,
}

/// A line of `GET /stats/issued`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Issued {
    pub(super) serial_number: String,
    pub(super) not_before: i64,
}

/// Of `GET /quotas/issuance`.
#[derive(Deserialize)]
pub(super) struct Counter {
    pub(super) value: u64,
}

/// Of `GET /validationpolicy`.
#[derive(Deserialize)]
pub(super) struct ValidationPolicy {
    pub(super) validity: Option<ValidityPolicy>,
}

#[derive(Deserialize)]
pub(super) struct ValidityPolicy {
    #[serde(default)]
    pub(super) secondsmax: i64,
}

/// The body of an error (`application/problem+json`).
#[derive(Default, Deserialize)]
pub(super) struct Problem {
    #[serde(default)]
    pub(super) description: String,
}
