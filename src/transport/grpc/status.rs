//! A domain error as a `google.rpc.Status`: the reason for programs, the message for people.
#![expect(clippy::disallowed_types, reason = "this is where tonic::Status belongs")]

use crate::domain::{Detail, Error};
use crate::transport::errors::row;
use std::collections::HashMap;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of `google.rpc.ErrorInfo`.
pub(super) const DOMAIN: &str = "certmint.v1";
/// A status travels in a header, and clients take 8 KiB of headers.
const MAX_MESSAGE: usize = 1024;
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

/// The status with every detail that the error has.
pub(super) fn status(error: Error) -> Status {
    let row = row(error.reason);
    let mut facts = HashMap::from([
        ("httpStatus".to_owned(), row.http.as_u16().to_string()),
        ("azureCode".to_owned(), row.azure.to_owned()),
    ]);
    let mut details = ErrorDetails::new();
    for detail in error.details {
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
    details.set_error_info(row.wire, DOMAIN, facts);
    if let Some(after) = error.retry_after {
        details.set_retry_info(Some(after));
    }
    let mut status = Status::with_error_details(row.code, shortened(error.message), details);
    if let Some(after) = error.retry_after
        && let Ok(value) = MetadataValue::try_from(after.as_millis().to_string())
    {
        status.metadata_mut().insert("grpc-retry-pushback-ms", value);
    }
    status
}

/// What tonic itself refuses as "internal" though the caller sent it.
pub(super) fn undecodable() -> Status {
    status(Error::bad_parameter("The message is not a valid protobuf message of this method."))
}

/// Whether a status says that a message could not be decoded.
pub(super) fn is_undecodable(status: &Status) -> bool {
    status.code() == Code::Internal && status.message().contains("decode Protobuf")
}

fn shortened(mut message: String) -> String {
    if message.len() > MAX_MESSAGE {
        let end = (0..=MAX_MESSAGE).rev().find(|end| message.is_char_boundary(*end)).unwrap_or(0);
        message.truncate(end);
    }
    message
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

    #[test]
    fn paths_are_in_the_words_of_the_contract() {
        let path = field("policy.x509_props.sans.dns_names[0]");
        assert_eq!(path, "policy.x509_properties.subject_alternative_names.dns_names[0]");
    }

    #[test]
    fn a_status_says_why_on_both_faces() {
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
        let mut error = Error::bad_parameter("ä".repeat(5000));
        error.details = (0..200).map(|n| Detail::Field { path: n.to_string(), problem: "p".into() }).collect();
        let status = status(error);
        assert!(status.message().len() <= MAX_MESSAGE && status.details().len() < 4096);
    }
}
