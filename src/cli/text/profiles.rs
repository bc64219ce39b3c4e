//! Profiles of a built-in CA for people.

use super::Lines;
use crate::proto::v1::{IssuerProfile, IssuerProfileNames};
use std::collections::BTreeMap;

/// Each profile with the rules that it has.
pub(in crate::cli) fn profiles(profiles: &BTreeMap<String, IssuerProfile>, default: &str) -> String {
    if profiles.is_empty() {
        return "no profiles: the CA signs whatever a policy asks for\n".to_owned();
    }
    let all = profiles.iter().map(|(name, profile)| one(name, profile, name == default));
    all.collect::<Vec<_>>().join("\n")
}

fn one(name: &str, profile: &IssuerProfile, is_default: bool) -> String {
    let IssuerProfile {
        max_validity,
        validity,
        names,
        keys,
        ekus,
        key_usages,
        subject,
        organization,
        max_names,
        revocation,
        must_staple,
    } = profile;
    let mut lines = Lines::default();
    lines.add("profile", &format!("{name}{}", if is_default { " (default)" } else { "" }));
    lines.add("max validity", max_validity);
    lines.add("validity", validity);
    if let Some(IssuerProfileNames { dns_names, ip_addresses, emails, uris, upns, wildcards }) = names {
        let all = [("dns", dns_names), ("ip", ip_addresses), ("email", emails), ("uri", uris), ("upn", upns)];
        let all = all.into_iter().flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind}:{name}")));
        let all = all.collect::<Vec<_>>().join(", ");
        lines.add("names", if all.is_empty() { "none" } else { &all });
        lines.add("wildcards", if *wildcards { "allowed" } else { "" });
    }
    lines.add("keys", &keys.join(", "));
    lines.add("ekus", &ekus.join(", "));
    lines.add("key usages", &key_usages.join(", "));
    lines.add("subject", subject);
    lines.add("organization", organization);
    lines.add("max names", &if *max_names == 0 { String::new() } else { max_names.to_string() });
    lines.add("revocation", revocation);
    lines.add("must staple", if *must_staple { "yes" } else { "" });
    lines.end()
}
