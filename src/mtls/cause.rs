//! Why a client certificate is not accepted.

use rustls::{CertificateError, Error};
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a client certificate is not accepted.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Cause {
    /// It, or one above it, cannot be read.
    Malformed,
    /// No CA that is trusted has signed it.
    UnknownIssuer,
    /// A signature, a constraint or an extension is not in order.
    Invalid,
    /// It is not for clients, or is that of a CA.
    Purpose,
    NotYetValid,
    Expired,
    /// It has no name, or several, by which its owner could be known.
    Names,
    Revoked,
    /// Whether it was revoked cannot be known now.
    Unavailable,
}

impl Cause {
    pub(super) const ALL: [(Self, &'static str); 9] = [
        (Self::Malformed, "malformed"),
        (Self::UnknownIssuer, "unknown_issuer"),
        (Self::Invalid, "invalid"),
        (Self::Purpose, "purpose"),
        (Self::NotYetValid, "not_yet_valid"),
        (Self::Expired, "expired"),
        (Self::Names, "names"),
        (Self::Revoked, "revoked"),
        (Self::Unavailable, "unavailable"),
    ];

    /// Its name in metrics and in the log.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(cause, _)| *cause == self).map_or("", |(_, name)| name)
    }

    /// For the caller: what anybody who holds the certificate can see himself, and nothing of what is trusted here.
    pub fn message(self) -> &'static str {
        match self {
            Self::Expired => "The client certificate has expired.",
            Self::NotYetValid => "The client certificate is not valid yet.",
            Self::Unavailable => "Whether the client certificate was revoked cannot be known now. Try again.",
            Self::Malformed | Self::UnknownIssuer | Self::Invalid | Self::Purpose | Self::Names | Self::Revoked => {
                "The client certificate is not accepted."
            }
        }
    }

    pub(super) fn of(error: &Error) -> Self {
        use CertificateError as E;
        let Error::InvalidCertificate(error) = error else { return Self::Invalid };
        match error {
            E::BadEncoding => Self::Malformed,
            E::UnknownIssuer => Self::UnknownIssuer,
            E::Expired | E::ExpiredContext { .. } => Self::Expired,
            E::NotValidYet | E::NotValidYetContext { .. } => Self::NotYetValid,
            E::InvalidPurpose | E::InvalidPurposeContext { .. } => Self::Purpose,
            // rustls hands out the words of webpki in no other way.
            E::Other(other) if other.to_string() == "CaUsedAsEndEntity" => Self::Purpose,
            _ => Self::Invalid,
        }
    }
}

/// How many judgements ended how, of one section of the configuration or of none.
#[derive(Debug, Default)]
pub(super) struct Counts {
    accepted: AtomicU64,
    refused: [AtomicU64; Cause::ALL.len()],
}

impl Counts {
    pub(super) fn accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn refused(&self, cause: Cause) {
        if let Some(place) = Cause::ALL.iter().position(|(known, _)| *known == cause) {
            self.refused[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// By outcome.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let refused = Cause::ALL.iter().zip(&self.refused).map(|((_, name), count)| (*name, count));
        let all = [("accepted", &self.accepted)].into_iter().chain(refused);
        all.map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }
}
