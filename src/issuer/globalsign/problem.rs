//! What an error of GlobalSign means for the order, by its number.

use super::soap::Node;
use crate::domain::text::readable;
use crate::issuer::IssuerError;
use crate::outbound;
use std::time::Duration;

/// Why a call did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    Transport(outbound::Error),
    /// An answer that is not what the service describes, or a fault of it.
    Unreadable(String),
    /// A status of HTTP without an answer of the service.
    Status(u16, Option<Duration>),
    /// The errors of an answer: number, field and message.
    Refused(Vec<(i64, String, String)>),
}

/// What to do about it.
#[derive(Debug)]
pub(super) enum Verdict {
    /// `unsure` where the call may have been carried out all the same.
    Retry {
        after: Option<Duration>,
        message: String,
        unsure: bool,
    },
    Misconfigured(String),
    Rejected(String),
}

/// Busy, internal errors, and an order that is not listed yet.
const PASSING: [i64; 6] = [-1, -201, -300, -301, -9916, -9942];
/// Parameters; the requester's only where the field belongs to the request.
const PARAMETERS: std::ops::RangeInclusive<i64> = -105..=-101;
/// What is wrong with the request: a key that was used, names, keys, curves, validities.
const REQUEST: [i64; 14] =
    [-6007, -6017, -6021, -4083, -9933, -9934, -9936, -9949, -9952, -9961, -9964, -9971, -5001, -9938];

impl Failure {
    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::Transport(error) if error.is_retryable() || error.kind == outbound::ErrorKind::TooLarge => {
                let unsure = !error.was_not_sent();
                Verdict::Retry { after: error.wait(), message: error.to_string(), unsure }
            }
            Self::Transport(error) => Verdict::Misconfigured(error.to_string()),
            Self::Unreadable(message) => Verdict::Retry { after: None, message, unsure: true },
            Self::Status(status, after) => {
                let message = format!("GlobalSign answered {status} without a reason.");
                match status {
                    408 | 425 | 429 => Verdict::Retry { after, message, unsure: false },
                    500..=599 => Verdict::Retry { after, message, unsure: true },
                    _ => Verdict::Misconfigured(message),
                }
            }
            Self::Refused(errors) => classify(&errors),
        }
    }
}

fn classify(errors: &[(i64, String, String)]) -> Verdict {
    let one = |(number, field, message): &(i64, String, String)| {
        let field = if field.is_empty() { String::new() } else { format!(", {field}") };
        let message = if message.is_empty() { "no reason was given" } else { message.trim_end_matches('.') };
        format!("{message} ({number}{field})")
    };
    let text: String = errors.iter().map(one).collect::<Vec<_>>().join("; ");
    let text = readable(&text, 400);
    let message = format!("GlobalSign refused: {text}.");
    let of_request = |(number, field, _): &(i64, String, String)| {
        let field = field.to_ascii_lowercase();
        REQUEST.contains(number)
            || (PARAMETERS.contains(number)
                && ["csr", "san", "subjectaltname", "commonname", "validity"].iter().any(|part| field.contains(part)))
    };
    if errors.iter().any(of_request) {
        return Verdict::Rejected(message);
    }
    if errors.iter().all(|(number, _, _)| PASSING.contains(number)) {
        return Verdict::Retry { after: None, message, unsure: true };
    }
    Verdict::Misconfigured(message)
}

/// The errors of an answer, where it has some: `SuccessCode` is 0 where all went well, and 1 with
/// warnings.
pub(super) fn errors(answer: &Node) -> Result<(), Failure> {
    if let Some(fault) = answer.find("Fault") {
        let text: String = fault.text_of("faultstring").unwrap_or("a fault").chars().take(4096).collect();
        return Err(Failure::Unreadable(format!("GlobalSign answered with a fault: {text}.")));
    }
    match answer.text_of("SuccessCode").and_then(|code| code.parse::<i64>().ok()) {
        Some(code) if code >= 0 => Ok(()),
        Some(_) => {
            let mut found = Vec::new();
            answer.all("Error", &mut found);
            let one = |node: &&Node| {
                let number = node.text_of("ErrorCode").and_then(|code| code.parse().ok()).unwrap_or(0);
                let text = |name| node.text_of(name).unwrap_or_default().to_owned();
                (number, text("ErrorField"), text("ErrorMessage"))
            };
            Err(Failure::Refused(found.iter().take(10).map(one).collect()))
        }
        None => Err(Failure::Unreadable("GlobalSign's answer has no success code.".to_owned())),
    }
}

impl Verdict {
    pub(super) fn into_error(self) -> IssuerError {
        match self {
            Self::Retry { after, message, unsure: _ } => IssuerError::Retry { after, source: message.into() },
            Self::Misconfigured(message) | Self::Rejected(message) => {
                IssuerError::Misconfigured { source: message.into() }
            }
        }
    }
}

impl From<Failure> for IssuerError {
    fn from(failure: Failure) -> Self {
        failure.verdict().into_error()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(number: i64, field: &str) -> String {
        let text = format!("{:?}", Failure::Refused(vec![(number, field.into(), "m".into())]).verdict());
        text.split(['(', ' ']).next().unwrap_or_default().to_owned()
    }

    #[test]
    fn numbers_have_their_class() {
        for number in [-300, -301, -201, -9942, -9916] {
            assert_eq!(verdict(number, ""), "Retry", "{number}");
        }
        for number in [-6007, -6021, -4083, -9934, -9952, -9971, -9936, -9961, -9964, -9933, -9949, -6017] {
            assert_eq!(verdict(number, ""), "Rejected", "{number}");
        }
        for number in [-4001, -4201, -6101, -9401, -9403, -9440, -9443, -9450, -9901, -9939] {
            assert_eq!(verdict(number, ""), "Misconfigured", "{number}");
        }
        assert_eq!(verdict(-104, "OrderRequestParameter.CSR"), "Rejected");
        assert_eq!(verdict(-104, "ContactInfo.Phone"), "Misconfigured");
    }
}
