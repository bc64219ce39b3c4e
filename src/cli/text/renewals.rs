//! Renewals for people.

use super::{Lines, table, time};
use crate::cli::json;
use crate::proto::v1::Renewal;

pub(in crate::cli) fn renewals(renewals: &[Renewal]) -> String {
    let rows = renewals.iter().map(|it| {
        [
            it.certificate_name.clone(),
            state(it),
            time(it.next_try_time.as_ref()),
            time(it.expire_time.as_ref()),
            it.issuer_name.clone(),
            it.attempts.to_string(),
            why(it),
        ]
    });
    table(["NAME", "STATE", "NEXT TRY", "EXPIRES", "ISSUER", "ATTEMPTS", "WHY"], rows)
}

pub(in crate::cli) fn renewal(renewal: &Renewal) -> String {
    let mut lines = Lines::default();
    lines.add("certificate", &renewal.certificate_name);
    lines.add("state", &state(renewal));
    lines.add("why", &why(renewal));
    lines.add("next try", &time(renewal.next_try_time.as_ref()));
    lines.add("expires", &time(renewal.expire_time.as_ref()));
    lines.add("issuer", &renewal.issuer_name);
    lines.end()
}

fn state(renewal: &Renewal) -> String {
    json::renewal_state(renewal.state).to_lowercase().replace('_', " ")
}

/// What was last said of it, if anything was.
fn why(renewal: &Renewal) -> String {
    if renewal.note.is_empty() { renewal.reason.clone() } else { renewal.note.clone() }
}
