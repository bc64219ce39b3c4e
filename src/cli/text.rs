//! Results as text for people.

pub(super) mod authorities;
pub(super) mod installations;
pub(super) mod manage;
pub(super) mod master_keys;
mod profiles;
pub(super) mod renewals;
pub(super) mod webhooks;

pub(super) use profiles::profiles;

use super::alternative_names;
use super::fingerprint::sha256;
use super::json::{self, pending_status};
use crate::proto::v1::{
    Certificate, Issuer, IssuerHealth, IssuerItem, OperationError, PendingEvent, PendingOperation, PendingStatus,
    X509Properties,
};
use std::fmt::Write;
use x509_cert::der::Decode;

/// Without what could steer a terminal: texts of servers and CAs are printed, and are not ours. The lines of Azure's
/// texts end with CR and LF.
pub(super) fn printable(text: &str) -> String {
    text.replace("\r\n", "\n").chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// The status in words.
pub(super) fn status(value: i32) -> String {
    pending_status(value).to_lowercase().replace('_', " ")
}

pub(super) fn operation(operation: &PendingOperation) -> String {
    let mut lines = Lines::default();
    lines.add("certificate", &operation.certificate_name);
    lines.add("status", &status_of(operation));
    lines.add("details", &operation.status_details);
    if let Some(error) = &operation.error {
        lines.add("error", &error_line(error));
    }
    for action in &operation.actions {
        lines.add("to do", &format!("{} {} {}", json::action_type(action.r#type), action.name, action.value));
    }
    lines.add("version", &operation.certificate_version);
    lines.add("issuer", operation.issuer.as_ref().map_or("", |issuer| issuer.name.as_str()));
    lines.add("request id", &operation.request_id);
    if operation.trigger != 0 {
        lines.add("renews", &operation.replaced_version);
        lines.add("because", &json::renewal_trigger(operation.trigger).to_lowercase());
    }
    lines.add("batch", &operation.batch);
    lines.add("vault", &operation.vault_name);
    lines.add("created", &time(operation.create_time.as_ref()));
    lines.add("updated", &time(operation.update_time.as_ref()));
    lines.add("id", &operation.id);
    lines.end()
}

pub(super) fn operations(operations: &[PendingOperation]) -> String {
    let rows = operations.iter().map(|it| {
        [
            it.certificate_name.clone(),
            status_of(it),
            it.issuer.as_ref().map(|issuer| issuer.name.clone()).unwrap_or_default(),
            it.request_id.clone(),
            time(it.update_time.as_ref()),
        ]
    });
    table(["NAME", "STATUS", "ISSUER", "REQUEST ID", "UPDATED"], rows)
}

/// One line for an event of a watch; the resume token is last.
pub(super) fn event(event: &PendingEvent, resume_token: &str) -> String {
    let fallback = PendingOperation::default();
    let operation = event.operation.as_ref().unwrap_or(&fallback);
    let mut line = format!(
        "{}  {}  {}  ",
        time(event.event_time.as_ref()),
        operation.certificate_name,
        json::event_type(event.r#type).to_lowercase()
    );
    let unspecified = i32::from(PendingStatus::Unspecified);
    if event.previous_status != unspecified && event.previous_status != operation.status {
        line.push_str(&format!("{} -> ", status(event.previous_status)));
    }
    line.push_str(&status_of(operation));
    for (name, value) in [("version", &operation.certificate_version), ("request_id", &operation.request_id)] {
        if !value.is_empty() {
            line.push_str(&format!("  {name}={value}"));
        }
    }
    if let Some(error) = &operation.error {
        line.push_str(&format!("  error={}", error_line(error)));
    }
    if !resume_token.is_empty() {
        line.push_str(&format!("  token={resume_token}"));
    }
    // An event is one line, whatever a CA writes into its messages.
    one_line(&line)
}

/// The lines of a text in one.
fn one_line(text: &str) -> String {
    text.replace("\r\n", " ").replace('\n', " ")
}

pub(super) fn certificate(certificate: &Certificate) -> String {
    let mut lines = Lines::default();
    lines.add("certificate", &certificate.certificate_name);
    lines.add("version", &certificate.certificate_version);
    if certificate.cer.is_empty() {
        lines.add("state", "not issued");
    }
    if let Some(false) = certificate.attributes.as_ref().and_then(|it| it.enabled) {
        lines.add("enabled", "no");
    }
    match x509_cert::Certificate::from_der(&certificate.cer) {
        Ok(x509) => {
            let tbs = x509.tbs_certificate();
            lines.add("subject", &tbs.subject().to_string());
            lines.add("issued by", &tbs.issuer().to_string());
            lines.add("serial", &tbs.serial_number().to_string());
            lines.add("names", &alternative_names::of(&x509).join(", "));
        }
        Err(_) => {
            // Not issued yet: what is asked for.
            let x509 = certificate.policy.as_ref().and_then(|it| it.x509_properties.as_ref());
            lines.add("subject", x509.map_or("", |it| it.subject.as_str()));
            lines.add("names", &x509.map(names).unwrap_or_default());
        }
    }
    if let Some(attributes) = &certificate.attributes {
        lines.add("not before", &time(attributes.not_before.as_ref()));
        lines.add("not after", &time(attributes.expires.as_ref()));
    }
    lines.add("thumbprint", &hex(&certificate.thumbprint));
    match certificate.chain.len() {
        0 => {}
        1 => lines.add("chain", "1 certificate above it"),
        count => lines.add("chain", &format!("{count} certificates above it")),
    }
    let mut tags: Vec<String> = certificate.tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    tags.sort();
    lines.add("tags", &tags.join(", "));
    lines.add("vault", &certificate.vault_name);
    lines.add("id", &certificate.id);
    lines.end()
}

pub(super) fn issuer(issuer: &Issuer) -> String {
    let mut lines = Lines::default();
    lines.add("issuer", &issuer.issuer_name);
    lines.add("provider", &issuer.provider);
    if let Some(false) = issuer.attributes.as_ref().and_then(|it| it.enabled) {
        lines.add("enabled", "no");
    }
    if let Some(pause) = &issuer.pause {
        let reason = if pause.reason.is_empty() { String::new() } else { format!(": {}", pause.reason) };
        lines.add("paused", &format!("since {}{reason}", time(pause.since.as_ref())));
    }
    lines.add("account", issuer.credentials.as_ref().map_or("", |it| it.account_id.as_str()));
    if let Some(organization) = &issuer.organization {
        lines.add("organization", &organization.id);
        for it in &organization.administrators {
            let parts = [it.first_name.as_str(), &it.last_name, &it.email, &it.phone];
            lines
                .add("administrator", &parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" "));
        }
    }
    for (name, value) in &issuer.options {
        let value = match value.lines().count() {
            0 | 1 => value.clone(),
            count => format!("({count} lines)"),
        };
        lines.add("option", &format!("{name}={value}"));
    }
    if let Some(attributes) = &issuer.attributes {
        lines.add("created", &time(attributes.created.as_ref()));
        lines.add("updated", &time(attributes.updated.as_ref()));
    }
    if !issuer.ca_certificates.is_empty() {
        let (count, name) = (issuer.ca_certificates.len(), &issuer.issuer_name);
        let how = format!("{count}; print them: certmint ca export --issuer {name}");
        lines.add("CA certificates", &how);
        lines.add("root SHA-256", &issuer.ca_certificates.last().map(|root| sha256(root)).unwrap_or_default());
    }
    lines.add("vault", &issuer.vault_name);
    lines.add("id", &issuer.id);
    lines.end()
}

/// How an issuer fares, below its own lines.
pub(super) fn issuer_health(health: &IssuerHealth) -> String {
    let mut lines = Lines::default();
    lines.add("last success", &time(health.last_success.as_ref()));
    lines.add("last failure", &time(health.last_failure.as_ref()));
    lines.add("last error", &health.last_error);
    lines.add("open operations", &open_operations(health));
    lines.add("next try", &time(health.next_try.as_ref()));
    lines.add("notice", &health.notice);
    lines.end()
}

fn open_operations(health: &IssuerHealth) -> String {
    let more = if health.more_open_operations { "+" } else { "" };
    format!("{}{more}", health.open_operations)
}

pub(super) fn issuers(issuers: &[IssuerItem]) -> String {
    let row = |it: &IssuerItem| {
        let health = it.health.clone().unwrap_or_default();
        // Times compare by seconds, then by their parts.
        let at = |time: &Option<prost_types::Timestamp>| time.as_ref().map(|time| (time.seconds, time.nanos));
        let fails = health.last_failure.is_some() && at(&health.last_failure) > at(&health.last_success);
        let state = match (it.enabled, it.paused) {
            (false, _) => "disabled",
            (true, true) => "paused",
            (true, false) if fails => "failing",
            (true, false) if !health.notice.is_empty() => "attention",
            (true, false) => "",
        };
        let error = printable(&one_line(if fails { &health.last_error } else { &health.notice }));
        [
            it.issuer_name.clone(),
            it.provider.clone(),
            state.to_owned(),
            open_operations(&health),
            time(health.last_success.as_ref()),
            time(health.next_try.as_ref()),
            error,
        ]
    };
    table(["NAME", "PROVIDER", "STATE", "OPEN", "LAST SUCCESS", "NEXT TRY", "LAST ERROR"], issuers.iter().map(row))
}

/// `CODE: MESSAGE`, then the errors below it.
pub(super) fn error_line(error: &OperationError) -> String {
    let mut line = format!("{}: {}", error.code, error.message);
    let mut inner = error.inner_error.as_deref();
    while let Some(error) = inner {
        line.push_str(&format!(" ({}: {})", error.code, error.message));
        inner = error.inner_error.as_deref();
    }
    line
}

/// The status in words, and whether a cancellation was requested.
pub(super) fn status_of(operation: &PendingOperation) -> String {
    let status = status(operation.status);
    let asked = operation.cancellation_requested && operation.status == i32::from(PendingStatus::InProgress);
    if asked { format!("{status} (cancellation requested)") } else { status }
}

fn names(x509: &X509Properties) -> String {
    let Some(names) = &x509.subject_alternative_names else { return String::new() };
    alternative_names::wanted(names).cloned().collect::<Vec<_>>().join(", ")
}

pub(super) fn time(time: Option<&prost_types::Timestamp>) -> String {
    time.map(ToString::to_string).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// Names and values, the values below each other; empty ones are left out.
#[derive(Default)]
struct Lines(Vec<(&'static str, String)>);

impl Lines {
    fn add(&mut self, name: &'static str, value: &str) {
        if !value.is_empty() {
            self.0.push((name, one_line(value)));
        }
    }

    fn end(self) -> String {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        self.0.iter().map(|(name, value)| format!("{name:width$}  {value}\n")).collect()
    }
}

fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_not_printed() {
        assert_eq!(printable("a\u{1b}[2Jb\r\nc\u{9b}"), "a\u{fffd}[2Jb\nc\u{fffd}");
        assert_eq!(printable("a\rb\r\r\nc"), "a\u{fffd}b\u{fffd}\nc");
    }

    #[test]
    fn an_event_is_one_line_with_its_token_last() {
        let error = OperationError { code: "c".into(), message: "two\r\nlines".into(), inner_error: None };
        let operation = PendingOperation {
            certificate_name: "web".into(),
            status: PendingStatus::Failed.into(),
            error: Some(error),
            ..Default::default()
        };
        let it = PendingEvent {
            r#type: 3,
            operation: Some(operation),
            previous_status: PendingStatus::InProgress.into(),
            event_time: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 0 }),
        };
        assert_eq!(
            event(&it, "t1"),
            "2023-11-14T22:13:20Z  web  updated  in progress -> failed  error=c: two lines  token=t1"
        );
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "LocalCA".to_owned()], ["long-name".to_owned(), "x".to_owned()]];
        assert_eq!(table(["NAME", "P"], rows.into_iter()), "NAME       P\na          LocalCA\nlong-name  x\n");
    }
}
