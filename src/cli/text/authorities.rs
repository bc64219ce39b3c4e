//! The text of what `certmint ca` prints.

use super::{Lines, table, time};
use crate::cli::json;
use crate::proto::v1::{Authority, IssuedCertificate};

pub(in crate::cli) fn authorities(authorities: &[Authority]) -> String {
    let rows = authorities.iter().map(|it| {
        [
            it.issuer_name.clone(),
            it.generation.to_string(),
            json::authority_state(it.state).to_lowercase(),
            it.subject.clone(),
            it.key_type.clone(),
            time(it.not_after.as_ref()),
            it.authority.clone(),
        ]
    });
    let mut text = table(["ISSUER", "GENERATION", "STATE", "SUBJECT", "KEY", "NOT AFTER", "AUTHORITY"], rows);
    for it in authorities.iter().filter(|it| !it.notice.is_empty()) {
        text.push_str(&format!("\n{} {}: {}\n", it.issuer_name, it.generation, it.notice));
    }
    text
}

pub(in crate::cli) fn authority(it: &Authority) -> String {
    let mut lines = Lines::default();
    lines.add("issuer", &it.issuer_name);
    lines.add("generation", &it.generation.to_string());
    lines.add("state", &json::authority_state(it.state).to_lowercase());
    lines.add("subject", &it.subject);
    lines.add("key", &it.key_type);
    lines.add("not before", &time(it.not_before.as_ref()));
    lines.add("not after", &time(it.not_after.as_ref()));
    lines.add("authority", &it.authority);
    lines.add("vault", &it.vault_name);
    lines.end()
}

pub(in crate::cli) fn issued_list(certificates: &[IssuedCertificate]) -> String {
    let rows = certificates.iter().map(|it| {
        [
            time(it.create_time.as_ref()),
            it.serial.clone(),
            state(it),
            it.certificate_name.clone(),
            it.names.join(" "),
            it.principal.clone(),
            it.door.clone(),
            time(it.not_after.as_ref()),
        ]
    });
    table(["ASKED", "SERIAL", "STATE", "NAME", "NAMES", "BY", "VIA", "NOT AFTER"], rows)
}

fn state(it: &IssuedCertificate) -> String {
    let state = json::issued_state(it.state).to_lowercase();
    if it.revocation.is_some() { format!("{state}, revoked") } else { state }
}

pub(in crate::cli) fn issued(it: &IssuedCertificate) -> String {
    let mut lines = Lines::default();
    lines.add("serial", &it.serial);
    lines.add("state", &state(it));
    lines.add("certificate", &it.certificate_name);
    lines.add("version", &it.certificate_version);
    lines.add("subject", &it.subject);
    lines.add("names", &it.names.join(", "));
    lines.add("not before", &time(it.not_before.as_ref()));
    lines.add("not after", &time(it.not_after.as_ref()));
    lines.add("asked", &time(it.create_time.as_ref()));
    lines.add("by", &it.principal);
    lines.add("via", &it.door);
    lines.add("profile", &it.profile);
    lines.add("request id", &it.request_id);
    if let Some(revocation) = &it.revocation {
        lines.add("revoked", &time(revocation.time.as_ref()));
        lines.add("reason", &json::revocation_reason(revocation.reason).to_lowercase().replace('_', " "));
        lines.add("invalid since", &time(revocation.invalidity_time.as_ref()));
        lines.add("revoked by", &revocation.principal);
        let list = match (revocation.crl_number, revocation.crl_expected.as_ref()) {
            (0, expected) => format!("the list that is made at {}", time(expected)),
            (number, _) => number.to_string(),
        };
        lines.add("first list", &list);
    }
    lines.add("issuer", &it.issuer_name);
    lines.add("authority", &it.authority);
    lines.add("vault", &it.vault_name);
    lines.end()
}
