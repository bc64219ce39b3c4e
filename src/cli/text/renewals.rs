//! Renewals for people.

use super::{Lines, table, time};
use crate::cli::json;
use crate::proto::v1::{Renewal, VaultRenewals};

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
    if !renewal.maintenance_window.is_empty() {
        lines.add("window", &renewal.maintenance_window);
    }
    lines.end()
}

pub(in crate::cli) fn of_vault(renewals: &VaultRenewals) -> String {
    let VaultRenewals { vault_name, maintenance_window, pause_time, pause_reason } = renewals;
    let mut lines = Lines::default();
    lines.add("vault", vault_name);
    lines.add("window", if maintenance_window.is_empty() { "that of the configuration" } else { maintenance_window });
    lines.add(
        "paused",
        &pause_time.as_ref().map_or_else(|| "no".to_owned(), |since| format!("since {}", time(Some(since)))),
    );
    if !pause_reason.is_empty() {
        lines.add("reason", pause_reason);
    }
    lines.end()
}

fn state(renewal: &Renewal) -> String {
    json::renewal_state(renewal.state).to_lowercase().replace('_', " ")
}

/// What was last said of it, if anything was.
fn why(renewal: &Renewal) -> String {
    if renewal.note.is_empty() { renewal.reason.clone() } else { renewal.note.clone() }
}
