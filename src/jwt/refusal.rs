//! Why a token was not accepted: for its caller in few words, for the log and the metrics by its cause.

use std::time::Duration;

/// The cause, as the log and the metrics call it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// It is too large, has a damaged part, or an object with a member twice.
    Form,
    /// The issuer is none of the configuration.
    Issuer,
    /// `alg` is not accepted from this issuer.
    Algorithm,
    /// `typ` is not that of an access token, or the token is one for a login.
    Type,
    /// `crit` asks for something.
    Critical,
    /// The issuer has no key of this `kid` for this algorithm, and was asked for it.
    Key,
    Signature,
    Audience,
    Expired,
    NotYetValid,
    /// It is good for longer than is accepted.
    Lifetime,
    /// A required claim is missing or has another value.
    Claim,
    /// The claim of the principal is missing, or is no name.
    Principal,
    /// The issuer left the groups out, and says where to ask for them; or there are too many.
    Groups,
    /// The keys of the issuer are not available, or those that are do not have the token's and could not be read again.
    Unavailable,
}

impl Cause {
    pub(super) const ALL: [(Self, &'static str); 15] = [
        (Self::Form, "form"),
        (Self::Issuer, "issuer"),
        (Self::Algorithm, "algorithm"),
        (Self::Type, "type"),
        (Self::Critical, "critical"),
        (Self::Key, "key"),
        (Self::Signature, "signature"),
        (Self::Audience, "audience"),
        (Self::Expired, "expired"),
        (Self::NotYetValid, "not_yet_valid"),
        (Self::Lifetime, "lifetime"),
        (Self::Claim, "claim"),
        (Self::Principal, "principal"),
        (Self::Groups, "groups"),
        (Self::Unavailable, "unavailable"),
    ];

    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(cause, _)| *cause == self).map_or("", |(_, name)| name)
    }
}

/// How long a caller waits where the keys of an issuer are not available.
const RETRY_AFTER: Duration = Duration::from_secs(10);
/// Longest text of a token that is shown, in characters.
const MAX_SHOWN: usize = 200;

/// A token that was not accepted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refusal {
    pub cause: Cause,
    /// For the log: which claim, which member. Holds no value of the token beside issuer, audience and key id.
    pub detail: String,
    /// What the caller is told. It never says which of signature, key or claim failed: the log does.
    pub message: String,
}

impl Refusal {
    pub(super) fn new(cause: Cause, detail: impl Into<String>) -> Self {
        let message = match cause {
            Cause::Expired => "The token has expired.",
            _ => "The token is not accepted. The log of the server says why.",
        };
        Self { cause, detail: detail.into(), message: message.to_owned() }
    }

    /// In the words of Key Vault.
    pub(super) fn issuer(found: &str) -> Self {
        let found = shown(found);
        let message =
            format!("AKV10032: Invalid issuer. Expected one that this server accepts tokens of, found {found}.");
        Self { message, ..Self::new(Cause::Issuer, found) }
    }

    /// In the words of Key Vault.
    pub(super) fn audience(expected: &str, found: &str) -> Self {
        let found = shown(found);
        let message = format!("AKV10022: Invalid audience. Expected {expected}, found: {found}.");
        Self { message, ..Self::new(Cause::Audience, found) }
    }

    pub(super) fn unavailable(issuer: &str) -> Self {
        let message = format!(
            "The keys of the issuer {issuer} cannot be read now, so this token cannot be checked. Send the request again \
             later; the log of the server says what is wrong."
        );
        Self { message, ..Self::new(Cause::Unavailable, issuer) }
    }

    /// How long to wait, where a repeat makes sense.
    pub fn retry_after(&self) -> Option<Duration> {
        (self.cause == Cause::Unavailable).then_some(RETRY_AFTER)
    }
}

/// Text of a token that nobody vouches for.
pub(super) fn shown(text: &str) -> String {
    let printable = |c: &char| c.is_ascii_graphic() && !"\"'`<>".contains(*c) || *c == ' ';
    text.chars().filter(printable).take(MAX_SHOWN).collect()
}
