//! Maps a domain error to a `google.rpc.Status`: the reason for programs, the message for people.
#![expect(clippy::disallowed_types, reason = "this is where tonic::Status belongs")]

use crate::domain::{Detail, Error};
use crate::transport::errors::row;
use std::collections::HashMap;
use tonic::Status;
use tonic::metadata::MetadataValue;
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of `google.rpc.ErrorInfo`.
pub(super) const DOMAIN: &str = "certmint.v1";
/// A status travels in a header, and some clients take 8 KiB of headers: the message in its
/// percent-encoded form, then the same message and all details in base64, below 4 KiB before it.
const MAX_MESSAGE: usize = 1024;
/// One text of a detail.
const MAX_TEXT: usize = 256;
/// All texts of the details together.
const MAX_TEXTS: usize = 2048;
const MAX_VIOLATIONS: usize = 20;

/// Key Vault's names of members, and the contract's.
const FIELDS: [(&str, &str); 20] = [
    ("x509_props", "x509_properties"),
    ("key_props", "key_properties"),
    ("secret_props", "secret_properties"),
    ("sans", "subject_alternative_names"),
    ("kty", "key_type"),
    ("crv", "curve"),
    ("x5c", "x509_certificates"),
    ("cty", "certificate_type"),
    ("cert_transparency", "certificate_transparency"),
    ("org_details", "organization"),
    ("admin_details", "administrators"),
    ("pwd", "password"),
    ("contentType", "content_type"),
    ("ipAddresses", "ip_addresses"),
    ("key_usage", "key_usages"),
    ("action_type", "action"),
    ("alg", "algorithm"),
    ("outContentType", "out_content_type"),
    ("nbf", "not_before"),
    ("exp", "expires"),
];

/// The status with every detail that the error has, as far as there is room.
pub(super) fn status(error: Error) -> Status {
    let row = row(error.reason);
    let mut facts = HashMap::from([
        ("httpStatus".to_owned(), row.http.as_u16().to_string()),
        ("azureCode".to_owned(), row.azure.to_owned()),
    ]);
    let mut details = ErrorDetails::new();
    let mut room = MAX_TEXTS;
    for detail in error.details {
        let detail = cut(detail);
        let Some(left) = room.checked_sub(length(&detail)) else { break };
        room = left;
        match detail {
            Detail::Field { path, problem } => {
                if details.bad_request().is_none_or(|bad| bad.field_violations.len() < MAX_VIOLATIONS) {
                    details.add_bad_request_violation(field(&path), problem);
                }
            }
            Detail::Resource { kind, name } => {
                details.set_resource_info(kind, name, "", "");
            }
            Detail::Precondition { kind, subject, description } => {
                details.add_precondition_failure_violation(kind, subject, description);
            }
            Detail::Quota { subject, description } => {
                details.add_quota_failure_violation(subject, description);
            }
            Detail::Fact { key, value } => {
                facts.insert(key.to_owned(), value);
            }
        }
    }
    details.set_error_info(row.wire(), DOMAIN, facts);
    if let Some(after) = error.retry_after {
        details.set_retry_info(Some(after));
    }
    let mut status = Status::with_error_details(row.code, shortened(error.message, MAX_MESSAGE), details);
    if let Some(after) = error.retry_after
        && let Ok(value) = MetadataValue::try_from(after.as_millis().to_string())
    {
        status.metadata_mut().insert("grpc-retry-pushback-ms", value);
    }
    status
}

fn cut(detail: Detail) -> Detail {
    let cut = |text| shortened(text, MAX_TEXT);
    match detail {
        Detail::Field { path, problem } => Detail::Field { path: cut(path), problem: cut(problem) },
        Detail::Resource { kind, name } => Detail::Resource { kind, name: cut(name) },
        Detail::Precondition { kind, subject, description } => {
            Detail::Precondition { kind, subject: cut(subject), description: cut(description) }
        }
        Detail::Quota { subject, description } => {
            Detail::Quota { subject: cut(subject), description: cut(description) }
        }
        Detail::Fact { key, value } => Detail::Fact { key, value: cut(value) },
    }
}

/// What a detail takes on the wire, about: a path can be longer in the words of the contract.
fn length(detail: &Detail) -> usize {
    let texts = match detail {
        Detail::Field { path, problem } => field(path).len() + problem.len(),
        Detail::Resource { kind, name } => kind.len() + name.len(),
        Detail::Precondition { kind, subject, description } => kind.len() + subject.len() + description.len(),
        Detail::Quota { subject, description } => subject.len() + description.len(),
        Detail::Fact { key, value } => key.len() + value.len(),
    };
    texts + 8
}

/// As much of the text as its percent-encoded form has room for.
fn shortened(mut text: String, room: usize) -> String {
    let encoded = |c: char| if matches!(c, ' '..='~') && c != '%' { 1 } else { 3 * c.len_utf8() };
    let mut taken = 0;
    let end = text.char_indices().find(|(_, c)| {
        taken += encoded(*c);
        taken > room
    });
    if let Some(end) = end.map(|(at, _)| at) {
        text.truncate(end);
    }
    text
}

/// `policy.x509_props.sans.dns_names[0]` in the contract's words.
fn field(path: &str) -> String {
    let translated = path.split('.').map(|segment| {
        let (name, index) = segment.split_at(segment.find('[').unwrap_or(segment.len()));
        let name = FIELDS.iter().find(|(azure, _)| *azure == name).map_or(name, |(_, ours)| ours);
        format!("{name}{index}")
    });
    translated.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Reason;
    use tonic::Code;

    #[test]
    fn paths_are_in_the_words_of_the_contract() {
        let path = field("policy.x509_props.sans.dns_names[0]");
        assert_eq!(path, "policy.x509_properties.subject_alternative_names.dns_names[0]");
    }

    #[test]
    fn a_status_says_why_on_both_apis() {
        let error =
            Error::new(Reason::PendingInProgress, "m").with(Detail::Fact { key: "requestId", value: "1".into() });
        let status = status(error);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (Code::Aborted, "PENDING_IN_PROGRESS"));
        assert_eq!(info.metadata["httpStatus"], "409");
        assert_eq!(info.metadata["requestId"], "1");
    }

    #[test]
    fn a_status_stays_small() {
        for letter in ["x", "ä", "%", "\u{1f512}"] {
            let mut error = Error::bad_parameter(letter.repeat(5000));
            let field = |n: usize| Detail::Field { path: n.to_string(), problem: letter.repeat(n * 10) };
            error.details = (0..200).map(field).collect();
            let status = status(error);
            let header = status.clone().into_http::<()>().headers()["grpc-message"].len();
            assert!(header <= MAX_MESSAGE && header > MAX_MESSAGE - 12, "{header}");
            assert!(status.details().len() < 4096, "{}", status.details().len());
            assert!(status.get_details_bad_request().unwrap().field_violations.len() > 5);
        }
    }

    #[test]
    fn the_facts_of_a_status_are_there_whatever_else_is() {
        let mut error = Error::bad_parameter("m").retry_after(std::time::Duration::from_millis(7));
        error.details = vec![Detail::Resource { kind: "issuer", name: "x".repeat(9000) }; 50];
        let status = status(error);
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.metadata["azureCode"].as_str()), ("BAD_PARAMETER", "BadParameter"));
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "7");
        assert_eq!(status.get_details_retry_info().unwrap().retry_delay, Some(std::time::Duration::from_millis(7)));
    }
}
