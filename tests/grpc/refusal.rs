//! Formats an error: one line per detail of a `google.rpc.Status`.
#![expect(clippy::disallowed_types, reason = "a client sees tonic::Status")]

use crate::raw::Answer;
use http::HeaderMap;
use std::fmt::Write;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

/// The status of an answer that came without a library.
pub(crate) fn status_of(answer: &Answer) -> Status {
    in_headers(answer.status_headers())
}

pub(crate) fn in_headers(headers: &HeaderMap) -> Status {
    Status::from_header_map(headers).unwrap()
}

/// Code, message and details; what a detail has in a map is sorted.
pub(crate) fn shown(status: &Status) -> String {
    let mut text = format!("{:?}: {}\n", status.code(), status.message());
    let details = status.check_error_details().unwrap();
    let line = &mut |name: &str, value: String| writeln!(text, "{name}: {value}").unwrap();
    if let Some(info) = details.error_info() {
        line("reason", format!("{} of {}", info.reason, info.domain));
        let mut facts: Vec<_> = info.metadata.iter().collect();
        facts.sort();
        for (key, value) in facts {
            line(key, value.clone());
        }
    }
    for violation in details.bad_request().iter().flat_map(|bad| &bad.field_violations) {
        line("field", format!("{}: {}", violation.field, violation.description));
    }
    for violation in details.precondition_failure().iter().flat_map(|failure| &failure.violations) {
        line("precondition", format!("{} {}: {}", violation.r#type, violation.subject, violation.description));
    }
    if let Some(resource) = details.resource_info() {
        line("resource", format!("{} {}", resource.resource_type, resource.resource_name));
    }
    for violation in details.quota_failure().iter().flat_map(|failure| &failure.violations) {
        line("quota", format!("{}: {}", violation.subject, violation.description));
    }
    if let Some(delay) = details.retry_info().and_then(|info| info.retry_delay) {
        line("retry after", format!("{} ms", delay.as_millis()));
    }
    if let Some(pushback) = status.metadata().get("grpc-retry-pushback-ms") {
        line("pushback", pushback.to_str().unwrap().to_owned());
    }
    text
}

/// Compares all that a refusal says; `expected` may be indented for reading.
#[track_caller]
pub(crate) fn is<T>(refused: Result<T, Status>, expected: &str) {
    let expected: String = expected.trim().lines().map(|line| line.trim().to_owned() + "\n").collect();
    let Err(status) = refused else { panic!("this was to be refused:\n{expected}") };
    let shown = shown(&status);
    assert_eq!(shown, expected, "\n--- answered\n{shown}\n--- expected\n{expected}\n");
}

/// Reason, HTTP status and Azure code of a refusal: what both APIs have in common.
pub(crate) fn common(status: &Status) -> (String, u16, String) {
    let info = details(status).error_info().expect("a status without ErrorInfo").clone();
    assert_eq!(info.domain, "certmint.v1");
    (info.reason, info.metadata["httpStatus"].parse().unwrap(), info.metadata["azureCode"].clone())
}

pub(crate) fn reason(status: &Status) -> String {
    common(status).0
}

fn details(status: &Status) -> ErrorDetails {
    status.check_error_details().unwrap_or_else(|error| panic!("{status:?}: {error}"))
}
